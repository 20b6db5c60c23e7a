// Package annotate tells for every frame of one camera which objects are in it,
// although only some frames went through a model: exactly one annotation per
// frame, in the order of the frames.
//
// A frame waits until what was found in the next detected frame is known, and
// objects seen in both are interpolated between the two. Detectors miss things:
// where an object is missing, frames wait a little longer, and when it comes back
// it is interpolated over the detections that missed it. Around its first and its
// last sighting it is extrapolated half-way to the detection that did not see it.
// A frame that has waited too long goes out with what is known: behind the last
// detection with predicted boxes for a short time, then without objects.
package annotate

import (
	"math"
	"slices"
	"time"

	"detectd/detect"
	"detectd/pipeline/frame"
	"detectd/store"
)

// The kinds of annotations.
const (
	Detected     = "detected"     // the frame went through the model
	Interpolated = "interpolated" // between two frames that did
	Extrapolated = "extrapolated" // predicted from the detected frame before, or nothing known
)

// Config configures an Annotator. The zero value is usable.
type Config struct {
	// Hold is how long, in stream time, a frame waits for a detection at or after
	// it. 0 takes 1 s. It should cover the time between two detections and the
	// time that one takes.
	Hold time.Duration
	// Bridge is the longest gap between two sightings of an object that is filled.
	// Frames wait that long for an object that is missing to come back, but never
	// longer than Hold. 0 takes 600 ms; less than 0 fills and guesses nothing
	// beyond two neighbouring detections, and frames never wait for objects.
	Bridge time.Duration
	// Predict is how long after the last detection boxes are predicted. 0 takes 500 ms.
	Predict time.Duration
	// MaxFrames bounds the frames held, whatever Hold says. 0 takes 600.
	MaxFrames int
}

// Out receives the results, synchronously from the Annotator's methods. What it
// is given belongs to it.
type Out interface {
	// Annotations delivers the next frames, oldest first.
	Annotations([]store.Annotation)
	// Track delivers a track when it begins (Frames is 1), at most once a second
	// of stream time while it goes on, and when it has ended (Ended is true).
	Track(store.Track)
}

// tracker gives detections the ids of their objects.
type tracker interface {
	Update(at time.Duration, dets []detect.Detection) []detect.Object
	Predict(at time.Duration) []detect.Object
	Ended(at time.Duration) []string
}

// Annotator annotates the frames of one camera. All methods are to be called
// from one goroutine; none blocks unless Out does.
type Annotator struct {
	cfg     Config
	tracker tracker
	out     Out

	tail    []store.Annotation // complete but for objects that may come back, oldest first
	held    []held             // frames behind them whose detection is not known, oldest first
	newest  uint64             // Seq of the last frame
	flushed uint64             // Seq up to which results are no longer wanted
	now     time.Duration      // PTS of the newest frame
	size    size               // of the newest frame
	from    anchor             // last detected frame
	seen    map[string]*sighting
	tracks  map[string]*live
	late    uint64
}

type size struct{ width, height int }

// state is where a held frame stands.
type state uint8

const (
	plain   state = iota // not chosen for detection, or its detection failed
	waiting              // its detection is not known yet
	ready                // its detection is known, an earlier one is not
)

type held struct {
	meta    frame.Meta
	size    size
	state   state
	dets    []detect.Detection
	model   string
	version int
}

// anchor is a detected frame from which others are interpolated.
type anchor struct {
	known   bool
	pts     time.Duration
	size    size
	objects []detect.Object
	model   string
	version int
}

// New returns an annotator that owns the tracker.
func New(cfg Config, tracker tracker, out Out) *Annotator {
	if cfg.Hold <= 0 {
		cfg.Hold = time.Second
	}
	if cfg.Bridge == 0 {
		cfg.Bridge = 600 * time.Millisecond
	}
	if cfg.Predict <= 0 {
		cfg.Predict = 500 * time.Millisecond
	}
	if cfg.MaxFrames <= 0 {
		cfg.MaxFrames = 600
	}
	return &Annotator{cfg: cfg, tracker: tracker, out: out, seen: map[string]*sighting{}, tracks: map[string]*live{}}
}

// SetHold changes Config.Hold, for when the rate of detections changes.
func (a *Annotator) SetHold(d time.Duration) {
	if d > 0 {
		a.cfg.Hold = d
	}
}

// Late counts the detections that came after their frame had gone out. They
// still move the tracks.
func (a *Annotator) Late() uint64 { return a.late }

// Frame takes in the next decoded frame with its size in pixels. A frame whose
// Seq is not higher than the one before is ignored.
func (a *Annotator) Frame(meta frame.Meta, width, height int) {
	if meta.Seq <= a.newest {
		return
	}
	a.newest, a.now, a.size = meta.Seq, max(a.now, meta.PTS), size{width, height}
	a.held = append(a.held, held{meta: meta, size: a.size})
	a.expire()
}

// Selected says that a frame was submitted for detection: the frames from it on
// wait for Detected or Failed.
func (a *Annotator) Selected(seq uint64) {
	if i, ok := a.find(seq); ok && a.held[i].state == plain {
		a.held[i].state = waiting
	}
}

// Detected takes in what the model found in a frame. Results may come in any
// order; they are used in the order of the frames. The annotator keeps dets.
func (a *Annotator) Detected(meta frame.Meta, dets []detect.Detection, model string, version int) {
	i, ok := a.find(meta.Seq)
	if !ok {
		a.tooLate(meta, dets, model, version)
		return
	}
	h := &a.held[i]
	h.state, h.dets, h.model, h.version = ready, dets, model, version
	a.advance()
}

// Failed says that there will be no result for a selected frame.
func (a *Annotator) Failed(seq uint64) {
	if i, ok := a.find(seq); ok && a.held[i].state == waiting {
		a.held[i].state = plain
		a.advance()
		a.expire()
	}
}

// Flush ends the stream: all frames held go out, with the results known by now,
// and all tracks end. Frames may follow, as after a reconnect.
func (a *Annotator) Flush() {
	for i := range a.held {
		if a.held[i].state == waiting {
			a.held[i].state = plain
		}
	}
	a.advance()
	a.part(math.MaxInt64)
	a.emit(len(a.tail))
	a.extrapolate(len(a.held))
	a.finish(a.tracker.Ended(math.MaxInt64))
	a.from, a.flushed = anchor{}, a.newest
	clear(a.seen)
}

func (a *Annotator) find(seq uint64) (int, bool) {
	return slices.BinarySearchFunc(a.held, seq, func(h held, seq uint64) int {
		switch {
		case h.meta.Seq < seq:
			return -1
		case h.meta.Seq > seq:
			return 1
		}
		return 0
	})
}

// tooLate uses the detections of a frame that has gone out for what is to come.
func (a *Annotator) tooLate(meta frame.Meta, dets []detect.Detection, model string, version int) {
	if meta.Seq > a.newest {
		return // a frame that was never handed in
	}
	a.late++
	if meta.Seq <= a.flushed || a.from.known && meta.PTS <= a.from.pts {
		return
	}
	to := anchor{
		known: true, pts: meta.PTS, size: a.size,
		objects: a.tracker.Update(meta.PTS, dets), model: model, version: version,
	}
	a.sight(to)
	a.from = to
	a.follow(meta)
}

// advance completes the frames up to every detection that is next in order.
func (a *Annotator) advance() {
	for {
		i := slices.IndexFunc(a.held, func(h held) bool { return h.state != plain })
		if i < 0 || a.held[i].state == waiting {
			return
		}
		a.complete(i)
	}
}

// expire lets go of the frames that have waited too long. An outstanding
// detection among them is given up, which may free the one behind it.
func (a *Annotator) expire() {
	late := 0
	for late < len(a.tail) && (a.now-a.tail[late].PTS > a.cfg.Hold || len(a.tail)-late+len(a.held) > a.cfg.MaxFrames) {
		late++
	}
	a.emit(late)
	for {
		n := 0
		for n < len(a.held) && a.expired(n) {
			n++
			if a.held[n-1].state == waiting {
				break
			}
		}
		if n == 0 {
			return
		}
		a.extrapolate(n)
		a.advance()
	}
}

func (a *Annotator) expired(i int) bool {
	return a.now-a.held[i].meta.PTS > a.cfg.Hold || len(a.held)-i > a.cfg.MaxFrames
}
