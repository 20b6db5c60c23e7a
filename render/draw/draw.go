// Package draw paints labelled boxes on frames with OpenCV and codes the result
// as JPEG.
package draw

import (
	"fmt"
	"image"
	"image/color"
	"math"

	"gocv.io/x/gocv"

	"detectd/pipeline/frame"
	"detectd/render"
	"detectd/render/pixel"
)

// Picture is a drawn picture: 8-bit blue, green, red, rows from the top. It owns
// memory of OpenCV's until Close.
type Picture struct {
	mat gocv.Mat
}

// Frame converts f, turns it upright and draws the labels on it. f stays the
// caller's; the picture is the caller's to Close.
func Frame(f *frame.Frame, labels []render.Label, style render.Style) (*Picture, error) {
	width, height := f.UprightSize()
	shown := width
	if style.TrueShape {
		shown = max(1, int(math.Round(float64(width)*f.UprightAspect())))
	}
	w, h := style.Size(shown, height)
	if w < 1 || h < 1 {
		return nil, fmt.Errorf("draw frame: it has no picture")
	}
	p, err := convert(f, w, h)
	if err != nil {
		return nil, fmt.Errorf("draw frame: %w", err)
	}
	p.draw(labels, style, float32(w)/float32(width), float32(h)/float32(height))
	return p, nil
}

// convert makes an upright picture of w by h pixels.
func convert(f *frame.Frame, w, h int) (*Picture, error) {
	swapped, fromRight, fromBottom := f.Orientation.Parts()
	if swapped {
		w, h = h, w
	}
	p := &Picture{mat: gocv.NewMatWithSize(h, w, gocv.MatTypeCV8UC3)}
	var s pixel.Scaler
	defer s.Close()
	pix, stride, err := p.Pixels()
	if err == nil {
		err = s.ToBGR(f.AV(), pix, stride, w, h)
	}
	if err != nil {
		_ = p.Close() // nothing to lose: the picture was never filled
		return nil, err
	}
	if fromRight || fromBottom {
		gocv.Flip(p.mat, &p.mat, flip(fromRight, fromBottom))
	}
	if !swapped {
		return p, nil
	}
	turned := &Picture{mat: gocv.NewMat()}
	gocv.Transpose(p.mat, &turned.mat)
	return turned, p.Close()
}

// flip is OpenCV's code for mirroring.
func flip(columns, rows bool) int {
	switch {
	case columns && rows:
		return -1
	case columns:
		return 1
	default:
		return 0
	}
}

// Width is the picture's width in pixels.
func (p *Picture) Width() int { return p.mat.Cols() }

// Height is the picture's height in pixels.
func (p *Picture) Height() int { return p.mat.Rows() }

// Pixels are the picture's bytes and the distance of its rows. They are the
// picture's own memory: do not use them after Close.
func (p *Picture) Pixels() ([]byte, int, error) {
	b, err := p.mat.DataPtrUint8()
	if err != nil {
		return nil, 0, fmt.Errorf("read picture: %w", err)
	}
	return b, p.mat.Step(), nil
}

// Close frees the picture.
func (p *Picture) Close() error { return p.mat.Close() }

// JPEG codes the picture; quality runs from 1 to 100, 0 takes 85.
func JPEG(p *Picture, quality int) ([]byte, error) {
	if quality <= 0 {
		quality = 85
	}
	buf, err := gocv.IMEncodeWithParams(gocv.JPEGFileExt, p.mat, []int{gocv.IMWriteJpegQuality, min(quality, 100)})
	if err != nil {
		return nil, fmt.Errorf("code picture as JPEG: %w", err)
	}
	defer buf.Close()
	return append([]byte(nil), buf.GetBytes()...), nil
}

// draw paints all boxes first and then all tags, so that no tag is crossed out.
func (p *Picture) draw(labels []render.Label, style render.Style, sx, sy float32) {
	w, h := p.Width(), p.Height()
	line := style.Line(w, h)
	boxes := make([]image.Rectangle, len(labels))
	for i, l := range labels {
		boxes[i] = rect(l.Box, sx, sy).Intersect(image.Rect(0, 0, w, h))
		if boxes[i].Empty() {
			continue
		}
		p.frame(boxes[i], line, l.Color)
	}
	for i, l := range labels {
		if l.Text != "" && !boxes[i].Empty() {
			p.tag(boxes[i], printable(l.Text), l.Color, style.Font(w, h), line)
		}
	}
}

// frame paints the outline of r, wholly inside r, so that a box at the edge of
// the picture shows on all four sides.
func (p *Picture) frame(r image.Rectangle, line int, c render.Color) {
	line = min(line, max(1, min(r.Dx(), r.Dy())/2))
	for _, side := range []image.Rectangle{
		{r.Min, image.Pt(r.Max.X, r.Min.Y+line)},
		{image.Pt(r.Min.X, r.Max.Y-line), r.Max},
		{r.Min, image.Pt(r.Min.X+line, r.Max.Y)},
		{image.Pt(r.Max.X-line, r.Min.Y), r.Max},
	} {
		p.fill(side.Intersect(r), c)
	}
}

// tag writes text on a filled strip on top of box, moved to where it stays inside
// the picture. A text too wide for the picture is made smaller.
func (p *Picture) tag(box image.Rectangle, text string, c render.Color, scale float64, line int) {
	const font = gocv.FontHersheySimplex
	thick := max(1, int(math.Round(scale*1.6)))
	pad := max(2, int(math.Round(scale*6)))
	size, base := gocv.GetTextSizeWithBaseline(text, font, scale, thick)
	if room := p.Width() - 2*pad; size.X > room && room > 0 {
		scale *= float64(room) / float64(size.X)
		thick = max(1, int(math.Round(scale*1.6)))
		size, base = gocv.GetTextSizeWithBaseline(text, font, scale, thick)
	}
	strip := image.Rect(0, 0, size.X+2*pad, size.Y+base+pad)
	y := box.Min.Y - strip.Dy()
	if y < 0 {
		y = box.Min.Y + line
	}
	x := max(0, min(box.Min.X, p.Width()-strip.Dx()))
	y = max(0, min(y, p.Height()-strip.Dy()))
	strip = strip.Add(image.Pt(x, y)).Intersect(image.Rect(0, 0, p.Width(), p.Height()))
	p.fill(strip, c)
	gocv.PutTextWithParams(&p.mat, text, image.Pt(x+pad, y+size.Y+pad/2+1), font, scale, rgba(c.Ink()), thick, gocv.LineAA, false)
}

func (p *Picture) fill(r image.Rectangle, c render.Color) {
	if r.Empty() {
		return
	}
	// OpenCV's far corner belongs to the rectangle, and its smoothed lines bleed out of it.
	inner := image.Rectangle{Min: r.Min, Max: r.Max.Sub(image.Pt(1, 1))}
	gocv.RectangleWithParams(&p.mat, inner, rgba(c), -1, gocv.Line8, 0)
}

// rect is the box in whole pixels of the drawn picture. Boxes come from models:
// the bounds keep numbers out that no integer holds.
func rect(b [4]float32, sx, sy float32) image.Rectangle {
	at := func(v float32) int {
		if v != v {
			return 0
		}
		return int(math.Round(float64(max(-1e6, min(1e6, v)))))
	}
	return image.Rectangle{
		Min: image.Pt(at(b[0]*sx), at(b[1]*sy)),
		Max: image.Pt(at((b[0]+b[2])*sx), at((b[1]+b[3])*sy)),
	}
}

func rgba(c render.Color) color.RGBA { return color.RGBA{R: c.R, G: c.G, B: c.B, A: 255} }
