// Package store is the vocabulary of what detectd keeps: record types, the
// interfaces the drivers implement and the errors they return. It imports
// nothing else of detectd, so the schema does not move when a detector does.
//
// Records must last (SQLite); series are rebuildable or expendable and written
// many times a second (Badger); blobs are files addressed by their SHA-256.
package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"
)

// Errors every driver returns, wrapped with what was asked for.
var (
	// ErrNotFound is returned when no record has the given id.
	ErrNotFound = errors.New("not found")
	// ErrExists is returned when a record with the given id exists already.
	ErrExists = errors.New("exists already")
	// ErrInUse is returned when a record cannot go because another needs it.
	ErrInUse = errors.New("in use")
	// ErrRevision is returned when a change names another revision than the stored one.
	ErrRevision = errors.New("changed by someone else")
	// ErrLocked is returned when another process owns the data folder.
	ErrLocked = errors.New("data folder is in use by another detectd")
	// ErrNewerSchema is returned when a newer detectd has written the database.
	ErrNewerSchema = errors.New("written by a newer detectd")
	// ErrCursor is returned for a cursor that no page of the same list returned.
	ErrCursor = errors.New("cursor is not valid here")
	// ErrOlderCopy is returned for a database that is older than its data folder.
	ErrOlderCopy = errors.New("not the newest database of this data folder")
	// ErrGate is returned for a version that does not meet the rules of an alias.
	ErrGate = errors.New("refused by the rules of the alias")
	// ErrPaused is returned for a write that waits for space on the disk.
	ErrPaused = errors.New("writing is paused: the disk is nearly full")
	// ErrDisk is returned for a change that the disk of the records did not take: it is
	// full, read-only or broken. Nothing was changed.
	ErrDisk = errors.New("the disk of the data folder takes no changes")
	// ErrBusy is returned for a change that the database did not take in time. Nothing was changed.
	ErrBusy = errors.New("the database takes no changes at present; try again")
)

// RevisionError is returned for a change based on a stale revision. It matches ErrRevision.
type RevisionError struct {
	What    string // for people: "camera door"
	Given   int64  // the revision the change was based on
	Current int64  // the stored one; 0 when there is no record
}

// Error implements error.
func (e *RevisionError) Error() string {
	return fmt.Sprintf("%s is at revision %d, the change was based on %d", e.What, e.Current, e.Given)
}

// Is makes errors.Is(err, ErrRevision) true.
func (e *RevisionError) Is(target error) bool { return target == ErrRevision }

// AnyRevision as the expected revision accepts whatever is stored.
const AnyRevision int64 = -1

// Page selects a part of a list. Lists run newest first unless a method says otherwise.
type Page struct {
	Limit  int    // rows at most; 0 takes 100, more than 1000 is cut to 1000
	Cursor string // "" for the first page, else what the page before returned
}

// Size is the number of rows the page takes at most.
func (p Page) Size() int {
	if p.Limit <= 0 {
		return 100
	}
	return min(p.Limit, 1000)
}

// Range is a half-open span of time; a zero bound is open.
type Range struct {
	From, To time.Time
}

// Secret is a string that never shows itself in a log, an error or JSON.
type Secret string

// String implements fmt.Stringer.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return "***"
}

// GoString implements fmt.GoStringer.
func (s Secret) GoString() string { return s.String() }

// Format implements fmt.Formatter, so that no verb, not even a wrong one, shows the secret.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, s.String()) }

// MarshalJSON implements json.Marshaler.
func (s Secret) MarshalJSON() ([]byte, error) { return []byte(`"` + s.String() + `"`), nil }

// Records is the store of what must last: class "record". A method that
// returns nil has made its change durable. Safe for concurrent use.
type Records interface {
	Clients
	Cameras
	Models
	Registry
	Tracking
	Measurements
	Gatekeeping
	Promotions
	RunningModels
	Segments
	Gaps
	Keeps
	Tracks
	Events
	Results
	Reports
	Zones
	Timelines

	// BlobInUse says whether a model version, an artifact or a result names the blob.
	BlobInUse(ctx context.Context, sha256 string) (bool, error)
	// Ping answers whether the store can read and write.
	Ping(ctx context.Context) error
	// Close releases the store. Idempotent.
	Close() error
}

// Clients are the owners of cameras.
type Clients interface {
	CreateClient(ctx context.Context, c Client) (Client, error)
	Client(ctx context.Context, id string) (Client, error)
	ListClients(ctx context.Context) ([]Client, error) // by id
	// UpdateClient replaces the record when its revision is still expect.
	UpdateClient(ctx context.Context, c Client, expect int64) (Client, error)
	// DeleteClient returns ErrInUse while the client has cameras.
	DeleteClient(ctx context.Context, id string, expect int64) error
}

// Cameras are the configured cameras.
type Cameras interface {
	// CreateCamera returns ErrNotFound when the client does not exist.
	CreateCamera(ctx context.Context, c Camera) (Camera, error)
	Camera(ctx context.Context, id string) (Camera, error)
	ListCameras(ctx context.Context, clientID string) ([]Camera, error) // by id; "" lists all clients'
	UpdateCamera(ctx context.Context, c Camera, expect int64) (Camera, error)
	// DeleteCamera removes the camera, its running-model record, its zones and its
	// tracks; its segments become garbage for CollectSegments.
	DeleteCamera(ctx context.Context, id string, expect int64) error
}

// Models is the registry of models and their immutable versions.
type Models interface {
	// AddModelVersion creates the model when it is new and appends a version,
	// numbering it. The same SHA-256 with the same contract under the same model
	// returns the newest version that has them, with ErrExists.
	AddModelVersion(ctx context.Context, m Model, v ModelVersion) (ModelVersion, error)
	// ModelVersion with version 0 means the newest of those whose self-check has not
	// failed; the newest of all where none is such.
	ModelVersion(ctx context.Context, model string, version int) (ModelVersion, error)
	ListModels(ctx context.Context) ([]Model, error) // by name, each with its versions, newest first
	// DeleteModelVersion returns ErrInUse while a running model names it, or names
	// the newest and this is it, or an alias does. The number is not given again.
	DeleteModelVersion(ctx context.Context, model string, version int) error
}

// RunningModels say which model runs where, with which settings. Every change
// is a revision that stays readable.
type RunningModels interface {
	// PutRunningModel writes the record of a client (CameraID "") or of one of its
	// cameras when the stored revision is still expect: 0, or that of the removal,
	// where there is none.
	PutRunningModel(ctx context.Context, r RunningModel, expect int64) (RunningModel, error)
	RunningModel(ctx context.Context, clientID, cameraID string) (RunningModel, error)
	ListRunningModels(ctx context.Context) ([]RunningModel, error)
	// RunningModelRevision is the newest revision, that of a removal included; 0
	// when there never was a record.
	RunningModelRevision(ctx context.Context, clientID, cameraID string) (int64, error)
	// DeleteRunningModel makes a client or a camera fall back to the level above.
	// That is a revision too, which is returned.
	DeleteRunningModel(ctx context.Context, clientID, cameraID string, expect int64, a Author) (RunningModel, error)
	// RunningModelHistory lists all revisions, newest first.
	RunningModelHistory(ctx context.Context, clientID, cameraID string) ([]RunningModel, error)
}

// Segments is the index of recorded media. The file is durable before its row.
type Segments interface {
	// AddSegment refuses segments longer than MaxSegment.
	AddSegment(ctx context.Context, s Segment) (Segment, error)
	Segment(ctx context.Context, id int64) (Segment, error)
	// SegmentAt returns the segment holding t, else the one nearest to it within tolerance.
	SegmentAt(ctx context.Context, cameraID string, t time.Time, tolerance time.Duration) (Segment, error)
	// ListSegments lists what overlaps the range by start time, oldest first; cameraID "" lists all.
	ListSegments(ctx context.Context, cameraID string, r Range, p Page) ([]Segment, string, error)
	// OldestSegments lists the n oldest of all cameras, for retention.
	OldestSegments(ctx context.Context, n int) ([]Segment, error)
	// SegmentBytes is the sum of all segments' sizes.
	SegmentBytes(ctx context.Context) (int64, error)
	// DropSegments turns rows into garbage entries in one transaction. Their time
	// goes into the ledger as expired.
	DropSegments(ctx context.Context, ids []int64) error
	// DiscardSegments is DropSegments for another reason than age or size.
	DiscardSegments(ctx context.Context, ids []int64, reason GapReason) error
	// Garbage lists paths of files without a row that are to be removed.
	Garbage(ctx context.Context, n int) ([]string, error)
	// ForgetGarbage deletes garbage entries whose files are gone.
	ForgetGarbage(ctx context.Context, paths []string) error
}

// Gaps is the ledger of what was not recorded. A segment that is added takes its
// time out of the gaps; one that is dropped leaves a gap.
type Gaps interface {
	// OpenLedger begins the ledger of a camera at a time, unless there is one.
	OpenLedger(ctx context.Context, cameraID string, at time.Time) (Ledger, error)
	// AccountGaps moves ledgers on, in one transaction, entering what lies in no
	// segment. It returns the ledgers and the gaps that are new or became longer.
	AccountGaps(ctx context.Context, accounts []Account) ([]Ledger, []Gap, error)
	Ledger(ctx context.Context, cameraID string) (Ledger, error)
	// ListGaps lists what overlaps the range, oldest first; cameraID "" lists all.
	ListGaps(ctx context.Context, cameraID string, r Range, p Page) ([]Gap, string, error)
	// Coverage adds up the part of the range that is accounted for.
	Coverage(ctx context.Context, cameraID string, r Range) (Coverage, error)
}

// Keeps is what retention goes by: which recordings stay, and which records are old.
type Keeps interface {
	PutKeep(ctx context.Context, k Keep) (Keep, error) // inserts or replaces by camera and ID
	ListKeeps(ctx context.Context, cameraID string) ([]Keep, error)
	DeleteKeep(ctx context.Context, cameraID, id string) error
	// OldestUnkept lists the oldest segments that may go.
	OldestUnkept(ctx context.Context, q Oldest) ([]Segment, error)
	// IdleSegments lists the oldest segments in which nothing happened.
	IdleSegments(ctx context.Context, q Idle) ([]Segment, error)
	// RecordedBytes adds up the segments of each camera that has some.
	RecordedBytes(ctx context.Context) ([]Recorded, error)
	// DropOld deletes at most limit old records and returns how many. Call it again
	// while it returns limit; others can write between two calls.
	DropOld(ctx context.Context, old Old, limit int) (int, error)
}

// Tracks are the objects followed through a camera's frames.
type Tracks interface {
	// PutTrack inserts or replaces the track with this ID.
	PutTrack(ctx context.Context, t Track) error
	// PutTracks does so for many in one step; those whose camera is gone are left out.
	PutTracks(ctx context.Context, ts []Track) error
	Track(ctx context.Context, id string) (Track, error)
	// ListTracks filters by camera ("" all), label ("" all) and overlap with the range.
	ListTracks(ctx context.Context, cameraID, label string, r Range, p Page) ([]Track, string, error)
}

// Events is the log of what happened, for people.
type Events interface {
	AddEvent(ctx context.Context, e Event) (Event, error)
	// AddEvents adds many in one step and gives them their ids.
	AddEvents(ctx context.Context, es []Event) error
	// ListEvents takes a kind that begins with ! as all kinds that do not begin
	// with the rest of it.
	ListEvents(ctx context.Context, cameraID, kind string, r Range, p Page) ([]Event, string, error)
}

// Results are rendered stills and clips and annotated uploads.
type Results interface {
	PutResult(ctx context.Context, r Result) error // inserts or replaces by ID
	Result(ctx context.Context, id string) (Result, error)
	// ListResults leaves Detections empty.
	ListResults(ctx context.Context, cameraID string, p Page) ([]Result, string, error)
	DeleteResult(ctx context.Context, id string) error
	// UnfinishedResults lists results that are queued or running, oldest first.
	UnfinishedResults(ctx context.Context) ([]Result, error)
}

// Reports are hourly roll-ups per camera and model version.
type Reports interface {
	// MergeReport adds the counts of d to the hour's record in one transaction.
	MergeReport(ctx context.Context, d ReportDelta) error
	// ListReports returns hours, or days merged from hours (in q.Location), that
	// overlap the range, newest first, then by camera, model and version. A day is
	// always whole, also where the range cuts it.
	ListReports(ctx context.Context, q ReportQuery) ([]Report, error)
}

// Zones are what is watched in the cameras' pictures, and what was counted there.
// They go with their camera.
type Zones interface {
	// PutZoneMap replaces the map of a camera as a whole when the stored revision
	// is still expect (0: there is none yet). ErrNotFound without the camera; a
	// *ZoneError for a map that cannot be used.
	PutZoneMap(ctx context.Context, m ZoneMap, expect int64) (ZoneMap, error)
	ZoneMap(ctx context.Context, cameraID string) (ZoneMap, error)
	ListZoneMaps(ctx context.Context) ([]ZoneMap, error) // by camera
	// AddZoneCounts adds to what is stored of each minute, zone and label; Most
	// becomes the larger one. Counts of cameras that are gone are left out.
	AddZoneCounts(ctx context.Context, counts []ZoneCount) error
	// ZoneCounts returns minutes, or hours or days of UTC merged from them, by
	// start, zone and label, the oldest first.
	ZoneCounts(ctx context.Context, q ZoneCountQuery) ([]ZoneCount, error)
	// DropZoneCounts deletes the minutes that start before a time.
	DropZoneCounts(ctx context.Context, before time.Time) error
}

// Series is the store of rebuildable, write-heavy data: per-frame annotations
// and per-inference metrics, both with a time to live.
type Series interface {
	PutAnnotations(ctx context.Context, as []Annotation) error
	// Annotations returns frames of one camera in capture order; limit 0 takes
	// 1000, more than MaxAnnotations is cut.
	Annotations(ctx context.Context, cameraID string, r Range, limit int) ([]Annotation, error)
	// AnnotationAt returns the frame nearest to t within tolerance.
	AnnotationAt(ctx context.Context, cameraID string, t time.Time, tolerance time.Duration) (Annotation, error)
	// ListDetections flattens annotations, newest first, filtered. A page may hold
	// fewer rows than asked for, even none, while its cursor says there is more:
	// one call looks at a bounded number of frames.
	ListDetections(ctx context.Context, q DetectionQuery, p Page) ([]DetectionRow, string, error)
	PutInferences(ctx context.Context, ms []Inference) error
	// ListInferences lists newest first; cameraID "" lists all cameras.
	ListInferences(ctx context.Context, cameraID string, r Range, p Page) ([]Inference, string, error)
	// DropCamera removes everything of a camera.
	DropCamera(ctx context.Context, cameraID string) error
	Close() error
}

// Blobs stores immutable bytes under their SHA-256 (lower-case hex).
type Blobs interface {
	// Put stores what r yields and returns its address and size. The bytes are
	// durable when Put returns. Storing the same bytes twice is one blob.
	Put(ctx context.Context, r io.Reader) (sha256 string, size int64, err error)
	// Open reads a blob; the caller closes it. ErrNotFound when there is none.
	Open(ctx context.Context, sha256 string) (io.ReadSeekCloser, int64, error)
	// Delete removes a blob; a missing one is no error.
	Delete(ctx context.Context, sha256 string) error
	// Each shows every blob with its size in bytes, in no order. An error of show
	// ends it and is returned.
	Each(ctx context.Context, show func(sha256 string, size int64) error) error
	Close() error
}
