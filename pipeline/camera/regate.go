package camera

import (
	"detectd/pipeline"
	"detectd/store"
)

const reasonSet = "the camera's settings changed"

// SetIdle has the worker's gate made anew for c, whose Idle differs. What is held
// back is decoded; source, recordings and stream go on. One goroutine may call it.
func (w *Worker) SetIdle(c store.Camera) {
	select {
	case <-w.regate: // an older one
	default:
	}
	w.regate <- c
}

// idle tells the worker when what the camera is to be spared has changed.
func (r *running) idle(c store.Camera) {
	if c.Idle == r.camera.Idle {
		return
	}
	r.camera.Idle = c.Idle
	if r.worker != nil {
		r.worker.SetIdle(c)
	}
}

// regate takes the gate that SetIdle asked for.
func (v *video) regate(c store.Camera) {
	if v.gate != nil {
		v.gate.Wake(reasonSet)
		v.wake()
	}
	v.forgetCalm()
	v.hold, v.reported.State = 0, ""
	v.setGate(c)
	if v.gate != nil {
		v.gate.Continue(v.reported)
		v.report()
	}
}

// setGate makes the gate for c and shows in the status what is in force.
func (v *video) setGate(c store.Camera) {
	if v.w.deps.Gate != nil {
		v.gate = v.w.deps.Gate(c)
	}
	v.w.update(func(s *pipeline.Status) {
		switch {
		case v.gate == nil:
			s.Idle, s.Activity, s.ActivityReason = store.IdleOff, "", ""
		case v.gate.Decoding():
			s.Idle = store.IdleDecode
		default:
			s.Idle = store.IdleAuto
		}
	})
}
