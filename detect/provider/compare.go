package provider

/*
#cgo pkg-config: libavutil
#include <libavutil/frame.h>
*/
import "C"

import (
	"context"
	"fmt"
	"math"
	"unsafe"

	"github.com/asticode/go-astiav"

	"detectd/detect"
	"detectd/pipeline/frame"
)

// How alike two lists of boxes must be. A provider that calculates with other
// precision moves boxes by fractions of a pixel and scores in the third place; one
// that calculates wrong finds something else, or nothing.
const (
	strongest  = 10    // boxes of each list that are looked for in the other
	mostLost   = 2     // of them may be missing: weak ones change places
	minOverlap = 0.8   // of a box and its partner
	maxScore   = 0.02  // difference of their scores, and a tenth of the score
	lowest     = 0.001 // least score asked for, so that there is something to compare
)

// compare runs test pictures through both detectors. The error says how they differ.
func compare(ctx context.Context, want, got detect.Detector) error {
	pool := &frame.Pool{}
	defer pool.Close()
	var frames []*frame.Frame
	defer func() {
		for _, f := range frames {
			f.Release()
		}
	}()
	for i := range 2 {
		f, err := picture(pool, i)
		if err != nil {
			return err
		}
		frames = append(frames, f)
	}
	opts := []detect.Options{{MinScore: lowest}, {MinScore: lowest}}
	a, err := want.Detect(ctx, frames, opts)
	if err != nil {
		return fmt.Errorf("try it on the CPU: %w", err)
	}
	b, err := got.Detect(ctx, frames, opts)
	if err != nil {
		return err
	}
	for i := range frames {
		for _, side := range [][2][]detect.Detection{{a[i], b[i]}, {b[i], a[i]}} {
			if n, of := lost(side[0], side[1]); n > mostLost || n == of && n > 0 {
				return fmt.Errorf("it finds other boxes than the CPU: of %d and %d in test picture %d, %d of the best %d have no partner",
					len(a[i]), len(b[i]), i+1, n, of)
			}
		}
	}
	return nil
}

// lost counts the strongest of a list that have no partner in another.
func lost(list, other []detect.Detection) (n, of int) {
	list = list[:min(len(list), strongest)]
	for _, d := range list {
		found := false
		for _, o := range other {
			score := math.Abs(float64(d.Score - o.Score))
			if d.ClassID == o.ClassID && overlap(d.Box, o.Box) >= minOverlap && score <= maxScore+0.1*float64(d.Score) {
				found = true
				break
			}
		}
		if !found {
			n++
		}
	}
	return n, len(list)
}

func overlap(a, b detect.Box) float32 {
	w := min(a.X+a.W, b.X+b.W) - max(a.X, b.X)
	h := min(a.Y+a.H, b.Y+b.H) - max(a.Y, b.Y)
	if w <= 0 || h <= 0 {
		return 0
	}
	return w * h / (a.W*a.H + b.W*b.H - w*h)
}

// The size of the test pictures.
const width, height = 640, 480

// picture paints bright and dark shapes with texture on a gradient: whatever a model
// makes of it, it makes the same of it everywhere.
func picture(pool *frame.Pool, number int) (*frame.Frame, error) {
	f := pool.Get()
	av := f.AV()
	av.SetWidth(width)
	av.SetHeight(height)
	av.SetPixelFormat(astiav.PixelFormatRgb24)
	av.SetColorRange(astiav.ColorRangeJpeg)
	if err := av.AllocBuffer(0); err != nil {
		f.Release()
		return nil, fmt.Errorf("make test picture: %w", err)
	}
	c := (*C.AVFrame)(av.UnsafePointer())
	stride := int(c.linesize[0])
	pixels := unsafe.Slice((*byte)(c.data[0]), stride*height)
	for y := range height {
		for x := range width {
			r, g, b := colour(float64(x), float64(y), float64(number)*40)
			copy(pixels[y*stride+3*x:], []byte{byte(r), byte(g), byte(b)})
		}
	}
	return f, nil
}

// colour is the red, green and blue of a point; shift moves the shapes.
func colour(x, y, shift float64) (r, g, b float64) {
	switch {
	case math.Hypot((x-180-shift)/70, (y-250)/150) < 1: // upright
		return 200 + 20*math.Sin(y/6), 90, 60 + 30*math.Sin(x/4)
	case x > 330+shift && x < 560 && y > 260 && y < 400: // lying
		return 40, 60 + 20*math.Sin(x/9), 180
	case math.Hypot(x-450, y-130-shift/2) < 60: // round
		return 235, 235 - y/4, 90
	default:
		return x/width*140 + 40, y/height*140 + 40, 150 - x/width*90
	}
}
