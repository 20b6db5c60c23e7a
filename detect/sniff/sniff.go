// Package sniff has what detector families share when they look at the signature
// of a model without a contract: its picture input, the class names and sizes in
// its metadata, and the numbers of cells of its grids.
package sniff

import (
	"slices"
	"strconv"

	"detectd/detect"
	"detectd/detect/literal"
)

// defaultSide is the width and height of models with a free size whose metadata
// gives none: what most are trained with.
const defaultSide = 640

// defaultStride divides the sides of models with a free size.
const defaultStride = 32

// sizeInputs are names under which graphs take the width and height to which
// their boxes refer.
var sizeInputs = []string{"orig_target_sizes", "orig_target_size", "orig_size"}

// Picture finds the one picture input: four dimensions, three colour channels. It
// fills in name, layout, element type, size and batch. A free size is taken from
// the metadata (imgsz, or imgsz_h and imgsz_w, and stride), else 640x640. Models
// that take whole bytes scale them by themselves, so that Scale is 1 and nothing
// is subtracted; other values are for the family to set.
func Picture(s detect.Signature) (detect.Input, bool) {
	found := detect.Input{Layout: detect.NCHW, Scale: 1, Std: [3]float32{1, 1, 1}}
	n := 0
	for _, t := range s.Inputs {
		if len(t.Shape) != 4 || !slices.Contains([]string{detect.Float32, detect.Float16, detect.Uint8}, t.Type) {
			continue
		}
		in := found
		in.Name, in.Batch = t.Name, int(max(t.Shape[0], 0))
		if t.Type != detect.Float32 {
			in.Type = t.Type
		}
		switch {
		case t.Shape[1] == 3:
			in.Height, in.Width = int(max(t.Shape[2], 0)), int(max(t.Shape[3], 0))
		case t.Shape[3] == 3:
			in.Layout = detect.NHWC
			in.Height, in.Width = int(max(t.Shape[1], 0)), int(max(t.Shape[2], 0))
		case t.Shape[1] == -1 && t.Shape[3] != 1: // all free
		default:
			continue
		}
		if n++; n == 1 {
			size(&in, s.Metadata)
			found = in
		}
	}
	return found, n == 1
}

// size chooses the sides that the graph leaves free.
func size(in *detect.Input, metadata map[string]string) {
	if in.Width > 0 && in.Height > 0 {
		return
	}
	in.Stride = defaultStride
	if n, err := literal.Ints(metadata["stride"]); err == nil && len(n) > 0 && n[0] > 0 {
		in.Stride = slices.Max(n)
	}
	h, w := defaultSide, defaultSide
	if n, err := literal.Ints(metadata["imgsz"]); err == nil && len(n) > 0 && n[0] > 0 {
		h, w = n[0], n[len(n)-1]
	}
	for key, side := range map[string]*int{"imgsz_h": &h, "imgsz_w": &w} {
		if n, err := literal.Ints(metadata[key]); err == nil && n[0] > 0 {
			*side = n[0]
		}
	}
	if in.Height == 0 {
		in.Height = h
	}
	if in.Width == 0 {
		in.Width = w
	}
}

// Normal sets the scale, mean and standard deviation of pictures in 0..1, unless
// the model takes bytes.
func Normal(in *detect.Input, mean, std [3]float32) {
	if in.Type != detect.Uint8 {
		in.Scale, in.Mean, in.Std = 1.0/255, mean, std
	}
}

// Constants gives the inputs beside the picture that are known: the size to which
// the boxes refer, which is that of the model's input. It is false when there is
// another one.
func Constants(s detect.Signature, in detect.Input) (map[string][]float64, bool) {
	var constants map[string][]float64
	for _, t := range s.Inputs {
		if t.Name == in.Name {
			continue
		}
		if !slices.Contains(sizeInputs, t.Name) || len(t.Shape) == 0 || t.Shape[len(t.Shape)-1] != 2 {
			return nil, false
		}
		if constants == nil {
			constants = map[string][]float64{}
		}
		constants[t.Name] = []float64{float64(in.Width), float64(in.Height)}
	}
	return constants, true
}

// Names returns the class names in the metadata ("names", as Ultralytics and
// others write it), nil when there are none that can be read.
func Names(s detect.Signature) []string {
	names, err := literal.Names(s.Metadata["names"])
	if err != nil || len(names) == 0 {
		return nil
	}
	return names
}

// Labels returns the names for n score columns: those of the metadata when they
// are as many, COCO's for 80, else numbers.
func Labels(s detect.Signature, n int) []string {
	if names := Names(s); len(names) == n {
		return names
	}
	if coco := detect.COCOLabels(); n == len(coco) {
		return coco
	}
	list := make([]string, max(n, 0))
	for i := range list {
		list[i] = "class " + strconv.Itoa(i)
	}
	return list
}

// FitOf grades a family that needs n score columns: names in the metadata decide,
// else 80 classes or the family's usual names of tensors make it likely.
func FitOf(s detect.Signature, n int, conventional bool) detect.Fit {
	names := Names(s)
	switch {
	case n < 1:
		return detect.NoFit
	case names != nil && len(names) == n:
		return detect.Certain
	case names != nil:
		return detect.NoFit
	case conventional || n == len(detect.COCOLabels()):
		return detect.Likely
	default:
		return detect.Possible
	}
}

// Cells is the number of cells of the grids that the strides lay over an input,
// cut off at its right and lower edge.
func Cells(in detect.Input, strides ...int) int {
	n := 0
	for _, s := range strides {
		n += (in.Width / s) * (in.Height / s)
	}
	return n
}

// Shape returns the shape of an output for one picture, without the batch. It is
// false for types that are no numbers and for shapes that are not fully known.
func Shape(t detect.TensorInfo) ([]int64, bool) {
	if !slices.Contains([]string{detect.Float32, detect.Float16, "float64", "int32", "int64"}, t.Type) || len(t.Shape) < 2 {
		return nil, false
	}
	for _, n := range t.Shape[1:] {
		if n < 1 {
			return nil, false
		}
	}
	return t.Shape[1:], true
}

// Single returns the shape of the one output, for families that have one.
func Single(s detect.Signature, dims int) (name string, shape []int64, ok bool) {
	if len(s.Outputs) == 0 {
		return "", nil, false
	}
	shape, ok = Shape(s.Outputs[0])
	return s.Outputs[0].Name, shape, ok && len(s.Outputs) == 1 && len(shape) == dims
}
