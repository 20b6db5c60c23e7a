// Package scene makes sequences whose truth is known exactly: people, cars and
// balls that walk, cross, hide behind each other and stand still for hours, with
// their boxes and ids at every moment. It simulates what a detector would find
// in them, and paints them as videos.
//
// Everything follows from a scene's description by arithmetic, at any moment and
// in any order: frame 800,000 costs what frame 0 costs, and the same scene is
// the same for ever.
package scene

import (
	"math"
	"time"

	"detectd/detect"
)

// Shape is how an actor looks.
type Shape uint8

// The shapes.
const (
	Person Shape = iota // upright, with moving legs, so that its width pulses
	Car
	Ball
	Wall // scenery: hides what is behind it and is no object
)

// Waypoint is where an actor's foot point (the bottom centre of its box) is at a
// moment, in pixels, and how high it is there.
type Waypoint struct {
	At     time.Duration
	X, Y   float64
	Height float64
}

// Actor is one thing in a scene. It is there from its first waypoint to its last
// and moves smoothly through them; between two equal ones it stands still.
type Actor struct {
	ID    string // unique in the scene
	Shape Shape
	Path  []Waypoint // at least one, by time; a single one stays for ever
}

// Scene is a sequence.
type Scene struct {
	Name          string
	Width, Height int     // pixels
	FPS           float64 // frames per second
	Length        time.Duration
	Seed          uint64 // of everything random
	Actors        []Actor
}

// Object is an actor as it is in one frame.
type Object struct {
	ID      string
	Shape   Shape
	ClassID int
	Label   string
	Box     detect.Box // all of it that lies in the picture, also where something hides it
	Visible float64    // share of its whole box that can be seen, 0..1
}

// Frames is the number of frames.
func (s *Scene) Frames() int { return int(math.Round(s.Length.Seconds() * s.FPS)) }

// Time is the stream time of a frame, counted from 0.
func (s *Scene) Time(frame int) time.Duration {
	return time.Duration(math.Round(float64(frame) / s.FPS * float64(time.Second)))
}

// Truth lists the objects of a frame.
func (s *Scene) Truth(frame int) []Object { return s.At(s.Time(frame)) }

// At lists the objects at a moment that touch the picture, in the order of the
// actors.
func (s *Scene) At(t time.Duration) []Object {
	all := s.standing(t)
	var objects []Object
	for i, p := range all {
		box := s.clip(p.box)
		if p.actor.Shape == Wall || box.W < 1 || box.H < 1 {
			continue
		}
		class, label := p.actor.Shape.class()
		objects = append(objects, Object{
			ID: p.actor.ID, Shape: p.actor.Shape, ClassID: class, Label: label, Box: box, Visible: s.visible(all, i),
		})
	}
	return objects
}

func (s Shape) class() (id int, label string) {
	switch s {
	case Car:
		return 2, "car"
	case Ball:
		return 32, "sports ball"
	default:
		return 0, "person"
	}
}

// placed is an actor at a moment.
type placed struct {
	actor *Actor
	box   detect.Box
	phase float64 // of its steps, radians
	depth float64 // the larger, the nearer to the camera
}

func (s *Scene) standing(t time.Duration) []placed {
	var all []placed
	for i := range s.Actors {
		if p, ok := s.Actors[i].at(t); ok {
			all = append(all, p)
		}
	}
	return all
}

// gait is how often a person takes a step while it walks one length of its height.
const gait = 2.2

func (a *Actor) at(t time.Duration) (placed, bool) {
	first, last := a.Path[0], a.Path[len(a.Path)-1]
	if len(a.Path) > 1 && (t < first.At || t > last.At) || t < first.At {
		return placed{}, false
	}
	x, y, h, way := a.position(t)
	p := placed{actor: a, depth: y, phase: math.Pi * gait * way}
	w := h * 0.4
	switch a.Shape {
	case Person:
		w *= 0.85 + 0.25*math.Abs(math.Sin(p.phase))
	case Car:
		w = h * 1.9
	case Ball:
		w = h
	case Wall:
		w = h * 0.25
	}
	p.box = detect.Box{X: float32(x - w/2), Y: float32(y - h), W: float32(w), H: float32(h)}
	return p, true
}

// position interpolates the path with cubic Hermite curves whose slopes never
// overshoot (Fritsch and Carlson, "Monotone Piecewise Cubic Interpolation", SIAM
// J. Numer. Anal. 17, 1980, in the harmonic mean form): speeds change smoothly and
// who stands still stands still. way is the distance walked, in heights.
func (a *Actor) position(t time.Duration) (x, y, h, way float64) {
	p := a.Path
	if len(p) == 1 {
		return p[0].X, p[0].Y, p[0].Height, 0
	}
	k := 0
	for k < len(p)-2 && t >= p[k+1].At {
		way += distance(p[k], p[k+1])
		k++
	}
	span := (p[k+1].At - p[k].At).Seconds()
	u := 1.0
	if span > 0 {
		u = min(1, (t-p[k].At).Seconds()/span)
	}
	x = a.hermite(k, u, span, func(w Waypoint) float64 { return w.X })
	y = a.hermite(k, u, span, func(w Waypoint) float64 { return w.Y })
	h = a.hermite(k, u, span, func(w Waypoint) float64 { return w.Height })
	if whole := math.Hypot(p[k+1].X-p[k].X, p[k+1].Y-p[k].Y); whole > 0 {
		way += distance(p[k], p[k+1]) * math.Hypot(x-p[k].X, y-p[k].Y) / whole
	}
	return x, y, h, way
}

func distance(a, b Waypoint) float64 {
	return math.Hypot(b.X-a.X, b.Y-a.Y) / max(1, (a.Height+b.Height)/2)
}

func (a *Actor) hermite(k int, u, span float64, of func(Waypoint) float64) float64 {
	from, to := of(a.Path[k]), of(a.Path[k+1])
	m0, m1 := a.slope(k, of)*span, a.slope(k+1, of)*span
	u2, u3 := u*u, u*u*u
	return (2*u3-3*u2+1)*from + (u3-2*u2+u)*m0 + (3*u2-2*u3)*to + (u3-u2)*m1
}

// slope is the speed at waypoint k: at the ends that of the only neighbour.
func (a *Actor) slope(k int, of func(Waypoint) float64) float64 {
	speed := func(i int) float64 {
		if dt := (a.Path[i+1].At - a.Path[i].At).Seconds(); dt > 0 {
			return (of(a.Path[i+1]) - of(a.Path[i])) / dt
		}
		return 0
	}
	switch {
	case k == 0:
		return speed(0)
	case k == len(a.Path)-1:
		return speed(k - 1)
	}
	before, after := speed(k-1), speed(k)
	if before*after <= 0 {
		return 0
	}
	return 2 * before * after / (before + after)
}

func (s *Scene) clip(b detect.Box) detect.Box {
	x0, y0 := max(0, b.X), max(0, b.Y)
	x1, y1 := min(float32(s.Width), b.X+b.W), min(float32(s.Height), b.Y+b.H)
	return detect.Box{X: x0, Y: y0, W: x1 - x0, H: y1 - y0}
}

// visible looks at a raster of points of all[i]'s box, of which each is seen
// unless it is out of the picture or in a nearer actor's box.
func (s *Scene) visible(all []placed, i int) float64 {
	const side = 10
	b, seen := all[i].box, 0
	for k := range side * side {
		x := b.X + b.W*(float32(k%side)+0.5)/side
		y := b.Y + b.H*(float32(k/side)+0.5)/side
		if x < 0 || y < 0 || x >= float32(s.Width) || y >= float32(s.Height) || hidden(all, i, x, y) {
			continue
		}
		seen++
	}
	return float64(seen) / (side * side)
}

func hidden(all []placed, i int, x, y float32) bool {
	for j, o := range all {
		nearer := o.depth > all[i].depth || o.depth == all[i].depth && j > i
		if j != i && nearer && x >= o.box.X && y >= o.box.Y && x < o.box.X+o.box.W && y < o.box.Y+o.box.H {
			return true
		}
	}
	return false
}
