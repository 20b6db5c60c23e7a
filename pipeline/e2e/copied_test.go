package e2e

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// TestCopiedFolder: a data folder and a copy of it are used at the same time. Each goes
// on by itself, and the copy says what it is.
func TestCopiedFolder(t *testing.T) {
	t.Parallel()
	knowsBirths(t)
	d := withCamera(t)
	d.records(t)
	d.stop()
	copied := filepath.Join(t.TempDir(), "copied")
	require.NoError(t, exec.Command("cp", "-a", d.dir, copied).Run())
	d, c := startIn(t, d.dir), startIn(t, copied)
	for _, one := range []*daemon{d, c} {
		one.becomes(t, "good", "running")
		one.records(t)
		one.goesOn(t, "good")
	}
	moved := func(d *daemon) int { return len(list[struct{}](t, d.client, "/events?kind=storage.moved")) }
	require.Zero(t, moved(d))
	require.Equal(t, 1, moved(c))
	require.Contains(t, c.log.String(), "the data folder was moved or copied")
	c.stop()
	c = startIn(t, copied)
	require.Equal(t, 1, moved(c), "it is said once")
}

// TestCopiedFolderWithABucket: a copy of a data folder whose files are in a bucket is
// refused there, by the daemon and by whatever deletes, until somebody says that it was
// moved. The first one goes on.
func TestCopiedFolderWithABucket(t *testing.T) {
	t.Parallel()
	knowsBirths(t)
	settings := write(t, "bucket.yaml", "demo: false\nlog: {level: error}\nstorage: {blobs: \""+bucket(t)+"\"}\n")
	d := start(t, "--config", settings)
	useBright(t, d)
	d.addCamera(t, "Good", plainCamera(t), body{"id": "good"})
	d.becomes(t, "good", "running")
	d.stop()
	copied := filepath.Join(t.TempDir(), "copied")
	require.NoError(t, exec.Command("cp", "-a", d.dir, copied).Run())

	const refusal = "the data folder was moved or copied since it was used last"
	run := []string{"run", "--data", copied, "--listen", "127.0.0.1:0", "--config", settings}
	for range 2 { // being refused does not make it right
		oneLine(t, finish(t, exec.Command(program, run...)), 1, refusal)
	}
	for _, args := range [][]string{{"gc"}, {"models", "list"}} {
		e := command(t, append(args, "--data", copied, "--config", settings)...)
		require.Equal(t, 1, e.Code, args)
		require.Contains(t, e.Stderr, refusal, args)
	}
	d = startIn(t, d.dir, "--config", settings)
	d.becomes(t, "good", "running")
	d.goesOn(t, "good")
	d.stop()

	require.Contains(t, succeeds(t, "moved", "--data", copied), "it is taken as moved")
	c := startIn(t, copied, "--config", settings)
	c.becomes(t, "good", "running")
	c.goesOn(t, "good")
}

// knowsBirths skips the test where the file system does not know when files were made.
func knowsBirths(t *testing.T) {
	t.Helper()
	var st unix.Statx_t
	if err := unix.Statx(unix.AT_FDCWD, t.TempDir(), 0, unix.STATX_BTIME, &st); err != nil || st.Mask&unix.STATX_BTIME == 0 {
		t.Skip("SKIPPED: this file system does not know when files were made")
	}
}

// bucket is the URL of a bucket of a real S3 server, which runs until the test ends.
func bucket(t *testing.T) string {
	t.Helper()
	root, err := repository()
	require.NoError(t, err)
	dir := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(dir, "detectd"), 0o700))
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	address := listener.Addr().String()
	require.NoError(t, listener.Close())
	server := exec.Command(filepath.Join(root, "build", "tools", "versitygw"), "--port", address, "--quiet", "posix", "--sidecar", t.TempDir(), dir)
	server.Env = append(os.Environ(), "ROOT_ACCESS_KEY=detectd-test", "ROOT_SECRET_KEY=not-a-secret-at-all")
	require.NoError(t, server.Start(), "run make test-packages")
	t.Cleanup(func() { _ = server.Process.Kill(); _ = server.Wait() })
	soon(t, func(t require.TestingT) {
		c, err := net.Dial("tcp", address)
		require.NoError(t, err)
		_ = c.Close()
	})
	keys := write(t, "keys", "[default]\naws_access_key_id = detectd-test\naws_secret_access_key = not-a-secret-at-all\n")
	return fmt.Sprintf("s3://detectd/site?endpoint=http://%s&credentials=%s", address, keys)
}
