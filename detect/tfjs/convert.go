package tfjs

import (
	"fmt"
	"slices"
	"strings"

	"detectd/detect/onnx"
)

// converter builds an ONNX graph from the outputs backwards. Pictures are NHWC
// in TensorFlow and NCHW in ONNX; a value is a picture until it is reshaped.
type converter struct {
	g    *graph
	b    *onnx.Builder
	done map[string]value // by TensorFlow name
	busy map[string]bool  // being converted, to find cycles
}

// value is a converted tensor.
type value struct {
	name    string // in the ONNX graph
	picture bool   // NCHW here, NHWC in the source
}

func newConverter(g *graph, b *onnx.Builder) *converter {
	return &converter{g: g, b: b, done: map[string]value{}, busy: map[string]bool{}}
}

// convert returns the ONNX value of a node, converting what it depends on first.
func (c *converter) convert(name string) (value, error) {
	name = strings.TrimSuffix(name, ":0")
	if v, ok := c.done[name]; ok {
		return v, nil
	}
	n, ok := c.g.nodes[name]
	if !ok {
		return value{}, fmt.Errorf("the graph has no node %q", name)
	}
	if c.busy[name] {
		return value{}, fmt.Errorf("the graph has a cycle at %q", name)
	}
	c.busy[name] = true
	defer delete(c.busy, name)
	v, err := c.operator(n)
	if err != nil {
		return value{}, fmt.Errorf("convert %s %q: %w", n.Op, name, err)
	}
	c.done[name] = v
	return v, nil
}

func (c *converter) operator(n *node) (value, error) {
	switch n.Op {
	case "Conv2D":
		return c.conv(n, false)
	case "DepthwiseConv2dNative":
		return c.conv(n, true)
	case "Add", "AddV2", "AddN", "BiasAdd", "Mul", "Sub":
		return c.elementwise(n)
	case "FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3":
		return c.batchNorm(n)
	case "Relu6":
		lo, hi := c.scalar("zero", 0), c.scalar("six", 6)
		return c.unary(n, "Clip", lo, hi)
	case "Relu", "Sigmoid", "Identity":
		return c.unary(n, n.Op)
	case "Reshape":
		return c.reshape(n)
	case "ConcatV2":
		return c.concat(n)
	case "Squeeze":
		return c.squeeze(n)
	default:
		return value{}, fmt.Errorf("operator %s is not supported", n.Op)
	}
}

// emit adds a node with one output named like the TensorFlow node.
func (c *converter) emit(op, name string, inputs []string, attrs map[string]any) string {
	c.b.Nodes = append(c.b.Nodes, onnx.Node{
		Op: op, Name: name, Inputs: inputs, Outputs: []string{name}, Attrs: attrs,
	})
	return name
}

func (c *converter) tensor(t onnx.Tensor) string {
	if !slices.ContainsFunc(c.b.Tensors, func(o onnx.Tensor) bool { return o.Name == t.Name }) {
		c.b.Tensors = append(c.b.Tensors, t)
	}
	return t.Name
}

func (c *converter) scalar(name string, v float32) string {
	return c.tensor(onnx.Tensor{Name: name, Floats: []float32{v}})
}

// constant returns the value of an input that must be a constant.
func (c *converter) constant(n *node, i int) (constant, error) {
	if i >= len(n.Input) {
		return constant{}, fmt.Errorf("input %d is missing", i)
	}
	v, ok := c.g.values[n.Input[i]]
	if !ok {
		return constant{}, fmt.Errorf("input %q is not a constant", n.Input[i])
	}
	return v, nil
}

// input converts input i.
func (c *converter) input(n *node, i int) (value, error) {
	if i >= len(n.Input) {
		return value{}, fmt.Errorf("input %d is missing", i)
	}
	return c.convert(n.Input[i])
}

func (c *converter) unary(n *node, op string, more ...string) (value, error) {
	in, err := c.input(n, 0)
	if err != nil {
		return value{}, err
	}
	return value{c.emit(op, n.Name, append([]string{in.name}, more...), nil), in.picture}, nil
}

func (c *converter) conv(n *node, depthwise bool) (value, error) {
	in, err := c.input(n, 0)
	if err != nil {
		return value{}, err
	}
	w, err := c.constant(n, 1)
	if err != nil {
		return value{}, err
	}
	strides, dilations := n.Attr["strides"].List.I, n.Attr["dilations"].List.I
	if dilations == nil {
		dilations = []integer{1, 1, 1, 1}
	}
	if !in.picture || len(w.shape) != 4 || len(w.floats) == 0 || len(strides) != 4 || len(dilations) != 4 {
		return value{}, fmt.Errorf("only two-dimensional convolutions are supported")
	}
	if f := n.Attr["data_format"].S; f != "NHWC" && f != "" {
		return value{}, fmt.Errorf("data format %q is not supported", f)
	}
	pad := map[text]string{"SAME": "SAME_UPPER", "VALID": "VALID"}[n.Attr["padding"].S]
	if pad == "" {
		return value{}, fmt.Errorf("padding %q is not supported", n.Attr["padding"].S)
	}
	h, wd, ci, co := w.shape[0], w.shape[1], w.shape[2], w.shape[3]
	weights, group := onnx.Tensor{Name: n.Name + "/weights"}, int64(1)
	if depthwise { // h,w,channels,multiplier → channels·multiplier,1,h,w
		weights.Dims, group = []int64{ci * co, 1, h, wd}, ci
		weights.Floats = permute(w.floats, w.shape, [4]int{2, 3, 0, 1})
	} else { // h,w,in,out → out,in,h,w
		weights.Dims = []int64{co, ci, h, wd}
		weights.Floats = permute(w.floats, w.shape, [4]int{3, 2, 0, 1})
	}
	out := c.emit("Conv", n.Name, []string{in.name, c.tensor(weights)}, map[string]any{
		"kernel_shape": []int64{h, wd},
		"strides":      []int64{int64(strides[1]), int64(strides[2])},
		"dilations":    []int64{int64(dilations[1]), int64(dilations[2])},
		"group":        group,
		"auto_pad":     pad,
	})
	return value{out, true}, nil
}

// permute transposes a tensor of four dimensions.
func permute(src []float32, shape []int64, order [4]int) []float32 {
	stride := [4]int64{shape[1] * shape[2] * shape[3], shape[2] * shape[3], shape[3], 1}
	dst := make([]float32, 0, len(src))
	for a := range shape[order[0]] {
		for b := range shape[order[1]] {
			for c := range shape[order[2]] {
				for d := range shape[order[3]] {
					at := a*stride[order[0]] + b*stride[order[1]] + c*stride[order[2]] + d*stride[order[3]]
					dst = append(dst, src[at])
				}
			}
		}
	}
	return dst
}

// elementwise converts sums and products. Constants beside a picture must be
// scalars or one number per channel, TensorFlow's last dimension.
func (c *converter) elementwise(n *node) (value, error) {
	var names []string
	picture := false
	for i, in := range n.Input {
		if _, ok := c.g.values[in]; ok {
			continue
		}
		v, err := c.input(n, i)
		if err != nil {
			return value{}, err
		}
		picture = picture || v.picture
	}
	for i, in := range n.Input {
		k, ok := c.g.values[in]
		if !ok {
			v := c.done[strings.TrimSuffix(in, ":0")]
			if v.picture != picture {
				return value{}, fmt.Errorf("inputs of different layouts")
			}
			names = append(names, v.name)
			continue
		}
		t := onnx.Tensor{Name: fmt.Sprintf("%s/const%d", n.Name, i), Dims: k.shape, Floats: k.floats}
		if len(k.floats) == 0 || picture && len(k.shape) > 1 {
			return value{}, fmt.Errorf("constant of shape %v is not supported", k.shape)
		}
		if picture && len(k.shape) == 1 {
			t.Dims = []int64{1, k.shape[0], 1, 1}
		}
		names = append(names, c.tensor(t))
	}
	op := map[string]string{"Mul": "Mul", "Sub": "Sub"}[n.Op]
	if op == "" {
		op = "Add"
	}
	if op == "Add" && len(names) != 2 {
		op = "Sum"
	}
	return value{c.emit(op, n.Name, names, nil), picture}, nil
}

func (c *converter) batchNorm(n *node) (value, error) {
	in, err := c.input(n, 0)
	if err != nil {
		return value{}, err
	}
	if n.Attr["is_training"].B || !in.picture {
		return value{}, fmt.Errorf("only inference on pictures is supported")
	}
	names := []string{in.name}
	for i := 1; i < 5; i++ { // gamma, beta, mean, variance: ONNX's order too
		k, err := c.constant(n, i)
		if err != nil {
			return value{}, err
		}
		names = append(names, c.tensor(onnx.Tensor{Name: n.Input[i], Dims: k.shape, Floats: k.floats}))
	}
	eps := float32(1e-4) // TensorFlow's default
	if f := n.Attr["epsilon"].F; f != nil {
		eps = *f
	}
	return value{c.emit("BatchNormalization", n.Name, names, map[string]any{"epsilon": eps}), true}, nil
}

// reshape turns a picture back to NHWC first. The first dimension may be taken
// from a tensor's shape (the batch); it stays dynamic.
func (c *converter) reshape(n *node) (value, error) {
	in, err := c.input(n, 0)
	if err != nil {
		return value{}, err
	}
	if len(n.Input) < 2 {
		return value{}, fmt.Errorf("the shape is missing")
	}
	var dims []int64
	if k, ok := c.g.values[n.Input[1]]; ok {
		dims = k.ints
	} else if dims, err = c.packed(n.Input[1]); err != nil {
		return value{}, err
	}
	name := in.name
	if in.picture {
		name = c.emit("Transpose", n.Name+"/nhwc", []string{name}, map[string]any{"perm": []int64{0, 2, 3, 1}})
	}
	shape := c.tensor(onnx.Tensor{Name: n.Name + "/shape", Dims: []int64{int64(len(dims))}, Ints: dims})
	return value{c.emit("Reshape", n.Name, []string{name, shape}, nil), false}, nil
}

// packed reads a shape put together by Pack: the batch first, then constants.
// The batch becomes 0, which is ONNX's "as in the input".
func (c *converter) packed(name string) ([]int64, error) {
	p, ok := c.g.nodes[name]
	if !ok || p.Op != "Pack" || len(p.Input) == 0 {
		return nil, fmt.Errorf("shape %q is not known", name)
	}
	if first, ok := c.g.nodes[p.Input[0]]; !ok || first.Op != "StridedSlice" {
		return nil, fmt.Errorf("shape %q does not start with the batch", name)
	}
	dims := []int64{0}
	for i := 1; i < len(p.Input); i++ {
		k, err := c.constant(p, i)
		if err != nil {
			return nil, err
		}
		if len(k.ints) != 1 {
			return nil, fmt.Errorf("shape %q has a part that is not one number", name)
		}
		dims = append(dims, k.ints[0])
	}
	return dims, nil
}

func (c *converter) concat(n *node) (value, error) {
	last := len(n.Input) - 1
	axis, err := c.constant(n, max(last, 0))
	if err != nil {
		return value{}, err
	}
	if len(axis.ints) != 1 {
		return value{}, fmt.Errorf("the axis is not one number")
	}
	at, picture := axis.ints[0], false
	var names []string
	for i := range last {
		v, err := c.input(n, i)
		if err != nil {
			return value{}, err
		}
		if i > 0 && v.picture != picture {
			return value{}, fmt.Errorf("inputs of different layouts")
		}
		picture = v.picture
		names = append(names, v.name)
	}
	if picture {
		if at < -4 || at > 3 {
			return value{}, fmt.Errorf("axis %d is out of range", at)
		}
		at = [4]int64{0, 2, 3, 1}[(at+4)%4]
	}
	return value{c.emit("Concat", n.Name, names, map[string]any{"axis": at}), picture}, nil
}

func (c *converter) squeeze(n *node) (value, error) {
	in, err := c.input(n, 0)
	if err != nil {
		return value{}, err
	}
	if in.picture {
		return value{}, fmt.Errorf("squeezing a picture is not supported")
	}
	var axes []int64
	for _, a := range n.Attr["squeeze_dims"].List.I {
		axes = append(axes, int64(a))
	}
	if len(axes) == 0 {
		return value{}, fmt.Errorf("the dimensions are not named")
	}
	t := c.tensor(onnx.Tensor{Name: n.Name + "/axes", Dims: []int64{int64(len(axes))}, Ints: axes})
	return value{c.emit("Squeeze", n.Name, []string{in.name, t}, nil), false}, nil
}
