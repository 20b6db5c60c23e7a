package quantize

import (
	"math"
	"slices"

	"detectd/detect/onnx"
)

// foldNorms puts batch normalizations that follow a convolution into its weights:
// y = (w·x + b − mean) · gamma / √(variance + epsilon) + beta.
func (g *graph) foldNorms() {
	drop := map[int]bool{}
	for i := range g.Nodes {
		if g.foldNorm(i) {
			drop[i] = true
		}
	}
	nodes := g.Nodes[:0:0]
	for i, n := range g.Nodes {
		if !drop[i] {
			nodes = append(nodes, n)
		}
	}
	g.Nodes = nodes
	g.dropUnused()
}

// foldNorm folds node i into the one before it, if that can be done.
func (g *graph) foldNorm(i int) bool {
	norm := &g.Nodes[i]
	if norm.Op != "BatchNormalization" || norm.Domain != "" || len(norm.Inputs) != 5 {
		return false
	}
	at, made := g.producer[norm.Inputs[0]]
	if user, only := g.onlyUser(norm.Inputs[0]); !made || !only || user != i {
		return false
	}
	conv := &g.Nodes[at]
	weights, bias := g.floats(input(conv, 1)), g.floats(input(conv, 2))
	var k [4][]float32 // gamma, beta, mean, variance
	for j := range k {
		if k[j] = g.floats(norm.Inputs[1+j]); k[j] == nil || len(k[j]) != len(k[0]) {
			return false
		}
	}
	channels := len(k[0])
	if conv.Op != "Conv" || channels == 0 || len(weights)%channels != 0 || len(weights) == 0 ||
		g.constant[conv.Inputs[1]].Dims[0] != int64(channels) || (input(conv, 2) != "" && len(bias) != channels) {
		return false
	}
	epsilon, ok := norm.Attrs["epsilon"].(float32)
	if !ok {
		epsilon = 1e-5
	}
	folded, shift := slices.Clone(weights), make([]float32, channels)
	size := len(weights) / channels
	for c := range channels {
		factor := float64(k[0][c]) / math.Sqrt(float64(k[3][c])+float64(epsilon))
		for j := range size {
			folded[c*size+j] = float32(float64(weights[c*size+j]) * factor)
		}
		b := 0.0
		if bias != nil {
			b = float64(bias[c])
		}
		shift[c] = float32((b-float64(k[2][c]))*factor + float64(k[1][c]))
	}
	out := norm.Outputs[0]
	g.Tensors = append(g.Tensors,
		onnx.Tensor{Name: out + " weights", Dims: g.constant[conv.Inputs[1]].Dims, Floats: folded},
		onnx.Tensor{Name: out + " bias", Dims: []int64{int64(channels)}, Floats: shift},
	)
	conv.Inputs = []string{conv.Inputs[0], out + " weights", out + " bias"}
	conv.Outputs = []string{out}
	return true
}
