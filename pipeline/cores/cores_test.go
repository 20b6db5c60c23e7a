package cores

import (
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestNoMoreThanTheProcessors(t *testing.T) {
	c := New(2)
	var running, most atomic.Int64
	var wg sync.WaitGroup
	for i := range 40 {
		side := []*Side{c.First(), c.Second()}[i%2]
		wg.Go(func() {
			for range 50 {
				side.Run(func() {
					n := running.Add(1)
					for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
					}
					running.Add(-1)
				})
			}
		})
	}
	wg.Wait()
	require.LessOrEqual(t, most.Load(), int64(2))
	require.Equal(t, 2, c.free)
}

// demand runs work of a side from n callers without a pause for 10 s and counts it.
func demand(wg *sync.WaitGroup, s *Side, n int, cost time.Duration, done *atomic.Int64) {
	end := time.Now().Add(10 * time.Second)
	for range n {
		wg.Go(func() {
			for time.Now().Before(end) {
				s.Run(func() { time.Sleep(cost) })
				done.Add(1)
			}
		})
	}
}

func TestSharesWhenBothWantAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := New(2)
		var infer, decode atomic.Int64
		var wg sync.WaitGroup
		demand(&wg, c.First(), 3, 50*time.Millisecond, &infer)
		demand(&wg, c.Second(), 20, 4*time.Millisecond, &decode)
		wg.Wait()
		require.InDelta(t, 10*time.Second, time.Duration(infer.Load())*50*time.Millisecond, float64(time.Second))
		require.InDelta(t, 10*time.Second, time.Duration(decode.Load())*4*time.Millisecond, float64(time.Second))
	})
}

func TestFirstGoesFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := New(1)
		var wg sync.WaitGroup
		var order []string
		wg.Go(func() { c.Second().Run(func() { time.Sleep(time.Second) }) })
		synctest.Wait()
		wg.Go(func() { c.Second().Run(func() { order = append(order, "second") }) })
		synctest.Wait()
		wg.Go(func() { c.First().Run(func() { order = append(order, "first") }) })
		wg.Wait()
		require.Equal(t, []string{"first", "second"}, order)
	})
}

func TestOldestGoesFirstWithinASide(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := New(1)
		var wg sync.WaitGroup
		var order []string
		add := func(name string, age time.Duration) {
			since := time.Now().Add(-age)
			wg.Go(func() { c.Second().RunSince(since, func() { order = append(order, name) }) })
			synctest.Wait()
		}
		wg.Go(func() { c.Second().Run(func() { time.Sleep(time.Second) }) })
		synctest.Wait()
		add("new", 0)
		add("older", 100*time.Millisecond)
		add("kept", time.Hour)
		add("old", 50*time.Millisecond)
		time.Sleep(50 * time.Millisecond)
		add("newest", 0)
		add("kept too", 2*time.Hour)
		wg.Wait()
		require.Equal(t, []string{"kept", "older", "kept too", "old", "new", "newest"}, order)
	})
}

func TestGivesBackAfterAPanic(t *testing.T) {
	c := New(1)
	require.Panics(t, func() { c.First().Run(func() { panic("broken") }) })
	c.Second().Run(func() {})
}

func TestSpareLeavesOneFree(t *testing.T) {
	c := New(2)
	require.True(t, c.Spare(func() {
		require.False(t, c.Spare(func() {}), "the other one stays free")
		c.First().Run(func() {})
	}))
	c.First().Run(func() { require.False(t, c.Spare(func() {})) })
	require.True(t, c.Spare(func() {}))

	one := New(1)
	require.True(t, one.Spare(func() { require.False(t, one.Spare(func() {})) }), "there is no other")
	one.Second().Run(func() { require.False(t, one.Spare(func() {})) })
}
