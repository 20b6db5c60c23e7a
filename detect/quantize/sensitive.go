package quantize

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"detectd/detect/onnx"
)

// Sensitive returns Nodes with those first that do most damage when they alone
// are quantized: the mean square error of what the last operators with weights
// give, in parts of the mean square of that itself.
func (p *Int8) Sensitive(ctx context.Context, feed Feed) ([]string, error) {
	ends := p.ends()
	want, err := p.ask(ctx, feed, p.graph.Builder, ends)
	if err != nil {
		return nil, err
	}
	damage := map[string]float64{}
	for _, name := range p.nodes {
		q := p.with(slices.DeleteFunc(p.Nodes(), func(n string) bool { return n == name }))
		for _, t := range q.tensors {
			q.steps[t] = p.steps[t]
		}
		q.write()
		got, err := p.ask(ctx, feed, q.Builder, ends)
		if err != nil {
			return nil, err
		}
		damage[name] = difference(want, got)
	}
	list := p.Nodes()
	slices.SortStableFunc(list, func(a, b string) int { return cmp.Compare(damage[b], damage[a]) })
	return list, nil
}

// ends are the outputs of the last heavy nodes.
func (p *Int8) ends() (list []string) {
	ahead := p.graph.ahead()
	for i, n := range p.graph.Nodes {
		if heavy(n.Op) && !ahead[i] {
			list = append(list, n.Outputs[0])
		}
	}
	return list
}

// ask returns what the ends hold, for all pictures: [picture][end].
func (p *Int8) ask(ctx context.Context, feed Feed, b *onnx.Builder, ends []string) (all [][][]float32, err error) {
	traced := *b
	traced.Outputs = nil
	for _, name := range ends {
		traced.Outputs = append(traced.Outputs, onnx.Value{Name: name, Open: true})
	}
	model, err := traced.Bytes()
	if err != nil {
		return nil, err
	}
	err = feed(ctx, model, ends, func(values [][]float32) {
		one := make([][]float32, len(values))
		for i, v := range values {
			one[i] = slices.Clone(v)
		}
		all = append(all, one)
	})
	if err != nil {
		return nil, fmt.Errorf("look for sensitive operators: %w", err)
	}
	return all, nil
}

// difference is the mean over the ends of the relative square error.
func difference(want, got [][][]float32) (sum float64) {
	if len(want) == 0 {
		return 0
	}
	ends := len(want[0])
	for k := range ends {
		var wrong, power float64
		for i := range want {
			for j, w := range want[i][k] {
				d := float64(got[i][k][j] - w)
				wrong += d * d
				power += float64(w) * float64(w)
			}
		}
		if power > 0 {
			sum += wrong / power / float64(ends)
		}
	}
	return sum
}
