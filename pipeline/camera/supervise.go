package camera

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"detectd/pipeline"
	"detectd/pipeline/steady"
)

// Retry says how long to wait before a source is tried again. A wait grows from
// Min by half each time up to the maximum of its state, with a quarter of jitter
// so that cameras behind one switch do not come back in step.
type Retry struct {
	Min     time.Duration
	Max     time.Duration // connection troubles: frames flow again within 10 s of the camera's return
	MaxSlow time.Duration // troubles that only a person can end; spares cameras that lock accounts
}

// DefaultRetry is right for real cameras.
func DefaultRetry() Retry {
	return Retry{Min: time.Second, Max: 5 * time.Second, MaxSlow: 30 * time.Second}
}

func (r Retry) wait(state pipeline.State, attempt int) time.Duration {
	limit := r.Max
	switch state {
	case pipeline.StateAuth, pipeline.StateBadURL, pipeline.StateNoVideo, pipeline.StateCodec, pipeline.StateNotFound:
		limit = r.MaxSlow
	}
	return r.upTo(limit, attempt)
}

func (r Retry) upTo(limit time.Duration, attempt int) time.Duration {
	d := r.Min
	for range min(attempt, 20) {
		d += d / 2
	}
	d = min(d, limit)
	return d - time.Duration(rand.Int64N(int64(d)/4+1))
}

// supervise opens and runs the source again and again until ctx ends or a file
// has been played.
func (w *Worker) supervise(ctx context.Context) {
	w.awaitModel(ctx)
	for attempt := 0; ctx.Err() == nil; attempt++ {
		before := w.units.Load()
		err := w.runSource(ctx)
		if ctx.Err() != nil {
			return
		}
		state, reason := pipeline.StateOf(err)
		if state == pipeline.StateEnded {
			w.setState(state, reason, time.Time{})
			<-ctx.Done()
			return
		}
		if w.units.Load() > before {
			attempt = 0
		}
		wait := w.deps.Retry.wait(state, attempt)
		w.log.Warn("source ended", "state", state, "reason", reason, "retry_in", wait)
		w.setState(state, reason, time.Now().Add(wait))
		select {
		case <-ctx.Done():
		case <-time.After(wait):
			w.reconnects.Add(1)
		}
	}
}

// modelWait is how long a new camera waits for the detector to know it. Both
// learn of it from the same message, and a picture has only one frame to lose.
const modelWait = 2 * time.Second

func (w *Worker) awaitModel(ctx context.Context) {
	known := func() bool {
		a := w.deps.Detector.Assignment(w.camera.ID)
		return a.Ref.Model != "" || a.Err != ""
	}
	for began := time.Now(); !known() && time.Since(began) < modelWait; {
		select {
		case <-ctx.Done():
			return
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// endWait is how long the decoder may take to hear that the source ended.
const endWait = 2 * time.Second

func (w *Worker) runSource(ctx context.Context) error {
	source, err := w.deps.Open(w.camera)
	if err != nil {
		return err
	}
	w.timeline.restart()
	w.setOver(false)
	err = source.Run(ctx, w)
	w.setOver(true)
	w.flowing.Store(0)
	if ctx.Err() != nil {
		return err
	}
	select {
	case w.queue <- coded{ended: true}:
	case <-ctx.Done():
	case <-time.After(endWait): // the decoder is stuck, and recording must go on without it
	}
	w.skipping = false
	if err != nil {
		return err
	}
	return &pipeline.SourceError{State: pipeline.StateLost, Reason: "the stream ended", Err: errEnded}
}

func (w *Worker) setOver(over bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.over = over
}

var errEnded = errors.New("source returned")

// Format implements pipeline.Sink.
func (w *Worker) Format(f pipeline.Format) {
	f.Orientation = f.Orientation.Turned(w.camera.Rotation)
	w.format = &f
	w.update(func(s *pipeline.Status) {
		s.Codec = f.Codec
		s.Width, s.Height = f.Orientation.Size(f.Width, f.Height)
	})
	for _, t := range w.taps {
		t.Format(f)
	}
}

// Unit implements pipeline.Sink.
func (w *Worker) Unit(u pipeline.Unit) {
	w.timeline.place(&u)
	w.units.Add(1)
	if w.flowing.Load() == 0 {
		w.flowing.Store(time.Now().UnixNano())
	}
	w.bytes.Add(uint64(u.Bytes()))
	for _, t := range w.taps {
		t.Unit(u)
	}
	if w.skipping && !u.Key {
		w.drops.decode.Add(1)
		return
	}
	select {
	case w.queue <- coded{format: w.format, unit: u}:
		w.format, w.skipping = nil, false
	default:
		w.drops.decode.Add(1)
		w.skipping = true // what follows cannot be decoded before a key frame
	}
}

// timeline strings the runs of a source together: its time stamps start at 0
// with every run, the camera's go on by as much as the wall clock did.
type timeline struct {
	offset  time.Duration
	last    time.Duration
	lastAt  time.Time
	started bool // a unit of this run has been placed
	steady  steady.Line
}

func (t *timeline) restart() { t.started = false }

func (t *timeline) place(u *pipeline.Unit) {
	if !t.started {
		t.started = true
		if !t.lastAt.IsZero() {
			gap := max(time.Since(t.lastAt), 10*time.Millisecond)
			t.offset = t.last + gap - min(u.PTS, u.DTS)
		}
	}
	u.PTS += t.offset
	u.DTS += t.offset
	t.last, t.lastAt = max(t.last, u.PTS), time.Now()
	t.steady.Place(u)
}
