package quantize

import (
	"slices"

	"detectd/detect"
	"detectd/detect/onnx"
)

// halfReady are the operators that are exact enough in 16 bits. Others, such as
// NonMaxSuppression, TopK and Resize, and sums, powers and exponentials, which
// leave the range easily, stay in 32.
var halfReady = [...]string{
	"Conv", "ConvTranspose", "Gemm", "MatMul", "Add", "Sub", "Mul", "Div", "BatchNormalization",
	"Relu", "LeakyRelu", "PRelu", "Sigmoid", "Tanh", "HardSigmoid", "HardSwish", "Clip", "Elu", "Erf",
	"MaxPool", "AveragePool", "GlobalAveragePool", "Concat", "Split", "Slice", "Reshape", "Transpose",
	"Squeeze", "Unsqueeze", "Flatten", "Identity", "Pad", "Expand", "Gather",
	"Softmax", "LayerNormalization", "DepthToSpace", "SpaceToDepth",
}

// Float16 returns a model with 16-bit floats as weights and between the
// operators that bear it; Cast stands where the two meet. What comes after the
// last operator with weights, such as the decoding of boxes, stays in 32 bits: it
// costs nothing, and coordinates need them. Outputs stay as they are, and so does
// the input, unless halfInput has it take 16-bit floats too.
func Float16(model []byte, halfInput bool) ([]byte, error) {
	g, err := read(model)
	if err != nil {
		return nil, err
	}
	h := &halving{
		graph: g, types: g.types(), halves: make([]bool, len(g.Nodes)),
		wide: map[string]string{}, narrow: map[string]string{},
	}
	if !h.choose() {
		return nil, unsuitable("it has no operator that could be computed with 16-bit floats")
	}
	h.inputs(halfInput)
	nodes := g.Nodes
	g.Nodes = nil
	for i := range nodes {
		h.node(nodes[i], h.halves[i])
	}
	g.dropUnused()
	return g.Bytes()
}

// halving is a model on its way to 16 bits.
type halving struct {
	*graph
	types  map[string]string
	halves []bool            // by node
	wide   map[string]string // names of tensors in 32 bits, by their name in the model
	narrow map[string]string // and in 16
}

// choose finds the nodes for 16 bits and tells whether a heavy one is among them.
func (h *halving) choose() (some bool) {
	ahead := h.ahead()
	for i, n := range h.Nodes {
		varies := slices.ContainsFunc(n.Inputs, func(name string) bool { return name != "" && h.constant[name] == nil })
		h.halves[i] = n.Domain == "" && slices.Contains(halfReady[:], n.Op) && varies && (ahead[i] || heavy(n.Op)) &&
			h.types[n.Inputs[0]] == detect.Float32
		some = some || h.halves[i] && heavy(n.Op)
	}
	return some
}

// inputs turns the graph's input, if wanted.
func (h *halving) inputs(toHalf bool) {
	for i, v := range h.Inputs {
		if toHalf && v.Type == detect.Float32 && len(v.Dims) == 4 {
			h.Inputs[i].Type = detect.Float16
			h.narrow[v.Name] = v.Name
		} else {
			h.wide[v.Name] = v.Name
		}
	}
}

// node adds a node, with the casts in front of it that it needs.
func (h *halving) node(n onnx.Node, toHalf bool) {
	n.Inputs, n.Outputs = slices.Clone(n.Inputs), slices.Clone(n.Outputs)
	for i, name := range n.Inputs {
		if name != "" && h.types[name] == detect.Float32 {
			n.Inputs[i] = h.in(name, toHalf)
		}
	}
	var outputs []string
	for i, name := range n.Outputs {
		switch {
		case name == "" || h.types[name] != detect.Float32:
		case !toHalf:
			h.wide[name] = name
		case h.output[name]:
			n.Outputs[i] = name + " in float16"
			h.narrow[name] = n.Outputs[i]
			outputs = append(outputs, name)
		default:
			h.narrow[name] = name
		}
	}
	h.Nodes = append(h.Nodes, n)
	for _, name := range outputs {
		h.cast(h.narrow[name], name, 1)
		h.wide[name] = name
	}
}

// in returns the name of a tensor in the width wanted, which is made if need be.
func (h *halving) in(name string, toHalf bool) string {
	have, number, suffix := h.wide, int64(1), " as float32"
	if toHalf {
		have, number, suffix = h.narrow, 10, " as float16"
	}
	if there, ok := have[name]; ok {
		return there
	}
	t := h.constant[name]
	switch {
	case t == nil:
		from := h.narrow[name]
		if toHalf {
			from = h.wide[name]
		}
		h.cast(from, name+suffix, number)
		have[name] = name + suffix
	case toHalf:
		h.Tensors = append(h.Tensors, onnx.Tensor{Name: name + suffix, Dims: t.Dims, Type: detect.Float16, Raw: halves(t.Floats)})
		have[name] = name + suffix
	default:
		have[name] = name
	}
	return have[name]
}

func (h *halving) cast(from, to string, number int64) {
	h.Nodes = append(h.Nodes, onnx.Node{
		Op: "Cast", Name: to + " cast", Inputs: []string{from}, Outputs: []string{to}, Attrs: map[string]any{"to": number},
	})
}
