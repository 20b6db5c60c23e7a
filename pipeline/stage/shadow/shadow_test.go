package shadow

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"detectd/detect"
	"detectd/pipeline/frame"
	"detectd/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// model answers with what a test wants, when the test lets it.
type model struct {
	gate   chan struct{} // nil: at once
	answer func() ([]detect.Detection, error)
	closed atomic.Bool
	opts   atomic.Pointer[detect.Options]
}

func (m *model) Detect(_ context.Context, frames []*frame.Frame, opts []detect.Options) ([][]detect.Detection, error) {
	m.opts.Store(&opts[0])
	if m.gate != nil {
		<-m.gate
	}
	found, err := m.answer()
	return [][]detect.Detection{found}[:len(frames)], err
}
func (*model) MaxBatch() int             { return 1 }
func (*model) Contract() detect.Contract { return detect.Contract{} }
func (m *model) Close() error            { m.closed.Store(true); return nil }

func person(x float32) []detect.Detection {
	return []detect.Detection{{Label: "person", Score: 0.5, Box: detect.Box{X: x, W: 10, H: 20}}}
}

type rig struct {
	*Stage
	pool *frame.Pool
	room atomic.Bool
	mu   sync.Mutex
	m    map[string]*model

	opened []string // providers
}

// start runs a stage; opening another model than those given fails.
func start(t *testing.T, models map[string]*model) *rig {
	t.Helper()
	g := &rig{pool: &frame.Pool{}, m: models}
	g.room.Store(true)
	g.Stage = New(func(_ context.Context, ref detect.Ref, provider string) (detect.Detector, error) {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.opened = append(g.opened, provider)
		if m := models[ref.String()]; m != nil {
			return m, nil
		}
		return nil, errors.New("file is damaged")
	}, func(work func()) bool {
		if g.room.Load() {
			work()
		}
		return g.room.Load()
	}, slog.New(slog.DiscardHandler))
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- g.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-done)
		require.Zero(t, g.pool.Live(), "no frame is kept")
		g.pool.Close()
	})
	return g
}

func (g *rig) offer(camera string, found []detect.Detection) {
	f := g.pool.Get()
	defer f.Release()
	g.Offer(camera, f, detect.Options{MinScore: 0.4}, found)
}

func (g *rig) report(t *testing.T, id string) store.ShadowReport {
	t.Helper()
	r, ok := g.Report(id)
	require.True(t, ok)
	return r
}

// settled waits until all chosen frames are accounted for.
func (g *rig) settled(t *testing.T, id string) store.ShadowReport {
	t.Helper()
	require.Eventually(t, func() bool {
		r := g.report(t, id)
		return r.Chosen == r.Busy+r.NoRoom+r.Looked+r.Failed
	}, 5*time.Second, time.Millisecond)
	return g.report(t, id)
}

// loaded waits until a task's model is there: the first frames find no model.
func (g *rig) loaded(t *testing.T, id, camera string) {
	t.Helper()
	require.Eventually(t, func() bool {
		g.offer(camera, nil)
		r := g.settled(t, id)
		return r.Looked+r.Failed > 0
	}, 5*time.Second, time.Millisecond)
}

func TestComparesAShareOfTheFrames(t *testing.T) {
	m := &model{answer: func() ([]detect.Detection, error) { return person(1), nil }}
	g := start(t, map[string]*model{"yard@2": m})
	g.Set([]Task{{ID: "p", Ref: detect.Ref{Model: "yard", Version: 2}, Cameras: []string{"door"}, Share: 0.25}})
	g.loaded(t, "p", "door")
	require.InDelta(t, 0.4, m.opts.Load().MinScore, 1e-6, "as the running model is asked")
	before := g.report(t, "p")
	for range 100 {
		g.offer("door", person(2))
		g.offer("gate", person(2))
		g.settled(t, "p")
	}
	r := g.report(t, "p")
	require.Equal(t, int64(100), r.Offered-before.Offered, "only of its cameras")
	require.Equal(t, int64(25), r.Chosen-before.Chosen)
	require.Equal(t, int64(25), r.Looked-before.Looked)
	require.Equal(t, int64(25), r.Classes["person"].Matched)
	require.Equal(t, before.Looked, r.Classes["person"].Extra, "the first frames were offered without anybody")
	require.Equal(t, r.Looked, int64(r.Took.Count())) //nolint:gosec // few
	require.Positive(t, r.Wall)
	require.InDelta(t, 50./(50+float64(before.Looked)), r.Total().Agreement(), 1e-9)

	// A change of the share goes on from what was counted when told so.
	g.Set([]Task{{ID: "p", Ref: detect.Ref{Model: "yard", Version: 2}, Cameras: []string{"door"}, Share: 1, Before: &r}})
	require.Equal(t, r.Looked, g.report(t, "p").Looked)
	g.Set([]Task{{ID: "p", Ref: detect.Ref{Model: "yard", Version: 2}, Cameras: []string{"door"}, Share: 1, Provider: "openvino", Before: &r}})
	g.loaded(t, "p", "door")
	g.mu.Lock()
	require.Equal(t, "openvino", g.opened[len(g.opened)-1], "as the cameras")
	g.mu.Unlock()
	g.Set(nil)
	_, ok := g.Report("p")
	require.False(t, ok)
	require.Eventually(t, m.closed.Load, 5*time.Second, time.Millisecond)
}

func TestNeverWaits(t *testing.T) {
	m := &model{gate: make(chan struct{}), answer: func() ([]detect.Detection, error) { return nil, nil }}
	g := start(t, map[string]*model{"yard@2": m})
	g.Set([]Task{{ID: "p", Ref: detect.Ref{Model: "yard", Version: 2}, Cameras: []string{"door"}, Share: 1}})
	require.Eventually(t, func() bool { g.offer("door", nil); return m.opts.Load() != nil }, 5*time.Second, time.Millisecond)
	before := g.report(t, "p")
	for range 10 {
		g.offer("door", nil) // returns although the model does not
	}
	require.Equal(t, int64(10), g.report(t, "p").Busy-before.Busy)
	close(m.gate)
	require.Equal(t, int64(1), g.settled(t, "p").Looked)

	g.room.Store(false)
	g.offer("door", nil)
	require.Equal(t, before.NoRoom+1, g.settled(t, "p").NoRoom)
}

func TestCountsFailures(t *testing.T) {
	m := &model{answer: func() ([]detect.Detection, error) { return nil, detect.ErrNotFinite }}
	g := start(t, map[string]*model{"yard@2": m})
	g.Set([]Task{
		{ID: "p", Ref: detect.Ref{Model: "yard", Version: 2}, Cameras: []string{"door"}, Share: 1},
		{ID: "q", Ref: detect.Ref{Model: "yard", Version: 3}, Cameras: []string{"gate"}, Share: 1},
	})
	g.loaded(t, "p", "door")
	r := g.report(t, "p")
	require.Equal(t, r.Failed, r.NotFinite)
	require.Zero(t, r.Looked)
	require.Eventually(t, func() bool { return g.report(t, "q").Error != "" }, 5*time.Second, time.Millisecond)
	require.Equal(t, "load model yard@3: file is damaged", g.report(t, "q").Error)
	g.offer("gate", nil)
	require.Equal(t, int64(1), g.report(t, "q").Busy)
}
