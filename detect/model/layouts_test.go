package model_test

import (
	"maps"
	"math"
	"slices"
	"testing"

	"github.com/asticode/go-astiav"
	"github.com/stretchr/testify/require"

	"detectd/detect"
	"detectd/detect/detecttest"
	"detectd/detect/model"
	"detectd/detect/onnx"
	"detectd/pipeline/frame"
)

// table makes the numbers of an output of rows by columns.
func table(rows, columns int, set map[int][]float32) []float32 {
	list := make([]float32, rows*columns)
	for row, values := range set {
		copy(list[row*columns:], values)
	}
	return list
}

// sideways turns a table.
func sideways(list []float32, columns int) []float32 {
	rows := len(list) / columns
	out := make([]float32, len(list))
	for i, v := range list {
		out[i%columns*rows+i/columns] = v
	}
	return out
}

// scores makes n columns with one of them set.
func scores(n, class int, score, rest float32, before ...float32) []float32 {
	list := slices.Repeat([]float32{rest}, n)
	list[class] = score
	return append(slices.Clone(before), list...)
}

const side = 64 // of the inputs of the test networks

func picture(name string) []onnx.Value {
	return []onnx.Value{detecttest.PictureInput(name, "", 3, side, side)}
}

// logit is the inverse of the sigmoid.
func logit(p float64) float32 { return float32(math.Log(p / (1 - p))) }

// layout is a network with one object, a "dog" (16) with 0.8 from 16,8 to 48,40 in
// an input of 64x64, unless it says otherwise.
type layout struct {
	family    string
	network   detecttest.Network
	overrides map[string]string
}

func layouts() map[string]layout {
	const cells, dog = 8*8 + 4*4 + 2*2, 16
	corners := []float32{16, 8, 48, 40}
	centre := []float32{32, 24, 32, 32}
	out := func(name string, values []float32, shape ...int64) detecttest.Output {
		return detecttest.Output{Name: name, Shape: shape, Values: values}
	}
	one := func(name string, o ...detecttest.Output) detecttest.Network {
		return detecttest.Network{Inputs: picture(name), Outputs: o}
	}
	named := func(n detecttest.Network, metadata map[string]string) detecttest.Network {
		n.Metadata = metadata
		return n
	}
	far := func(rows, columns int) map[int][]float32 { // in pixels there are large numbers
		return map[int][]float32{rows - 1: append([]float32{60, 60, 8, 8}, make([]float32, columns-4)...)}
	}
	with := func(set map[int][]float32, row int, values []float32) map[int][]float32 {
		set[row] = values
		return set
	}
	v5 := table(3*cells, 85, with(far(3*cells, 85), 7, scores(80, dog, 0.8, 0, append(slices.Clone(centre), 1)...)))
	v8 := sideways(table(cells, 84, with(far(cells, 84), 7, scores(80, dog, 0.8, 0.1, centre...))), 84)
	v8rows := table(cells, 7, with(far(cells, 7), 7, scores(3, 1, 0.8, 0.1, centre...)))
	v8raw := sideways(table(cells, 7, map[int][]float32{3: {0.5, 0.375, 0.5, 0.5, -9, logit(0.8), -9}, 4: {0, 0, 0, 0, -9, -9, -9}}), 7)
	ends := table(300, 6, map[int][]float32{2: append(slices.Clone(corners), 0.8, 1), 3: {0, 0, 9, 9, 0.9, 77}})
	threes := map[string]string{"names": "{0: 'cat', 1: 'dog', 2: 'bird'}", "task": "detect", "end2end": "True"}
	madeBy := map[string]string{"names": "{0: 'cat', 1: 'dog', 2: 'bird'}", "task": "detect", "stride": "32", "imgsz": "[64, 64]", "head": "RTDETRDecoder"}
	madeByTwo := map[string]string{"names": "{0: 'cat', 1: 'dog'}", "task": "detect", "description": "Ultralytics rtdetr-l model trained on yard.yaml"}
	unitRows := func(rows, columns, class int) []float32 {
		return table(rows, columns, map[int][]float32{
			2: scores(columns-4, class, 0.8, 0.01, 0.5, 0.375, 0.5, 0.5), 9: scores(columns-4, 0, 0.05, 0.02, 0.9, 0.9, 0.1, 0.1),
		})
	}
	chosen := func(metadata map[string]string) detecttest.Network {
		return detecttest.Network{
			Inputs: append(picture("images"), onnx.Value{Name: "orig_target_sizes", Type: "int64", Dims: onnx.BatchDims(2)}),
			Outputs: []detecttest.Output{
				{Name: "labels", Type: "int64", Shape: []int64{5}, Values: []float32{3, dog, 0, 0, 0}},
				{Name: "boxes", Shape: []int64{5, 4}, Values: table(5, 4, map[int][]float32{1: {.25, .125, .75, .625}}), Sizes: "orig_target_sizes"},
				{Name: "scores", Shape: []int64{5}, Values: []float32{0.1, 0.8, 0, 0, 0}},
			},
			Metadata: metadata,
		}
	}
	queries := func(columns, class int) []detecttest.Output {
		none := slices.Repeat([]float32{-9}, 20*columns)
		none[2*columns+class] = logit(0.8)
		return []detecttest.Output{
			out("dets", table(20, 4, map[int][]float32{2: {0.5, 0.375, 0.5, 0.5}}), 20, 4),
			out("labels", none, 20, int64(columns)),
		}
	}
	return map[string]layout{
		"yolov5":                 {family: "yolov5", network: one("images", out("output0", v5, 3*cells, 85))},
		"yolov8":                 {family: "yolov8", network: one("images", out("output0", v8, 84, cells))},
		"yolov8 rows":            {family: "yolov8", network: named(one("images", out("output0", v8rows, cells, 7)), threes)},
		"yolov8 raw in 0..1":     {family: "yolov8", network: named(one("images", out("output0", v8raw, 7, cells)), threes)},
		"end2end with metadata":  {family: "end2end", network: named(one("images", out("output0", ends, 300, 6)), threes)},
		"end2end told labels":    {family: "end2end", network: one("images", out("output0", ends, 300, 6)), overrides: map[string]string{"labels": "cat,dog"}},
		"end2end in 0..1":        {family: "end2end", network: one("images", out("x", table(10, 6, map[int][]float32{0: {.25, .125, .75, .625, .8, 2}}), 10, 6)), overrides: map[string]string{"labels": "cat,dog", "label_offset": "1"}},
		"rtdetrtable":            {family: "rtdetrtable", network: one("images", out("output0", unitRows(300, 84, dog), 300, 84))},
		"rtdetrtable, three":     {family: "rtdetrtable", network: named(one("images", out("output0", unitRows(300, 7, 1), 300, 7)), madeBy)},
		"rtdetrtable, two":       {family: "rtdetrtable", network: named(one("images", out("output0", unitRows(300, 6, 1), 300, 6)), madeByTwo)},
		"rtdetr":                 {family: "rtdetr", network: chosen(nil), overrides: map[string]string{"labels": "coco"}},
		"rtdetr with names":      {family: "rtdetr", network: chosen(map[string]string{"names": "['dog','b','c','d']"}), overrides: map[string]string{"label_offset": "16"}},
		"rfdetr of COCO":         {family: "rfdetr", network: one("input", queries(91, 18)...)},
		"rfdetr, a spare column": {family: "rfdetr", network: one("input", queries(4, 1)...), overrides: map[string]string{"labels": "cat,dog,bird"}},
		"ssdheads":               ssdHeads(),
		"ssdheads in levels":     ssdLevels(),
		"nanodet":                nanoDet(),
		"yolox":                  {family: "yolox", network: named(one("images", out("output", table(cells, 8, map[int][]float32{6: scores(3, 1, 0.8, 0, -2, 3, logit2(4), logit2(4), 1)}), cells, 8)), threes)},
		"yolox decoded":          {family: "yolox", network: named(one("images", out("output", table(cells, 8, with(far(cells, 8), 6, scores(3, 1, 0.8, 0, append(slices.Clone(centre), 1)...))), cells, 8)), threes)},
	}
}

// logit2 is the code of a side of n cells.
func logit2(n float64) float32 { return float32(math.Log(n)) }

// ssdHeads is torchvision's raw heads for an input of 320x320, with the object at
// the first anchor of the grid's 10th cell of its 1st row: around 168,8 with 64x64.
func ssdHeads() layout {
	const rows, row = 3234, 10 * 6
	logits := make([]float32, rows*3)
	for i := range rows {
		logits[3*i] = 20
	}
	p := math.Log(8) // e^p/(e^p + 2) = 0.8
	copy(logits[3*row:], []float32{0, 0, float32(p)})
	boxes := table(rows, 4, map[int][]float32{row: {10 * -0.125, 10 * 0.25, float32(5 * math.Log(0.5)), float32(5 * math.Log(0.5))}})
	return layout{
		family: "ssdheads",
		network: detecttest.Network{
			Inputs: []onnx.Value{detecttest.PictureInput("images", "", 3, 320, 320)},
			Outputs: []detecttest.Output{
				{Name: "scores", Shape: []int64{rows, 3}, Values: logits}, {Name: "deltas", Shape: []int64{rows, 4}, Values: boxes},
			},
			Metadata: map[string]string{"names": `["cat", "dog"]`},
		},
	}
}

// ssdLevels has two grids, one as rows and one as a convolution leaves it.
func ssdLevels() layout {
	conv := make([]float32, 2*3*4) // two sizes of three columns in 2x2 cells
	for i := range conv {
		conv[i] = -9
	}
	conv[(1*3+2)*4+1] = logit(0.8) // size 1, dog, cell 1,0
	o := func(name string, shape []int64, values []float32) detecttest.Output {
		return detecttest.Output{Name: name, Shape: shape, Values: values}
	}
	return layout{
		family: "ssdheads",
		network: detecttest.Network{
			Inputs: picture("images"),
			Outputs: []detecttest.Output{
				o("c0", []int64{1, 3}, []float32{-9, -9, -9}), o("r0", []int64{1, 4}, make([]float32, 4)),
				o("c1", []int64{6, 2, 2}, conv), o("r1", []int64{8, 2, 2}, make([]float32, 32)),
			},
		},
		overrides: map[string]string{
			"labels": "cat,dog", "activation": "sigmoid",
			"outputs.scores.0": "c0", "outputs.scores.1": "c1", "outputs.boxes.0": "r0", "outputs.boxes.1": "r1",
			"anchors": `[{"cols":1,"rows":1,"sizes":[[1,1]]},{"cols":2,"rows":2,"step_x":0.25,"step_y":0.75,"sizes":[[0.1,0.1],[0.5,0.5]]}]`,
		},
	}
}

// nanoDet puts the object at the cell 4,3 of stride 8, with distances of 2 to the
// left and upper side, 2 and 2 to the others: from 16,8 to 48,40.
func nanoDet() layout {
	const cells, columns = 8*8 + 4*4 + 2*2 + 1, 80 + 32
	row := scores(80, 16, 0.8, 0)
	for range 4 {
		bins := slices.Repeat([]float32{-30}, 8)
		bins[1], bins[3] = 5, 5 // whose mean is 2
		row = append(row, bins...)
	}
	return layout{family: "nanodet", network: detecttest.Network{
		Inputs: picture("data"),
		Outputs: []detecttest.Output{{
			Name: "output", Shape: []int64{cells, columns}, Values: table(cells, columns, map[int][]float32{3*8 + 4: row}),
		}},
	}}
}

// wanted is where the object of a layout is, in pixels of the picture.
func wanted(name string) detect.Box {
	switch name {
	case "ssdheads": // the anchor is 64x64 around 168,8: (152+8, ...)
		return detect.Box{X: 144, Y: 8, W: 32, H: 32}
	case "ssdheads in levels": // around 0.375,0.375 of 64, half of it wide
		return detect.Box{X: 8, Y: 8, W: 32, H: 32}
	default:
		return detect.Box{X: 16, Y: 8, W: 32, H: 32}
	}
}

// TestLayouts opens a network of each layout, in 32-bit and 16-bit floats and
// bytes, with a free and a fixed batch, and finds its object.
func TestLayouts(t *testing.T) {
	rt := detecttest.Runtime(t)
	var pool frame.Pool
	for name, l := range layouts() {
		for _, kind := range []string{"", detect.Float16, detect.Uint8} {
			for _, fixed := range []int64{0, 2} {
				n := l.network
				n.Inputs = slices.Clone(n.Inputs)
				n.Inputs[0].Type = kind
				n.Outputs = slices.Clone(n.Outputs)
				for i := range n.Outputs {
					if kind == detect.Float16 && n.Outputs[i].Type == "" {
						n.Outputs[i].Type = kind
					}
				}
				if fixed > 0 {
					for i := range n.Inputs {
						n.Inputs[i].Dims = slices.Clone(n.Inputs[i].Dims)
						n.Inputs[i].Dims[0] = onnx.Dim{Size: fixed}
					}
				}
				o := model.Options{Overrides: l.overrides, MaxBatch: 2}
				if name == "ssdheads in levels" {
					o.Family = l.family
				}
				d, err := model.Open(rt, n.Encode(t), o)
				require.NoError(t, err, name)
				require.Equal(t, l.family, d.Contract().Family, name)
				require.Equal(t, int(fixed), d.Contract().Input.Batch)
				w, h := d.Contract().Input.Width, d.Contract().Input.Height
				f := detecttest.Picture(t, &pool, w, h)
				got, err := d.Detect(t.Context(), []*frame.Frame{f, f, f}, make([]detect.Options, 3))
				f.Release()
				require.NoError(t, err, name)
				for _, found := range got {
					require.Len(t, found, 1, name)
					require.Equal(t, "dog", found[0].Label, name)
					require.InDelta(t, 0.8, found[0].Score, 2e-3, name)
					b, want := found[0].Box, wanted(name)
					require.InDeltaSlice(t, []float32{want.X, want.Y, want.W, want.H}, []float32{b.X, b.Y, b.W, b.H}, 0.1, name)
				}
				require.NoError(t, d.Close())
			}
		}
	}
}

// TestPictureReachesNetwork has the network answer with the mean of its input.
func TestPictureReachesNetwork(t *testing.T) {
	rt := detecttest.Runtime(t)
	var pool frame.Pool
	f := detecttest.Blank(t, &pool, astiav.PixelFormatRgb24, side, side)
	defer f.Release()
	for i := range detecttest.Planes(f)[0].Pix {
		detecttest.Planes(f)[0].Pix[i] = []byte{255, 102, 51}[i%3] // 1, 0.4 and 0.2
	}
	for _, c := range []struct {
		kind      string
		overrides map[string]string
		want      float64
	}{
		{"", nil, 1.6 / 3},
		{detect.Float16, nil, 1.6 / 3},
		{detect.Uint8, map[string]string{"input.scale": "1/255"}, 1.0 / 3}, // rounds to whole numbers
		{"", map[string]string{"input.scale": "1/255", "input.mean": "0.5,0.4,0.2", "input.std": "1"}, 0.5 / 3},
		{"", map[string]string{"input.mean": "0.2,0.4,0.5", "input.std": "1,1,2", "input.colour": "bgr"}, (0.5 / 2) / 3},
	} {
		n := detecttest.Network{
			Inputs: []onnx.Value{detecttest.PictureInput("images", c.kind, 3, side, side)},
			Outputs: []detecttest.Output{{
				Name: "output0", Shape: []int64{1, 6}, Values: []float32{8, 8, 40, 40, 0, 0}, Gain: []float32{0, 0, 0, 0, 1, 0},
			}},
		}
		o := model.Options{Overrides: map[string]string{"labels": "thing"}}
		maps.Copy(o.Overrides, c.overrides)
		d, err := model.Open(rt, n.Encode(t), o)
		require.NoError(t, err)
		got, err := d.Detect(t.Context(), []*frame.Frame{f}, []detect.Options{{MinScore: 0.01}})
		require.NoError(t, err)
		require.Len(t, got[0], 1)
		require.InDelta(t, c.want, got[0][0].Score, 2e-3)
		require.NoError(t, d.Close())
	}
}
