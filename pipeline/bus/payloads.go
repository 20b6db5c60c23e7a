package bus

import "time"

// State is a camera's condition in short. It reads a subset of the JSON of
// pipeline.Status, which is what is published on CameraState.
type State struct {
	CameraID string    `json:"camera_id"`
	State    string    `json:"state"`
	Reason   string    `json:"reason,omitempty"` // for people, without credentials
	Since    time.Time `json:"since"`
}

// Provider is what a model runs on since its provider did not work or broke: a
// subset of the JSON of pipeline.Running.
type Provider struct {
	Model    string `json:"model"`
	Version  int    `json:"version"`
	Provider string `json:"provider"`
	Reason   string `json:"reason"`
}

// Inference is one frame that went through a model. It holds what store.Inference
// holds and what reports add up.
type Inference struct {
	CameraID   string         `json:"camera_id"`
	Time       time.Time      `json:"time"` // when the result was ready
	Model      string         `json:"model"`
	Version    int            `json:"version"`
	Batch      int            `json:"batch"`      // frames in the same run
	Queued     time.Duration  `json:"queued_ns"`  // waiting for the run to start
	Ran        time.Duration  `json:"ran_ns"`     // the whole batch
	Latency    time.Duration  `json:"latency_ns"` // arrival of the frame to its result
	Detections int            `json:"detections"`
	Error      string         `json:"error,omitempty"`
	NotFinite  bool           `json:"not_finite,omitempty"` // the error is that the output is no numbers
	Labels     map[string]int `json:"labels,omitempty"`     // detections by label
	ScoreSum   float64        `json:"score_sum,omitempty"`
}

// HealthReport is what all cameras have done so far, published on Health.
type HealthReport struct {
	Time    time.Time        `json:"time"`
	Cameras []CameraCounters `json:"cameras"`
}

// CameraCounters counts since the camera's worker started.
type CameraCounters struct {
	CameraID   string            `json:"camera_id"`
	Started    time.Time         `json:"started"` // of the worker; another value means counters from 0
	Model      string            `json:"model"`   // the one wanted, also before it is loaded
	Version    int               `json:"version"`
	Frames     uint64            `json:"frames"` // decoded
	Inferences uint64            `json:"inferences"`
	Drops      map[string]uint64 `json:"drops,omitempty"` // by reason, named as in pipeline.Drops
}

// Track is one object followed through a camera's frames: store.Track in JSON.
// The first message of a track has Frames 1, the last one Ended.
type Track struct {
	ID        string     `json:"id"`
	CameraID  string     `json:"camera_id"`
	ClassID   int        `json:"class_id"`
	Label     string     `json:"label"`
	Start     time.Time  `json:"start"`
	End       time.Time  `json:"end"` // last seen
	Ended     bool       `json:"ended"`
	Frames    int        `json:"frames"` // it was detected in
	BestScore float32    `json:"best_score"`
	BestTime  time.Time  `json:"best_time"`
	BestBox   [4]float32 `json:"best_box"` // x, y, width, height in pixels of the source frame
	Model     string     `json:"model"`
	Version   int        `json:"version"`
	Clock     string     `json:"clock,omitempty"` // how its times were obtained
	// TimeError is the half-width of the interval that each time is known to lie in.
	TimeError time.Duration `json:"time_error_ns,omitempty"`
}

// Result is the state of a picture or video made on request.
type Result struct {
	ID       string  `json:"id"`
	Kind     string  `json:"kind"` // still, clip, image or video
	CameraID string  `json:"camera_id,omitempty"`
	Name     string  `json:"name,omitempty"`
	State    string  `json:"state"`    // queued, running, done or failed
	Progress float64 `json:"progress"` // 0..1
	Error    string  `json:"error,omitempty"`
}

// Gap is a long time without a recording.
type Gap struct {
	CameraID string    `json:"camera_id"`
	From     time.Time `json:"from"`
	To       time.Time `json:"to"`   // known so far while it is open
	Open     bool      `json:"open"` // it goes on
	Reason   string    `json:"reason"`
	Detail   string    `json:"detail,omitempty"`
}

// SpaceState is how full the disk is.
type SpaceState struct {
	Level      string `json:"level"` // normal, evict, refuse or stop
	Was        string `json:"was"`
	ShortOf    string `json:"short_of,omitempty"` // bytes, files or quota: what the worse of the two is about
	FreeBytes  int64  `json:"free_bytes"`
	TotalBytes int64  `json:"total_bytes"`
	FreeFiles  int64  `json:"free_files"`
	TotalFiles int64  `json:"total_files"`
}

// ZoneEvent is what an object did at a zone or a line of a camera.
type ZoneEvent struct {
	Kind      string        `json:"kind"` // zone.entered, zone.left, zone.loitering or line.crossed
	CameraID  string        `json:"camera_id"`
	ZoneID    string        `json:"zone_id"` // of the zone or the line
	ZoneName  string        `json:"zone_name,omitempty"`
	Time      time.Time     `json:"time"` // capture time of the frame it happened in
	TrackID   string        `json:"track_id"`
	ClassID   int           `json:"class_id"`
	Label     string        `json:"label"`
	Score     float32       `json:"score"`
	Box       [4]float32    `json:"box"`                 // in that frame: x, y, width, height in pixels
	Direction string        `json:"direction,omitempty"` // of a crossing: right or left, seen from the line's start to its end
	Stayed    time.Duration `json:"stayed_ns,omitempty"` // how long it was in the zone: left and loitering
	Clock     string        `json:"clock,omitempty"`     // how Time was obtained
	// TimeError is the half-width of the interval Time is known to lie in.
	TimeError time.Duration `json:"time_error_ns,omitempty"`
}
