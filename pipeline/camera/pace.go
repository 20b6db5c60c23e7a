package camera

import (
	"math"
	"sync"
	"time"

	"detectd/detect"
)

// Constants of the rate of detections. Lengths are in units of an object's size,
// the root of the area of its box.
const (
	// maxShift is how far an object may go between two detections. Beyond it boxes
	// overlap by less than half, and two like objects can be taken for each other.
	maxShift = 0.4
	// nearest is how far away the same object is looked for.
	nearest = 3.0
	// certain is the score from which an object counts.
	certain = 0.5
	// fastFactor is how many times the normal rate the fast rate is at most.
	fastFactor = 3
	// fastFor is how long the fast rate is kept after the last reason for it.
	fastFor = 2 * time.Second
	// calmFor is how long the normal rate is kept after the detector was behind.
	calmFor = 10 * time.Second
)

// pace chooses how often a camera is looked at: at its normal rate, and faster
// while objects move fast for their size or cannot be told apart. Answers come
// from other goroutines than questions.
type pace struct {
	mu    sync.Mutex // guards what follows
	limit float64    // detections per second at most; not above the normal rate: never faster
	last  []detect.Detection
	at    time.Duration // PTS of last
	begun bool          // there is a last
	fast  time.Duration // until then the fast rate is wanted
	tired time.Duration // until then it is not
}

// most sets the detections per second at most.
func (p *pace) most(limit float64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.limit = limit
}

// rate is how many detections per second are wanted at pts.
func (p *pace) rate(pts time.Duration, normal float64) float64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	if pts >= p.fast || pts < p.tired {
		return normal
	}
	return max(normal, min(p.limit, fastFactor*normal))
}

// answered takes in what was found at pts.
func (p *pace) answered(pts time.Duration, dets []detect.Detection, normal float64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.begun && pts <= p.at {
		return // an older answer than the last
	}
	dt := (pts - p.at).Seconds()
	if normal > 0 && dt > 0 && dt < 4/normal && hurried(p.last, dets, 1/(normal*dt)) {
		p.fast = pts + fastFor
	}
	p.last, p.at, p.begun = dets, pts, true
}

// behind notes that the detector could not keep up.
func (p *pace) behind(pts time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.tired = pts + calmFor
}

// restart forgets the stream.
func (p *pace) restart() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.last, p.begun, p.fast, p.tired = nil, false, 0, 0
}

// hurried says that an object goes too far in the time between two detections at
// the normal rate, which is periods times the time between these two; or that at
// least two, and half of all, have nothing to be compared with.
func hurried(before, now []detect.Detection, periods float64) bool {
	if len(before) == 0 {
		return false
	}
	unknown, all := 0, 0
	for _, d := range now {
		if d.Score < certain {
			continue
		}
		all++
		shift := math.Inf(1)
		for _, b := range before {
			if b.ClassID == d.ClassID && b.Label == d.Label {
				shift = min(shift, distance(b.Box, d.Box))
			}
		}
		switch {
		case shift > nearest:
			unknown++
		case shift*periods > maxShift:
			return true
		}
	}
	return unknown >= 2 && 2*unknown >= all
}

func distance(a, b detect.Box) float64 {
	size := math.Sqrt(max(1, float64(b.W)*float64(b.H)))
	x := float64(a.X) + float64(a.W)/2 - float64(b.X) - float64(b.W)/2
	y := float64(a.Y) + float64(a.H)/2 - float64(b.Y) - float64(b.H)/2
	return math.Hypot(x, y) / size
}
