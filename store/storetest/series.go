package storetest

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"detectd/store"
)

// RunSeries checks a driver of store.Series. open opens the store in a folder,
// with a time to live of at least an hour; the suite opens the same folder again
// after closing.
func RunSeries(t *testing.T, open func(t *testing.T, dir string) store.Series) {
	for name, check := range map[string]func(*testing.T, store.Series){
		"annotations":          annotationRanges,
		"annotation fields":    annotationFields,
		"annotation replaced":  annotationReplaced,
		"annotation at":        annotationAt,
		"detections":           detections,
		"detection pages":      detectionPages,
		"rare detections":      rareDetections,
		"inferences":           inferences,
		"inferences at once":   inferencesAtOnce,
		"drop camera":          dropCamera,
		"bad input":            badSeries,
		"writers and droppers": seriesConcurrent,
	} {
		t.Run(name, func(t *testing.T) {
			s := open(t, t.TempDir())
			t.Cleanup(func() { require.NoError(t, s.Close()) })
			check(t, s)
		})
	}
	t.Run("reopen", func(t *testing.T) {
		dir := t.TempDir()
		s := open(t, dir)
		putFrames(t, s, "door", 0, 100, time.Second)
		require.NoError(t, s.Close())
		require.NoError(t, s.Close(), "closing twice")
		_, err := s.Annotations(t.Context(), "door", store.Range{}, 0)
		require.Error(t, err)
		require.Error(t, s.PutAnnotations(t.Context(), nil))

		again := open(t, dir)
		got, err := again.Annotations(t.Context(), "door", store.Range{}, 0)
		require.NoError(t, err)
		require.Len(t, got, 100)
		require.NoError(t, again.Close())
	})
}

// midnightBefore starts series shortly before midnight UTC, so that they cross
// the border of a day.
func midnightBefore() time.Time { return time.Date(2026, 3, 14, 23, 59, 50, 0, time.UTC) }

func frame(camera string, n int, step time.Duration) store.Annotation {
	return store.Annotation{
		CameraID: camera, Time: midnightBefore().Add(time.Duration(n) * step), Frame: uint64(n), Width: 1920, Height: 1080,
		Kind: "detected", Objects: []store.Object{{Label: "person", Score: 0.5, Box: store.Box{float32(n), 1, 2, 3}}},
	}
}

func putFrames(t *testing.T, s store.Series, camera string, from, to int, step time.Duration) {
	t.Helper()
	var all []store.Annotation
	for n := from; n < to; n++ {
		all = append(all, frame(camera, n, step))
	}
	require.NoError(t, s.PutAnnotations(t.Context(), all))
}

func frames(all []store.Annotation) (ns []int) {
	for _, a := range all {
		ns = append(ns, int(a.Frame))
	}
	return ns
}

func ints(from, to int) (all []int) {
	for n := from; n < to; n++ {
		all = append(all, n)
	}
	return all
}

func annotationRanges(t *testing.T, s store.Series) {
	ctx := t.Context()
	none, err := s.Annotations(ctx, "door", store.Range{}, 0)
	require.NoError(t, err)
	require.NotNil(t, none)
	require.Empty(t, none)

	putFrames(t, s, "door", 10, 20, time.Second) // not in order of time
	putFrames(t, s, "door", 0, 10, time.Second)
	putFrames(t, s, "door-2", 0, 5, time.Second) // an id that begins like the other
	at := func(n int) time.Time { return midnightBefore().Add(time.Duration(n) * time.Second) }
	for name, c := range map[string]struct {
		camera string
		r      store.Range
		limit  int
		want   []int
	}{
		"all":           {"door", store.Range{}, 0, ints(0, 20)},
		"other camera":  {"door-2", store.Range{}, 0, ints(0, 5)},
		"prefix of one": {"doo", store.Range{}, 0, nil},
		"limit":         {"door", store.Range{}, 3, ints(0, 3)},
		"from":          {"door", store.Range{From: at(15)}, 0, ints(15, 20)},
		"to":            {"door", store.Range{To: at(3)}, 0, ints(0, 3)},
		"over midnight": {"door", store.Range{From: at(8), To: at(12)}, 0, ints(8, 12)},
		"at midnight":   {"door", store.Range{From: at(10), To: at(11)}, 0, ints(10, 11)},
		"to midnight":   {"door", store.Range{From: at(9), To: at(10)}, 0, ints(9, 10)},
		"empty":         {"door", store.Range{From: at(5), To: at(5)}, 0, nil},
		"years before":  {"door", store.Range{To: at(0).AddDate(-5, 0, 0)}, 0, nil},
		"years after":   {"door", store.Range{From: at(0).AddDate(5, 0, 0)}, 0, nil},
		"wide":          {"door", store.Range{From: at(0).AddDate(-60, 0, 0), To: at(0).AddDate(60, 0, 0)}, 0, ints(0, 20)},
	} {
		got, err := s.Annotations(ctx, c.camera, c.r, c.limit)
		require.NoError(t, err, name)
		require.Equal(t, c.want, frames(got), name)
	}
}

func annotationFields(t *testing.T, s store.Series) {
	full := store.Annotation{
		CameraID: "door", Time: noon(), Frame: 1 << 60, PTS: 90*time.Minute + 1, Width: 3840, Height: 2160, Kind: "interpolated",
		Model: "m", Version: 3, Clock: "rtcp", TimeError: 40 * time.Millisecond, Objects: []store.Object{
			{TrackID: "door-1", ClassID: 2, Label: "größe", Score: 0.123, Box: store.Box{-1.5, 0, 1e6, 3.1415927}, Kind: "extrapolated"},
			{ClassID: 0, Label: "x"},
		},
	}
	bare := store.Annotation{CameraID: "door", Time: noon().Add(time.Microsecond), Kind: "detected"}
	require.NoError(t, s.PutAnnotations(t.Context(), []store.Annotation{full, bare}))
	got, err := s.Annotations(t.Context(), "door", store.Range{}, 0)
	require.NoError(t, err)
	require.Equal(t, []store.Annotation{full, bare}, got)
}

func annotationReplaced(t *testing.T, s store.Series) {
	a := frame("door", 1, time.Second)
	require.NoError(t, s.PutAnnotations(t.Context(), []store.Annotation{a}))
	a.Kind = "interpolated"
	require.NoError(t, s.PutAnnotations(t.Context(), []store.Annotation{a}))
	got, err := s.Annotations(t.Context(), "door", store.Range{}, 0)
	require.NoError(t, err)
	require.Equal(t, []store.Annotation{a}, got)
}

func annotationAt(t *testing.T, s store.Series) {
	ctx := t.Context()
	putFrames(t, s, "door", 0, 5, 5*time.Second) // at 0, 5, 10 (midnight), 15 and 20 seconds
	putFrames(t, s, "gate", 0, 20, time.Second)
	const nothing = -1
	for _, c := range []struct {
		seconds   float64
		tolerance time.Duration
		want      int
	}{
		{0, 0, 0},
		{10, 0, 2},
		{10.1, 0, nothing},
		{10.1, 100 * time.Millisecond, 2},
		{9.9, 100 * time.Millisecond, 2},
		{7.4, 3 * time.Second, 1},
		{7.6, 3 * time.Second, 2},
		{-2, time.Second, nothing},
		{-2, 2 * time.Second, 0},
		{23, time.Minute, 4},
		{1e6, time.Minute, nothing},
	} {
		at := midnightBefore().Add(time.Duration(c.seconds * float64(time.Second)))
		a, err := s.AnnotationAt(ctx, "door", at, c.tolerance)
		if c.want == nothing {
			require.ErrorIs(t, err, store.ErrNotFound, "%+v", c)
			require.ErrorContains(t, err, `camera "door"`)
			continue
		}
		require.NoError(t, err, "%+v", c)
		require.Equal(t, c.want, int(a.Frame), "%+v", c)
	}
}

func detections(t *testing.T, s store.Series) {
	ctx := t.Context()
	at := func(n int) time.Time { return midnightBefore().Add(time.Duration(n) * time.Second) }
	put := func(camera string, n int, kind string, objects ...store.Object) {
		require.NoError(t, s.PutAnnotations(ctx, []store.Annotation{{CameraID: camera, Time: at(n), Frame: uint64(n), Kind: kind, Objects: objects}}))
	}
	person, car := store.Object{Label: "person", TrackID: "t1", Score: 0.9}, store.Object{Label: "car", Kind: "extrapolated"}
	put("door", 0, "detected", person, car)
	put("gate", 5, "detected", person)
	put("door", 12, "interpolated", person) // the next day
	put("door", 5, "detected", car)
	put("door", 6, "detected") // nobody there
	row := func(camera string, n int, kind string, o store.Object) store.DetectionRow {
		return store.DetectionRow{CameraID: camera, Time: at(n), Frame: uint64(n), Kind: kind, Object: o}
	}
	newest, doorCar, gate := row("door", 12, "interpolated", person), row("door", 5, "extrapolated", car), row("gate", 5, "detected", person)
	firstPerson, firstCar := row("door", 0, "detected", person), row("door", 0, "extrapolated", car)

	for name, c := range map[string]struct {
		q    store.DetectionQuery
		want []store.DetectionRow
	}{
		"all":     {store.DetectionQuery{}, []store.DetectionRow{newest, doorCar, gate, firstPerson, firstCar}},
		"camera":  {store.DetectionQuery{CameraID: "gate"}, []store.DetectionRow{gate}},
		"label":   {store.DetectionQuery{Label: "car"}, []store.DetectionRow{doorCar, firstCar}},
		"kind":    {store.DetectionQuery{Kind: "detected"}, []store.DetectionRow{gate, firstPerson}},
		"from":    {store.DetectionQuery{Range: store.Range{From: at(5)}}, []store.DetectionRow{newest, doorCar, gate}},
		"to":      {store.DetectionQuery{Range: store.Range{To: at(5)}}, []store.DetectionRow{firstPerson, firstCar}},
		"nothing": {store.DetectionQuery{Label: "elephant"}, []store.DetectionRow{}},
	} {
		got, next, err := s.ListDetections(ctx, c.q, store.Page{})
		require.NoError(t, err, name)
		require.Empty(t, next, name)
		require.Equal(t, c.want, got, name)
	}
}

func detectionPages(t *testing.T, s store.Series) {
	var want []string
	var all []store.Annotation
	for n := 19; n >= 0; n-- {
		for _, camera := range []string{"a", "b", "c"} {
			f := frame(camera, n, time.Second)
			f.Objects = nil
			for i := range (n + int(camera[0])) % 4 { // none to three objects
				id := fmt.Sprintf("%s-%d-%d", camera, n, i)
				f.Objects = append(f.Objects, store.Object{TrackID: id, Label: "person"})
				want = append(want, id)
			}
			all = append(all, f)
		}
	}
	require.NoError(t, s.PutAnnotations(t.Context(), all))
	key := func(r store.DetectionRow) string { return r.TrackID }
	for _, limit := range []int{1, 2, 3, 7, len(want) - 1, len(want), len(want) + 1} {
		require.Equal(t, want, collect(t, limit, key, func(p store.Page) ([]store.DetectionRow, string, error) {
			return s.ListDetections(t.Context(), store.DetectionQuery{}, p)
		}), limit)
	}

	newer := 100
	got := collect(t, 5, key, func(p store.Page) ([]store.DetectionRow, string, error) {
		rows, next, err := s.ListDetections(t.Context(), store.DetectionQuery{}, p)
		putFrames(t, s, "a", newer, newer+1, time.Second)
		newer++
		return rows, next, err
	})
	require.Equal(t, want, got, "what comes in later is not on the later pages")

	for _, text := range []string{"x", "AAAA"} {
		_, _, err := s.ListDetections(t.Context(), store.DetectionQuery{}, store.Page{Cursor: text})
		require.ErrorIs(t, err, store.ErrCursor)
	}
}

// rareDetections reads a list to its end by cursors although most pages of a
// filter that matches next to nothing may be empty.
func rareDetections(t *testing.T, s store.Series) {
	putFrames(t, s, "door", 0, 5000, 10*time.Millisecond)
	rare := frame("door", 0, 10*time.Millisecond)
	rare.Objects = []store.Object{{Label: "elephant"}}
	require.NoError(t, s.PutAnnotations(t.Context(), []store.Annotation{rare}))

	var found []store.DetectionRow
	page := store.Page{Limit: 10}
	for {
		rows, next, err := s.ListDetections(t.Context(), store.DetectionQuery{Label: "elephant"}, page)
		require.NoError(t, err)
		found = append(found, rows...)
		if page.Cursor = next; next == "" {
			break
		}
	}
	require.Len(t, found, 1)

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, _, err := s.ListDetections(ctx, store.DetectionQuery{Label: "elephant"}, store.Page{})
	require.ErrorIs(t, err, context.Canceled)
}

func inferences(t *testing.T, s store.Series) {
	ctx := t.Context()
	metric := func(camera string, n int) store.Inference {
		return store.Inference{
			CameraID: camera, Time: midnightBefore().Add(time.Duration(n) * time.Second), Model: "m", Version: 2, Batch: 4,
			Queued: 3 * time.Millisecond, Ran: 20 * time.Millisecond, Latency: 31 * time.Millisecond, Detections: 5, Error: "e",
		}
	}
	var all, door []store.Inference
	for n := 19; n >= 0; n-- {
		all = append(all, metric("door", n), metric("gate", n))
		door = append(door, metric("door", n))
	}
	require.NoError(t, s.PutInferences(ctx, all))

	for camera, want := range map[string][]store.Inference{"": all, "door": door, "x": {}} {
		got, next, err := s.ListInferences(ctx, camera, store.Range{}, store.Page{})
		require.NoError(t, err)
		require.Empty(t, next)
		require.Equal(t, want, got, camera)
	}
	got, _, err := s.ListInferences(ctx, "door", store.Range{From: door[5].Time, To: door[2].Time}, store.Page{})
	require.NoError(t, err)
	require.Equal(t, door[3:6], got)

	keys := collect(t, 7, func(m store.Inference) string { return m.CameraID + m.Time.String() }, func(p store.Page) ([]store.Inference, string, error) {
		return s.ListInferences(ctx, "", store.Range{}, p)
	})
	require.Len(t, keys, len(all))
}

// inferencesAtOnce: a batch gives several results of one camera at one moment.
func inferencesAtOnce(t *testing.T, s store.Series) {
	m := store.Inference{CameraID: "door", Time: noon()}
	require.NoError(t, s.PutInferences(t.Context(), []store.Inference{m, m, m}))
	require.NoError(t, s.PutInferences(t.Context(), []store.Inference{m}))
	got, next, err := s.ListInferences(t.Context(), "door", store.Range{}, store.Page{Limit: 3})
	require.NoError(t, err)
	require.Len(t, got, 3)
	got, next, err = s.ListInferences(t.Context(), "door", store.Range{}, store.Page{Limit: 3, Cursor: next})
	require.NoError(t, err)
	require.Len(t, got, 1)
	require.Empty(t, next)
}

func dropCamera(t *testing.T, s store.Series) {
	ctx := t.Context()
	for _, camera := range []string{"door", "door-2", "gate"} {
		putFrames(t, s, camera, 0, 20, time.Second)
		require.NoError(t, s.PutInferences(ctx, []store.Inference{{CameraID: camera, Time: noon()}}))
	}
	require.NoError(t, s.DropCamera(ctx, "door"))
	require.NoError(t, s.DropCamera(ctx, "door"), "dropping twice")
	require.NoError(t, s.DropCamera(ctx, "unknown"))
	for camera, want := range map[string]int{"door": 0, "door-2": 20, "gate": 20} {
		got, err := s.Annotations(ctx, camera, store.Range{}, 0)
		require.NoError(t, err)
		require.Len(t, got, want, camera)
		metrics, _, err := s.ListInferences(ctx, camera, store.Range{}, store.Page{})
		require.NoError(t, err)
		require.Len(t, metrics, min(want, 1), camera)
	}
	putFrames(t, s, "door", 0, 3, time.Second)
	got, err := s.Annotations(ctx, "door", store.Range{}, 0)
	require.NoError(t, err)
	require.Len(t, got, 3, "the camera may come back")
}

func badSeries(t *testing.T, s store.Series) {
	require.NoError(t, s.PutAnnotations(t.Context(), nil))
	require.Error(t, s.PutAnnotations(t.Context(), []store.Annotation{{CameraID: "door"}}), "no time")
	require.Error(t, s.PutAnnotations(t.Context(), []store.Annotation{{Time: noon()}}), "no camera")
	require.Error(t, s.PutInferences(t.Context(), []store.Inference{{CameraID: "a\x00b", Time: noon()}}))
	got, _, err := s.ListDetections(t.Context(), store.DetectionQuery{}, store.Page{})
	require.NoError(t, err)
	require.Empty(t, got)
}

func seriesConcurrent(t *testing.T, s store.Series) {
	var group sync.WaitGroup
	errs := make(chan error, 200)
	for worker := range 4 {
		group.Go(func() {
			camera := fmt.Sprintf("cam-%d", worker)
			for n := range 20 {
				errs <- s.PutAnnotations(t.Context(), []store.Annotation{frame(camera, n, time.Second)})
				_, _, err := s.ListDetections(t.Context(), store.DetectionQuery{}, store.Page{Limit: 5})
				errs <- err
			}
		})
	}
	group.Go(func() {
		for range 5 {
			errs <- s.DropCamera(t.Context(), "cam-0")
		}
	})
	group.Wait()
	close(errs)
	for err := range errs {
		require.NoError(t, err)
	}
	for worker := 1; worker < 4; worker++ {
		got, err := s.Annotations(t.Context(), fmt.Sprintf("cam-%d", worker), store.Range{}, 0)
		require.NoError(t, err)
		require.Len(t, got, 20)
	}
}
