package e2e

import (
	"bufio"
	"bytes"
	"context"
	"image"
	"image/color"
	"image/jpeg"
	"io"
	"net"
	"net/http"
	"net/textproto"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"detectd/detect/detecttest"
	"detectd/pipeline"
	"detectd/pipeline/simulate"
)

// plain is a video with one bright box that moves over a dark ground: the model
// "bright" finds it and calls it a person.
func plain(t *testing.T, codec pipeline.Codec) string {
	t.Helper()
	name := map[pipeline.Codec]string{pipeline.H264: "h264.mp4", pipeline.H265: "h265.mp4", pipeline.MJPEG: "mjpeg.avi"}[codec]
	path := filepath.Join(t.TempDir(), name)
	require.NoError(t, simulate.Generate(path, simulate.Spec{Codec: codec, FPS: 10, Frames: 50, Plain: true}))
	return path
}

// Size and frame rate of the plain videos.
const (
	videoWidth  = 320
	videoHeight = 240
	videoFPS    = 10
	videoFrames = 50
)

// serve plays cameras until the test ends or stop is called.
func serve(t *testing.T, cfg simulate.Config) (s *simulate.Server, stop func()) {
	t.Helper()
	if cfg.Listen == "" {
		cfg.Listen = "127.0.0.1:0"
	}
	s, err := simulate.New(cfg)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		require.NoError(t, <-done)
	})
	t.Cleanup(stop)
	<-s.Ready()
	return s, stop
}

// plainCamera plays one plain H.264 camera and returns its address.
func plainCamera(t *testing.T) string {
	t.Helper()
	s, _ := serve(t, simulate.Config{Files: []string{plain(t, pipeline.H264)}})
	return s.URLs()[0]
}

// useBright adds the model "bright" and lets the client "default" run it.
func useBright(t *testing.T, d *daemon) {
	t.Helper()
	a := d.api(t, http.MethodPost, "/models?name=bright", detecttest.Bright(t), nil)
	require.Equal(t, http.StatusCreated, a.Status)
	d.setModel(t, "bright", 0)
}

// withCamera is a daemon that runs the model "bright" on a plain camera, "good".
func withCamera(t *testing.T, args ...string) *daemon {
	t.Helper()
	d := start(t, args...)
	useBright(t, d)
	d.addCamera(t, "Good", plainCamera(t), body{"id": "good"})
	d.becomes(t, "good", "running")
	return d
}

// scripted is an RTSP server that answers as told: a status line and headers,
// and after an empty line a body. It hangs up after an empty answer.
func scripted(t *testing.T, reply func(method string) string) (url string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { converse(c, reply) })
		}
	})
	t.Cleanup(func() {
		_ = ln.Close()
		wg.Wait()
	})
	return "rtsp://" + ln.Addr().String() + "/live"
}

func converse(c net.Conn, reply func(method string) string) {
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(patience))
	r := textproto.NewReader(bufio.NewReader(c))
	for {
		line, err := r.ReadLine()
		if err != nil {
			return
		}
		header, err := r.ReadMIMEHeader()
		if err != nil {
			return
		}
		method, _, _ := strings.Cut(line, " ")
		text := reply(method)
		if text == "" {
			return
		}
		first, rest, _ := strings.Cut(text, "\r\n")
		if _, err := io.WriteString(c, first+"\r\nCSeq: "+header.Get("Cseq")+"\r\n"+rest); err != nil {
			return
		}
	}
}

// describes answers with a stream of the given media.
func describes(media string) func(method string) string {
	sdp := "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=x\r\nc=IN IP4 0.0.0.0\r\nt=0 0\r\n" + media
	return func(method string) string {
		switch method {
		case "OPTIONS":
			return "RTSP/1.0 200 OK\r\nPublic: DESCRIBE, SETUP, PLAY\r\n\r\n"
		case "DESCRIBE":
			return "RTSP/1.0 200 OK\r\nContent-Type: application/sdp\r\nContent-Length: " + strconv.Itoa(len(sdp)) + "\r\n\r\n" + sdp
		}
		return ""
	}
}

// picture is a dark picture with a bright upright rectangle at where.
func picture(where image.Rectangle) *image.RGBA {
	img := image.NewRGBA(image.Rect(0, 0, videoWidth, videoHeight))
	for y := range videoHeight {
		for x := range videoWidth {
			grey := uint8(40)
			if image.Pt(x, y).In(where) {
				grey = 240
			}
			img.Set(x, y, color.Gray{Y: grey})
		}
	}
	return img
}

// bright is the middle of the bright pixels of a JPEG.
func bright(t require.TestingT, content []byte) (x, y float64, size image.Point) {
	img, err := jpeg.Decode(bytes.NewReader(content))
	require.NoError(t, err)
	var n float64
	bounds := img.Bounds()
	for j := bounds.Min.Y; j < bounds.Max.Y; j++ {
		for i := bounds.Min.X; i < bounds.Max.X; i++ {
			if color.GrayModel.Convert(img.At(i, j)).(color.Gray).Y > 180 {
				x, y, n = x+float64(i), y+float64(j), n+1
			}
		}
	}
	require.Positive(t, n, "nothing is bright")
	return x / n, y / n, bounds.Size()
}

// covers says whether the point lies in the box, give or take a model's pixel.
func (b box) covers(x, y float64) bool {
	const slack = 3
	return x > b[0]-slack && x < b[0]+b[2]+slack && y > b[1]-slack && y < b[1]+b[3]+slack
}
