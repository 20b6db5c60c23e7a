package sqlite

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"detectd/store"
	"detectd/store/internal/cursor"
)

// TestPagesFollowAnIndex keeps lists from reading or sorting whole tables,
// whatever they are filtered by.
func TestPagesFollowAnIndex(t *testing.T) {
	s := openTest(t, filepath.Join(t.TempDir(), "detectd.db"))
	at := time.Date(2026, 3, 14, 12, 0, 0, 0, time.UTC)
	for _, camera := range []string{"", "door"} {
		for _, word := range []string{"", "person"} {
			for _, r := range []store.Range{{}, {From: at}, {To: at}, {From: at, To: at.Add(time.Hour)}} {
				for _, more := range []bool{false, true} {
					var byNumber, byText store.Page
					if more {
						byNumber.Cursor = cursor.Encode(position[int64]{Time: 1, ID: 1})
						byText.Cursor = cursor.Encode(position[string]{Time: 1, ID: "a"})
					}
					requireIndex(t, s, segmentPages(), segmentFilter(camera, r), byNumber)
					requireIndex(t, s, trackPages(), trackFilter(camera, word, r), byText)
					requireIndex(t, s, eventPages(), eventFilter(camera, word, r), byNumber)
					requireIndex(t, s, eventPages(), eventFilter(camera, "!track.", r), byNumber)
					var f filter
					f.equal("camera_id", camera)
					requireIndex(t, s, resultPages(), f, byText)
				}
			}
		}
	}
}

// TestNewestVersionsFollowAnIndex keeps the list that clients of MLflow ask for most
// from sorting all versions.
func TestNewestVersionsFollowAnIndex(t *testing.T) {
	s := openTest(t, filepath.Join(t.TempDir(), "detectd.db"))
	for _, where := range []string{"", " WHERE v.model = 'm'"} {
		plan := planOf(t, s, selectVersions+where+" ORDER BY updated_us DESC, model, version DESC LIMIT 100")
		require.NotContains(t, plan, "TEMP B-TREE", where)
	}
}

// planOf is how SQLite would answer a query.
func planOf(t *testing.T, s *Store, query string, args ...any) string {
	t.Helper()
	rows, err := s.r.QueryContext(t.Context(), "EXPLAIN QUERY PLAN "+query, args...)
	require.NoError(t, err)
	defer func() { require.NoError(t, rows.Close()) }()
	var plan []string
	for rows.Next() {
		var id, parent, unused int
		var detail string
		require.NoError(t, rows.Scan(&id, &parent, &unused, &detail))
		plan = append(plan, detail)
	}
	require.NoError(t, rows.Err())
	return strings.Join(plan, "; ")
}

func requireIndex[T any, ID int64 | string](t *testing.T, s *Store, l paged[T, ID], f filter, p store.Page) {
	t.Helper()
	query, args, err := l.build(f, p)
	require.NoError(t, err)
	all := planOf(t, s, query, args...)
	require.Contains(t, all, "INDEX", "%s\n%v", query, args)
	require.NotContains(t, all, "TEMP B-TREE", "%s\n%v", query, args)
}
