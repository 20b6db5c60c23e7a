// Package share decides which cameras give up video when there is more than the
// machine can decode, so that what is decoded is fresh, the processors have work all
// the time and every camera gets the same share of its video decoded, by weight.
//
// A decoder cannot come back before the next key unit, which may be seconds away.
// So cameras are stopped one at a time, as late as freshness allows: when units are
// old by the time their turn comes, and those that go on ask for more than is done.
// The one that is stopped is the one furthest ahead of the others, counting what it
// will miss until its next key unit. Cameras whose next key unit cannot be foreseen
// are not stopped; what bounds their age lies with the caller.
package share

import (
	"sync"
	"time"
)

const (
	// fresh is the age at which a unit's turn should come at the latest. With the
	// inference after it, what is found is less than a quarter of a second old.
	fresh = 100 * time.Millisecond
	// slack is how far the age may rise above it while no more than can be done is
	// asked for, and urgency by how much less is asked for, per second of age, above.
	slack   = 50 * time.Millisecond
	urgency = 2.0
	// stale is the age up to which what had arrived when a camera was stopped is still
	// decoded.
	stale = 200 * time.Millisecond
	// least is the share of what can be done that is always asked for: a backlog is
	// better worked off slowly than by leaving processors without work later.
	least = 0.95
	// idle is the age below which there is no backlog.
	idle = 10 * time.Millisecond
	// window is how long there is a backlog until what is done is what can be done.
	window = 250 * time.Millisecond
	// longest is the longest group of pictures whose end is waited for.
	longest = 10 * time.Second
	// brief is for how long at least a camera is stopped that sends nothing but key
	// units.
	brief = 100 * time.Millisecond
	// memory bounds what a camera may be behind the one furthest ahead, in decoded
	// video: what it did not use before is lost.
	memory = 3 * time.Second
)

// Shares is shared by all cameras. Safe for concurrent use.
type Shares struct {
	mu      sync.Mutex // guards what follows, and the cameras
	cameras []*Camera
	age     time.Duration // of the last unit when its turn came
	able    float64       // work per time while there is a backlog; 0: not known yet
	since   time.Time     // when the backlog was last looked at
	done    time.Duration // work since
}

// New returns Shares without cameras.
func New() *Shares { return &Shares{} }

// Camera is the part of one camera. Its methods are called by one goroutine.
type Camera struct {
	shares *Shares
	weight float64

	active  bool             // it decodes
	stopped bool             // until its next key unit
	from    time.Time        // what arrived until then is decoded all the same
	skipped int              // units since it was stopped
	first   time.Duration    // DTS of the first of them
	cost    [2]time.Duration // smoothed, of a unit that is not a key unit, and of one that is
	key     bool             // the last unit was one
	every   time.Duration    // smoothed time between two units
	last    time.Duration    // DTS of the last unit
	begun   bool             // last and units are known
	units   int              // since the last key unit, with it
	group   int              // units of the group before; 0: not known
	had     time.Duration    // video that was decoded, over the weight
}

// Camera adds a camera, whose share is in proportion to weight; 0 counts as 1.
func (s *Shares) Camera(weight float64) *Camera {
	if weight <= 0 {
		weight = 1
	}
	c := &Camera{shares: s, weight: weight}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cameras = append(s.cameras, c)
	return c
}

// Leave takes the camera out. It may not be used any more.
func (c *Camera) Leave() {
	s := c.shares
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, other := range s.cameras {
		if other == c {
			s.cameras = append(s.cameras[:i], s.cameras[i+1:]...)
			return
		}
	}
}

// Rest says that the camera decodes nothing for a while, or begins anew.
func (c *Camera) Rest() {
	s := c.shares
	s.mu.Lock()
	defer s.mu.Unlock()
	c.active, c.stopped, c.begun = false, false, false
}

// Skip says that a unit, which is the next in decoding order, is to be left out.
func (c *Camera) Skip(key bool, dts time.Duration, arrived time.Time) bool {
	s := c.shares
	s.mu.Lock()
	defer s.mu.Unlock()
	if !c.active {
		c.active = true
		c.had = max(c.had, s.middle())
	}
	c.follow(key, dts)
	if c.stopped && key && (c.group != 1 || c.skipped > 0 && dts-c.first >= brief) {
		c.stopped = false
	}
	if c.stopped && (c.skipped > 0 || arrived.After(c.from) || time.Since(arrived) > stale) {
		if c.skipped == 0 {
			c.first = dts
		}
		c.skipped++
		return true
	}
	c.had += time.Duration(float64(c.every) / c.weight)
	return false
}

// follow learns the camera's rhythm.
func (c *Camera) follow(key bool, dts time.Duration) {
	if d := dts - c.last; c.begun && d > 0 && d < time.Second {
		if c.every == 0 {
			c.every = d
		}
		c.every += (d - c.every) / 16
	}
	c.last, c.key = dts, key
	switch {
	case key && c.begun:
		c.group, c.units = c.units, 1
	case key:
		c.begun, c.group, c.units = true, 0, 1
	default:
		c.units++
	}
}

// GivenUp says that the camera leaves out its video until a key unit for a reason of
// its own.
func (c *Camera) GivenUp() {
	s := c.shares
	s.mu.Lock()
	defer s.mu.Unlock()
	c.stopped, c.from = true, time.Time{}
	c.skipped++
}

// Served tells that a unit of the camera was decoded: how long ago it had arrived
// when its turn came, less than 0 for one that does not count, as it was held back,
// and how long it took.
func (c *Camera) Served(age, took time.Duration) {
	s := c.shares
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	c.spent(took)
	s.done += took
	if age < 0 {
		return
	}
	s.age = age
	switch elapsed := now.Sub(s.since); {
	case age < idle || s.since.IsZero():
		s.since, s.done = now, 0
	case elapsed >= window:
		able := float64(s.done) / float64(elapsed)
		if s.able == 0 {
			s.able = able
		}
		s.able += (able - s.able) / 5
		s.since, s.done = now, 0
	}
	s.balance()
}

// spent learns what units cost.
func (c *Camera) spent(took time.Duration) {
	cost, last := &c.cost[0], time.Duration(16)
	if c.key {
		cost, last = &c.cost[1], 4
	}
	if *cost == 0 {
		*cost = took
	}
	*cost += (took - *cost) / last
}

// balance stops a camera where that is needed.
func (s *Shares) balance() {
	if s.age < fresh || s.able == 0 {
		return
	}
	busy := 0
	all, asked := 0.0, 0.0 // processors, by all cameras and by those that are not stopped
	for _, c := range s.cameras {
		if c.load() > 0 {
			busy++
		}
		all += c.load()
		if !c.stopped {
			asked += c.load()
		}
	}
	if busy == 1 && s.age < stale { // nobody else could use the time that it leaves
		return
	}
	above := max(0, s.age-fresh-slack).Seconds()
	if asked <= s.able*max(least, 1-urgency*above) {
		return
	}
	share := min(1, s.able/all)
	var next *Camera
	var most time.Duration
	for _, c := range s.cameras {
		rest, known := c.rest()
		if c.stopped || c.load() == 0 || !known {
			continue
		}
		if lead := c.had - time.Duration(share*float64(rest)/c.weight); next == nil || lead > most {
			next, most = c, lead
		}
	}
	if next == nil {
		return
	}
	next.stopped, next.skipped, next.from = true, 0, time.Time{}
	if s.age < fresh+slack {
		next.from = time.Now()
	}
	s.forget()
}

// load is how much of a processor the camera asks for.
func (c *Camera) load() float64 {
	if !c.active || c.every <= 0 {
		return 0
	}
	group := float64(max(1, c.group, c.units))
	return (float64(c.cost[1]) + (group-1)*float64(c.cost[0])) / group / float64(c.every)
}

// rest is how long it is to the camera's next key unit, when that can be foreseen.
func (c *Camera) rest() (time.Duration, bool) {
	left := c.group - c.units
	if left < 0 { // the longer a group already is, the longer it may still be
		left = c.units
	}
	rest := time.Duration(left) * c.every
	return rest, c.begun && c.group > 0 && rest+time.Duration(c.units)*c.every <= longest
}

// forget bounds how far cameras are behind the one furthest ahead of those that can
// be stopped, and others ahead of it.
func (s *Shares) forget() {
	var most time.Duration
	for _, c := range s.cameras {
		if _, known := c.rest(); known {
			most = max(most, c.had)
		}
	}
	for _, c := range s.cameras {
		c.had = min(max(c.had, most-memory), most)
	}
}

// middle is what the cameras that decode have had on average.
func (s *Shares) middle() time.Duration {
	var sum time.Duration
	n := 0
	for _, c := range s.cameras {
		if c.active && c.every > 0 {
			sum += c.had
			n++
		}
	}
	return sum / time.Duration(max(1, n))
}
