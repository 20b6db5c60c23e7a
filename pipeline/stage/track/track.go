// Package track follows the objects of one camera through its frames and gives
// each a lasting id.
//
// The method is ByteTrack's (Zhang et al., "ByteTrack: Multi-Object Tracking by
// Associating Every Detection Box", ECCV 2022): a Kalman filter per object
// predicts its box, detections with a high score are associated first and those
// with a low score may then continue, but not take over, what is left. Three
// things differ, because cameras here are looked at 0.5 to 60 times a second and
// not evenly: time steps are real time instead of frames, patience is in
// seconds, and an object may also be found by the distance of its centre, where
// at a low rate a small fast one no longer overlaps its prediction.
//
// Everything is deterministic: the same calls give the same tracks.
package track

import (
	"cmp"
	"math"
	"slices"
	"time"

	"detectd/detect"
	"detectd/detect/assign"
)

// Config configures a Tracker. The zero value is usable.
type Config struct {
	// High is the score from which a detection starts a track at once; below it
	// a second sighting is needed. 0 takes 0.5.
	High float32
	// MaxLost is how long an object may stay unseen and keep its id. 0 takes 2 s.
	MaxLost time.Duration
	// MaxStill is the same for an object that has stood still for 10 s: where it
	// comes back is known, and whatever stands in front of it may do so for a
	// while. 0 takes 30 s.
	MaxStill time.Duration
	// MaxObjects bounds the detections followed in one frame, best first, and the
	// tracks kept. 0 takes 256.
	MaxObjects int
}

const (
	minIoU     = 0.2  // overlap that makes a detection the same object
	minIoULow  = 0.3  // the same for detections with a low score
	maxSquared = 9.21 // gate for the centre: 99 % of a chi-squared distribution with 2 degrees of freedom
	maxLengths = 3.0  // and at most this many object sizes away
	maxResize  = 2.0  // and at most this times larger or smaller in area
	// minRest is the overlap with the last sighting that speaks for an object that
	// has not moved, and restWeight how much: less than a good prediction.
	minRest, restWeight = 0.5, 0.85
	// maxTentative is how long an object seen once waits for its second sighting.
	maxTentative = 500 * time.Millisecond
	// stillFor is how long an object must stay within half its size of one place
	// to count as standing still.
	stillFor  = 10 * time.Second
	stillSize = 0.5
	// stillLooks is how many looks an object that stands still may be unseen at least.
	stillLooks = 8
	// seldom is the time between two looks from which an object can be gone and
	// another one found at once, see leaps.
	seldom = 600 * time.Millisecond
)

// Tracker follows the objects of one camera. It is owned by one goroutine.
type Tracker struct {
	cfg    Config
	newID  func() string
	last   time.Duration // of the newest update
	step   time.Duration // between the two newest updates
	begun  bool
	tracks []*object // oldest first
	ended  []string
	parked map[kind]bool // the kinds of which most stand still, where cameras are looked at seldom

	assign assign.Solver
	match  []int
}

// object is a track.
type object struct {
	id     string // "" while it waits for its second sighting
	class  detect.Detection
	motion motion  // at the last sighting
	ahead  motion  // predicted for the update that is going on
	rest   motion  // the same if it has not moved since it was seen
	missed bool    // not seen in the newest update
	placed bool    // it stood still between its last two sightings
	moving bool    // it moved between them
	from   *object // the track that this one may go on, see leaps

	homeX, homeY float64 // the place it has stayed near
	home         time.Duration
}

// still says whether the object was standing still when it was last seen.
func (o *object) still() bool { return o.motion.at-o.home >= stillFor }

// stay notes where the object is.
func (o *object) stay() {
	if math.Hypot(o.motion.x.p-o.homeX, o.motion.y.p-o.homeY) > stillSize*o.motion.size {
		o.homeX, o.homeY, o.home = o.motion.x.p, o.motion.y.p, o.motion.at
	}
}

// New returns a tracker. newID is called once for each track that is confirmed,
// in order; its results must be unique for ever.
func New(cfg Config, newID func() string) *Tracker {
	if cfg.High <= 0 {
		cfg.High = 0.5
	}
	if cfg.MaxLost <= 0 {
		cfg.MaxLost = 2 * time.Second
	}
	if cfg.MaxStill <= 0 {
		cfg.MaxStill = max(30*time.Second, cfg.MaxLost)
	}
	if cfg.MaxObjects <= 0 {
		cfg.MaxObjects = 256
	}
	return &Tracker{cfg: cfg, newID: newID, parked: map[kind]bool{}}
}

// Update takes in the detections of the frame at the given stream time. It
// returns them in the same order, with the ids of the tracks they belong to. The
// result belongs to the caller. A frame that is not later than the one before
// changes nothing and gets no ids.
func (t *Tracker) Update(at time.Duration, dets []detect.Detection) []detect.Object {
	objects := make([]detect.Object, len(dets))
	for i, d := range dets {
		objects[i].Detection = d
	}
	if t.begun && at <= t.last {
		return objects
	}
	t.end(at)
	if t.begun {
		t.step = at - t.last
	}
	t.last, t.begun = at, true
	for _, o := range t.tracks {
		o.ahead, o.rest, o.missed = o.motion.ahead(at), o.motion.resting(at), true
		if o.still() || o.placed && t.step >= seldom {
			o.ahead = o.rest
		}
	}
	open := t.usable(dets)
	t.look(dets, open)
	high := func(i int) bool { return dets[i].Score >= t.cfg.High }
	open = t.associate(objects, open, confirmed, high, func(o *object, d detect.Detection) float64 {
		if t.leaps(o, d) {
			return 0
		}
		return similar(o, d)
	})
	open = t.associate(objects, open, confirmed, func(i int) bool { return !high(i) }, overlapping)
	open = t.associate(objects, open, tentative, func(int) bool { return true }, similar)
	for _, i := range open {
		t.begin(at, &objects[i])
	}
	return objects
}

// Predict estimates where the objects seen in the newest update are at a later
// stream time. Boxes may reach out of the picture.
func (t *Tracker) Predict(at time.Duration) []detect.Object {
	var objects []detect.Object
	for _, o := range t.tracks {
		if o.missed || o.id == "" {
			continue
		}
		p := detect.Object{Detection: o.class, TrackID: o.id}
		p.Box = o.motion.ahead(at).box()
		objects = append(objects, p)
	}
	return objects
}

// Ended gives up the tracks that have been unseen for too long at the given
// stream time, and returns the ids of all tracks that ended since it was last
// called. The largest Duration ends all.
func (t *Tracker) Ended(at time.Duration) []string {
	t.end(at)
	ended := t.ended
	t.ended = nil
	return ended
}

// usable lists the detections that can be followed, best first, as indices.
func (t *Tracker) usable(dets []detect.Detection) []int {
	open := make([]int, 0, len(dets))
	for i, d := range dets {
		if sum := float64(d.Box.X) + float64(d.Box.Y) + float64(d.Box.W) + float64(d.Box.H); d.Box.W > 0 && d.Box.H > 0 &&
			!math.IsNaN(sum) && !math.IsInf(sum, 0) {
			open = append(open, i)
		}
	}
	slices.SortStableFunc(open, func(a, b int) int { return cmp.Compare(dets[b].Score, dets[a].Score) })
	return open[:min(len(open), t.cfg.MaxObjects)]
}

func confirmed(o *object) bool { return o.id != "" }
func tentative(o *object) bool { return o.id == "" }

// associate gives the open detections that want lets in to the unseen tracks
// that which lets in, and returns the detections that are still open.
func (t *Tracker) associate(objects []detect.Object, open []int, which func(*object) bool, want func(int) bool,
	likeness func(*object, detect.Detection) float64,
) []int {
	var rows []*object
	for _, o := range t.tracks {
		if o.missed && which(o) {
			rows = append(rows, o)
		}
	}
	var columns, rest []int
	for _, i := range open {
		if want(i) {
			columns = append(columns, i)
		} else {
			rest = append(rest, i)
		}
	}
	costs := make([]float64, len(rows)*len(columns))
	for r, o := range rows {
		for c, i := range columns {
			costs[r*len(columns)+c] = -likeness(o, objects[i].Detection)
		}
	}
	t.match = slices.Grow(t.match[:0], len(rows))[:len(rows)]
	t.assign.Solve(len(rows), len(columns), func(r, c int) float64 { return costs[r*len(columns)+c] }, t.match)
	for r, c := range t.match {
		if c < 0 {
			continue
		}
		t.seen(rows[r], &objects[columns[c]])
		columns[c] = -1
	}
	for _, i := range columns {
		if i >= 0 {
			rest = append(rest, i)
		}
	}
	return rest
}

// kind is what sameClass tells apart.
type kind struct {
	label string
	class int
}

func kindOf(d detect.Detection) kind {
	if d.Label != "" {
		return kind{label: d.Label}
	}
	return kind{class: d.ClassID}
}

// look finds out of which kinds of objects most stand still, where the camera is
// looked at seldom.
func (t *Tracker) look(dets []detect.Detection, open []int) {
	clear(t.parked)
	if t.step < seldom {
		return
	}
	all, stay := map[kind]int{}, map[kind]int{}
	for _, o := range t.tracks {
		k := kindOf(o.class)
		all[k]++
		if slices.ContainsFunc(open, func(i int) bool {
			return iou(o.rest.box(), dets[i].Box) >= minRest && sameClass(o.class, dets[i])
		}) {
			stay[k]++
		}
	}
	for k, n := range stay {
		t.parked[k] = n > 1 && 2*n > all[k]
	}
}

// leaps says whether a track that is not known to move would have to leave its place
// altogether from one look to the next to be what was detected, while most of its
// kind stand still. Where a camera is looked at seldom, its neighbour may just as well
// have been overlooked until now: two cars side by side are as far apart as a walker
// comes in a second. Such a detection gets no id yet; its next place tells whether it
// goes on.
func (t *Tracker) leaps(o *object, d detect.Detection) bool {
	return t.parked[kindOf(d)] && !o.moving && iou(o.rest.box(), d.Box) < minIoU
}

// similar tells how well a detection fits a track, 0: not at all.
func similar(o *object, d detect.Detection) float64 {
	if !sameClass(o.class, d) {
		return 0
	}
	return max(fit(o.ahead, d), fitResting(o, d))
}

// fitResting is how well a detection fits a track that has not moved, where it lies
// on what was seen last. In a row of parked cars a speed may be wrong, learned from
// the neighbour while the car was overlooked, and all of the row would go on as if it
// moved.
func fitResting(o *object, d detect.Detection) float64 {
	if iou(o.rest.box(), d.Box) < minRest {
		return 0
	}
	return restWeight * fit(o.rest, d)
}

// fit is how well a detection fits what is expected of an object.
func fit(m motion, d detect.Detection) float64 {
	overlap := iou(m.box(), d.Box)
	squared, lengths := m.deviation(d.Box)
	if overlap < minIoU {
		ratio := float64(d.Box.W) * float64(d.Box.H) / (m.size * m.size)
		if squared > maxSquared || lengths > maxLengths || ratio > maxResize || ratio < 1/maxResize {
			return 0
		}
	}
	return 0.5*overlap + 0.5*max(0.01, 1-lengths/maxLengths)
}

// overlapping is similar for detections with a low score: they must lie where
// the object is expected.
func overlapping(o *object, d detect.Detection) float64 {
	if overlap := iou(o.ahead.box(), d.Box); sameClass(o.class, d) && overlap >= minIoULow {
		return overlap
	}
	return 0
}

// sameClass compares labels, which outlive a change of model, and falls back to
// numbers for models without labels.
func sameClass(a, b detect.Detection) bool {
	return a.Label == b.Label && (a.Label != "" || a.ClassID == b.ClassID)
}

func (t *Tracker) seen(o *object, d *detect.Object) {
	resting, expected := iou(o.rest.box(), d.Box), iou(o.ahead.box(), d.Box)
	if o.id == "" && (!t.parked[kindOf(d.Detection)] || max(resting, expected) >= minIoU) {
		o.id = t.confirm(o, resting < minRest)
	}
	o.class, o.missed = d.Detection, false
	o.placed, o.moving = resting >= minRest, resting < minRest
	if fitResting(o, d.Detection) > fit(o.ahead, d.Detection) {
		o.ahead = o.rest
	}
	o.motion = o.ahead.seen(d.Box)
	o.stay()
	d.TrackID = o.id
}

// confirm gives an id to a track that has been seen as often as is needed: that of
// the track it goes on, if it moves and that one has stayed away.
func (t *Tracker) confirm(o *object, moves bool) string {
	from := o.from
	o.from = nil
	if from == nil || !moves || !from.missed || from.id == "" {
		return t.newID()
	}
	id := from.id
	from.id = ""
	return id
}

// origin finds the unseen track that a detection may go on with a leap; nil if there
// is none.
func (t *Tracker) origin(d detect.Detection) (from *object) {
	best := 0.0
	for _, o := range t.tracks {
		if !o.missed || o.id == "" || !t.leaps(o, d) {
			continue
		}
		if s := similar(o, d); s > best {
			best, from = s, o
		}
	}
	return from
}

// begin starts a track; one with a low score waits for its second sighting.
func (t *Tracker) begin(at time.Duration, d *detect.Object) {
	if len(t.tracks) >= 2*t.cfg.MaxObjects {
		return
	}
	o := &object{class: d.Detection, motion: newMotion(at, d.Box)}
	o.homeX, o.homeY, o.home = o.motion.x.p, o.motion.y.p, at
	if from := t.origin(d.Detection); from != nil {
		o.motion, o.moving, o.from = from.ahead.seen(d.Box), true, from
	} else if d.Score >= t.cfg.High {
		o.id = t.newID()
		d.TrackID = o.id
	}
	t.tracks = append(t.tracks, o)
}

// end removes the tracks that have been unseen for too long.
func (t *Tracker) end(at time.Duration) {
	t.tracks = slices.DeleteFunc(t.tracks, func(o *object) bool {
		over := at-o.motion.at > t.patience(o)
		if over && o.id != "" {
			t.ended = append(t.ended, o.id)
			o.id = ""
		}
		return over
	})
}

// patience is how long a track may be unseen. Where a camera is looked at
// seldom it covers two looks; and twice as long is granted when nobody has
// looked since the object was seen.
func (t *Tracker) patience(o *object) time.Duration {
	limit := t.cfg.MaxLost
	if o.id == "" {
		limit = maxTentative
	}
	if o.still() {
		limit = t.cfg.MaxStill
	}
	if !o.missed {
		limit = max(2*limit, 2*t.cfg.MaxLost)
	}
	if o.still() || o.placed { // a parked car that the model overlooks three times in a row is still there
		return max(limit, t.step*stillLooks)
	}
	return max(limit, t.step*5/2)
}
