package store

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"time"
)

// Point is a place in a picture in shares of its width and height: {0, 0} is the
// top left corner, {1, 1} the bottom right one.
type Point [2]float64

// ZoneMap is what is watched in a camera's picture: one document per camera.
//
// An object is where its anchor is: the middle of the lower side of its box,
// which is where people and vehicles touch the ground.
type ZoneMap struct {
	CameraID  string
	Zones     []Zone
	Lines     []Line
	Masks     []Mask
	Revision  int64 // counts changes from 1
	UpdatedAt time.Time
}

// ObjectFilter says which objects count. The zero value lets all through.
type ObjectFilter struct {
	Classes  []string `json:"classes,omitempty"`   // labels; empty: all
	MinArea  float64  `json:"min_area,omitempty"`  // of the box as a share of the picture
	MaxArea  float64  `json:"max_area,omitempty"`  // 0: no limit
	MinScore float64  `json:"min_score,omitempty"` // that an object must have reached once
}

// Zone is an area that objects enter and leave.
type Zone struct {
	ID      string        `json:"id"` // as Client.ID, unique in its map among zones, lines and masks
	Name    string        `json:"name,omitempty"`
	Polygon []Point       `json:"polygon"` // at least three corners, sides that do not cross
	Objects ObjectFilter  `json:"objects,omitzero"`
	Loiter  time.Duration `json:"loiter_ns,omitempty"` // a stay that is reported as loitering; 0: none
}

// The directions of a line, as seen when walking from From to To.
const (
	DirectionBoth  = "both"
	DirectionRight = "right" // only objects that cross from the left to the right
	DirectionLeft  = "left"  // only objects that cross from the right to the left
)

// Line is a line that objects cross.
type Line struct {
	ID        string       `json:"id"`
	Name      string       `json:"name,omitempty"`
	From      Point        `json:"from"`
	To        Point        `json:"to"`
	Direction string       `json:"direction"` // both, right or left
	Objects   ObjectFilter `json:"objects,omitzero"`
}

// Mask is an area in which detections are dropped before they are followed.
type Mask struct {
	ID      string   `json:"id"`
	Name    string   `json:"name,omitempty"`
	Polygon []Point  `json:"polygon"`
	Classes []string `json:"classes,omitempty"`  // labels dropped; empty: all
	MinArea float64  `json:"min_area,omitempty"` // only boxes at least so large are dropped
	MaxArea float64  `json:"max_area,omitempty"` // only boxes at most so large; 0: no limit
}

// Limits of a map.
const (
	MaxShapes  = 64  // zones, lines and masks together
	MaxCorners = 100 // of a polygon
	MaxLoiter  = 24 * time.Hour
)

// Turned is the map for a picture that is turned clockwise: every shape stays on what
// it was drawn on. Degrees are a multiple of 90.
func (m ZoneMap) Turned(degrees int) ZoneMap {
	turn := func(ps []Point) []Point {
		out := slices.Clone(ps)
		for i := range out {
			out[i] = out[i].turned(degrees)
		}
		return out
	}
	m.Zones, m.Lines, m.Masks = slices.Clone(m.Zones), slices.Clone(m.Lines), slices.Clone(m.Masks)
	for i := range m.Zones {
		m.Zones[i].Polygon = turn(m.Zones[i].Polygon)
	}
	for i := range m.Lines {
		m.Lines[i].From, m.Lines[i].To = m.Lines[i].From.turned(degrees), m.Lines[i].To.turned(degrees)
	}
	for i := range m.Masks {
		m.Masks[i].Polygon = turn(m.Masks[i].Polygon)
	}
	return m
}

func (p Point) turned(degrees int) Point {
	rest := func(v float64) float64 { return math.Round((1-v)*1e9) / 1e9 } // without the noise of the last digits
	switch (degrees%360 + 360) % 360 {
	case 90:
		return Point{rest(p[1]), p[0]}
	case 180:
		return Point{rest(p[0]), rest(p[1])}
	case 270:
		return Point{p[1], rest(p[0])}
	}
	return p
}

// ZoneError is why a map cannot be used.
type ZoneError struct {
	Where  string // the member: "zones[2].polygon"
	Reason string // for people
}

// Error implements error.
func (e *ZoneError) Error() string { return e.Where + ": " + e.Reason }

// Validate returns a *ZoneError for the first thing that is wrong.
func (m ZoneMap) Validate() error {
	if n := len(m.Zones) + len(m.Lines) + len(m.Masks); n > MaxShapes {
		return &ZoneError{"zones", fmt.Sprintf("%d zones, lines and masks are more than %d", n, MaxShapes)}
	}
	ids := map[string]bool{}
	for i, z := range m.Zones {
		c := check{fmt.Sprintf("zones[%d]", i)}
		if err := first(c.id(z.ID, ids), c.polygon(z.Polygon), c.filter("objects.", z.Objects), c.between("loiter_seconds", z.Loiter.Seconds(), 0, MaxLoiter.Seconds())); err != nil {
			return err
		}
	}
	for i, l := range m.Lines {
		c := check{fmt.Sprintf("lines[%d]", i)}
		if err := first(c.id(l.ID, ids), c.line(l), c.filter("objects.", l.Objects)); err != nil {
			return err
		}
	}
	for i, k := range m.Masks {
		c := check{fmt.Sprintf("masks[%d]", i)}
		if err := first(c.id(k.ID, ids), c.polygon(k.Polygon), c.filter("", ObjectFilter{Classes: k.Classes, MinArea: k.MinArea, MaxArea: k.MaxArea})); err != nil {
			return err
		}
	}
	return nil
}

func first(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// check finds what is wrong in one zone, line or mask.
type check struct{ where string }

func (c check) wrong(member, format string, args ...any) error {
	return &ZoneError{c.where + "." + member, fmt.Sprintf(format, args...)}
}

var shapeID = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,62}$`)

func (c check) id(id string, taken map[string]bool) error {
	if !shapeID.MatchString(id) {
		return c.wrong("id", "%q is no id: small letters, digits, - and _ only, 63 at most", id)
	}
	if taken[id] {
		return c.wrong("id", "%q is the id of another zone, line or mask", id)
	}
	taken[id] = true
	return nil
}

// filter checks a filter whose members have the given names in front of theirs.
func (c check) filter(in string, f ObjectFilter) error {
	if i := slices.Index(f.Classes, ""); i >= 0 {
		return c.wrong(fmt.Sprintf("%sclasses[%d]", in, i), "an empty name is no class")
	}
	if err := first(c.between(in+"min_area", f.MinArea, 0, 1), c.between(in+"max_area", f.MaxArea, 0, 1), c.between(in+"min_score", f.MinScore, 0, 1)); err != nil {
		return err
	}
	if f.MaxArea > 0 && f.MaxArea < f.MinArea {
		return c.wrong(in+"max_area", "it is smaller than min_area")
	}
	return nil
}

func (c check) between(member string, v, low, high float64) error {
	if !(v >= low && v <= high) {
		return c.wrong(member, "%v is not between %v and %v", v, low, high)
	}
	return nil
}

func (c check) point(member string, p Point) error {
	for _, v := range p {
		if !(v >= 0 && v <= 1) {
			return c.wrong(member, "[%v, %v] is outside of the picture: both must be between 0 and 1", p[0], p[1])
		}
	}
	return nil
}

// shortest is the least length of a line and the least area of a polygon: a
// thousandth of the picture's side, squared for areas.
const shortest = 1e-3

func (c check) line(l Line) error {
	if err := first(c.point("from", l.From), c.point("to", l.To)); err != nil {
		return err
	}
	if math.Hypot(l.To[0]-l.From[0], l.To[1]-l.From[1]) < shortest {
		return c.wrong("to", "the line has no length")
	}
	if !slices.Contains([]string{DirectionBoth, DirectionRight, DirectionLeft}, l.Direction) {
		return c.wrong("direction", "%q is none of both, right and left", l.Direction)
	}
	return nil
}

func (c check) polygon(p []Point) error {
	const member = "polygon"
	if len(p) < 3 || len(p) > MaxCorners {
		return c.wrong(member, "it has %d corners, it takes 3 to %d", len(p), MaxCorners)
	}
	for i := range p {
		if err := c.point(fmt.Sprintf("polygon[%d]", i), p[i]); err != nil {
			return err
		}
	}
	for i := range p {
		if next := (i + 1) % len(p); p[i] == p[next] {
			return c.wrong(member, "corners %d and %d are the same", i+1, next+1)
		}
	}
	for i := range p {
		for j := i + 1; j < len(p); j++ {
			if sidesMeet(p, i, j) {
				return c.wrong(member, "its sides %d and %d cross or touch; draw it so that they do not, or as two zones", i+1, j+1)
			}
		}
	}
	if math.Abs(area(p)) < shortest*shortest {
		return c.wrong(member, "it has no area")
	}
	return nil
}

// area is a polygon's signed area, by the shoelace formula.
func area(p []Point) float64 {
	sum := 0.0
	for i := range p {
		a, b := p[i], p[(i+1)%len(p)]
		sum += a[0]*b[1] - a[1]*b[0]
	}
	return sum / 2
}

// sidesMeet says whether side i and side j > i, each from a corner to the next,
// have more in common than the corner that neighbours share.
func sidesMeet(p []Point, i, j int) bool {
	n := len(p)
	a, b, c, d := p[i], p[(i+1)%n], p[j], p[(j+1)%n]
	switch {
	case j == i+1: // share b = c: the next side must not run back over this one
		return turn(a, b, d) == 0 && within(a, b, d) || turn(a, b, d) == 0 && within(c, d, a)
	case (j+1)%n == i: // share a = d
		return turn(a, b, c) == 0 && within(a, b, c) || turn(a, b, c) == 0 && within(c, d, b)
	}
	t1, t2, t3, t4 := turn(a, b, c), turn(a, b, d), turn(c, d, a), turn(c, d, b)
	if t1*t2 < 0 && t3*t4 < 0 {
		return true
	}
	return t1 == 0 && within(a, b, c) || t2 == 0 && within(a, b, d) || t3 == 0 && within(c, d, a) || t4 == 0 && within(c, d, b)
}

// turn says to which side of the way from a to b the point c lies: 0 on it, within
// what rounding of coordinates in 0..1 leaves.
func turn(a, b, c Point) float64 {
	v := (b[0]-a[0])*(c[1]-a[1]) - (b[1]-a[1])*(c[0]-a[0])
	if math.Abs(v) < 1e-12 {
		return 0
	}
	return math.Copysign(1, v)
}

// within says whether c, which is in line with a and b, lies between them.
func within(a, b, c Point) bool {
	return min(a[0], b[0]) <= c[0] && c[0] <= max(a[0], b[0]) && min(a[1], b[1]) <= c[1] && c[1] <= max(a[1], b[1])
}

// ZoneCount is what happened at a zone or a line in a minute, or in the minutes
// of an hour or a day, for one label or, with Label "", for all labels together.
type ZoneCount struct {
	CameraID string
	ZoneID   string // of a zone or a line
	Label    string
	Start    time.Time     // of the minute, hour or day, UTC
	Entered  int64         // zones: objects that came in, or appeared inside
	Exited   int64         // zones: objects that went out, or disappeared inside
	ToRight  int64         // lines: objects that crossed to the right
	ToLeft   int64         // lines: objects that crossed to the left
	Present  time.Duration // zones: time that objects spent inside, summed up over objects
	Most     int           // zones: most objects inside at the same time
	Watched  time.Duration // how long the camera was watched; with Label "" only
}

// The periods of a ZoneCountQuery.
const (
	PeriodMinute = "minute"
	PeriodHour   = "hour"
	PeriodDay    = "day"
)

// ZoneCountQuery filters ZoneCounts.
type ZoneCountQuery struct {
	CameraID string
	ZoneID   string // "" all of the camera
	Period   string // minute, hour or day
	Range           // of the starts of minutes
	Limit    int    // 0 takes 1000, more than 10,000 is cut
}
