package e2e

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// tmpfs mounts a file system of its own for the test, with options of tmpfs.
func tmpfs(t *testing.T, options string) string {
	t.Helper()
	dir := t.TempDir()
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", options, "tmpfs", dir).CombinedOutput(); err != nil {
		t.Skipf("SKIPPED: this user may not mount a file system of its own: %s", out)
	}
	t.Cleanup(func() { require.NoError(t, exec.Command("umount", "-l", dir).Run()) })
	return dir
}

type systemSpace struct {
	Space struct {
		Level   string `json:"level"`
		Refused int    `json:"refused"`
	} `json:"space"`
}

func (d *daemon) space(t require.TestingT) systemSpace {
	var s systemSpace
	d.get(t, "/system", &s)
	return s
}

// writer creates clients as fast as they are answered, and knows which were.
type writer struct {
	mu    sync.Mutex
	acked []string
	stop  func()
}

func (d *daemon) writer(t *testing.T) *writer {
	t.Helper()
	w, done, end := &writer{}, make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for i := 0; ; i++ {
			select {
			case <-end:
				return
			case <-time.After(20 * time.Millisecond):
			}
			id := fmt.Sprintf("c%d", i)
			request, _ := http.NewRequest(http.MethodPost, d.base+"/api/v1/clients", jsonBody(body{"id": id, "name": id}))
			request.Header.Set("Content-Type", "application/json")
			response, err := d.http.Do(request)
			if err != nil {
				continue
			}
			_ = response.Body.Close()
			if response.StatusCode == http.StatusCreated {
				w.mu.Lock()
				w.acked = append(w.acked, id)
				w.mu.Unlock()
			}
		}
	}()
	w.stop = sync.OnceFunc(func() { close(end); <-done })
	t.Cleanup(w.stop)
	return w
}

func (w *writer) all() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]string{}, w.acked...)
}

// fill writes a file into a disk until there is no byte left. From 6 % to 2.5 % free
// it goes at a twentieth of the disk a second: memory, in which the tests' disks are,
// is faster than any disk, and detectd can only stop what writes to it when it sees
// it coming (docs/durability.md). The rest goes at once, so that what the reserve
// gives back is left to the records.
func fill(t *testing.T, disk string) *os.File {
	t.Helper()
	ballast, err := os.Create(filepath.Join(disk, "ballast"))
	require.NoError(t, err)
	var st unix.Statfs_t
	const block = 1 << 20
	for data := make([]byte, block); err == nil; _, err = ballast.Write(data) {
		require.NoError(t, unix.Statfs(disk, &st))
		if total := st.Blocks * uint64(st.Bsize); st.Bavail*100 < st.Blocks*6 && st.Bavail*40 > st.Blocks {
			<-time.After(time.Duration(20 * block * uint64(time.Second) / total))
		}
	}
	require.ErrorIs(t, err, unix.ENOSPC)
	return ballast
}

// TestDiskFull fills the disk to the last byte under load: nothing dies, records
// go on, and recording resumes when there is space.
func TestDiskFull(t *testing.T) {
	t.Parallel()
	disk := tmpfs(t, "size=320m")
	d := startIn(t, filepath.Join(disk, "data"))
	useBright(t, d)
	d.addCamera(t, "Good", plainCamera(t), body{"id": "good"})
	d.becomes(t, "good", "running")
	soon(t, func(t require.TestingT) {
		require.NotEmpty(t, list[recording](t, d.client, "/recordings?camera_id=good"))
	})
	require.Equal(t, "normal", d.space(t).Space.Level)
	w := d.writer(t)

	ballast := fill(t, disk)
	soon(t, func(t require.TestingT) {
		require.Equal(t, "stop", d.space(t).Space.Level)
		require.False(t, d.camera(t, "good").Status.Recording)
	})
	before := len(w.all())
	soon(t, func(t require.TestingT) { require.Greater(t, len(w.all()), before+20, "records go on") })
	refused(t, d.send(t, http.MethodPost, "/api/v1/models?name=x", []byte("x")), http.StatusInsufficientStorage, "nearly full")
	refused(t, d.send(t, http.MethodPost, "/api/v1/results", body{"kind": "still", "camera_id": "good", "time": time.Now().UTC()}),
		http.StatusInsufficientStorage, "nearly full")
	ready := d.send(t, http.MethodGet, "/readyz", nil)
	require.Equal(t, http.StatusOK, ready.Status)
	require.Contains(t, string(ready.Body), `"degraded":true`)
	require.Contains(t, string(d.send(t, http.MethodGet, "/metrics", nil).Body), "detectd_space_level 3")
	require.Positive(t, d.space(t).Space.Refused)
	d.goesOn(t, "good") // what is on no disk does not mind
	d.showsLive(t)
	full := time.Now()
	require.Eventually(t, func() bool { return time.Since(full) > 15*time.Second }, patience, time.Second, "it stays full for a while")

	require.NoError(t, ballast.Close())
	require.NoError(t, os.Remove(ballast.Name()))
	freed := time.Now()
	var resumed time.Time
	soon(t, func(t require.TestingT) {
		all := list[recording](t, d.client, "/recordings?camera_id=good")
		require.NotEmpty(t, all)
		require.True(t, all[len(all)-1].Start.After(freed))
		for _, r := range all {
			if r.Start.After(freed) {
				resumed = r.Start
				break
			}
		}
		require.True(t, d.camera(t, "good").Status.Recording)
	})
	t.Logf("recording resumed %v after there was space", resumed.Sub(freed))
	require.Less(t, resumed.Sub(freed), 10*time.Second)
	c := d.accounted(t, "good")
	require.Greater(t, c.Reasons["disk_full"], 10.0)
	w.stop()

	d.kill()
	d = startIn(t, d.dir)
	known := map[string]bool{}
	for _, c := range list[struct{ ID string }](t, d.client, "/clients") {
		known[c.ID] = true
	}
	for _, id := range w.all() {
		require.True(t, known[id], "%s was acknowledged", id)
	}
	t.Logf("%d records were acknowledged", len(w.all()))
}
