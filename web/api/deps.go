package api

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"time"

	"detectd/detect"
	"detectd/pipeline"
	"detectd/store"
)

// Errors that the interfaces below return, wrapped with the reason in words that
// a user can act on. Together with the errors of store and detect they are the
// only ones whose text is shown; anything else is logged and answered with 500.
var (
	// ErrInvalid is returned for a value that cannot be used (422).
	ErrInvalid = errors.New("invalid")
	// ErrTooLarge is returned for an upload with too many bytes (413).
	ErrTooLarge = errors.New("too large")
	// ErrUnsupported is returned for an upload that is not of a supported kind (415).
	ErrUnsupported = errors.New("unsupported")
	// ErrUnprocessable is returned for an upload that is damaged, empty, or has too
	// many pixels or frames (422).
	ErrUnprocessable = errors.New("cannot be processed")
	// ErrUnavailable is returned when something needed is not running now (503).
	ErrUnavailable = errors.New("not available now")
	// ErrConflict is returned for a step that is not possible now (409).
	ErrConflict = errors.New("not possible now")
	// ErrNoSpace is returned while the disk is too full to take something in (507).
	ErrNoSpace = errors.New("no space")
	// ErrNoHLS is returned by Live.Serve when a camera has no HLS: its codec is
	// MJPEG, or no video has come yet (404 with its own problem type).
	ErrNoHLS = errors.New("no HLS stream")
)

// Deps is what the API works with. All fields are required.
type Deps struct {
	Log        *slog.Logger
	Records    store.Records
	Series     store.Series
	Blobs      store.Blobs
	Cameras    Cameras
	Detector   Detector
	Models     Models
	Catalogue  Catalogue
	Aliases    Aliases
	Promotions Promotions
	Renders    Renders
	Frames     Frames
	Live       Live
	Media      Media
	Announcer  Announcer
	Feed       Feed
	System     System
}

// Cameras are the camera workers.
type Cameras interface {
	// Status returns the condition of a camera; false when no worker has one yet.
	Status(cameraID string) (pipeline.Status, bool)
	// Statuses returns all conditions, by camera id.
	Statuses() []pipeline.Status
	// RunningState tells what a camera is to run and what it runs, from memory;
	// false when detection does not know the camera yet.
	RunningState(cameraID string) (pipeline.RunningState, bool)
	// ValidateURL splits the credentials off a camera's URL and checks that this
	// daemon may open it: scheme, host, port, or a file below an allowed folder.
	// Its errors wrap ErrInvalid and hold no credentials.
	ValidateURL(raw string) (CameraURL, error)
}

// CameraURL is a camera's address in its parts.
type CameraURL struct {
	URL      string // without user and password
	Username string
	Password store.Secret
}

// Detector finds objects in uploads.
type Detector interface {
	// DetectImage reads one picture, finds its objects, and stores the picture with
	// boxes as a result of kind "image" that is done when DetectImage returns.
	// Errors: ErrUnsupported, ErrUnprocessable, ErrTooLarge, store.ErrNotFound (model).
	DetectImage(ctx context.Context, up Upload) (ImageResult, error)
	// SubmitVideo stores a video file and queues it as a result of kind "video".
	// The same errors as DetectImage.
	SubmitVideo(ctx context.Context, up Upload) (store.Result, error)
}

// Upload is a file sent for detection.
type Upload struct {
	Body     io.Reader // reading fails with ErrTooLarge past the limit of bytes
	Name     string    // file name given by the sender, without folders; may be ""
	MIME     string    // media type given by the sender; a hint, never trusted
	Model    string    // "" takes the default model
	Version  int       // 0 takes the newest
	MinScore float64   // 0 takes the model's default
}

// ImageResult is what was found in a picture.
type ImageResult struct {
	Result     store.Result // done; its Model and Version are the ones that ran
	Width      int          // pixels
	Height     int
	Detections []detect.Detection // best score first
	Took       time.Duration      // from the whole file to its detections
}

// Models is the model registry with the files.
type Models interface {
	// Add reads an ONNX file, finds out its contract and registers it as a new
	// version. The same file with the same contract again returns the version that
	// has them, with store.ErrExists; one that has lost its file gets it back. Errors: detect.ErrNotONNX, detect.ErrExternalData,
	// detect.ErrNotDetector, ErrUnprocessable, ErrTooLarge.
	Add(ctx context.Context, m NewModel, r io.Reader) (store.ModelVersion, error)
	// Remove deletes a version and its file. store.ErrInUse while it runs
	// anywhere or is the default.
	Remove(ctx context.Context, name string, version int) error
	// CheckProvider says why a list of execution providers cannot be used, in words
	// for users; nil when it can.
	CheckProvider(list string) error
	// MeasureSpeed measures how long a version takes for a picture on this machine
	// and keeps that with it.
	MeasureSpeed(ctx context.Context, name string, version int) (store.Measurement, error)
	// RemoveModel deletes a model with all its versions and their files.
	// store.ErrInUse while one of them runs anywhere or is the default.
	RemoveModel(ctx context.Context, name string) error
	// Recheck repeats the self-check of a version and keeps its result. Errors:
	// detect.ErrNotDetector for a model that answers nonsense.
	Recheck(ctx context.Context, name string, version int) (store.ModelVersion, error)
	// Default is the model that runs where no running model is set.
	Default() (name string, version int)
}

// NewModel describes a model file that is being added.
type NewModel struct {
	Name        string
	Description string
	Licence     string
	Source      string
	Family      string            // how the outputs are laid out; "" is found out
	Contract    map[string]string // keys of the contract that cannot be found out

	SHA256 string // of the file, in hex, where the sender knows it; "" accepts any
	// Known is the contract of a version with this very file, which is copied; nil
	// for others. Family and Contract come on top of it.
	Known json.RawMessage

	VersionDescription string
	Tags               map[string]string // of the version
	RunID, LoggedModel string            // of MLflow
	// External opens files beside the model, whose values are taken in; nil
	// refuses a model that refers to others.
	External func(name string) (io.ReadSeekCloser, int64, error)
}

// Renders makes stills and clips.
type Renders interface {
	// Request stores r, whose state is queued, and queues the work.
	Request(ctx context.Context, r store.Result) error
	// Remove deletes a result with its files; a running one is stopped first.
	Remove(ctx context.Context, resultID string) error
}

// Frames gives single pictures of cameras.
type Frames interface {
	// JPEG returns the recorded frame nearest to at, within 2 s of it, or the
	// newest frame for a zero at. With boxes, its annotation is drawn into it.
	// store.ErrNotFound when there is none.
	JPEG(ctx context.Context, cameraID string, at time.Time, boxes bool) (Frame, error)
}

// Frame is one picture of a camera.
type Frame struct {
	JPEG  []byte
	Time  time.Time // when it was captured
	Clock string    // how Time was obtained: rtcp, arrival or file
}

// Live serves live video. Both methods write the whole answer, or return an
// error before anything is written.
type Live interface {
	// Serve answers a request for a file of the camera's HLS stream. ErrNoHLS.
	Serve(w http.ResponseWriter, r *http.Request, cameraID, file string) error
	// MJPEG streams pictures until the request ends.
	MJPEG(w http.ResponseWriter, r *http.Request, cameraID string) error
}

// Media opens recorded files.
type Media interface {
	// Open opens the file of a segment; the caller closes it. store.ErrNotFound
	// when the file is gone.
	Open(s store.Segment) (io.ReadSeekCloser, error)
	// Part opens a part of a segment's file.
	Part(s store.Segment, which Part) (io.ReadSeekCloser, error)
	// Movie joins what was recorded in a span into one MP4, cut at the key pictures
	// around the span or exactly. Errors: store.ErrNotFound when nothing was
	// recorded; ErrUnprocessable when the span cannot be one file.
	Movie(ctx context.Context, cameraID string, r store.Range, exact bool) (Movie, error)
}

// Part is a part of a recorded file.
type Part int

// The parts of a recorded file.
const (
	PartMedia      Part = iota // its pictures and sound
	PartHead                   // what describes them
	PartSilentHead             // the same, but players pass over the sound
	PartFilled                 // its pictures and sound, with silence where sound is missing
)

// Movie is an MP4 file that is put together while it is read.
type Movie interface {
	io.ReadSeekCloser
	// Start is the capture time of the first picture that is shown.
	Start() time.Time
}

// Announcer is told of changes that the API has made durable, so that the rest
// of the daemon follows. It must not block for long and cannot refuse.
type Announcer interface {
	CameraChanged(cameraID string, action Action)
	ClientChanged(clientID string, action Action)
	// RunningModelChanged names a client's own record with cameraID "".
	RunningModelChanged(clientID, cameraID string, revision int64)
	ModelsChanged()
	// ZonesChanged is told of a new revision of a camera's zones.
	ZonesChanged(cameraID string, revision int64)
}

// Action says what happened to a record.
type Action string

// The actions.
const (
	Created Action = "created"
	Updated Action = "updated"
	Deleted Action = "deleted"
)

// Feed is the live stream of what happens, for /events/stream.
type Feed interface {
	// Subscribe returns a channel of items until ctx ends, then closes it. Items of
	// event "detections" come only for the named cameras, "*" names all. A receiver
	// that is behind loses items, never holds up the sender.
	Subscribe(ctx context.Context, cameraIDs []string) <-chan FeedItem
}

// FeedItem is one server-sent event. Event is one of the names in the contract.
// Data is a record of the vocabulary, which the API turns into its JSON form:
//
//	camera.state    pipeline.Status
//	camera.changed  CameraChange
//	detections      []store.Annotation, all of one camera
//	track           store.Track
//	model.changed   ModelChange
//	models.changed  nil
//	model.state     pipeline.RunningState
//	promotions.changed  PromotionChange
//	result          store.Result
//	zone            ZoneEvent
//	zones.changed   ZonesChange
//
// Anything else is marshalled as it is, json.RawMessage included. The event
// "health" is sent by the API itself.
type FeedItem struct {
	Event string
	Data  any
}

// CameraChange is the data of the event "camera.changed".
type CameraChange struct {
	CameraID string `json:"camera_id"`
	Action   Action `json:"action"`
}

// ModelChange is the data of the event "model.changed".
type ModelChange struct {
	ClientID string `json:"client_id"`
	CameraID string `json:"camera_id"`
	Revision int64  `json:"revision"`
}

// System tells about the daemon and its machine.
type System interface {
	Info(ctx context.Context) SystemInfo
	// Check compares records with files at a level: presence, size or hash.
	Check(ctx context.Context, level string) (CheckReport, error)
}

// SystemInfo is the condition of the daemon and its machine.
type SystemInfo struct {
	Version      string
	StartedAt    time.Time
	Listen       string // address the page is served at
	DataPath     string // data folder
	FreeBytes    int64  // on the data folder's file system
	TotalBytes   int64
	MediaBytes   int64 // size of all recordings
	MemoryBytes  int64 // resident memory of the process
	ONNXRuntime  string
	Provider     string             // of ONNX Runtime: cpu, cuda, …
	Running      []pipeline.Running // the open models
	LibAV        string
	OpenCV       string
	DefaultModel string // name@version
	Space        SpaceInfo
	Degraded     string // why the records do not last; "" when they do
}

// SpaceInfo is how full the disk is, and what that does.
type SpaceInfo struct {
	Level                              string // normal, evict, refuse or stop
	ShortOf                            string // bytes, files, quota, or "" when it is normal
	FreeFiles, TotalFiles              int64  // inodes; 0 where they are made as needed
	Queue                              bool   // the work queue takes work
	EvictBelow, RefuseBelow, StopBelow int64  // bytes free at which the levels begin
	ReserveBytes                       int64  // kept for records
	Refused, Dropped                   uint64 // uploads and renders; writes of series
}
