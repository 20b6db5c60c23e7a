package infer

import (
	"cmp"
	"context"
	"fmt"
	"sync"
	"time"

	"detectd/detect"
	"detectd/detect/batch"
	"detectd/store"
)

// key names an engine.
type key struct {
	ref      detect.Ref // with its version
	provider string     // "" for that of the settings
}

// engine is one loaded model version with its batcher.
type engine struct {
	key
	detector detect.Detector
	batcher  *batch.Batcher
	pending  sync.WaitGroup // frames submitted and not yet answered
	cancel   context.CancelFunc
	ended    chan struct{}
}

// failure is why an engine could not be started.
type failure struct {
	err error
	at  time.Time
}

// loaded is what became of loading.
type loaded struct {
	key
	engine *engine
	err    error
}

// load starts an engine beside the work of the others; take gets it.
func (s *Stage) load(ctx context.Context, k key, v store.ModelVersion) {
	if s.loading[k] {
		return
	}
	s.loading[k] = true
	s.work.Go(func() {
		e, err := s.start(ctx, k, v)
		select {
		case s.loaded <- loaded{k, e, err}:
		case <-ctx.Done():
			if e != nil {
				s.stop(e)
			}
		}
	})
}

func (s *Stage) start(ctx context.Context, k key, v store.ModelVersion) (*engine, error) {
	detector, err := s.open(ctx, v, k.provider)
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
	e := &engine{key: k, detector: detector, batcher: batcher, cancel: cancel, ended: make(chan struct{})}
	go func() {
		defer close(e.ended)
		if err := batcher.Run(run); err != nil && run.Err() == nil {
			s.log.Error("batcher ended", "model", e.ref, "error", err)
		}
	}()
	return e, nil
}

// take brings a started engine into use, or notes why there is none.
func (s *Stage) take(ctx context.Context, l loaded) {
	delete(s.loading, l.key)
	if l.err != nil {
		err := fmt.Errorf("load model %s: %w", l.ref, l.err)
		s.failed[l.key] = failure{err, time.Now()}
		if ctx.Err() == nil {
			s.log.Error("model does not load", "model", l.ref, "error", l.err)
		}
	} else {
		delete(s.failed, l.key)
		s.engines[l.key] = l.engine
		s.log.Info("model loaded", "model", l.ref, "provider", cmp.Or(l.provider, "as set"))
	}
	s.apply(ctx)
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
	for _, e := range s.engines {
		s.stop(e)
	}
	clear(s.engines)
	s.work.Wait()
}
