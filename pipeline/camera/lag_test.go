package camera

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"detectd/pipeline"
)

// lagged feeds units of a camera with 25 pictures a second and a key unit every
// second to a decoder that takes cost for each. It returns the dropped ones and
// the ages of the others when they were decoded.
func lagged(l *lag, units int, stall map[int]time.Duration, cost time.Duration) (dropped []int, ages []time.Duration) {
	begin := time.Unix(1000, 0)
	now := begin
	for i := range units {
		arrived := begin.Add(time.Duration(i) * 40 * time.Millisecond)
		if now.Before(arrived) {
			now = arrived
		}
		now = now.Add(stall[i])
		if l.drops(pipeline.Unit{Arrived: arrived, Key: i%25 == 0}, now) {
			dropped = append(dropped, i)
			continue
		}
		ages = append(ages, now.Sub(arrived))
		now = now.Add(cost)
	}
	return dropped, ages
}

func TestLagMakesUpForAStall(t *testing.T) {
	dropped, _ := lagged(&lag{}, 250, map[int]time.Duration{30: time.Second}, 5*time.Millisecond)
	require.Empty(t, dropped)
}

func TestLagMakesUpForABurst(t *testing.T) {
	for name, c := range map[string]struct {
		stall, cost time.Duration
		kept        bool
	}{
		"half of the time is free":           {500 * time.Millisecond, 20 * time.Millisecond, true},
		"a third is":                         {400 * time.Millisecond, 26 * time.Millisecond, true},
		"little is, and the stall was short": {200 * time.Millisecond, 34 * time.Millisecond, true},
		"little is":                          {500 * time.Millisecond, 38 * time.Millisecond, false},
		"nothing is":                         {200 * time.Millisecond, 40 * time.Millisecond, false},
	} {
		t.Run(name, func(t *testing.T) {
			dropped, ages := lagged(&lag{}, 500, map[int]time.Duration{30: c.stall}, c.cost)
			require.Equal(t, c.kept, len(dropped) == 0, "%d dropped", len(dropped))
			require.Less(t, ages[len(ages)-1], lateAge)
		})
	}
}

func TestLagGivesUpAfterALongStall(t *testing.T) {
	dropped, ages := lagged(&lag{}, 500, map[int]time.Duration{30: 5 * time.Second}, 10*time.Millisecond)
	require.NotEmpty(t, dropped)
	require.Greater(t, dropped[0], 30)
	last := dropped[len(dropped)-1]
	require.Equal(t, 24, last%25, "decoding goes on with a key unit")
	require.Len(t, dropped, last-dropped[0]+1, "all in one go")
	require.Less(t, ages[len(ages)-1], lateAge)
}

func TestLagKeepsOverloadFresh(t *testing.T) {
	// Half of what comes can be decoded.
	dropped, ages := lagged(&lag{}, 25*60, nil, 80*time.Millisecond)
	require.Greater(t, len(ages), 7*60, "a camera alone has to wait for key units")
	require.NotEmpty(t, dropped)
	for _, age := range ages {
		require.Less(t, age, lateAge+patience)
	}
}

func TestLagWaitsForAKeyUnitThatIsOnTime(t *testing.T) {
	l := lag{skipping: true}
	now := time.Unix(1000, 0)
	require.True(t, l.drops(pipeline.Unit{Arrived: now.Add(-time.Second), Key: true}, now))
	require.True(t, l.drops(pipeline.Unit{Arrived: now}, now))
	require.False(t, l.drops(pipeline.Unit{Arrived: now, Key: true}, now))
	require.False(t, l.drops(pipeline.Unit{Arrived: now}, now))
}
