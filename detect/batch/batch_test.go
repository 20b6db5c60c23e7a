package batch_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"detectd/detect"
	"detectd/detect/batch"
	"detectd/pipeline/frame"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fake is a detector that takes its time and notes the batches it was given.
type fake struct {
	limit int
	each  time.Duration
	bad   uint64 // a call with this frame fails

	mu      sync.Mutex // guards batches
	batches [][]uint64 // sequence numbers
}

var errBad = errors.New("bad frame")

func (f *fake) Detect(ctx context.Context, frames []*frame.Frame, _ []detect.Options) ([][]detect.Detection, error) {
	var seqs []uint64
	result := make([][]detect.Detection, len(frames))
	for i, fr := range frames {
		seqs = append(seqs, fr.Seq)
		result[i] = []detect.Detection{{ClassID: int(fr.Seq)}}
	}
	f.mu.Lock()
	f.batches = append(f.batches, seqs)
	f.mu.Unlock()
	select {
	case <-time.After(f.each):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	for _, s := range seqs {
		if f.bad > 0 && s == f.bad {
			return nil, errBad
		}
	}
	return result, nil
}

func (f *fake) MaxBatch() int             { return f.limit }
func (f *fake) Contract() detect.Contract { return detect.Contract{} }
func (f *fake) Close() error              { return nil }

func (f *fake) seen() [][]uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.batches
}

// bench runs a Batcher in a synctest bubble.
type bench struct {
	t      *testing.T
	b      *batch.Batcher
	pool   frame.Pool
	cancel context.CancelFunc
	ended  chan error

	weights map[string]float64 // by key; not there: 1

	mu      sync.Mutex // guards results
	results map[uint64][]batch.Result
}

func start(t *testing.T, det detect.Detector, cfg batch.Config) *bench {
	b, err := batch.New(det, cfg)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	x := &bench{t: t, b: b, cancel: cancel, ended: make(chan error, 1), results: map[uint64][]batch.Result{}}
	go func() { x.ended <- b.Run(ctx) }()
	synctest.Wait()
	return x
}

func (x *bench) submit(key string, seq uint64) {
	f := x.pool.Get()
	f.Seq = seq
	x.b.Submit(key, x.weights[key], f, detect.Options{}, func(r batch.Result) {
		x.mu.Lock()
		defer x.mu.Unlock()
		if r.Frame.Seq != seq {
			r.Err = errors.New("another frame")
		}
		x.results[seq] = append(x.results[seq], r)
	})
	f.Release()
}

// stop ends the run and checks that every frame was answered once and given back.
func (x *bench) stop(submitted int) {
	x.cancel()
	require.NoError(x.t, <-x.ended)
	require.Len(x.t, x.results, submitted)
	for seq, r := range x.results {
		require.Len(x.t, r, 1, "frame %d", seq)
	}
	require.Zero(x.t, x.pool.Live())
}

func (x *bench) result(seq uint64) batch.Result {
	x.mu.Lock()
	defer x.mu.Unlock()
	require.Len(x.t, x.results[seq], 1, "frame %d", seq)
	return x.results[seq][0]
}

func TestNoWaitWhenIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := start(t, &fake{limit: 8, each: 10 * time.Millisecond}, batch.Config{Workers: 1})
		x.submit("a", 1)
		time.Sleep(11 * time.Millisecond)
		r := x.result(1)
		require.NoError(t, r.Err)
		require.Equal(t, []detect.Detection{{ClassID: 1}}, r.Detections)
		require.Zero(t, r.Queued)
		require.Equal(t, 10*time.Millisecond, r.Inferred)
		require.Equal(t, 1, r.BatchSize)
		x.stop(1)
	})
}

func TestNewestFrameWins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		det := &fake{limit: 1, each: 10 * time.Millisecond}
		x := start(t, det, batch.Config{Workers: 1})
		x.submit("a", 1)
		synctest.Wait()
		x.submit("a", 2)
		x.submit("a", 3)
		synctest.Wait() // the replaced frame is reported at once, while a call runs
		require.ErrorIs(t, x.result(2).Err, batch.ErrStale)
		require.Zero(t, x.result(2).BatchSize)
		time.Sleep(25 * time.Millisecond)
		require.Equal(t, [][]uint64{{1}, {3}}, det.seen())
		require.Equal(t, 10*time.Millisecond, x.result(3).Queued)
		x.stop(3)
	})
}

// TestFair floods with one camera; the others still get every turn.
func TestFair(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := start(t, &fake{limit: 1, each: 10 * time.Millisecond}, batch.Config{Workers: 1})
		served := map[string]int{}
		keys := map[uint64]string{}
		seq := uint64(0)
		for tick := range 1000 {
			for cam := range 4 {
				if cam > 0 && tick%50 != 0 { // camera 0 is 50 times as fast
					continue
				}
				seq++
				keys[seq] = fmt.Sprint(cam)
				x.submit(keys[seq], seq)
			}
			time.Sleep(time.Millisecond)
		}
		time.Sleep(time.Second)
		for s, k := range keys {
			if x.result(s).Err == nil {
				served[k]++
			}
		}
		for cam := 1; cam < 4; cam++ {
			require.Equal(t, 20, served[fmt.Sprint(cam)]) // every one of its frames
		}
		require.GreaterOrEqual(t, served["0"], 20)
		x.stop(int(seq))
	})
}

// TestEqualShares overloads the detector with cameras of different rates that all
// send more than their share: each is served as often, whatever it sends, with
// its newest frame, and every other frame is answered as stale.
func TestEqualShares(t *testing.T) {
	for _, limit := range []int{1, 2, 3} {
		synctest.Test(t, func(t *testing.T) {
			det := &fake{limit: limit, each: time.Duration(limit) * 40 * time.Millisecond}
			x := start(t, det, batch.Config{Workers: 1})
			every := []int{5, 10, 15, 20, 30} // ms between two frames, less than a call takes
			camera, last := map[uint64]int{}, map[int]uint64{}
			seq := uint64(0)
			for tick := range 20_000 {
				for c, gap := range every {
					if tick%gap == 0 {
						seq++
						camera[seq], last[c] = c, seq
						x.submit(fmt.Sprint(c), seq)
					}
				}
				time.Sleep(time.Millisecond)
			}
			time.Sleep(time.Second) // what waits is served
			served, stale := make([]int, len(every)), 0
			for s := uint64(1); s <= seq; s++ {
				r := x.result(s)
				if r.Err != nil {
					require.ErrorIs(t, r.Err, batch.ErrStale)
					stale++
					continue
				}
				served[camera[s]]++
				if s != last[camera[s]] {
					gap := time.Duration(every[camera[s]]) * time.Millisecond
					require.LessOrEqual(t, r.Queued, gap, "a newer frame was there")
				}
			}
			for _, n := range served {
				require.InDelta(t, 100, n, 3, "%d in a call: %v", limit, served) // 20 s at 25 a second, for five
			}
			require.Equal(t, int(seq), stale+served[0]+served[1]+served[2]+served[3]+served[4])
			x.stop(int(seq))
		})
	}
}

func TestSharesWorkAmongIdleWorkers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		det := &fake{limit: 8, each: 10 * time.Millisecond}
		b, err := batch.New(det, batch.Config{Workers: 2})
		require.NoError(t, err)
		x := &bench{t: t, b: b, ended: make(chan error, 1), results: map[uint64][]batch.Result{}}
		for s := range uint64(6) {
			x.submit(fmt.Sprint(s), s+1)
		}
		ctx, cancel := context.WithCancel(t.Context())
		x.cancel = cancel
		go func() { x.ended <- b.Run(ctx) }()
		time.Sleep(15 * time.Millisecond)
		require.ElementsMatch(t, [][]uint64{{1, 2, 3}, {4, 5, 6}}, det.seen())
		x.stop(6)
	})
}

func TestWaitsForCamerasThatAreDue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		det := &fake{limit: 8, each: time.Millisecond}
		x := start(t, det, batch.Config{Workers: 1, MaxWait: 5 * time.Millisecond})
		seq := uint64(0)
		for range 10 { // two cameras at 10 Hz, 3 ms apart
			x.submit("a", seq+1)
			time.Sleep(3 * time.Millisecond)
			x.submit("b", seq+2)
			seq += 2
			time.Sleep(97 * time.Millisecond)
		}
		seen := det.seen()
		require.Equal(t, []uint64{seq - 1, seq}, seen[len(seen)-1])
		require.Equal(t, 3*time.Millisecond, x.result(seq-1).Queued) // b came, nobody else is due
		x.submit("a", seq+1)                                         // b has stopped: it is waited for once more
		time.Sleep(100 * time.Millisecond)
		x.submit("a", seq+2)
		time.Sleep(100 * time.Millisecond)
		require.Zero(t, x.result(seq+2).Queued)
		x.stop(int(seq) + 2)
	})
}

func TestBadFrameAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := start(t, &fake{limit: 8, each: time.Millisecond, bad: 3}, batch.Config{Workers: 1})
		for s := range uint64(5) {
			x.submit(fmt.Sprint(s), s+1)
		}
		time.Sleep(time.Second)
		for s := range uint64(5) {
			if s+1 == 3 {
				require.ErrorIs(t, x.result(3).Err, errBad)
				continue
			}
			require.NoError(t, x.result(s+1).Err)
		}
		x.stop(5)
	})
}

func TestEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := start(t, &fake{limit: 1, each: time.Hour}, batch.Config{Workers: 1})
		for s := range uint64(4) {
			x.submit(fmt.Sprint(s%3), s+1)
			synctest.Wait()
		}
		x.stop(4)
		x.submit("a", 5)
		for s := range uint64(5) {
			require.ErrorIs(t, x.result(s+1).Err, context.Canceled)
		}
		require.Zero(t, x.pool.Live())
	})
}

// TestManyCameras runs in real time with many goroutines, for the race detector.
func TestManyCameras(t *testing.T) {
	det := &fake{limit: 4, each: 50 * time.Microsecond}
	b, err := batch.New(det, batch.Config{Workers: 3, MaxWait: 100 * time.Microsecond})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- b.Run(ctx) }()
	var pool frame.Pool
	var answers, cams sync.WaitGroup
	for cam := range 20 {
		cams.Go(func() {
			for i := range 100 {
				f := pool.Get()
				f.Seq = uint64(i)
				answers.Add(1)
				b.Submit(fmt.Sprint(cam), 1, f, detect.Options{}, func(batch.Result) { answers.Done() })
				f.Release()
				if i == 50 && cam == 0 {
					cancel()
				}
			}
		})
	}
	cams.Wait()
	answers.Wait()
	require.NoError(t, <-ended)
	require.Zero(t, pool.Live())
}

func TestNewRefuses(t *testing.T) {
	for _, cfg := range []batch.Config{{MaxBatch: -1}, {MaxWait: -1}, {Workers: -1}} {
		_, err := batch.New(&fake{}, cfg)
		require.Error(t, err)
	}
}

// TestWeights overloads the detector: shares follow the weights, also when a camera
// joins late or sends less than its share, and the lightest is served as well.
func TestWeights(t *testing.T) {
	for _, limit := range []int{1, 2} { // more than a part of a call is nobody's share
		synctest.Test(t, func(t *testing.T) {
			x := start(t, &fake{limit: limit, each: time.Duration(limit) * 10 * time.Millisecond}, batch.Config{Workers: 1})
			x.weights = map[string]float64{"a": 3, "b": 2, "d": 0.5, "e": 0.1, "slow": 10, "late": 2} // c: 1
			keys := map[uint64]string{}
			seq := uint64(0)
			for tick := range 40_000 {
				for _, key := range []string{"a", "b", "c", "d", "e", "slow", "late"} {
					every := map[string]int{"slow": 500, "late": 9}[key]
					if tick%max(every, 7) != 0 || key == "late" && tick < 20_000 {
						continue
					}
					seq++
					keys[seq] = key
					x.submit(key, seq)
				}
				time.Sleep(time.Millisecond)
			}
			time.Sleep(time.Second)
			served := map[string]int{}
			first := map[string]int{} // before "late" came
			late := slices.Min(slices.Collect(func(yield func(uint64) bool) {
				for s, k := range keys {
					if k == "late" && !yield(s) {
						return
					}
				}
			}))
			for s, k := range keys {
				if x.result(s).Err != nil {
					continue
				}
				if served[k]++; s < late {
					first[k]++
				}
			}
			require.Equal(t, 80, served["slow"], "it asks for less than its share")
			for key, weight := range map[string]float64{"a": 3, "b": 2, "c": 1, "d": 0.5, "e": 0.1} {
				require.InDelta(t, (2000-40)*weight/6.6, first[key], 4, key)
				require.InDelta(t, (2000-40)*weight/8.6, served[key]-first[key], 4, key)
			}
			require.InDelta(t, (2000-40)*2/8.6, served["late"], 4)
			x.stop(int(seq))
		})
	}
}
