package peer

import (
	"context"
	"errors"
	"fmt"

	"detectd/detect"
	"detectd/pipeline/bench/floor"
	"detectd/pipeline/frame"
)

// Agreement tells how far peer and detectd see the same.
type Agreement struct {
	Pictures int
	Objects  int // certain ones of either side, counted twice when both have them
	Same     int // of these, those that the other side has too
}

// Share is the part of the objects that both have.
func (a Agreement) Share() float64 {
	if a.Objects == 0 {
		return 0
	}
	return float64(a.Same) / float64(a.Objects)
}

// Objects count from certain on; the other side must have them with at least
// likely, the same label, and this much of the boxes in common. The sides resize
// with different filters, so that scores differ a little.
const (
	certain = 0.5
	likely  = 0.35
	overlap = 0.8
)

// Agree detects in pictures of a video with the peer's pipe and model and with
// detectd's, one in every of the first n.
func Agree(ctx context.Context, m *floor.Model, video string, n, every int) (a Agreement, err error) {
	if err := Available(); err != nil {
		return a, err
	}
	frames, err := floor.ReadFrames(ctx, video, n)
	if err != nil {
		return a, err
	}
	defer frames.Close()
	ours, err := m.Detector()
	if err != nil {
		return a, err
	}
	defer func() { err = errors.Join(err, ours.Close()) }()
	d, err := NewDetector(m)
	if err != nil {
		return a, err
	}
	defer d.Close()
	c, err := d.newCall()
	if err != nil {
		return a, err
	}
	defer c.close()
	first := frames.List[0]
	p, err := open(ctx, video, first.Width(), first.Height())
	if err != nil {
		return a, err
	}
	defer p.close()
	for i, f := range frames.List {
		if err := p.read(); err != nil {
			return a, fmt.Errorf("picture %d: %w", i, err)
		}
		if i%every != 0 {
			continue
		}
		theirs, err := c.detect(p.picture)
		if err != nil {
			return a, err
		}
		found, err := ours.Detect(ctx, []*frame.Frame{f}, make([]detect.Options, 1))
		if err != nil {
			return a, err
		}
		a.Pictures++
		a.count(found[0], theirs)
		a.count(theirs, found[0])
	}
	return a, nil
}

// count looks for the objects of one side on the other.
func (a *Agreement) count(of, among []detect.Detection) {
	for _, x := range of {
		if x.Score < certain {
			continue
		}
		a.Objects++
		for _, y := range among {
			if y.Label == x.Label && y.Score >= likely && iou(x.Box, y.Box) >= overlap {
				a.Same++
				break
			}
		}
	}
}

// iou is the intersection of two boxes over their union.
func iou(a, b detect.Box) float32 {
	w := min(a.X+a.W, b.X+b.W) - max(a.X, b.X)
	h := min(a.Y+a.H, b.Y+b.H) - max(a.Y, b.Y)
	if w <= 0 || h <= 0 {
		return 0
	}
	return w * h / (a.W*a.H + b.W*b.H - w*h)
}
