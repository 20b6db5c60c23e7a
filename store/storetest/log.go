package storetest

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"detectd/store"
)

func events(t *testing.T, s store.Records) {
	ctx := t.Context()
	add := func(kind, camera string, seconds int) store.Event {
		e, err := s.AddEvent(ctx, store.Event{
			Time: noon().Add(time.Duration(seconds) * time.Second), Kind: kind, CameraID: camera, ClientID: "a",
			Message: "it happened", Data: []byte(`{"n":1}`), Clock: "arrival", TimeError: 12500 * time.Microsecond,
		})
		require.NoError(t, err)
		require.Positive(t, e.ID)
		return e
	}
	state, track := add("camera.state", "door", 0), add("track.started", "door", 2)
	late := add("camera.state", "gate", 1) // told after the one that followed it

	for name, c := range map[string]struct {
		camera, kind string
		r            store.Range
		want         []store.Event
	}{
		"all":    {"", "", store.Range{}, []store.Event{track, late, state}},
		"camera": {"door", "", store.Range{}, []store.Event{track, state}},
		"kind":   {"", "camera.state", store.Range{}, []store.Event{late, state}},
		"not":    {"", "!track.", store.Range{}, []store.Event{late, state}},
		"not of": {"door", "!camera.state", store.Range{}, []store.Event{track}},
		"from":   {"", "", store.Range{From: late.Time}, []store.Event{track, late}},
		"to":     {"", "", store.Range{To: late.Time}, []store.Event{state}},
		"none":   {"nowhere", "", store.Range{}, []store.Event{}},
	} {
		all, next, err := s.ListEvents(ctx, c.camera, c.kind, c.r, store.Page{})
		require.NoError(t, err, name)
		require.Empty(t, next, name)
		require.Equal(t, c.want, all, name)
	}

	now, err := s.AddEvent(ctx, store.Event{Kind: "system.started"})
	require.NoError(t, err)
	require.WithinDuration(t, time.Now(), now.Time, time.Minute)
	require.Nil(t, now.Data)
	require.Empty(t, now.Clock, "the machine's")
}

func results(t *testing.T, s store.Records) {
	ctx := t.Context()
	clip := store.Result{
		ID: "r1", Kind: "clip", CameraID: "door", Name: "noon", From: noon(), To: noon().Add(time.Minute),
		State: store.ResultQueued, Model: "m", Version: 1, MinScore: 0.5, CreatedAt: noon(),
	}
	upload := store.Result{ID: "r2", Kind: "image", State: store.ResultRunning, Input: "in", CreatedAt: noon().Add(time.Second)}
	require.NoError(t, s.PutResult(ctx, upload))
	require.NoError(t, s.PutResult(ctx, clip))
	got, err := s.Result(ctx, "r1")
	require.NoError(t, err)
	require.Equal(t, clip, got)
	open, err := s.UnfinishedResults(ctx)
	require.NoError(t, err)
	require.Equal(t, []store.Result{clip, upload}, open)

	done := clip
	done.State, done.Progress, done.SHA256, done.Bytes, done.MIME = store.ResultDone, 1, "out", 99, "video/mp4"
	done.FinishedAt, done.Detections, done.CreatedAt = noon().Add(time.Hour), []byte(`[]`), time.Time{}
	require.NoError(t, s.PutResult(ctx, done))
	done.CreatedAt = clip.CreatedAt
	got, err = s.Result(ctx, "r1")
	require.NoError(t, err)
	require.Equal(t, done, got, "the creation time stays")
	open, err = s.UnfinishedResults(ctx)
	require.NoError(t, err)
	require.Equal(t, []store.Result{upload}, open)

	done.Detections = nil // not in lists
	for camera, want := range map[string][]store.Result{"": {upload, done}, "door": {done}, "x": {}} {
		all, _, err := s.ListResults(ctx, camera, store.Page{})
		require.NoError(t, err)
		require.Equal(t, want, all)
	}
	for sha, want := range map[string]bool{"in": true, "out": true, "": false, "other": false} {
		used, err := s.BlobInUse(ctx, sha)
		require.NoError(t, err)
		require.Equal(t, want, used, sha)
	}

	require.NoError(t, s.DeleteResult(ctx, "r1"))
	requireMissing(t, s.DeleteResult(ctx, "r1"), `result "r1": not found`)
	_, err = s.Result(ctx, "r1")
	requireMissing(t, err, `result "r1": not found`)
}

// collect reads a list to its end, and requires full pages and no row twice.
func collect[T any](t *testing.T, limit int, key func(T) string, read func(store.Page) ([]T, string, error)) (keys []string) {
	t.Helper()
	seen := map[string]bool{}
	page := store.Page{Limit: limit}
	for {
		rows, next, err := read(page)
		require.NoError(t, err)
		for _, r := range rows {
			require.False(t, seen[key(r)], "%s came twice", key(r))
			seen[key(r)] = true
			keys = append(keys, key(r))
		}
		if next == "" {
			return keys
		}
		require.Len(t, rows, limit)
		page.Cursor = next
	}
}

func pages(t *testing.T, s store.Records) {
	ctx := t.Context()
	addClient(t, s, "a")
	addCamera(t, s, "a", "door")
	const rows = 30
	var up, down []string
	for i := range rows {
		at := noon().Add(time.Duration(i/4) * time.Second) // four rows share a time
		id := fmt.Sprintf("id-%02d", i)
		up, down = append(up, id), append([]string{id}, down...)
		_, err := s.AddSegment(ctx, store.Segment{CameraID: "door", Start: at, End: at, Path: id})
		require.NoError(t, err)
		require.NoError(t, s.PutTrack(ctx, store.Track{ID: id, CameraID: "door", Label: "person", Start: at, End: at}))
		_, err = s.AddEvent(ctx, store.Event{Time: at, Kind: "k", Message: id})
		require.NoError(t, err)
		require.NoError(t, s.PutResult(ctx, store.Result{ID: id, Kind: "still", CreatedAt: at}))
	}
	for _, limit := range []int{1, 3, 4, 7, 15, 29, 30, 31} {
		require.Equal(t, up, collect(t, limit, func(g store.Segment) string { return g.Path }, func(p store.Page) ([]store.Segment, string, error) {
			return s.ListSegments(ctx, "door", store.Range{}, p)
		}), limit)
		require.Equal(t, down, collect(t, limit, func(tr store.Track) string { return tr.ID }, func(p store.Page) ([]store.Track, string, error) {
			return s.ListTracks(ctx, "", "person", store.Range{}, p)
		}), limit)
		require.Equal(t, down, collect(t, limit, func(e store.Event) string { return e.Message }, func(p store.Page) ([]store.Event, string, error) {
			return s.ListEvents(ctx, "", "", store.Range{}, p)
		}), limit)
		require.Equal(t, down, collect(t, limit, func(r store.Result) string { return r.ID }, func(p store.Page) ([]store.Result, string, error) {
			return s.ListResults(ctx, "", p)
		}), limit)
	}
}

func pagesWhileGrowing(t *testing.T, s store.Records) {
	ctx := t.Context()
	add := func(i int) {
		_, err := s.AddEvent(ctx, store.Event{Time: noon().Add(time.Duration(i) * time.Second), Kind: "k", Message: fmt.Sprint(i)})
		require.NoError(t, err)
	}
	for i := range 10 {
		add(i)
	}
	newest := 10
	got := collect(t, 2, func(e store.Event) string { return e.Message }, func(p store.Page) ([]store.Event, string, error) {
		rows, next, err := s.ListEvents(ctx, "", "", store.Range{}, p)
		add(newest)
		newest++
		return rows, next, err
	})
	require.Equal(t, []string{"9", "8", "7", "6", "5", "4", "3", "2", "1", "0"}, got)
}

func badCursors(t *testing.T, s store.Records) {
	ctx := t.Context()
	for i := range 3 {
		_, err := s.AddEvent(ctx, store.Event{Kind: fmt.Sprint(i)})
		require.NoError(t, err)
	}
	_, good, err := s.ListEvents(ctx, "", "", store.Range{}, store.Page{Limit: 1})
	require.NoError(t, err)
	require.NotEmpty(t, good)

	for _, text := range []string{"x", "!", good[:len(good)-2], good + "AAAA", "' OR 1=1 --"} {
		_, _, err := s.ListEvents(ctx, "", "", store.Range{}, store.Page{Cursor: text})
		require.ErrorIs(t, err, store.ErrCursor, text)
	}
	_, _, err = s.ListTracks(ctx, "", "", store.Range{}, store.Page{Cursor: good})
	require.ErrorIs(t, err, store.ErrCursor, "the cursor of another list")
}
