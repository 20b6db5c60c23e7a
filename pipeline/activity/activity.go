// Package activity decides for one camera, from its coded video alone, whether
// anything moves, so that the video of a scene in which nothing happens need not
// be decoded.
//
// Three things are looked at. The sizes of the access units, of which a coder
// makes more where the picture changes, tell at once, and at no cost. Key
// pictures, decoded now and then and compared at an eighth of their size, show
// what the sizes did not; so do the objects that the model finds in them. What is
// calm is learned per camera: the spread of the sizes at each place in a group of
// pictures, and how much each part of the picture varies by noise, rain or leaves.
//
// Whoever uses a Gate keeps the units since the last calm look and decodes them
// when the gate wakes up, so that a change found late is still found in all its
// pictures. What comes and goes between two looks is found by the sizes only: a
// stream whose sizes say nothing is decoded, and random audits count the misses.
//
// Where the sizes do not tell, all is decoded, and the pictures themselves, compared
// at each moment of a detection, say whether the model need look at them.
//
// A Gate has no clock and no goroutines: the same calls give the same decisions.
package activity

import (
	"math/rand/v2"
	"time"
)

// State is what the gate makes of the video.
type State string

// The states. Only in Idle are units left undecoded.
const (
	Learning State = "learning" // not enough calm video was seen yet
	Idle     State = "idle"     // nothing moves: only key pictures are looked at
	Active   State = "active"   // something moves, or did a moment ago
	Unsure   State = "unsure"   // this stream does not tell whether anything moves
	Still    State = "still"    // decoded for one of the reasons below, and its pictures show that nothing moves
)

// Why the gate is in its state, as shown to people.
const (
	ReasonStart      = "learning what this camera's video looks like when nothing moves"
	ReasonNewLevel   = "learning again: light or camera settings changed"
	ReasonCalm       = "nothing moves"
	ReasonSizes      = "the coded pictures grew"
	ReasonPicture    = "the picture changes"
	ReasonObject     = "the model found something new"
	ReasonAudit      = "a check at random found movement that nobody had noticed"
	ReasonFarKeys    = "key pictures are too far apart"
	ReasonAllKeys    = "every picture is a key picture"
	ReasonOpenGroups = "groups of pictures depend on each other"
	ReasonConstant   = "rate control gives every picture the same size"
	ReasonDeaf       = "noise or rate control would hide movement in the sizes of the coded pictures"
	ReasonPadded     = "rate control pads the coded pictures"
	ReasonBlind      = "movement did not show in the sizes of the coded pictures"
	ReasonNoPicture  = "pictures of this format cannot be compared"
	ReasonDecode     = "all video of this camera is decoded, as it is set"
)

// Constants of the rule. Times are stream time.
const (
	// lookEvery is the least time between two looks while idle: half a detection
	// per second. A little below 2 s, so that a group of exactly 2 s is not missed.
	lookEvery = 1900 * time.Millisecond
	// lookSeldom is the same where no object is to be seen, whose box would come
	// late, and the sizes tell of the smallest movement: either nearly nothing is
	// coded but what changes, or movement has shown before.
	lookSeldom = 5900 * time.Millisecond
	// lookCalm is the same where nothing has moved for restFor, the sizes tell what
	// they must where looks are calmGap seconds apart, and the key picture between two
	// looks has the size of the one before: what stands there would change it. As that
	// is nearly a look itself, calmGap is less than the time between the two.
	lookCalm = 3900 * time.Millisecond
	calmGap  = 3.0
	restFor  = 5 * time.Second
	// askSeldom is how long the model need not see the looks of a camera before which
	// it finds nothing, unless they differ from the last that it saw.
	askSeldom = 5900 * time.Millisecond
	// maxKeyGap is the longest distance of key pictures with which a camera may be
	// idle. It bounds the time to the next look, and what has to be kept; a
	// tracker must not forget a standing object within it.
	maxKeyGap = 10500 * time.Millisecond
	// quietFor is how long nothing must have moved before a camera is idle.
	quietFor = 3 * time.Second
	// pictureEvery is how often decoded pictures are compared where it matters.
	pictureEvery = 200 * time.Millisecond
	// movingEvery is how often while something moves, movedLately after it did.
	movingEvery = 600 * time.Millisecond
	movedLately = time.Second
	// hopeless is how often where key pictures are no help.
	hopeless = 5 * time.Second
	// unsureGroups is of how many groups one is compared while the camera is unsure,
	// when it has been so for some groups.
	unsureGroups = 8
	hopefulFor   = 30
	// pictureFresh is how old the last compared picture may be.
	pictureFresh = time.Second
	// minCompared is how many pictures must have been compared before any is spared
	// the model: what noise does to them is known then.
	minCompared = 15
	// proofTime is how long movement may take to show after an alarm.
	proofTime = time.Second
	// auditShare is the share of the video of an idle camera that is decoded to see
	// whether anything was missed, which is also its share of the cost.
	auditShare = 1.0 / 60
	// unprovedShare is the same before movement has once shown in the sizes.
	unprovedShare = 1.0 / 20
	// blindFor is how long a camera is decoded after movement did not show in the
	// sizes of its units. Then it may try again.
	blindFor = 10 * time.Minute
	// maxPadded is how many units of a group may come with filler.
	maxPadded = 1
	// maxUnshown is how many movements in a row may not show in the sizes, when one
	// before has.
	maxUnshown = 2
	// clearPictures is how many pictures must differ for a movement to count in that.
	clearPictures = 2
)

// Unit is what the gate is told of an access unit.
type Unit struct {
	PTS        time.Duration
	Bytes      int  // of the coded picture, without filler
	Key        bool // can be decoded without any earlier unit
	Disposable bool // no other unit depends on it
	Padded     bool // it came with filler
}

// Report is the present condition with the counts since New.
type Report struct {
	State  State
	Reason string
	Wakes  uint64 // times the gate went from idle to active by itself
	Late   uint64 // times a look found what neither the sizes nor the pictures had shown
	Audits uint64 // times it was checked at random
	Misses uint64 // audits that found movement nobody had noticed
}

// Gate decides for one camera. It belongs to one goroutine.
type Gate struct {
	rng    *rand.Rand
	decode bool // never Idle
	report Report
	sizes  sizes
	scene  scene
	places places

	now, key, looked time.Duration // PTS of the newest unit, of the last key unit, of the last look
	asked            time.Duration // PTS of the last look that the model saw
	lookedKey        int           // bytes of the last look
	begun            bool          // a key unit was seen
	position         int           // of the unit in its group, 0: the key unit
	rate, gap        float64       // units per second in the last group, and its seconds
	padded           int           // units with filler in this group
	open, farKeys    bool          // of the present or the last group
	moved            time.Duration // PTS of the last movement
	pictured         time.Duration // PTS of the last compared picture
	seen             bool          // there was one
	groups           int           // that began
	clearly          bool          // the sizes tell of the smallest movement
	pictures         int           // compared in this group
	stirred          bool          // something moved in this group
	still            bool          // the last picture asked about could be spared the model

	alarmed  time.Duration // PTS of the last alarm of the sizes
	doubt    time.Duration // the same of the last that ended an idle time
	woke     time.Duration // PTS of the unit that ended the last idle time; what came before was kept
	cause    string        // of that
	proved   bool          // movement was found since
	clear    int           // pictures that differed in the present movement
	shown    bool          // it showed in the sizes
	unshown  int           // movements in a row that did not
	trusted  bool          // one has
	blind    time.Duration // until then the sizes are not trusted
	alarm    peak          // of the sizes, the last one
	newLevel bool
}

// New returns a gate that knows nothing yet. rng chooses the audits; with nil
// there are none.
func New(rng *rand.Rand) *Gate {
	g := &Gate{rng: rng}
	g.Restart()
	return g
}

// NewDecoding returns a gate that is never Idle, only Still.
func NewDecoding() *Gate {
	g := &Gate{decode: true}
	g.Restart()
	return g
}

// Restart forgets the stream, as when the connection broke or the format changed.
// The counts stay.
func (g *Gate) Restart() {
	report := g.report
	report.State, report.Reason = Learning, ReasonStart
	if g.decode {
		report.State, report.Reason = Unsure, ReasonDecode
	}
	*g = Gate{rng: g.rng, decode: g.decode, report: report, blind: -1, woke: -1, doubt: -proofTime, alarmed: -proofTime, alarm: noPeak(), sizes: sizes{peak: noPeak()}}
}

// Report tells what the gate thinks.
func (g *Gate) Report() Report {
	r := g.report
	if g.still && r.State != Idle {
		r.State = Still
	}
	return r
}

// Continue takes over the counts of another gate of the same camera.
func (g *Gate) Continue(counts Report) {
	g.report.Wakes, g.report.Late, g.report.Audits, g.report.Misses = counts.Wakes, counts.Late, counts.Audits, counts.Misses
}

// Restless says that something moved so short a time before pts that the gate is not
// about to be Idle.
func (g *Gate) Restless(pts time.Duration) bool { return pts-g.moved < quietFor-time.Second }

// Decoding says that the gate is never Idle.
func (g *Gate) Decoding() bool { return g.decode }

// Idle says that units need not be decoded.
func (g *Gate) Idle() bool { return g.report.State == Idle }

// Unit takes in the next unit, in decoding order, and says in which state it is
// to be treated. When the answer ceases to be Idle, all units kept since the last
// calm look are to be decoded before it.
func (g *Gate) Unit(u Unit) State {
	g.now = max(g.now, u.PTS)
	if u.Key {
		g.endGroup(u)
	} else {
		g.position++
		g.open = g.open || u.PTS < g.key
	}
	if !g.begun || g.decode {
		return g.report.State
	}
	g.farKeys = u.PTS-g.key > maxKeyGap
	if u.Padded {
		g.padded++
	}
	alarm := g.sizes.take(u, g.position)
	if alarm {
		g.shown, g.alarmed = true, u.PTS
	}
	if g.Idle() {
		switch {
		case g.open:
			g.wake(Unsure, ReasonOpenGroups)
		case g.farKeys:
			g.wake(Unsure, ReasonFarKeys)
		case g.padded > maxPadded:
			g.wake(Unsure, ReasonPadded)
		case alarm:
			g.alarm = g.sizes.peak
			moved := g.moved
			g.wake(Active, ReasonSizes)
			g.moved, g.doubt = moved, u.PTS // only pictures show that something moves
		}
	}
	return g.report.State
}

// endGroup learns from the group that ends at the key unit u and decides on the
// state in which the next one begins.
func (g *Gate) endGroup(u Unit) {
	if g.begun && !g.Idle() && !g.decode {
		g.learn()
		g.decide(u)
	}
	if !g.begun {
		g.begun, g.moved = true, u.PTS
	}
	if dt := (u.PTS - g.key).Seconds(); dt > 0 {
		g.rate, g.gap = float64(g.position+1)/dt, dt
	}
	g.key, g.position, g.padded = u.PTS, 0, 0
	g.groups++
	if !g.Idle() {
		g.pictures, g.stirred = 0, false
	}
}

// learn takes a decoded group into the statistics when nothing moved in it.
func (g *Gate) learn() {
	calm := !g.stirred && g.pictures > 0
	if !calm {
		g.sizes.discard()
		return
	}
	// What was woken for by the sizes alone, with nothing moving, is either noise,
	// to be more patient with, or a new level, to be learned from scratch.
	if g.cause == ReasonSizes && !g.proved && g.now-g.woke >= proofTime {
		g.cause = ""
		g.sizes.peak = g.sizes.peak.max(g.alarm)
	}
	if g.sizes.shifted() {
		g.sizes.forget()
		g.newLevel = true
	}
	g.sizes.commit()
}

// decide chooses the state at a key unit while the video is decoded.
func (g *Gate) decide(u Unit) {
	if u.PTS-g.moved >= quietFor {
		g.conclude(u.PTS)
	}
	state, reason := Active, g.report.Reason
	switch {
	case g.position == 0:
		state, reason = Unsure, ReasonAllKeys
	case g.open:
		state, reason = Unsure, ReasonOpenGroups
	case g.farKeys || u.PTS-g.key > maxKeyGap:
		state, reason = Unsure, ReasonFarKeys
	case g.scene.unusable:
		state, reason = Unsure, ReasonNoPicture
	case g.padded > maxPadded:
		state, reason = Unsure, ReasonPadded
	case u.PTS < g.blind:
		state, reason = Unsure, ReasonBlind
	case !g.sizes.ready() && g.newLevel:
		state, reason = Learning, ReasonNewLevel
	case !g.sizes.ready():
		state, reason = Learning, ReasonStart
	case g.sizes.deaf(g.rate, g.gap):
		state, reason = Unsure, ReasonDeaf
	case g.sizes.constant():
		state, reason = Unsure, ReasonConstant
	case u.PTS-g.moved >= quietFor && u.PTS-g.doubt >= proofTime && u.PTS-g.pictured <= pictureFresh && !g.stirred:
		state, reason = Idle, ReasonCalm
		g.looked, g.asked, g.newLevel = u.PTS-lookSeldom, u.PTS-askSeldom, false
		needed := g.sizes.needed(g.rate)
		g.clearly = needed <= plainNeeded || g.trusted && needed <= clearNeeded
		g.sizes.calm()
	case g.report.State != Active:
		reason = ReasonPicture
	}
	g.open, g.farKeys = false, false
	g.report.State, g.report.Reason = state, reason
}

// Wants says whether the decoded picture at pts is to be handed to Picture. What
// neither ends in leaving units undecoded nor spares a detection, which is due, is
// compared seldom, because comparing has its price.
func (g *Gate) Wants(pts time.Duration, due bool) bool {
	if !g.seen || due && !g.scene.unusable && pts-g.moved >= movedLately {
		return true
	}
	every := pictureEvery
	switch r := g.report; {
	case g.decode && !g.scene.unusable:
		return due && pts-g.pictured >= movingEvery
	case r.Reason == ReasonAllKeys, r.Reason == ReasonNoPicture, g.decode:
		every = hopeless
	case r.State == Unsure && g.groups > hopefulFor && g.groups%unsureGroups != 0:
		return false
	case r.State == Active && pts-g.moved < movedLately:
		every = movingEvery
	}
	return pts < g.pictured || pts-g.pictured >= every
}

// Spare says that the model need not see the picture at pts, which is due for it
// and was handed to Picture: nothing has moved for a while, and it saw the picture
// at looked, not long ago.
func (g *Gate) Spare(pts, looked time.Duration) bool {
	g.still = g.pictured == pts && !g.scene.unusable && g.scene.seen >= minCompared && pts-g.moved >= quietFor
	alarmed := (pts - g.alarmed).Abs() < proofTime // the sizes may tell what pictures do not
	return g.still && !alarmed && pts-looked < lookEvery
}

// Still says that nothing moves in video that is decoded.
func (g *Gate) Still() bool { return g.still }

// Due says that a key unit that was just taken in while idle should be looked at:
// decoded, handed to Picture, and to the model.
func (g *Gate) Due(u Unit) bool {
	if !g.Idle() || !u.Key {
		return false
	}
	every := lookEvery
	switch {
	case !g.places.empty():
	case g.clearly:
		every = lookSeldom
	case u.PTS-g.moved >= restFor && g.sizes.needed(g.rate) <= maxNeeded*neededGap/calmGap && g.sizes.sameKey(u, g.lookedKey):
		every = lookCalm
	}
	if u.PTS-g.looked < every {
		return false
	}
	g.lookedKey = u.Bytes
	return true
}

// Asks says that the model is to see the calm look that was handed to Picture last,
// and takes it that it does.
func (g *Gate) Asks() bool {
	if g.places.empty() && g.looked-g.asked < askSeldom && !g.scene.drifted() {
		return false
	}
	g.asked = g.looked
	g.scene.ask()
	return true
}

// Wake ends an idle time from outside, or keeps one from beginning, for quietFor.
func (g *Gate) Wake(reason string) {
	g.moved, g.still = g.now, false
	if g.Idle() {
		g.report.State, g.report.Reason = Active, reason
		g.woke, g.cause, g.proved = g.now, reason, false
		g.pictures, g.stirred = 0, false
		g.sizes.discard()
	}
}

func (g *Gate) wake(state State, reason string) {
	g.report.Wakes++
	g.Wake(reason)
	g.report.State = state
}

// Picture takes in a decoded picture. While idle it is a look: when it is calm,
// the units kept before it are no longer needed, else the gate is awake now.
func (g *Gate) Picture(pts time.Duration, p *Picture) {
	idle := g.Idle()
	moved := g.scene.compare(pts, p, !idle)
	g.pictured, g.seen = pts, true
	g.pictures++
	switch {
	case moved && idle:
		g.wake(Active, ReasonPicture)
	case moved:
		g.clear++
		g.stir(pts, ReasonPicture)
	case idle:
		g.scene.keep(pts, p)
		g.looked = pts
		g.sizes.commit()
		if g.sizes.deaf(g.rate, g.gap) {
			g.wake(Unsure, ReasonDeaf)
		}
	}
}

// Audit chooses at random, after a calm look, whether the units kept before it are
// to be decoded all the same and their pictures handed to Audited.
func (g *Gate) Audit() bool {
	share := auditShare
	if !g.trusted {
		share = unprovedShare
	}
	if g.rng == nil || !g.Idle() || g.rng.Float64() >= share {
		return false
	}
	g.report.Audits++
	return true
}

// Audited takes in a picture of an audit, in order. Movement wakes the gate and
// counts as a miss: neither the sizes nor the looks around it had shown it.
func (g *Gate) Audited(pts time.Duration, p *Picture) {
	g.pictured = pts
	if !g.scene.compare(pts, p, true) {
		return
	}
	if g.clear++; g.Idle() {
		g.report.Misses++
		g.wake(Active, ReasonAudit)
	}
}

// Objects takes in what the model found in the picture at pts.
func (g *Gate) Objects(pts time.Duration, boxes []Box) {
	if !g.places.take(pts, boxes) {
		return
	}
	if g.Idle() {
		g.wake(Active, ReasonObject)
		return
	}
	if g.still {
		g.report.Late++
	}
	g.stir(pts, ReasonObject)
}

// stir notes movement in decoded video.
func (g *Gate) stir(pts time.Duration, reason string) {
	g.moved, g.stirred, g.still = max(g.moved, pts), true, false
	if g.report.State == Active {
		g.report.Reason = reason
	}
	if g.proved || g.cause == "" {
		return
	}
	g.proved = true
	switch {
	case pts > g.woke:
	case g.cause == ReasonPicture, g.cause == ReasonObject:
		g.report.Late++
	}
}

// conclude learns from a movement that is over whether the sizes can be trusted.
func (g *Gate) conclude(now time.Duration) {
	clear, shown := g.clear >= clearPictures, g.shown
	g.clear, g.shown = 0, false
	switch {
	case !clear || !g.sizes.ready():
	case shown:
		g.trusted, g.unshown = true, 0
	default:
		g.sizes.missed()
		if g.unshown++; g.unshown >= maxUnshown || !g.trusted {
			g.unshown, g.blind = 0, now+blindFor
		}
	}
}
