package track

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"detectd/detect"
)

func car(x float32, score float32) detect.Detection {
	return detect.Detection{Label: "car", Score: score, Box: detect.Box{X: x, Y: 300, W: 115, H: 80}}
}

// row is ten alike cars side by side, of which a fifth is overlooked in each look and
// half have a low score. A lorry stands before two of them for 25 s out of ten
// minutes, from the first moment on.
func row(r *rand.Rand, at time.Duration, lorry bool) (dets []detect.Detection, cars []int) {
	hidden := lorry && math.Mod(at.Seconds(), 600) < 25
	for i := range 10 {
		if hidden && (i == 3 || i == 4) || r.Float64() < 0.2 {
			continue
		}
		d := car(float32(20+125*i), float32(0.5+0.08*r.NormFloat64()))
		dets, cars = append(dets, jitter(r, d)), append(cars, i)
	}
	return dets, cars
}

// TestParkedFromTheStart looks seldom, for four hours, at a row of parked cars, and
// counts how often one gets another id than it had before, from its first look on.
// Four looks in a row that overlook a car which has been seen once cost it its id.
func TestParkedFromTheStart(t *testing.T) {
	for _, hz := range []float64{0.5, 1} {
		total := 0
		for seed := range uint64(6) {
			r := rand.New(rand.NewPCG(seed, 9))
			tracker := newTracker()
			kept, changes := map[int]string{}, 0
			for i := range int(4 * 3600 * hz) {
				now := at(hz, i)
				dets, cars := row(r, now, hz == 1)
				for k, o := range tracker.Update(now, dets) {
					if o.TrackID == "" {
						continue
					}
					if was := kept[cars[k]]; was != "" && was != o.TrackID {
						changes++
						require.Less(t, now, time.Minute, "seed %d at %v Hz: car %d", seed, hz, cars[k])
					}
					kept[cars[k]] = o.TrackID
				}
			}
			t.Logf("%v Hz, seed %d: %d changes", hz, seed, changes)
			require.LessOrEqual(t, changes, 4, "seed %d at %v Hz", seed, hz)
			total += changes
		}
		require.LessOrEqual(t, total, 6, "at %v Hz", hz)
	}
}

// A car that is overlooked while the next one is found for the first time keeps its
// id, and the next one gets its own.
func TestTheNeighbourIsNotTheSame(t *testing.T) {
	tr := newTracker()
	tr.Update(at(1, 0), []detect.Detection{car(0, 0.9), car(125, 0.9), car(250, 0.9)})
	got := tr.Update(at(1, 1), []detect.Detection{car(0, 0.9), car(125, 0.9), car(375, 0.9)})
	require.Equal(t, []string{"1", "2", ""}, ids(got), "the third or a fourth: the next look tells")
	got = tr.Update(at(1, 2), []detect.Detection{car(0, 0.9), car(125, 0.9), car(250, 0.9), car(375, 0.9)})
	require.Equal(t, []string{"1", "2", "3", "4"}, ids(got))
	require.Empty(t, tr.Ended(at(1, 2)))
}

// What drives off between cars that stay goes on with its id as soon as it is seen
// to go on.
func TestWhatDrivesOffKeepsItsID(t *testing.T) {
	tr := newTracker()
	for i := range 20 {
		tr.Update(at(1, i), []detect.Detection{car(0, 0.9), car(125, 0.9), car(250, 0.9)})
	}
	for i, want := range []string{"", "3", "3", "3"} {
		got := tr.Update(at(1, 20+i), []detect.Detection{car(0, 0.9), car(125, 0.9), car(float32(400+150*i), 0.9)})
		require.Equal(t, []string{"1", "2", want}, ids(got), "look %d", i)
		require.Empty(t, tr.Ended(at(1, 20+i)))
	}
	require.ElementsMatch(t, []string{"1", "2", "3"}, tr.Ended(math.MaxInt64), "each ends once")
}

// Where nothing shows that its kind stands still, a walker is followed from its
// second sighting on.
func TestWalkersAreFollowedAtOnce(t *testing.T) {
	for n := range 3 {
		tr := newTracker()
		for i := range 8 {
			dets := []detect.Detection{person(100+70*float32(i), 100, 40, 100, 0.9)}
			want := []string{"1"}
			for k := range n {
				dets = append(dets, person(800-70*float32(i), 300+150*float32(k), 40, 100, 0.9))
				want = append(want, fmt.Sprint(k+2))
			}
			require.Equal(t, want, ids(tr.Update(at(1, i), dets)), "look %d, %d others", i, n)
		}
	}
}
