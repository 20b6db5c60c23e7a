package blob_test

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"detectd/store"
	"detectd/store/blob"
	"detectd/store/storetest"
)

func open(t *testing.T, dir string) *blob.Store {
	t.Helper()
	b, err := blob.Open("file://" + dir)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, b.Close()) })
	return b
}

func TestConformance(t *testing.T) {
	storetest.RunBlobs(t, func(t *testing.T, dir string) store.Blobs { return open(t, dir) })
}

func TestLayout(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new")
	b := open(t, dir)
	address, _, err := b.Put(t.Context(), strings.NewReader("hello"))
	require.NoError(t, err)
	require.Equal(t, "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824", address)
	got, err := os.ReadFile(filepath.Join(dir, "2c", address))
	require.NoError(t, err)
	require.Equal(t, "hello", string(got))
}

func TestNothingIsLeftOfAFailedPut(t *testing.T) {
	dir := t.TempDir()
	b := open(t, dir)
	_, _, err := b.Put(t.Context(), io.MultiReader(strings.NewReader("half"), iotest.ErrReader(errors.New("gone"))))
	require.EqualError(t, err, "store blob: gone")
	left, err := os.ReadDir(filepath.Join(dir, "incoming"))
	require.NoError(t, err)
	require.Empty(t, left)
}

func TestOpenRemovesWhatAKilledPutLeft(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "incoming"), 0o700))
	left := filepath.Join(dir, "incoming", "123")
	require.NoError(t, os.WriteFile(left, []byte("half"), 0o600))
	open(t, dir)
	require.NoFileExists(t, left)
}

func TestPutHealsADamagedBlob(t *testing.T) {
	dir := t.TempDir()
	b := open(t, dir)
	address, _, err := b.Put(t.Context(), strings.NewReader("hello"))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, address[:2], address), []byte("h"), 0o600))
	_, _, err = b.Put(t.Context(), strings.NewReader("hello"))
	require.NoError(t, err)
	r, size, err := b.Open(t.Context(), address)
	require.NoError(t, err)
	require.NoError(t, r.Close())
	require.EqualValues(t, 5, size)
}

func TestOpenRefuses(t *testing.T) {
	for url, want := range map[string]string{
		"s3://":                 "open blob store: an s3 URL is s3://BUCKET or s3://BUCKET/PREFIX; keys come from the environment or from the file that credentials=FILE names",
		"s3://key:secret@b":     "open blob store: an s3 URL is s3://BUCKET or s3://BUCKET/PREFIX; keys come from the environment or from the file that credentials=FILE names",
		"s3://b?secret=x":       `open blob store: unknown option "secret" of an s3 URL; there are endpoint, region and credentials`,
		"s3://b?credentials=/n": "open blob store: stat /n: no such file or directory",
		"gs://bucket":           `open blob store: unknown scheme "gs"; use file:///FOLDER or s3://BUCKET`,
		"":                      `open blob store: unknown scheme ""; use file:///FOLDER or s3://BUCKET`,
		"file://relative/x":     "open blob store: a file URL is file:// and an absolute path, nothing else",
		"file:///x?a=b":         "open blob store: a file URL is file:// and an absolute path, nothing else",
		"s3://user:hunter2@%zz": "open blob store: the URL cannot be read",
	} {
		_, err := blob.Open(url)
		require.EqualError(t, err, want, url)
	}
}
