package offline_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"detectd/detect"
	"detectd/detect/detecttest"
	"detectd/detect/model"
	"detectd/pipeline"
	"detectd/pipeline/frame"
	"detectd/pipeline/offline"
	"detectd/pipeline/simulate"
)

// TestFileTurnsVideos: frames, sizes and boxes are those that players show.
func TestFileTurnsVideos(t *testing.T) {
	det, err := model.Open(detecttest.Runtime(t), detecttest.Bright(t), model.Options{})
	require.NoError(t, err)
	defer det.Close()
	stored := found(t, det, simulate.Spec{Still: true, Plain: true, Frames: 2})
	require.Equal(t, [2]int{320, 240}, stored.size)
	for o := frame.Orientation(2); o <= 8; o++ {
		got := found(t, det, simulate.Spec{Still: true, Plain: true, Frames: 2, Orientation: o})
		w, h := o.Size(320, 240)
		require.Equal(t, [2]int{w, h}, got.size)
		x, y := o.From(int(got.box.X+got.box.W/2), int(got.box.Y+got.box.H/2), 320, 240)
		require.InDelta(t, stored.box.X+stored.box.W/2, x, 4, "orientation %d", o)
		require.InDelta(t, stored.box.Y+stored.box.H/2, y, 4, "orientation %d", o)
		label := stored.label
		if o.Swapped() { // tall became wide
			label = "car"
		}
		require.Equal(t, label, got.label, "orientation %d", o)
	}
}

type finding struct {
	size  [2]int
	box   detect.Box
	label string
}

func found(t *testing.T, det detect.Detector, spec simulate.Spec) (got finding) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "a.mp4")
	require.NoError(t, simulate.Generate(path, spec))
	var pool frame.Pool
	defer pool.Close()
	n := 0
	require.NoError(t, offline.File(t.Context(), offline.Config{Path: path}, det, detect.Options{}, &pool, func(f offline.Frame) error {
		n++
		require.Len(t, f.Detections, 1)
		d := f.Detections[0]
		got = finding{[2]int{f.Frame.Width(), f.Frame.Height()}, d.Box, d.Label}
		return nil
	}))
	require.Equal(t, 2, n)
	require.Zero(t, pool.Live())
	w, h, err := offline.Check(t.Context(), path, 0)
	require.NoError(t, err)
	require.Equal(t, [2]int{w, h}, got.size)
	return got
}

// TestFileThatChanges: every frame comes, in its own size.
func TestFileThatChanges(t *testing.T) {
	for name, codec := range map[string]pipeline.Codec{"a.h264": pipeline.H264, "a.hevc": pipeline.H265, "a.mjpeg": pipeline.MJPEG} {
		var all bytes.Buffer
		for _, width := range []int{320, 640} {
			data, err := os.ReadFile(generate(t, name, simulate.Spec{Codec: codec, Width: width, Height: width * 3 / 4, Frames: 10}))
			require.NoError(t, err)
			all.Write(data)
		}
		path := filepath.Join(t.TempDir(), name)
		require.NoError(t, os.WriteFile(path, all.Bytes(), 0o600))
		var pool frame.Pool
		var widths, numbers []int
		require.NoError(t, offline.File(t.Context(), offline.Config{Path: path}, &reader{}, detect.Options{}, &pool, func(f offline.Frame) error {
			widths, numbers = append(widths, f.Frame.Width()), append(numbers, f.Detections[0].ClassID)
			return nil
		}))
		require.Equal(t, []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9}, numbers, name)
		for i, w := range widths {
			require.Equal(t, 320*(1+i/10), w)
		}
		require.Zero(t, pool.Live())
		pool.Close()
	}
}
