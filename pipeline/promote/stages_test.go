package promote

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"detectd/detect"
	"detectd/detect/detecttest"
	"detectd/detect/model"
	"detectd/detect/ort"
	"detectd/pipeline/bus"
	"detectd/pipeline/frame"
	"detectd/pipeline/stage/infer"
	"detectd/pipeline/stage/shadow"
	"detectd/store"
)

// blind is a detector that finds nothing.
type blind struct{ detect.Detector }

func (blind) Detect(_ context.Context, frames []*frame.Frame, _ []detect.Options) ([][]detect.Detection, error) {
	return make([][]detect.Detection, len(frames)), nil
}

// slow is a detector that takes longer.
type slow struct{ detect.Detector }

func (d slow) Detect(ctx context.Context, frames []*frame.Frame, opts []detect.Options) ([][]detect.Detection, error) {
	<-time.After(60 * time.Millisecond)
	return d.Detector.Detect(ctx, frames, opts)
}

// line is the bus, the inference stage, the shadows and the manager at work, with
// real networks. Only the manager's clock is a test's.
type line struct {
	*world
	infer   *infer.Stage
	shadows *shadow.Stage
	pool    *frame.Pool
	picture *frame.Frame
}

type shadowPort struct{ *shadow.Stage }

// Set implements Shadows.
func (s shadowPort) Set(tasks []ShadowTask) {
	list := make([]shadow.Task, len(tasks))
	for i, t := range tasks {
		list[i] = shadow.Task(t)
	}
	s.Stage.Set(list)
}

// newLine runs everything. Version 2 is opened by candidate, all others see bright
// figures.
func newLine(t *testing.T, candidate func(t *testing.T, rt *ort.Runtime) detect.Detector) *line {
	t.Helper()
	l := &line{world: newWorld(t), pool: &frame.Pool{}}
	log := slog.New(slog.DiscardHandler)
	b, err := bus.Open(t.Context(), bus.Config{Folder: t.TempDir()}, log)
	require.NoError(t, err)
	rt := detecttest.Runtime(t)
	l.siteRuns(1)
	open := func(_ context.Context, v store.ModelVersion, _ string) (detect.Detector, error) {
		if v.Version == 2 {
			return candidate(t, rt), nil
		}
		return model.Open(rt, detecttest.Bright(t), model.Options{})
	}
	l.infer = infer.New(infer.Config{Default: "yard", DetectFPS: 5}, open, l.records, b, log)
	l.shadows = shadow.New(func(ctx context.Context, ref detect.Ref, provider string) (detect.Detector, error) {
		return open(ctx, store.ModelVersion{Model: ref.Model, Version: ref.Version}, provider)
	}, nil, log)
	deps := l.Manager.deps
	deps.Bus, deps.Shadows = b, shadowPort{l.shadows}
	deps.Assigned = func(camera string) (detect.Ref, string) {
		a := l.infer.Assignment(camera)
		return a.Ref, a.Err
	}
	deps.Changed = func(_ store.Promotion, running []store.RunningModel, _ bool) {
		for _, r := range running {
			b.Publish(bus.Subject(bus.RunningModel, r.ClientID), bus.Change{ClientID: r.ClientID, CameraID: r.CameraID, Revision: r.Revision})
		}
	}
	cfg := l.Manager.cfg
	cfg.Look, cfg.Note = time.Hour, time.Hour // the test looks
	l.Manager = New(cfg, deps)
	ctx, cancel := context.WithCancel(context.Background())
	loaded := make(chan struct{})
	var wg sync.WaitGroup
	for _, run := range []func(context.Context) error{l.Manager.Run, l.shadows.Run, func(ctx context.Context) error { return l.infer.Run(ctx, loaded) }} {
		wg.Go(func() {
			if err := run(ctx); err != nil {
				t.Error(err)
			}
		})
	}
	<-loaded
	<-l.Ready()
	l.picture = detecttest.Picture(t, l.pool, 160, 128, detecttest.Rect{X: 40, Y: 20, W: 30, H: 60})
	t.Cleanup(func() {
		cancel()
		wg.Wait()
		require.NoError(t, b.Close())
		l.picture.Release()
		require.Zero(t, l.pool.Live())
		l.pool.Close()
	})
	return l
}

// answered submits n frames of each camera of the site and waits until the manager
// has counted the answers. late is how long ago the frames arrived.
func (l *line) answered(n int64, late time.Duration) {
	l.t.Helper()
	l.picture.Arrived = time.Now().Add(-late)
	for _, camera := range []string{"site-a", "site-b"} {
		before := l.counted(camera)
		for range n {
			done := make(chan infer.Result, 1)
			l.infer.Submit(camera, l.picture, func(r infer.Result) { done <- r })
			r := <-done
			if r.Err == nil {
				l.shadows.Offer(camera, l.picture, r.Options, r.Detections)
			}
		}
		require.Eventually(l.t, func() bool { return l.counted(camera) == before+n }, 10*time.Second, time.Millisecond)
	}
	l.now = l.now.Add(10 * time.Second)
}

// counted is how many answers of a camera the manager knows.
func (l *line) counted(camera string) (n int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, b := range l.tally.cameras[camera] {
		n += b.Inferences + b.Errors
	}
	return n
}

func (l *line) runs(camera string, version int) {
	l.t.Helper()
	require.Eventually(l.t, func() bool { return l.infer.Assignment(camera).Ref.Version == version }, 10*time.Second, time.Millisecond)
}

// onCanary starts version 2 on one camera of the site.
func (l *line) onCanary() store.Promotion {
	l.t.Helper()
	const long = 10 * time.Second // beside which nothing that a busy machine does counts
	l.answered(70, long)
	r := request()
	r.Canary, r.Share = true, 0
	p, err := l.Start(l.t.Context(), r)
	require.NoError(l.t, err)
	l.runs("site-a", 2)
	return p
}

func (l *line) rolledBack(p store.Promotion, reason string) {
	l.t.Helper()
	l.Look(l.t.Context())
	l.Look(l.t.Context())
	p, err := l.View(l.t.Context(), p.ID)
	require.NoError(l.t, err)
	require.Equal(l.t, store.PromotionRolledBack, p.State, p.Figures)
	require.Contains(l.t, p.Reason, reason)
	l.runs("site-a", 1)
	kind, message := l.lastEvent()
	require.Equal(l.t, "promotion.rolled_back", kind)
	require.Contains(l.t, message, reason)
}

func TestFaultyModelsAreRolledBack(t *testing.T) {
	network := func(data func(testing.TB) []byte) func(*testing.T, *ort.Runtime) detect.Detector {
		return func(t *testing.T, rt *ort.Runtime) detect.Detector {
			d, err := model.Open(rt, data(t), model.Options{})
			require.NoError(t, err)
			return d
		}
	}
	t.Run("no numbers", func(t *testing.T) {
		l := newLine(t, network(detecttest.Dazzled))
		p := l.onCanary()
		l.answered(5, 10*time.Second)
		l.rolledBack(p, "outputs that are no numbers: at most 2 is wanted, it is 5")
	})
	t.Run("fails", func(t *testing.T) {
		l := newLine(t, network(detecttest.Failing))
		p := l.onCanary()
		l.answered(35, 10*time.Second)
		l.rolledBack(p, "failed inferences: at most 2.0 % is wanted, it is 100.0 % (35 of 35)")
	})
	t.Run("finds nothing", func(t *testing.T) {
		l := newLine(t, func(t *testing.T, rt *ort.Runtime) detect.Detector { return blind{network(detecttest.Bright)(t, rt)} })
		p := l.onCanary()
		l.answered(70, 10*time.Second)
		l.rolledBack(p, "detections per frame: 0.50 to 2.00 is wanted, it is 0.00")
	})
	t.Run("slow", func(t *testing.T) {
		l := newLine(t, func(t *testing.T, rt *ort.Runtime) detect.Detector { return slow{network(detecttest.Bright)(t, rt)} })
		l.answered(12, 0)
		r := request()
		r.Canary, r.Share, r.Bands = true, 0, store.DefaultBands()
		r.Bands.MinSamples = 12
		p, err := l.Start(t.Context(), r)
		require.NoError(t, err)
		l.runs("site-a", 2)
		l.answered(12, 0)
		l.rolledBack(p, "p95 of inference: at most ")
	})
	t.Run("waits", func(t *testing.T) { // for the machine: no fault of its own
		l := newLine(t, network(detecttest.Bright))
		p := l.onCanary()
		for range 70 {
			l.one("site-b", 10*time.Second)
			l.one("site-a", 30*time.Second)
		}
		require.Eventually(t, func() bool { return l.counted("site-a") == 140 && l.counted("site-b") == 140 }, 10*time.Second, time.Millisecond)
		l.Look(t.Context())
		l.Look(t.Context())
		p, err := l.View(t.Context(), p.ID)
		require.NoError(t, err)
		require.Equal(t, store.PromotionCanary, p.State)
		require.Greater(t, p.Figures.P95, 20*time.Second)
		require.False(t, p.Figures.Alone)
	})
	t.Run("does as well", func(t *testing.T) {
		l := newLine(t, network(detecttest.Bright))
		p := l.onCanary()
		l.answered(70, 10*time.Second)
		l.Look(t.Context())
		l.Look(t.Context())
		p, err := l.View(t.Context(), p.ID)
		require.NoError(t, err)
		require.Equal(t, store.PromotionCanary, p.State)
		require.True(t, p.Figures.Enough, p.Figures)
	})
}

// one submits a frame that arrived some time ago.
func (l *line) one(camera string, late time.Duration) {
	l.picture.Arrived = time.Now().Add(-late)
	done := make(chan struct{})
	l.infer.Submit(camera, l.picture, func(infer.Result) { close(done) })
	<-done
}

// TestShadowIsComparedAndNothingElse lets a blind candidate look beside the champion.
func TestShadowIsComparedAndNothingElse(t *testing.T) {
	l := newLine(t, func(t *testing.T, rt *ort.Runtime) detect.Detector {
		d, err := model.Open(rt, detecttest.Bright(t), model.Options{})
		require.NoError(t, err)
		return blind{d}
	})
	r := request()
	r.Share = 1
	p, err := l.Start(t.Context(), r)
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		l.answered(1, 0)
		r, _ := l.shadows.Report(p.ID)
		return r.Looked >= 3
	}, 20*time.Second, time.Millisecond)
	p, err = l.View(t.Context(), p.ID)
	require.NoError(t, err)
	require.Equal(t, p.Shadow.Looked, p.Shadow.Classes["person"].Missing)
	require.Zero(t, p.Shadow.Total().Agreement())
	l.mu.Lock()
	defer l.mu.Unlock()
	require.Empty(t, l.tally.running(Ref{"yard", 2}, time.Time{}), "what a shadow does is not announced")
}
