package camera

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"detectd/detect/batch"
	"detectd/pipeline"
	"detectd/pipeline/activity"
	"detectd/pipeline/frame"
)

// Why a camera in which nothing moves is decoded all the same.
const (
	reasonWatched = "somebody is watching"
	reasonHeld    = "there is too much video between two looks to keep it"
	reasonModel   = "what looks at its pictures changed"
)

// video turns the units of one camera into frames. It belongs to the decoder's
// goroutine.
//
// While the gate says that nothing moves, units are held back. A key unit in a
// while is decoded by itself and goes to the model: a look. When it is as calm as
// the one before, the pictures between the two are let go of: they were never
// decoded, and are annotated between two detected frames like all others. When
// anything is new, all that is held is decoded.
type video struct {
	w       *Worker
	ctx     context.Context
	decoder Decoder
	codec   pipeline.Codec
	gate    *activity.Gate // nil: everything is decoded

	held   hold
	look   *look         // waits for the model
	looks  uint64        // counts the looks
	known  time.Duration // PTS of the last calm look, whose unit is the first held; -1: none
	replay bool          // held units are being decoded

	due        time.Duration // PTS of the next detection
	asked      time.Duration // PTS of the last picture that the model was asked about
	hold       time.Duration // for the annotator while detections are spared; 0: as always
	calm       *frame.Frame  // the last picture that was spared the model; nil: it was not
	assigned   Assignment
	picture    activity.Picture
	pictured   time.Duration // PTS of the last picture that the gate was given
	reported   activity.Report
	keys       keys
	lag        lag
	share      Share // nil: the camera has the machine for itself
	skipping   bool  // the last unit was left out
	started    bool  // the decoder has had a key unit
	books      books
	decodes    string    // what decodes the video, in the status
	decodesWhy string    // and why
	refusals   int       // units refused since the last picture
	excused    time.Time // until then the decoder may be late: it has decoded what was held
}

// look is a decoded key picture that has not been announced yet.
type look struct {
	number uint64
	frame  *frame.Frame
	hold   time.Duration // for the annotator
	asked  bool          // the model was
	answer *answer
}

// answer is a message to the decoder's goroutine about a detection.
type answer struct {
	look   uint64 // 0: not of a look
	pts    time.Duration
	result Result
}

func newVideo(ctx context.Context, w *Worker) *video {
	v := &video{w: w, ctx: ctx, known: -1, pictured: -1}
	v.books.corrupt = func() { w.drops.corrupt.Add(1) }
	v.books.empty = func() { w.drops.empty.Add(1) }
	v.setGate(w.camera)
	if w.deps.Share != nil {
		v.share = w.deps.Share(w.camera)
		v.lag.late = sharedLateAge
	}
	return v
}

// take handles what comes from the source.
func (v *video) take(c coded) {
	if c.ended {
		v.close()
		v.w.pending.Wait() // the last frames still get their detections
		v.restart()
		v.w.events <- event{kind: sourceEnded}
		return
	}
	if c.format != nil {
		v.open(*c.format)
	}
	switch {
	case v.decoder == nil:
		v.w.drops.noDecoder.Add(1)
	case v.ctx.Err() != nil:
		if len(v.held.units) > 0 {
			v.held.add(c.unit)
		} else {
			v.w.drops.closed.Add(1)
		}
	case v.skip(c.unit):
		v.w.drops.late.Add(1)
	case v.gate == nil:
		v.decode(c.unit)
	default:
		v.unit(c.unit)
		v.report()
	}
}

func (v *video) open(f pipeline.Format) {
	v.close()
	v.restart()
	v.codec = f.Codec
	var err error
	if v.decoder, err = v.w.deps.Decoder(f, &v.w.pool); err != nil {
		v.decoder = nil // the interface may hold a nil pointer
		v.w.log.Error("open decoder", "error", err)
		v.w.setState(pipeline.StateCodec, "no decoder for this video: "+err.Error(), time.Time{})
	}
}

// close decodes what is held and gives the decoder back. At the end of all work
// nothing is decoded any more: what is held is let go of.
func (v *video) close() {
	defer v.forgetCalm()
	if v.decoder == nil {
		return
	}
	if v.ctx.Err() != nil {
		v.abandon()
	} else {
		v.wake()
	}
	v.flush(v.frame)
	v.decoder.Close()
	v.decoder = nil
}

// restart forgets the stream.
func (v *video) restart() {
	v.due, v.asked, v.pictured, v.known = 0, -time.Minute, -1, -1
	v.keys = keys{}
	v.forgetCalm()
	v.w.pace.restart()
	if v.share != nil {
		v.share.Rest()
	}
	if v.gate != nil {
		v.gate.Restart()
		v.report()
	}
}

func (v *video) decode(u pipeline.Unit) {
	if !v.started && !u.Key {
		v.w.drops.noKey.Add(1) // the decoder would pass over it
		return
	}
	v.started = true
	booked := u.PTS > v.known
	switch {
	case booked:
		v.books.sent(u.PTS)
	case u.PTS < v.known: // a leading picture of the look, which has gone out
		v.w.drops.late.Add(1)
	} // else it is the look, which has been counted
	v.prefer(u)
	err := v.decoder.Decode(u, v.frame)
	v.served(u.Arrived)
	v.where()
	if err != nil {
		if booked {
			v.books.refused()
		}
		if v.refusals++; v.refusals == stubborn {
			v.w.setState(pipeline.StateCodec, "the decoder refuses this video: "+err.Error(), time.Time{})
		}
	}
}

// stubborn is how many units in a row, without a picture, are a video that cannot be
// decoded and not one that is disturbed.
const stubborn = 60

func (v *video) flush(emit func(*frame.Frame)) {
	if err := v.decoder.Flush(emit); err != nil {
		v.w.log.Debug("flush decoder", "error", err)
	}
	v.started = false
	v.books.flushed()
}

// unit handles a unit of a camera that may be idle.
func (v *video) unit(u pipeline.Unit) {
	if v.w.watched() {
		v.gate.Wake(reasonWatched)
	}
	if a := v.w.deps.Detector.Assignment(v.w.camera.ID); a != v.assigned || v.w.changed.CompareAndSwap(true, false) {
		v.assigned = a
		v.gate.Wake(reasonModel)
	}
	judged := weigh(v.codec, u)
	was := v.gate.Idle()
	if v.gate.Unit(judged) != activity.Idle {
		v.wake()
		v.decode(u)
		return
	}
	if !was {
		v.flush(v.frame) // what the decoder still has comes before
		v.forgetCalm()
		v.known = -1
	}
	looked := v.gate.Due(judged)
	var f *frame.Frame
	if looked {
		if v.look != nil { // the model is slow: pictures alone decide
			v.settle()
		}
		f = v.alone(u)
	}
	v.held.add(u)
	v.w.held.Store(int64(len(v.held.units)))
	switch {
	case f != nil:
		v.begin(f)
	case looked: // it cannot be decoded by itself
		v.gate.Wake(activity.ReasonNoPicture)
	case v.held.full():
		v.gate.Wake(reasonHeld)
	}
	if !v.gate.Idle() {
		v.wake()
	}
}

// alone decodes a key unit without the ones around it.
func (v *video) alone(u pipeline.Unit) (f *frame.Frame) {
	keep := func(got *frame.Frame) {
		if f != nil {
			f.Release()
		}
		f = got
	}
	if err := v.decoder.Decode(u, keep); err != nil {
		v.w.log.Debug("look at a key picture", "error", err) // it is decoded again, and counted then
	}
	v.where()
	v.flush(keep)
	return f
}

// begin starts a look at f.
func (v *video) begin(f *frame.Frame) {
	v.show(f)
	if v.gate.Audit() {
		v.audit(f.PTS)
	}
	if !v.gate.Idle() {
		f.Release() // wake decodes it again, in its place
		return
	}
	n := v.held.before(f.PTS)
	first := f.PTS
	if n > 0 {
		first = v.held.units[0].PTS
	}
	skipped := 0
	for _, u := range v.held.units[:n] {
		if u.PTS > v.known {
			skipped++
		}
	}
	v.looks++
	v.look = &look{number: v.looks, frame: f, hold: max(v.hold, f.PTS-first+time.Second)}
	f.Seq, f.CameraID = v.w.seq+uint64(skipped)+1, v.w.camera.ID
	v.w.running(f)
	v.w.setLatest(f.Retain())
	fps := v.w.deps.Detector.Assignment(v.w.camera.ID).FPS
	if f.Damaged || fps <= 0 || f.PTS < v.due || !v.gate.Asks() {
		v.settle()
		return
	}
	v.due = f.PTS + time.Duration(float64(time.Second)/fps)
	v.look.asked, v.asked = true, f.PTS
	v.submit(f, v.looks, func(Result) {})
}

// audit decodes what is held before the look at pts, which would be let go of, to
// see whether anything was missed in it.
func (v *video) audit(pts time.Duration) {
	v.due, v.pictured = 0, -1
	v.decodeHeld(v.held.before(pts))
	v.flush(v.frame)
	v.replay = false
	v.known = -1
}

// answered handles the news of a detection.
func (v *video) answered(a answer) {
	if a.result.Err == nil && v.gate != nil {
		v.gate.Objects(a.pts, boxes(a.result))
		defer v.report()
	}
	if v.look == nil || v.look.number != a.look {
		if v.gate != nil && !v.gate.Idle() {
			v.wake()
		}
		return
	}
	v.look.answer = &a
	if v.gate.Idle() {
		v.settle()
	} else {
		v.wake()
	}
}

// settle ends a calm look: the pictures before it are let go of, and it is
// announced with what the model found in it.
func (v *video) settle() {
	l := v.look
	v.look = nil
	defer l.frame.Release()
	v.pass(v.held.take(v.held.before(l.frame.PTS)), l.frame, l.hold)
	v.w.seq++
	v.w.frames.Add(1)
	v.known, v.hold = l.frame.PTS, 0
	width, height := l.frame.UprightSize()
	v.w.events <- event{kind: frameDecoded, meta: l.frame.Meta, width: width, height: height, hold: l.hold}
	if !l.asked {
		return
	}
	v.w.events <- event{kind: frameSelected, meta: l.frame.Meta, hold: l.hold}
	if l.answer == nil { // too late to be waited for
		v.w.events <- event{kind: frameAnswered, meta: l.frame.Meta, result: Result{Err: batch.ErrStale}}
		return
	}
	v.w.events <- event{kind: frameAnswered, meta: l.frame.Meta, result: l.answer.result}
}

// pass announces pictures that were not decoded, in the order of showing. like is
// a frame of the same size.
func (v *video) pass(units []pipeline.Unit, like *frame.Frame, hold time.Duration) {
	width, height := like.UprightSize()
	slices.SortFunc(units, func(a, b pipeline.Unit) int { return cmp.Compare(a.PTS, b.PTS) })
	for _, u := range units {
		if u.PTS <= v.known { // the look before, and pictures shown before it
			if u.PTS < v.known {
				v.w.drops.late.Add(1)
			}
			continue
		}
		v.w.seq++
		v.w.idleFrames.Add(1)
		v.w.events <- event{kind: frameDecoded, width: width, height: height, hold: hold, meta: frame.Meta{
			CameraID: v.w.camera.ID, Seq: v.w.seq, PTS: u.PTS, Time: u.Time, TimeError: u.TimeError, Clock: u.Clock,
			Arrived: u.Arrived, Key: u.Key, Damaged: u.Damaged,
		}}
	}
	v.w.held.Store(int64(len(v.held.units)))
}

// abandon ends an idle time at the end of all work.
func (v *video) abandon() {
	if v.look != nil {
		v.settle()
	}
	if latest := v.w.Latest(); latest != nil {
		v.pass(v.held.take(len(v.held.units)), latest, time.Minute)
		latest.Release()
	}
	v.w.drops.closed.Add(uint64(len(v.held.take(len(v.held.units))))) // of which nothing is known, not even a size
	v.w.held.Store(0)
}

// wake decodes what is held.
func (v *video) wake() {
	if v.look != nil {
		v.look.frame.Release()
		v.look = nil
	}
	if len(v.held.units) == 0 {
		return
	}
	v.due, v.pictured = 0, -1
	v.decodeHeld(len(v.held.units))
	v.replay = false
}

// decodeHeld decodes the first n units that are held.
func (v *video) decodeHeld(n int) {
	began := time.Now()
	defer func() { v.excused = time.Now().Add(2 * time.Since(began)) }()
	v.replay = true
	for range n {
		v.decode(v.held.take(1)[0])
		v.w.held.Store(int64(len(v.held.units)))
	}
}

// skip says that u is left out because there is more than can be decoded.
func (v *video) skip(u pipeline.Unit) bool {
	late := v.late(u)
	switch {
	case v.share == nil:
		return late
	case v.gate != nil && v.gate.Idle(), time.Now().Before(v.excused):
		v.share.Rest()
		return late
	}
	skip := v.share.Skip(u.Key, u.DTS, u.Arrived)
	if late && !skip {
		v.share.GivenUp()
	}
	begins := skip && !late && !v.skipping
	v.skipping = skip || late
	if begins {
		v.lastPicture()
	}
	return v.skipping
}

// late says that u is left out because the decoder is behind. It may be for a
// while after it has woken up: what came meanwhile belongs to what has begun. While
// idle, u costs nothing, and what is held must have no hole.
func (v *video) late(u pipeline.Unit) bool {
	if v.gate != nil && v.gate.Idle() {
		v.lag = lag{late: v.lag.late}
		return false
	}
	now := time.Now()
	return now.After(v.excused) && v.lag.drops(u, now)
}

// show hands a picture to the gate.
func (v *video) show(f *frame.Frame) {
	v.pictured = f.PTS
	luma, stride := f.Luma()
	var picture *activity.Picture // nil: it cannot be looked at
	if luma != nil {
		picture = &v.picture
		picture.Reduce(luma, stride, f.Width(), f.Height())
	}
	if v.replay && v.gate.Idle() {
		v.gate.Audited(f.PTS, picture)
		return
	}
	v.gate.Picture(f.PTS, picture)
}

// replayEvery is how often pictures of what was held are compared.
const replayEvery = 200 * time.Millisecond

// compared says that the gate is to see a picture.
func (v *video) compared(f *frame.Frame, due bool) bool {
	if v.replay {
		return due || v.pictured < 0 || f.PTS-v.pictured >= replayEvery
	}
	return v.gate.Wants(f.PTS, due)
}

// frame takes over one decoded frame.
func (v *video) frame(f *frame.Frame) {
	defer f.Release()
	v.books.came(f.PTS)
	v.refusals = 0
	if f.PTS <= v.known {
		return // it was announced as a look
	}
	v.known = -1
	w := v.w
	w.seq++
	f.Seq, f.CameraID = w.seq, w.camera.ID
	w.frames.Add(1)
	w.running(f)
	w.setLatest(f.Retain())
	width, height := f.UprightSize()
	w.events <- event{kind: frameDecoded, meta: f.Meta, width: width, height: height, hold: v.hold}
	assigned := w.deps.Detector.Assignment(w.camera.ID)
	normal := assigned.FPS
	w.pace.most(cmp.Or(assigned.FastFPS, w.deps.FastFPS))
	v.keys.saw(f.PTS, f.Key)
	wanted := v.wants(f.PTS, normal)
	due := wanted && !f.Damaged
	if v.gate != nil && (v.replay || !v.gate.Idle()) && v.compared(f, due) {
		v.show(f)
	}
	if wanted && f.Damaged {
		w.drops.damaged.Add(1)
	}
	if !due {
		return
	}
	period := time.Duration(float64(time.Second) / w.pace.rate(f.PTS, normal))
	if v.due += period; v.due <= f.PTS {
		v.due = f.PTS + period
	}
	if v.spared(f) {
		return
	}
	v.asked = f.PTS
	done := v.detect(f, normal, max(time.Second, 3*period/2, v.hold))
	if v.gate == nil || !v.gate.Still() {
		v.hold = 0
	}
	if v.replay { // faster than time: a detection would take the place of the one before
		<-done
	}
}

// submit hands a frame to the model and counts the answer.
func (v *video) submit(f *frame.Frame, number uint64, done func(Result)) {
	w, pts := v.w, f.PTS
	w.pending.Add(1)
	w.selected.Add(1)
	w.deps.Detector.Submit(w.camera.ID, f, func(r Result) {
		defer w.pending.Done()
		switch {
		case r.Err == nil:
			w.inferences.Add(1)
		case errors.Is(r.Err, batch.ErrStale):
			w.drops.stale.Add(1)
		case errors.Is(r.Err, ErrNoModel):
			w.drops.noModel.Add(1)
		default:
			w.drops.failed.Add(1)
		}
		done(r)
		select {
		case w.answers <- answer{look: number, pts: pts, result: r}:
		default: // the decoder is far behind, and does without
		}
	})
}

// report shows the gate's condition in the camera's status.
func (v *video) report() {
	r := v.gate.Report()
	if r == v.reported {
		return
	}
	if r.State != v.reported.State {
		v.w.log.Debug("activity", "state", r.State, "reason", r.Reason)
	}
	v.reported = r
	v.w.update(func(s *pipeline.Status) {
		s.Activity, s.ActivityReason = string(r.State), r.Reason
		s.IdleAudits, s.IdleMisses, s.IdleLate = r.Audits, r.Misses, r.Late
	})
}

func boxes(r Result) []activity.Box {
	out := make([]activity.Box, len(r.Detections))
	for i, d := range r.Detections {
		out[i] = activity.Box{X: d.Box.X, Y: d.Box.Y, W: d.Box.W, H: d.Box.H, Score: d.Score}
	}
	return out
}
