package storetest

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"detectd/store"
)

// many checks the writes of many rows, and many callers of the same writes: each
// gets its own answer, whatever becomes of the others' rows.
func many(t *testing.T, s store.Records) {
	addClient(t, s, "a")
	addCamera(t, s, "a", "door")
	ctx := t.Context()
	require.NoError(t, s.PutTracks(ctx, nil))
	require.NoError(t, s.PutTracks(ctx, []store.Track{{ID: "1", CameraID: "door"}, {ID: "2", CameraID: "gone"}, {ID: "3", CameraID: "door", Frames: 7}}))
	for id, want := range map[string]error{"1": nil, "2": store.ErrNotFound, "3": nil} {
		_, err := s.Track(ctx, id)
		require.ErrorIs(t, err, want, id)
	}
	require.NoError(t, s.AddEvents(ctx, nil))
	events := []store.Event{{Kind: "a", Time: noon()}, {Kind: "b"}}
	require.NoError(t, s.AddEvents(ctx, events))
	all, _, err := s.ListEvents(ctx, "", "", store.Range{}, store.Page{})
	require.NoError(t, err)
	require.ElementsMatch(t, events, all)
	require.NotEqual(t, events[0].ID, events[1].ID)

	var group sync.WaitGroup
	for worker := range 8 {
		group.Go(func() {
			for i := range 25 {
				id := fmt.Sprintf("w%d-%d", worker, i)
				_, err := s.AddSegment(ctx, store.Segment{CameraID: "door", Path: id})
				check(t, err, nil)
				_, err = s.AddSegment(ctx, store.Segment{CameraID: "door", Path: id})
				check(t, err, store.ErrExists)
				check(t, s.PutTrack(ctx, store.Track{ID: id, CameraID: "gone"}), store.ErrNotFound)
				check(t, s.PutTrack(ctx, store.Track{ID: id, CameraID: "door"}), nil)
				e, err := s.AddEvent(ctx, store.Event{Kind: id})
				check(t, err, nil)
				if found, _, err := s.ListEvents(ctx, "", id, store.Range{}, store.Page{}); err != nil || len(found) != 1 || found[0].ID != e.ID {
					t.Errorf("event %s: %v, %v", id, found, err)
				}
			}
		})
	}
	group.Wait()
	found := collect(t, 1000, func(g store.Segment) string { return g.Path }, func(p store.Page) ([]store.Segment, string, error) {
		return s.ListSegments(ctx, "door", store.Range{}, p)
	})
	require.Len(t, found, 8*25)
}

// check is require.ErrorIs for goroutines of a test.
func check(t *testing.T, got, want error) {
	t.Helper()
	if want == nil && got != nil || want != nil && !errors.Is(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
