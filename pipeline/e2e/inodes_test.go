package e2e

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// TestDiskWithoutInodes: a disk that has bytes and takes no new files is a full disk,
// and whoever looks is told of what.
func TestDiskWithoutInodes(t *testing.T) {
	t.Parallel()
	disk := tmpfs(t, "size=320m,nr_inodes=3000")
	d := startIn(t, filepath.Join(disk, "data"))
	d.addCamera(t, "Good", plainCamera(t), body{"id": "good"})
	d.records(t)
	w := d.writer(t)

	ballast := filepath.Join(disk, "ballast")
	require.NoError(t, os.Mkdir(ballast, 0o700))
	var err error
	for i := 0; err == nil; i++ {
		err = os.WriteFile(filepath.Join(ballast, fmt.Sprint(i)), nil, 0o600)
	}
	require.ErrorIs(t, err, unix.ENOSPC)
	soon(t, func(t require.TestingT) {
		var s struct {
			Space struct {
				Level   string `json:"level"`
				ShortOf string `json:"short_of"`
				Queue   bool   `json:"work_queue"`
			} `json:"space"`
		}
		d.get(t, "/system", &s)
		require.Equal(t, "stop", s.Space.Level)
		require.Equal(t, "files", s.Space.ShortOf)
		require.False(t, s.Space.Queue)
		require.False(t, d.camera(t, "good").Status.Recording)
	})
	before := len(w.all())
	soon(t, func(t require.TestingT) { require.Greater(t, len(w.all()), before+20, "records go on") })
	require.Contains(t, string(d.send(t, http.MethodGet, "/readyz", nil).Body), "inodes")
	require.Contains(t, string(d.send(t, http.MethodGet, "/metrics", nil).Body), `detectd_space_short{of="files"} 1`)
	refused(t, d.send(t, http.MethodPost, "/api/v1/models?name=x", []byte("x")), http.StatusInsufficientStorage, "nearly full")

	require.NoError(t, os.RemoveAll(ballast))
	d.records(t)
	d.rendersAStill(t)
	w.stop()
	d.kill()
	d = startIn(t, d.dir)
	d.knowsAll(t, w)
}
