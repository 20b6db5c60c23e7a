package sqlite

import (
	"database/sql"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"detectd/store"
)

// TestNobodyWaitsLong: while another program holds the write lock, every one of many
// changes is refused once it has waited for as long as it may, none after those
// before it have. When the lock is free again, changes are made.
func TestNobodyWaitsLong(t *testing.T) {
	path := filepath.Join(t.TempDir(), "detectd.db")
	s := openTest(t, path)
	other, err := pool(path, "_txlock=immediate", 1)
	require.NoError(t, err)
	defer func() { require.NoError(t, other.Close()) }()
	tx, err := other.BeginTx(t.Context(), nil)
	require.NoError(t, err)

	began := time.Now()
	var group sync.WaitGroup
	errs, waited := make([]error, 20), make([]time.Duration, 20)
	for i := range errs {
		group.Go(func() {
			if i%2 == 0 {
				_, errs[i] = s.AddEvent(t.Context(), store.Event{Kind: "refused"})
			} else {
				errs[i] = s.write(t.Context(), "try", func(*sql.Tx) error { return nil })
			}
			waited[i] = time.Since(began)
		})
	}
	group.Wait()
	for i, err := range errs {
		require.ErrorIs(t, err, store.ErrBusy)
		require.Less(t, waited[i], 4*patience, "one after the other they would take 20 times as long")
	}
	require.NoError(t, tx.Rollback())
	_, err = s.AddEvent(t.Context(), store.Event{Kind: "kept"})
	require.NoError(t, err)
	all, _, err := s.ListEvents(t.Context(), "", "", store.Range{}, store.Page{})
	require.NoError(t, err)
	require.Len(t, all, 1, "what was refused is not there")
}

// TestSlowCommit: those who come while a commit takes long are refused in time, and
// the one that is being committed gets its own answer.
func TestSlowCommit(t *testing.T) {
	s := openTest(t, filepath.Join(t.TempDir(), "detectd.db"))
	release := hold(t, s) // the first change is in its transaction
	began := time.Now()
	_, err := s.AddEvent(t.Context(), store.Event{Kind: "late"})
	require.ErrorIs(t, err, store.ErrBusy)
	require.GreaterOrEqual(t, time.Since(began), patience)
	release()
	_, err = s.AddEvent(t.Context(), store.Event{Kind: "next"})
	require.NoError(t, err)
}
