package model_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"detectd/detect"
	"detectd/detect/detecttest"
	"detectd/detect/model"
	"detectd/pipeline/frame"
)

// scene is a picture with two bright rectangles.
func scene(t *testing.T, pool *frame.Pool) []*frame.Frame {
	t.Helper()
	f := detecttest.Picture(t, pool, 640, 480, detecttest.Rect{X: 100, Y: 50, W: 100, H: 300})
	g := detecttest.Picture(t, pool, 320, 640, detecttest.Rect{X: 100, Y: 400, W: 150, H: 60})
	t.Cleanup(f.Release)
	t.Cleanup(g.Release)
	return []*frame.Frame{f, g}
}

// TestWrongContractsAreCaught opens a network that really looks at the picture
// with contracts that are wrong in one point.
func TestWrongContractsAreCaught(t *testing.T) {
	for name, c := range map[string]struct {
		overrides map[string]string
		verdict   model.Verdict
		text      string
	}{
		"right":        {nil, model.Pass, ""},
		"scale":        {map[string]string{"input.scale": "1/255"}, model.Fail, "input.scale=1"},
		"mean and std": {map[string]string{"input.scale": "1/255", "input.mean": "0.485,0.456,0.406", "input.std": "0.2"}, model.Fail, "input.scale=1"},
		"decoded":      {map[string]string{"params.decoded": "1"}, model.Fail, "params.decoded=0"},
		"score":        {map[string]string{"min_score": "0.95"}, model.Unsure, "nothing was found"},
	} {
		t.Run(name, func(t *testing.T) {
			var pool frame.Pool
			d := open(t, detecttest.Bright(t), model.Options{Overrides: c.overrides})
			r, _, err := model.SelfCheck(t.Context(), d, scene(t, &pool))
			require.NoError(t, err)
			require.Equal(t, c.verdict, r.Verdict, r)
			require.Contains(t, strings.Join(append(r.Faults, r.Doubts...), "\n"), c.text)
			require.NotZero(t, r.Tried)
			if c.verdict == model.Pass {
				require.InDelta(t, 1, r.Followed, 1e-6)
				require.Len(t, r.Notes, 1, "grey pictures do not tell the colours")
			}
		})
	}
}

// TestRubbishIsNoBetterContract opens a network that finds nothing in the picture with
// its right contract, and, with others, in nearly all of it.
func TestRubbishIsNoBetterContract(t *testing.T) {
	var pool frame.Pool
	f := firstFrame(t, &pool, detecttest.Artefact(t, "share", "demo.avi"))
	defer f.Release()
	d := open(t, detecttest.Cells(t), model.Options{Family: "yolov8"})
	r, _, err := model.SelfCheck(t.Context(), d, []*frame.Frame{f})
	require.NoError(t, err)
	require.Equal(t, model.Unsure, r.Verdict, r)
	require.Zero(t, r.Found)
	require.Contains(t, strings.Join(r.Notes, "\n"), "does not look like objects")
	require.GreaterOrEqual(t, r.Tried, 7)
}

// TestBoxesThatStayAreCaught opens networks whose boxes do not depend on where
// things are in the picture.
func TestBoxesThatStayAreCaught(t *testing.T) {
	var pool frame.Pool
	frames := scene(t, &pool)
	rows := table(10, 6, map[int][]float32{0: {100, 100, 140, 160, 0.9, 0}, 1: {10, 10, 50, 70, 0.8, 1}})
	n := flat(picture("images"), "output0", nil, 10, 6)
	n.Outputs[0].Values = rows
	overrides := map[string]string{"labels": "a,b", "box_unit": "pixels"}
	d := open(t, n.Encode(t), model.Options{Overrides: overrides})
	r, _, err := model.SelfCheck(t.Context(), d, frames)
	require.NoError(t, err)
	require.Equal(t, model.Fail, r.Verdict)
	require.Contains(t, strings.Join(r.Faults, "\n"), "did not see it")
	require.NoError(t, d.Close())
}

// TestDefaultModelsWrongContracts is the same with the default model on the demo
// video.
func TestDefaultModelsWrongContracts(t *testing.T) {
	var pool frame.Pool
	f := firstFrame(t, &pool, detecttest.Artefact(t, "share", "demo.avi"))
	defer f.Release()
	requireCaught(t, detecttest.DefaultModel(t), []*frame.Frame{f}, map[string]string{
		"": "", "input.colour=bgr": "input.colour=rgb", "input.scale=1": "input.scale=2/255", "params.yx_order=0": "params.yx_order=1",
	})
}

// TestYOLOXWrongContracts is the same with YOLOX-nano on photographs.
func TestYOLOXWrongContracts(t *testing.T) {
	folder := os.Getenv("DETECTD_TEST_DATA")
	if folder == "" {
		t.Skip("DETECTD_TEST_DATA is not set: wrong contracts of YOLOX-nano are not tried")
	}
	data, err := os.ReadFile(filepath.Join(folder, "models", "yolox_nano_416_coco.onnx"))
	require.NoError(t, err)
	files, err := filepath.Glob(filepath.Join(folder, "coco", "train128", "images", "*.jpg"))
	require.NoError(t, err)
	require.Greater(t, len(files), 24)
	var pool frame.Pool
	var frames []*frame.Frame
	for _, path := range files[18:24] {
		f := firstFrame(t, &pool, path)
		defer f.Release()
		frames = append(frames, f)
	}
	requireCaught(t, data, frames, map[string]string{
		"": "", "input.colour=rgb": "input.colour=bgr", "input.scale=1/255": "input.scale=1", "params.decoded=1": "params.decoded=0",
	})
}

// requireCaught opens a model with contracts and wants what they should be named;
// an empty answer is a contract that passes.
func requireCaught(t *testing.T, data []byte, frames []*frame.Frame, cases map[string]string) {
	t.Helper()
	rt := detecttest.Runtime(t)
	for change, want := range cases {
		overrides := map[string]string{}
		if key, value, ok := strings.Cut(change, "="); ok {
			overrides[key] = value
		}
		d, err := model.Open(rt, data, model.Options{Overrides: overrides})
		require.NoError(t, err)
		r, found, err := model.SelfCheck(t.Context(), d, frames)
		require.NoError(t, err)
		require.Len(t, found, len(frames))
		if want == "" {
			require.Equal(t, model.Pass, r.Verdict, r)
			require.Empty(t, r.Faults)
		} else {
			require.Equal(t, model.Fail, r.Verdict, "%s: %v", change, r)
			require.Contains(t, strings.Join(r.Faults, "\n"), want, change)
		}
		require.NoError(t, d.Close())
	}
}

// TestMaxBoxes keeps another number of boxes than the contract's.
func TestMaxBoxes(t *testing.T) {
	var pool frame.Pool
	f := detecttest.Picture(t, &pool, side, side)
	defer f.Release()
	rows := table(20, 6, map[int][]float32{})
	for i := range 20 {
		copy(rows[6*i:], []float32{float32(i * 3), 10, float32(i*3 + 2), 30, 0.9, 0})
	}
	n := flat(picture("images"), "output0", nil, 20, 6)
	n.Outputs[0].Values = rows
	d := open(t, n.Encode(t), model.Options{Overrides: map[string]string{"labels": "a", "box_unit": "pixels", "max_boxes": "5"}})
	for most, want := range map[int]int{0: 5, 3: 3, 12: 12, 100: 20} {
		found, err := d.Detect(t.Context(), []*frame.Frame{f}, []detect.Options{{MaxBoxes: most}})
		require.NoError(t, err)
		require.Len(t, found[0], want)
	}
}
