package steady_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"detectd/pipeline"
	"detectd/pipeline/steady"
)

var start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

const tick = 40 * time.Millisecond

func at(n int, off time.Duration) pipeline.Unit {
	pts := time.Duration(n) * tick
	return pipeline.Unit{PTS: pts, DTS: pts, Key: n%10 == 0, Time: start.Add(pts + off), TimeError: time.Millisecond}
}

func TestNothingChangesWhereNothingIsWrong(t *testing.T) {
	var l steady.Line
	for n := range 100 {
		u := at(n, time.Duration(n%3)*time.Millisecond) // noise below the tolerance
		l.Place(&u)
		require.Equal(t, start.Add(u.PTS), u.Time)
		require.Equal(t, time.Millisecond+time.Duration(n%3)*time.Millisecond, u.TimeError)
	}
}

func TestForwardsAtTheNextKey(t *testing.T) {
	var l steady.Line
	for n := range 25 {
		off := time.Duration(0)
		if n >= 5 {
			off = time.Minute
		}
		u := at(n, off)
		l.Place(&u)
		if n >= 5 && n < 10 {
			require.Equal(t, start.Add(u.PTS), u.Time, "within a file's group nothing moves")
			require.Equal(t, time.Minute+time.Millisecond, u.TimeError, "and what is known better is stated")
			continue
		}
		require.Equal(t, start.Add(u.PTS+off), u.Time)
		require.Equal(t, time.Millisecond, u.TimeError)
	}
}

func TestBackwardsLittleByLittle(t *testing.T) {
	var l steady.Line
	last := time.Time{}
	for n := range 200 {
		off := time.Duration(0)
		if n >= 5 {
			off = -200 * time.Millisecond
		}
		u := at(n, off)
		l.Place(&u)
		require.True(t, u.Time.After(last))
		require.LessOrEqual(t, u.Time.Sub(start.Add(u.PTS+off)).Abs(), u.TimeError)
		last = u.Time
		if n > 120 { // eleven key units later
			require.Equal(t, start.Add(u.PTS+off), u.Time)
		}
	}
}

// TestOrder: shown in the order of PTS, times grow, whatever the source claims,
// with pictures out of order and gaps between sessions.
func TestOrder(t *testing.T) {
	for seed := range uint64(200) {
		random := rand.New(rand.NewPCG(seed, 1))
		var l steady.Line
		var pts, off time.Duration
		times := map[time.Duration]time.Time{}
		var order []time.Duration
		place := func(pts, dts time.Duration, key bool) {
			u := pipeline.Unit{PTS: pts, DTS: dts, Key: key, Time: start.Add(pts + off)}
			l.Place(&u)
			require.LessOrEqual(t, u.Time.Sub(start.Add(pts+off)).Abs(), u.TimeError)
			times[pts] = u.Time
		}
		for n := range 300 {
			switch random.IntN(30) {
			case 0:
				off += time.Duration(random.Int64N(int64(2*time.Hour))) - time.Hour
			case 1:
				off += time.Duration(random.Int64N(int64(time.Second))) - 500*time.Millisecond
			case 2:
				pts += time.Duration(random.Int64N(int64(5 * time.Second))) // another session
			}
			// A picture, then the two that are shown before it.
			key := n%8 == 0
			place(pts+3*tick, pts, key)
			place(pts+tick, pts+tick, false)
			place(pts+2*tick, pts+2*tick, false)
			order = append(order, pts+tick, pts+2*tick, pts+3*tick)
			pts += 3 * tick
		}
		for i := 1; i < len(order); i++ {
			require.True(t, times[order[i]].After(times[order[i-1]]), "seed %d: %s", seed, order[i])
		}
	}
}
