package e2e

import (
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestWorkQueueOnAFullDisk: the work queue is in use when the disk fills up. Below
// its level nothing is written there, the daemon lives, also when it is started on
// the full disk with work to do, and the work is done when there is space again.
func TestWorkQueueOnAFullDisk(t *testing.T) {
	t.Parallel()
	disk := tmpfs(t, "size=320m")
	d := startIn(t, filepath.Join(disk, "data"))
	d.addCamera(t, "Good", plainCamera(t), body{"id": "good"})
	d.records(t)
	d.rendersAStill(t) // the queue and its worker have files
	require.Contains(t, string(d.send(t, http.MethodGet, "/metrics", nil).Body), "detectd_work_queue_open 1")

	ballast := fill(t, disk)
	full := func() {
		soon(t, func(t require.TestingT) {
			require.Equal(t, "stop", d.space(t).Space.Level)
			require.Contains(t, string(d.send(t, http.MethodGet, "/metrics", nil).Body), "detectd_work_queue_open 0")
		})
		ready := d.send(t, http.MethodGet, "/readyz", nil)
		require.Equal(t, http.StatusOK, ready.Status)
		require.Contains(t, string(ready.Body), "renders")
	}
	full()
	before := contentOf(t, filepath.Join(d.dir, "bus"))
	require.NotEmpty(t, before)
	pause(t, 5*time.Second)
	require.Equal(t, before, contentOf(t, filepath.Join(d.dir, "bus")))

	free := func() {
		require.NoError(t, ballast.Close())
		require.NoError(t, os.Remove(ballast.Name()))
		soon(t, func(t require.TestingT) { require.Equal(t, "normal", d.space(t).Space.Level) })
		d.records(t)
		d.rendersAStill(t)
	}
	free()

	// Work that is queued when the daemon is killed is taken up by one that was
	// started when the disk was full.
	all := list[recording](t, d.client, "/recordings?camera_id=good")
	d.api(t, http.MethodPut, "/cameras/good/keeps/all", body{"from": all[0].Start, "to": all[len(all)-1].End}, nil) // however full the disk is
	var made result
	d.api(t, http.MethodPost, "/results", body{"kind": "clip", "camera_id": "good", "from": all[0].Start, "to": all[len(all)-1].End}, &made)
	d.kill()
	ballast = fill(t, disk)
	d = startIn(t, d.dir)
	full()
	free()
	soon(t, func(t require.TestingT) {
		d.get(t, "/results/"+made.ID, &made)
		require.Equal(t, "done", made.State, made.Error)
	})
}

// contentOf is every file below a folder.
func contentOf(t *testing.T, folder string) map[string]string {
	t.Helper()
	all := map[string]string{}
	require.NoError(t, filepath.WalkDir(folder, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		all[path] = string(data)
		return err
	}))
	return all
}
