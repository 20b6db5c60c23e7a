package zone

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"detectd/pipeline/bus"
	"detectd/store"
)

// star is a random polygon around a middle: its sides never cross.
func star(r *rand.Rand, id string) store.Zone {
	z := store.Zone{ID: id, Loiter: time.Duration(r.IntN(3)) * time.Second}
	x, y := 0.2+0.6*r.Float64(), 0.2+0.6*r.Float64()
	n := 3 + r.IntN(8)
	for i := range n {
		far := 0.05 + 0.15*r.Float64()
		c := circle(float64(i) / float64(n))
		z.Polygon = append(z.Polygon, store.Point{x + far*c.x, y + far*c.y})
	}
	return z
}

// circle is the point at a share of the way around the unit circle, on a square.
func circle(share float64) point {
	switch side, at := int(4*share), 4*share-float64(int(4*share)); side {
	case 0:
		return point{1 - 2*at, 1}
	case 1:
		return point{-1, 1 - 2*at}
	case 2:
		return point{-1 + 2*at, -1}
	default:
		return point{1, -1 + 2*at}
	}
}

// Whatever objects do: each enters before it leaves, by turns and not back in
// time, loiters only inside, and when all have ended nobody is left anywhere.
func TestAnyMovement(t *testing.T) {
	for seed := range uint64(40) {
		r := rand.New(rand.NewPCG(seed, 3))
		m := zones(star(r, "a"), star(r, "b"))
		m.Lines = []store.Line{gate()}
		rig := newRig(t, m)
		rig.proven = proven
		at := map[string]point{}
		for i := range 3000 {
			var objects []store.Object
			for n := range 4 {
				id := fmt.Sprint(n, "-", i/700) // tracks that go on without each other
				p, ok := at[id]
				if !ok {
					p = point{1000 * r.Float64(), 500 * r.Float64()}
				}
				step := 12.0
				if r.IntN(200) == 0 {
					step = 400
				}
				p = point{min(1000, max(0, p.x+step*r.NormFloat64())), min(500, max(0, p.y+step*r.NormFloat64()))}
				at[id] = p
				if r.IntN(5) > 0 {
					objects = append(objects, stand(id, p.x, p.y))
				}
			}
			rig.step(objects...)
			if i == 1500 && seed%2 == 0 { // the same zones, in another document
				again := m
				again.Revision++
				rig.current.Store(&again)
			}
			if i%700 == 699 && r.IntN(2) == 0 {
				for n := range 4 {
					rig.Track(store.Track{ID: fmt.Sprint(n, "-", i/700), Ended: true})
				}
			}
		}
		for id := range at {
			rig.Track(store.Track{ID: id, Ended: true})
		}
		require.Empty(t, rig.objects)
		for _, z := range rig.zones {
			require.Empty(t, z.inside, "seed %d", seed)
		}
		requireTurns(t, rig.events)
		entered, exited := int64(0), int64(0)
		for _, n := range rig.tally.take() {
			require.True(t, n.Present >= 0 && n.Most >= 0)
			entered, exited = entered+n.Entered, exited+n.Exited
		}
		require.Equal(t, entered, exited)
	}
}

func requireTurns(t *testing.T, events []bus.ZoneEvent) {
	t.Helper()
	inside, last := map[string]time.Time{}, map[string]time.Time{}
	for _, e := range events {
		key := e.ZoneID + "/" + e.TrackID
		since, in := inside[key]
		switch e.Kind {
		case Entered:
			require.False(t, in, "entered twice")
			require.False(t, e.Time.Before(last[key]))
			inside[key] = e.Time
		case Left:
			require.True(t, in, "left without having entered")
			require.Equal(t, e.Stayed, e.Time.Sub(since))
			require.GreaterOrEqual(t, e.Stayed, time.Duration(0))
			delete(inside, key)
			last[key] = e.Time
		case Loitering:
			require.True(t, in)
			require.Equal(t, e.Stayed, e.Time.Sub(since))
		}
	}
	require.Empty(t, inside)
}
