package zone

import (
	"math"
	"slices"

	"detectd/store"
)

// point is a place in pixels.
type point struct{ x, y float64 }

// anchor is where an object stands: the middle of the lower side of its box.
func anchor(b store.Box) point {
	return point{float64(b[0]) + float64(b[2])/2, float64(b[1]) + float64(b[3])}
}

// length is the size of a box, the root of its area, in pixels.
func length(b store.Box) float64 { return math.Sqrt(float64(b[2]) * float64(b[3])) }

// size is that of a picture in pixels.
type size struct{ width, height int }

func (s size) place(p store.Point) point {
	return point{p[0] * float64(s.width), p[1] * float64(s.height)}
}

// share is the part of the picture that a box covers.
func (s size) share(b store.Box) float64 {
	return float64(b[2]) * float64(b[3]) / (float64(s.width) * float64(s.height))
}

// polygon is a polygon in pixels.
type polygon struct {
	corners  []point
	open     []bool  // sides that lie on the picture's edge, from each corner: nobody comes in over them
	breadth  float64 // half its area over its length around: a quarter of a strip's width, an eighth of a square's side
	min, max point   // the rectangle around it
}

func (s size) polygon(p []store.Point) polygon {
	g := polygon{min: point{math.Inf(1), math.Inf(1)}, max: point{math.Inf(-1), math.Inf(-1)}}
	for i, c := range p {
		next := p[(i+1)%len(p)]
		onEdge := c[0] == next[0] && (c[0] == 0 || c[0] == 1) || c[1] == next[1] && (c[1] == 0 || c[1] == 1)
		g.corners, g.open = append(g.corners, s.place(c)), append(g.open, onEdge)
	}
	area, around := 0.0, 0.0
	for i, a := range g.corners {
		b := g.corners[(i+1)%len(g.corners)]
		area += a.x*b.y - a.y*b.x
		around += math.Hypot(b.x-a.x, b.y-a.y)
		g.min = point{min(g.min.x, a.x), min(g.min.y, a.y)}
		g.max = point{max(g.max.x, a.x), max(g.max.y, a.y)}
	}
	g.breadth = 0.5 * math.Abs(area) / 2 / around
	return g
}

// holds says whether p is inside, by counting the sides to the right of it. Of
// two polygons that share a side, a point on it is in one only.
func (g polygon) holds(p point) bool {
	if p.x < g.min.x || p.x > g.max.x || p.y < g.min.y || p.y > g.max.y {
		return false
	}
	in := false
	for i, a := range g.corners {
		b := g.corners[(i+1)%len(g.corners)]
		if (a.y > p.y) != (b.y > p.y) && p.x < a.x+(p.y-a.y)/(b.y-a.y)*(b.x-a.x) {
			in = !in
		}
	}
	return in
}

// depth is the distance of p from the border, negative outside. Where the border
// is the picture's edge there is nothing behind it, and no distance to keep.
func (g polygon) depth(p point) float64 {
	nearest := math.Inf(1)
	for i, a := range g.corners {
		if !g.open[i] {
			nearest = min(nearest, toSegment(p, a, g.corners[(i+1)%len(g.corners)]))
		}
	}
	if g.holds(p) {
		return nearest
	}
	return -nearest
}

func toSegment(p, a, b point) float64 {
	dx, dy := b.x-a.x, b.y-a.y
	t := 0.0
	if l := dx*dx + dy*dy; l > 0 {
		t = min(1, max(0, ((p.x-a.x)*dx+(p.y-a.y)*dy)/l))
	}
	return math.Hypot(p.x-a.x-t*dx, p.y-a.y-t*dy)
}

// segment is a line in pixels.
type segment struct{ from, to point }

// side is the distance of p from the whole straight line, positive on the right
// as seen when walking from its start to its end.
func (s segment) side(p point) float64 {
	dx, dy := s.to.x-s.from.x, s.to.y-s.from.y
	return (dx*(p.y-s.from.y) - dy*(p.x-s.from.x)) / math.Hypot(dx, dy)
}

// breadth is a quarter of the segment's length.
func (s segment) breadth() float64 { return math.Hypot(s.to.x-s.from.x, s.to.y-s.from.y) / 4 }

// crossed says whether the way from a to b crosses the segment: 1 to the right,
// -1 to the left, 0 not at all.
func (s segment) crossed(a, b point) int {
	before, after := s.side(a), s.side(b)
	if (before >= 0) == (after >= 0) {
		return 0
	}
	t := before / (before - after)
	at := point{a.x + t*(b.x-a.x), a.y + t*(b.y-a.y)}
	dx, dy := s.to.x-s.from.x, s.to.y-s.from.y
	if along := ((at.x-s.from.x)*dx + (at.y-s.from.y)*dy) / (dx*dx + dy*dy); along < 0 || along > 1 {
		return 0
	}
	if after >= 0 {
		return 1
	}
	return -1
}

// passes says whether an object with a label and a box counts.
func passes(f store.ObjectFilter, label string, area float64, best float32) bool {
	return (len(f.Classes) == 0 || slices.Contains(f.Classes, label)) &&
		area >= f.MinArea && (f.MaxArea == 0 || area <= f.MaxArea) && float64(best) >= f.MinScore
}
