package camera

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"detectd/pipeline/activity"
	"detectd/pipeline/bus"
	"detectd/pipeline/simulate"
	"detectd/pipeline/stage/zone"
	"detectd/store"
)

// yard keeps what the zones of a camera tell. It is the bus and the store of a
// zone.Stage.
type yard struct {
	zones []store.ZoneMap

	mu     sync.Mutex
	events []told
	counts []store.ZoneCount
}

// told is an event with the moment at which it was told.
type told struct {
	bus.ZoneEvent
	at time.Time
}

func (y *yard) Publish(_ string, v any) {
	y.mu.Lock()
	defer y.mu.Unlock()
	y.events = append(y.events, told{v.(bus.ZoneEvent), time.Now()})
}

func (*yard) Watch(...string) (<-chan struct{}, func(), error) { return nil, func() {}, nil }

func (y *yard) ListZoneMaps(context.Context) ([]store.ZoneMap, error) { return y.zones, nil }

func (y *yard) AddZoneCounts(_ context.Context, counts []store.ZoneCount) error {
	y.counts = append(y.counts, counts...)
	return nil
}

func (*yard) DropZoneCounts(context.Context, time.Time) error { return nil }

// of are the events of a kind.
func (y *yard) of(kind string) (all []told) {
	for _, e := range y.events {
		if e.Kind == kind {
			all = append(all, e)
		}
	}
	return all
}

// watch plays the scene to a worker whose objects are watched.
func (y *yard) watch(t *testing.T, th *theatre) {
	t.Helper()
	stage := zone.New(zone.Config{}, y, y, slog.New(slog.DiscardHandler))
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- stage.Run(ctx) }()
	<-stage.Ready()
	th.zones = stage.Camera("door")
	th.play(nil)
	cancel()
	require.NoError(t, <-ended)
}

// TestZonesWhileNothingMoves: somebody walks into a zone, stands there while the
// camera falls asleep, and goes. Idle, still or neither, the same is told of it.
func TestZonesWhileNothingMoves(t *testing.T) {
	const (
		fps, from, to = 25, 400, 1700
		loiter        = 30 * time.Second
	)
	all := []store.Point{{0.5, 0}, {1, 0}, {1, 1}, {0.5, 1}}
	for name, tc := range map[string]struct {
		idle  string
		state activity.State // in which it stands
		every int            // every so many answers of the model lack it; 0: none
	}{
		"off":            {idle: store.IdleOff},
		"still":          {idle: store.IdleDecode, state: activity.Still},
		"idle":           {state: activity.Idle},
		"still, flaking": {idle: store.IdleDecode, state: activity.Still, every: 3},
		"idle, flaking":  {state: activity.Idle, every: 3},
	} {
		t.Run(name, func(t *testing.T) {
			th := newTheatre(t, simulate.Spec{FPS: fps, Frames: 2100, GOP: 50, Scene: &simulate.Scene{
				Visits: []simulate.Visit{{From: from, To: to, Enters: true, Speed: 3}},
			}})
			th.idle, th.misses = tc.idle, tc.every
			states := map[activity.State]int{}
			began := time.Time{}
			y := &yard{zones: []store.ZoneMap{{
				CameraID: "door", Revision: 1,
				Zones: []store.Zone{{ID: "lawn", Name: "Lawn", Polygon: all, Loiter: loiter}},
				Lines: []store.Line{{ID: "kerb", Name: "Kerb", From: store.Point{0.3, 0}, To: store.Point{0.3, 1}, Direction: store.DirectionBoth}},
			}}}
			th.sent = func(i int, w *Worker) {
				if i == 0 {
					began = time.Now()
				}
				if i > from+500 && i < to {
					states[activity.State(w.Status().Activity)]++
				}
			}
			y.watch(t, th)
			if tc.every == 0 {
				th.check()
			}
			require.Greater(t, states[tc.state], (to-from-500)*9/10, "%v", states)

			entered, left, loitered, crossed := y.of(zone.Entered), y.of(zone.Left), y.of(zone.Loitering), y.of(zone.Crossed)
			require.Len(t, y.events, 4, "and nothing else")
			require.Len(t, entered, 1)
			require.Len(t, left, 1)
			require.Len(t, loitered, 1)
			require.Len(t, crossed, 1)
			for _, e := range y.events {
				require.Equal(t, entered[0].TrackID, e.TrackID, "%v", y.events)
			}
			frame := func(e told) float64 { return e.Time.Sub(time.Unix(1000, 0)).Seconds() * fps }
			at := func(x float64) float64 { return from + x*320/3 } // when its middle is there
			require.InDelta(t, at(0.3), frame(crossed[0]), fps/5)
			require.InDelta(t, at(0.5), frame(entered[0]), fps/5)
			require.InDelta(t, to, frame(left[0]), 2*fps/5+1, "when it was last seen")
			require.InDelta(t, frame(entered[0])+fps*loiter.Seconds(), frame(loitered[0]), 1.1)
			told := loitered[0].at.Sub(began) - loitered[0].Time.Sub(time.Unix(1000, 0))
			require.Less(t, told, 2500*time.Millisecond, "one look later at most")

			var sum store.ZoneCount
			minutes := map[int64]time.Duration{}
			for _, n := range y.counts {
				if n.ZoneID != "lawn" || n.Label != "" {
					continue
				}
				sum.Entered, sum.Exited, sum.Most = sum.Entered+n.Entered, sum.Exited+n.Exited, max(sum.Most, n.Most)
				sum.Present, sum.Watched = sum.Present+n.Present, sum.Watched+n.Watched
				minutes[n.Start.Unix()] += n.Present
			}
			require.EqualValues(t, 1, sum.Entered)
			require.EqualValues(t, 1, sum.Exited)
			require.Equal(t, 1, sum.Most)
			require.InDelta(t, (to-at(0.5))/fps, sum.Present.Seconds(), 0.5)
			require.InDelta(t, 2100.0/fps, sum.Watched.Seconds(), 0.5)
			// It begins 1000 s after 1970, which is 20 s before the end of a minute.
			require.InDelta(t, 20-at(0.5)/fps, minutes[960].Seconds(), 0.3)
			require.InDelta(t, to/fps-20, minutes[1020].Seconds(), 0.3)
		})
	}
}
