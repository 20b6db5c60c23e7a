// Package upload takes files that people send for detection: pictures are looked
// at while the sender waits, videos are checked, stored and queued for the
// render stage. Nothing in such a file is trusted.
package upload

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"runtime"
	"strings"
	"time"

	"detectd/detect"
	"detectd/pipeline/bus"
	"detectd/store"
)

// Errors an upload is refused with, wrapped with the reason in words for people.
var (
	// ErrTooLarge is returned for a file with too many bytes.
	ErrTooLarge = errors.New("the file is too large")
	// ErrUnsupported is returned for a file that is not of a kind that is known.
	ErrUnsupported = errors.New("the file is not supported")
	// ErrUnprocessable is returned for a file that is damaged or empty, or has too
	// many pixels or frames.
	ErrUnprocessable = errors.New("the file cannot be processed")
)

// Config bounds what is taken.
type Config struct {
	Temp          string // folder for files that are being received
	PictureBytes  int64
	PicturePixels int64 // also of a video's frames, which may have 8192 x 4352 at most
	VideoBytes    int64
	VideoFrames   int
}

// maxVideoPixels keeps the frames that are in memory at the same time small.
const maxVideoPixels = 8192 * 4352

// Results is what the stage needs of the store of records.
type Results interface {
	store.Results
	// BlobInUse says whether a record names the blob.
	BlobInUse(ctx context.Context, sha256 string) (bool, error)
}

// Deps is what the stage works with. All fields are required.
type Deps struct {
	Results Results
	Blobs   store.Blobs
	Bus     *bus.Bus
	// Detector opens a model, which the stage closes, and says which version it is.
	Detector func(ctx context.Context, ref detect.Ref) (detect.Detector, detect.Ref, error)
	Log      *slog.Logger
}

// Stage takes uploads. It is passive: the callers' goroutines do the work. Safe
// for concurrent use.
type Stage struct {
	cfg   Config
	deps  Deps
	slots chan struct{} // bounds the pictures that are in memory decoded
}

// New returns a stage.
func New(cfg Config, deps Deps) *Stage {
	return &Stage{cfg: cfg, deps: deps, slots: make(chan struct{}, runtime.GOMAXPROCS(0))}
}

// Upload is a file sent for detection.
type Upload struct {
	Body     io.Reader
	Name     string     // as the sender calls it; may be ""
	MIME     string     // as the sender says; a hint, never trusted
	Ref      detect.Ref // the zero Ref is the default model
	MinScore float64    // 0 takes the model's default
}

// newResult begins the record of an upload.
func newResult(kind string, up Upload, ref detect.Ref) store.Result {
	return store.Result{
		ID: strings.ToLower(rand.Text()), Kind: kind, Name: up.Name,
		Model: ref.Model, Version: ref.Version, MinScore: up.MinScore,
		// Milliseconds, which is what answers show.
		CreatedAt: time.Now().UTC().Truncate(time.Millisecond),
	}
}

// announce tells the others of a result's state.
func (s *Stage) announce(r store.Result) {
	s.deps.Bus.Publish(bus.Subject(bus.Results, r.ID), bus.Result{
		ID: r.ID, Kind: r.Kind, Name: r.Name, State: r.State, Progress: r.Progress,
	})
}

// drop removes a blob whose result could not be stored, also when the request
// that brought it is over.
func (s *Stage) drop(ctx context.Context, sha string) {
	ctx = context.WithoutCancel(ctx)
	used, err := s.deps.Results.BlobInUse(ctx, sha)
	if err == nil && !used {
		err = s.deps.Blobs.Delete(ctx, sha)
	}
	if err != nil {
		s.deps.Log.Warn("remove file of a result that was not stored", "error", err)
	}
}

func tooLarge(limit int64) error {
	if limit >= 1<<20 {
		return fmt.Errorf("%w: at most %d MiB are taken", ErrTooLarge, limit>>20)
	}
	return fmt.Errorf("%w: at most %d bytes are taken", ErrTooLarge, limit)
}
