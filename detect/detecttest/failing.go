package detecttest

import (
	"testing"

	"detectd/detect/onnx"
)

// Failing returns a detector like Bright whose run ends with an error for pictures
// that are brighter than grey: it looks up what a table does not have.
func Failing(t testing.TB) []byte {
	b := bright("numbers")
	b.Tensors = append(b.Tensors, onnx.Tensor{Name: "one entry", Dims: []int64{1}, Floats: []float32{0}})
	b.Nodes = append(b.Nodes, op("Gather", "looked up", nil, "one entry", "is bright"), op("Add", "output", nil, "numbers", "looked up"))
	return encode(t, sees(b))
}

// Stuck returns a detector like Bright whose run takes hours for pictures that are
// brighter than grey.
func Stuck(t testing.TB) []byte {
	b := slow("rounds")
	b.Tensors = append(b.Tensors, onnx.Tensor{Name: "many", Ints: []int64{1 << 40}})
	b.Nodes = append([]onnx.Node{op("Mul", "rounds", nil, "is bright", "many")}, b.Nodes...)
	return encode(t, sees(b))
}

// sees puts a number before a network: 1 when something in the pictures is brighter
// than grey, else 0.
func sees(b *onnx.Builder) *onnx.Builder {
	b.Tensors = append(b.Tensors, onnx.Tensor{Name: "a half", Floats: []float32{1. / 128}})
	b.Nodes = append([]onnx.Node{
		op("ReduceMax", "brightest of all", map[string]any{"keepdims": int64(0)}, "images"),
		op("Mul", "halves", nil, "brightest of all", "a half"),
		op("Cast", "is bright", map[string]any{"to": int64(7)}, "halves"),
	}, b.Nodes...)
	return b
}

// Dazzled returns a detector like Bright whose outputs are no numbers for pictures
// that are brighter than grey. A trial on a grey picture does not tell.
func Dazzled(t testing.TB) []byte {
	b := bright("numbers")
	b.Nodes = append(b.Nodes,
		op("Cast", "brightness", map[string]any{"to": int64(1)}, "is bright"),
		op("Neg", "darkness", nil, "brightness"),
		op("Sqrt", "no number", nil, "darkness"),
		op("Add", "output", nil, "numbers", "no number"))
	return encode(t, sees(b))
}
