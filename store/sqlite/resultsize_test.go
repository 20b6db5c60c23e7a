package sqlite

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"detectd/store"
)

// TestResultsAreHeldToASize: the oldest go until the rest fits, but never what is
// still to be made.
func TestResultsAreHeldToASize(t *testing.T) {
	s := openTest(t, filepath.Join(t.TempDir(), "test.db"))
	ctx, begin := t.Context(), time.Date(2026, 11, 25, 3, 0, 0, 0, time.UTC)
	for i, state := range []string{store.ResultQueued, store.ResultDone, store.ResultFailed, store.ResultDone, store.ResultDone, store.ResultDone} {
		require.NoError(t, s.PutResult(ctx, store.Result{
			ID: fmt.Sprintf("r%d", i), Kind: "clip", State: state, Bytes: 100, CreatedAt: begin.Add(time.Duration(i) * time.Minute),
		}))
	}
	left := func() (ids []string) {
		all, _, err := s.ListResults(ctx, "", store.Page{Limit: 100})
		require.NoError(t, err)
		for _, r := range all {
			ids = append(ids, r.ID)
		}
		return ids
	}
	drop := func(size int64, limit int) int {
		n, err := s.DropOld(ctx, store.Old{ResultBytes: size}, limit)
		require.NoError(t, err)
		return n
	}
	require.Zero(t, drop(0, 500), "no limit")
	require.Zero(t, drop(500, 500), "just fits")
	require.Equal(t, 1, drop(250, 1), "few at a time")
	require.Equal(t, []string{"r5", "r4", "r3", "r2", "r0"}, left())
	require.Equal(t, 2, drop(250, 500))
	require.Equal(t, []string{"r5", "r4", "r0"}, left())
	require.Equal(t, 2, drop(1, 500))
	require.Equal(t, []string{"r0"}, left())
}

// TestSizeOfResultsNeedsNoBoxes: the query reads an index alone.
func TestSizeOfResultsNeedsNoBoxes(t *testing.T) {
	s := openTest(t, filepath.Join(t.TempDir(), "test.db"))
	var plan string
	var id, parent, unused int
	rows, err := s.r.QueryContext(t.Context(), `EXPLAIN QUERY PLAN `+resultsTooMany, 1, 1)
	require.NoError(t, err)
	defer rows.Close()
	text := ""
	for rows.Next() {
		require.NoError(t, rows.Scan(&id, &parent, &unused, &plan))
		text += plan + "\n"
	}
	require.NoError(t, rows.Err())
	require.Contains(t, text, "COVERING INDEX results_by_size")
}
