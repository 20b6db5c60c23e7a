// Package render is the vocabulary of pictures for people: labelled boxes, their
// colours and the style they are drawn in. The packages below it draw (draw),
// read uploaded pictures (picture) and write video (video).
package render

import (
	"fmt"
	"math"

	"detectd/detect"
)

// Label is one box to draw, with the words on its tag.
type Label struct {
	Text  string     // may be empty: no tag is drawn
	Box   [4]float32 // x, y, width, height in pixels of the upright source frame, origin top left
	Color Color
}

// Style says how labels are drawn. The zero Style suits every picture: lines and
// letters grow with it.
type Style struct {
	// Width of the drawn picture in pixels; the height follows. 0 keeps the
	// frame's size. A width above the frame's is not taken: drawing never enlarges.
	Width int
	// TrueShape draws pixels that are not square as they are shown: the picture is as
	// much wider or narrower. Else the picture has the shape of the stored pixels.
	TrueShape bool
	// LineWidth of the boxes in pixels of the drawn picture; 0 is automatic.
	LineWidth int
	// FontScale multiplies the height of the letters (about 22 pixels at 1); 0 is automatic.
	FontScale float64
}

// Line is the line width in pixels for a picture of the given size.
func (s Style) Line(width, height int) int {
	if s.LineWidth > 0 {
		return s.LineWidth
	}
	return max(1, int(math.Round(float64(max(width, height))/480)))
}

// Font is the font scale for a picture of the given size.
func (s Style) Font(width, height int) float64 {
	if s.FontScale > 0 {
		return s.FontScale
	}
	return min(4, max(0.4, float64(max(width, height))/1800))
}

// Size is the size of the picture drawn from a frame of the given size.
func (s Style) Size(width, height int) (int, int) {
	if s.Width <= 0 || s.Width >= width {
		return width, height
	}
	return s.Width, max(1, int(math.Round(float64(height)*float64(s.Width)/float64(width))))
}

// Labels makes the labels for the detections of one picture, coloured by class.
func Labels(ds []detect.Detection) []Label {
	ls := make([]Label, 0, len(ds))
	for _, d := range ds {
		ls = append(ls, Label{
			Text:  Caption(d.Label, d.Score),
			Box:   [4]float32{d.Box.X, d.Box.Y, d.Box.W, d.Box.H},
			Color: ClassColor(d.ClassID),
		})
	}
	return ls
}

// Caption is the text of a tag: the class and the score, "person 91%".
func Caption(label string, score float32) string {
	return fmt.Sprintf("%s %.0f%%", label, 100*score)
}
