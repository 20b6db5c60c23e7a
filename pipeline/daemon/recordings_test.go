package daemon

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"detectd/store"
)

// index holds one complete segment, from 0 to 10 s.
type index struct {
	store.Segments
	at time.Time
}

func (i index) SegmentAt(context.Context, string, time.Time, time.Duration) (store.Segment, error) {
	return store.Segment{ID: 1, Start: i.at, End: i.at.Add(10 * time.Second)}, nil
}

func (i index) ListSegments(context.Context, string, store.Range, store.Page) ([]store.Segment, string, error) {
	return []store.Segment{{ID: 1, Start: i.at, End: i.at.Add(10 * time.Second)}}, "", nil
}

func TestRecordingsReachIntoTheOpenFile(t *testing.T) {
	zero := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	sec := func(n float64) time.Time { return zero.Add(time.Duration(n * float64(time.Second))) }
	open := store.Segment{Path: "door/x.part", Start: sec(10), End: sec(15)}
	r := recordings{index{at: zero}, func(string) (store.Segment, bool) { return open, open.Path != "" }}
	for at, want := range map[float64]int64{-3: 1, 5: 1, 9.9: 1, 10: 0, 12: 0, 16: 0, 18: 1} {
		s, err := r.SegmentAt(t.Context(), "door", sec(at), 2*time.Second)
		require.NoError(t, err)
		require.Equal(t, want, s.ID, "at %v", at)
	}
	for _, c := range []struct {
		span store.Range
		want int
	}{
		{store.Range{}, 2},
		{store.Range{From: sec(2), To: sec(12)}, 2},
		{store.Range{From: sec(2), To: sec(10)}, 1},
		{store.Range{From: sec(15)}, 1},
	} {
		all, _, err := r.ListSegments(t.Context(), "door", c.span, store.Page{})
		require.NoError(t, err)
		require.Len(t, all, c.want, "%v", c.span)
	}
	open = store.Segment{}
	all, _, err := r.ListSegments(t.Context(), "door", store.Range{}, store.Page{})
	require.NoError(t, err)
	require.Len(t, all, 1)
}
