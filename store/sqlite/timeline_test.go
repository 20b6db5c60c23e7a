package sqlite

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"detectd/store"
)

// TestLongTracks: what began long before a span and reaches into it is there, however
// long it is, and what ended before is not.
func TestLongTracks(t *testing.T) {
	s := openTest(t, filepath.Join(t.TempDir(), "detectd.db"))
	_, err := s.CreateClient(t.Context(), store.Client{ID: "a"})
	require.NoError(t, err)
	_, err = s.CreateCamera(t.Context(), store.Camera{ID: "door", ClientID: "a"})
	require.NoError(t, err)
	noon := time.Date(2026, 3, 14, 12, 0, 0, 0, time.UTC)
	r := store.Range{From: noon, To: noon.Add(10 * time.Minute)}
	put := func(id string, start, end time.Time) {
		require.NoError(t, s.PutTrack(t.Context(), store.Track{ID: id, CameraID: "door", Label: "car", Start: start, End: end}))
	}
	moving := func() (all time.Duration) {
		pieces, err := s.Timeline(t.Context(), "door", r, time.Minute)
		require.NoError(t, err)
		for _, p := range pieces {
			all += p.Moving
		}
		return all
	}
	put("gone", noon.Add(-50*time.Hour), noon.Add(-time.Second))
	put("short and gone", noon.Add(-50*time.Minute), noon.Add(-time.Second))
	require.Zero(t, moving())
	put("short", noon.Add(-59*time.Minute), noon.Add(time.Minute))
	require.Equal(t, time.Minute, moving())
	put("just an hour", noon.Add(-58*time.Minute), noon.Add(2*time.Minute))
	require.Equal(t, 2*time.Minute, moving())
	put("long", noon.Add(-61*time.Minute), noon.Add(3*time.Minute))
	require.Equal(t, 3*time.Minute, moving())
	put("days", noon.Add(-50*time.Hour), noon.Add(4*time.Minute))
	require.Equal(t, 4*time.Minute, moving())
	put("later", noon.Add(9*time.Minute), noon.Add(50*time.Hour))
	require.Equal(t, 5*time.Minute, moving())
}

// TestTimelineFollowsItsIndexes: a day is read without what came before it.
func TestTimelineFollowsItsIndexes(t *testing.T) {
	s := openTest(t, filepath.Join(t.TempDir(), "detectd.db"))
	rows, err := s.r.QueryContext(t.Context(), "EXPLAIN QUERY PLAN "+tracksWithin, "door", 1, 2, 1)
	require.NoError(t, err)
	defer func() { require.NoError(t, rows.Close()) }()
	plan := ""
	for rows.Next() {
		var id, parent, unused int
		var detail string
		require.NoError(t, rows.Scan(&id, &parent, &unused, &detail))
		plan += detail + "\n"
	}
	require.NoError(t, rows.Err())
	require.Contains(t, plan, "USING COVERING INDEX tracks_long (camera_id=? AND start_us<?)")
	require.Contains(t, plan, "USING COVERING INDEX tracks_by_camera (camera_id=? AND start_us>? AND start_us<?)")
}
