package store

import "time"

// Keep marks a span of time of a camera whose recordings stay whatever the limits say.
type Keep struct {
	CameraID  string
	ID        string // as Client.ID, unique for the camera
	From, To  time.Time
	Note      string
	CreatedAt time.Time
}

// Oldest asks for the oldest segments that may go: none that overlaps a Keep.
type Oldest struct {
	CameraID  string    // "" all cameras
	From      time.Time // only those that began at this time or later; zero: any
	EndBefore time.Time // only those that ended before; zero: any
	Idle      *Reach    // only those that no event at a zone or a line reaches; nil: any
	Limit     int
}

// Reach is how long before and after an event recordings belong to it, of cameras
// that do not set that themselves.
type Reach struct {
	Before, After time.Duration
}

// Idle asks for the segments of a camera in which nothing happened that would
// have them kept.
type Idle struct {
	CameraID      string
	Events        bool // only what happens at zones and lines counts, else every track
	Before, After time.Duration
	Range
	Limit int
}

// Recorded is how much there is of a camera.
type Recorded struct {
	CameraID string
	Bytes    int64
	Newest   time.Time // end of the newest segment
}

// Old says which records are too old to be kept; a zero time keeps them all.
// Results count from when they were done; those that are queued or running stay.
type Old struct {
	Tracks, Events, Reports, Results time.Time
	// ResultBytes is how large the files of all results may be, above which the
	// oldest go; 0 keeps them all.
	ResultBytes int64
}
