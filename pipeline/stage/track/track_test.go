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

func newTracker() *Tracker {
	n := 0
	return New(Config{}, func() string { n++; return fmt.Sprint(n) })
}

func person(x, y, w, h, score float32) detect.Detection {
	return detect.Detection{Label: "person", Score: score, Box: detect.Box{X: x, Y: y, W: w, H: h}}
}

func ids(objects []detect.Object) []string {
	var out []string
	for _, o := range objects {
		out = append(out, o.TrackID)
	}
	return out
}

func at(hz float64, i int) time.Duration {
	return time.Duration(float64(i) / hz * float64(time.Second))
}

// jitter is what a detector adds to a box: a few percent of its size.
func jitter(r *rand.Rand, d detect.Detection) detect.Detection {
	n := func(size float32) float32 { return float32(r.NormFloat64()) * 0.03 * size }
	d.Box.X += n(d.Box.W)
	d.Box.Y += n(d.Box.H)
	d.Box.W += n(d.Box.W)
	d.Box.H += n(d.Box.H)
	return d
}

// scene is two people who cross, one who walks behind a post for a second, a
// parked car, and a small fast ball, at a given second.
func scene(s float64) []detect.Detection {
	f := float32(s)
	dets := []detect.Detection{
		person(100+80*f, 100, 40, 100, 0.9),
		person(740-80*f, 125, 40, 100, 0.8),
		{ClassID: 2, Label: "car", Score: 0.7, Box: detect.Box{X: 600, Y: 400, W: 200, H: 100}},
		{ClassID: 5, Label: "ball", Score: 0.65, Box: detect.Box{X: 20 + 60*f, Y: 500 - 20*f, W: 16, H: 16}},
	}
	if s < 3 || s >= 4 {
		dets = append(dets, person(50+50*f, 300, 40, 100, 0.6))
	}
	return dets
}

// The same scene has the same tracks however often it is looked at.
func TestRatesGiveTheSameIDs(t *testing.T) {
	for _, hz := range []float64{5, 10, 15, 25, 60} {
		t.Run(fmt.Sprint(hz), func(t *testing.T) {
			tr, r := newTracker(), rand.New(rand.NewPCG(1, 2))
			want := []string{"1", "2", "3", "4", "5"}
			for i := range int(8 * hz) {
				dets := scene(float64(i) / hz)
				for j := range dets {
					dets[j] = jitter(r, dets[j])
				}
				require.Equal(t, want[:len(dets)], ids(tr.Update(at(hz, i), dets)), "second %v", float64(i)/hz)
				require.Empty(t, tr.Ended(at(hz, i)))
			}
			require.ElementsMatch(t, want, tr.Ended(math.MaxInt64))
		})
	}
}

func TestUnevenSteps(t *testing.T) {
	tr, r := newTracker(), rand.New(rand.NewPCG(3, 4))
	for s := 0.0; s < 8; s += 0.02 + 0.3*r.Float64() {
		want := []string{"1", "2", "3", "4", "5"}
		dets := scene(s)
		require.Equal(t, want[:len(dets)], ids(tr.Update(time.Duration(s*1e9), dets)), "second %v", s)
	}
}

func TestSeldomLookedAt(t *testing.T) {
	tr := newTracker()
	for i := range 100 { // every two seconds or a bit more, one look in seven finds nothing
		now := time.Duration(i)*2*time.Second + time.Duration(i%3)*30*time.Millisecond
		if i%7 == 6 {
			tr.Update(now, nil)
			continue
		}
		require.Equal(t, []string{"1"}, ids(tr.Update(now, []detect.Detection{person(100, 100, 40, 100, 0.9)})))
	}
}

func TestStationaryKeepsItsID(t *testing.T) {
	tr, r := newTracker(), rand.New(rand.NewPCG(5, 6))
	for i := range 10000 {
		d := jitter(r, person(300, 200, 80, 60, 0.55+0.15*float32(r.NormFloat64())))
		if r.IntN(5) == 0 && i > 0 {
			tr.Update(at(5, i), nil)
			continue
		}
		if i == 0 {
			d.Score = 0.9
		}
		require.Equal(t, []string{"1"}, ids(tr.Update(at(5, i), []detect.Detection{d})), "update %d", i)
		require.Len(t, tr.tracks, 1)
	}
	p := tr.Predict(at(5, 10000))
	if len(p) == 1 {
		require.InDelta(t, 300, p[0].Box.X, 10, "a parked object does not drift")
	}
}

// TestParkedRow looks once a second, for an hour, at a row of alike cars of which a
// fifth is overlooked each time and half have a low score.
func TestParkedRow(t *testing.T) {
	for seed := range uint64(5) {
		r := rand.New(rand.NewPCG(seed, 9))
		tracker := newTracker()
		kept, changes := map[int]string{}, 0
		for i := range 3600 {
			var dets []detect.Detection
			var cars []int
			for car := range 10 {
				if r.Float64() < 0.2 {
					continue
				}
				d := detect.Detection{Label: "car", Score: float32(0.5 + 0.08*r.NormFloat64())}
				d.Box = detect.Box{X: float32(20 + 125*car), Y: 300, W: 115, H: 80}
				dets, cars = append(dets, jitter(r, d)), append(cars, car)
			}
			for k, o := range tracker.Update(at(1, i), dets) {
				if i < 60 { // until all have been seen for 10 s
					kept[cars[k]] = o.TrackID
				} else if o.TrackID != kept[cars[k]] {
					changes++
				}
			}
		}
		require.Zero(t, changes, "seed %d", seed)
	}
}

// Something that has stood still for a while may be hidden for half a minute.
func TestStillObjectsAreWaitedFor(t *testing.T) {
	tr := newTracker()
	car := person(300, 200, 80, 60, 0.9)
	for i := range 60 {
		tr.Update(at(5, i), []detect.Detection{car})
	}
	away := person(300, 380, 80, 60, 0.9)
	for i := 60; i < 190; i++ {
		require.Equal(t, []string{"2"}, ids(tr.Update(at(5, i), []detect.Detection{away})), "what comes beside it is another one")
	}
	require.Equal(t, []string{"1", "2"}, ids(tr.Update(at(5, 190), []detect.Detection{car, away})), "26 s later")
	require.Empty(t, tr.Ended(at(5, 190)))
	for i := 191; i < 400; i++ {
		tr.Update(at(5, i), nil)
	}
	require.ElementsMatch(t, []string{"1", "2"}, tr.Ended(at(5, 400)), "not for ever")

	tr = newTracker()
	for i := range 60 {
		tr.Update(at(5, i), []detect.Detection{person(float32(10*i), 200, 80, 60, 0.9)})
	}
	for i := 60; i < 80; i++ {
		tr.Update(at(5, i), nil)
	}
	require.Equal(t, []string{"1"}, tr.Ended(at(5, 80)), "what walks is given up after 2 s")

	// It starts to move: the id goes with it.
	tr = newTracker()
	for i := range 200 {
		x := 300 + 8*float32(max(0, i-100))
		require.Equal(t, []string{"1"}, ids(tr.Update(at(5, i), []detect.Detection{person(x, 200, 80, 60, 0.9)})), "update %d", i)
	}
}

func TestConfirmation(t *testing.T) {
	weak, strong := person(10, 10, 40, 100, 0.4), person(400, 10, 40, 100, 0.9)
	tr := newTracker()
	require.Equal(t, []string{"", "1"}, ids(tr.Update(at(5, 0), []detect.Detection{weak, strong})), "a strong one at once")
	require.Equal(t, []string{"2", "1"}, ids(tr.Update(at(5, 1), []detect.Detection{weak, strong})), "a weak one at its second sighting")

	tr = newTracker()
	tr.Update(at(5, 0), []detect.Detection{weak})
	for i := 1; i < 10; i++ {
		tr.Update(at(5, i), nil)
	}
	require.Empty(t, tr.tracks, "a weak one seen once is forgotten")
	require.Empty(t, tr.Ended(at(5, 10)), "and never had an id")
}

func TestLowScoresContinueButDoNotTakeOver(t *testing.T) {
	tr := newTracker()
	for i := range 20 {
		score := float32(0.9)
		if i%2 == 1 {
			score = 0.2
		}
		require.Equal(t, "1", tr.Update(at(5, i), []detect.Detection{person(100, 100, 40, 100, score)})[0].TrackID)
	}
	// A weak box nearer to the prediction than the strong one does not get the id.
	got := tr.Update(at(5, 20), []detect.Detection{person(100, 100, 40, 100, 0.2), person(104, 100, 40, 100, 0.9)})
	require.Equal(t, []string{"", "1"}, ids(got))
}

func TestClassesDoNotMix(t *testing.T) {
	tr := newTracker()
	car := detect.Detection{ClassID: 2, Label: "car", Score: 0.9, Box: detect.Box{X: 100, Y: 100, W: 40, H: 100}}
	tr.Update(at(5, 0), []detect.Detection{person(100, 100, 40, 100, 0.9)})
	require.Equal(t, "2", tr.Update(at(5, 1), []detect.Detection{car})[0].TrackID)
	// Another model may number the same label differently.
	car.ClassID = 7
	require.Equal(t, "2", tr.Update(at(5, 2), []detect.Detection{car})[0].TrackID)
}

func TestLostTracksEnd(t *testing.T) {
	tr := newTracker()
	d := []detect.Detection{person(100, 100, 40, 100, 0.9)}
	tr.Update(0, d)
	for i := 1; i <= 10; i++ { // 2 s at 5 Hz
		tr.Update(at(5, i), nil)
		require.Empty(t, tr.Ended(at(5, i)))
	}
	tr.Update(at(5, 11), nil)
	require.Equal(t, []string{"1"}, tr.Ended(at(5, 11)))
	require.Equal(t, []string{"2"}, ids(tr.Update(at(5, 12), d)))
	require.Equal(t, []string{"3"}, ids(tr.Update(time.Hour, d)), "a long break ends tracks too")
	require.Equal(t, []string{"2"}, tr.Ended(time.Hour))
}

func TestTimeThatDoesNotGrow(t *testing.T) {
	tr := newTracker()
	d := []detect.Detection{person(100, 100, 40, 100, 0.9)}
	tr.Update(time.Second, d)
	for _, now := range []time.Duration{time.Second, 0, -time.Second} {
		require.Equal(t, []string{""}, ids(tr.Update(now, d)))
	}
	require.Equal(t, []string{"1"}, ids(tr.Update(2*time.Second, d)))
}

func TestPredict(t *testing.T) {
	tr := newTracker()
	require.Empty(t, tr.Predict(0))
	for i := range 20 {
		tr.Update(at(5, i), []detect.Detection{person(100+20*float32(i), 100, 40, 100, 0.9)})
	}
	for _, half := range []int{0, 1, 2} { // up to 0.4 s ahead
		p := tr.Predict(at(5, 19+half))
		require.Len(t, p, 1)
		require.Equal(t, "1", p[0].TrackID)
		require.InDelta(t, 480+20*half, p[0].Box.X, 4)
		require.InDelta(t, 100, p[0].Box.H, 2)
	}
	tr.Update(at(5, 20), nil)
	require.Empty(t, tr.Predict(at(5, 20)), "an object that was not seen is not predicted")
}

func TestUnusableBoxes(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	tr := newTracker()
	bad := []detect.Detection{
		person(nan, 0, 1, 1, 0.9), person(0, inf, 1, 1, 0.9), person(0, 0, 0, 1, 0.9), person(0, 0, 1, -1, 0.9),
		person(0, 0, inf, 1, 0.9), person(10, 10, 5, 5, nan),
	}
	for i := range 3 {
		got := ids(tr.Update(at(5, i), bad))
		require.Equal(t, []string{"", "", "", "", ""}, got[:5])
	}
	require.Empty(t, newTracker().Update(0, nil))
}

func TestBounded(t *testing.T) {
	tr := New(Config{MaxObjects: 8}, func() string { return "x" })
	r := rand.New(rand.NewPCG(9, 9))
	for i := range 200 {
		var dets []detect.Detection
		for range 50 {
			dets = append(dets, person(1e4*r.Float32(), 1e4*r.Float32(), 20, 20, 0.9))
		}
		require.Len(t, tr.Update(at(30, i), dets), 50)
		require.LessOrEqual(t, len(tr.tracks), 16)
	}
}

func TestDeterministic(t *testing.T) {
	run := func() (out []string) {
		tr, r := newTracker(), rand.New(rand.NewPCG(7, 8))
		for i := range 300 {
			var dets []detect.Detection
			for range r.IntN(12) {
				dets = append(dets, person(600*r.Float32(), 400*r.Float32(), 60, 90, r.Float32()))
			}
			out = append(out, ids(tr.Update(at(10, i), dets))...)
			out = append(out, tr.Ended(at(10, i))...)
		}
		return out
	}
	first, second := run(), run()
	require.Equal(t, first, second)
}

// One step of the filter equals many short ones.
func TestKalmanStepsAddUp(t *testing.T) {
	m := newMotion(0, detect.Box{X: 10, Y: 20, W: 30, H: 40})
	m = m.ahead(time.Second / 5).seen(detect.Box{X: 20, Y: 20, W: 30, H: 40})
	one, many := m.ahead(time.Second), m
	for i := 1; i <= 48; i++ {
		many = many.ahead(m.at + time.Duration(i)*(time.Second-m.at)/48)
	}
	require.InDelta(t, one.x.p, many.x.p, 1e-6)
	require.InDelta(t, one.x.pp, many.x.pp, 1e-6)
	require.InDelta(t, one.h.pv, many.h.pv, 1e-6)
	require.InDelta(t, one.y.vv, many.y.vv, 1e-6)
}

func BenchmarkUpdate(b *testing.B) {
	tr := newTracker()
	for i := 0; b.Loop(); i++ {
		tr.Update(at(30, i), scene(float64(i%200)/30))
	}
}
