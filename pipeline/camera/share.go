package camera

import "time"

// Share says what one camera may decode while the cameras ask for more than the
// machine can do. It is used by one goroutine.
type Share interface {
	// Skip says that a unit, which is the next in decoding order, is to be left out.
	Skip(key bool, dts time.Duration, arrived time.Time) bool
	// GivenUp says that the camera leaves out its video until a key unit by itself.
	GivenUp()
	// Served tells how old a unit was when its turn came, less than 0 for one that
	// does not count, and how long it took.
	Served(age, took time.Duration)
	// Rest says that nothing is decoded for a while, or that the stream begins anew.
	Rest()
	// Leave ends the use.
	Leave()
}

// leave gives up the camera's share.
func (v *video) leave() {
	if v.share != nil {
		v.share.Leave()
	}
}

// served tells the camera's share of a unit that was decoded at last.
func (v *video) served(arrived time.Time) {
	d, ok := v.decoder.(interface {
		Turn() (began time.Time, took time.Duration)
	})
	if v.share == nil || !ok {
		return
	}
	began, took := d.Turn()
	age := time.Duration(-1)
	if !v.replay && !arrived.IsZero() && began.After(v.excused) {
		age = max(0, began.Sub(arrived))
	}
	v.share.Served(age, took)
}

// lastPicture has the model look at the last picture before a skip, when that was not
// just done: what is due next would be in the part that is skipped.
func (v *video) lastPicture() {
	f := v.w.newest()
	if f == nil {
		return
	}
	defer f.Release()
	normal := v.w.deps.Detector.Assignment(v.w.camera.ID).FPS
	if normal <= 0 || f.Damaged || v.gate != nil && v.gate.Still() {
		return
	}
	period := time.Duration(float64(time.Second) / normal)
	if f.PTS-v.asked < period/2 {
		return
	}
	v.due = max(v.due, f.PTS) + period
	v.asked = f.PTS
	v.detect(f, normal, max(time.Second, 3*period/2, v.hold))
}
