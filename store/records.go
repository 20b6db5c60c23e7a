package store

import (
	"encoding/json"
	"time"
)

// Client owns cameras: a site, a customer, a department.
type Client struct {
	ID        string // ^[a-z0-9][a-z0-9_-]{0,62}$
	Name      string
	Revision  int64
	CreatedAt time.Time
	UpdatedAt time.Time
}

// What of a camera is recorded.
const (
	RecordContinuous = "continuous" // everything
	RecordMotion     = "motion"     // while objects are followed
	RecordEvents     = "events"     // around what happens at its zones and lines
	RecordOff        = "off"        // nothing
)

// What a camera is spared while nothing moves before it.
const (
	IdleAuto   = "auto"   // decoding, where its coded video tells that nothing moves, else most detections
	IdleDecode = "decode" // most detections
	IdleOff    = "off"    // nothing
)

// Camera is one configured source of video.
type Camera struct {
	ID        string // as Client.ID; a token of bus subjects and a folder name
	ClientID  string
	Name      string
	URL       string // without user and password
	Username  string
	Password  Secret
	Transport string // auto, tcp or udp
	Enabled   bool
	Record    string  // one of the Record constants
	DetectFPS float64 // detections per second wanted; 0 takes the default
	Idle      string  // one of the Idle constants; empty takes detect.idle
	Weight    float64 // of its detections when there are too many for the machine; 0 counts as 1
	Rotation  int     // by which its pictures are turned clockwise to be upright: 0, 90, 180 or 270 degrees, on top of what the stream says
	// With RecordMotion and RecordEvents: how long before and after what happens
	// recordings are kept; 0 takes the default.
	RecordBefore, RecordAfter time.Duration
	Keep                      time.Duration // age of recordings that go; 0 takes the default
	KeepEvents                time.Duration // the same of those that an event reaches, where it is more; 0 takes the default
	KeepBytes                 int64         // size of all its recordings, the oldest go first; 0 is no limit of its own
	NoAudio                   bool          // its sound is not even asked for
	Loop                      bool          // files only: start again at the end
	Demo                      bool          // belongs to the built-in demo
	Revision                  int64
	CreatedAt                 time.Time
	UpdatedAt                 time.Time
}

// Model groups the versions of one model.
type Model struct {
	Name        string // ^[a-z0-9][a-z0-9._-]{0,62}$
	Description string
	Label       string // the name by which clients of MLflow know it; Name when it is not given
	Revision    int64  // counts changes of what is said about it, from 1
	Aliases     map[string]int
	Tags        map[string]string
	CreatedAt   time.Time
	UpdatedAt   time.Time
	Count       int            // of its versions
	Versions    []ModelVersion // filled by ListModels, newest first
}

// ModelVersion is one immutable model file with what is needed to run it.
type ModelVersion struct {
	Model     string
	Version   int    // from 1
	SHA256    string // of the ONNX file, a blob
	Size      int64  // bytes
	Family    string
	Licence   string
	Source    string          // where the file came from
	Contract  json.RawMessage // detect.Contract
	Lineage   json.RawMessage // detect.Lineage: what it was derived from; nil for a file of its own
	Check     json.RawMessage // model.Report: what its self-check found; nil when there was none
	Overlay   string          // blob of the self-check's picture, a JPEG; "" when there is none
	CheckedAt time.Time       // when the self-check was made, which can be repeated; zero when there was none
	CreatedAt time.Time

	Description string
	Aliases     []string // that name it, by name
	Tags        map[string]string
	RunID       string // of MLflow, "" for none
	LoggedModel string // of MLflow, "" for none
	Stage       string // of MLflow, "" for none
	UpdatedAt   time.Time
}

// RunningModel is what a client, or one camera of it, runs.
type RunningModel struct {
	ClientID  string
	CameraID  string // "" for the client's own record
	Model     string
	Version   int                // 0: always the newest, or what Alias names
	Alias     string             // whose version is followed; "" for none
	MinScore  float64            // 0: the model's default
	MinScores map[string]float64 // by label, instead of MinScore
	NMSIoU    float64            // overlap above which the worse of two boxes of a class goes; 0: the model's own, 1: none goes
	NMSIoUs   map[string]float64 // by label, instead of NMSIoU
	Classes   []string           // labels wanted; empty: all
	Zones     []string           // zones of the camera, by id, that detections are wanted in; empty: everywhere
	DetectFPS float64            // 0: the camera's
	FastFPS   float64            // while objects move fast; 0: the settings'
	Provider  string             // execution providers to try, as in the settings; "": the settings'
	Revision  int64              // counts changes of this record from 1; goes on after a delete
	Deleted   bool               // in the history: the record was removed here
	UpdatedAt time.Time
	UpdatedBy string
	Reason    string
}

// MaxSegment is the longest a segment may be. It bounds how far back a search
// for the segment holding a moment has to look.
const MaxSegment = time.Hour

// MaxAnnotations is the most frames one call of Series.Annotations returns.
const MaxAnnotations = 20000

// Segment is one recorded file of a camera: fragmented MP4 as it was received.
type Segment struct {
	ID        int64
	CameraID  string
	Start     time.Time // capture time of the first frame
	End       time.Time // capture time of the last frame plus its duration
	Path      string    // below the media folder, slash-separated
	Bytes     int64
	Frames    int
	Codec     string
	Width     int
	Height    int
	Clock     string        // how Start was obtained: rtcp, arrival or file
	TimeError time.Duration // half-width of the interval Start is known to lie in
	Audio     string        // codec of its sound: aac, opus, pcmu or pcma; empty when there is none
	AudioTime time.Duration // how much of it there is; less than the segment's length where it has holes
	// Holes are spans within the segment in which nothing came. They are taken by
	// AddSegment, for the ledger, and not given back.
	Holes []Range
}

// Box is a rectangle in pixels of the source frame, origin top left: x, y, width, height.
type Box [4]float32

// Track is one object followed through frames.
type Track struct {
	ID        string // camera id and a number, unique for ever
	CameraID  string
	ClassID   int
	Label     string
	Start     time.Time
	End       time.Time // last seen
	Ended     bool
	Frames    int // frames it was detected in
	BestScore float32
	BestTime  time.Time
	BestBox   Box
	Model     string
	Version   int
	Clock     string        // how its times were obtained: rtcp, arrival or file; "" not known
	TimeError time.Duration // the half-width of the interval that each is known to lie in
}

// Event is one line of the log that people read.
type Event struct {
	ID       int64
	Time     time.Time
	Kind     string // camera.state, track.started, model.changed, …: docs/events.md
	CameraID string
	ClientID string
	Message  string
	Data     json.RawMessage
	// Clock says how Time was obtained: rtcp, arrival or file of the frame that it is
	// the time of; "" is the machine's clock.
	Clock     string
	TimeError time.Duration // the half-width of the interval Time is known to lie in
}

// Result states.
const (
	ResultQueued  = "queued"
	ResultRunning = "running"
	ResultDone    = "done"
	ResultFailed  = "failed"
)

// Result is a picture or video made on request.
type Result struct {
	ID         string
	Kind       string // still, clip, image (upload) or video (upload)
	CameraID   string // "" for uploads
	Name       string // file name of the upload, or a title
	From, To   time.Time
	State      string
	Progress   float64 // 0..1
	Error      string
	MIME       string
	SHA256     string // blob of the rendered file, "" until done
	Bytes      int64
	Input      string          // blob of the uploaded file
	Detections json.RawMessage // uploads: frames with detections
	Model      string
	Version    int
	MinScore   float64
	CreatedAt  time.Time
	FinishedAt time.Time
}

// Annotation is what is known about one frame of a camera.
type Annotation struct {
	CameraID string        `cbor:"-"`
	Time     time.Time     `cbor:"-"`
	Frame    uint64        `cbor:"1,keyasint"` // counts frames since the camera's worker started
	PTS      time.Duration `cbor:"2,keyasint"`
	Width    int           `cbor:"3,keyasint"`
	Height   int           `cbor:"4,keyasint"`
	Kind     string        `cbor:"5,keyasint"` // detected, interpolated or extrapolated
	Model    string        `cbor:"6,keyasint,omitempty"`
	Version  int           `cbor:"7,keyasint,omitempty"`
	Objects  []Object      `cbor:"8,keyasint,omitempty"`
	Clock    string        `cbor:"9,keyasint,omitempty"` // how Time was obtained: rtcp, arrival or file
	// TimeError is the half-width of the interval Time is known to lie in.
	TimeError time.Duration `cbor:"10,keyasint,omitempty"`
}

// Object is one box of an annotation.
type Object struct {
	TrackID string  `cbor:"1,keyasint,omitempty"`
	ClassID int     `cbor:"2,keyasint"`
	Label   string  `cbor:"3,keyasint"`
	Score   float32 `cbor:"4,keyasint"`
	Box     Box     `cbor:"5,keyasint"`
	Kind    string  `cbor:"6,keyasint,omitempty"` // when it differs from the frame's
}

// DetectionQuery filters ListDetections.
type DetectionQuery struct {
	CameraID string // "" all cameras
	Range
	Label string // "" all
	Kind  string // "" all
}

// DetectionRow is one object with its frame's facts.
type DetectionRow struct {
	CameraID string
	Time     time.Time
	Frame    uint64
	Kind     string
	Object
}

// Inference is one record per frame that went through a model.
type Inference struct {
	CameraID   string        `cbor:"-"`
	Time       time.Time     `cbor:"-"` // when the result was ready
	Model      string        `cbor:"1,keyasint"`
	Version    int           `cbor:"2,keyasint"`
	Batch      int           `cbor:"3,keyasint"` // frames in the same run
	Queued     time.Duration `cbor:"4,keyasint"` // waiting for the run to start
	Ran        time.Duration `cbor:"5,keyasint"` // preprocessing, network and decoding of the batch
	Latency    time.Duration `cbor:"6,keyasint"` // arrival of the frame to its result
	Detections int           `cbor:"7,keyasint"`
	Error      string        `cbor:"8,keyasint,omitempty"`
}
