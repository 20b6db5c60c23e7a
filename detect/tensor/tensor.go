// Package tensor turns libav frames into the picture tensors of models in one
// pass: resize, letterbox, turning, colour conversion, scaling and layout together,
// by a C kernel that works on the frame's own planes.
//
// It takes every libav pixel format with 8 to 16 bits per component in separate
// or interleaved planes: YUV of all subsamplings, RGB and grey. Alpha is left out.
// It writes 32-bit or 16-bit floats or bytes. The colour matrix and the range are
// those that frame.ColourOf tells.
package tensor

/*
#cgo pkg-config: libavutil
#cgo CFLAGS: -O3
#cgo LDFLAGS: -lm
#include "kernel.h"
*/
import "C"

import (
	"errors"
	"fmt"
	"math"
	"runtime"
	"sync"
	"unsafe"

	"detectd/detect"
	"detectd/pipeline/frame"
)

// ErrFormat is returned for frames whose pixel format the kernel does not read.
var ErrFormat = errors.New("unsupported pixel format")

// maxPlans bounds the tables kept for picture sizes seen (about 20 KB each).
const maxPlans = 64

// maxSide bounds the sides of pictures and inputs in pixels.
const maxSide = 1 << 15

// Filler writes pictures into the input of one model. It is safe for concurrent use.
type Filler struct {
	in detect.Input

	mu    sync.RWMutex // guards plans
	plans map[planKey]*plan
}

type planKey struct {
	source Source
	format int
}

// plan is a set of tables; the garbage collector frees the C side when neither
// the cache nor a running Fill holds it any more.
type plan struct {
	c        *C.dt_plan
	geometry Geometry
}

// New checks the description of an input and returns a Filler for it.
func New(in detect.Input) (*Filler, error) {
	if in.Width < 1 || in.Height < 1 || in.Width > maxSide || in.Height > maxSide {
		return nil, fmt.Errorf("input of %d by %d pixels is out of range", in.Width, in.Height)
	}
	if in.Layout != detect.NCHW && in.Layout != detect.NHWC {
		return nil, fmt.Errorf("unknown input layout %q", in.Layout)
	}
	if in.Colour != detect.RGB && in.Colour != detect.BGR {
		return nil, fmt.Errorf("unknown colour order %q", in.Colour)
	}
	switch in.Resize {
	case detect.Stretch, detect.LetterboxTop, detect.LetterboxCentre:
	default:
		return nil, fmt.Errorf("unknown way to resize %q", in.Resize)
	}
	if _, bytes := elementType(in); bytes == 0 {
		return nil, fmt.Errorf("unknown input type %q", in.Type)
	}
	if !finite(in.Scale, in.Mean[0], in.Mean[1], in.Mean[2], in.Std[0], in.Std[1], in.Std[2]) {
		return nil, errors.New("input scale, mean and standard deviation must be finite")
	}
	if in.Scale == 0 {
		return nil, errors.New("input scale is zero")
	}
	for _, s := range in.Std {
		if s == 0 {
			return nil, errors.New("input standard deviation is zero")
		}
	}
	return &Filler{in: in, plans: map[planKey]*plan{}}, nil
}

// elementType gives the kernel's number of an element type and its size in bytes,
// 0 for a type that it does not write.
func elementType(in detect.Input) (number C.int, bytes int) {
	switch in.ElementType() {
	case detect.Float32:
		return C.DT_FLOAT32, 4
	case detect.Float16:
		return C.DT_FLOAT16, 2
	case detect.Uint8:
		return C.DT_UINT8, 1
	default:
		return 0, 0
	}
}

func finite(list ...float32) bool {
	for _, v := range list {
		if math.IsNaN(float64(v)) || math.IsInf(float64(v), 0) {
			return false
		}
	}
	return true
}

// Size is the number of values of one picture.
func (f *Filler) Size() int { return 3 * f.in.Width * f.in.Height }

// Bytes is the number of bytes of one picture.
func (f *Filler) Bytes() int {
	_, bytes := elementType(f.in)
	return f.Size() * bytes
}

// Fill is FillBytes for inputs of 32-bit floats: dst has Size values.
func (f *Filler) Fill(dst []float32, fr *frame.Frame) (Geometry, error) {
	if t := f.in.ElementType(); t != detect.Float32 {
		return Geometry{}, fmt.Errorf("the input takes %s", t)
	}
	if len(dst) == 0 {
		return Geometry{}, errors.New("tensor of 0 values is too small")
	}
	return f.FillBytes(unsafe.Slice((*byte)(unsafe.Pointer(&dst[0])), 4*len(dst)), fr)
}

// Blank writes a picture of one grey level, 0 to 255, to dst, which has Bytes
// bytes and is aligned for the element type.
func (f *Filler) Blank(dst []byte, level uint8) error {
	if len(dst) < f.Bytes() {
		return fmt.Errorf("tensor of %d bytes is too small for %d", len(dst), f.Bytes())
	}
	t := f.target(Geometry{})
	t.pad = C.float(level)
	C.dt_blank(&t, unsafe.Pointer(&dst[0]))
	return nil
}

// FillBytes writes the picture to dst, which has Bytes bytes and is aligned for
// the element type, and tells where the picture lies in it. The frame stays owned
// by the caller.
func (f *Filler) FillBytes(dst []byte, fr *frame.Frame) (Geometry, error) {
	if len(dst) < f.Bytes() {
		return Geometry{}, fmt.Errorf("tensor of %d bytes is too small for %d", len(dst), f.Bytes())
	}
	av := fr.AV()
	key := planKey{SourceOf(fr), int(av.PixelFormat())}
	f.mu.RLock()
	p := f.plans[key]
	f.mu.RUnlock()
	if p == nil {
		var err error
		if p, err = f.add(key); err != nil {
			return Geometry{}, fmt.Errorf("prepare %dx%d %s: %w", key.source.W, key.source.H, av.PixelFormat(), err)
		}
	}
	colour := frame.ColourOf(av)
	rc := C.dt_fill(p.c, (*C.AVFrame)(av.UnsafePointer()), C.int(colour.Matrix), truth(colour.Full), unsafe.Pointer(&dst[0]))
	runtime.KeepAlive(p)
	if rc != 0 {
		return Geometry{}, fmt.Errorf("convert %dx%d %s: %w", key.source.W, key.source.H, av.PixelFormat(), reason(rc))
	}
	return p.geometry, nil
}

// add makes the tables for a picture size. When too many have been seen, all go.
func (f *Filler) add(key planKey) (*plan, error) {
	src := key.source
	if src.W < 1 || src.H < 1 || src.W > maxSide || src.H > maxSide {
		return nil, fmt.Errorf("sides of pictures have 1 to %d pixels", maxSide)
	}
	g := NewGeometry(f.in, src)
	t := f.target(g)
	var rc C.int
	c := C.dt_plan_new(&t, C.int(src.W), C.int(src.H), C.int(key.format), &rc)
	if c == nil {
		return nil, reason(rc)
	}
	p := &plan{c: c, geometry: g}
	runtime.AddCleanup(p, func(c *C.dt_plan) { C.dt_plan_free(c) }, c)
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.plans) >= maxPlans {
		clear(f.plans)
	}
	f.plans[key] = p
	return p, nil
}

func (f *Filler) target(g Geometry) C.dt_target {
	number, _ := elementType(f.in)
	t := C.dt_target{
		width: C.int(f.in.Width), height: C.int(f.in.Height),
		left: C.int(g.Left), top: C.int(g.Top), cols: C.int(g.Cols), rows: C.int(g.Rows),
		pad:   C.float(f.in.Pad),
		_type: number,
	}
	swapped, fromRight, fromBottom := g.Orientation.Parts()
	t.planar, t.bgr = truth(f.in.Layout == detect.NCHW), truth(f.in.Colour == detect.BGR)
	t.swapped, t.from_right, t.from_bottom = truth(swapped), truth(fromRight), truth(fromBottom)
	for i := range 3 {
		t.mul[i] = C.float(f.in.Scale / f.in.Std[i])
		t.add[i] = C.float(-f.in.Mean[i] / f.in.Std[i])
	}
	return t
}

func truth(b bool) C.int {
	if b {
		return 1
	}
	return 0
}

func reason(rc C.int) error {
	switch rc {
	case C.DT_NO_MEMORY:
		return errors.New("out of memory")
	case C.DT_FORMAT:
		return ErrFormat
	default:
		return errors.New("the frame does not match its description")
	}
}
