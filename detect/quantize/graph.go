package quantize

import (
	"slices"

	"detectd/detect"
	"detectd/detect/onnx"
)

// graph is a model with the places where its tensors are made and used.
type graph struct {
	*onnx.Builder
	constant map[string]*onnx.Tensor
	producer map[string]int   // index of the node that makes a tensor
	users    map[string][]int // indices of the nodes that take it
	output   map[string]bool  // of the graph
}

// read takes a model apart. The nodes of a valid file are in an order in which
// they can be run.
func read(model []byte) (*graph, error) {
	b, err := onnx.Read(model)
	if err != nil {
		return nil, unsuitable("%w", err)
	}
	for _, n := range b.Nodes {
		switch n.Op {
		case "If", "Loop", "Scan", "SequenceMap":
			return nil, unsuitable("it branches or loops (%s %q)", n.Op, n.Name)
		case "QuantizeLinear", "DequantizeLinear", "QLinearConv", "ConvInteger", "DynamicQuantizeLinear":
			return nil, unsuitable("it is quantized already (%s %q): start from the version with 32-bit floats", n.Op, n.Name)
		}
	}
	for _, t := range b.Tensors {
		if kind := t.ElementType(); kind == detect.Float16 || kind == "bfloat16" {
			return nil, unsuitable("it has 16-bit floats already (tensor %q): start from the version with 32-bit floats", t.Name)
		}
	}
	g := &graph{Builder: b}
	g.index()
	return g, nil
}

// index finds the places again after a change.
func (g *graph) index() {
	g.constant, g.producer = map[string]*onnx.Tensor{}, map[string]int{}
	g.users, g.output = map[string][]int{}, map[string]bool{}
	for i := range g.Tensors {
		g.constant[g.Tensors[i].Name] = &g.Tensors[i]
	}
	for i, n := range g.Nodes {
		for _, name := range n.Outputs {
			g.producer[name] = i
		}
		for _, name := range n.Inputs {
			g.users[name] = append(g.users[name], i)
		}
	}
	for _, v := range g.Outputs {
		g.output[v.Name] = true
	}
}

// floats returns the values of a constant of 32-bit floats; nil for anything else.
func (g *graph) floats(name string) []float32 {
	if t := g.constant[name]; t != nil {
		return t.Floats
	}
	return nil
}

// onlyUser returns the one node that takes a tensor, which is not an output.
func (g *graph) onlyUser(name string) (int, bool) {
	users := g.users[name]
	if len(users) != 1 || g.output[name] {
		return 0, false
	}
	return users[0], true
}

// input is the name of a node's input, empty when it is left out.
func input(n *onnx.Node, i int) string {
	if i < len(n.Inputs) {
		return n.Inputs[i]
	}
	return ""
}

// integer is an attribute's number, or what it is when it is not given.
func integer(n *onnx.Node, name string, usual int64) int64 {
	if v, ok := n.Attrs[name].(int64); ok {
		return v
	}
	return usual
}

// heavy tells operators with weights, in which nearly all of a detector's time goes.
func heavy(op string) bool {
	switch op {
	case "Conv", "ConvTranspose", "Gemm", "MatMul":
		return true
	}
	return false
}

// ahead tells for each node whether a heavy one comes after it.
func (g *graph) ahead() []bool {
	list := make([]bool, len(g.Nodes))
	for i, n := range slices.Backward(g.Nodes) {
		for _, name := range n.Outputs {
			for _, user := range g.users[name] {
				list[i] = list[i] || list[user] || heavy(g.Nodes[user].Op)
			}
		}
	}
	return list
}

// types finds the element types of all tensors. Operators that it does not know
// give what their first input has, which is what nearly all do.
func (g *graph) types() map[string]string {
	types := map[string]string{}
	for _, v := range g.Inputs {
		types[v.Name] = v.Type
	}
	for name, t := range g.constant {
		types[name] = t.ElementType()
	}
	for i := range g.Nodes {
		n := &g.Nodes[i]
		kind := types[input(n, 0)]
		switch n.Op {
		case "Shape", "Size", "NonZero", "ArgMax", "ArgMin", "NonMaxSuppression":
			kind = "int64"
		case "Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "IsNaN", "IsInf", "Not", "And", "Or", "Xor":
			kind = "bool"
		case "Cast", "RandomUniform", "RandomNormal", "EyeLike":
			kind = onnx.ElementType(integer(n, "to", integer(n, "dtype", 1)))
		case "Constant":
			kind = detect.Float32
			if n.Attrs["value_int"] != nil || n.Attrs["value_ints"] != nil {
				kind = "int64"
			}
		case "ConstantOfShape":
			kind = detect.Float32
			if t, ok := n.Attrs["value"].(onnx.Tensor); ok {
				kind = t.ElementType()
			}
		case "Where", "OneHot":
			kind = types[input(n, len(n.Inputs)-1)]
		}
		for k, name := range n.Outputs {
			if types[name] = kind; k == 1 && (n.Op == "TopK" || n.Op == "MaxPool") {
				types[name] = "int64"
			}
		}
	}
	return types
}

// dropUnused removes the constants that nothing takes any more.
func (g *graph) dropUnused() {
	g.index()
	g.Tensors = slices.DeleteFunc(g.Tensors, func(t onnx.Tensor) bool {
		return len(g.users[t.Name]) == 0 && !g.output[t.Name]
	})
	g.index()
}
