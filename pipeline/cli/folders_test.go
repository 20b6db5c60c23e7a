package cli

import (
	"errors"
	"log/slog"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"detectd/store/folder"
	"detectd/store/sqlite"
)

// TestFilesElsewhere: commands do not look for files in the folder when the
// daemon keeps them in a bucket.
func TestFilesElsewhere(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	f, err := folder.Open(dir)
	require.NoError(t, err)
	records, err := sqlite.Open(t.Context(), f.DB(), slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	require.NoError(t, records.SetBlobs(t.Context(), "file"))
	require.NoError(t, f.Close())
	out := filepath.Join(t.TempDir(), "out.tar")
	code, stdout, stderr := command(t, "check", "--data", dir)
	require.Zero(t, code, stderr)
	require.Contains(t, stdout, "0 findings")
	require.NoError(t, records.SetBlobs(t.Context(), "s3://bucket/site"))
	require.NoError(t, records.Close())
	for _, args := range [][]string{{"check"}, {"gc"}, {"backup", out}, {"models", "list"}} {
		code, _, stderr := command(t, append(args, "--data", dir)...)
		require.Equal(t, 1, code, args)
		require.Contains(t, stderr, "the files of this data folder are at s3://bucket/site, not at file", args)
	}
	require.NoFileExists(t, out)

	fresh := filepath.Join(t.TempDir(), "fresh")
	command(t, "models", "list", "--data", fresh) // fails where no default model is installed
	db, err := sqlite.Inspect(t.Context(), filepath.Join(fresh, "detectd.db"))
	require.NoError(t, err)
	place, err := db.BlobsPlace(t.Context())
	require.NoError(t, errors.Join(err, db.Close()))
	require.Equal(t, "file", place, "also what no daemon has used yet says where its files are")
}
