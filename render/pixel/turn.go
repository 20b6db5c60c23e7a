package pixel

import (
	"fmt"

	"github.com/asticode/go-astiav"

	"detectd/pipeline/frame"
)

// Upright returns a copy of f whose pixels (red, green, blue) are turned as its
// orientation says. The copy has one reference, which is the caller's.
func Upright(f *frame.Frame, pool *frame.Pool) (*frame.Frame, error) {
	w, h := f.Width(), f.Height()
	bgr := make([]byte, 3*w*h)
	var s Scaler
	defer s.Close()
	if err := s.ToBGR(f.AV(), bgr, 3*w, w, h); err != nil {
		return nil, fmt.Errorf("turn picture: %w", err)
	}
	out := pool.Get()
	av := out.AV()
	width, height := f.Orientation.Size(w, h)
	av.SetWidth(width)
	av.SetHeight(height)
	av.SetPixelFormat(astiav.PixelFormatRgb24)
	av.SetColorRange(astiav.ColorRangeJpeg)
	if r := f.AV().SampleAspectRatio(); f.Orientation.Swapped() {
		av.SetSampleAspectRatio(astiav.NewRational(r.Den(), r.Num()))
	} else {
		av.SetSampleAspectRatio(r)
	}
	if err := av.AllocBuffer(0); err != nil {
		out.Release()
		return nil, fmt.Errorf("take memory for %d x %d pixels: %w", width, height, err)
	}
	out.Meta = f.Meta
	out.Orientation = frame.Upright
	dst, stride := Plane(av, 0)
	x0, y0 := f.Orientation.From(0, 0, w, h)
	first := y0*w + x0
	x1, y1 := f.Orientation.From(min(1, width-1), 0, w, h)
	along := 3 * (y1*w + x1 - first)
	x1, y1 = f.Orientation.From(0, min(1, height-1), w, h)
	down := 3 * (y1*w + x1 - first)
	for y := range height {
		row, from := dst[y*stride:y*stride+3*width], 3*first+y*down
		for x := 0; x < len(row); x += 3 {
			row[x], row[x+1], row[x+2] = bgr[from+2], bgr[from+1], bgr[from]
			from += along
		}
	}
	return out, nil
}
