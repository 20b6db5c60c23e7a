package camera

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"detectd/pipeline"
	"detectd/pipeline/frame"
	"detectd/store"
)

// shareFake skips the units from one on, up to the next key unit.
type shareFake struct {
	mu                        sync.Mutex
	from                      int
	units, rests, gone, given int
	skipping                  bool
	served                    []time.Duration
}

func (s *shareFake) Skip(key bool, _ time.Duration, _ time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.skipping = !key && s.skipping || s.units == s.from
	s.units++
	return s.skipping
}

func (s *shareFake) GivenUp() { s.given++ }
func (s *shareFake) Served(age, _ time.Duration) {
	s.served = append(s.served, age)
}
func (s *shareFake) Rest()  { s.rests++ }
func (s *shareFake) Leave() { s.gone++ }

// turned is a decoder that tells when its turn came: after a while.
type turned struct {
	*decoder
	wait  time.Duration
	began time.Time
}

func (d *turned) Decode(u pipeline.Unit, emit func(*frame.Frame)) error {
	time.Sleep(d.wait)
	d.began = time.Now()
	return d.decoder.Decode(u, emit)
}

func (d *turned) Turn() (time.Time, time.Duration) { return d.began, time.Millisecond }

func TestWhatItsShareDoesNotAllowIsLeftOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t, func(ctx context.Context, sink pipeline.Sink) error {
			playArrived(ctx, sink, 20)
			<-ctx.Done()
			return ctx.Err()
		})
		share := &shareFake{from: 4}
		g.worker.deps.Share = func(store.Camera) Share { return share }
		open := g.worker.deps.Decoder
		g.worker.deps.Decoder = func(f pipeline.Format, pool *frame.Pool) (Decoder, error) {
			_, err := open(f, pool)
			return &turned{decoder: g.decoder, wait: 3 * time.Millisecond}, err
		}
		stop := g.run(t)
		time.Sleep(2 * time.Second)
		status := g.worker.Status()
		stop()
		require.EqualValues(t, 20, status.Units)
		require.EqualValues(t, 14, status.Frames, "units 4 to 9 are left out")
		require.EqualValues(t, 6, status.Drops.Late)
		require.Len(t, share.served, 14)
		for _, age := range share.served {
			require.Equal(t, 3*time.Millisecond, age)
		}
		require.Equal(t, 1, share.gone)
		require.Zero(t, share.given)
		// At five a second: the pictures 0, 3, which is the last before the skip, 10 and 15.
		require.Equal(t, []uint64{1, 4, 5, 10}, g.annotator.selected)
	})
}

// playArrived is play with the moments of arrival.
func playArrived(ctx context.Context, sink pipeline.Sink, n int) {
	sink.Format(pipeline.Format{Codec: pipeline.H264, Width: 640, Height: 480})
	for i := range n {
		sink.Unit(pipeline.Unit{
			PTS: time.Duration(i) * tick, DTS: time.Duration(i) * tick, Key: i%10 == 0, NALs: [][]byte{{1, 2}}, Arrived: time.Now(),
		})
		select {
		case <-time.After(tick):
		case <-ctx.Done():
			return
		}
	}
}
