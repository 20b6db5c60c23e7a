package blob_test

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	cloud "gocloud.dev/blob"

	"detectd/store"
	"detectd/store/backup"
	"detectd/store/blob"
	"detectd/store/folder"
	"detectd/store/sqlite"
	"detectd/store/storetest"
)

// gateway is the S3 server that `make test-packages` builds.
const gateway = "build/tools/versitygw"

const accessKey, secretKey = "detectd-test", "not-a-secret-at-all"

// startS3 starts a real S3 server on a folder with buckets and returns its address
// and the name of a file with the keys to it.
func startS3(t *testing.T, buckets ...string) (endpoint, credentials, dir string) {
	t.Helper()
	program := findUp(t, gateway)
	dir = t.TempDir()
	for _, b := range buckets {
		require.NoError(t, os.Mkdir(filepath.Join(dir, b), 0o700))
	}
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	address := listener.Addr().String()
	require.NoError(t, listener.Close())
	server := exec.CommandContext(t.Context(), program, "--port", address, "--quiet", "posix", "--sidecar", t.TempDir(), dir)
	server.Env = []string{"ROOT_ACCESS_KEY=" + accessKey, "ROOT_SECRET_KEY=" + secretKey, "PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir()}
	var said strings.Builder
	server.Stdout, server.Stderr = &said, &said
	require.NoError(t, server.Start())
	t.Cleanup(func() {
		_ = server.Process.Kill()
		_ = server.Wait()
		if t.Failed() {
			t.Log(said.String())
		}
	})
	require.Eventually(t, func() bool {
		c, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", address)
		if err == nil {
			_ = c.Close()
		}
		return err == nil
	}, 30*time.Second, 20*time.Millisecond)
	credentials = filepath.Join(t.TempDir(), "credentials")
	require.NoError(t, os.WriteFile(credentials, fmt.Appendf(nil, "[default]\naws_access_key_id = %s\naws_secret_access_key = %s\n", accessKey, secretKey), 0o600))
	return "http://" + address, credentials, dir
}

// findUp finds a file from the root of the repository.
func findUp(t *testing.T, name string) string {
	t.Helper()
	dir, err := os.Getwd()
	require.NoError(t, err)
	for ; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			break
		}
		require.NotEqual(t, "/", dir, "no go.mod above")
	}
	file := filepath.Join(dir, filepath.FromSlash(name))
	_, err = os.Stat(file)
	require.NoError(t, err, "run make test-packages")
	return file
}

func openS3(t *testing.T, url string) *blob.Store {
	t.Helper()
	b, err := blob.Open(url)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, b.Close()) })
	return b
}

func TestConformanceS3(t *testing.T) {
	endpoint, credentials, _ := startS3(t, "blobs")
	var n atomic.Int64
	prefixes := map[string]int64{} // a folder of the suite is a prefix of the bucket
	storetest.RunBlobs(t, func(t *testing.T, dir string) store.Blobs {
		if prefixes[dir] == 0 {
			prefixes[dir] = n.Add(1)
		}
		b := openS3(t, fmt.Sprintf("s3://blobs/test/%d?endpoint=%s&credentials=%s", prefixes[dir], endpoint, credentials))
		b.SpoolTo(t.TempDir())
		return b
	})
}

func TestS3Layout(t *testing.T) {
	endpoint, credentials, dir := startS3(t, "blobs")
	url := fmt.Sprintf("s3://blobs?endpoint=%s&credentials=%s", endpoint, credentials)
	b := openS3(t, url)
	spool := t.TempDir()
	b.SpoolTo(spool)
	address, _, err := b.Put(t.Context(), strings.NewReader("hello"))
	require.NoError(t, err)
	require.Equal(t, "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824", address, "as in a folder")
	got, err := os.ReadFile(filepath.Join(dir, "blobs", "2c", address))
	require.NoError(t, err)
	require.Equal(t, "hello", string(got))
	left, err := os.ReadDir(spool)
	require.NoError(t, err)
	require.Empty(t, left)

	require.NoError(t, b.Bind(t.Context(), "one"))
	require.NoError(t, b.Bind(t.Context(), "one"))
	require.EqualError(t, b.Bind(t.Context(), "two"),
		`bind blob store to its data folder: the bucket belongs to data folder "one", this is two; use another bucket or prefix`)
	require.NoError(t, b.Each(t.Context(), func(a string, size int64) error {
		require.Equal(t, address, a, "the owner's mark is no blob")
		return nil
	}))
	reader, err := blob.Beside(url)
	require.NoError(t, err)
	defer func() { require.NoError(t, reader.Close()) }()
	_, _, err = reader.Put(t.Context(), strings.NewReader("x"))
	require.ErrorContains(t, err, "for reading only")
}

// TestRestoreIntoABucket: the blobs of a backup go into a bucket, which belongs to
// the new data folder then, and to no other.
func TestRestoreIntoABucket(t *testing.T) {
	endpoint, credentials, _ := startS3(t, "blobs")
	f, err := folder.Open(filepath.Join(t.TempDir(), "data"))
	require.NoError(t, err)
	defer func() { require.NoError(t, f.Close()) }()
	records, err := sqlite.Open(t.Context(), f.DB(), slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	defer func() { require.NoError(t, records.Close()) }()
	files := openS3(t, f.BlobsURL())
	address, size, err := files.Put(t.Context(), strings.NewReader("a result"))
	require.NoError(t, err)
	require.NoError(t, records.PutResult(t.Context(), store.Result{ID: "r", SHA256: address, Bytes: size, State: store.ResultDone}))
	out := filepath.Join(t.TempDir(), "out.tar")
	_, err = backup.Write(t.Context(), f, files, out, backup.Options{})
	require.NoError(t, err)

	bucket := openS3(t, fmt.Sprintf("s3://blobs/site?endpoint=%s&credentials=%s", endpoint, credentials))
	to := backup.Files{Bucket: bucket, Place: "s3://blobs/site"}
	dir := filepath.Join(t.TempDir(), "restored")
	_, err = backup.Restore(t.Context(), out, dir, to)
	require.NoError(t, err)
	got, _, err := bucket.Open(t.Context(), address)
	require.NoError(t, err)
	content, err := io.ReadAll(got)
	require.NoError(t, errors.Join(err, got.Close()))
	require.Equal(t, "a result", string(content))
	require.NoDirExists(t, filepath.Join(dir, "blobs"))
	restored, _, err := folder.Beside(dir)
	require.NoError(t, err)
	require.NoError(t, bucket.Bind(t.Context(), restored.ID()))
	db, err := sqlite.Inspect(t.Context(), restored.DB())
	require.NoError(t, err)
	place, err := db.BlobsPlace(t.Context())
	require.NoError(t, errors.Join(err, db.Close()))
	require.Equal(t, to.Place, place)

	other := filepath.Join(t.TempDir(), "other")
	_, err = backup.Restore(t.Context(), out, other, to)
	require.ErrorContains(t, err, "belongs to data folder")
	require.NoDirExists(t, other)
}

// TestS3HealsDamage: putting a blob again mends an object that has become another
// of the same size.
func TestS3HealsDamage(t *testing.T) {
	endpoint, credentials, _ := startS3(t, "blobs")
	url := fmt.Sprintf("s3://blobs?endpoint=%s&credentials=%s", endpoint, credentials)
	b := openS3(t, url)
	address, _, err := b.Put(t.Context(), strings.NewReader("hello"))
	require.NoError(t, err)
	t.Setenv("AWS_ACCESS_KEY_ID", accessKey)
	t.Setenv("AWS_SECRET_ACCESS_KEY", secretKey)
	raw, err := cloud.OpenBucket(t.Context(), "s3://blobs?region=us-east-1&use_path_style=true&endpoint="+endpoint)
	require.NoError(t, err)
	require.NoError(t, raw.WriteAll(t.Context(), address[:2]+"/"+address, []byte("jello"), nil))
	require.NoError(t, raw.Close())
	_, _, err = b.Put(t.Context(), strings.NewReader("hello"))
	require.NoError(t, err)
	got, _, err := b.Open(t.Context(), address)
	require.NoError(t, err)
	content, err := io.ReadAll(got)
	require.NoError(t, errors.Join(err, got.Close()))
	require.Equal(t, "hello", string(content))
}

func TestS3Refuses(t *testing.T) {
	endpoint, credentials, _ := startS3(t, "blobs")
	_, err := blob.Open(fmt.Sprintf("s3://none?endpoint=%s&credentials=%s", endpoint, credentials))
	require.ErrorContains(t, err, `open blob store: bucket "none" cannot be reached, or does not exist`)
	require.NotContains(t, err.Error(), secretKey)

	t.Setenv("AWS_ACCESS_KEY_ID", accessKey)
	t.Setenv("AWS_SECRET_ACCESS_KEY", "wrong-secret")
	_, err = blob.Open("s3://blobs?endpoint=" + endpoint)
	require.Error(t, err)
	require.NotContains(t, err.Error(), "wrong-secret")
	t.Setenv("AWS_SECRET_ACCESS_KEY", secretKey)
	openS3(t, "s3://blobs?endpoint="+endpoint)
}
