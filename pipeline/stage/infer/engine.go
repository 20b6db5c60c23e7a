package infer

import (
	"context"
	"fmt"
	"sync"

	"detectd/detect"
	"detectd/detect/batch"
	"detectd/store"
)

// engine is one loaded model version with its batcher.
type engine struct {
	ref      detect.Ref
	detector detect.Detector
	batcher  *batch.Batcher
	pending  sync.WaitGroup // frames submitted and not yet answered
	cancel   context.CancelFunc
	ended    chan struct{}
}

func (s *Stage) start(ctx context.Context, v store.ModelVersion) (*engine, error) {
	detector, err := s.open(ctx, v)
	if err != nil {
		return nil, err
	}
	batcher, err := batch.New(detector, s.cfg.Batch)
	if err != nil {
		_ = detector.Close()
		return nil, fmt.Errorf("start batcher: %w", err)
	}
	// The batcher outlives ctx: stop ends it, after its last frame.
	run, cancel := context.WithCancel(context.WithoutCancel(ctx))
	e := &engine{
		ref: detect.Ref{Model: v.Model, Version: v.Version}, detector: detector,
		batcher: batcher, cancel: cancel, ended: make(chan struct{}),
	}
	go func() {
		defer close(e.ended)
		if err := batcher.Run(run); err != nil && run.Err() == nil {
			s.log.Error("batcher ended", "model", e.ref, "error", err)
		}
	}()
	return e, nil
}

// stop waits for the engine's frames and frees it. No camera may refer to it.
func (s *Stage) stop(e *engine) {
	e.pending.Wait()
	e.cancel()
	<-e.ended
	if err := e.detector.Close(); err != nil {
		s.log.Error("close model", "model", e.ref, "error", err)
	}
	s.log.Info("model unloaded", "model", e.ref)
}

func (s *Stage) stopAll() {
	s.mu.Lock()
	clear(s.cameras)
	s.mu.Unlock()
	for ref, e := range s.engines {
		s.stop(e)
		delete(s.engines, ref)
	}
}

// reload brings the engines and assignments in line with the records. A camera
// whose new model does not load keeps the one it has.
func (s *Stage) reload(ctx context.Context) {
	cameras, err := s.records.ListCameras(ctx, "")
	var running []store.RunningModel
	if err == nil {
		running, err = s.records.ListRunningModels(ctx)
	}
	if err != nil {
		if ctx.Err() == nil {
			s.log.Error("read running models", "error", err)
		}
		return
	}
	s.mu.RLock()
	old := s.cameras // only this goroutine replaces it
	s.mu.RUnlock()
	next := make(map[string]*assignment, len(cameras))
	failed := map[detect.Ref]error{}
	for _, c := range cameras {
		next[c.ID] = s.assign(ctx, c, running, old[c.ID], failed)
	}
	s.mu.Lock()
	s.cameras = next
	s.mu.Unlock()
	used := map[*engine]bool{}
	for _, a := range next {
		used[a.engine] = true
	}
	for ref, e := range s.engines {
		if !used[e] {
			delete(s.engines, ref)
			s.stop(e)
		}
	}
}

func (s *Stage) assign(ctx context.Context, c store.Camera, running []store.RunningModel, old *assignment, failed map[detect.Ref]error) *assignment {
	want := store.Effective(running, c.ClientID, c.ID, s.cfg.Default)
	a := &assignment{
		Assignment: Assignment{Revision: want.Revision, FPS: firstPositive(want.DetectFPS, c.DetectFPS, s.cfg.DetectFPS)},
		opts:       detect.Options{MinScore: float32(want.MinScore)},
	}
	if len(want.Classes) > 0 {
		a.opts.Classes = make(map[string]bool, len(want.Classes))
		for _, label := range want.Classes {
			a.opts.Classes[label] = true
		}
	}
	e, err := s.engine(ctx, detect.Ref{Model: want.Model, Version: want.Version}, failed)
	if err == nil {
		a.engine, a.Ref = e, e.ref
		return a
	}
	if old != nil && old.engine != nil {
		keep := *old
		keep.Err = err.Error()
		return &keep
	}
	a.Err = err.Error()
	return a
}

// engine returns the loaded version, loading it when it is new. A version that
// failed is tried once per reload, not once per camera.
func (s *Stage) engine(ctx context.Context, ref detect.Ref, failed map[detect.Ref]error) (*engine, error) {
	if err := failed[ref]; err != nil {
		return nil, err
	}
	v, err := s.records.ModelVersion(ctx, ref.Model, ref.Version)
	if err == nil {
		exact := detect.Ref{Model: v.Model, Version: v.Version}
		if e := s.engines[exact]; e != nil {
			return e, nil
		}
		var e *engine
		if e, err = s.start(ctx, v); err == nil {
			s.log.Info("model loaded", "model", exact, "family", v.Family)
			s.engines[exact] = e
			return e, nil
		}
	}
	err = fmt.Errorf("load model %s: %w", ref, err)
	failed[ref] = err
	if ctx.Err() == nil {
		s.log.Error("model does not load", "model", ref, "error", err)
	}
	return nil, err
}

func firstPositive(values ...float64) float64 {
	for _, v := range values {
		if v > 0 {
			return v
		}
	}
	return 0
}
