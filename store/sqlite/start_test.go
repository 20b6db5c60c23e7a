package sqlite

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"detectd/store"
	"detectd/store/folder"
)

// start does what the daemon does, and says how it went.
func start(t *testing.T, dir string) error {
	t.Helper()
	f, err := folder.Open(dir)
	require.NoError(t, err)
	defer func() { require.NoError(t, f.Close()) }()
	s := openTest(t, f.DB())
	defer func() { require.NoError(t, s.Close()) }()
	if err := s.BindFolder(t.Context(), f.ID()); err != nil {
		return err
	}
	starts, err := s.Start(t.Context(), f.Starts())
	if err != nil {
		return err
	}
	return f.Count(starts)
}

func TestAnOlderCopyOfTheDatabaseIsRefused(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	db := filepath.Join(dir, "detectd.db")
	copyOf := func() []byte {
		content, err := os.ReadFile(db)
		require.NoError(t, err)
		return content
	}
	require.NoError(t, start(t, dir))
	old := copyOf()
	require.NoError(t, start(t, dir))
	newer := copyOf()
	require.NoError(t, os.WriteFile(db, old, 0o600))
	err := start(t, dir)
	require.ErrorIs(t, err, store.ErrOlderCopy)
	require.ErrorContains(t, err, "it has seen 1 starts, its data folder 2")
	require.NoError(t, os.WriteFile(db, newer, 0o600))
	require.NoError(t, start(t, dir), "the newer one is back")

	other := filepath.Join(t.TempDir(), "data")
	require.NoError(t, start(t, other))
	foreign, err := os.ReadFile(filepath.Join(other, "detectd.db"))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(db, foreign, 0o600))
	require.ErrorContains(t, start(t, dir), "it belongs to data folder ")
}
