package zone

import (
	"maps"
	"math"
	"reflect"
	"slices"
	"sync/atomic"
	"time"

	"detectd/pipeline/bus"
	"detectd/store"
)

// The kinds of events.
const (
	Entered   = "zone.entered"   // an object came into a zone, or appeared in it
	Left      = "zone.left"      // it went out, or disappeared in it
	Loitering = "zone.loitering" // it has been in the zone for as long as the zone says
	Crossed   = "line.crossed"   // an object crossed a line
)

// forgotten is when an object that nobody ended is given up.
const forgotten = 2 * time.Minute

// Camera watches the zones and lines of one camera. Its methods are called from
// one goroutine, that of the camera's annotator.
type Camera struct {
	id      string
	proven  time.Duration                 // how long an object must have been followed to enter
	current atomic.Pointer[store.ZoneMap] // set by the stage
	only    func() []string               // zones that detections are wanted in
	say     func(bus.ZoneEvent)

	using   *store.ZoneMap // the map that what follows belongs to
	size    size
	zones   []*area
	lines   []*line
	objects map[string]*object // by track
	last    time.Duration      // PTS of the newest frame
	begun   bool

	tally tally
}

// area is a zone on the present size of picture.
type area struct {
	store.Zone
	polygon polygon
	inside  map[string]int // objects by label
}

// line is a line on the present size of picture.
type line struct {
	store.Line
	segment segment
}

// moment is an object in one frame.
type moment struct {
	pts       time.Duration
	time      time.Time
	object    store.Object
	clock     string        // how time was obtained
	timeError time.Duration // and how far it may be off
}

// object is a followed object.
type object struct {
	first time.Duration // PTS
	label string
	best  float32
	last  moment
	stays map[string]*stay   // by zone
	sides map[string]*onSide // by line
}

// stay is where an object stands to a zone.
type stay struct {
	inside   bool
	since    moment        // the first frame inside
	counted  time.Duration // PTS up to which its presence is counted
	label    string        // it entered with
	loitered bool
	turn     turn
	turned   moment // the frame in which the turn began
}

// onSide is where an object stands to a line.
type onSide struct {
	right   bool
	at      point
	net     int // crossings to the right minus crossings to the left since it stood on its side for certain
	crossed moment
	turn    turn
}

func newCamera(id string, m *store.ZoneMap, say func(bus.ZoneEvent)) *Camera {
	c := &Camera{id: id, proven: proven, only: func() []string { return nil }, say: say, objects: map[string]*object{}}
	c.current.Store(m)
	return c
}

// Annotations takes in the next completed frames, oldest first. It implements a
// part of annotate.Out and changes nothing in them.
func (c *Camera) Annotations(as []store.Annotation) {
	for i := range as {
		c.frame(&as[i])
	}
}

// Track takes in news of a track: when it has ended its object leaves all zones,
// at the time of its last frame. It implements a part of annotate.Out.
func (c *Camera) Track(t store.Track) {
	if o := c.objects[t.ID]; t.Ended && o != nil {
		c.gone(t.ID, o)
	}
}

func (c *Camera) frame(a *store.Annotation) {
	c.adopt(size{a.Width, a.Height})
	if len(c.zones) == 0 && len(c.lines) == 0 {
		c.begun = false
		return
	}
	step := a.PTS - c.last
	if c.begun && step > 0 && step <= forgotten {
		c.watched(a.Time, min(step, settled))
	}
	c.last, c.begun = a.PTS, true
	for _, o := range a.Objects {
		if o.TrackID != "" {
			c.see(moment{a.PTS, a.Time, o, a.Clock, a.TimeError})
		}
	}
	for _, z := range c.zones {
		c.peak(z, a.Time)
	}
	if len(c.objects) > 0 {
		c.forget(a.PTS)
	}
}

// adopt takes over a new map or another size of picture. Zones that are the same
// in both keep who is in them.
func (c *Camera) adopt(s size) {
	m := c.current.Load()
	if m == c.using && s == c.size {
		return
	}
	old := map[string]*area{}
	for _, z := range c.zones {
		old[z.ID] = z
	}
	c.zones, c.lines = nil, nil
	if s.width <= 0 || s.height <= 0 {
		m = &store.ZoneMap{}
	}
	for _, z := range m.Zones {
		next := &area{Zone: z, polygon: s.polygon(z.Polygon), inside: map[string]int{}}
		if before := old[z.ID]; before != nil && reflect.DeepEqual(before.Zone, z) {
			next.inside = before.inside
			delete(old, z.ID)
		}
		c.zones = append(c.zones, next)
	}
	for _, l := range m.Lines {
		c.lines = append(c.lines, &line{l, segment{s.place(l.From), s.place(l.To)}})
	}
	for _, o := range c.objects {
		for id := range old {
			delete(o.stays, id)
		}
		clear(o.sides)
	}
	c.using, c.size = c.current.Load(), s
}

func (c *Camera) see(now moment) {
	o := c.objects[now.object.TrackID]
	if o == nil {
		o = &object{first: now.pts, stays: map[string]*stay{}, sides: map[string]*onSide{}}
		c.objects[now.object.TrackID] = o
	}
	o.label, o.best, o.last = now.object.Label, max(o.best, now.object.Score), now
	for _, z := range c.zones {
		c.zone(o, z, now)
	}
	for _, l := range c.lines {
		c.line(o, l, now)
	}
}

// zone brings an object's stay up to date.
func (c *Camera) zone(o *object, z *area, now moment) {
	s := o.stays[z.ID]
	if s == nil {
		s = &stay{}
		o.stays[z.ID] = s
	}
	at := anchor(now.object.Box)
	at.y = min(at.y, float64(c.size.height)-0.5) // cut by the picture's edge, it stands on the edge
	in := z.polygon.holds(at)
	if !s.inside && in && !passes(z.Objects, now.object.Label, c.size.share(now.object.Box), o.best) {
		in = false
	}
	if in == s.inside {
		s.turn = turn{}
		if in {
			c.present(z, s, now)
		}
		return
	}
	if !s.turn.on {
		s.turned = now
	}
	if !s.turn.certain(now, math.Abs(z.polygon.depth(at)), z.polygon.breadth) {
		return
	}
	if in && now.pts-o.first < c.proven {
		return
	}
	s.turn = turn{}
	if in {
		*s = stay{inside: true, since: s.turned, counted: s.turned.pts, label: now.object.Label}
		z.inside[s.label]++
		c.count(z.ID, s.label, s.since.time, func(n *store.ZoneCount) { n.Entered++ })
		c.report(Entered, z.ID, z.Name, s.since, func(e *bus.ZoneEvent) {})
		c.present(z, s, now)
		return
	}
	c.leave(z, s, s.turned)
}

// present counts the time that an object inside has spent there, and reports it
// when that is long.
func (c *Camera) present(z *area, s *stay, now moment) {
	spent := now.pts - s.counted
	s.counted = now.pts
	c.count(z.ID, s.label, now.time, func(n *store.ZoneCount) { n.Present += spent })
	if stayed := now.pts - s.since.pts; z.Loiter > 0 && !s.loitered && stayed >= z.Loiter {
		s.loitered = true
		c.report(Loitering, z.ID, z.Name, now, func(e *bus.ZoneEvent) { e.Stayed = stayed })
	}
}

func (c *Camera) leave(z *area, s *stay, at moment) {
	s.inside = false
	if z.inside[s.label]--; z.inside[s.label] <= 0 {
		delete(z.inside, s.label)
	}
	c.count(z.ID, s.label, at.time, func(n *store.ZoneCount) { n.Exited++ })
	c.report(Left, z.ID, z.Name, at, func(e *bus.ZoneEvent) { e.Label, e.Stayed = s.label, at.pts-s.since.pts })
}

// line brings an object's side of a line up to date.
func (c *Camera) line(o *object, l *line, now moment) {
	at := anchor(now.object.Box)
	distance := l.segment.side(at)
	right := distance >= 0
	s := o.sides[l.ID]
	if s == nil {
		o.sides[l.ID] = &onSide{right: right, at: at}
		return
	}
	if d := l.segment.crossed(s.at, at); d != 0 {
		s.net += d
		s.crossed = now
	}
	s.at = at
	if right == s.right {
		s.turn = turn{}
		if near, _ := margins(now, l.segment.breadth()); math.Abs(distance) >= near {
			s.net = 0
		}
		return
	}
	if !s.turn.certain(now, math.Abs(distance), l.segment.breadth()) {
		return
	}
	s.right, s.turn = right, turn{}
	if through := s.net > 0 && right || s.net < 0 && !right; through {
		c.cross(o, l, s.crossed, right)
	}
	s.net = 0 // else it went around an end of the line
}

func (c *Camera) cross(o *object, l *line, at moment, right bool) {
	direction := store.DirectionLeft
	if right {
		direction = store.DirectionRight
	}
	if l.Direction != store.DirectionBoth && l.Direction != direction ||
		!passes(l.Objects, at.object.Label, c.size.share(at.object.Box), o.best) {
		return
	}
	c.count(l.ID, at.object.Label, at.time, func(n *store.ZoneCount) {
		if right {
			n.ToRight++
		} else {
			n.ToLeft++
		}
	})
	c.report(Crossed, l.ID, l.Name, at, func(e *bus.ZoneEvent) { e.Direction = direction })
}

// gone lets an object leave where it was last seen.
func (c *Camera) gone(id string, o *object) {
	for _, z := range c.zones {
		if s := o.stays[z.ID]; s != nil && s.inside {
			at := o.last
			if s.turn.on {
				at = s.turned
			}
			c.leave(z, s, at)
		}
	}
	delete(c.objects, id)
}

func (c *Camera) forget(now time.Duration) {
	for _, id := range slices.Sorted(maps.Keys(c.objects)) {
		if o := c.objects[id]; now-o.last.pts > forgotten {
			c.gone(id, o)
		}
	}
}

func (c *Camera) report(kind, id, name string, at moment, more func(*bus.ZoneEvent)) {
	o := at.object
	e := bus.ZoneEvent{
		Kind: kind, CameraID: c.id, ZoneID: id, ZoneName: name, Time: at.time, TrackID: o.TrackID,
		ClassID: o.ClassID, Label: o.Label, Score: o.Score, Box: o.Box,
		Clock: at.clock, TimeError: at.timeError,
	}
	more(&e)
	c.say(e)
}
