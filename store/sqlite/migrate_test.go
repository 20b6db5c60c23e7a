package sqlite

import (
	"log/slog"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"detectd/store"
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

// TestContractsMigration takes UNIQUE (model, sha256) from a database that has it, with
// rows that refer to versions.
func TestContractsMigration(t *testing.T) {
	ctx, path := t.Context(), filepath.Join(t.TempDir(), "test.db")
	s, err := Open(ctx, path, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	add := func(s *Store, contract string) (store.ModelVersion, error) {
		return s.AddModelVersion(ctx, store.Model{Name: "yard"}, store.ModelVersion{
			SHA256: "aa", Family: "ssd", Contract: []byte(contract), Check: []byte(`{"verdict":"pass"}`), Tags: map[string]string{"k": "v"},
		})
	}
	v, err := add(s, `{"family":"ssd"}`)
	require.NoError(t, err)
	require.NoError(t, s.SetAlias(ctx, "yard", "champion", 1, 0, store.Author{}))
	_, err = s.AddMeasurement(ctx, store.Measurement{Model: "yard", Version: 1, Kind: store.Speed, Machine: "m", Provider: "cpu"})
	require.NoError(t, err)
	v, err = s.ModelVersion(ctx, "yard", v.Version)
	require.NoError(t, err)
	rows := func(s *Store) (text string) {
		require.NoError(t, s.w.QueryRowContext(ctx, `SELECT group_concat(name, ' ') FROM (SELECT name FROM sqlite_schema
			WHERE tbl_name = 'model_versions' AND type = 'index' AND name NOT LIKE 'sqlite_%' AND name <> 'model_versions_of_model_by_sha256' ORDER BY name)`).Scan(&text))
		return text
	}
	indexes := rows(s)
	for _, statement := range []string{ // as it was
		`DROP INDEX model_versions_of_model_by_sha256`,
		`CREATE UNIQUE INDEX once ON model_versions (model, sha256)`,
		`DELETE FROM goose_db_version WHERE version_id = 77`,
	} {
		_, err = s.w.ExecContext(ctx, statement)
		require.NoError(t, err)
	}
	_, err = add(s, `{"family":"yolox"}`)
	require.Error(t, err)
	require.NoError(t, s.Close())

	s, err = Open(ctx, path, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	require.Equal(t, indexes, rows(s))
	got, err := s.ModelVersion(ctx, "yard", 1)
	require.NoError(t, err)
	require.Equal(t, v, got, "with its alias and tags")
	for query, want := range map[string]int{
		`SELECT count(*) FROM model_measurements`: 1, `SELECT count(*) FROM pragma_foreign_key_check`: 0, `PRAGMA foreign_keys`: 1,
	} {
		var n int
		require.NoError(t, s.w.QueryRowContext(ctx, query).Scan(&n))
		require.Equal(t, want, n, query)
	}
	second, err := add(s, `{"family":"yolox"}`)
	require.NoError(t, err)
	require.Equal(t, 2, second.Version)
	require.Error(t, s.DeleteModelVersion(ctx, "yard", 1), "an alias names it")
}
