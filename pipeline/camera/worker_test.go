package camera

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"detectd/detect"
	"detectd/pipeline"
	"detectd/pipeline/frame"
	"detectd/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// source plays what a test tells it.
type source struct {
	run func(ctx context.Context, sink pipeline.Sink) error
}

func (s source) Run(ctx context.Context, sink pipeline.Sink) error { return s.run(ctx, sink) }

// decoder makes an empty frame of every unit; it can be held up.
type decoder struct {
	pool *frame.Pool
	gate chan struct{} // when not nil, every unit takes one token
	fail func(pipeline.Unit) bool
}

func (d *decoder) Decode(u pipeline.Unit, emit func(*frame.Frame)) error {
	if d.gate != nil {
		<-d.gate
	}
	if d.fail != nil && d.fail(u) {
		return errors.New("corrupt")
	}
	f := d.pool.Get()
	f.PTS, f.Key, f.Time = u.PTS, u.Key, u.Time
	emit(f)
	return nil
}
func (d *decoder) Flush(func(*frame.Frame)) error { return nil }
func (d *decoder) Close()                         {}

// detector answers at once, with an error when told so.
type detectorFake struct {
	mu        sync.Mutex
	submitted []uint64
	err       error
}

func (d *detectorFake) Submit(_ string, f *frame.Frame, done func(Result)) {
	d.mu.Lock()
	d.submitted = append(d.submitted, f.Seq)
	d.mu.Unlock()
	done(Result{Err: d.err, Ref: detect.Ref{Model: "m", Version: 1}})
}

func (d *detectorFake) Assignment(string) Assignment {
	return Assignment{FPS: 5, Ref: detect.Ref{Model: "m", Version: 1}}
}

// annotator writes down what it is told.
type annotator struct {
	frames, selected, detected, failed []uint64
	flushes                            int
}

func (a *annotator) Frame(m frame.Meta, _, _ int) { a.frames = append(a.frames, m.Seq) }
func (a *annotator) Selected(seq uint64)          { a.selected = append(a.selected, seq) }
func (a *annotator) Detected(m frame.Meta, _ []detect.Detection, _ string, _ int) {
	a.detected = append(a.detected, m.Seq)
}
func (a *annotator) Failed(seq uint64)     { a.failed = append(a.failed, seq) }
func (a *annotator) SetHold(time.Duration) {}
func (a *annotator) Flush()                { a.flushes++ }

// tap writes down the time stamps it gets.
type tap struct {
	formats int
	pts     []time.Duration
	ended   bool
}

func (p *tap) Format(pipeline.Format)        { p.formats++ }
func (p *tap) Unit(u pipeline.Unit)          { p.pts = append(p.pts, u.PTS) }
func (p *tap) Run(ctx context.Context) error { <-ctx.Done(); p.ended = true; return nil }

type rig struct {
	worker    *Worker
	decoder   *decoder
	detector  *detectorFake
	annotator *annotator
	tap       *tap
	states    []pipeline.Status
}

func newRig(t *testing.T, run func(ctx context.Context, sink pipeline.Sink) error) *rig {
	t.Helper()
	g := &rig{decoder: &decoder{}, detector: &detectorFake{}, annotator: &annotator{}, tap: &tap{}}
	var mu sync.Mutex
	w, err := NewWorker(store.Camera{ID: "door"}, Deps{
		Open: func(store.Camera) (pipeline.Source, error) { return source{run}, nil },
		Taps: func(store.Camera, Hooks) ([]Tap, error) { return []Tap{g.tap}, nil },
		Decoder: func(_ pipeline.Format, pool *frame.Pool) (Decoder, error) {
			g.decoder.pool = pool
			return g.decoder, nil
		},
		Annotator: func(store.Camera) Annotator { return g.annotator },
		Detector:  g.detector, Retry: DefaultRetry(), Log: slog.New(slog.DiscardHandler),
		State: func(s pipeline.Status) { mu.Lock(); g.states = append(g.states, s); mu.Unlock() },
	})
	require.NoError(t, err)
	g.worker = w
	return g
}

// run starts the worker and returns how to stop it.
func (g *rig) run(t *testing.T) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- g.worker.Run(ctx) }()
	return func() {
		cancel()
		require.NoError(t, <-done)
		require.Zero(t, g.worker.pool.Live(), "every frame was released")
		g.worker.pool.Close()
	}
}

const tick = 40 * time.Millisecond

// play sends n units at 25 per second, a key frame every ten.
func play(ctx context.Context, sink pipeline.Sink, n int) {
	sink.Format(pipeline.Format{Codec: pipeline.H264, Width: 640, Height: 480})
	for i := range n {
		sink.Unit(pipeline.Unit{PTS: time.Duration(i) * tick, DTS: time.Duration(i) * tick, Key: i%10 == 0, NALs: [][]byte{{1, 2}}})
		select {
		case <-time.After(tick):
		case <-ctx.Done():
			return
		}
	}
}

func TestEveryFrameIsAnnotatedAndFiveASecondDetected(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t, func(ctx context.Context, sink pipeline.Sink) error {
			play(ctx, sink, 100)
			<-ctx.Done()
			return nil
		})
		stop := g.run(t)
		time.Sleep(5 * time.Second)
		s := g.worker.Status()
		require.Equal(t, pipeline.StateRunning, s.State)
		require.Equal(t, uint64(100), s.Units)
		require.Equal(t, uint64(100), s.Frames)
		require.Equal(t, uint64(200), s.Bytes)
		require.Equal(t, uint64(21), s.Inferences, "4 s at 5 Hz, and the picture before a key picture that is due then")
		require.Zero(t, s.Drops)
		f := g.worker.Latest()
		require.Equal(t, uint64(100), f.Seq)
		f.Release()
		stop()
		require.Len(t, g.annotator.frames, 100)
		require.Equal(t, g.annotator.selected, g.annotator.detected)
		require.Equal(t, []uint64{1, 6, 11}, g.annotator.detected[:3])
		require.Empty(t, g.annotator.failed)
		require.Equal(t, 1, g.tap.formats)
		require.True(t, g.tap.ended)
	})
}

func TestSlowDecoderDropsUpToAKeyFrame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := make(chan struct{})
		g := newRig(t, func(ctx context.Context, sink pipeline.Sink) error {
			play(ctx, sink, 400)
			close(gate)
			play(ctx, sink, 0)
			<-ctx.Done()
			return nil
		})
		g.decoder.gate = gate
		stop := g.run(t)
		time.Sleep(20 * time.Second)
		s := g.worker.Status()
		require.Equal(t, uint64(400), s.Units)
		require.Len(t, g.tap.pts, 400, "the recorder got everything")
		require.NotZero(t, s.Drops.Decode)
		require.Equal(t, s.Units, s.Frames+s.Drops.Decode, "nothing is lost without being counted")
		stop()
	})
}

func TestLostCameraComesBackOnOneTimeline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		runs := 0
		g := newRig(t, func(ctx context.Context, sink pipeline.Sink) error {
			if runs++; runs == 2 || runs == 3 {
				return &pipeline.SourceError{State: pipeline.StateRefused, Reason: "camera refused the connection"}
			}
			play(ctx, sink, 25)
			if runs == 1 {
				return &pipeline.SourceError{State: pipeline.StateLost, Reason: "the camera closed the connection"}
			}
			<-ctx.Done()
			return nil
		})
		stop := g.run(t)
		time.Sleep(20 * time.Second)
		s := g.worker.Status()
		require.Equal(t, uint64(50), s.Frames)
		require.Equal(t, uint64(3), s.Reconnects)
		stop()
		var states []pipeline.State
		for _, s := range g.states {
			states = append(states, s.State)
		}
		require.Equal(t, []pipeline.State{
			pipeline.StateConnecting, pipeline.StateRunning, pipeline.StateLost, pipeline.StateRefused, pipeline.StateRunning,
		}, states)
		for i := 1; i < len(g.tap.pts); i++ {
			require.Greater(t, g.tap.pts[i], g.tap.pts[i-1], "time stamps go on over the gap")
		}
		gap := g.tap.pts[25] - g.tap.pts[24]
		require.Greater(t, gap, time.Second, "and by as much as the wall clock")
		require.Less(t, gap, 10*time.Second, "frames flow again in time")
		require.Equal(t, 4, g.annotator.flushes, "once per broken run, once at the end")
	})
}

func TestPlayedFileIsNotTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		runs := 0
		g := newRig(t, func(ctx context.Context, sink pipeline.Sink) error {
			runs++
			play(ctx, sink, 10)
			return &pipeline.SourceError{State: pipeline.StateEnded, Reason: "played to its end"}
		})
		stop := g.run(t)
		time.Sleep(time.Hour)
		require.Equal(t, pipeline.StateEnded, g.worker.Status().State)
		stop()
		require.Equal(t, 1, runs)
	})
}

func TestLastFramesOfAFileDoNotMakeItRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t, func(_ context.Context, sink pipeline.Sink) error {
			sink.Format(pipeline.Format{Codec: pipeline.H264, Width: 640, Height: 480})
			for i := range 5 { // faster than they are decoded
				sink.Unit(pipeline.Unit{PTS: time.Duration(i) * tick, DTS: time.Duration(i) * tick, Key: i == 0, NALs: [][]byte{{1}}})
			}
			return &pipeline.SourceError{State: pipeline.StateEnded, Reason: "played to its end"}
		})
		g.decoder.gate = make(chan struct{})
		stop := g.run(t)
		synctest.Wait()
		require.Equal(t, pipeline.StateEnded, g.worker.Status().State)
		for range 5 {
			g.decoder.gate <- struct{}{}
		}
		synctest.Wait()
		require.Equal(t, uint64(5), g.worker.Status().Frames)
		require.Equal(t, pipeline.StateEnded, g.worker.Status().State)
		stop()
	})
}

func TestFailuresAreCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t, func(ctx context.Context, sink pipeline.Sink) error {
			play(ctx, sink, 50)
			<-ctx.Done()
			return nil
		})
		g.detector.err = errors.New("no model")
		g.decoder.fail = func(u pipeline.Unit) bool { return u.PTS == 3*tick }
		stop := g.run(t)
		time.Sleep(5 * time.Second)
		s := g.worker.Status()
		require.Equal(t, uint64(1), s.Drops.Corrupt)
		require.Equal(t, uint64(49), s.Frames)
		require.Equal(t, uint64(11), s.Drops.Failed, "the last one comes before a key picture that would be due")
		require.Zero(t, s.Inferences)
		stop()
		require.Len(t, g.annotator.failed, 11)
	})
}

// TestStubbornDecoderIsTold lets the decoder refuse everything for a while.
func TestStubbornDecoderIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t, func(ctx context.Context, sink pipeline.Sink) error {
			play(ctx, sink, 200)
			<-ctx.Done()
			return nil
		})
		g.decoder.fail = func(u pipeline.Unit) bool { return u.PTS > 10*tick && u.PTS < 120*tick }
		stop := g.run(t)
		time.Sleep(2 * time.Second)
		require.Equal(t, pipeline.StateRunning, g.worker.Status().State, "it may be disturbed")
		time.Sleep(2 * time.Second)
		s := g.worker.Status()
		require.Equal(t, pipeline.StateCodec, s.State)
		require.Equal(t, "the decoder refuses this video: corrupt", s.Reason)
		time.Sleep(3 * time.Second)
		require.Equal(t, pipeline.StateRunning, g.worker.Status().State)
		stop()
	})
}

func TestRetryWaits(t *testing.T) {
	r := DefaultRetry()
	for attempt := range 30 {
		d := r.wait(pipeline.StateLost, attempt)
		require.LessOrEqual(t, d, r.Max)
		require.GreaterOrEqual(t, d, r.Min*3/4)
	}
	require.Greater(t, r.wait(pipeline.StateAuth, 20), 20*time.Second, "an account must not be locked")
	require.Greater(t, r.wait(pipeline.StateLost, 20), 3*time.Second)
}
