// Package infer runs the chosen frames of all cameras through the models that
// their running-model records name. It keeps one session and one batcher per
// model version in use, follows changes of the records and of aliases over the
// bus, and swaps models between two frames: a frame that was submitted is always
// answered, and while a model loads the one before goes on.
package infer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"detectd/detect"
	"detectd/detect/batch"
	"detectd/pipeline"
	"detectd/pipeline/bus"
	"detectd/pipeline/frame"
	"detectd/store"
)

// ErrNoModel is returned for a frame of a camera whose model is not loaded yet
// or cannot be loaded.
var ErrNoModel = errors.New("no model is loaded for this camera")

// Records is what the stage reads of the store.
type Records interface {
	ListCameras(ctx context.Context, clientID string) ([]store.Camera, error)
	ListRunningModels(ctx context.Context) ([]store.RunningModel, error)
	ModelVersion(ctx context.Context, model string, version int) (store.ModelVersion, error)
	AliasVersion(ctx context.Context, model, alias string) (store.ModelVersion, error)
}

// Config configures a Stage.
type Config struct {
	Default   string  // model that runs where no record names one
	DetectFPS float64 // detections per second where neither record nor camera says
	Batch     batch.Config
	// Resync is how often the records are read again without an announcement, so
	// that a lost message heals. 0 takes 5 s.
	Resync time.Duration
	// Retry is how long a model that does not load is left alone when nothing was
	// announced. 0 takes 30 s.
	Retry time.Duration
}

// Open loads a model version on an execution provider; "" is that of the settings.
type Open func(ctx context.Context, v store.ModelVersion, provider string) (detect.Detector, error)

// Assignment is what a camera runs at this moment.
type Assignment struct {
	Ref      detect.Ref // with its version
	Revision int64      // of the running-model record it comes from; 0: the default
	FPS      float64    // detections per second wanted
	FastFPS  float64    // while objects move fast; 0: the settings'
	Zones    []string   // that detections are wanted in; empty: everywhere
	Err      string     // why the wanted model does not run; the one before goes on
}

// Result is the answer to one submitted frame.
type Result struct {
	Detections []detect.Detection
	Ref        detect.Ref
	Options    detect.Options // with which the model was asked
	Err        error          // batch.ErrStale when a newer frame took its place
}

// Stage is the shared inference of all cameras. Safe for concurrent use.
type Stage struct {
	cfg     Config
	open    Open
	records Records
	bus     *bus.Bus
	log     *slog.Logger

	mu      sync.RWMutex // guards cameras, and that an engine in it is not stopped
	cameras map[string]*assignment

	// What follows is owned by Run's goroutine.
	wishes  map[string]wish
	engines map[key]*engine
	loading map[key]bool
	failed  map[key]failure
	loaded  chan loaded
	work    sync.WaitGroup // loading and unloading
}

// assignment is what one camera runs, and what it is to run. It never changes.
type assignment struct {
	Assignment
	state  pipeline.RunningState
	engine *engine
	opts   detect.Options
	weight float64 // of the camera among the others; 0 counts as 1
}

// New returns a stage that loads nothing yet.
func New(cfg Config, open Open, records Records, b *bus.Bus, log *slog.Logger) *Stage {
	if cfg.Resync <= 0 {
		cfg.Resync = 5 * time.Second
	}
	if cfg.Retry <= 0 {
		cfg.Retry = 30 * time.Second
	}
	return &Stage{
		cfg: cfg, open: open, records: records, bus: b, log: log,
		cameras: map[string]*assignment{}, engines: map[key]*engine{}, loading: map[key]bool{}, failed: map[key]failure{},
		loaded: make(chan loaded),
	}
}

// Run loads the models in use and follows the records until ctx ends. ready is
// closed when each model that the first look at the records found has been loaded
// or has failed.
func (s *Stage) Run(ctx context.Context, ready chan<- struct{}) error {
	changed, stop, err := s.bus.Watch(bus.Under(bus.RunningModel), bus.Under(bus.CameraChanged), bus.ModelsChanged)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer s.stopAll()
	defer cancel()
	defer stop()
	s.reload(ctx, 0)
	for len(s.loading) > 0 {
		select {
		case <-ctx.Done():
			return nil
		case l := <-s.loaded:
			s.take(ctx, l)
		}
	}
	close(ready)
	tick := time.NewTicker(s.cfg.Resync)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case l := <-s.loaded:
			s.take(ctx, l)
		case <-changed:
			s.reload(ctx, 0)
		case <-tick.C:
			s.reload(ctx, s.cfg.Retry)
		}
	}
}

// Submit hands in a frame. done is called exactly once, on another goroutine or
// before Submit returns; it must not block. The stage keeps its own reference.
func (s *Stage) Submit(cameraID string, f *frame.Frame, done func(Result)) {
	s.mu.RLock()
	a := s.cameras[cameraID]
	if a == nil || a.engine == nil {
		s.mu.RUnlock()
		done(Result{Err: ErrNoModel})
		return
	}
	a.engine.pending.Add(1)
	s.mu.RUnlock()
	a.engine.batcher.Submit(cameraID, a.weight, f, a.opts, func(r batch.Result) {
		defer a.engine.pending.Done()
		if !errors.Is(r.Err, batch.ErrStale) {
			s.announce(cameraID, a.Ref, r)
		}
		done(Result{Detections: r.Detections, Ref: a.Ref, Options: a.opts, Err: r.Err})
	})
}

// Assignment tells what a camera runs. FPS is always usable.
func (s *Stage) Assignment(cameraID string) Assignment {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if a := s.cameras[cameraID]; a != nil {
		return a.Assignment
	}
	return Assignment{FPS: s.cfg.DetectFPS}
}

// State tells what a camera is to run and what it runs, from memory; false for a
// camera that the stage does not know.
func (s *Stage) State(cameraID string) (pipeline.RunningState, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if a := s.cameras[cameraID]; a != nil {
		return a.state, true
	}
	return pipeline.RunningState{}, false
}

// Ready answers whether every camera has a model.
func (s *Stage) Ready(context.Context) error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for id, a := range s.cameras {
		if a.engine == nil {
			return fmt.Errorf("camera %s has no model: %s", id, a.Err)
		}
	}
	return nil
}

func (s *Stage) announce(cameraID string, ref detect.Ref, r batch.Result) {
	now := time.Now()
	m := bus.Inference{
		CameraID: cameraID, Time: now, Model: ref.Model, Version: ref.Version,
		Batch: r.BatchSize, Queued: r.Queued, Ran: r.Inferred,
		Latency: now.Sub(r.Frame.Arrived), Detections: len(r.Detections),
	}
	if r.Err != nil {
		m.Error, m.NotFinite = r.Err.Error(), errors.Is(r.Err, detect.ErrNotFinite)
	}
	for _, d := range r.Detections {
		if m.Labels == nil {
			m.Labels = map[string]int{}
		}
		m.Labels[d.Label]++
		m.ScoreSum += float64(d.Score)
	}
	s.bus.Publish(bus.Subject(bus.Inferences, cameraID), m)
}
