package e2e

import (
	"bufio"
	"context"
	"encoding/json"
	"image"
	"image/jpeg"
	"image/png"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"detectd/detect/detecttest"
	"detectd/pipeline"
	"detectd/pipeline/simulate"
	"detectd/pipeline/source/rtsp"
)

// brightFile is the model "bright" as a file.
func brightFile(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "bright.onnx")
	require.NoError(t, os.WriteFile(path, detecttest.Bright(t), 0o644))
	return path
}

// where is the bright rectangle of the pictures that detection is tried on.
var where = image.Rect(100, 60, 140, 160)

func pictureFile(t *testing.T, path string) string {
	t.Helper()
	file, err := os.Create(path)
	require.NoError(t, err)
	defer file.Close()
	if filepath.Ext(path) == ".png" {
		require.NoError(t, png.Encode(file, picture(where)))
	} else {
		require.NoError(t, jpeg.Encode(file, picture(where), nil))
	}
	return path
}

// line is one line of `detectd detect`, the contract with scripts.
type line struct {
	Source     string   `json:"source"`
	Frame      int      `json:"frame"`
	PTS        float64  `json:"pts"`
	Width      int      `json:"width"`
	Height     int      `json:"height"`
	Detections []object `json:"detections"`
}

// linesOf reads lines and expects that they hold the documented members only.
func linesOf(t *testing.T, text string) (all []line) {
	t.Helper()
	for l := range strings.Lines(text) {
		var members map[string]json.RawMessage
		require.NoError(t, json.Unmarshal([]byte(l), &members), l)
		require.Len(t, members, 6, l)
		var parsed line
		require.NoError(t, json.Unmarshal([]byte(l), &parsed), l)
		var found []map[string]json.RawMessage
		require.NoError(t, json.Unmarshal(members["detections"], &found))
		require.NotNil(t, found, "a list even when nothing is found: %s", l)
		for _, f := range found {
			require.Len(t, f, 4, l)
			for _, key := range []string{"label", "class_id", "score", "box"} {
				require.Contains(t, f, key)
			}
		}
		all = append(all, parsed)
	}
	return all
}

func TestDetectPictures(t *testing.T) {
	t.Parallel()
	model, dir := brightFile(t), t.TempDir()
	for _, name := range []string{"a.jpg", "b.png"} {
		pictureFile(t, filepath.Join(dir, name))
	}
	require.NoError(t, os.WriteFile(filepath.Join(dir, "notes.txt"), []byte("no picture"), 0o644))
	save := filepath.Join(t.TempDir(), "out")
	for _, args := range [][]string{{dir}, {filepath.Join(dir, "a.jpg"), filepath.Join(dir, "b.png")}} {
		lines := linesOf(t, succeeds(t, append([]string{"detect", "--model", model, "--save", save}, args...)...))
		require.Len(t, lines, 2)
		for i, l := range lines {
			require.Equal(t, filepath.Join(dir, []string{"a.jpg", "b.png"}[i]), l.Source)
			require.Equal(t, []int{0, videoWidth, videoHeight}, []int{l.Frame, l.Width, l.Height})
			require.Zero(t, l.PTS)
			require.Len(t, l.Detections, 1)
			d := l.Detections[0]
			require.Equal(t, []any{"person", 0}, []any{d.Label, d.ClassID})
			require.InDelta(t, 0.9, d.Score, 0.001)
			for j, side := range []int{where.Min.X, where.Min.Y, where.Dx(), where.Dy()} {
				require.InDelta(t, side, d.Box[j], 4, "%v", d.Box)
			}
		}
	}
	for _, name := range []string{"a.jpg", "b.jpg"} {
		file, err := os.Open(filepath.Join(save, name))
		require.NoError(t, err)
		config, err := jpeg.DecodeConfig(file)
		require.NoError(t, err)
		require.Equal(t, []int{videoWidth, videoHeight}, []int{config.Width, config.Height})
		require.NoError(t, file.Close())
	}
	empty := linesOf(t, succeeds(t, "detect", "--model", model, "--score", "0.95", filepath.Join(dir, "a.jpg")))
	require.Empty(t, empty[0].Detections)
}

func TestDetectVideo(t *testing.T) {
	t.Parallel()
	model, save := brightFile(t), t.TempDir()
	for _, codec := range []pipeline.Codec{pipeline.H264, pipeline.H265, pipeline.MJPEG} {
		video := plain(t, codec)
		lines := linesOf(t, succeeds(t, "detect", "--model", model, "--save", save, video))
		require.Len(t, lines, videoFrames)
		for i, l := range lines {
			require.Equal(t, i, l.Frame)
			require.InDelta(t, float64(i)/videoFPS, l.PTS, 0.01)
			require.Len(t, l.Detections, 1)
			require.InDelta(t, float64(4*i), l.Detections[0].Box[0], 5, "the box moves four pixels a frame")
		}
		saved := filepath.Join(save, strings.TrimSuffix(filepath.Base(video), filepath.Ext(video))+".mp4")
		again := linesOf(t, succeeds(t, "detect", "--model", model, saved))
		require.Len(t, again, videoFrames)
		require.Equal(t, []int{videoWidth, videoHeight}, []int{again[0].Width, again[0].Height})
		require.Len(t, linesOf(t, succeeds(t, "detect", "--model", model, "--every", "10", video)), videoFrames/10)
	}
}

func TestDetectStream(t *testing.T) {
	t.Parallel()
	server, _ := serve(t, simulate.Config{
		Files: []string{plain(t, pipeline.H264)}, Auth: "digest", Username: "viewer", Password: "c4nary-one",
	})
	address := server.URLs()[0]
	secret := strings.Replace(address, "rtsp://", "rtsp://viewer:c4nary-one@", 1)
	lines := linesOf(t, succeeds(t, "detect", "--model", brightFile(t), "--limit", "15", secret))
	require.Len(t, lines, 15)
	for _, l := range lines {
		require.Equal(t, address, l.Source, "without the password")
	}
	wrong := command(t, "detect", "--model", brightFile(t), strings.Replace(secret, "one", "two", 1))
	require.Equal(t, 1, wrong.Code)
	require.Contains(t, wrong.Stderr, "another user or password")
	require.NotContains(t, wrong.Stderr, "c4nary")
}

// TestDetectDefaultModel: without a model given the one that comes with detectd runs.
func TestDetectDefaultModel(t *testing.T) {
	t.Parallel()
	demo := detecttest.Artefact(t, "share", "demo.avi")
	lines := linesOf(t, succeeds(t, "detect", "--every", "100", demo))
	require.Len(t, lines, 8)
	people := 0
	for _, l := range lines {
		for _, d := range l.Detections {
			if d.Label == "person" {
				people++
			}
		}
	}
	require.Greater(t, people, 8)
}

func TestDetectFailures(t *testing.T) {
	t.Parallel()
	model, good := brightFile(t), pictureFile(t, filepath.Join(t.TempDir(), "good.jpg"))
	content, err := os.ReadFile(good)
	require.NoError(t, err)
	for name, c := range map[string]struct {
		args  []string
		code  int
		says  string
		lines int
	}{
		"nothing to do":      {nil, 2, "input", 0},
		"unknown flag":       {[]string{"--nonsense", good}, 2, "--nonsense", 0},
		"score out of range": {[]string{"--score", "2", good}, 2, "--score", 0},
		"missing file":       {[]string{"none.jpg", good}, 1, "none.jpg", 1},
		"not a picture":      {[]string{write(t, "text.jpg", "hello"), good}, 1, "text.jpg", 1},
		"truncated picture":  {[]string{write(t, "half.jpg", string(content[:len(content)/2])), good}, 1, "half.jpg", 1},
		"zero-byte video":    {[]string{write(t, "empty.mp4", ""), good}, 1, "empty.mp4", 1},
		"model is text":      {[]string{"--model", write(t, "text.onnx", "hello"), good}, 1, "text.onnx", 0},
		"model is unknown":   {[]string{"--model", "nobody", "--data", t.TempDir(), good}, 1, "nobody", 0},
		"malformed address":  {[]string{"rtsp://:c4nary@/", good}, 1, "host", 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			args := append([]string{"detect"}, c.args...)
			if name != "model is text" && name != "model is unknown" {
				args = append(args, "--model", model)
			}
			e := command(t, args...)
			require.Equal(t, c.code, e.Code, e.Stderr)
			require.Contains(t, e.Stderr, c.says)
			require.NotContains(t, e.Stderr, "c4nary")
			require.Len(t, linesOf(t, e.Stdout), c.lines, "the others go on")
			require.LessOrEqual(t, strings.Count(e.Stderr, "\n"), 2, e.Stderr)
		})
	}
}

// TestSimulateCommand: several clients see the same camera at once, over TCP
// and UDP, and time goes on where the file starts again.
func TestSimulateCommand(t *testing.T) {
	t.Parallel()
	c := exec.Command(program, "simulate", "--listen", "127.0.0.1:0", "--user", "viewer", "--password", "secret",
		plain(t, pipeline.H264))
	stdout, err := c.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, c.Start())
	t.Cleanup(func() {
		_ = c.Process.Signal(syscall.SIGTERM)
		require.NoError(t, c.Wait())
	})
	address, err := bufio.NewReader(stdout).ReadString('\n')
	require.NoError(t, err)
	address = strings.TrimSpace(address)
	require.Regexp(t, `^rtsp://127\.0\.0\.1:\d+/h264$`, address)

	counts := make(chan int, 3)
	for _, transport := range []rtsp.Transport{rtsp.TransportTCP, rtsp.TransportUDP, rtsp.TransportTCP} {
		go func() { counts <- watch(t, address, transport, videoFrames+videoFPS) }()
	}
	for range 3 {
		require.Equal(t, videoFrames+videoFPS, <-counts)
	}
}

// counter counts units whose times go on.
type counter struct {
	units, enough int
	last          time.Duration
	done          func()
}

func (c *counter) Format(pipeline.Format) {}

func (c *counter) Unit(u pipeline.Unit) {
	if c.units == c.enough || c.units > 0 && u.PTS <= c.last {
		c.done()
		return
	}
	c.last = u.PTS
	if c.units++; c.units == c.enough {
		c.done()
	}
}

func watch(t *testing.T, address string, transport rtsp.Transport, enough int) int {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	source, err := rtsp.New(rtsp.Config{
		URL: address, Username: "viewer", Password: "secret", Transport: transport, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return -1
	}
	seen := &counter{enough: enough, done: cancel}
	_ = source.Run(ctx, seen)
	return seen.units
}
