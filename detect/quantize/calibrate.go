package quantize

import (
	"context"
	"fmt"
	"slices"

	"detectd/detect/onnx"
)

// group bounds how many tensors are looked at in one pass over the pictures.
const group = 64

// calibrate runs the float model and chooses the ranges of the tensors.
func (q *quantizing) calibrate(ctx context.Context, feed Feed) error {
	traced := *q.Builder
	for part := range slices.Chunk(q.tensors, group) {
		known := map[string]bool{}
		for _, v := range q.Inputs {
			known[v.Name] = true
		}
		// An input cannot be an output at once.
		traced.Outputs, traced.Nodes = nil, slices.Clone(q.Nodes)
		names := make([]string, len(part))
		for i, name := range part {
			if names[i] = name; known[name] {
				names[i] = name + " seen"
				traced.Nodes = append(traced.Nodes, onnx.Node{Op: "Identity", Name: names[i], Inputs: part[i : i+1], Outputs: names[i : i+1]})
			}
			traced.Outputs = append(traced.Outputs, onnx.Value{Name: names[i], Open: true})
		}
		model, err := traced.Bytes()
		if err != nil {
			return err
		}
		seen := make([]histogram, len(part))
		if err := feed(ctx, model, names, func(values [][]float32) {
			for i := range seen {
				seen[i].add(values[i])
			}
		}); err != nil {
			return fmt.Errorf("calibrate: %w", err)
		}
		for i, name := range part {
			if seen[i].total == 0 {
				return unsuitable("no calibration picture was given")
			}
			lo, hi, err := seen[i].span(q.o.Calibration)
			if err != nil {
				return err
			}
			q.steps[name] = newScale(lo, hi)
		}
	}
	q.tie()
	return nil
}

// tie gives the outputs of operators that only move numbers the scale of their
// input, and a sigmoid's that of 0 to 1.
func (q *quantizing) tie() {
	for i := range q.Nodes {
		n := &q.Nodes[i]
		switch {
		case !q.nodes[i]:
		case passes(n):
			q.steps[n.Outputs[0]] = q.steps[n.Inputs[0]]
		case n.Op == "Sigmoid":
			q.steps[n.Outputs[0]] = newScale(0, 1)
		}
	}
}
