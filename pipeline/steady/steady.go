// Package steady makes the capture times of a camera's units fit to be stored.
//
// A source's best knowledge of when a unit was captured changes all the time: a
// sender report comes in, a clock is set, a camera restarts. A line passes such
// changes on only where a recording can follow them, at key units, and never lets
// time run backwards. Between two changes the capture time is the presentation
// time plus a constant, so that a recorded file and the annotations of its frames
// agree on when a frame was. What is held back is added to the stated error.
//
// This package imports nothing but the vocabulary.
package steady

import (
	"math"
	"time"

	"detectd/pipeline"
)

// tolerance is the change that is not worth making: less than a frame.
const tolerance = 20 * time.Millisecond

// Line is the timeline of one camera, over all sessions with it. The zero Line is
// ready. It is used by one goroutine.
type Line struct {
	known   bool
	zero    time.Time // of PTS 0
	lastDTS time.Duration
	least   time.Duration // the shortest step between two units since the last key unit
}

// pause is a step that is one between two sessions, not between two pictures.
const pause = time.Second

// Place sets the capture time of the next unit in decoding order. Its PTS and DTS
// have to be those of the camera's one timeline, on which DTS grows.
func (l *Line) Place(u *pipeline.Unit) {
	step := max(u.DTS-l.lastDTS, 0)
	l.lastDTS, l.least = u.DTS, min(l.least, step)
	room := l.least
	if step >= pause && step > 8*l.least {
		room = step
	}
	want := u.Time.Round(0).Add(-u.PTS) // without Go's monotonic clock, which does not see ours being set
	switch change := want.Sub(l.zero); {
	case !l.known:
		l.known, l.zero = true, want
	case !u.Key || change.Abs() < tolerance:
	case change > 0:
		l.zero = want
	default:
		// Pictures that are shown before the key picture follow it. They lie at least
		// one step after all before it, so half a step back keeps every order.
		l.zero = l.zero.Add(-min(-change, room/2))
	}
	if u.Key {
		l.least = math.MaxInt64 / 16
	}
	u.TimeError += want.Sub(l.zero).Abs()
	u.Time = l.zero.Add(u.PTS)
}

// At is the capture time of what lies at a PTS, for what comes with the units. The
// zero time stands for a line on which no unit was placed.
func (l *Line) At(pts time.Duration) time.Time {
	if !l.known {
		return time.Time{}
	}
	return l.zero.Add(pts)
}
