package zone

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"detectd/detect"
	"detectd/pipeline/bus"
	"detectd/pipeline/frame"
	"detectd/pipeline/scene"
	"detectd/pipeline/stage/annotate"
	"detectd/pipeline/stage/track"
	"detectd/store"
	"detectd/store/sqlite"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is the real bus and the real store with the camera "door".
func world(t *testing.T) (*bus.Bus, *sqlite.Store) {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	b, err := bus.Open(t.Context(), bus.Config{Folder: t.TempDir()}, log)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, b.Close()) })
	s, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "test.db"), log)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	_, err = s.CreateClient(t.Context(), store.Client{ID: "a"})
	require.NoError(t, err)
	_, err = s.CreateCamera(t.Context(), store.Camera{ID: "door", ClientID: "a"})
	require.NoError(t, err)
	return b, s
}

// run runs a stage until the returned function is called.
func run(t *testing.T, s *Stage) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	<-s.Ready()
	var once sync.Once
	stop = func() {
		once.Do(func() {
			cancel()
			require.NoError(t, <-done)
		})
	}
	t.Cleanup(stop)
	return stop
}

func TestEventsAndCountsOfAStage(t *testing.T) {
	b, records := world(t)
	_, err := records.PutZoneMap(t.Context(), zones(yard()), 0)
	require.NoError(t, err)
	s := New(Config{Write: 10 * time.Millisecond}, b, records, slog.New(slog.DiscardHandler))
	stop := run(t, s)

	events, ready := make(chan bus.ZoneEvent, 16), make(chan struct{})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- b.SubscribeAll(ctx, ready, func(m bus.Message) {
			var e bus.ZoneEvent
			assert.NoError(t, m.Decode(&e))
			events <- e
		}, bus.Under(bus.ZoneEvents))
	}()
	<-ready

	c := s.Camera("door")
	c.proven = 0
	annotate := func(i int, o ...store.Object) {
		pts := time.Duration(i) * frameTime
		c.Annotations([]store.Annotation{{CameraID: "door", Time: epoch.Add(pts), PTS: pts, Width: 1000, Height: 500, Objects: o}})
	}
	annotate(0, stand("a", 500, 300))
	require.Equal(t, Entered, (<-events).Kind)
	counts := func() []store.ZoneCount {
		all, err := records.ZoneCounts(t.Context(), store.ZoneCountQuery{CameraID: "door", Period: store.PeriodMinute})
		require.NoError(t, err)
		return all
	}
	require.Eventually(t, func() bool { return len(counts()) == 2 }, 10*time.Second, 5*time.Millisecond)

	// A new map takes effect while the camera runs.
	_, err = records.PutZoneMap(t.Context(), zones(yard(), store.Zone{ID: "more", Polygon: yard().Polygon}), 1)
	require.NoError(t, err)
	b.Publish(bus.Subject(bus.ZonesChanged, "door"), bus.Change{CameraID: "door", Action: "updated", Revision: 2})
	require.Eventually(t, func() bool { return c.current.Load().Revision == 2 }, 10*time.Second, time.Millisecond)
	annotate(1, stand("a", 500, 300))
	require.Equal(t, "more", (<-events).ZoneID)

	// The camera starts anew; what the old one counted is not lost.
	c = s.Camera("door")
	c.proven = 0
	annotate(2, stand("b", 500, 300))
	c.Track(store.Track{ID: "b", Ended: true})
	stop()
	cancel()
	require.NoError(t, <-ended)
	require.Len(t, events, 4)
	byZone := map[string]store.ZoneCount{}
	for _, n := range counts() {
		if n.Label == "" {
			byZone[n.ZoneID] = n
		}
	}
	require.EqualValues(t, 2, byZone["yard"].Entered)
	require.EqualValues(t, 1, byZone["yard"].Exited)
	require.EqualValues(t, 2, byZone["more"].Entered)
}

func TestNoMap(t *testing.T) {
	b, records := world(t)
	s := New(Config{}, b, records, slog.New(slog.DiscardHandler))
	c := s.Camera("door")
	run(t, s)
	c.Annotations([]store.Annotation{{Width: 10, Height: 10, Objects: []store.Object{stand("a", 5, 5)}}})
	require.Empty(t, c.objects)
	dets := []detect.Detection{{Label: "person"}}
	require.Equal(t, dets, c.Unmasked(dets, 10, 10))

	_, err := records.PutZoneMap(t.Context(), zones(yard()), 0)
	require.NoError(t, err)
	s.read(t.Context())
	require.EqualValues(t, 1, c.current.Load().Revision)
	require.NoError(t, records.DeleteCamera(t.Context(), "door", store.AnyRevision))
	s.read(t.Context())
	require.Empty(t, c.current.Load().Zones)
}

// failing is a store that has trouble.
type failing struct {
	err   error
	added []store.ZoneCount
	drops []time.Time
}

func (f *failing) ListZoneMaps(context.Context) ([]store.ZoneMap, error) { return nil, f.err }

func (f *failing) AddZoneCounts(_ context.Context, n []store.ZoneCount) error {
	if f.err == nil {
		f.added = append(f.added, n...)
	}
	return f.err
}

func (f *failing) DropZoneCounts(_ context.Context, before time.Time) error {
	f.drops = append(f.drops, before)
	return f.err
}

func TestStoreInTrouble(t *testing.T) {
	f := &failing{err: errors.New("disk full")}
	s := New(Config{MaxPending: 3}, nil, f, slog.New(slog.DiscardHandler))
	s.maps["door"] = &store.ZoneMap{CameraID: "door", Zones: []store.Zone{yard()}, Revision: 1}
	c := s.Camera("door")
	c.proven = 0
	s.bus = silent{}
	s.read(t.Context())
	require.Len(t, c.current.Load().Zones, 1, "maps stay as they are")
	for i := range 5 {
		c.Annotations([]store.Annotation{{
			Time: epoch.Add(time.Duration(i) * time.Minute), PTS: time.Duration(i) * time.Minute,
			Width: 1000, Height: 500, Objects: []store.Object{stand("a", 500, 300)},
		}})
		s.write(t.Context())
	}
	require.Len(t, s.pending, 3, "the newest are kept")
	f.err = nil
	s.write(t.Context())
	require.Len(t, f.added, 3)
	require.Empty(t, s.pending)

	now := epoch
	s.now = func() time.Time { return now }
	s.drop(t.Context())
	s.drop(t.Context())
	now = now.Add(time.Hour)
	f.err = errors.New("disk full")
	s.drop(t.Context())
	s.drop(t.Context())
	month := -31 * 24 * time.Hour
	require.Equal(t, []time.Time{epoch.Add(month), now.Add(month), now.Add(month)}, f.drops, "once an hour, at once after a failure")
}

type silent struct{}

func (silent) Publish(string, any) {}

func (silent) Watch(...string) (<-chan struct{}, func(), error) { return nil, func() {}, nil }

func det(label string, x, y, w, h float32) detect.Detection {
	return detect.Detection{Label: label, Score: 0.9, Box: detect.Box{X: x, Y: y, W: w, H: h}}
}

func TestMasks(t *testing.T) {
	m := store.ZoneMap{Masks: []store.Mask{
		{ID: "tree", Polygon: yard().Polygon, Classes: []string{"bird"}, MaxArea: 0.1},
		{ID: "road", Polygon: []store.Point{{0, 0.9}, {1, 0.9}, {1, 1}, {0, 1}}},
	}}
	require.NoError(t, m.Validate())
	c := newCamera("door", &m, nil)
	all := []detect.Detection{
		det("bird", 480, 280, 40, 20), det("bird", 300, 0, 400, 300), det("bird", 100, 100, 40, 20), det("person", 480, 200, 40, 100),
		det("car", 10, 400, 100, 70), det("car", 10, 400, 100, 100),
	}
	before := append([]detect.Detection(nil), all...)
	require.Equal(t, []detect.Detection{all[1], all[2], all[3]}, c.Unmasked(all, 1000, 500),
		"a small bird in the tree and the cars on the road are dropped, also where the picture's edge cuts them")
	require.Equal(t, before, all, "the caller's slice stays as it is")
	require.Equal(t, all[1:4], c.Unmasked(all[1:4], 1000, 500))
	require.Equal(t, all, c.Unmasked(all, 0, 0))
	require.Empty(t, c.Unmasked(nil, 1000, 500))
}

func TestOnlyInZones(t *testing.T) {
	m := store.ZoneMap{Zones: []store.Zone{yard(), {ID: "road", Polygon: []store.Point{{0, 0.9}, {1, 0.9}, {1, 1}, {0, 1}}}}}
	require.NoError(t, m.Validate())
	var only []string
	s := New(Config{Only: func(id string) []string { require.Equal(t, "door", id); return only }}, silent{}, nil, slog.New(slog.DiscardHandler))
	s.maps["door"] = &m
	c := s.Camera("door")
	all := []detect.Detection{det("bird", 480, 280, 40, 20), det("bird", 10, 100, 40, 20), det("car", 10, 400, 100, 100)}
	for _, tc := range []struct {
		only []string
		want []detect.Detection
	}{
		{nil, all},
		{[]string{"yard"}, all[:1]},
		{[]string{"road", "gone"}, all[2:]},
		{[]string{"road", "yard"}, []detect.Detection{all[0], all[2]}},
		{[]string{"gone"}, all},
	} {
		only = tc.only
		require.Equal(t, tc.want, c.Unmasked(all, 1000, 500), tc.only)
	}
}

// collect passes annotations to a camera and keeps them.
type collect struct {
	*Camera
	objects int
}

func (c *collect) Annotations(as []store.Annotation) {
	for _, a := range as {
		c.objects += len(a.Objects)
	}
	c.Camera.Annotations(as)
}

func TestMasksInFrontOfAnAnnotator(t *testing.T) {
	m := store.ZoneMap{Masks: []store.Mask{{ID: "m", Polygon: yard().Polygon}}}
	c := &collect{Camera: newCamera("door", &m, func(bus.ZoneEvent) {})}
	a := c.Mask(annotate.New(annotate.Config{}, newTracker(), c))
	meta := frame.Meta{Seq: 1}
	a.Frame(meta, 1000, 500)
	a.Selected(1)
	a.Detected(meta, []detect.Detection{det("car", 480, 200, 40, 100), det("car", 10, 10, 40, 40)}, "m", 1)
	a.SetHold(time.Second)
	a.Failed(2)
	a.Flush()
	require.Equal(t, 1, c.objects)
}

func newTracker() *track.Tracker {
	n := 0
	return track.New(track.Config{}, func() string { n++; return fmt.Sprint(n) })
}

// Six people walk around in a simulated scene; a detector that misses some looks
// at it ten times a second. The zone's count of those inside follows the truth,
// and every passage through the middle of the picture is counted once.
func TestOnASimulatedScene(t *testing.T) {
	s := scene.Crossings(12)
	m := store.ZoneMap{
		Zones: []store.Zone{{ID: "left", Polygon: []store.Point{{0, 0}, {0.5, 0}, {0.5, 1}, {0, 1}}}},
		Lines: []store.Line{{ID: "middle", From: store.Point{0.25, 0}, To: store.Point{0.25, 1}, Direction: store.DirectionBoth}},
	}
	crossings := map[string]int{} // in truth
	last := map[string]float32{}
	for i := range s.Frames() {
		for _, o := range s.Truth(i) {
			x := o.Box.X + o.Box.W/2
			if before, ok := last[o.ID]; ok && (before < 320) != (x < 320) {
				crossings[map[bool]string{true: store.DirectionRight, false: store.DirectionLeft}[x < 320]]++
			}
			last[o.ID] = x
		}
	}
	found := map[string]int{}
	c := newCamera(s.Name, &m, func(e bus.ZoneEvent) {
		if e.Kind == Crossed {
			found[e.Direction]++
		}
	})
	a := c.Mask(annotate.New(annotate.Config{}, newTracker(), c))
	for i := range s.Frames() {
		meta := frame.Meta{CameraID: s.Name, Seq: uint64(i + 1), PTS: s.Time(i), Time: epoch.Add(s.Time(i))}
		a.Frame(meta, s.Width, s.Height)
		if i%6 == 0 {
			a.Selected(meta.Seq)
			a.Detected(meta, s.Detect(i, scene.Typical()), "scene", 1)
		}
	}
	a.Flush()
	require.Greater(t, crossings[store.DirectionLeft]+crossings[store.DirectionRight], 4)
	require.Equal(t, crossings, found)
	var present time.Duration
	for _, n := range c.tally.take() {
		if n.ZoneID == "left" && n.Label == "person" {
			require.Equal(t, n.Entered, n.Exited, "the end of the stream ends all stays")
			present += n.Present
		}
	}
	truth := time.Duration(0)
	for i := range s.Frames() {
		for _, o := range s.Truth(i) {
			if o.Box.X+o.Box.W/2 < 640 { // who is hidden for a moment is still inside
				truth += time.Second / 60
			}
		}
	}
	require.InEpsilon(t, truth.Seconds(), present.Seconds(), 0.06)
	require.Empty(t, c.objects)
}
