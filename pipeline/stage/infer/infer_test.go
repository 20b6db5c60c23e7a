package infer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"detectd/detect"
	"detectd/detect/batch"
	"detectd/pipeline/bus"
	"detectd/pipeline/frame"
	"detectd/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// records is a store that a test edits.
type records struct {
	mu      sync.Mutex
	cameras []store.Camera
	running []store.RunningModel
	newest  map[string]int
	aliases map[string]int // by NAME@ALIAS
}

func (r *records) ListCameras(context.Context, string) ([]store.Camera, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]store.Camera(nil), r.cameras...), nil
}

func (r *records) ListRunningModels(context.Context) ([]store.RunningModel, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]store.RunningModel(nil), r.running...), nil
}

func (r *records) ModelVersion(_ context.Context, model string, version int) (store.ModelVersion, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	newest, ok := r.newest[model]
	if !ok {
		return store.ModelVersion{}, fmt.Errorf("model %q: %w", model, store.ErrNotFound)
	}
	if version == 0 {
		version = newest
	}
	return store.ModelVersion{Model: model, Version: version}, nil
}

func (r *records) AliasVersion(_ context.Context, model, alias string) (store.ModelVersion, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	version, ok := r.aliases[model+"@"+alias]
	if !ok {
		return store.ModelVersion{}, fmt.Errorf("alias %q of model %q: %w", alias, model, store.ErrNotFound)
	}
	return store.ModelVersion{Model: model, Version: version}, nil
}

func (r *records) set(change func(*records)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	change(r)
}

// detector answers with its own name as the label.
type detector struct {
	label  string
	asked  atomic.Pointer[detect.Options] // of the newest frame
	closed atomic.Bool
	runs   atomic.Int64
}

func (d *detector) Detect(_ context.Context, frames []*frame.Frame, opts []detect.Options) ([][]detect.Detection, error) {
	if d.closed.Load() {
		return nil, errors.New("used after Close")
	}
	d.runs.Add(1)
	d.asked.Store(&opts[len(opts)-1])
	out := make([][]detect.Detection, len(frames))
	for i := range out {
		out[i] = []detect.Detection{{Label: d.label, Score: 0.5}}
	}
	return out, nil
}
func (d *detector) MaxBatch() int             { return 4 }
func (d *detector) Contract() detect.Contract { return detect.Contract{} }
func (d *detector) Close() error              { d.closed.Store(true); return nil }

type rig struct {
	*Stage
	records *records
	bus     *bus.Bus
	pool    *frame.Pool
	mu      sync.Mutex
	opened  map[string]*detector
	slow    map[string]chan struct{} // models that load when their channel is closed; never changed
}

func start(t *testing.T, r *records, change ...func(*Config)) *rig {
	t.Helper()
	cfg := Config{Default: "default", DetectFPS: 5, Batch: batch.Config{MaxBatch: 4, Workers: 2}}
	for _, c := range change {
		c(&cfg)
	}
	log := slog.New(slog.DiscardHandler)
	b, err := bus.Open(t.Context(), bus.Config{Folder: t.TempDir()}, log)
	require.NoError(t, err)
	g := &rig{records: r, bus: b, pool: &frame.Pool{}, opened: map[string]*detector{}, slow: map[string]chan struct{}{"slow": make(chan struct{})}}
	g.Stage = New(cfg,
		func(_ context.Context, v store.ModelVersion, provider string) (detect.Detector, error) {
			if v.Model == "broken" {
				return nil, errors.New("file is damaged")
			}
			if gate := g.slow[v.Model]; gate != nil {
				<-gate
			}
			d := &detector{label: fmt.Sprintf("%s@%d", v.Model, v.Version) + provider}
			g.mu.Lock()
			defer g.mu.Unlock()
			g.opened[d.label] = d
			return d, nil
		}, r, b, log)
	ctx, cancel := context.WithCancel(context.Background())
	ready, done := make(chan struct{}), make(chan error, 1)
	go func() { done <- g.Run(ctx, ready) }()
	<-ready
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-done)
		for label, d := range g.opened {
			require.True(t, d.closed.Load(), "%s is closed", label)
		}
		require.NoError(t, b.Close())
		g.pool.Close()
	})
	return g
}

func (g *rig) detector(label string) *detector {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.opened[label]
}

func (g *rig) submit(camera string) Result {
	f := g.pool.Get()
	defer f.Release()
	answer := make(chan Result, 1)
	g.Submit(camera, f, func(r Result) { answer <- r })
	return <-answer
}

func cameras(ids ...string) []store.Camera {
	var out []store.Camera
	for _, id := range ids {
		out = append(out, store.Camera{ID: id, ClientID: "site"})
	}
	return out
}

func TestCameraThenClientThenDefault(t *testing.T) {
	g := start(t, &records{
		cameras: cameras("a", "b"), newest: map[string]int{"default": 2, "other": 1},
		running: []store.RunningModel{
			{ClientID: "elsewhere", Model: "other", Revision: 9},
			{ClientID: "site", CameraID: "a", Model: "other", Version: 1, DetectFPS: 11, Revision: 3},
		},
	})
	require.Equal(t, detect.Ref{Model: "other", Version: 1}, g.submit("a").Ref)
	require.Equal(t, detect.Ref{Model: "default", Version: 2}, g.submit("b").Ref, "the newest version")
	require.Equal(t, Assignment{Ref: detect.Ref{Model: "other", Version: 1}, Revision: 3, FPS: 11}, g.Assignment("a"))
	require.Equal(t, 5.0, g.Assignment("b").FPS)
	require.NoError(t, g.Ready(t.Context()))
	require.ErrorIs(t, g.submit("unknown").Err, ErrNoModel)
}

func TestSwapLosesNoFrame(t *testing.T) {
	g := start(t, &records{cameras: cameras("a", "b", "c"), newest: map[string]int{"default": 1, "other": 1}})
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	var answered, lost atomic.Int64
	for _, id := range []string{"a", "b", "c"} {
		wg.Go(func() {
			for ctx.Err() == nil {
				if r := g.submit(id); r.Err != nil || len(r.Detections) != 1 || r.Detections[0].Label != r.Ref.String() {
					lost.Add(1)
				}
				answered.Add(1)
			}
		})
	}
	for revision := range int64(20) {
		model := []string{"default", "other"}[revision%2]
		g.records.set(func(r *records) {
			r.running = []store.RunningModel{{ClientID: "site", Model: model, Version: 1, Revision: revision + 1}}
		})
		g.bus.Publish(bus.Subject(bus.RunningModel, "site"), bus.Change{ClientID: "site", Revision: revision + 1})
		require.Eventually(t, func() bool {
			return g.Assignment("a").Revision == revision+1 && g.Assignment("c").Ref.Model == model
		}, 10*time.Second, time.Millisecond)
	}
	stop()
	wg.Wait()
	require.Zero(t, lost.Load(), "of %d frames", answered.Load())
	require.Eventually(t, g.detector("default@1").closed.Load, 10*time.Second, time.Millisecond,
		"the model that nobody runs any more is unloaded")
}

func TestBrokenModelKeepsTheOldOne(t *testing.T) {
	g := start(t, &records{cameras: cameras("a"), newest: map[string]int{"default": 1, "broken": 1}})
	for _, bad := range []string{"broken", "missing"} {
		g.records.set(func(r *records) {
			r.running = []store.RunningModel{{ClientID: "site", Model: bad, Revision: 5}}
		})
		g.bus.Publish(bus.Subject(bus.RunningModel, "site"), bus.Change{})
		require.Eventually(t, func() bool { return g.Assignment("a").Err != "" }, 10*time.Second, time.Millisecond)
		require.Zero(t, g.Assignment("a").Revision, "the revision in force is the old one")
		require.Equal(t, "default", g.submit("a").Ref.Model)
		g.records.set(func(r *records) { r.running = nil })
		g.bus.Publish(bus.ModelsChanged, bus.Change{})
		require.Eventually(t, func() bool { return g.Assignment("a").Err == "" }, 10*time.Second, time.Millisecond)
	}
}

func TestNoModelAtAll(t *testing.T) {
	g := start(t, &records{cameras: cameras("a"), newest: map[string]int{"default": 1}, running: []store.RunningModel{{ClientID: "site", Model: "broken", Revision: 1}}})
	require.ErrorIs(t, g.submit("a").Err, ErrNoModel)
	require.ErrorContains(t, g.Ready(t.Context()), "broken")
}

func TestInferencesAreAnnounced(t *testing.T) {
	g := start(t, &records{cameras: cameras("a"), newest: map[string]int{"default": 1}})
	ctx, cancel := context.WithCancel(t.Context())
	ready, got := make(chan struct{}), make(chan bus.Inference, 1)
	done := make(chan error, 1)
	go func() {
		done <- g.bus.Subscribe(ctx, ready, func(m bus.Message) {
			var i bus.Inference
			assert.NoError(t, m.Decode(&i))
			got <- i
		}, bus.Under(bus.Inferences))
	}()
	<-ready
	g.submit("a")
	i := <-got
	cancel()
	require.NoError(t, <-done)
	require.Equal(t, "a", i.CameraID)
	require.Equal(t, map[string]int{"default@1": 1}, i.Labels)
	require.InDelta(t, 0.5, i.ScoreSum, 1e-6)
	require.Equal(t, 1, i.Detections)
}
