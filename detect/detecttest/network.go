package detecttest

import (
	"testing"

	"detectd/detect"
	"detectd/detect/onnx"
)

// Network describes a tiny model with the inputs and outputs of any detector.
type Network struct {
	Inputs   []onnx.Value // the picture first
	Outputs  []Output
	Metadata map[string]string
}

// Output is an output of a Network: the same for each picture, but for what Gain
// and Sizes add.
type Output struct {
	Name   string
	Type   string  // empty is float32
	Shape  []int64 // for one picture
	Values []float32
	// Gain, when set, is multiplied by the mean of the picture's values, as the
	// network gets them, and added.
	Gain []float32
	// Sizes is the name of an input [N,2] by which rows of four are multiplied.
	Sizes string
	// Unknown leaves the shape out of the file.
	Unknown bool
	// Single makes the network fail for more than one picture, although its batch
	// is free.
	Single bool
}

// PictureInput is an input of this name, element type and dimensions, the first of
// which is free.
func PictureInput(name, kind string, sizes ...int64) onnx.Value {
	return onnx.Value{Name: name, Type: kind, Dims: onnx.BatchDims(sizes...)}
}

// Encode returns the model's file.
func (n Network) Encode(t testing.TB) []byte {
	t.Helper()
	b := &onnx.Builder{Name: "network", Metadata: n.Metadata, Inputs: n.Inputs}
	float := map[string]any{"to": int64(1)}
	b.Nodes = append(b.Nodes,
		op("Cast", "picture", float, n.Inputs[0].Name),
		op("ReduceMean", "mean", map[string]any{"axes": []int64{1, 2, 3}, "keepdims": int64(0)}, "picture"),
	)
	for _, o := range n.Outputs {
		shape := append([]int64{1}, o.Shape...)
		gain := o.Gain
		if gain == nil {
			gain = make([]float32, len(o.Values))
		}
		axes := make([]int64, len(o.Shape))
		for i := range axes {
			axes[i] = int64(i + 1)
		}
		p := o.Name + "."
		b.Tensors = append(b.Tensors,
			onnx.Tensor{Name: p + "values", Dims: shape, Floats: o.Values},
			onnx.Tensor{Name: p + "gain", Dims: shape, Floats: gain},
			onnx.Tensor{Name: p + "axes", Dims: []int64{int64(len(axes))}, Ints: axes},
		)
		b.Nodes = append(b.Nodes,
			op("Unsqueeze", p+"mean", nil, "mean", p+"axes"),
			op("Mul", p+"part", nil, p+"mean", p+"gain"),
			op("Add", p+"sum", nil, p+"part", p+"values"),
		)
		last := p + "sum"
		if o.Sizes != "" {
			b.Tensors = append(b.Tensors, onnx.Tensor{Name: p + "one", Dims: []int64{1}, Ints: []int64{1}})
			b.Nodes = append(b.Nodes,
				op("Cast", p+"size", float, o.Sizes),
				op("Concat", p+"sizes", map[string]any{"axis": int64(1)}, p+"size", p+"size"),
				op("Unsqueeze", p+"factor", nil, p+"sizes", p+"one"),
				op("Mul", p+"scaled", nil, last, p+"factor"),
			)
			last = p + "scaled"
		}
		if o.Single {
			b.Tensors = append(b.Tensors, onnx.Tensor{Name: p + "shape", Dims: []int64{int64(len(shape))}, Ints: shape})
			b.Nodes = append(b.Nodes, op("Reshape", p+"single", nil, last, p+"shape"))
			last = p + "single"
		}
		kind := map[string]int64{"": 1, detect.Float32: 1, detect.Float16: 10, "int32": 6, "int64": 7}[o.Type]
		b.Nodes = append(b.Nodes, op("Cast", o.Name, map[string]any{"to": kind}, last))
		dims := append([]onnx.Dim{n.Inputs[0].Dims[0]}, onnx.Dims(o.Shape...)...)
		if o.Unknown {
			for i := range dims {
				dims[i] = onnx.Dim{Symbol: o.Name + string(rune('a'+i))}
			}
		}
		b.Outputs = append(b.Outputs, onnx.Value{Name: o.Name, Type: o.Type, Dims: dims})
	}
	return encode(t, b)
}

// Endless returns a detector like Bright, without a contract, whose run takes
// hours.
func Endless(t testing.TB) []byte { return encode(t, slow("times")) }

// Waiting returns a detector like Endless that takes hours only for pictures that
// are not black.
func Waiting(t testing.TB) []byte {
	b := slow("rounds")
	b.Tensors = append(b.Tensors, onnx.Tensor{Name: "many", Floats: []float32{1 << 20}})
	b.Nodes = append([]onnx.Node{
		op("ReduceMax", "brightest", map[string]any{"keepdims": int64(0)}, "images"),
		op("Mul", "long", nil, "brightest", "many"),
		op("Cast", "rounds", map[string]any{"to": int64(7)}, "long"),
	}, b.Nodes...)
	return encode(t, b)
}

// slow adds a loop with the number of rounds of that name.
func slow(rounds string) *onnx.Builder {
	body := &onnx.Builder{
		Name:    "body",
		Inputs:  []onnx.Value{{Name: "i", Type: "int64"}, {Name: "go", Type: "bool"}, {Name: "was"}},
		Outputs: []onnx.Value{{Name: "on", Type: "bool"}, {Name: "is"}},
		Nodes:   []onnx.Node{op("Identity", "on", nil, "go"), op("Cos", "is", nil, "was")},
	}
	b := bright("numbers")
	b.Metadata = nil
	b.Tensors = append(b.Tensors, onnx.Tensor{Name: "times", Ints: []int64{1 << 40}})
	b.Nodes = append(b.Nodes,
		op("ReduceMean", "start", map[string]any{"keepdims": int64(0)}, "images"),
		op("Loop", "end", map[string]any{"body": body}, rounds, "", "start"),
		op("Add", "output", nil, "numbers", "end"),
	)
	return b
}
