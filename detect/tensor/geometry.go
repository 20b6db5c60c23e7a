package tensor

import (
	"math"

	"detectd/detect"
	"detectd/pipeline/frame"
)

// Source is what places a picture in a model's input.
type Source struct {
	W, H        int     // as stored, pixels
	Aspect      float64 // width of a stored pixel by its height; 0: square
	Orientation frame.Orientation
}

// SourceOf describes a frame.
func SourceOf(f *frame.Frame) Source {
	s := Source{W: f.Width(), H: f.Height(), Orientation: f.Orientation}
	if a := f.Aspect(); a != 1 {
		s.Aspect = a
	}
	return s
}

// Geometry says where a source picture lies in a model's input.
type Geometry struct {
	SrcW, SrcH  int // of the source picture as stored, pixels
	Orientation frame.Orientation
	// Left, Top, Cols and Rows are the part of the input that the upright picture
	// fills, in pixels of the input.
	Left, Top, Cols, Rows int
}

// NewGeometry places a picture in a model's input, upright and in the shape in
// which it is shown.
func NewGeometry(in detect.Input, s Source) Geometry {
	g := Geometry{SrcW: s.W, SrcH: s.H, Orientation: s.Orientation, Cols: in.Width, Rows: in.Height}
	if in.Resize == detect.Stretch || in.Resize == "" {
		return g
	}
	w, h := float64(s.W), float64(s.H)
	if s.Aspect > 0 {
		w *= s.Aspect
	}
	if s.Orientation.Swapped() {
		w, h = h, w
	}
	r := math.Min(float64(in.Width)/w, float64(in.Height)/h)
	g.Cols = min(max(int(math.Round(w*r)), 1), in.Width)
	g.Rows = min(max(int(math.Round(h*r)), 1), in.Height)
	if in.Resize == detect.LetterboxCentre {
		g.Left, g.Top = (in.Width-g.Cols)/2, (in.Height-g.Rows)/2
	}
	return g
}

// ToSource maps corners in pixels of the input to a box in pixels of the upright
// source picture, clipped to it. The box is empty when nothing of it is inside.
func (g Geometry) ToSource(x0, y0, x1, y1 float32) detect.Box {
	width, height := g.Orientation.Size(g.SrcW, g.SrcH)
	w, h := float32(width), float32(height)
	sx, sy := w/float32(g.Cols), h/float32(g.Rows)
	x0, x1 = clip((x0-float32(g.Left))*sx, w), clip((x1-float32(g.Left))*sx, w)
	y0, y1 = clip((y0-float32(g.Top))*sy, h), clip((y1-float32(g.Top))*sy, h)
	return detect.Box{X: x0, Y: y0, W: max(x1-x0, 0), H: max(y1-y0, 0)}
}

func clip(v, limit float32) float32 { return min(max(v, 0), limit) }
