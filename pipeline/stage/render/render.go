// Package render makes pictures and videos on request: stills and clips of what
// cameras recorded, and uploaded videos with what was found in them. Jobs wait in
// the bus's durable queue and are done one at a time, so that cameras keep their
// share of the processors. It also makes single pictures at once, for the API.
package render

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"strconv"
	"sync"
	"time"

	"detectd/detect"
	"detectd/pipeline/bus"
	"detectd/pipeline/frame"
	"detectd/store"
)

// Config configures the stage.
type Config struct {
	Temp      string // folder for files that are being made
	Media     string // folder of the recordings
	MaxFrames int    // of an uploaded video; 0 is no limit
}

// Results is what the stage needs of the store of records.
type Results interface {
	store.Results
	// BlobInUse says whether a record names the blob.
	BlobInUse(ctx context.Context, sha256 string) (bool, error)
}

// Tracker follows objects through the frames of one video.
type Tracker interface {
	// Update takes the detections of the frame at a time of the video and returns
	// them in the same order, with the ids of what they belong to.
	Update(at time.Duration, ds []detect.Detection) []detect.Object
}

// Deps is what the stage works with. All fields are required.
type Deps struct {
	Results  Results
	Segments store.Segments
	Series   store.Series
	Blobs    store.Blobs
	Bus      *bus.Bus
	// Detector opens a model, which the stage closes, and says which version it is.
	Detector func(ctx context.Context, ref detect.Ref) (detect.Detector, detect.Ref, error)
	Tracker  func() Tracker // a new one for each video
	// Latest is the newest frame of a camera with a reference for the stage, or nil.
	Latest func(cameraID string) *frame.Frame
	Log    *slog.Logger
}

// MaxClip is the longest clip.
const MaxClip = 5 * time.Minute

// ErrInvalid is returned for a request that no recording could fulfil.
var ErrInvalid = errors.New("invalid request")

// Stage renders. Safe for concurrent use.
type Stage struct {
	cfg   Config
	deps  Deps
	slots chan struct{} // bounds the pictures that are made at the same time

	// mu guards working. It is held from looking at working to deleting a row, and
	// from setting it to reading the row, so that a job never writes a deleted one.
	mu      sync.Mutex
	working *working // nil between jobs
}

// working is the job that is being done.
type working struct {
	id     string
	cancel context.CancelCauseFunc
	done   chan struct{}
}

// errRemoved is the cause that stops the job of a result that is removed.
var errRemoved = errors.New("the result was removed")

// New returns a stage.
func New(cfg Config, deps Deps) *Stage {
	return &Stage{cfg: cfg, deps: deps, slots: make(chan struct{}, runtime.GOMAXPROCS(0))}
}

// Run does the jobs of the queue until ctx ends. Jobs that were begun or that
// the queue has lost are queued again first: each job can be done twice.
func (s *Stage) Run(ctx context.Context) error {
	start := strconv.FormatInt(time.Now().UnixNano(), 36)
	for {
		if s.deps.Bus.Opened(ctx) != nil {
			return nil //nolint:nilerr // ctx has ended
		}
		err := s.requeue(ctx, start)
		if err == nil {
			break
		}
		if ctx.Err() == nil && !errors.Is(err, bus.ErrPaused) {
			return err
		}
	}
	return s.deps.Bus.Work(ctx, bus.RenderWork, "render", s.handle)
}

// requeue queues what is not finished. The ids of the work have start in them: the
// queue must not take them for those it had before.
func (s *Stage) requeue(ctx context.Context, start string) error {
	left, err := s.deps.Results.UnfinishedResults(ctx)
	if err != nil {
		return fmt.Errorf("find unfinished results: %w", err)
	}
	for _, r := range left {
		if err := s.deps.Bus.Enqueue(ctx, bus.RenderWork, r.ID+"-"+start, bus.RenderJob{ResultID: r.ID}); err != nil {
			return err
		}
	}
	return nil
}

// Request checks that there is something to render, stores r, whose state is
// queued, and queues the work. Errors: ErrInvalid, store.ErrNotFound.
func (s *Stage) Request(ctx context.Context, r store.Result) error {
	if err := s.possible(ctx, r); err != nil {
		return err
	}
	r.State = store.ResultQueued
	if err := s.deps.Results.PutResult(ctx, r); err != nil {
		return err
	}
	if err := s.deps.Bus.Enqueue(ctx, bus.RenderWork, r.ID, bus.RenderJob{ResultID: r.ID}); err != nil {
		return errors.Join(err, s.deps.Results.DeleteResult(context.WithoutCancel(ctx), r.ID))
	}
	s.announce(r)
	return nil
}

func (s *Stage) possible(ctx context.Context, r store.Result) error {
	switch r.Kind {
	case "still":
		if err := s.acquire(ctx); err != nil {
			return err
		}
		defer func() { <-s.slots }()
		p, err := s.recorded(ctx, r.CameraID, r.From)
		if err == nil {
			p.release()
		}
		return err
	case "clip":
		if d := r.To.Sub(r.From); d <= 0 || d > MaxClip {
			return fmt.Errorf("%w: a clip lasts more than nothing and %v at most", ErrInvalid, MaxClip)
		}
		found, _, err := s.deps.Segments.ListSegments(ctx, r.CameraID, store.Range{From: r.From, To: r.To}, store.Page{Limit: 1})
		if err == nil && len(found) == 0 {
			err = fmt.Errorf("recording of camera %q in this time: %w", r.CameraID, store.ErrNotFound)
		}
		return err
	}
	return fmt.Errorf("%w: %q is neither a still nor a clip", ErrInvalid, r.Kind)
}

// Remove deletes a result with its files. A job that is being done is stopped first.
func (s *Stage) Remove(ctx context.Context, id string) error {
	s.mu.Lock()
	for s.working != nil && s.working.id == id {
		w := s.working
		s.mu.Unlock()
		w.cancel(errRemoved)
		<-w.done
		ctx = context.WithoutCancel(ctx) // nobody makes it any more: the row must go
		s.mu.Lock()
	}
	defer s.mu.Unlock()
	r, err := s.deps.Results.Result(ctx, id)
	if err != nil {
		return err
	}
	if err := s.deps.Results.DeleteResult(ctx, id); err != nil {
		return err
	}
	return errors.Join(s.drop(ctx, r.SHA256), s.drop(ctx, r.Input))
}

// drop deletes a blob that no record names.
func (s *Stage) drop(ctx context.Context, sha string) error {
	if sha == "" {
		return nil
	}
	used, err := s.deps.Results.BlobInUse(ctx, sha)
	if err != nil || used {
		return err
	}
	return s.deps.Blobs.Delete(ctx, sha)
}

// announce tells the others of a result's state.
func (s *Stage) announce(r store.Result) {
	s.deps.Bus.Publish(bus.Subject(bus.Results, r.ID), bus.Result{
		ID: r.ID, Kind: r.Kind, CameraID: r.CameraID, Name: r.Name, State: r.State, Progress: r.Progress, Error: r.Error,
	})
}

// threads is how many processors a job may keep busy: half of them.
func threads() int { return max(1, runtime.GOMAXPROCS(0)/2) }

// temp makes a folder for one job; the job removes it.
func (s *Stage) temp() (string, error) {
	dir, err := os.MkdirTemp(s.cfg.Temp, "render-")
	if err != nil {
		return "", fmt.Errorf("make folder for rendering: %w", err)
	}
	return dir, nil
}
