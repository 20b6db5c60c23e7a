package storetest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"detectd/store"
)

func starts(all []store.Segment) (seconds []int) {
	for _, g := range all {
		seconds = append(seconds, int(g.Start.Sub(noon())/time.Second))
	}
	return seconds
}

func segments(t *testing.T, s store.Records) {
	ctx := t.Context()
	addClient(t, s, "a")
	addCamera(t, s, "a", "door")
	addCamera(t, s, "a", "gate")
	at := func(seconds int) time.Time { return noon().Add(time.Duration(seconds) * time.Second) }
	for _, second := range []int{20, 0, 10} { // not in order, as after a jump of the clock
		addSegment(t, s, "door", at(second), 10*time.Second)
	}
	gate := addSegment(t, s, "gate", at(5), 10*time.Second)

	got, err := s.Segment(ctx, gate.ID)
	require.NoError(t, err)
	require.Equal(t, gate, got)
	_, err = s.Segment(ctx, gate.ID+1)
	require.ErrorIs(t, err, store.ErrNotFound)
	sum, err := s.SegmentBytes(ctx)
	require.NoError(t, err)
	require.EqualValues(t, 4000, sum)

	for name, c := range map[string]struct {
		camera string
		r      store.Range
		want   []int
	}{
		"all of a camera":        {"door", store.Range{}, []int{0, 10, 20}},
		"all":                    {"", store.Range{}, []int{0, 5, 10, 20}},
		"from inside":            {"door", store.Range{From: at(15)}, []int{10, 20}},
		"from a border":          {"door", store.Range{From: at(10)}, []int{10, 20}},
		"to a border":            {"door", store.Range{To: at(10)}, []int{0}},
		"within one":             {"door", store.Range{From: at(12), To: at(13)}, []int{10}},
		"nothing":                {"door", store.Range{From: at(30)}, nil},
		"unknown camera":         {"x", store.Range{}, nil},
		"across all the cameras": {"", store.Range{From: at(9), To: at(11)}, []int{0, 5, 10}},
	} {
		all, next, err := s.ListSegments(ctx, c.camera, c.r, store.Page{})
		require.NoError(t, err, name)
		require.NotNil(t, all, name)
		require.Empty(t, next, name)
		require.Equal(t, c.want, starts(all), name)
	}

	oldest, err := s.OldestSegments(ctx, 2)
	require.NoError(t, err)
	require.Equal(t, []int{0, 5}, starts(oldest))

	_, err = s.AddSegment(ctx, store.Segment{CameraID: "door", Path: gate.Path})
	require.ErrorIs(t, err, store.ErrExists)
	_, err = s.AddSegment(ctx, store.Segment{CameraID: "door", Path: "p", Start: at(0), End: at(0).Add(store.MaxSegment + 1)})
	require.ErrorContains(t, err, "at most 1h0m0s")
	_, err = s.AddSegment(ctx, store.Segment{CameraID: "door", Path: "p", Start: at(1), End: at(0)})
	require.Error(t, err)
}

func segmentAt(t *testing.T, s store.Records) {
	ctx := t.Context()
	addClient(t, s, "a")
	addCamera(t, s, "a", "door")
	addCamera(t, s, "a", "gate")
	at := func(seconds float64) time.Time { return noon().Add(time.Duration(seconds * float64(time.Second))) }
	addSegment(t, s, "door", at(0), 10*time.Second)
	addSegment(t, s, "door", at(2), 3*time.Second) // lies within the one before
	addSegment(t, s, "door", at(20), 10*time.Second)
	addSegment(t, s, "gate", at(12), time.Second)
	addSegment(t, s, "door", at(-4000), time.Hour)

	const nothing = -1
	for _, c := range []struct {
		at        float64
		tolerance time.Duration
		want      int
	}{
		{0, 0, 0},
		{1, 0, 0},
		{3, 0, 2},
		{7, 0, 0},
		{20, 0, 20},
		{29.999, 0, 20},
		{11, 0, nothing},
		{11, 2 * time.Second, 0},
		{19, 2 * time.Second, 20},
		{15, 2 * time.Second, nothing},
		{14, 20 * time.Second, 0},
		{16, 20 * time.Second, 20},
		{31, time.Second, 20},
		{31.1, time.Second, nothing},
		{-0.5, time.Second, 0},
		{-401, 0, -4000},
		{-300, 200 * time.Second, -4000},
		{-4001, time.Second, -4000},
		{9000, 4 * time.Hour, 20},
	} {
		g, err := s.SegmentAt(ctx, "door", at(c.at), c.tolerance)
		if c.want == nothing {
			require.ErrorIs(t, err, store.ErrNotFound, "%+v", c)
			continue
		}
		require.NoError(t, err, "%+v", c)
		require.Equal(t, []int{c.want}, starts([]store.Segment{g}), "%+v", c)
	}
}

func garbage(t *testing.T, s store.Records) {
	ctx := t.Context()
	addClient(t, s, "a")
	addCamera(t, s, "a", "door")
	first := addSegment(t, s, "door", noon(), time.Second)
	second := addSegment(t, s, "door", noon().Add(time.Second), time.Second)
	kept := addSegment(t, s, "door", noon().Add(2*time.Second), time.Second)

	require.NoError(t, s.DropSegments(ctx, nil))
	require.NoError(t, s.DropSegments(ctx, []int64{first.ID, second.ID, 4711}))
	require.NoError(t, s.DropSegments(ctx, []int64{first.ID}), "dropping twice")
	all, _, err := s.ListSegments(ctx, "door", store.Range{}, store.Page{})
	require.NoError(t, err)
	require.Equal(t, []store.Segment{kept}, all)
	sum, err := s.SegmentBytes(ctx)
	require.NoError(t, err)
	require.Equal(t, kept.Bytes, sum)
	paths, err := s.Garbage(ctx, 1000)
	require.NoError(t, err)
	require.ElementsMatch(t, []string{first.Path, second.Path}, paths)

	_, err = s.AddSegment(ctx, store.Segment{CameraID: "door", Path: first.Path})
	require.ErrorIs(t, err, store.ErrExists, "a file about to be removed takes no row")

	require.NoError(t, s.ForgetGarbage(ctx, []string{first.Path, "unknown"}))
	paths, err = s.Garbage(ctx, 1000)
	require.NoError(t, err)
	require.Equal(t, []string{second.Path}, paths)
	some, err := s.Garbage(ctx, 0)
	require.NoError(t, err)
	require.Empty(t, some)
}

func tracks(t *testing.T, s store.Records) {
	ctx := t.Context()
	addClient(t, s, "a")
	addCamera(t, s, "a", "door")
	addCamera(t, s, "a", "gate")
	at := func(seconds int) time.Time { return noon().Add(time.Duration(seconds) * time.Second) }
	put := func(id, camera, label string, start, end int) store.Track {
		tr := store.Track{
			ID: id, CameraID: camera, ClassID: 3, Label: label, Start: at(start), End: at(end), Ended: true, Frames: 12,
			BestScore: 0.9371, BestTime: at(start), BestBox: store.Box{1.5, 2.25, 100.1, 200.2}, Model: "m", Version: 2,
			Clock: "rtcp", TimeError: 2500 * time.Microsecond,
		}
		require.NoError(t, s.PutTrack(ctx, tr))
		return tr
	}
	long := put("door-1", "door", "person", 0, 100)
	short := put("door-2", "door", "car", 50, 60)
	gate := put("gate-1", "gate", "person", 55, 58)

	got, err := s.Track(ctx, "door-1")
	require.NoError(t, err)
	require.Equal(t, long, got)
	_, err = s.Track(ctx, "door-9")
	requireMissing(t, err, `track "door-9": not found`)

	long.Ended, long.End, long.Frames = false, at(120), 99
	require.NoError(t, s.PutTrack(ctx, long))

	for name, c := range map[string]struct {
		camera, label string
		r             store.Range
		want          []store.Track
	}{
		"all":            {"", "", store.Range{}, []store.Track{gate, short, long}},
		"camera":         {"door", "", store.Range{}, []store.Track{short, long}},
		"label":          {"", "person", store.Range{}, []store.Track{gate, long}},
		"both":           {"door", "car", store.Range{}, []store.Track{short}},
		"overlap":        {"", "", store.Range{From: at(61), To: at(62)}, []store.Track{long}},
		"before":         {"", "", store.Range{To: at(50)}, []store.Track{long}},
		"after the last": {"", "", store.Range{From: at(121)}, []store.Track{}},
	} {
		all, next, err := s.ListTracks(ctx, c.camera, c.label, c.r, store.Page{})
		require.NoError(t, err, name)
		require.Empty(t, next, name)
		require.Equal(t, c.want, all, name)
	}
}
