package ort

/*
#include <stdlib.h>
*/
import "C"

import (
	"errors"
	"fmt"
	"unsafe"

	ort "github.com/yalue/onnxruntime_go"
)

// Call is a set of tensors for running a session once. It may be used by one
// goroutine at a time.
type Call struct {
	s       *Session
	batch   int
	input   []float32
	outputs [][]float32
	in, out []ort.Value
	memory  []unsafe.Pointer // C allocations
}

func (s *Session) newCall(batch int) (*Call, error) {
	c := &Call{s: s, batch: batch}
	data, v, err := c.tensor(s.inputShape(batch))
	if err != nil {
		c.destroy()
		return nil, fmt.Errorf("make input: %w", err)
	}
	c.input, c.in = data, []ort.Value{v}
	for i, o := range s.outputs {
		shape := ort.NewShape(o.dims...)
		if o.batched {
			shape[0] = int64(batch)
		}
		data, v, err := c.tensor(shape)
		if err != nil {
			c.destroy()
			return nil, fmt.Errorf("make output %q: %w", s.info.Outputs[i], err)
		}
		c.outputs, c.out = append(c.outputs, data), append(c.out, v)
	}
	return c, nil
}

// tensor makes a tensor in C memory.
func (c *Call) tensor(shape ort.Shape) ([]float32, ort.Value, error) {
	n := shape.FlattenedSize()
	p := C.calloc(C.size_t(max(n, 1)), 4)
	if p == nil {
		return nil, nil, errors.New("out of memory")
	}
	c.memory = append(c.memory, p)
	data := unsafe.Slice((*float32)(p), n)
	t, err := ort.NewTensor(shape, data)
	if err != nil {
		return nil, nil, err
	}
	return data, t, nil
}

// Input is the space for the pictures, one after the other.
func (c *Call) Input() []float32 { return c.input }

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
		_ = v.Destroy() // cannot fail
	}
	for _, p := range c.memory {
		C.free(p)
	}
	c.in, c.out, c.memory = nil, nil, nil
}
