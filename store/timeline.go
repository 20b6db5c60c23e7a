package store

import (
	"context"
	"time"
)

// Timelines sum up what happened at a camera over time.
type Timelines interface {
	// Timeline cuts the range, both ends of which must be given, into pieces of
	// step and returns those in which anything was recorded or happened, oldest
	// first. The last piece may be shorter. At most MaxTimeline pieces.
	Timeline(ctx context.Context, cameraID string, r Range, step time.Duration) ([]TimelinePiece, error)
}

// MaxTimeline is the most pieces of a timeline: a month of minutes.
const MaxTimeline = 31 * 24 * 60

// TimelinePiece is what happened at a camera in a piece of time.
type TimelinePiece struct {
	Start    time.Time
	Recorded time.Duration  // of it that lies in recordings
	Moving   time.Duration  // of it in which an object was followed
	Tracks   map[string]int // objects that appeared in it, by label
	Events   int            // lines of the event log
}
