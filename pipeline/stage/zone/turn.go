package zone

import "time"

// What keeps noise on a border from becoming events. Somebody is across for
// certain when the anchor is far behind the border, or has been behind it for a
// moment by more than a detector's jitter, or for long by whatever little. The
// event then has the time of the first frame behind the border.
const (
	jitter  = 0.15 // of an object's size, the root of its area; far is twice that
	moments = 300 * time.Millisecond
	settled = 5 * time.Second
	// proven is how long an object must have been followed before it enters a zone,
	// dated back to its first frame inside: what is found in a single frame is
	// nothing, mostly.
	proven = 200 * time.Millisecond
)

// turn is an object that is behind a border and not yet so for certain.
type turn struct {
	on       bool
	since    time.Duration // PTS
	clear    bool          // by more than the jitter
	clearFor time.Duration // PTS since when
}

// margins are the distances that count as more than jitter, and as far. In a zone
// or at a line that is small against the object they are smaller: breadth limits them.
func margins(now moment, breadth float64) (near, far float64) {
	near = jitter * length(now.object.Box)
	return min(near, breadth/2), min(2*near, breadth)
}

// certain takes in the distance behind the border, in pixels, in the next frame.
func (t *turn) certain(now moment, distance, breadth float64) bool {
	if !t.on {
		*t = turn{on: true, since: now.pts}
	}
	near, far := margins(now, breadth)
	switch {
	case distance < near:
		t.clear = false
	case !t.clear:
		t.clear, t.clearFor = true, now.pts
	}
	return distance >= far || t.clear && now.pts-t.clearFor >= moments || now.pts-t.since >= settled
}
