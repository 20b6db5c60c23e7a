package camera

import (
	"time"

	"detectd/pipeline"
)

// keys foresees the key pictures of a stream, in the order of showing. A key picture
// takes several times as long to decode as others, and the model works on it after
// that: what is found in it comes late. Where one is about to be due for a detection,
// the picture before it is taken instead, which is ready at once.
type keys struct {
	begun  bool          // there was a key picture
	last   time.Duration // PTS of the last one
	gap    time.Duration // between the last two
	every  time.Duration // the same, when the two before were as far apart; 0: not regular
	before time.Duration // PTS of the last picture
	step   time.Duration // smoothed, from one picture to the next
}

// saw takes in a picture.
func (k *keys) saw(pts time.Duration, key bool) {
	switch step := pts - k.before; {
	case k.step == 0 && step < time.Second:
		k.step = step
	case step > 0 && step < 2*k.step:
		k.step += (step - k.step) / 8
	}
	k.before = pts
	if !key {
		return
	}
	if k.begun {
		gap := pts - k.last
		k.every = 0
		if (gap - k.gap).Abs() <= k.step/2 {
			k.every = gap
		}
		k.gap = gap
	}
	k.begun, k.last = true, pts
}

// after tells when the next key picture is shown, if it comes right after the
// picture at pts and not all are key pictures.
func (k *keys) after(pts time.Duration) (next time.Duration, ok bool) {
	next = k.last + k.every
	return next, k.every > 3*k.step/2 && (pts+k.step-next).Abs() < k.step/2
}

// fewest is how many pictures there are at least from one detection to the next where
// the one before a key picture is taken: so it is not much too early.
const fewest = 3

// wants says that the picture at pts is due for a detection.
func (v *video) wants(pts time.Duration, normal float64) bool {
	if normal <= 0 {
		return false
	}
	// Before a scene that may be left alone soon, the key picture is the first look.
	if pts >= v.due || v.replay || v.gate != nil && !v.gate.Restless(pts) {
		return pts >= v.due
	}
	next, ok := v.keys.after(pts)
	return ok && next+v.keys.step/2 >= v.due && v.due-v.asked >= fewest*v.keys.step
}

// prefer tells the decoder whether the model waits for the picture of u: then its turn
// comes before those of others.
func (v *video) prefer(u pipeline.Unit) {
	d, ok := v.decoder.(interface{ Prefer(wanted bool) })
	if !ok {
		return
	}
	spared := v.replay || v.gate != nil && v.gate.Still()
	d.Prefer(!spared && v.wants(u.PTS, v.w.deps.Detector.Assignment(v.w.camera.ID).FPS))
}
