package simulate_test

import (
	"context"
	"image"
	"image/png"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"detectd/pipeline"
	"detectd/pipeline/decode"
	"detectd/pipeline/frame"
	"detectd/pipeline/simulate"
	"detectd/pipeline/source/rtsp"
)

func TestMain(m *testing.M) {
	decode.Quiet()
	goleak.VerifyTestMain(m)
}

// watcher keeps what a camera sends.
type watcher struct {
	mu     sync.Mutex
	format pipeline.Format
	units  []pipeline.Unit
}

func (w *watcher) Format(f pipeline.Format) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.format = f
}

func (w *watcher) Unit(u pipeline.Unit) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.units = append(w.units, u)
}

func (w *watcher) seen() []pipeline.Unit {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]pipeline.Unit(nil), w.units...)
}

// serve runs a simulator until the test ends.
func serve(t *testing.T, cfg simulate.Config) *simulate.Server {
	t.Helper()
	cfg.Listen = "127.0.0.1:0"
	cfg.Logger = slog.New(slog.DiscardHandler)
	s, err := simulate.New(cfg)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-done)
	})
	<-s.Ready()
	return s
}

// watch plays url until the test ends.
func watch(t *testing.T, url string, transport rtsp.Transport) *watcher {
	t.Helper()
	src, err := rtsp.New(rtsp.Config{URL: url, Transport: transport})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	w := &watcher{}
	go func() { done <- src.Run(ctx, w) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-done)
	})
	return w
}

func video(t *testing.T, name string, spec simulate.Spec) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	require.NoError(t, simulate.Generate(path, spec))
	return path
}

func eventually(t *testing.T, ok func() bool) {
	t.Helper()
	require.Eventually(t, ok, 20*time.Second, 5*time.Millisecond)
}

// decoded decodes what a watcher saw and returns the pictures' numbers.
func decoded(t *testing.T, w *watcher) []int {
	t.Helper()
	var pool frame.Pool
	d, err := decode.New(w.format, &pool, decode.Options{})
	require.NoError(t, err)
	defer d.Close()
	var numbers []int
	emit := func(f *frame.Frame) {
		numbers = append(numbers, simulate.IndexOf(f.AV()))
		require.False(t, f.Damaged)
		f.Release()
	}
	for _, u := range w.seen() {
		require.NoError(t, d.Decode(u, emit))
	}
	require.NoError(t, d.Flush(emit))
	return numbers
}

func TestServesEveryKindOfFile(t *testing.T) {
	dir := t.TempDir()
	picture := filepath.Join(dir, "still life.png")
	f, err := os.Create(picture)
	require.NoError(t, err)
	require.NoError(t, png.Encode(f, image.NewRGBA(image.Rect(0, 0, 131, 77))))
	require.NoError(t, f.Close())
	short := simulate.Spec{Frames: 20, FPS: 50, GOP: 10, Stamp: true}
	with := func(codec pipeline.Codec, bframes int) simulate.Spec {
		s := short
		s.Codec, s.BFrames = codec, bframes
		return s
	}
	s := serve(t, simulate.Config{Files: []string{
		video(t, "Cam.mp4", with(pipeline.H264, 0)), video(t, "cam.mkv", with(pipeline.H264, 2)),
		video(t, "hevc.mp4", with(pipeline.H265, 0)), video(t, "motion.avi", with(pipeline.MJPEG, 0)),
		video(t, "old.avi", with("msmpeg4", 0)), picture,
	}})
	codecs := []pipeline.Codec{pipeline.H264, pipeline.H264, pipeline.H265, pipeline.MJPEG, pipeline.H264, pipeline.H264}
	names := []string{"cam", "cam-2", "hevc", "motion", "old", "still-life"}
	var watchers []*watcher
	for i, url := range s.URLs() {
		require.Equal(t, names[i], filepath.Base(url))
		watchers = append(watchers, watch(t, url, rtsp.TransportTCP))
	}
	for i, w := range watchers {
		eventually(t, func() bool { return len(w.seen()) >= 45 || i == 5 && len(w.seen()) > 12 })
		require.Equal(t, codecs[i], w.format.Codec)
		numbers := decoded(t, w)
		if i == 5 {
			require.Equal(t, []int{130, 76}, []int{w.format.Width, w.format.Height})
			continue
		}
		for k := 1; k < len(numbers)-3; k++ { // B-frames at the end may not have come yet
			require.Equal(t, (numbers[k-1]+1)%20, numbers[k], "%s, picture %d", names[i], k)
		}
	}
}

func TestLoopTimesAreContinuous(t *testing.T) {
	for _, spec := range []simulate.Spec{{Frames: 10, FPS: 50}, {Frames: 10, FPS: 50, BFrames: 2}} {
		s := serve(t, simulate.Config{Files: []string{video(t, "a.mp4", spec)}})
		w := watch(t, s.URLs()[0], rtsp.TransportTCP)
		eventually(t, func() bool { return len(w.seen()) >= 35 })
		units := w.seen()
		pts := map[time.Duration]bool{}
		for i, u := range units {
			if i > 0 {
				require.Greater(t, u.DTS, units[i-1].DTS)
			}
			pts[u.PTS.Round(20*time.Millisecond)] = true
		}
		for i := range 30 {
			require.True(t, pts[time.Duration(i)*20*time.Millisecond], "picture %d is missing", i)
		}
	}
}

func TestFPS(t *testing.T) {
	s := serve(t, simulate.Config{
		Files: []string{video(t, "a.mp4", simulate.Spec{Frames: 10, FPS: 25}), video(t, "b.avi", simulate.Spec{Codec: "msmpeg4", Frames: 10, FPS: 25})},
		FPS:   100,
	})
	for _, url := range s.URLs() {
		w := watch(t, url, rtsp.TransportTCP)
		eventually(t, func() bool { return len(w.seen()) > 20 })
		units := w.seen()
		require.InDelta(t, 200*time.Millisecond, units[20].PTS, float64(time.Millisecond))
	}
}

func TestTwoClientsSeeTheSame(t *testing.T) {
	s := serve(t, simulate.Config{Files: []string{video(t, "a.mp4", simulate.Spec{Frames: 20, FPS: 50, GOP: 10})}})
	a := watch(t, s.URLs()[0], rtsp.TransportTCP)
	b := watch(t, s.URLs()[0], rtsp.TransportUDP)
	eventually(t, func() bool { return len(a.seen()) > 20 && len(b.seen()) > 20 })
}

func TestNewErrors(t *testing.T) {
	text := filepath.Join(t.TempDir(), "a.txt")
	require.NoError(t, os.WriteFile(text, []byte("hello"), 0o600))
	good := video(t, "a.mp4", simulate.Spec{Frames: 2})
	for name, cfg := range map[string]simulate.Config{
		"no files":       {Listen: "127.0.0.1:0"},
		"not a video":    {Listen: "127.0.0.1:0", Files: []string{text}},
		"missing":        {Listen: "127.0.0.1:0", Files: []string{text + "x"}},
		"bad address":    {Listen: "nonsense", Files: []string{good}},
		"authentication": {Listen: "127.0.0.1:0", Files: []string{good}, Auth: "magic"},
	} {
		_, err := simulate.New(cfg)
		require.Error(t, err, name)
	}
	s, err := simulate.New(simulate.Config{Listen: "127.0.0.1:0", Files: []string{good}})
	require.NoError(t, err)
	require.NoError(t, s.Close())
}

func TestGenerateErrors(t *testing.T) {
	require.Error(t, simulate.Generate(filepath.Join(t.TempDir(), "a.mp4"), simulate.Spec{Width: 33}))
	require.Error(t, simulate.Generate(filepath.Join(t.TempDir(), "a.mp4"), simulate.Spec{Codec: "nothing"}))
	require.Error(t, simulate.Generate(filepath.Join(t.TempDir(), "a.unknown"), simulate.Spec{}))
	require.Error(t, simulate.Generate(filepath.Join(t.TempDir(), "no", "a.mp4"), simulate.Spec{}))
}
