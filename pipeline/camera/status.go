package camera

import (
	"time"

	"detectd/pipeline"
	"detectd/pipeline/frame"
	"detectd/store"
)

// Status returns the camera's present condition.
func (w *Worker) Status() pipeline.Status {
	assigned := w.deps.Detector.Assignment(w.camera.ID)
	w.mu.Lock()
	s := w.status
	w.mu.Unlock()
	s.Units, s.Frames, s.Inferences = w.units.Load(), w.frames.Load(), w.inferences.Load()
	s.IdleFrames = w.idleFrames.Load()
	s.Bytes, s.Reconnects = w.bytes.Load(), w.reconnects.Load()
	s.Selected, s.Drops = w.selected.Load(), w.drops.read()
	flowing := w.flowing.Load()
	// What is recorded does not wait for the decoder, and neither does the news of it.
	s.Recording = w.camera.Record != store.RecordOff && flowing != 0 && s.RecordError == ""
	if s.State == pipeline.StateConnecting && flowing != 0 && time.Since(time.Unix(0, flowing)) > pictureWait {
		s.Reason = "video arrives, but no picture of it has been decoded"
	}
	s.Model, s.ModelVersion = assigned.Ref.Model, assigned.Ref.Version
	s.ModelRevision, s.ModelError = assigned.Revision, assigned.Err
	return s
}

// pictureWait is how long after its first unit a stream may be without a picture.
const pictureWait = 5 * time.Second

// DroppedByStore counts annotations and tracks that could not be stored.
func (w *Worker) DroppedByStore(n int) { w.drops.store.Add(uint64(n)) }

func (w *Worker) update(change func(*pipeline.Status)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	change(&w.status)
}

// setState records a state and announces it when it differs from the last.
func (w *Worker) setState(state pipeline.State, reason string, nextTry time.Time) {
	w.mu.Lock()
	if state == pipeline.StateRunning && w.over {
		w.mu.Unlock() // a frame that was still queued
		return
	}
	changed := w.status.State != state || w.status.Reason != reason
	if w.status.State != state {
		w.status.Since = time.Now()
	}
	w.status.State, w.status.Reason, w.status.NextTry = state, reason, nextTry
	if state != pipeline.StateRunning {
		w.status.FPS, w.status.DetectFPS = 0, 0
	}
	w.mu.Unlock()
	if changed {
		w.announce()
	}
}

func (w *Worker) announce() { w.deps.State(w.Status()) }

// running notes that a frame has come.
func (w *Worker) running(f *frame.Frame) {
	w.mu.Lock()
	was := w.status.State
	w.status.LastFrame = f.Time
	w.status.Clock, w.status.TimeErrorMS = string(f.Clock), float64(f.TimeError)/float64(time.Millisecond)
	w.status.Width, w.status.Height = f.UprightSize()
	w.status.PixelAspect = f.UprightAspect()
	w.mu.Unlock()
	if was != pipeline.StateRunning {
		w.log.Info("frames flow", "width", f.Width(), "height", f.Height())
		w.setState(pipeline.StateRunning, "", time.Time{})
	}
}

// rates measures frames and inferences per second between two calls.
type rates struct {
	at                 time.Time
	frames, inferences uint64
}

func (r *rates) measure(w *Worker, now time.Time) {
	// Pictures that an idle camera leaves undecoded count when they arrive.
	frames, inferences := w.frames.Load()+w.idleFrames.Load()+uint64(max(0, w.held.Load())), w.inferences.Load()
	if dt := now.Sub(r.at).Seconds(); !r.at.IsZero() && dt > 0 {
		fps, det := float64(frames-r.frames)/dt, float64(inferences-r.inferences)/dt
		w.update(func(s *pipeline.Status) {
			if s.State == pipeline.StateRunning {
				s.FPS, s.DetectFPS = smooth(s.FPS, fps), smooth(s.DetectFPS, det)
			}
		})
	}
	r.at, r.frames, r.inferences = now, frames, inferences
}

// smooth averages over a few seconds; the first value counts whole.
func smooth(old, next float64) float64 {
	if old == 0 {
		return next
	}
	return 0.7*old + 0.3*next
}
