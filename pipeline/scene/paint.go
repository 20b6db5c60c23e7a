package scene

import (
	"errors"
	"fmt"
	"hash/fnv"
	"math"
	"slices"

	"detectd/render/video"
)

// Picture is a painted frame: 8-bit blue, green, red, rows from the top.
type Picture struct {
	width, height int
	bgr           []byte
}

// Width is the picture's width in pixels.
func (p *Picture) Width() int { return p.width }

// Height is the picture's height in pixels.
func (p *Picture) Height() int { return p.height }

// Pixels are the bytes and the distance of the rows.
func (p *Picture) Pixels() (bytes []byte, stride int, err error) { return p.bgr, 3 * p.width, nil }

var _ video.Picture = (*Picture)(nil)

// Paint paints a frame over p, or makes a new picture when p is nil.
func (s *Scene) Paint(frame int, p *Picture) *Picture {
	if p == nil || p.width != s.Width || p.height != s.Height {
		p = &Picture{width: s.Width, height: s.Height, bgr: make([]byte, 3*s.Width*s.Height)}
	}
	p.ground()
	all := s.standing(s.Time(frame))
	slices.SortStableFunc(all, func(a, b placed) int {
		switch {
		case a.depth < b.depth:
			return -1
		case a.depth > b.depth:
			return 1
		}
		return 0
	})
	for _, a := range all {
		p.actor(a)
	}
	return p
}

// ground is a grey slope with a fixed texture, so that key frames have some size.
func (p *Picture) ground() {
	for y := range p.height {
		row := p.bgr[3*y*p.width:]
		base := 90 + 60*y/p.height
		for x := range p.width {
			v := byte(base + (x*73^y*151)*2654435761>>7&15)
			row[3*x], row[3*x+1], row[3*x+2] = v, v, v-8
		}
	}
}

type colour [3]byte

// dress is an actor's colour, which follows from its id.
func dress(id string) colour {
	h := fnv.New32a()
	_, _ = h.Write([]byte(id))
	n := h.Sum32()
	return colour{byte(30 + n%200), byte(30 + n>>8%200), byte(30 + n>>16%200)}
}

// actor paints one actor so that it touches all sides of its box.
func (p *Picture) actor(a placed) {
	x, y, w, h := float64(a.box.X), float64(a.box.Y), float64(a.box.W), float64(a.box.H)
	skin, dark, own := colour{120, 160, 210}, colour{40, 35, 30}, dress(a.actor.ID)
	switch a.actor.Shape {
	case Wall:
		p.rectangle(x, y, w, h, colour{90, 100, 110})
	case Ball:
		p.ellipse(x, y, w, h, own)
	case Car:
		p.rectangle(x, y+0.35*h, w, 0.5*h, own)
		p.rectangle(x+0.2*w, y, 0.55*w, 0.4*h, own)
		p.rectangle(x+0.25*w, y+0.06*h, 0.45*w, 0.26*h, colour{200, 180, 160})
		p.ellipse(x+0.1*w, y+0.65*h, 0.35*h, 0.35*h, dark)
		p.ellipse(x+0.9*w-0.35*h, y+0.65*h, 0.35*h, 0.35*h, dark)
	case Person:
		p.ellipse(x+w/2-0.07*h, y, 0.14*h, 0.16*h, skin)
		p.rectangle(x+0.2*w, y+0.15*h, 0.6*w, 0.38*h, own)
		p.rectangle(x, y+0.2*h, 0.2*w, 0.3*h, own) // arms reach to the sides of the box
		p.rectangle(x+0.8*w, y+0.2*h, 0.2*w, 0.3*h, own)
		swing := 0.18 * w * math.Sin(a.phase)
		p.rectangle(x+0.3*w-swing, y+0.52*h, 0.18*w, 0.48*h, dark)
		p.rectangle(x+0.52*w+swing, y+0.52*h, 0.18*w, 0.48*h, dark)
	}
}

func (p *Picture) rectangle(x, y, w, h float64, c colour) {
	p.fill(x, y, w, h, c, func(float64, float64) bool { return true })
}

func (p *Picture) ellipse(x, y, w, h float64, c colour) {
	p.fill(x, y, w, h, c, func(u, v float64) bool { return u*u+v*v <= 1 })
}

// fill paints the pixels whose middles lie in the rectangle and for which in,
// given places from -1 to 1 in both directions, agrees.
func (p *Picture) fill(x, y, w, h float64, c colour, in func(u, v float64) bool) {
	for row := max(0, int(math.Ceil(y-0.5))); row < min(p.height, int(math.Ceil(y+h-0.5))); row++ {
		v := (float64(row)+0.5-y)/h*2 - 1
		for column := max(0, int(math.Ceil(x-0.5))); column < min(p.width, int(math.Ceil(x+w-0.5))); column++ {
			if in((float64(column)+0.5-x)/w*2-1, v) {
				copy(p.bgr[3*(row*p.width+column):], c[:])
			}
		}
	}
}

// WriteVideo writes all frames as an MP4 file of H.264.
func (s *Scene) WriteVideo(path string) (err error) {
	e, err := video.New(path, video.Spec{Width: s.Width, Height: s.Height, FPS: s.FPS})
	if err != nil {
		return fmt.Errorf("write scene %s: %w", s.Name, err)
	}
	defer func() { err = errors.Join(err, e.Close()) }()
	var p *Picture
	for i := range s.Frames() {
		p = s.Paint(i, p)
		if err := e.WritePicture(p, s.Time(i)); err != nil {
			return fmt.Errorf("write scene %s: %w", s.Name, err)
		}
	}
	return nil
}
