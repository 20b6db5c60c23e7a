package quantize_test

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"detectd/detect"
	"detectd/detect/detecttest"
	"detectd/detect/onnx"
	"detectd/detect/ort"
	"detectd/detect/quantize"
)

const (
	side     = 6
	channels = 4
)

// numbers are random ones from -most to most.
func numbers(seed uint64, n int, most float32) []float32 {
	random := rand.New(rand.NewPCG(seed, 1))
	list := make([]float32, n)
	for i := range list {
		list[i] = (random.Float32()*2 - 1) * most
	}
	return list
}

func node(op, out string, attrs map[string]any, in ...string) onnx.Node {
	return onnx.Node{Op: op, Name: out, Inputs: in, Outputs: []string{out}, Attrs: attrs}
}

// network is two convolutions, the first with a normalization and a clip behind it
// or a sigmoid beside it, and a last one that gives the output "y".
func network(kind string) *onnx.Builder {
	pads := map[string]any{"pads": []int64{1, 1, 1, 1}}
	b := &onnx.Builder{
		Name:    "network",
		Inputs:  []onnx.Value{{Name: "x", Dims: onnx.BatchDims(3, side, side)}},
		Outputs: []onnx.Value{{Name: "y", Dims: onnx.BatchDims(channels, side, side)}},
		Tensors: []onnx.Tensor{
			{Name: "w1", Dims: []int64{channels, 3, 3, 3}, Floats: numbers(1, channels*27, 0.5)},
			{Name: "w2", Dims: []int64{channels, channels, 1, 1}, Floats: numbers(2, channels*channels, 1)},
			{Name: "b2", Dims: []int64{channels}, Floats: numbers(3, channels, 1)},
			{Name: "w3", Dims: []int64{channels, channels, 1, 1}, Floats: numbers(4, channels*channels, 1)},
			{Name: "zero", Floats: []float32{0}},
			{Name: "six", Floats: []float32{6}},
			{Name: "gamma", Dims: []int64{channels}, Floats: []float32{1, 2, 0.5, -1}},
			{Name: "beta", Dims: []int64{channels}, Floats: []float32{0, 1, 0.2, 0.5}},
			{Name: "mean", Dims: []int64{channels}, Floats: []float32{0.1, -0.2, 0, 0.3}},
			{Name: "variance", Dims: []int64{channels}, Floats: []float32{1, 0.5, 2, 0.1}},
		},
		Nodes: []onnx.Node{node("Conv", "c1", pads, "x", "w1")},
	}
	switch kind {
	case "clip":
		b.Nodes = append(b.Nodes,
			node("BatchNormalization", "n1", map[string]any{"epsilon": float32(1e-3)}, "c1", "gamma", "beta", "mean", "variance"),
			node("Clip", "a1", nil, "n1", "zero", "six"))
	case "silu":
		b.Nodes = append(b.Nodes, node("Sigmoid", "s1", nil, "c1"), node("Mul", "m1", nil, "c1", "s1"),
			node("MaxPool", "p1", map[string]any{"kernel_shape": []int64{3, 3}, "pads": []int64{1, 1, 1, 1}}, "m1"),
			node("Add", "a1", nil, "m1", "p1"))
	}
	b.Nodes = append(b.Nodes,
		node("Conv", "c2", nil, "a1", "w2", "b2"),
		node("Conv", "y", nil, "c2", "w3"))
	return b
}

func file(t *testing.T, b *onnx.Builder) []byte {
	t.Helper()
	data, err := b.Bytes()
	require.NoError(t, err)
	return data
}

// feed runs a model on pictures given as numbers.
func feed(t *testing.T, rt *ort.Runtime, kind string, pictures ...[]float32) quantize.Feed {
	return func(ctx context.Context, model []byte, tensors []string, use func([][]float32)) error {
		s, err := rt.NewSession(model, ort.Info{Input: "x", Type: kind, Shape: []int64{1, 3, side, side}, Outputs: tensors}, ort.Options{})
		if err != nil {
			return err
		}
		defer func() { require.NoError(t, s.Close()) }()
		call, err := s.Acquire(1)
		if err != nil {
			return err
		}
		defer call.Release()
		for _, p := range pictures {
			copy(call.Input(), p)
			if err := call.Run(ctx); err != nil {
				return err
			}
			use(call.Outputs(nil, 0))
		}
		return nil
	}
}

// run returns a tensor for one picture.
func run(t *testing.T, rt *ort.Runtime, model []byte, tensor string, picture []float32) (out []float32) {
	t.Helper()
	require.NoError(t, feed(t, rt, "", picture)(t.Context(), model, []string{tensor}, func(v [][]float32) { out = slices.Clone(v[0]) }))
	return out
}

// floats runs the network in double precision, after the definitions.
func floats(b *onnx.Builder, kind string, x []float32, level func(name string, v float64) float64, weight func(w []float32) []float64) []float64 {
	at := func(p []float64, c, y, x int) float64 {
		if y < 0 || x < 0 || y >= side || x >= side {
			return 0
		}
		return p[(c*side+y)*side+x]
	}
	conv := func(name string, in []float64, from, kernel int, w, bias []float64) []float64 {
		out := make([]float64, channels*side*side)
		for o := range channels {
			for i := range side * side {
				sum := 0.0
				if bias != nil {
					sum = bias[o]
				}
				for c := range from {
					for k := range kernel * kernel {
						sum += w[(o*from+c)*kernel*kernel+k] * at(in, c, i/side+k/kernel-kernel/2, i%side+k%kernel-kernel/2)
					}
				}
				out[o*side*side+i] = sum
			}
		}
		return out
	}
	values := func(name string) []float64 {
		var list []float64
		for _, v := range b.Tensor(name).Floats {
			list = append(list, float64(v))
		}
		return list
	}
	each := func(name string, in []float64, f func(i int, v float64) float64) []float64 {
		out := make([]float64, len(in))
		for i, v := range in {
			out[i] = level(name, f(i, v))
		}
		return out
	}
	same := func(_ int, v float64) float64 { return v }
	in := make([]float64, len(x))
	for i, v := range x {
		in[i] = level("x", float64(v))
	}
	var a []float64
	if kind == "clip" {
		gamma, beta, mean, variance := values("gamma"), values("beta"), values("mean"), values("variance")
		w, bias := b.Tensor("w1").Floats, make([]float64, channels)
		folded := make([]float32, len(w))
		for c := range channels {
			f := gamma[c] / math.Sqrt(variance[c]+1e-3)
			for j := range 27 {
				folded[c*27+j] = float32(float64(w[c*27+j]) * f)
			}
			bias[c] = beta[c] - mean[c]*f
		}
		c1 := conv("c1", in, 3, 3, weight(folded), bias)
		a = each("a1", c1, func(_ int, v float64) float64 { return min(max(v, 0), 6) })
	} else {
		c1 := each("c1", conv("c1", in, 3, 3, weight(b.Tensor("w1").Floats), nil), same)
		s1 := each("s1", c1, func(_ int, v float64) float64 { return 1 / (1 + math.Exp(-v)) })
		m1 := each("m1", c1, func(i int, v float64) float64 { return v * s1[i] })
		a = each("a1", m1, func(i int, v float64) float64 {
			most := math.Inf(-1)
			c, y, x := i/(side*side), i/side%side, i%side
			for k := range 9 {
				if yy, xx := y+k/3-1, x+k%3-1; yy >= 0 && xx >= 0 && yy < side && xx < side {
					most = max(most, at(m1, c, yy, xx))
				}
			}
			return v + most
		})
	}
	c2 := each("c2", conv("c2", a, channels, 1, weight(b.Tensor("w2").Floats), values("b2")), same)
	return conv("y", c2, channels, 1, values("w3"), nil)
}

// TestInt8IsWhatItsNumbersSay compares a quantized network with a computation in
// double precision from the steps and levels that stand in its file.
func TestInt8IsWhatItsNumbersSay(t *testing.T) {
	for _, kind := range []string{"clip", "silu"} {
		for _, seven := range []bool{false, true} {
			t.Run(fmt.Sprint(kind, seven), func(t *testing.T) {
				rt := detecttest.Runtime(t)
				b := network(kind)
				pictures := [][]float32{numbers(10, 3*side*side, 2), numbers(11, 3*side*side, 2)}
				p, err := quantize.NewInt8(t.Context(), file(t, b), quantize.Int8Options{Calibration: quantize.MinMax, SevenBits: seven}, feed(t, rt, "", pictures...))
				require.NoError(t, err)
				require.Len(t, p.Nodes(), 2, "the last convolution stays in floats")
				model, err := p.Model(nil)
				require.NoError(t, err)
				q, err := onnx.Read(model)
				require.NoError(t, err)

				most := 127.0
				if seven {
					most = 63
				}
				level := func(name string, v float64) float64 {
					step := q.Tensor(name + " step")
					require.NotNil(t, step, name)
					s, zero := float64(step.Floats[0]), float64(q.Tensor(name + " zero").Raw[0])
					return (min(max(math.RoundToEven(v/s)+zero, 0), 255) - zero) * s
				}
				weight := func(w []float32) (list []float64) {
					for part := range slices.Chunk(w, len(w)/channels) {
						largest := 0.0
						for _, v := range part {
							largest = max(largest, math.Abs(float64(v)))
						}
						for _, v := range part {
							list = append(list, math.RoundToEven(float64(v)/(largest/most))*largest/most)
						}
					}
					return list
				}
				want := floats(b, kind, pictures[0], level, weight)
				got := run(t, rt, model, "y", pictures[0])
				float := floats(b, kind, pictures[0], func(_ string, v float64) float64 { return v }, plainWeights)
				var wrong, rounded float64
				for i := range want {
					wrong = max(wrong, math.Abs(want[i]-float64(got[i])))
					rounded = max(rounded, math.Abs(want[i]-float[i]))
				}
				// A level more or less where a sum lies between two, times the last weights.
				require.Less(t, wrong, 4*float64(q.Tensor("c2 step").Floats[0]))
				require.Less(t, rounded, 0.5, "8 bits are not far from floats")
				require.Positive(t, rounded)
			})
		}
	}
}

func plainWeights(w []float32) (list []float64) {
	for _, v := range w {
		list = append(list, float64(v))
	}
	return list
}

// TestInt8Keeps leaves operators in floats, all of them in the end.
func TestInt8Keeps(t *testing.T) {
	rt := detecttest.Runtime(t)
	picture := numbers(10, 3*side*side, 2)
	data := file(t, network("silu"))
	run8 := feed(t, rt, "", picture)
	p, err := quantize.NewInt8(t.Context(), data, quantize.Int8Options{}, run8)
	require.NoError(t, err)
	order, err := p.Sensitive(t.Context(), run8)
	require.NoError(t, err)
	require.ElementsMatch(t, p.Nodes(), order)
	before := run(t, rt, data, "y", picture)
	all, err := p.Model(p.Nodes())
	require.NoError(t, err)
	require.InDeltaSlice(t, before, run(t, rt, all, "y", picture), 1e-5, "nothing is quantized")
	one, err := p.Model(order[:1])
	require.NoError(t, err)
	q, err := onnx.Read(one)
	require.NoError(t, err)
	require.Nil(t, q.Tensor(order[0]+" weight levels"))
	require.NotNil(t, q.Tensor(order[1]+" weight levels"))
}

// TestInt8OfAnOldFile brings the operator set of a file up.
func TestInt8OfAnOldFile(t *testing.T) {
	rt := detecttest.Runtime(t)
	b := network("clip")
	b.Opsets = map[string]int64{"": 11}
	b.Nodes = append(b.Nodes[:len(b.Nodes)-1],
		node("Unsqueeze", "u", map[string]any{"axes": []int64{0}}, "c2"), node("Squeeze", "v", map[string]any{"axes": []int64{0}}, "u"),
		node("Conv", "y", nil, "v", "w3"))
	picture := numbers(10, 3*side*side, 2)
	p, err := quantize.NewInt8(t.Context(), file(t, b), quantize.Int8Options{Calibration: quantize.LeastError}, feed(t, rt, "", picture))
	require.NoError(t, err)
	model, err := p.Model(nil)
	require.NoError(t, err)
	q, err := onnx.Read(model)
	require.NoError(t, err)
	require.EqualValues(t, 13, q.Opsets[""])
	require.InDeltaSlice(t, run(t, rt, file(t, network("clip")), "y", picture), run(t, rt, model, "y", picture), 0.3)
}

// TestFloat16 runs a network with 16-bit floats beside the one it came from.
func TestFloat16(t *testing.T) {
	rt := detecttest.Runtime(t)
	picture := numbers(10, 3*side*side, 2)
	for _, kind := range []string{"clip", "silu"} {
		b := network(kind)
		b.Tensors = append(b.Tensors, onnx.Tensor{Name: "k", Dims: []int64{1}, Ints: []int64{channels * side * side}})
		// What follows the last weights, and operators that need 32 bits.
		b.Nodes = append(b.Nodes, node("Exp", "e", nil, "y"), node("Shape", "s", nil, "c2"), node("Cast", "z", map[string]any{"to": int64(1)}, "s"))
		b.Outputs = append(b.Outputs, onnx.Value{Name: "e", Open: true}, onnx.Value{Name: "c2", Open: true})
		data := file(t, b)
		model, err := quantize.Float16(data, false)
		require.NoError(t, err)
		h, err := onnx.Read(model)
		require.NoError(t, err)
		require.Equal(t, []string{"y", "e", "c2"}, []string{h.Outputs[0].Name, h.Outputs[1].Name, h.Outputs[2].Name})
		require.Nil(t, h.Tensor("w1"), "the wide weights are gone")
		require.Equal(t, "float16", h.Tensor("w1 as float16").Type)
		for _, name := range []string{"y", "e", "c2"} {
			want, got := run(t, rt, data, name, picture), run(t, rt, model, name, picture)
			for i := range want {
				require.InDelta(t, want[i], got[i], 0.02*max(1, math.Abs(float64(want[i]))), "%s %s", kind, name)
			}
			require.NotEqual(t, want, got)
		}
		model, err = quantize.Float16(data, true)
		require.NoError(t, err)
		m, err := onnx.Parse(model)
		require.NoError(t, err)
		require.Equal(t, detect.Float16, m.Inputs[0].Type)
		require.NoError(t, feed(t, rt, detect.Float16)(t.Context(), model, []string{"y"}, nil))
	}
}

func TestUnsuitable(t *testing.T) {
	none := func(context.Context, []byte, []string, func([][]float32)) error { return nil }
	half, err := quantize.Float16(file(t, network("clip")), false)
	require.NoError(t, err)
	old, loop, soft := network("clip"), network("clip"), network("clip")
	old.Opsets = map[string]int64{"": 9}
	loop.Nodes = append(loop.Nodes, node("Loop", "l", nil, "", "y"))
	soft.Opsets = map[string]int64{"": 11}
	soft.Nodes = append(soft.Nodes, node("Softmax", "l", nil, "y"))
	for name, c := range map[string]struct {
		data []byte
		text string
	}{
		"no model":    {[]byte("hello"), "not an ONNX model"},
		"no weights":  {detecttest.Identity(t), "no "},
		"16 bits":     {half, "16-bit floats already"},
		"old":         {file(t, old), "operator set is 9"},
		"loop":        {file(t, loop), "branches or loops"},
		"softmax":     {file(t, soft), "axis"},
		"no pictures": {file(t, network("clip")), "no calibration picture"},
	} {
		_, err := quantize.NewInt8(t.Context(), c.data, quantize.Int8Options{}, none)
		require.ErrorIs(t, err, quantize.ErrUnsuitable, name)
		require.ErrorContains(t, err, c.text, name)
	}
	_, err = quantize.Float16(detecttest.Identity(t), false)
	require.ErrorIs(t, err, quantize.ErrUnsuitable)
}
