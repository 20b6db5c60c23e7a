package quantize

import (
	"encoding/binary"
	"slices"

	"detectd/detect/onnx"
)

// write puts the pairs of QuantizeLinear and DequantizeLinear into the graph.
func (q *quantizing) write() {
	nodes, chosen := q.Nodes, q.nodes
	q.Nodes = nil
	for _, v := range q.Inputs {
		q.round(v.Name)
	}
	for i := range nodes {
		n := nodes[i]
		n.Inputs = slices.Clone(n.Inputs)
		for k, name := range n.Inputs {
			// What 8-bit nodes make is taken in its rounded form by all, or the
			// runtime could not fuse them.
			if _, rounded := q.steps[name]; rounded && (chosen[i] || q.out[name]) {
				n.Inputs[k] = name + " dequantized"
			}
		}
		if chosen[i] && heavy(n.Op) {
			q.weights(&n, nodes[i].Inputs[0])
		}
		q.Nodes = append(q.Nodes, n)
		for _, name := range n.Outputs {
			q.round(name)
		}
	}
	q.dropUnused()
}

// round adds the pair for a tensor, if it is one to be rounded.
func (q *quantizing) round(name string) {
	s, ok := q.steps[name]
	if !ok {
		return
	}
	step, zero, level := name+" step", name+" zero", name+" quantized"
	q.Tensors = append(q.Tensors,
		onnx.Tensor{Name: step, Floats: []float32{s.step}},
		onnx.Tensor{Name: zero, Type: "uint8", Raw: []byte{s.zero}},
	)
	q.pair("QuantizeLinear", level, nil, name, step, zero)
	q.pair("DequantizeLinear", name+" dequantized", nil, level, step, zero)
}

func (q *quantizing) pair(op, out string, attrs map[string]any, inputs ...string) {
	q.Nodes = append(q.Nodes, onnx.Node{Op: op, Name: out, Inputs: inputs, Outputs: []string{out}, Attrs: attrs})
}

// weights replaces the weights and the bias of a node by rounded ones. in is the
// tensor that it gets.
func (q *quantizing) weights(n *onnx.Node, in string) {
	t, bias := q.constant[n.Inputs[1]], q.floats(input(n, 2))
	axis := 0
	switch n.Op {
	case "MatMul":
		axis = 1
	case "Gemm":
		axis = gemmAxis(n)
	}
	most := 127.0
	if q.o.SevenBits {
		most = 63
	}
	levels, steps, biases := quantizeWeights(t.Floats, t.Dims, axis, bias, q.steps[in].step, most)
	prefix := n.Outputs[0] + " weight"
	channels := []int64{int64(len(steps))}
	raw := make([]byte, len(levels))
	for i, v := range levels {
		raw[i] = byte(v)
	}
	q.Tensors = append(q.Tensors,
		onnx.Tensor{Name: prefix + " levels", Dims: t.Dims, Type: "int8", Raw: raw},
		onnx.Tensor{Name: prefix + " steps", Dims: channels, Floats: steps},
		onnx.Tensor{Name: prefix + " zeros", Dims: channels, Type: "int8", Raw: make([]byte, len(steps))},
	)
	q.pair("DequantizeLinear", prefix+" dequantized", map[string]any{"axis": int64(axis)},
		prefix+" levels", prefix+" steps", prefix+" zeros")
	n.Inputs[1] = prefix + " dequantized"
	if bias == nil {
		return
	}
	prefix = n.Outputs[0] + " bias"
	products := make([]float32, len(steps))
	var words []byte
	for c, v := range biases {
		products[c] = q.steps[in].step * steps[c]
		words = binary.LittleEndian.AppendUint32(words, uint32(v))
	}
	q.Tensors = append(q.Tensors,
		onnx.Tensor{Name: prefix + " levels", Dims: channels, Type: "int32", Raw: words},
		onnx.Tensor{Name: prefix + " steps", Dims: channels, Floats: products},
	)
	q.pair("DequantizeLinear", prefix+" dequantized", map[string]any{"axis": int64(0)}, prefix+" levels", prefix+" steps")
	n.Inputs[2] = prefix + " dequantized"
}
