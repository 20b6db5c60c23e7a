package track

import (
	"math"
	"time"

	"detectd/detect"
)

// Noise of the motion model. Lengths are in units of an object's size (the root
// of its area), so that near and far objects behave alike, and in seconds, so
// that it does not matter how often a camera is looked at. They follow the
// weights of DeepSORT (Wojke, Bewley, Paulus 2017: 1/20 of the size for the
// position) and, for the process noise, what people and cars do: they may take
// up or lose about one length per second within a second. A rolling ball or a
// near car makes several lengths a second from its first sighting on. The values
// were chosen on simulated scenes at 5 and 10 looks a second (pipeline/scene, with
// other seeds than those of scene.Library).
const (
	measured     = 0.05 // standard deviation of a detected centre or side
	startSpeed   = 6.0  // standard deviation of the unknown speed of a new object, 1/s
	startGrowth  = 0.3  // the same for the speed its sides change with
	acceleration = 1.0  // root of the power density of white noise acceleration, s^-1.5
	growth       = 0.1  // the same for the sides
)

// axis is a Kalman filter for one coordinate: position and speed, with the
// covariance [pp pv; pv vv]. Centre x and y, width and height do not influence
// each other in the constant velocity model, so four of these are exactly the
// eight-dimensional filter of the papers.
type axis struct {
	p, v       float64
	pp, pv, vv float64
}

// ahead is the filter dt seconds later, for a noise q² of continuous white noise
// acceleration (Bar-Shalom, Li, Kirubarajan: Estimation with Applications to
// Tracking and Navigation, 2001, section 6.2.2). Unlike noise per frame it makes
// one long step equal to several short ones.
func (a axis) ahead(dt, q float64) axis {
	qq := q * q
	return axis{
		p: a.p + a.v*dt, v: a.v,
		pp: a.pp + 2*dt*a.pv + dt*dt*a.vv + qq*dt*dt*dt/3,
		pv: a.pv + dt*a.vv + qq*dt*dt/2,
		vv: a.vv + qq*dt,
	}
}

// corrected takes in a measurement z with standard deviation r.
func (a axis) corrected(z, r float64) axis {
	s := a.pp + r*r
	kp, kv := a.pp/s, a.pv/s
	e := z - a.p
	return axis{
		p: a.p + kp*e, v: a.v + kv*e,
		pp: (1 - kp) * a.pp, pv: (1 - kp) * a.pv, vv: a.vv - kv*a.pv,
	}
}

// motion is the state of one object at the time of its last detection.
type motion struct {
	at         time.Duration
	size       float64 // root of the area of the last detection, pixels
	x, y, w, h axis
}

func newMotion(at time.Duration, b detect.Box) motion {
	x, y, w, h := centre(b)
	size := math.Sqrt(w * h)
	start := func(p, speed float64) axis {
		r, s := measured*size, speed*size
		return axis{p: p, pp: r * r, vv: s * s}
	}
	return motion{
		at: at, size: size,
		x: start(x, startSpeed), y: start(y, startSpeed),
		w: start(w, startGrowth), h: start(h, startGrowth),
	}
}

// ahead predicts the state at a later time; nothing moves back in time.
func (m motion) ahead(at time.Duration) motion {
	dt := max(0, (at - m.at).Seconds())
	return motion{
		at: max(at, m.at), size: m.size,
		x: m.x.ahead(dt, acceleration*m.size), y: m.y.ahead(dt, acceleration*m.size),
		w: m.w.ahead(dt, growth*m.size), h: m.h.ahead(dt, growth*m.size),
	}
}

// resting is ahead for an object that stands still: it is expected where it is,
// however long it has not been seen, as surely as after a second.
func (m motion) resting(at time.Duration) motion {
	for _, a := range []*axis{&m.x, &m.y, &m.w, &m.h} {
		if a.v, a.pv = 0, 0; at-m.at > time.Second {
			a.vv = 0
		}
	}
	rested := m.ahead(min(at, m.at+time.Second))
	rested.at = max(at, m.at)
	return rested
}

// seen corrects a prediction with the detection made at that time.
func (m motion) seen(b detect.Box) motion {
	x, y, w, h := centre(b)
	m.size = math.Sqrt(w * h)
	r := measured * m.size
	m.x, m.y = m.x.corrected(x, r), m.y.corrected(y, r)
	m.w, m.h = m.w.corrected(w, r), m.h.corrected(h, r)
	return m
}

// box is the estimate as a rectangle with sides of at least one pixel.
func (m motion) box() detect.Box {
	w, h := max(1, m.w.p), max(1, m.h.p)
	return detect.Box{X: float32(m.x.p - w/2), Y: float32(m.y.p - h/2), W: float32(w), H: float32(h)}
}

// deviation is the squared Mahalanobis distance of a box's centre from the
// predicted one, and the distance itself in units of the object's size.
func (m motion) deviation(b detect.Box) (squared, lengths float64) {
	x, y, _, _ := centre(b)
	r := measured * m.size
	dx, dy := x-m.x.p, y-m.y.p
	return dx*dx/(m.x.pp+r*r) + dy*dy/(m.y.pp+r*r), math.Hypot(dx, dy) / m.size
}

func centre(b detect.Box) (x, y, w, h float64) {
	w, h = float64(b.W), float64(b.H)
	return float64(b.X) + w/2, float64(b.Y) + h/2, w, h
}

// iou is the intersection of two boxes over their union.
func iou(a, b detect.Box) float64 {
	w := min(a.X+a.W, b.X+b.W) - max(a.X, b.X)
	h := min(a.Y+a.H, b.Y+b.H) - max(a.Y, b.Y)
	if w <= 0 || h <= 0 {
		return 0
	}
	inter := float64(w) * float64(h)
	return inter / (float64(a.W)*float64(a.H) + float64(b.W)*float64(b.H) - inter)
}
