package model_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"detectd/detect"
	"detectd/detect/detecttest"
	"detectd/detect/model"
	"detectd/detect/onnx"
	"detectd/detect/ort"
	"detectd/pipeline/frame"
)

// flat is a network with one output of zeros.
func flat(inputs []onnx.Value, name string, metadata map[string]string, shape ...int64) detecttest.Network {
	n := int64(1)
	for _, d := range shape {
		n *= d
	}
	return detecttest.Network{
		Inputs: inputs, Metadata: metadata,
		Outputs: []detecttest.Output{{Name: name, Shape: shape, Values: make([]float32, n)}},
	}
}

// named is a network with these class names in its metadata.
func named(n detecttest.Network, names string) detecttest.Network {
	n.Metadata = map[string]string{"names": names}
	return n
}

// TestSinglePicture opens a network that says that its batch is free and has
// written 1 into its graph, as careless exports do.
func TestSinglePicture(t *testing.T) {
	rt := detecttest.Runtime(t)
	for _, unknown := range []bool{false, true} {
		n := flat(picture("images"), "output0", map[string]string{"names": "['a','b']"}, 6, 84)
		n.Outputs[0].Unknown, n.Outputs[0].Single = unknown, true
		d, err := model.Open(rt, n.Encode(t), model.Options{})
		require.NoError(t, err)
		c := d.Contract()
		require.Equal(t, "yolov8", c.Family)
		require.Equal(t, 1, c.Input.Batch)
		require.Equal(t, 1, d.MaxBatch())
		require.NoError(t, d.Close())

		d, err = model.Open(rt, n.Encode(t), model.Options{Contract: &c})
		require.NoError(t, err)
		require.NoError(t, d.Close())
		c.Input.Batch = 0
		_, err = model.Open(rt, n.Encode(t), model.Options{Contract: &c})
		require.ErrorIs(t, err, ort.ErrSinglePicture)
	}
}

func TestAmbiguous(t *testing.T) {
	rt := detecttest.Runtime(t)
	plain := picture("images")
	two := detecttest.Network{Inputs: plain, Outputs: []detecttest.Output{
		{Name: "pred_boxes", Shape: []int64{20, 4}, Values: make([]float32, 80)},
		{Name: "logits", Shape: []int64{20, 5}, Values: make([]float32, 100)},
	}}
	many := detecttest.Network{Inputs: plain, Outputs: []detecttest.Output{
		{Name: "boxes", Shape: []int64{2000, 4}, Values: make([]float32, 8000)},
		{Name: "scores", Shape: []int64{2000, 5}, Values: make([]float32, 10000)},
	}}
	twoScores := flat(plain, "out", nil, 300, 6)
	twoScores.Outputs[0].Values = table(300, 6, map[int][]float32{0: {0.5, 0.5, 0.2, 0.2, 0.6, 0.1}})
	for name, c := range map[string]struct {
		network   detecttest.Network
		options   model.Options
		ambiguous bool
		reasons   []string
	}{
		"two families":      {flat(plain, "out", nil, 84, 9), model.Options{}, true, []string{"--family yolox or --family yolov8"}},
		"names decide":      {flat(plain, "out", map[string]string{"names": "['a','b','c','d','e']"}, 84, 9), model.Options{}, false, nil},
		"no labels":         {flat(plain, "out", nil, 300, 6), model.Options{}, true, []string{"end2end", "--contract labels=@FILE"}},
		"few rows":          {flat(plain, "out", nil, 300, 9), model.Options{}, true, []string{"rtdetrtable", "--contract labels=@FILE"}},
		"two scores":        {twoScores, model.Options{Overrides: map[string]string{"labels": "a,b"}}, true, []string{"--family rtdetrtable or --family end2end"}},
		"two scores, told":  {twoScores, model.Options{Family: "rtdetrtable", Overrides: map[string]string{"labels": "a,b"}}, false, nil},
		"unknown scaling":   {two, model.Options{}, true, []string{"rfdetr", "--contract input.mean=0.485,0.456,0.406", "activation=sigmoid"}},
		"told the scaling":  {two, model.Options{Overrides: map[string]string{"input.mean": "0", "input.std": "1", "activation": "sigmoid"}}, false, nil},
		"told the family":   {two, model.Options{Family: "rfdetr"}, false, nil},
		"no anchors":        {many, model.Options{}, true, []string{"ssdheads", "--contract anchors=@FILE.json"}},
		"nothing fits":      {flat(plain, "out", nil, 1000), model.Options{}, true, []string{`"out" float32[?,1000]`, "ssd|ssdheads|yolox|", "--contract KEY=VALUE"}},
		"odd names":         {flat(plain, "out", map[string]string{"names": "['a']"}, 84, 9), model.Options{}, true, []string{"there are 1 labels", "as the family yolox it has 4 classes", "--contract labels=@FILE"}},
		"too many names":    {flat(plain, "out", map[string]string{"names": "['a','b','c']"}, 2, 84), model.Options{Family: "yolov8"}, false, []string{"score columns for 3 classes"}},
		"names of heads":    {named(two, "['a']"), model.Options{Overrides: map[string]string{"input.mean": "0", "input.std": "1", "activation": "sigmoid"}}, true, []string{"there are 1 labels", "as the family rfdetr it has 5 classes"}},
		"grey pictures":     {flat([]onnx.Value{detecttest.PictureInput("images", "", 1, 64, 64)}, "out", nil, 84, 9), model.Options{}, false, []string{"one input for colour pictures", `"images" float32[?,1,64,64]`}},
		"grey, with family": {flat([]onnx.Value{detecttest.PictureInput("images", "", 1, 64, 64)}, "out", nil, 84, 9), model.Options{Family: "yolov8"}, false, []string{"one input for colour pictures"}},
		"segmentation":      {flat(plain, "out", map[string]string{"task": "segment"}, 116, 84), model.Options{}, false, []string{`task is "segment"`}},
		"unknown family":    {two, model.Options{Family: "yolo9000"}, false, []string{`unknown family "yolo9000"`, "nanodet"}},
		"wrong family":      {two, model.Options{Family: "yolov8", Overrides: map[string]string{"labels": "a"}}, false, []string{"score columns for 1 classes"}},
		"labels missing":    {flat(plain, "out", nil, 300, 6), model.Options{Family: "end2end"}, true, []string{"labels=@FILE"}},
		"bad override":      {two, model.Options{Overrides: map[string]string{"input.size": "3"}}, false, []string{"no such key", "input.width"}},
		"fewer labels":      {flat(plain, "out", nil, 84, 9), model.Options{Family: "yolov8", Overrides: map[string]string{"labels": "a,b"}}, false, []string{"5 score columns for 2 classes"}},
		"more labels":       {flat(plain, "out", nil, 84, 9), model.Options{Family: "yolox", Overrides: map[string]string{"labels": "a,b,c,d,e"}}, false, []string{"4 score columns for 5 classes"}},
	} {
		d, err := model.Open(rt, c.network.Encode(t), c.options)
		if err == nil {
			require.NoError(t, d.Close())
			require.Empty(t, c.reasons, name)
			continue
		}
		require.ErrorIs(t, err, detect.ErrNotDetector, name)
		require.Equal(t, c.ambiguous, errors.Is(err, detect.ErrAmbiguous), "%s: %v", name, err)
		require.NotEmpty(t, c.reasons, "%s: %v", name, err)
		for _, reason := range c.reasons {
			require.ErrorContains(t, err, reason, name)
		}
	}
}

// TestFreeSize opens a network whose file tells neither its input's size nor its
// outputs' shapes.
func TestFreeSize(t *testing.T) {
	rt := detecttest.Runtime(t)
	dims := []onnx.Dim{{Symbol: "batch"}, {Size: 3}, {Symbol: "height"}, {Symbol: "width"}}
	build := func(metadata map[string]string, side int64) []byte {
		cells := side/8*side/8 + side/16*side/16 + side/32*side/32
		n := flat([]onnx.Value{{Name: "images", Dims: dims}}, "output0", metadata, 6, cells)
		n.Outputs[0].Values[int64(len(n.Outputs[0].Values))-1] = 0.5
		n.Outputs[0].Values[0] = 50
		n.Outputs[0].Unknown = true
		return n.Encode(t)
	}
	for name, c := range map[string]struct {
		metadata, overrides map[string]string
		built, want         int64
		reason              string
	}{
		"usual":       {map[string]string{"names": "['a','b']"}, nil, 640, 640, ""},
		"metadata":    {map[string]string{"names": "['a','b']", "imgsz": "[320, 320]", "stride": "32"}, nil, 320, 320, ""},
		"told":        {map[string]string{"names": "['a','b']"}, map[string]string{"input.width": "96", "input.height": "96"}, 96, 96, ""},
		"no multiple": {map[string]string{"names": "['a','b']"}, map[string]string{"input.width": "100"}, 96, 0, "no multiple of the stride 32"},
	} {
		o := model.Options{Overrides: c.overrides}
		if c.reason != "" {
			o.Family = "yolov8"
		}
		d, err := model.Open(rt, build(c.metadata, c.built), o)
		if c.reason != "" {
			require.ErrorContains(t, err, c.reason, name)
			continue
		}
		require.NoError(t, err, name)
		got := d.Contract()
		require.Equal(t, "yolov8", got.Family, name)
		require.Equal(t, []int64{c.want, c.want}, []int64{int64(got.Input.Width), int64(got.Input.Height)}, name)
		require.Equal(t, []string{"a", "b"}, got.Labels)
		require.NoError(t, d.Close())

		// The stored contract opens it again.
		d, err = model.Open(rt, build(c.metadata, c.built), model.Options{Contract: &got})
		require.NoError(t, err, name)
		require.Equal(t, got, d.Contract())
		require.NoError(t, d.Close())
	}
}

func TestFamilyOverridesFile(t *testing.T) {
	rt := detecttest.Runtime(t)
	_, err := model.Open(rt, detecttest.Bright(t), model.Options{Family: "nanodet"})
	require.ErrorIs(t, err, detect.ErrNotDetector)
	d, err := model.Open(rt, detecttest.Bright(t), model.Options{
		Family: "yolox", Overrides: map[string]string{"labels": "tall,wide", "min_score": "0.5", "input.pad": "0"},
	})
	require.NoError(t, err)
	require.Equal(t, []string{"tall", "wide"}, d.Contract().Labels)
	require.InDelta(t, 0.5, d.Contract().MinScore, 1e-6)
	require.NoError(t, d.Close())
}

func TestBadModels(t *testing.T) {
	rt := detecttest.Runtime(t)
	_, err := model.Open(rt, detecttest.Endless(t), model.Options{Session: ort.Options{Trial: 200 * time.Millisecond}})
	require.ErrorIs(t, err, ort.ErrSlow)
	require.ErrorIs(t, err, detect.ErrNotDetector)
	require.ErrorContains(t, err, "stopped after 200ms")

	// More rows for a brighter picture.
	n := flat(picture("images"), "output0", nil, 300, 6)
	_, err = model.Open(rt, growing(t), model.Options{Overrides: map[string]string{"labels": "a"}})
	require.ErrorIs(t, err, detect.ErrNotDetector)
	require.ErrorContains(t, err, "self check")

	for i := range n.Outputs[0].Values {
		n.Outputs[0].Gain = append(n.Outputs[0].Gain, 1e38)
		n.Outputs[0].Values[i] = 3e38
	}
	_, err = model.Open(rt, n.Encode(t), model.Options{Overrides: map[string]string{"labels": "a"}})
	require.ErrorIs(t, err, ort.ErrNotFinite)

	n = flat(append(picture("images"), onnx.Value{Name: "temperature", Dims: onnx.BatchDims(2)}), "output0", nil, 300, 6)
	_, err = model.Open(rt, n.Encode(t), model.Options{Family: "end2end", Overrides: map[string]string{"labels": "a"}})
	require.ErrorContains(t, err, `"temperature" float32[?,2]`)
	d, err := model.Open(rt, n.Encode(t), model.Options{Family: "end2end", Overrides: map[string]string{"labels": "a", "constants.temperature": "1,2"}})
	require.NoError(t, err)
	require.NoError(t, d.Close())
}

// growing is a network whose output has more rows when the picture is not black.
func growing(t *testing.T) []byte {
	b := &onnx.Builder{
		Name:    "growing",
		Inputs:  []onnx.Value{{Name: "images", Dims: onnx.Dims(1, 3, side, side)}},
		Outputs: []onnx.Value{{Name: "output0", Dims: []onnx.Dim{{Size: 1}, {Symbol: "rows"}, {Size: 6}}}},
		Tensors: []onnx.Tensor{
			{Name: "ten", Floats: []float32{10}},
			{Name: "shape", Dims: []int64{3}, Ints: []int64{1, 5, 6}},
			{Name: "one", Dims: []int64{1}, Ints: []int64{1}},
			{Name: "zero", Floats: []float32{0}},
			{Name: "flat", Dims: []int64{1}, Ints: []int64{-1}},
		},
	}
	node := func(kind, out string, attrs map[string]any, in ...string) {
		b.Nodes = append(b.Nodes, onnx.Node{Op: kind, Name: out, Inputs: in, Outputs: []string{out}, Attrs: attrs})
	}
	node("ReduceMean", "mean", map[string]any{"keepdims": int64(0)}, "images")
	node("Mul", "more", nil, "mean", "ten")
	node("Cast", "extra", map[string]any{"to": int64(7)}, "more")
	node("Reshape", "extras", nil, "extra", "flat")
	node("Add", "rows", nil, "extras", "one")
	b.Tensors = append(b.Tensors, onnx.Tensor{Name: "before", Dims: []int64{1}, Ints: []int64{1}}, onnx.Tensor{Name: "after", Dims: []int64{1}, Ints: []int64{6}})
	node("Concat", "sizes", map[string]any{"axis": int64(0)}, "before", "rows", "after")
	node("Expand", "output0", nil, "zero", "sizes")
	var buf strings.Builder
	_, err := b.WriteTo(&buf)
	require.NoError(t, err)
	return []byte(buf.String())
}

func TestSelfCheck(t *testing.T) {
	var pool frame.Pool
	a := detecttest.Picture(t, &pool, 640, 480, detecttest.Rect{X: 100, Y: 50, W: 100, H: 300})
	b := detecttest.Picture(t, &pool, 640, 480)
	defer a.Release()
	defer b.Release()
	d := open(t, detecttest.Bright(t), model.Options{})
	r, found, err := model.SelfCheck(t.Context(), d, []*frame.Frame{a, b})
	require.NoError(t, err)
	require.Len(t, found, 2)
	require.Equal(t, 2, r.Pictures)
	require.Equal(t, map[string]int{"person": 1}, r.Labels)
	require.InDelta(t, 0.9, r.Best, 1e-5)
	require.Empty(t, r.Doubts)
	require.Empty(t, r.Faults)

	r, _, err = model.SelfCheck(t.Context(), d, []*frame.Frame{b})
	require.NoError(t, err)
	require.Len(t, r.Doubts, 1)
	require.Contains(t, r.Doubts[0], "nothing was found")

	_, _, err = model.SelfCheck(t.Context(), d, nil)
	require.Error(t, err)
}

// TestDoubts opens models with contracts that are wrong in one point.
func TestDoubts(t *testing.T) {
	var pool frame.Pool
	f := detecttest.Picture(t, &pool, side, side)
	defer f.Release()
	rows := table(20, 6, map[int][]float32{})
	for i := range 20 {
		copy(rows[6*i:], []float32{0.1, 0.1, 0.4, 0.5, 3, float32(i)})
	}
	n := flat(picture("images"), "output0", nil, 20, 6)
	n.Outputs[0].Values = rows
	labels := strings.Join(strings.Split(strings.Repeat("x", 20), ""), ",")
	d := open(t, n.Encode(t), model.Options{Overrides: map[string]string{
		"labels": labels, "box_unit": "pixels", "max_boxes": "20",
	}})
	r, _, err := model.SelfCheck(t.Context(), d, []*frame.Frame{f, f})
	require.NoError(t, err)
	text := strings.Join(append(r.Faults, r.Doubts...), "\n")
	require.Equal(t, model.Fail, r.Verdict)
	for _, doubt := range []string{"same was found", "as many boxes as max_boxes", "smaller than a hundredth", "most scores are 1"} {
		require.Contains(t, text, doubt)
	}
}

func TestOverride(t *testing.T) {
	base := detecttest.BrightContract()
	base.Constants = map[string][]float64{"orig_target_sizes": {detecttest.Side, detecttest.Side}}
	before := detecttest.BrightContract()
	got, err := model.Override(base, map[string]string{
		"input.scale": "1/255", "input.mean": "0.485, 0.456,0.406", "input.std": "1", "input.layout": "nhwc",
		"input.width": "64", "input.pad": "0", "background": "true", "labels": "{0: 'a', 1: \"b\"}",
		"outputs.boxes.0": "x.y", "params.scale_xy": "10", "nms_iou": "0.5", "label_ids": "0,-1", "box": "cxcywh",
		"activation": "none", "anchors": `[{"cols":1,"rows":2,"sizes":[[0.5,0.5]]}]`, "max_boxes": "7",
	})
	require.NoError(t, err)
	require.InDelta(t, 1.0/255, got.Input.Scale, 1e-9)
	require.Equal(t, [3]float32{0.485, 0.456, 0.406}, got.Input.Mean)
	require.Equal(t, [3]float32{1, 1, 1}, got.Input.Std)
	require.Equal(t, detect.NHWC, got.Input.Layout)
	require.Equal(t, []float64{64, detecttest.Side}, got.Constants["orig_target_sizes"]) // follows
	require.Equal(t, []string{"a", "b"}, got.Labels)
	require.Equal(t, []int{0, -1}, got.LabelIDs)
	require.Equal(t, "x.y", got.Outputs["boxes.0"])
	require.Equal(t, map[string]float64{"scale_xy": 10}, got.Params)
	require.Equal(t, 7, got.MaxBoxes)
	require.Equal(t, before.Labels, base.Labels) // a copy was changed
	require.Equal(t, before.Outputs, base.Outputs)

	for _, bad := range []string{
		"x=1", "input=1", "outputs=a", "input.scale=one", "input.scale=1/0", "input.mean=1,2", "input.layout=nwhc", "background=maybe",
		"labels=a,,b", "labels={0: 1}", "label_ids=a", "max_boxes=1.5", "input.pad=300", "anchors=here", "anchors=[{\"x\":1}]",
		"family=yolox", "params.x=NaN", "input.scale.x=1", "activation=tanh", "labels=", "=1", "nothing",
	} {
		_, err := model.ParseOverrides([]string{bad})
		require.Error(t, err, bad)
	}
	_, err = model.ParseOverrides([]string{"max_boxes=1", "max_boxes=2"})
	require.ErrorContains(t, err, "twice")
	_, err = model.ParseOverrides([]string{"input.sise=1"})
	require.ErrorContains(t, err, "input.stride")
}

func TestLabelFiles(t *testing.T) {
	dir := t.TempDir()
	for name, c := range map[string]struct {
		text string
		want []string
	}{
		"lines":   {"\ufeffperson\r\ntraffic light, red\r\n", []string{"person", "traffic light, red"}},
		"one":     {"person, standing", []string{"person, standing"}},
		"json":    {`["a", "b"]` + "\n", []string{"a", "b"}},
		"literal": {"{0: 'a',\n 1: 'b'}", []string{"a", "b"}},
	} {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte(c.text), 0o600))
		overrides, err := model.ParseOverrides([]string{"labels=@" + path})
		require.NoError(t, err, name)
		got, err := model.Override(detect.Contract{}, overrides)
		require.NoError(t, err, name)
		require.Equal(t, c.want, got.Labels, name)
	}
	require.NoError(t, os.WriteFile(filepath.Join(dir, "gap"), []byte("a\n\nb\n"), 0o600))
	for _, bad := range []string{"gap", "missing", ""} {
		_, err := model.ParseOverrides([]string{"labels=@" + filepath.Join(dir, bad)})
		require.ErrorContains(t, err, `contract key "labels"`)
	}
	got, err := model.Override(detect.Contract{}, map[string]string{"labels": "coco"})
	require.NoError(t, err)
	require.Equal(t, detect.COCOLabels(), got.Labels)
}

// FuzzOverride looks for contracts that make it fall over.
func FuzzOverride(f *testing.F) {
	f.Add("input.mean", "1,2,3")
	f.Add("anchors", `[{"cols":1}]`)
	f.Add("outputs.boxes.0", "x")
	f.Add("labels", "{0: 'a'}")
	f.Fuzz(func(t *testing.T, key, value string) {
		if _, err := model.Override(detecttest.BrightContract(), map[string]string{key: value}); err != nil {
			require.NotEmpty(t, err.Error())
		}
	})
}
