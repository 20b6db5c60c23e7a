package camera

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"detectd/detect"
	"detectd/detect/batch"
	"detectd/pipeline"
	"detectd/pipeline/frame"
	"detectd/store"
)

// moody is a decoder that holds pictures back, refuses units, takes some without
// giving a picture, and gives some refused ones all the same.
type moody struct {
	pool  *frame.Pool
	delay int // pictures held back
	slow  func(n int) time.Duration
	n     int
	held  []pipeline.Unit
}

func (d *moody) Decode(u pipeline.Unit, emit func(*frame.Frame)) error {
	d.n++
	time.Sleep(d.slow(d.n))
	switch d.n % 11 {
	case 3: // nothing comes of it
		return errors.New("corrupt")
	case 5: // a second field, or a picture that is not shown
		return nil
	case 7: // comes out concealed
		u.Damaged = true
		d.held = append(d.held, u)
		return errors.New("corrupt slice")
	}
	d.held = append(d.held, u)
	for len(d.held) > d.delay {
		d.give(emit)
	}
	return nil
}

func (d *moody) give(emit func(*frame.Frame)) {
	u := d.held[0]
	d.held = d.held[1:]
	f := d.pool.Get()
	f.PTS, f.Key, f.Time, f.Damaged = u.PTS, u.Key, u.Time, u.Damaged
	emit(f)
}

func (d *moody) Flush(emit func(*frame.Frame)) error {
	for len(d.held) > 0 {
		d.give(emit)
	}
	return errors.New("the last unit was cut off")
}

func (d *moody) Close() {}

// unsteady is a detector that is late, fails, and has no model at times.
type unsteady struct {
	mu sync.Mutex
	n  int
	wg sync.WaitGroup
}

func (d *unsteady) Submit(_ string, f *frame.Frame, done func(Result)) {
	d.mu.Lock()
	d.n++
	n := d.n
	d.mu.Unlock()
	f.Retain()
	d.wg.Go(func() {
		defer f.Release()
		time.Sleep(time.Duration(n%7) * 100 * time.Millisecond)
		errs := []error{nil, batch.ErrStale, nil, ErrNoModel, errors.New("NaN"), nil}
		done(Result{Err: errs[n%len(errs)], Ref: detect.Ref{Model: "m", Version: 1}})
	})
}

func (d *unsteady) Assignment(string) Assignment {
	return Assignment{FPS: 8, Ref: detect.Ref{Model: "m", Version: 1}}
}

// counting is an annotator that knows how often it was told what.
type counting struct {
	annotator
	late uint64
}

func (a *counting) Detected(m frame.Meta, dets []detect.Detection, model string, version int) {
	a.annotator.Detected(m, dets, model, version)
	if len(a.detected)%3 == 0 {
		a.late++
	}
}
func (a *counting) Late() uint64 { return a.late }

// TestEveryDropIsCounted plays sources with every fault there is, at an end that comes
// in the middle: what went in is what came out and what was given up, by reason.
func TestEveryDropIsCounted(t *testing.T) {
	for seed := range uint64(6) {
		synctest.Test(t, func(t *testing.T) { account(t, rand.New(rand.NewPCG(seed, 1))) })
	}
}

func account(t *testing.T, random *rand.Rand) {
	var units, packets, pictures int
	ann, det := &counting{}, &unsteady{}
	runs, delay := 0, random.IntN(17)
	long := 30*time.Second + time.Duration(random.IntN(20_000))*time.Millisecond
	source := source{func(ctx context.Context, sink pipeline.Sink) error {
		runs++
		codec := pipeline.H264
		if runs%4 == 2 {
			codec = "unheard of"
		}
		sink.Format(pipeline.Format{Codec: codec, Width: 640, Height: 480})
		first := random.IntN(4) // before the first key unit, from a source that does not know better
		for i := range 150 + random.IntN(200) {
			at := time.Duration(i) * tick
			if i == 40 {
				sink.(pipeline.Losses).Lost(3, 1)
				packets, pictures = packets+3, pictures+1
			}
			sink.Unit(pipeline.Unit{
				PTS: at, DTS: at, Key: i >= first && (i-first)%12 == 0, Damaged: i%29 == 0,
				Arrived: time.Now(), NALs: [][]byte{{1, 2}},
			})
			units++
			pause := tick
			if i%100 > 60 {
				pause = time.Millisecond // a burst, faster than the decoder
			}
			select {
			case <-time.After(pause):
			case <-ctx.Done():
				return nil
			}
		}
		return errors.New("connection reset")
	}}
	w, err := NewWorker(store.Camera{ID: "door"}, Deps{
		Open: func(store.Camera) (pipeline.Source, error) { return source, nil },
		Taps: func(_ store.Camera, h Hooks) ([]Tap, error) { h.Dropped(7); h.Unseen(9); return nil, nil },
		Decoder: func(f pipeline.Format, pool *frame.Pool) (Decoder, error) {
			if f.Codec != pipeline.H264 {
				return nil, errors.New("no such decoder")
			}
			return &moody{pool: pool, delay: delay, slow: func(n int) time.Duration {
				return time.Duration(n/60%3) * 35 * time.Millisecond
			}}, nil
		},
		Annotator: func(store.Camera) Annotator { return ann }, Detector: det, Retry: DefaultRetry(),
		Log: slog.New(slog.DiscardHandler), State: func(pipeline.Status) {},
	})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- w.Run(ctx) }()
	time.Sleep(long)
	w.DroppedByStore(5)
	cancel()
	require.NoError(t, <-done)
	det.wg.Wait()
	require.Zero(t, w.pool.Live(), "every frame was released")
	w.pool.Close()

	s := w.Status()
	require.EqualValues(t, units, s.Units)
	require.Equal(t, s.Units, s.Frames+s.IdleFrames+s.Drops.Undecoded(), "%+v", s.Drops)
	require.Equal(t, s.Selected, s.Inferences+s.Drops.Undetected(), "%+v", s.Drops)
	require.Len(t, ann.frames, int(s.Frames), "every frame reaches the annotator")
	require.Len(t, ann.selected, int(s.Selected))
	require.Len(t, ann.detected, int(s.Inferences))
	require.Len(t, ann.failed, int(s.Drops.Undetected()))
	require.Equal(t, ann.late, s.Drops.Outrun)
	require.EqualValues(t, packets, s.Drops.Packets)
	require.EqualValues(t, pictures, s.Drops.Source)
	require.Equal(t, []uint64{7, 9, 5}, []uint64{s.Drops.Record, s.Drops.Live, s.Drops.Store})
	for reason, n := range s.Drops.All() {
		if reason != "decode" && reason != "closed" && reason != "no_key" { // which need luck
			require.NotZero(t, n, reason)
		}
	}
	t.Logf("%d units: %d frames; %+v", s.Units, s.Frames, s.Drops)
}
