package sqlite

import (
	"database/sql"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
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
	for i := range 20 {
		group.Go(func() {
			var err error
			if i%2 == 0 {
				_, err = s.AddEvent(t.Context(), store.Event{Kind: fmt.Sprint("refused", i)})
			} else {
				err = s.write(t.Context(), "try", func(tx *sql.Tx) error { return nil })
			}
			assert.ErrorIs(t, err, store.ErrBusy)
			if waited := time.Since(began); waited > 3*patience { // one after the other they would take 20 times as long
				t.Errorf("change %d was answered after %v", i, waited)
			}
		})
	}
	group.Wait()
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
