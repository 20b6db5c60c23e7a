package detecttest

import (
	"bytes"
	"encoding/json"
	"math"
	"testing"

	"detectd/detect"
	"detectd/detect/onnx"
)

// Side is the width and height of the input of the model made by Bright.
const Side = 128

// rows is the number of grid cells of that input.
const rows = (Side/8)*(Side/8) + (Side/16)*(Side/16) + (Side/32)*(Side/32)

// Bright returns a tiny detector of the YOLOX family with a free batch. It finds
// the box around all bright pixels of a picture (see Picture) with score 0.9: a
// "person" when it is taller than wide, else a "car". Boxes are exact to a pixel
// of its input, which is a letterboxed square of Side pixels.
func Bright(t testing.TB) []byte { return encode(t, bright("output")) }

// NaN returns a model like Bright whose outputs are not numbers.
func NaN(t testing.TB) []byte {
	b := bright("numbers")
	b.Tensors = append(b.Tensors, onnx.Tensor{Name: "nan", Floats: []float32{float32(math.NaN())}})
	b.Nodes = append(b.Nodes, op("Add", "output", nil, "numbers", "nan"))
	return encode(t, b)
}

// Identity returns a valid model that is no detector.
func Identity(t testing.TB) []byte { return encode(t, identity()) }

// External returns a model with a tensor that is kept in another file.
func External(t testing.TB) []byte {
	b := identity()
	b.Tensors = []onnx.Tensor{{Name: "weights", Dims: []int64{4}, External: "weights.bin"}}
	return encode(t, b)
}

func identity() *onnx.Builder {
	return &onnx.Builder{
		Name:    "identity",
		Inputs:  []onnx.Value{{Name: "x", Dims: onnx.BatchDims(3, 8, 8)}},
		Outputs: []onnx.Value{{Name: "y", Dims: onnx.BatchDims(3, 8, 8)}},
		Nodes:   []onnx.Node{op("Identity", "y", nil, "x")},
	}
}

func encode(t testing.TB, b *onnx.Builder) []byte {
	t.Helper()
	var buf bytes.Buffer
	if _, err := b.WriteTo(&buf); err != nil {
		t.Fatalf("build model: %v", err)
	}
	return buf.Bytes()
}

func op(kind, out string, attrs map[string]any, in ...string) onnx.Node {
	return onnx.Node{Op: kind, Name: out, Inputs: in, Outputs: []string{out}, Attrs: attrs}
}

// BrightContract is the contract of the model made by Bright.
func BrightContract() detect.Contract {
	return detect.Contract{
		Family: "yolox",
		Input: detect.Input{
			Name: "images", Layout: detect.NCHW, Width: Side, Height: Side,
			Colour: detect.BGR, Resize: detect.LetterboxTop, Pad: 114,
			Scale: 1, Std: [3]float32{1, 1, 1},
		},
		Outputs:  map[string]string{"output": "output"},
		Labels:   []string{"person", "car"},
		MinScore: 0.3,
		NMSIoU:   0.45,
		MaxBoxes: 100,
	}
}

// bright builds the graph. Its output has one row with the box, put in the grid
// cell 0,0 of stride 8, and empty rows for all other cells.
func bright(output string) *onnx.Builder {
	contract, _ := json.Marshal(BrightContract()) // plain values only
	up, down := make([]float32, Side), make([]float32, Side)
	for i := range Side {
		up[i], down[i] = float32(i+1), float32(Side-i)
	}
	axes := func(a ...int64) map[string]any { return map[string]any{"axes": a, "keepdims": int64(0)} }
	keep := func(a ...int64) map[string]any { return map[string]any{"axes": a, "keepdims": int64(1)} }
	float := map[string]any{"to": int64(1)}
	b := &onnx.Builder{
		Name:     "bright",
		Metadata: map[string]string{detect.MetadataKey: string(contract)},
		Inputs:   []onnx.Value{{Name: "images", Dims: onnx.BatchDims(3, Side, Side)}},
		Outputs:  []onnx.Value{{Name: "output", Dims: onnx.BatchDims(rows, 7)}},
		Tensors: []onnx.Tensor{
			{Name: "threshold", Floats: []float32{150}},
			{Name: "up", Dims: []int64{Side}, Floats: up},
			{Name: "down", Dims: []int64{Side}, Floats: down},
			{Name: "side", Floats: []float32{Side}},
			{Name: "one", Floats: []float32{1}},
			{Name: "stride", Floats: []float32{8}},
			{Name: "two strides", Floats: []float32{16}},
			{Name: "score", Floats: []float32{0.9}},
			{Name: "axis 1", Dims: []int64{1}, Ints: []int64{1}},
			{Name: "pads", Dims: []int64{6}, Ints: []int64{0, 0, 0, 0, rows - 1, 0}},
		},
		Nodes: []onnx.Node{
			op("ReduceMean", "grey", axes(1), "images"),
			op("Greater", "over", nil, "grey", "threshold"),
			op("Cast", "mask", float, "over"),
			op("ReduceMax", "x mask", axes(1), "mask"),
			op("ReduceMax", "y mask", axes(2), "mask"),
			op("ReduceMax", "any", keep(1), "x mask"),
			op("Mul", "object", nil, "any", "score"),
		},
	}
	for _, a := range []string{"x", "y"} {
		b.Nodes = append(b.Nodes,
			op("Mul", a+" ups", nil, a+" mask", "up"),
			op("ReduceMax", a+" end", keep(1), a+" ups"),
			op("Mul", a+" downs", nil, a+" mask", "down"),
			op("ReduceMax", a+" rest", keep(1), a+" downs"),
			op("Sub", a+" start", nil, "side", a+" rest"),
			op("Sub", a+" length", nil, a+" end", a+" start"),
			op("Clip", a+" size", nil, a+" length", "one", "side"),
			op("Add", a+" sum", nil, a+" start", a+" end"),
			op("Div", a+" centre", nil, a+" sum", "two strides"),
			op("Div", a+" cells", nil, a+" size", "stride"),
			op("Log", a+" code", nil, a+" cells"),
		)
	}
	b.Nodes = append(b.Nodes,
		op("Greater", "taller", nil, "y size", "x size"),
		op("Cast", "person", float, "taller"),
		op("Sub", "car", nil, "one", "person"),
		op("Concat", "row", map[string]any{"axis": int64(1)},
			"x centre", "y centre", "x code", "y code", "object", "person", "car"),
		op("Unsqueeze", "table", nil, "row", "axis 1"),
		op("Pad", output, nil, "table", "pads"),
	)
	return b
}
