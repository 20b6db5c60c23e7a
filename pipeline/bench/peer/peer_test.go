package peer

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"detectd/detect"
	"detectd/detect/ort"
	"detectd/pipeline/bench/floor"
	"detectd/pipeline/decode"
	"detectd/pipeline/simulate"
)

func TestMain(m *testing.M) {
	decode.Quiet()
	goleak.VerifyTestMain(m)
}

// share is a file of build/share.
func share(t *testing.T, name string) string {
	t.Helper()
	dir, err := os.Getwd()
	require.NoError(t, err)
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			break
		}
		require.NotEqual(t, "/", dir, "no go.mod above this folder")
		dir = filepath.Dir(dir)
	}
	file := filepath.Join(dir, "build/share", name)
	if _, err := os.Stat(file); err != nil {
		t.Fatal("run make build first: ", err)
	}
	return file
}

func needsFFmpeg(t *testing.T) {
	t.Helper()
	if Available() != nil {
		t.Skip("the ffmpeg command is not installed")
	}
}

func library(t *testing.T) string {
	t.Helper()
	path, err := ort.FindLibrary("")
	require.NoError(t, err)
	return path
}

// The comparison is only fair when both find the same.
func TestPeerAndDetectdFindTheSame(t *testing.T) {
	needsFFmpeg(t)
	m, err := floor.OpenModel(library(t), share(t, "default.onnx"))
	require.NoError(t, err)
	defer func() { require.NoError(t, m.Close()) }()
	a, err := Agree(t.Context(), m, share(t, "demo.avi"), 91, 30)
	require.NoError(t, err)
	require.Equal(t, 4, a.Pictures)
	require.Greater(t, a.Objects, 10)
	require.Greater(t, a.Share(), 0.85)
}

func TestRun(t *testing.T) {
	needsFFmpeg(t)
	video := filepath.Join(t.TempDir(), "v.mp4")
	require.NoError(t, simulate.Generate(video, simulate.Spec{Frames: 60, FPS: 30}))
	in, ask := io.Pipe()
	answers, out := io.Pipe()
	ended := make(chan error, 1)
	cfg := Config{
		URLs: []string{video, video}, Width: 320, Height: 240, FPS: 30, DetectFPS: 5,
		Library: library(t), Model: share(t, "default.onnx"),
	}
	go func() {
		err := Run(t.Context(), cfg, in, out)
		_ = errors.Join(in.CloseWithError(err), out.CloseWithError(err))
		ended <- err
	}()
	lines := bufio.NewScanner(answers)
	var c Count
	for { // until the videos end, which cameras do not
		if _, err := ask.Write([]byte{'\n'}); err != nil || !lines.Scan() {
			break
		}
		require.NoError(t, json.Unmarshal(lines.Bytes(), &c))
	}
	require.ErrorIs(t, <-ended, io.EOF)
	require.NotZero(t, c.Frames)
}

func TestBrokenCamera(t *testing.T) {
	needsFFmpeg(t)
	p, err := open(t.Context(), "none.mp4", 320, 240)
	require.NoError(t, err)
	defer p.close()
	require.ErrorContains(t, p.read(), "none.mp4")
}

func TestNoFFmpeg(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	require.ErrorContains(t, Available(), "apt-get install ffmpeg")
	require.ErrorIs(t, Run(t.Context(), Config{}, nil, nil), ErrNoFFmpeg)
}

func TestAgreement(t *testing.T) {
	box := func(x float32, score float32, label string) detect.Detection {
		return detect.Detection{Label: label, Score: score, Box: detect.Box{X: x, W: 10, H: 10}}
	}
	var a Agreement
	a.count(
		[]detect.Detection{box(0, 0.9, "a"), box(100, 0.6, "a"), box(200, 0.7, "a"), box(300, 0.4, "a")},
		[]detect.Detection{box(1, 0.4, "a"), box(100, 0.2, "a"), box(200, 0.9, "b"), box(300, 0.9, "a")},
	)
	require.Equal(t, Agreement{Objects: 3, Same: 1}, a)
	require.InDelta(t, 1.0/3, a.Share(), 1e-9)
	require.Zero(t, Agreement{}.Share())
}

func TestFill(t *testing.T) {
	in := detect.Input{Layout: detect.NCHW, Colour: detect.BGR, Width: 2, Height: 1, Scale: 2, Mean: [3]float32{1, 1, 1}, Std: [3]float32{1, 1, 1}}
	dst := make([]float32, 6)
	fill(dst, []byte{1, 2, 3, 4, 5, 6}, in)
	require.Equal(t, []float32{5, 11, 3, 9, 1, 7}, dst)
	in.Layout, in.Colour = detect.NHWC, detect.RGB
	fill(dst, []byte{1, 2, 3, 4, 5, 6}, in)
	require.Equal(t, []float32{1, 3, 5, 7, 9, 11}, dst)
}
