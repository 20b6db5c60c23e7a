package quantize

import (
	"fmt"

	"detectd/detect/onnx"
)

const (
	// leastOpset is the oldest operator set that upgrade takes.
	leastOpset = 11
	// wantOpset has quantization per channel.
	wantOpset = 13
)

// upgrade brings a graph to the operator set that quantization needs. Only
// operators whose form has changed since leastOpset are touched.
func (g *graph) upgrade() error {
	have := g.Opsets[""]
	if have >= wantOpset {
		return nil
	}
	if have < leastOpset {
		return unsuitable("its operator set is %d: export it with %d or newer", have, wantOpset)
	}
	for i := range g.Nodes {
		n := &g.Nodes[i]
		if n.Domain != "" {
			continue
		}
		switch n.Op {
		case "Squeeze", "Unsqueeze", "ReduceSum":
			g.attributeToInput(n, "axes")
		case "Split":
			g.attributeToInput(n, "split")
		case "Softmax", "LogSoftmax", "Hardmax":
			// Over all dimensions from the axis on, until 13; then over the axis alone.
			if axis := integer(n, "axis", 1); axis != -1 {
				return unsuitable("%s %q has the axis %d: export the model with operator set %d or newer", n.Op, n.Name, axis, wantOpset)
			}
		case "Dropout":
			delete(n.Attrs, "ratio") // of no effect outside of training
		}
	}
	g.Opsets[""] = wantOpset
	g.index()
	return nil
}

func (g *graph) attributeToInput(n *onnx.Node, name string) {
	list, ok := n.Attrs[name].([]int64)
	if !ok {
		return
	}
	delete(n.Attrs, name)
	t := onnx.Tensor{Name: fmt.Sprintf("%s %s", n.Outputs[0], name), Dims: []int64{int64(len(list))}, Ints: list}
	g.Tensors = append(g.Tensors, t)
	n.Inputs = append(n.Inputs, t.Name)
}
