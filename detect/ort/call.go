package ort

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"unsafe"

	ort "github.com/yalue/onnxruntime_go"

	"detectd/detect"
)

// Call is a set of tensors for running a session once. It may be used by one
// goroutine at a time.
type Call struct {
	s       *Session
	session *ort.DynamicAdvancedSession
	batch   int
	wanted  int // pictures of these that were asked for
	input   []byte
	outputs [][]float32
	in, out []ort.Value
	options *ort.RunOptions // made when first needed
	binding *ort.IoBinding  // nil where inputs and outputs are given with each run
	memory  []block
}

func (s *Session) newCall(batch int) (*Call, error) {
	c := &Call{s: s, session: s.size(batch).s, batch: batch}
	if err := c.makeInputs(); err != nil {
		c.destroy()
		return nil, err
	}
	for i, o := range s.outputs {
		shape := ort.Shape(slices.Clone(o.dims))
		if o.batched {
			shape[0] = int64(batch)
		}
		p, n, err := c.allocate(shape, 4)
		var v ort.Value
		if err == nil {
			data := unsafe.Slice((*float32)(p), n)
			c.outputs = append(c.outputs, data)
			v, err = ort.NewTensor(shape, data)
		}
		if err != nil {
			c.destroy()
			return nil, fmt.Errorf("make output %q: %w", s.info.Outputs[i], err)
		}
		c.out = append(c.out, v)
	}
	if s.bind {
		if err := c.makeBinding(); err != nil {
			c.destroy()
			return nil, fmt.Errorf("bind inputs and outputs: %w", err)
		}
	}
	return c, nil
}

// makeInputs makes the picture tensor and the constants.
func (c *Call) makeInputs() error {
	info := &c.s.info
	v, data, err := c.tensor(info.Type, c.s.inputShape(c.batch))
	if err != nil {
		return fmt.Errorf("make input: %w", err)
	}
	c.input, c.in = data, append(c.in, v)
	for _, k := range info.Constants {
		shape := ort.Shape(slices.Clone(k.Shape))
		if len(shape) > 0 && shape[0] == 0 {
			shape[0] = int64(c.batch)
		}
		v, data, err := c.tensor(k.Type, shape)
		if err != nil {
			return fmt.Errorf("make input %q: %w", k.Name, err)
		}
		c.in = append(c.in, v)
		if err := encode(data, k, shape.FlattenedSize()); err != nil {
			return err
		}
	}
	return nil
}

// encode writes a constant's values as often as they fit.
func encode(data []byte, k Constant, n int64) error {
	if len(k.Values) == 0 || n%int64(len(k.Values)) != 0 {
		return fmt.Errorf("input %q has room for %d numbers (got %d)", k.Name, n, len(k.Values))
	}
	for i := range int(n) {
		v := k.Values[i%len(k.Values)]
		switch k.Type {
		case "int64":
			binary.NativeEndian.PutUint64(data[8*i:], uint64(int64(v)))
		case "int32":
			binary.NativeEndian.PutUint32(data[4*i:], uint32(int32(v)))
		case "float64":
			binary.NativeEndian.PutUint64(data[8*i:], math.Float64bits(v))
		case "float32":
			binary.NativeEndian.PutUint32(data[4*i:], math.Float32bits(float32(v)))
		default:
			return fmt.Errorf("input %q has the type %s", k.Name, k.Type)
		}
	}
	return nil
}

// tensor makes a tensor of an element type in C memory.
func (c *Call) tensor(kind string, shape ort.Shape) (ort.Value, []byte, error) {
	number, size := elementType(kind)
	if size == 0 {
		return nil, nil, fmt.Errorf("element type %q is not one of inputs", kind)
	}
	p, n, err := c.allocate(shape, size)
	if err != nil {
		return nil, nil, err
	}
	data := unsafe.Slice((*byte)(p), n*int64(size))
	v, err := ort.NewCustomDataTensor(shape, data, number)
	if err != nil {
		return nil, nil, err
	}
	return v, data, nil
}

func elementType(kind string) (number ort.TensorElementDataType, bytes int) {
	switch kind {
	case "", detect.Float32:
		return ort.TensorElementDataTypeFloat, 4
	case detect.Float16:
		return ort.TensorElementDataTypeFloat16, 2
	case detect.Uint8:
		return ort.TensorElementDataTypeUint8, 1
	case "float64":
		return ort.TensorElementDataTypeDouble, 8
	case "int32":
		return ort.TensorElementDataTypeInt32, 4
	case "int64":
		return ort.TensorElementDataTypeInt64, 8
	default:
		return ort.TensorElementDataTypeUndefined, 0
	}
}

// maxElements bounds a tensor: what a batch of 16 large pictures has.
const maxElements = 1 << 31

// allocate makes room for a tensor in C memory, all zero.
func (c *Call) allocate(shape ort.Shape, size int) (unsafe.Pointer, int64, error) {
	n := int64(1)
	for _, d := range shape {
		if d < 1 || d > maxElements/n {
			return nil, 0, fmt.Errorf("shape %v is out of range", shape)
		}
		n *= d
	}
	b, err := newBlock(n*int64(size), c.s.gpu, c.s.device)
	if err != nil {
		return nil, 0, err
	}
	c.memory = append(c.memory, b)
	return b.p, n, nil
}

// Bytes is the space for the pictures, one after the other, in the element type
// of the input.
func (c *Call) Bytes() []byte { return c.input }

// Input is Bytes as numbers, for inputs of 32-bit floats; nil for others.
func (c *Call) Input() []float32 {
	if t := c.s.info.Type; t != "" && t != detect.Float32 {
		return nil
	}
	return unsafe.Slice((*float32)(unsafe.Pointer(&c.input[0])), len(c.input)/4)
}

// Outputs fills dst with each output's part for picture i, in the order of
// Info.Outputs. It is valid until Release.
func (c *Call) Outputs(dst [][]float32, i int) [][]float32 {
	dst = dst[:0]
	for k, data := range c.outputs {
		if c.s.outputs[k].batched {
			n := len(data) / c.batch
			data = data[i*n : (i+1)*n]
		}
		dst = append(dst, data)
	}
	return dst
}

// maxIdle bounds the calls kept per batch size: a call of the default model is
// about 2 MB per picture.
const maxIdle = 16

// Release gives the tensors back for reuse.
func (c *Call) Release() {
	c.s.mu.Lock()
	keep := c.s.free != nil && len(c.s.free[c.batch]) < maxIdle
	if keep {
		c.s.free[c.batch] = append(c.s.free[c.batch], c)
	}
	c.s.mu.Unlock()
	if !keep {
		c.destroy()
	}
}

func (c *Call) destroy() {
	for _, v := range append(c.in, c.out...) {
		if v != nil {
			_ = v.Destroy() // cannot fail
		}
	}
	if c.options != nil {
		_ = c.options.Destroy() // cannot fail
	}
	if c.binding != nil {
		_ = c.binding.Destroy() // cannot fail
	}
	for _, b := range c.memory {
		b.free()
	}
	c.in, c.out, c.memory, c.options, c.binding = nil, nil, nil, nil, nil
}
