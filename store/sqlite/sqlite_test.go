package sqlite

import (
	"database/sql"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"detectd/store"
	"detectd/store/storetest"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(crashDir); dir != "" {
		os.Exit(crashChild(dir))
	}
	goleak.VerifyTestMain(m)
}

func openTest(t *testing.T, path string) *Store {
	t.Helper()
	s, err := Open(t.Context(), path, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

func TestConformance(t *testing.T) {
	storetest.RunRecords(t, func(t *testing.T, dir string) store.Records { return openTest(t, filepath.Join(dir, "detectd.db")) })
}

func TestPragmas(t *testing.T) {
	s := openTest(t, filepath.Join(t.TempDir(), "a b?c#d%20.db")) // a path that a URL would take apart
	for name, db := range map[string]*sql.DB{"writer": s.w, "reader": s.r} {
		for pragma, want := range map[string]string{
			"journal_mode": "wal", "synchronous": "2", "foreign_keys": "1", "busy_timeout": map[string]string{"writer": "100", "reader": "5000"}[name], "mmap_size": "0",
		} {
			var got string
			require.NoError(t, db.QueryRowContext(t.Context(), "PRAGMA "+pragma).Scan(&got))
			require.Equal(t, want, got, "%s of the %s", pragma, name)
		}
	}
	_, err := s.r.ExecContext(t.Context(), `DELETE FROM events`)
	require.ErrorContains(t, err, "readonly", "readers cannot write")
	require.Equal(t, 1, s.w.Stats().MaxOpenConnections)
}

func TestFilesArePrivate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "detectd.db")
	s := openTest(t, path)
	require.NoError(t, s.Ping(t.Context()))
	for _, file := range []string{path, path + "-wal", path + "-shm"} {
		info, err := os.Stat(file)
		require.NoError(t, err)
		require.Equal(t, os.FileMode(0o600), info.Mode().Perm(), file)
	}
}

func TestCheckVersion(t *testing.T) {
	require.NoError(t, checkVersion("3.51.3", 3_051_003))
	require.NoError(t, checkVersion("3.54.1", 3_054_001))
	require.ErrorContains(t, checkVersion("3.51.2", 3_051_002), "SQLite 3.51.2 can corrupt databases")
}

func TestNewerSchema(t *testing.T) {
	path := filepath.Join(t.TempDir(), "detectd.db")
	s := openTest(t, path)
	_, err := s.w.ExecContext(t.Context(), `INSERT INTO goose_db_version (version_id, is_applied) VALUES (999, 1)`)
	require.NoError(t, err)
	require.NoError(t, s.Close())

	before, err := os.ReadFile(path)
	require.NoError(t, err)
	_, err = Open(t.Context(), path, slog.New(slog.DiscardHandler))
	require.ErrorIs(t, err, store.ErrNewerSchema)
	require.ErrorContains(t, err, "its schema is 999, this detectd knows ")
	after, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, before, after)
}

func TestNotADatabase(t *testing.T) {
	path := filepath.Join(t.TempDir(), "detectd.db")
	require.NoError(t, os.WriteFile(path, []byte("this is a letter to my mother, not a database, and it is long enough to tell"), 0o600))
	_, err := Open(t.Context(), path, slog.New(slog.DiscardHandler))
	require.ErrorContains(t, err, "open database")
	require.ErrorContains(t, err, "not a database")
}

func TestFolderMissing(t *testing.T) {
	_, err := Open(t.Context(), filepath.Join(t.TempDir(), "none", "detectd.db"), slog.New(slog.DiscardHandler))
	require.ErrorIs(t, err, os.ErrNotExist)
}

func TestBindFolder(t *testing.T) {
	s := openTest(t, filepath.Join(t.TempDir(), "detectd.db"))
	require.NoError(t, s.BindFolder(t.Context(), "one"))
	require.NoError(t, s.BindFolder(t.Context(), "one"))
	require.EqualError(t, s.BindFolder(t.Context(), "two"), "bind database to its folder: it belongs to data folder one, this is two")
}

func TestUserTextIsNeverSQL(t *testing.T) {
	s := openTest(t, filepath.Join(t.TempDir(), "detectd.db"))
	const evil = `x'; DROP TABLE clients; --`
	c, err := s.CreateClient(t.Context(), store.Client{ID: evil, Name: evil})
	require.NoError(t, err)
	got, err := s.Client(t.Context(), evil)
	require.NoError(t, err)
	require.Equal(t, c, got)
	all, err := s.ListCameras(t.Context(), evil)
	require.NoError(t, err)
	require.Empty(t, all)
	_, _, err = s.ListTracks(t.Context(), evil, evil, store.Range{}, store.Page{})
	require.NoError(t, err)
}
