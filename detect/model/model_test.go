package model_test

import (
	"context"
	"encoding/json"
	"os"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"detectd/detect"
	"detectd/detect/detecttest"
	"detectd/detect/model"
	"detectd/detect/onnx"
	"detectd/detect/ort"
	"detectd/pipeline/frame"
)

func open(t *testing.T, data []byte, o model.Options) detect.Detector {
	t.Helper()
	d, err := model.Open(detecttest.Runtime(t), data, o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, d.Close()) })
	return d
}

func TestFamiliesAreDistinct(t *testing.T) {
	seen := map[string]bool{}
	for _, f := range model.Families() {
		require.NotEmpty(t, f.Outputs, f.Name)
		require.NotNil(t, f.New, f.Name)
		require.False(t, seen[f.Name], f.Name)
		seen[f.Name] = true
	}
}

func TestDetect(t *testing.T) {
	d := open(t, detecttest.Bright(t), model.Options{MaxBatch: 2})
	require.Equal(t, 2, d.MaxBatch())
	require.Equal(t, detecttest.BrightContract(), d.Contract())
	var pool frame.Pool
	frames := []*frame.Frame{
		detecttest.Picture(t, &pool, 640, 480, detecttest.Rect{X: 100, Y: 50, W: 100, H: 300}),
		detecttest.Picture(t, &pool, 640, 480),
		detecttest.Picture(t, &pool, 320, 640, detecttest.Rect{X: 200, Y: 500, W: 200, H: 60}), // over the edge
	}
	got, err := d.Detect(t.Context(), frames, make([]detect.Options, 3)) // more than MaxBatch
	require.NoError(t, err)
	require.Len(t, got, 3)
	near := func(label string, box detect.Box, list []detect.Detection) {
		t.Helper()
		require.Len(t, list, 1)
		require.Equal(t, label, list[0].Label)
		require.InDelta(t, 0.9, list[0].Score, 1e-5)
		b := list[0].Box
		require.InDeltaSlice(t, []float32{box.X, box.Y, box.W, box.H}, []float32{b.X, b.Y, b.W, b.H}, 6)
	}
	near("person", detect.Box{X: 100, Y: 50, W: 100, H: 300}, got[0])
	require.NotNil(t, got[1])
	require.Empty(t, got[1])
	near("car", detect.Box{X: 200, Y: 500, W: 120, H: 60}, got[2])
	require.Equal(t, 1, got[2][0].ClassID)

	got, err = d.Detect(t.Context(), frames, []detect.Options{
		{MinScore: 0.95}, {}, {Classes: map[string]bool{"person": true}},
	})
	require.NoError(t, err)
	require.Empty(t, got[0])
	require.Empty(t, got[2])

	got, err = d.Detect(t.Context(), frames, []detect.Options{
		{MinScore: 0.95, MinScores: map[string]float32{"person": 0.5}}, {}, {MinScores: map[string]float32{"car": 0.95}},
	})
	require.NoError(t, err)
	require.Len(t, got[0], 1, "the limit of its label is lower")
	require.Empty(t, got[2], "the limit of its label is higher")

	_, err = d.Detect(t.Context(), frames, nil)
	require.Error(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = d.Detect(ctx, frames[:1], make([]detect.Options, 1))
	require.ErrorIs(t, err, context.Canceled)
	for _, f := range frames {
		f.Release()
	}
	require.Zero(t, pool.Live())
}

// TestCloseWaits closes while many calls run.
func TestCloseWaits(t *testing.T) {
	d := open(t, detecttest.Bright(t), model.Options{})
	var pool frame.Pool
	var wg, started sync.WaitGroup
	for range 4 {
		started.Add(1)
		wg.Go(func() {
			f := detecttest.Picture(t, &pool, 64, 64, detecttest.Rect{X: 8, Y: 8, W: 8, H: 16})
			defer f.Release()
			for n := 0; ; n++ {
				got, err := d.Detect(context.Background(), []*frame.Frame{f}, make([]detect.Options, 1))
				if n == 0 {
					started.Done()
				}
				if err != nil {
					if err != model.ErrClosed { //nolint:errorlint // exactly this one
						t.Error(err)
					}
					return
				}
				if len(got[0]) != 1 {
					t.Errorf("got %v", got)
				}
			}
		})
	}
	started.Wait()
	require.NoError(t, d.Close())
	wg.Wait()
	require.NoError(t, d.Close())
}

func TestOpenRefuses(t *testing.T) {
	rt := detecttest.Runtime(t)
	with := func(edit func(*detect.Contract)) *detect.Contract {
		c := detecttest.BrightContract()
		edit(&c)
		return &c
	}
	bright := detecttest.Bright(t)
	for name, c := range map[string]struct {
		data     []byte
		contract *detect.Contract
		is       error
		reason   string
	}{
		"text":         {[]byte("hello"), nil, detect.ErrNotONNX, "damaged"},
		"external":     {detecttest.External(t), nil, detect.ErrExternalData, "weights.bin"},
		"no detector":  {detecttest.Identity(t), nil, detect.ErrNotDetector, `inputs "x" float32[?,3,8,8]`},
		"NaN":          {detecttest.NaN(t), nil, detect.ErrNotDetector, "not finite"},
		"bad metadata": {onnx.WithMetadata(bright, detect.MetadataKey, "{"), nil, detect.ErrNotDetector, "damaged"},
		"family":       {bright, with(func(c *detect.Contract) { c.Family = "x" }), detect.ErrNotDetector, `unknown family "x"`},
		"input":        {bright, with(func(c *detect.Contract) { c.Input.Name = "x" }), detect.ErrNotDetector, `one input "x"`},
		"size":         {bright, with(func(c *detect.Contract) { c.Input.Width = 64 }), detect.ErrNotDetector, "64x128"},
		"layout":       {bright, with(func(c *detect.Contract) { c.Input.Layout = detect.NHWC }), detect.ErrNotDetector, "nhwc"},
		"colour":       {bright, with(func(c *detect.Contract) { c.Input.Colour = "x" }), detect.ErrNotDetector, "colour"},
		"batch":        {bright, with(func(c *detect.Contract) { c.Input.Batch = -1 }), detect.ErrNotDetector, "batch"},
		"output":       {bright, with(func(c *detect.Contract) { c.Outputs = nil }), detect.ErrNotDetector, `no output for "output"`},
		"output name":  {bright, with(func(c *detect.Contract) { c.Outputs["output"] = "x" }), detect.ErrNotDetector, `no numeric output "x"`},
		"no labels":    {bright, with(func(c *detect.Contract) { c.Labels = nil }), detect.ErrNotDetector, "no labels"},
		"labels":       {bright, with(func(c *detect.Contract) { c.Labels = c.Labels[:1] }), detect.ErrNotDetector, "2 score columns for 1"},
		"more labels":  {bright, with(func(c *detect.Contract) { c.Labels = append(slices.Clone(c.Labels), "third") }), detect.ErrNotDetector, "2 score columns for 3"},
		"label ids":    {bright, with(func(c *detect.Contract) { c.LabelIDs = []int{0, 5} }), detect.ErrNotDetector, "label id 5"},
		"score":        {bright, with(func(c *detect.Contract) { c.MinScore = 2 }), detect.ErrNotDetector, "min_score"},
		"wrong family": {bright, with(func(c *detect.Contract) { c.Family = "ssd" }), detect.ErrNotDetector, `"boxes"`},
	} {
		_, err := model.Open(rt, c.data, model.Options{Contract: c.contract})
		require.ErrorIs(t, err, c.is, name)
		require.ErrorContains(t, err, c.reason, name)
	}
	for _, data := range [][]byte{[]byte("x"), detecttest.External(t), detecttest.Identity(t)} {
		_, err := model.Sniff(data)
		require.Error(t, err)
	}
}

// TestContractSurvivesStorage opens a model with its contract from JSON, as the
// registry keeps it, on a file without metadata.
func TestContractSurvivesStorage(t *testing.T) {
	c, err := model.Sniff(detecttest.DefaultModel(t))
	require.NoError(t, err)
	text, err := json.Marshal(c)
	require.NoError(t, err)
	var back detect.Contract
	require.NoError(t, json.Unmarshal(text, &back))
	require.Equal(t, c, back)
	plain := onnx.WithMetadata(detecttest.DefaultModel(t), detect.MetadataKey, "")
	d := open(t, plain, model.Options{Contract: &back})
	require.Equal(t, c, d.Contract())
}

// TestLabelsOfColumns leaves the second of two columns without a label.
func TestLabelsOfColumns(t *testing.T) {
	c := detecttest.BrightContract()
	c.Labels, c.LabelIDs = []string{"upright"}, []int{0, -1}
	d := open(t, detecttest.Bright(t), model.Options{Contract: &c})
	var pool frame.Pool
	tall := detecttest.Picture(t, &pool, 128, 128, detecttest.Rect{X: 10, Y: 10, W: 20, H: 60})
	wide := detecttest.Picture(t, &pool, 128, 128, detecttest.Rect{X: 10, Y: 10, W: 60, H: 20})
	defer tall.Release()
	defer wide.Release()
	got, err := d.Detect(t.Context(), []*frame.Frame{tall, wide}, make([]detect.Options, 2))
	require.NoError(t, err)
	require.Equal(t, "upright", got[0][0].Label)
	require.Empty(t, got[1])
}

// TestYOLOXNano runs the published model, which has no contract in it.
func TestYOLOXNano(t *testing.T) {
	data, err := os.ReadFile("../../../shared/models/yolox_nano_416_coco.onnx")
	if os.IsNotExist(err) {
		t.Skip("needs ../shared/models/yolox_nano_416_coco.onnx")
	}
	require.NoError(t, err)
	d := open(t, data, model.Options{})
	require.Equal(t, 1, d.MaxBatch())
	require.Empty(t, d.Contract().Params) // boxes in grid units
	require.Equal(t, detect.COCOLabels(), d.Contract().Labels)
	var pool frame.Pool
	f := detecttest.Picture(t, &pool, 320, 240)
	defer f.Release()
	got, err := d.Detect(t.Context(), []*frame.Frame{f, f, f}, make([]detect.Options, 3))
	require.NoError(t, err)
	require.Len(t, got, 3)
}

func BenchmarkDetect(b *testing.B) {
	d, err := model.Open(detecttest.Runtime(b), detecttest.DefaultModel(b), model.Options{})
	require.NoError(b, err)
	defer func() { require.NoError(b, d.Close()) }()
	var pool frame.Pool
	f := detecttest.Picture(b, &pool, 1920, 1080, detecttest.Rect{X: 100, Y: 100, W: 300, H: 700})
	defer f.Release()
	frames, opts := []*frame.Frame{f}, make([]detect.Options, 1)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := d.Detect(b.Context(), frames, opts); err != nil {
			b.Fatal(err)
		}
	}
}

// TestProviderAtFault has a provider that does not start not be taken for a bad file.
func TestProviderAtFault(t *testing.T) {
	_, err := model.Open(detecttest.Runtime(t), detecttest.Bright(t), model.Options{Session: ort.Options{Provider: ort.CUDA}})
	require.ErrorIs(t, err, ort.ErrNotBuiltIn)
	require.NotErrorIs(t, err, detect.ErrNotDetector)
	require.ErrorContains(t, err, "start cuda")
}
