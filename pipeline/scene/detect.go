package scene

import (
	"hash/fnv"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"detectd/detect"
)

// Noise is how bad a simulated detector is. The zero value is a perfect one.
type Noise struct {
	Miss   float64 // share of fully visible objects that a look misses
	Blink  float64 // share of quarter seconds in which an object is hard to see: most looks miss it then
	Jitter float64 // standard deviation of a box's sides and place, in its own size
	False  float64 // boxes a frame, on average, where nothing is
}

// Typical is what a small detector does to people in the open.
func Typical() Noise { return Noise{Miss: 0.06, Blink: 0.05, Jitter: 0.025, False: 0.05} }

const (
	blinkLength = 250 * time.Millisecond
	blinkMiss   = 0.7
	leastSeen   = 0.2 // share that must be visible to be found at all
)

// Detect is what a detector finds in a frame, best first. It depends on the scene's
// seed, the frame and the noise only: it does not matter which other frames are
// looked at.
func (s *Scene) Detect(frame int, n Noise) []detect.Detection {
	r := s.random("frame", uint64(frame)) //nolint:gosec // frames are not negative
	var dets []detect.Detection
	for _, o := range s.Truth(frame) {
		a := s.random(o.ID, uint64(frame)) //nolint:gosec // frames are not negative
		if d, ok := s.look(o, n, a, s.blinks(o.ID, s.Time(frame), n)); ok {
			dets = append(dets, d)
		}
	}
	for range poisson(r, n.False) {
		h := float64(s.Height) * (0.05 + 0.25*r.Float64())
		d := detect.Detection{Label: "person", Score: float32(0.3 + 0.35*r.Float64()*r.Float64())}
		d.Box = s.clip(detect.Box{
			X: float32(r.Float64() * float64(s.Width)), Y: float32(r.Float64() * float64(s.Height)), W: float32(0.4 * h), H: float32(h),
		})
		dets = append(dets, d)
	}
	slices.SortStableFunc(dets, func(a, b detect.Detection) int {
		switch {
		case a.Score > b.Score:
			return -1
		case a.Score < b.Score:
			return 1
		}
		return 0
	})
	return dets
}

// look is one object seen by the detector, or not.
func (s *Scene) look(o Object, n Noise, r *rand.Rand, blinking bool) (detect.Detection, bool) {
	miss := n.Miss
	if blinking {
		miss = max(miss, blinkMiss)
	}
	if perfect := n == (Noise{}); !perfect {
		miss += (1 - miss) * (1 - o.Visible) * 0.6
	}
	missed := r.Float64() < miss
	noise := func(size float32) float32 {
		return float32(r.NormFloat64()*n.Jitter*(1+2*(1-o.Visible))) * size
	}
	b := o.Box
	// Both sides are off, so that the box is wrong in place and in size.
	left, top, right, bottom := noise(b.W), noise(b.H), noise(b.W), noise(b.H)
	b = s.clip(detect.Box{X: b.X + left, Y: b.Y + top, W: b.W - left + right, H: b.H - top + bottom})
	d := detect.Detection{ClassID: o.ClassID, Label: o.Label, Box: b, Score: 1}
	if n != (Noise{}) {
		score := 0.45 + 0.4*o.Visible + 0.08*r.NormFloat64()
		if blinking {
			score -= 0.3
		}
		d.Score = float32(min(0.99, max(0.25, score)))
	}
	return d, !missed && o.Visible >= leastSeen && b.W >= 2 && b.H >= 2
}

func (s *Scene) blinks(id string, at time.Duration, n Noise) bool {
	return s.random("blink "+id, uint64(at/blinkLength)).Float64() < n.Blink //nolint:gosec // times are not negative
}

// random is a source that depends on the scene, a name and a number.
func (s *Scene) random(name string, number uint64) *rand.Rand {
	h := fnv.New64a()
	_, _ = h.Write([]byte(name))
	return rand.New(rand.NewPCG(s.Seed^h.Sum64(), number*0x9e3779b97f4a7c15+s.Seed))
}

func poisson(r *rand.Rand, mean float64) int {
	limit, n := math.Exp(-mean), 0
	for p := r.Float64(); p > limit && n < 100; p *= r.Float64() {
		n++
	}
	return n
}
