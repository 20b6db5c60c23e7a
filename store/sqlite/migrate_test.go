package sqlite

import (
	"log/slog"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestMigrationThatComesLate applies a migration whose number is below those that a
// database has already.
func TestMigrationThatComesLate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "test.db")
	s, err := Open(t.Context(), path, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	_, err = s.w.ExecContext(t.Context(), `ALTER TABLE cameras DROP COLUMN weight`)
	require.NoError(t, err)
	_, err = s.w.ExecContext(t.Context(), `DELETE FROM goose_db_version WHERE version_id = 40`)
	require.NoError(t, err)
	require.NoError(t, s.Close())

	s, err = Open(t.Context(), path, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	_, err = s.ListCameras(t.Context(), "")
	require.NoError(t, err)
	require.NoError(t, s.Close())
}
