package share

import (
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"detectd/pipeline/cores"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// stream is a camera of a test.
type stream struct {
	fps    int
	group  int // units; 0: one key unit, at the start
	weight float64
	phase  time.Duration
	until  time.Duration // when it ends; 0: with the test
}

// outcome is what became of a stream.
type outcome struct {
	units, decoded int
	late           int // decoded of which the turn came later than 0.25 s
	broken         int // decoded without what they need
	gone           time.Duration
}

func (o outcome) share() float64 { return float64(o.decoded) / float64(o.units) }

type coded struct {
	arrived, dts time.Duration
	key          bool
}

// play has the streams decoded for a time by processors, each unit in cost and a key
// unit in four times that. Units of the first ten seconds are not counted. busy is
// the part of the time in which the processors worked.
func play(streams []stream, processors int, cost, length time.Duration) (outcomes []outcome, busy float64) {
	const warm = 10 * time.Second
	begin := time.Now()
	shares, c := New(), cores.New(processors)
	outcomes = make([]outcome, len(streams))
	work := make([]time.Duration, len(streams))
	var wg sync.WaitGroup
	for i, s := range streams {
		queue := make(chan coded, 10000)
		end := length
		if s.until > 0 {
			end = s.until
		}
		wg.Go(func() {
			defer close(queue)
			time.Sleep(s.phase)
			for n := 0; time.Since(begin) < end; n++ {
				key := n == 0 || s.group > 0 && n%s.group == 0
				queue <- coded{time.Since(begin), time.Duration(n) * time.Second / time.Duration(s.fps), key}
				time.Sleep(time.Second / time.Duration(s.fps))
			}
		})
		wg.Go(func() {
			camera := shares.Camera(s.weight)
			defer camera.Leave()
			o := &outcomes[i]
			last, whole := warm, false
			for u := range queue {
				counts := u.arrived > warm
				if counts {
					o.units++
				}
				if camera.Skip(u.key, u.dts, begin.Add(u.arrived)) {
					whole = false
					continue
				}
				if whole = whole || u.key; !whole {
					o.broken++
				}
				took := cost
				if u.key {
					took = 4 * cost
				}
				var age time.Duration
				c.Second().RunSince(begin.Add(u.arrived), func() {
					age = time.Since(begin) - u.arrived
					time.Sleep(took)
				})
				camera.Served(age, took)
				if !counts {
					continue
				}
				o.decoded++
				o.gone = max(o.gone, u.arrived-last)
				last = u.arrived
				if age > 250*time.Millisecond {
					o.late++
				}
				if u.arrived < length-time.Second {
					work[i] += took
				}
			}
		})
	}
	wg.Wait()
	total := time.Duration(0)
	for _, w := range work {
		total += w
	}
	return outcomes, float64(total) / float64(length-warm-time.Second) / float64(processors)
}

// crowd is n like streams whose key units come at moments of chance.
func crowd(n int, like stream, seed uint64) []stream {
	rng := rand.New(rand.NewPCG(seed, 1))
	out := make([]stream, n)
	for i := range out {
		out[i] = like
		out[i].phase = time.Duration(rng.Int64N(int64(2 * time.Second)))
	}
	return out
}

func sharesOf(outcomes []outcome) (least, mean, most float64) {
	least = 1
	for _, o := range outcomes {
		mean += o.share() / float64(len(outcomes))
		least, most = min(least, o.share()), max(most, o.share())
	}
	return least, mean, most
}

func TestAllIsDecodedWhileItCanBe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		outcomes, _ := play(crowd(10, stream{fps: 25, group: 50}, 1), 1, 3400*time.Microsecond, 60*time.Second)
		for _, o := range outcomes {
			require.Equal(t, o.units, o.decoded)
		}
	})
}

func TestOverloadIsShared(t *testing.T) {
	for name, c := range map[string]struct {
		streams    []stream
		processors int
		cost       time.Duration
		least      float64 // the least share of a stream over the mean
		busy       float64
	}{
		"half too much":        {crowd(16, stream{fps: 25, group: 50}, 1), 1, 3500 * time.Microsecond, 0.95, 0.97},
		"twice too much":       {crowd(16, stream{fps: 25, group: 50}, 2), 1, 4700 * time.Microsecond, 0.93, 0.97},
		"two processors":       {crowd(16, stream{fps: 25, group: 50}, 3), 2, 7000 * time.Microsecond, 0.95, 0.97},
		"short groups":         {crowd(16, stream{fps: 25, group: 12}, 4), 1, 3000 * time.Microsecond, 0.97, 0.97},
		"fast":                 {crowd(8, stream{fps: 140, group: 60}, 11), 2, 3 * time.Millisecond, 0.9, 0.95},
		"long groups":          {crowd(16, stream{fps: 25, group: 200}, 5), 1, 3700 * time.Microsecond, 0.8, 0.85},
		"one stream":           {crowd(1, stream{fps: 100, group: 50}, 6), 1, 15 * time.Millisecond, 1, 0.9},
		"nothing but keys":     {crowd(16, stream{fps: 25, group: 1}, 7), 1, time.Millisecond, 0.97, 0.97},
		"groups of all kinds":  {slices.Concat(crowd(6, stream{fps: 25, group: 25}, 8), crowd(6, stream{fps: 25, group: 100}, 9), crowd(4, stream{fps: 15, group: 60}, 10)), 1, 3800 * time.Microsecond, 0.93, 0.97},
		"keys all at one time": {slices.Repeat([]stream{{fps: 25, group: 50}}, 16), 1, 3500 * time.Microsecond, 0.9, 0.8},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				outcomes, busy := play(c.streams, c.processors, c.cost, 70*time.Second)
				least, mean, most := sharesOf(outcomes)
				t.Logf("shares %.3f %.3f %.3f, busy %.3f", least, mean, most, busy)
				require.Less(t, mean, 0.9)
				require.GreaterOrEqual(t, least/mean, c.least)
				require.GreaterOrEqual(t, busy, c.busy)
				for _, o := range outcomes {
					require.Zero(t, o.broken)
					require.LessOrEqual(t, o.late, o.decoded/6)
				}
			})
		})
	}
}

func TestWeightsCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		streams := slices.Concat(crowd(8, stream{fps: 25, group: 50, weight: 2}, 1), crowd(8, stream{fps: 25, group: 50}, 2))
		outcomes, busy := play(streams, 1, 5500*time.Microsecond, 70*time.Second)
		heavy, mean, _ := sharesOf(outcomes[:8])
		_, light, _ := sharesOf(outcomes[8:])
		require.InDelta(t, 2, mean/light, 0.2)
		require.Greater(t, heavy/mean, 0.9)
		require.Greater(t, busy, 0.97)
	})
}

func TestAllIsDecodedAgainWhenTheLoadFalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		streams := crowd(16, stream{fps: 25, group: 50}, 1)
		for i := range 8 {
			streams[i].until = 9 * time.Second // half of all, before anything is counted
		}
		outcomes, _ := play(streams, 1, 3500*time.Microsecond, 40*time.Second)
		for _, o := range outcomes[8:] {
			require.InDelta(t, o.units, o.decoded, 50, "what was stopped comes back with its next key unit")
		}
	})
}

// A stream without key units cannot come back, so it is left alone, and the others
// give up what it takes.
func TestStreamsWithoutKeysAreNotStopped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		streams := append(crowd(8, stream{fps: 25, group: 50}, 1), stream{fps: 25})
		outcomes, busy := play(streams, 1, 6*time.Millisecond, 60*time.Second)
		require.Equal(t, outcomes[8].units, outcomes[8].decoded)
		least, mean, _ := sharesOf(outcomes[:8])
		require.Greater(t, least/mean, 0.9)
		require.Greater(t, busy, 0.97)
	})
}

func TestNobodyStarves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		outcomes, _ := play(crowd(32, stream{fps: 25, group: 50}, 3), 1, 6*time.Millisecond, 70*time.Second)
		for _, o := range outcomes {
			require.NotZero(t, o.decoded)
			require.Less(t, o.gone, 6*time.Second)
		}
	})
}

// served has a camera decode units, of which the turns come late, until it is to
// skip one.
func served(c *Camera, from, units, group int) (stopped bool) {
	const every = 40 * time.Millisecond
	for n := from; n < from+units; n++ {
		if c.Skip(n%group == 0, time.Duration(n)*every, time.Now()) {
			return true
		}
		c.Served(2*fresh, 2*every)
		time.Sleep(every)
	}
	return false
}

func TestRestingCamerasAreNotStopped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New()
		a, b := s.Camera(1), s.Camera(1)
		require.False(t, served(b, 0, 20, 20), "the length of its groups is not known yet")
		b.Rest()
		require.True(t, served(a, 0, 60, 20), "it alone is to blame")
		require.False(t, b.stopped)
		a.Leave()
		b.Leave()
		require.Empty(t, s.cameras)
	})
}

func TestACameraThatGaveUpAsksForNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New()
		a, b := s.Camera(1), s.Camera(1)
		require.True(t, served(a, 0, 60, 20))
		b.Skip(true, 0, time.Now())
		b.GivenUp()
		require.True(t, b.Skip(false, time.Second/25, time.Now()), "it waits for a key unit")
		require.False(t, b.Skip(true, 2*time.Second/25, time.Now()))
	})
}
