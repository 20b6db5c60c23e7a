package camera

import (
	"context"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"detectd/pipeline"
	"detectd/pipeline/frame"
)

// preferring is a decoder that notes which units the model waits for.
type preferring struct {
	*decoder
	mu     sync.Mutex
	wanted bool
	units  []time.Duration
}

func (d *preferring) Prefer(wanted bool) { d.wanted = wanted }

func (d *preferring) Decode(u pipeline.Unit, emit func(*frame.Frame)) error {
	if d.wanted {
		d.mu.Lock()
		d.units = append(d.units, u.PTS)
		d.mu.Unlock()
	}
	return d.decoder.Decode(u, emit)
}

// TestKeyPicturesAreNotWaitedFor: the model is given the picture before a key picture
// instead of it, as often as without, and the decoder knows which pictures it waits for.
func TestKeyPicturesAreNotWaitedFor(t *testing.T) {
	const (
		period = 200 * time.Millisecond
		step   = time.Second / 30
		group  = 50
		length = 20 * time.Second
	)
	var times []time.Duration
	rng := rand.New(rand.NewPCG(1, 1)) //nolint:gosec // a test
	for i := range int(length / step) {
		at := time.Duration(i) * step
		times = append(times, at+time.Duration(rng.Int64N(int64(step/4)))) // clocks of cameras tremble
	}
	times[0] = 0
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t, func(ctx context.Context, sink pipeline.Sink) error {
			sink.Format(pipeline.Format{Codec: pipeline.H264, Width: 640, Height: 480})
			for i, at := range times {
				sink.Unit(pipeline.Unit{PTS: at, DTS: at, Key: i%group == 0, NALs: [][]byte{{1, 2}}, Arrived: time.Now()})
				time.Sleep(step)
			}
			<-ctx.Done()
			return ctx.Err()
		})
		d := &preferring{decoder: g.decoder}
		open := g.worker.deps.Decoder
		g.worker.deps.Decoder = func(f pipeline.Format, pool *frame.Pool) (Decoder, error) {
			_, err := open(f, pool)
			return d, err
		}
		stop := g.run(t)
		time.Sleep(length + time.Second)
		stop()
		asked := make([]time.Duration, len(g.detector.submitted))
		for i, seq := range g.detector.submitted {
			at := int(seq) - 1 //nolint:gosec // some hundred
			if asked[i] = times[at]; at > 2*group {
				require.NotZero(t, at%group, "a key picture")
			}
			if i > 0 {
				require.InDelta(t, period, asked[i]-asked[i-1], float64(2*step))
			}
		}
		require.InDelta(t, length/period, len(asked), 1)
		require.Equal(t, asked, d.units)
	})
}

func TestKeysForeseen(t *testing.T) {
	const step = 40 * time.Millisecond
	var k keys
	foreseen := func(from, to int, key func(int) bool) (hits, wrong int) {
		for i := from; i < to; i++ {
			pts := time.Duration(i) * step
			k.saw(pts, key(i))
			next, ok := k.after(pts)
			switch {
			case ok && key(i+1):
				require.Equal(t, pts+step, next)
				hits++
			case ok:
				wrong++
			}
		}
		return hits, wrong
	}
	each := func(n int) func(int) bool { return func(i int) bool { return i%n == 0 } }

	hits, wrong := foreseen(0, 31, each(10))
	require.Equal(t, []int{1, 0}, []int{hits, wrong}, "two groups of a length make a third likely")
	_, wrong = foreseen(31, 300, func(i int) bool { return i == 47 || i == 61 || i == 90 })
	require.LessOrEqual(t, wrong, 1, "irregular ones are not foreseen")
	hits, wrong = foreseen(300, 351, each(25))
	require.Equal(t, []int{0, 0}, []int{hits, wrong})
	k = keys{}
	hits, wrong = foreseen(0, 50, each(1))
	require.Equal(t, []int{0, 0}, []int{hits, wrong}, "where all are key pictures, none is better")
}
