package quantize

import (
	"context"
	"slices"

	"detectd/detect"
	"detectd/detect/onnx"
)

// Int8Options say how a model is quantized. The zero value is the usual way.
type Int8Options struct {
	Calibration Calibration // "" is Percentile
	// SevenBits keeps weights from -63 to 63. Processors without the VNNI
	// instructions add pairs of products in 16 bits, which overflow with more.
	SevenBits bool
	// Whole quantizes the last operators too, whose outputs are boxes and scores;
	// they lose most.
	Whole bool
}

// Feed runs a model over the calibration pictures and calls use for each of them
// with the values of the tensors, which are outputs of the model. The values are
// valid during the call.
type Feed func(ctx context.Context, model []byte, tensors []string, use func(values [][]float32)) error

// Int8 is a model that is ready to be quantized: convolutions and matrix products
// are computed with 8-bit integers then, weights symmetric and per channel, what
// flows between operators per tensor. Operators between two such ones follow where
// that saves going back to floats.
type Int8 struct {
	graph *graph
	o     Int8Options
	types map[string]string
	steps map[string]scale // of all tensors that may be rounded
	nodes []string         // that may be quantized, by their first output
}

// NewInt8 takes a model apart and chooses the ranges of its tensors.
func NewInt8(ctx context.Context, model []byte, o Int8Options, feed Feed) (*Int8, error) {
	g, err := read(model)
	if err != nil {
		return nil, err
	}
	if err := g.upgrade(); err != nil {
		return nil, err
	}
	g.foldNorms()
	if o.Calibration == "" {
		o.Calibration = Percentile
	}
	p := &Int8{graph: g, o: o, types: g.types()}
	q := p.with(nil)
	for i := range q.Nodes {
		if q.nodes[i] && heavy(q.Nodes[i].Op) {
			p.nodes = append(p.nodes, q.Nodes[i].Outputs[0])
		}
	}
	if len(p.nodes) == 0 {
		return nil, unsuitable("it has no convolution or matrix product with constant weights before its last ones")
	}
	if err := q.calibrate(ctx, feed); err != nil {
		return nil, err
	}
	p.steps = q.steps
	return p, nil
}

// Nodes are the convolutions and matrix products that can be quantized, by their
// first output, in the order of the graph.
func (p *Int8) Nodes() []string { return slices.Clone(p.nodes) }

// Model returns the quantized model. The nodes in keep stay in floats.
func (p *Int8) Model(keep []string) ([]byte, error) {
	q := p.with(keep)
	for _, name := range q.tensors {
		q.steps[name] = p.steps[name]
	}
	q.write()
	return q.Bytes()
}

// with chooses nodes and tensors in a copy of the graph.
func (p *Int8) with(keep []string) *quantizing {
	b := *p.graph.Builder
	b.Nodes, b.Tensors = slices.Clone(b.Nodes), slices.Clone(b.Tensors)
	g := &graph{Builder: &b}
	g.index()
	q := &quantizing{graph: g, o: p.o, types: p.types, keep: map[string]bool{}, steps: map[string]scale{}, out: map[string]bool{}}
	for _, name := range keep {
		q.keep[name] = true
	}
	q.choose()
	return q
}

// quantizing is a model on its way to 8 bits.
type quantizing struct {
	*graph
	o     Int8Options
	types map[string]string
	keep  map[string]bool
	nodes []bool // that are computed in 8 bits
	// tensors are those that are rounded to 8 bits, in the order in which they are
	// made; out are those of them that 8-bit nodes make.
	tensors []string
	out     map[string]bool
	steps   map[string]scale // of the tensors
}

// choose finds the nodes and tensors.
func (q *quantizing) choose() {
	ahead := q.ahead()
	q.nodes = make([]bool, len(q.Nodes))
	for i := range q.Nodes {
		n := &q.Nodes[i]
		if n.Domain != "" || q.keep[n.Outputs[0]] || !ahead[i] && !q.o.Whole ||
			slices.ContainsFunc(n.Outputs, func(name string) bool { return q.output[name] }) {
			continue
		}
		switch {
		case q.weighted(n):
			q.nodes[i] = true
			q.use(n.Inputs[0])
			if !q.clipped(n.Outputs[0]) {
				q.make(n.Outputs[0])
			}
		case q.isClip(n) && q.madeByWeighted(n.Inputs[0]):
			q.nodes[i] = true
			q.make(n.Outputs[0])
		case q.follows(n):
			q.nodes[i] = true
			for _, name := range n.Outputs {
				q.make(name)
			}
		}
	}
}

func (q *quantizing) use(name string) {
	if !slices.Contains(q.tensors, name) {
		q.tensors = append(q.tensors, name)
	}
}

func (q *quantizing) make(name string) {
	q.use(name)
	q.out[name] = true
}

// weighted tells nodes with constant weights that 8 bits are for.
func (q *quantizing) weighted(n *onnx.Node) bool {
	if len(n.Inputs) < 2 || q.constant[n.Inputs[0]] != nil || q.types[n.Inputs[0]] != detect.Float32 {
		return false
	}
	w := q.constant[n.Inputs[1]]
	if w == nil || len(w.Floats) == 0 || input(n, 2) != "" && q.floats(n.Inputs[2]) == nil {
		return false
	}
	switch n.Op {
	case "Conv":
		return len(w.Dims) >= 3
	case "MatMul":
		return len(w.Dims) == 2
	case "Gemm":
		one := func(name string) bool { v, ok := n.Attrs[name].(float32); return !ok || v == 1 }
		columns := len(w.Dims) == 2 && (input(n, 2) == "" || int64(len(q.floats(n.Inputs[2]))) == w.Dims[gemmAxis(n)])
		return columns && one("alpha") && one("beta") && integer(n, "transA", 0) == 0
	}
	return false
}

// gemmAxis is the dimension of a Gemm's weights that counts its outputs.
func gemmAxis(n *onnx.Node) int {
	if integer(n, "transB", 0) != 0 {
		return 0
	}
	return 1
}

// isClip tells activations that only cut a range off: a narrower range of the
// 8-bit output does that by itself.
func (q *quantizing) isClip(n *onnx.Node) bool {
	if n.Op == "Clip" {
		return slices.IndexFunc(n.Inputs[1:], func(name string) bool { return name != "" && q.floats(name) == nil }) < 0
	}
	return n.Op == "Relu"
}

// clipped tells whether a tensor goes into such an activation only.
func (q *quantizing) clipped(name string) bool {
	user, only := q.onlyUser(name)
	return only && q.isClip(&q.Nodes[user])
}

func (q *quantizing) madeByWeighted(name string) bool {
	at, made := q.producer[name]
	return made && q.nodes[at] && q.weighted(&q.Nodes[at]) && q.clipped(name)
}

// passes tells operators that only move numbers: input and output have one scale.
func passes(n *onnx.Node) bool {
	switch n.Op {
	case "MaxPool", "Reshape", "Transpose", "Flatten", "Squeeze", "Unsqueeze", "Slice":
		return len(n.Outputs) == 1
	case "Resize":
		mode, _ := n.Attrs["mode"].(string)
		return mode == "" || mode == "nearest"
	}
	return false
}

// follows tells operators between 8-bit ones that are computed in 8 bits too.
func (q *quantizing) follows(n *onnx.Node) bool {
	var dynamic int // inputs that must be in 8 bits
	switch n.Op {
	case "Add", "Mul":
		dynamic = 2
	case "Concat":
		dynamic = len(n.Inputs)
	case "Sigmoid", "LeakyRelu", "AveragePool", "GlobalAveragePool":
		dynamic = 1
	default:
		if !passes(n) {
			return false
		}
		dynamic = 1
	}
	for _, name := range n.Inputs[:dynamic] {
		if !q.out[name] {
			return false
		}
	}
	return true
}
