package yolo_test

import (
	"encoding/binary"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"detectd/detect"
	"detectd/detect/yolo"
)

func signature(metadata map[string]string, in []int64, out ...int64) detect.Signature {
	return detect.Signature{
		Inputs:   []detect.TensorInfo{{Name: "images", Type: "float32", Shape: in}},
		Outputs:  []detect.TensorInfo{{Name: "output0", Type: "float32", Shape: out}},
		Metadata: metadata,
	}
}

func TestSniff(t *testing.T) {
	square := []int64{1, 3, 640, 640}
	names := func(n int) map[string]string {
		text := "{"
		for i := range n {
			text += string(rune('0'+i)) + ": 'x" + string(rune('a'+i)) + "', "
		}
		return map[string]string{"names": text + "}"}
	}
	for name, c := range map[string]struct {
		s    detect.Signature
		want map[string]detect.Fit
	}{
		"v5":           {signature(nil, square, 1, 25200, 85), map[string]detect.Fit{"yolov5": detect.Likely}},
		"v5 named":     {signature(names(2), square, 1, 25200, 7), map[string]detect.Fit{"yolov5": detect.Certain}},
		"v5 misnamed":  {signature(names(3), square, 1, 25200, 7), nil},
		"v5 with P6":   {signature(nil, []int64{-1, 3, 1280, 1280}, -1, 102000, 85), map[string]detect.Fit{"yolov5": detect.Likely}},
		"v8":           {signature(nil, square, 1, 84, 8400), map[string]detect.Fit{"yolov8": detect.Likely}},
		"v8 one class": {signature(names(1), square, 1, 5, 8400), map[string]detect.Fit{"yolov8": detect.Certain}},
		"v8 wide":      {signature(nil, []int64{1, 3, 384, 640}, 1, 84, 5040), map[string]detect.Fit{"yolov8": detect.Likely}},
		"v8 rows":      {signature(names(3), square, 1, 8400, 7), map[string]detect.Fit{"yolov8": detect.Certain}},
		"end to end":   {signature(nil, square, 1, 300, 6), map[string]detect.Fit{"end2end": detect.Possible}},
		"v10":          {signature(map[string]string{"end2end": "True", "names": "['a']"}, square, 1, 300, 6), map[string]detect.Fit{"end2end": detect.Certain}},
		"rt-detr by its head": {
			signature(map[string]string{"names": "['a', 'b', 'c']", "head": "RTDETRDecoder"}, square, 1, 300, 7),
			map[string]detect.Fit{"rtdetrtable": detect.Certain},
		},
		"rt-detr of two classes": {
			signature(map[string]string{"names": "['a', 'b']", "description": "Ultralytics rtdetr-l model trained on x.yaml"}, square, 1, 300, 6),
			map[string]detect.Fit{"rtdetrtable": detect.Certain, "end2end": detect.Possible},
		},
		"rt-detr by names": {signature(names(3), square, 1, 300, 7), map[string]detect.Fit{"rtdetrtable": detect.Likely}},
		"rt-detr of COCO":  {signature(nil, square, 1, 300, 84), map[string]detect.Fit{"rtdetrtable": detect.Likely}},
		"few rows":         {signature(nil, square, 1, 300, 9), map[string]detect.Fit{"rtdetrtable": detect.Possible}},
		"rt-detr misnamed": {signature(names(3), square, 1, 300, 84), nil},
		"six with nms":     {signature(map[string]string{"nms": "True"}, square, 1, 300, 7), nil},
		"other rows":       {signature(nil, square, 1, 1234, 85), nil},
		"segmentation":     {signature(map[string]string{"task": "segment"}, square, 1, 84, 8400), nil},
		"free":             {signature(nil, square, 1, -1, 85), nil},
		"no outputs":       {detect.Signature{Inputs: signature(nil, square).Inputs}, nil},
		"nothing":          {detect.Signature{}, nil},
	} {
		for _, f := range []detect.Family{yolo.V5(), yolo.V8(), yolo.EndToEnd(), yolo.Queries()} {
			g := f.Sniff(c.s)
			require.Equal(t, c.want[f.Name], g.Fit, "%s: %s", name, f.Name)
			require.Equal(t, f.Name, g.Contract.Family)
		}
	}
	c := yolo.V8().Sniff(signature(nil, square, 1, 84, 8400)).Contract
	require.Equal(t, detect.Input{
		Name: "images", Layout: detect.NCHW, Width: 640, Height: 640, Batch: 1, Colour: detect.RGB,
		Resize: detect.LetterboxCentre, Pad: 114, Scale: 1.0 / 255, Std: [3]float32{1, 1, 1},
	}, c.Input)
	require.Equal(t, []string{"labels"}, yolo.EndToEnd().Sniff(signature(nil, square, 1, 300, 6)).Ask)
}

func contract(edit func(*detect.Contract)) detect.Contract {
	c := detect.Contract{Input: detect.Input{Width: 100, Height: 200}, Labels: []string{"a", "b"}, Box: detect.CXCYWH}
	if edit != nil {
		edit(&c)
	}
	return c
}

func TestDense(t *testing.T) {
	rows := []float32{
		10, 20, 4, 8, 0.9, 0.2,
		10, 20, 4, 8, 0.6, 0.6, // a tie: the first
		0, 0, 0, 0, 0.1, 0.1,
	}
	lying := make([]float32, len(rows))
	for i, v := range rows {
		lying[i%6*3+i/6] = v
	}
	want := []detect.Candidate{
		{Class: 0, Score: 0.9, X0: 8, Y0: 16, X1: 12, Y1: 24}, {Class: 0, Score: 0.6, X0: 8, Y0: 16, X1: 12, Y1: 24},
	}
	for _, c := range []struct {
		shape []int64
		data  []float32
	}{{[]int64{3, 6}, rows}, {[]int64{6, 3}, lying}} {
		d, err := yolo.V8().New(contract(nil), [][]int64{c.shape})
		require.NoError(t, err)
		require.ElementsMatch(t, want, d.Decode(nil, [][]float32{c.data}, 0.5))
		require.Len(t, d.Decode(nil, [][]float32{c.data}, 0.05), 3)
	}

	objects := []float32{10, 20, 4, 8, 0.5, 0.9, 0.2, 10, 20, 4, 8, 0.9, 0.3, 0.8}
	d, err := yolo.V5().New(contract(func(c *detect.Contract) { c.Objectness, c.Box = true, "" }), [][]int64{{2, 7}})
	require.NoError(t, err)
	got := d.Decode(nil, [][]float32{objects}, 0.5)
	require.Len(t, got, 1)
	require.Equal(t, 1, got[0].Class)
	require.InDelta(t, 0.72, got[0].Score, 1e-6)

	corners := []float32{0.1, 0.2, 0.3, 0.4, 3, -3}
	d, err = yolo.V8().New(contract(func(c *detect.Contract) {
		c.Box, c.BoxUnit, c.Activation = detect.YXYX, detect.Unit, detect.Sigmoid
	}), [][]int64{{1, 6}})
	require.NoError(t, err)
	got = d.Decode(nil, [][]float32{corners}, 0.5)
	require.Len(t, got, 1)
	require.InDeltaSlice(t, []float32{20, 20, 40, 60, 0.952574}, []float32{got[0].X0, got[0].Y0, got[0].X1, got[0].Y1, got[0].Score}, 1e-4)
}

func TestSettle(t *testing.T) {
	shapes := [][]int64{{3, 6}}
	pixels := []float32{90, 20, 4, 8, 0.9, 0, -5, 20, 4, 8, 0, 0, 0, 0, 0, 0, 0, 0} // a centre may be outside
	require.Equal(t, contract(nil), yolo.V8().Settle(contract(nil), shapes, [][]float32{pixels}))
	units := []float32{.9, .2, .4, .8, -9, -8, .9, .2, .4, .8, -9, -8, .9, .2, .4, .8, -9, -8}
	got := yolo.V8().Settle(contract(nil), shapes, [][]float32{units})
	require.Equal(t, detect.Unit, got.BoxUnit)
	require.Equal(t, detect.Sigmoid, got.Activation)
	empty := make([]float32, 12)
	require.Empty(t, yolo.EndToEnd().Settle(contract(nil), nil, [][]float32{empty}).BoxUnit)
	empty[2] = 0.5
	require.Equal(t, detect.Unit, yolo.EndToEnd().Settle(contract(nil), nil, [][]float32{empty}).BoxUnit)
	require.Empty(t, yolo.EndToEnd().Settle(contract(nil), nil, [][]float32{empty}).Family)
	empty[5] = 0.03
	require.Equal(t, "rtdetrtable", yolo.EndToEnd().Settle(contract(nil), nil, [][]float32{empty}).Family, "no class number")
}

// As many classes as a row has others to be taken for columns.
func TestQueriesNeverLieOnTheirSide(t *testing.T) {
	values := make([]float32, 6*6)
	copy(values[2*6:], []float32{0.5, 0.25, 0.2, 0.1, 0.1, 0.9})
	d, err := yolo.Queries().New(contract(func(c *detect.Contract) { c.BoxUnit = detect.Unit }), [][]int64{{6, 6}})
	require.NoError(t, err)
	got := d.Decode(nil, [][]float32{values}, 0.5)
	require.Len(t, got, 1)
	require.Equal(t, 1, got[0].Class)
	require.InDeltaSlice(t, []float32{40, 40, 60, 60}, []float32{got[0].X0, got[0].Y0, got[0].X1, got[0].Y1}, 1e-4)
}

func TestNewRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		f     detect.Family
		edit  func(*detect.Contract)
		shape []int64
	}{
		"rank":        {yolo.V8(), nil, []int64{1, 6, 3}},
		"classes":     {yolo.V8(), nil, []int64{7, 30}},
		"objectness":  {yolo.V5(), func(c *detect.Contract) { c.Objectness = true }, []int64{30, 6}},
		"background":  {yolo.V8(), func(c *detect.Contract) { c.Background = true }, []int64{6, 30}},
		"softmax":     {yolo.V8(), func(c *detect.Contract) { c.Activation = detect.Softmax }, []int64{6, 30}},
		"columns":     {yolo.EndToEnd(), nil, []int64{300, 7}},
		"activations": {yolo.EndToEnd(), func(c *detect.Contract) { c.Activation = detect.Sigmoid }, []int64{300, 6}},
	} {
		_, err := c.f.New(contract(c.edit), [][]int64{c.shape})
		require.Error(t, err, name)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte{0, 0, 128, 63, 0, 0, 192, 127, 1, 2, 3, 4}, float32(0.1))
	f.Fuzz(func(t *testing.T, raw []byte, minScore float32) {
		if minScore != minScore {
			return
		}
		values := make([]float32, 5*7*6)
		for i := 0; i < len(values) && 4*i+4 <= len(raw); i++ {
			values[i] = math.Float32frombits(binary.LittleEndian.Uint32(raw[4*i:]))
			if values[i] != values[i] { // the session refuses NaN before
				values[i] = 0
			}
		}
		for _, c := range []struct {
			family detect.Family
			edit   func(*detect.Contract)
			shape  []int64
		}{
			{yolo.V8(), nil, []int64{6, 35}},
			{yolo.V8(), func(c *detect.Contract) { c.Activation = detect.Sigmoid }, []int64{35, 6}},
			{yolo.V5(), func(c *detect.Contract) { c.Objectness = true }, []int64{30, 7}},
			{yolo.EndToEnd(), nil, []int64{35, 6}},
			{yolo.Queries(), nil, []int64{35, 6}},
		} {
			d, err := c.family.New(contract(c.edit), [][]int64{c.shape})
			require.NoError(t, err)
			for _, x := range d.Decode(nil, [][]float32{values}, minScore) {
				require.True(t, x.Class >= 0 && x.Class < 2)
				require.GreaterOrEqual(t, x.Score, minScore)
			}
		}
	})
}
