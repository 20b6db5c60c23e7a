package video_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/asticode/go-astiav"
	"github.com/stretchr/testify/require"

	"detectd/pipeline/frame"
	"detectd/render"
	"detectd/render/draw"
	"detectd/render/pixel"
	"detectd/render/video"
)

func plain(t *testing.T, pool *frame.Pool, w, h int, pf astiav.PixelFormat, c render.Color) *frame.Frame {
	t.Helper()
	f := pool.Get()
	f.AV().SetWidth(w)
	f.AV().SetHeight(h)
	f.AV().SetPixelFormat(pf)
	require.NoError(t, f.AV().AllocBuffer(0))
	var s pixel.Scaler
	defer s.Close()
	require.NoError(t, s.FromBGR(bytes.Repeat([]byte{c.B, c.G, c.R}, w*h), 3*w, w, h, f.AV(), pixel.MatrixOf(f.AV())))
	return f
}

// shown is one decoded picture: its time, its size, the colour in its middle and
// the width of its pixels by their height.
type shown struct {
	at     time.Duration
	w, h   int
	c      render.Color
	aspect float64
}

func read(t *testing.T, path string) []shown {
	t.Helper()
	fc := astiav.AllocFormatContext()
	defer fc.Free()
	require.NoError(t, fc.OpenInput(path, nil, nil))
	defer fc.CloseInput()
	st := fc.Streams()[0]
	codec := astiav.FindDecoder(st.CodecParameters().CodecID())
	dec := astiav.AllocCodecContext(codec)
	defer dec.Free()
	require.NoError(t, st.CodecParameters().ToCodecContext(dec))
	require.NoError(t, dec.Open(codec, nil))
	pkt, f := astiav.AllocPacket(), astiav.AllocFrame()
	defer pkt.Free()
	defer f.Free()
	var s pixel.Scaler
	defer s.Close()
	var out []shown
	for {
		end := fc.ReadFrame(pkt) != nil
		if end {
			require.NoError(t, dec.SendPacket(nil))
		} else {
			require.NoError(t, dec.SendPacket(pkt))
			pkt.Unref()
		}
		for dec.ReceiveFrame(f) == nil {
			w, h := f.Width(), f.Height()
			b := make([]byte, 3*w*h)
			require.NoError(t, s.ToBGR(f, b, 3*w, w, h))
			i := 3 * (w*(h/2) + w/2)
			out = append(out, shown{
				time.Duration(float64(f.Pts()) * st.TimeBase().Float64() * 1e9).Round(time.Millisecond),
				w, h,
				render.Color{B: b[i], G: b[i+1], R: b[i+2]},
				f.SampleAspectRatio().Float64(),
			})
		}
		if end {
			return out
		}
	}
}

func TestMain(m *testing.M) {
	astiav.SetLogLevel(astiav.LogLevelError)
	m.Run()
}

func near(t *testing.T, want, got render.Color) {
	t.Helper()
	require.InDelta(t, want.R, got.R, 8)
	require.InDelta(t, want.G, got.G, 8)
	require.InDelta(t, want.B, got.B, 8)
}

func TestRoundTrip(t *testing.T) {
	red := render.Color{R: 200, G: 40, B: 50}
	for _, tc := range []struct {
		name         string
		w, h         int // of the file
		fw, fh       int // of the frames
		wantW, wantH int
		format       astiav.PixelFormat
	}{
		{"as it is", 320, 240, 320, 240, 320, 240, astiav.PixelFormatYuv420P},
		{"odd", 321, 241, 321, 241, 320, 240, astiav.PixelFormatYuv420P},
		{"full range", 320, 240, 320, 240, 320, 240, astiav.PixelFormatYuvj422P},
		{"rgb", 320, 240, 320, 240, 320, 240, astiav.PixelFormatRgb24},
		{"high definition", 1280, 720, 1280, 720, 1280, 720, astiav.PixelFormatYuv420P},
		{"scaled", 320, 240, 640, 480, 320, 240, astiav.PixelFormatYuv420P},
		{"scaled to another matrix", 320, 240, 1280, 720, 320, 240, astiav.PixelFormatYuv420P},
	} {
		t.Run(tc.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "a:b.mp4") // a colon names no protocol here
			var pool frame.Pool
			e, err := video.New(path, video.Spec{Width: tc.w, Height: tc.h, FPS: 10})
			require.NoError(t, err)
			times := []time.Duration{0, 100 * time.Millisecond, 150 * time.Millisecond, 700 * time.Millisecond, 3 * time.Second}
			for _, at := range times {
				f := plain(t, &pool, tc.fw, tc.fh, tc.format, red)
				require.NoError(t, e.WriteFrame(f, at))
				f.Release()
			}
			require.NoError(t, e.Close())
			require.NoError(t, e.Close())
			require.Zero(t, pool.Live())
			got := read(t, path)
			require.Len(t, got, len(times))
			for i, s := range got {
				require.Equal(t, times[i], s.at)
				require.Equal(t, [2]int{tc.wantW, tc.wantH}, [2]int{s.w, s.h})
				near(t, red, s.c)
			}
		})
	}
}

func TestAspect(t *testing.T) {
	for _, tc := range []struct {
		aspect [2]int
		want   float64
	}{
		{[2]int{4, 3}, 4.0 / 3},
		{[2]int{1, 2}, 0.5},
		{[2]int{0, 1}, 1}, // libav's way of not knowing
		{[2]int{}, 1},
		{[2]int{9, 2}, 1},
		{[2]int{-4, -3}, 1},
	} {
		path := filepath.Join(t.TempDir(), "v.mp4")
		var pool frame.Pool
		e, err := video.New(path, video.Spec{Width: 64, Height: 48, Aspect: tc.aspect})
		require.NoError(t, err)
		f := plain(t, &pool, 64, 48, astiav.PixelFormatYuv420P, render.Color{})
		require.NoError(t, e.WriteFrame(f, 0))
		f.Release()
		require.NoError(t, e.Close())
		got := read(t, path)
		require.Len(t, got, 1)
		if got[0].aspect == 0 { // not known: square
			got[0].aspect = 1
		}
		require.InDelta(t, tc.want, got[0].aspect, 1e-9, "%v", tc.aspect)
	}
}

func TestDrawnPicturesAndFastStart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "v.mp4")
	green := render.Color{R: 20, G: 180, B: 30}
	var pool frame.Pool
	e, err := video.New(path, video.Spec{Width: 200, Height: 101})
	require.NoError(t, err)
	for i := range 30 {
		f := plain(t, &pool, 200, 101, astiav.PixelFormatYuv420P, render.Color{})
		p, err := draw.Frame(f, []render.Label{{Box: [4]float32{0, 0, 200, 100}, Color: green}}, render.Style{LineWidth: 90})
		require.NoError(t, err)
		require.NoError(t, e.WritePicture(p, time.Duration(i)*40*time.Millisecond))
		require.NoError(t, p.Close())
		f.Release()
	}
	require.NoError(t, e.Close())
	got := read(t, path)
	require.Len(t, got, 30)
	near(t, green, got[29].c)
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Less(t, bytes.Index(b, []byte("moov")), bytes.Index(b, []byte("mdat")), "the index is in front")
}

func TestErrors(t *testing.T) {
	_, err := video.New(filepath.Join(t.TempDir(), "none", "v.mp4"), video.Spec{Width: 64, Height: 64})
	require.ErrorContains(t, err, "open file")
	_, err = video.New(filepath.Join(t.TempDir(), "v.mp4"), video.Spec{})
	require.ErrorContains(t, err, "cannot be coded")
	_, err = video.New(filepath.Join(t.TempDir(), "v.mp4"), video.Spec{Width: 64, Height: 64, Preset: "brisk"})
	require.ErrorContains(t, err, "libx264")

	e, err := video.New(filepath.Join(t.TempDir(), "v.mp4"), video.Spec{Width: 64, Height: 64})
	require.NoError(t, err)
	var pool frame.Pool
	f := plain(t, &pool, 64, 64, astiav.PixelFormatYuv420P, render.Color{})
	defer f.Release()
	require.NoError(t, e.WriteFrame(f, time.Second))
	require.ErrorContains(t, e.WriteFrame(f, time.Second), "does not come after")
	require.NoError(t, e.Close())
}

func TestNothingWritten(t *testing.T) {
	e, err := video.New(filepath.Join(t.TempDir(), "v.mp4"), video.Spec{Width: 64, Height: 64})
	require.NoError(t, err)
	require.NoError(t, e.Close())
}
