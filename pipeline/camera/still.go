package camera

import (
	"time"

	"detectd/detect/batch"
	"detectd/pipeline/frame"
)

// stillHold is how long frames wait for the next detection while pictures are
// spared the model, which sees one in two seconds then.
const stillHold = 4 * time.Second

// spared says that f, which is due for a detection, is spared it because nothing
// moves, and keeps it: it is the last picture before whatever comes next.
func (v *video) spared(f *frame.Frame) bool {
	if v.gate == nil || !v.gate.Spare(f.PTS, v.asked) {
		return false
	}
	v.forgetCalm()
	v.calm, v.hold = f.Retain(), stillHold
	return true
}

// detect has the model look at f, which it does not take over. Where something has
// begun to move, it first looks at the last calm picture, so that what is new in f
// is known not to have been there before. The channel is closed when all is known.
func (v *video) detect(f *frame.Frame, normal float64, hold time.Duration) (done chan struct{}) {
	done = make(chan struct{})
	before := v.calm
	v.calm = nil
	if before == nil || v.gate.Still() { // the other reason for a detection is that the last is a while ago
		v.announce(f, hold)
		v.ask(f, normal, func(Result) { close(done) })
		if before != nil {
			before.Release()
		}
		return done
	}
	v.announce(before, hold)
	v.announce(f, hold)
	f.Retain()
	// One after the other, as of two waiting pictures of a camera only the newer is
	// looked at. It is not worth losing that one for the older.
	v.ask(before, normal, func(r Result) {
		defer before.Release()
		defer f.Release()
		if r.Err != nil {
			v.w.drops.stale.Add(1)
			v.w.events <- event{kind: frameAnswered, meta: f.Meta, result: Result{Err: batch.ErrStale}}
			close(done)
			return
		}
		v.ask(f, normal, func(Result) { close(done) })
	})
	return done
}

// announce tells the annotator that f goes to the model.
func (v *video) announce(f *frame.Frame, hold time.Duration) {
	v.w.events <- event{kind: frameSelected, meta: f.Meta, hold: hold}
}

// ask has the model look at f and tells the annotator what it found.
func (v *video) ask(f *frame.Frame, normal float64, done func(Result)) {
	w, meta := v.w, f.Meta
	v.submit(f, 0, func(r Result) {
		w.events <- event{kind: frameAnswered, meta: meta, result: r}
		if r.Err == nil {
			w.pace.answered(meta.PTS, r.Detections, normal)
		} else {
			w.pace.behind(meta.PTS)
		}
		done(r)
	})
}

// forgetCalm lets go of the last picture that was spared the model.
func (v *video) forgetCalm() {
	if v.calm != nil {
		v.calm.Release()
		v.calm = nil
	}
}
