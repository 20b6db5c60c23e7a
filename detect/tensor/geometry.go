package tensor

import (
	"math"

	"detectd/detect"
)

// Geometry says where a source picture lies in a model's input.
type Geometry struct {
	SrcW, SrcH int // of the source picture, pixels
	// Left, Top, Cols and Rows are the part of the input that the picture
	// fills, in pixels of the input.
	Left, Top, Cols, Rows int
}

// NewGeometry places a picture of w by h pixels in a model's input.
func NewGeometry(in detect.Input, w, h int) Geometry {
	g := Geometry{SrcW: w, SrcH: h, Cols: in.Width, Rows: in.Height}
	if in.Resize == detect.Stretch || in.Resize == "" {
		return g
	}
	r := math.Min(float64(in.Width)/float64(w), float64(in.Height)/float64(h))
	g.Cols = min(max(int(math.Round(float64(w)*r)), 1), in.Width)
	g.Rows = min(max(int(math.Round(float64(h)*r)), 1), in.Height)
	if in.Resize == detect.LetterboxCentre {
		g.Left, g.Top = (in.Width-g.Cols)/2, (in.Height-g.Rows)/2
	}
	return g
}

// ToSource maps corners in pixels of the input to a box in pixels of the source
// picture, clipped to it. The box is empty when nothing of it is inside.
func (g Geometry) ToSource(x0, y0, x1, y1 float32) detect.Box {
	sx, sy := float32(g.SrcW)/float32(g.Cols), float32(g.SrcH)/float32(g.Rows)
	w, h := float32(g.SrcW), float32(g.SrcH)
	x0, x1 = clip((x0-float32(g.Left))*sx, w), clip((x1-float32(g.Left))*sx, w)
	y0, y1 = clip((y0-float32(g.Top))*sy, h), clip((y1-float32(g.Top))*sy, h)
	return detect.Box{X: x0, Y: y0, W: max(x1-x0, 0), H: max(y1-y0, 0)}
}

func clip(v, limit float32) float32 { return min(max(v, 0), limit) }
