package bus

import "time"

// Frames is what Detections carries: completed frames of one camera, in order.
type Frames struct {
	CameraID string  `json:"camera_id"`
	Frames   []Frame `json:"frames"`
}

// Frame is what is known about one frame; store.Annotation in JSON.
type Frame struct {
	Time    time.Time     `json:"time"`
	Frame   uint64        `json:"frame"`
	PTS     time.Duration `json:"pts_ns"`
	Width   int           `json:"width"`
	Height  int           `json:"height"`
	Kind    string        `json:"kind"` // detected, interpolated or extrapolated
	Model   string        `json:"model,omitempty"`
	Version int           `json:"version,omitempty"`
	Clock   string        `json:"clock,omitempty"`
	// TimeError is the half-width of the interval Time is known to lie in.
	TimeError time.Duration `json:"time_error_ns,omitempty"`
	Objects   []Object      `json:"objects,omitempty"`
}

// Object is one box of a frame.
type Object struct {
	TrackID string     `json:"track_id,omitempty"`
	ClassID int        `json:"class_id"`
	Label   string     `json:"label"`
	Score   float32    `json:"score"`
	Box     [4]float32 `json:"box"` // x, y, width, height in pixels of the source frame
	Kind    string     `json:"kind,omitempty"`
}

// Segment is a recorded file that is durable and indexed.
type Segment struct {
	ID       int64     `json:"id"`
	CameraID string    `json:"camera_id"`
	Start    time.Time `json:"start"`
	End      time.Time `json:"end"`
	Bytes    int64     `json:"bytes"`
	Frames   int       `json:"frames"`
}
