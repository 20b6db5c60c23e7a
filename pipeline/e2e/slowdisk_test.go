package e2e

import (
	"net/http"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"detectd/pipeline/simulate"
	"detectd/store/crashtest"
)

// roomy are settings for a disk that is as full as the machine's.
func roomy(t *testing.T) string {
	t.Helper()
	return write(t, "roomy.yaml", settings+"\nspace: {evict: 3, refuse: 2, stop: 1}\n")
}

// TestVerySlowDisk: every fsync takes seconds, for a while, or half a minute. What a
// camera sends waits in memory, nothing dies, and each second is recorded.
func TestVerySlowDisk(t *testing.T) {
	for name, c := range map[string]struct{ slow, length time.Duration }{
		"4 s":  {4 * time.Second, 20 * time.Second},
		"30 s": {30 * time.Second, 20 * time.Second}, // those that have begun take their time
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			disk := mountFaulty(t)
			d := startIn(t, filepath.Join(disk.dir, "data"), "--config", roomy(t))
			d.addCamera(t, "Good", plainCamera(t), body{"id": "good"})
			d.records(t)
			from := time.Now()
			disk.has(diskFault{slow: c.slow})
			pause(t, c.length)
			require.Equal(t, http.StatusOK, d.send(t, http.MethodGet, "/healthz", nil).Status)
			disk.has(diskFault{})
			d.records(t)
			found := d.accountedSince(t, "good", from)
			t.Logf("recorded %.1f s, missing %.1f s %v", found.Covered, found.Missing, found.Reasons)
			require.Zero(t, found.Missing, "it is far from what memory may hold: %v", found.Gaps)
			d.stop()
			disk.mu.Lock()
			require.Empty(t, disk.believed)
			disk.mu.Unlock()
		})
	}
}

// TestMoreThanMemoryHolds: a camera of 120 pictures a second on a disk that takes too
// long for it. What does not fit into memory is missing, the ledger says why, and all
// resumes.
func TestMoreThanMemoryHolds(t *testing.T) {
	t.Parallel()
	disk := mountFaulty(t)
	d := startIn(t, filepath.Join(disk.dir, "data"), "--config", roomy(t))
	file := filepath.Join(t.TempDir(), "fast.mp4")
	require.NoError(t, simulate.Generate(file, simulate.Spec{FPS: 120, Frames: 480, Plain: true}))
	s, _ := serve(t, simulate.Config{Files: []string{file}})
	d.addCamera(t, "Good", s.URLs()[0], body{"id": "good"})
	d.records(t)
	t.Cleanup(func() { disk.has(diskFault{}) }) // so that the daemon can end
	from := time.Now()
	disk.has(diskFault{slow: 30 * time.Second, only: "data/media"})
	soon(t, func(t require.TestingT) { require.Positive(t, d.camera(t, "good").Status.Drops["record"]) })
	pause(t, 5*time.Second)
	require.Equal(t, "running", d.camera(t, "good").Status.State, "the camera does not mind")
	disk.has(diskFault{})
	d.records(t)
	c := d.accountedSince(t, "good", from)
	t.Logf("recorded %.1f s, missing %.1f s %v", c.Covered, c.Missing, c.Reasons)
	require.Greater(t, c.Reasons["overload"], 3.0, "%v", c.Gaps)
	require.InDelta(t, c.Missing, c.Reasons["overload"], 0.01, "%v", c.Gaps)
}

// TestFrozenDisk: the file system is frozen for a while, as for a snapshot: whoever
// writes waits in the kernel. Nothing dies, and all goes on when it is thawed.
func TestFrozenDisk(t *testing.T) {
	t.Parallel()
	_, dir := crashtest.MountDisk(t, 512<<20)
	d := startIn(t, filepath.Join(dir, "data"))
	useBright(t, d)
	d.addCamera(t, "Good", plainCamera(t), body{"id": "good"})
	d.becomes(t, "good", "running")
	d.records(t)
	w := d.writer(t)
	from := time.Now()
	if out, err := exec.Command("fsfreeze", "-f", dir).CombinedOutput(); err != nil {
		t.Skipf("SKIPPED: this user may not freeze a file system: %v %s", err, out)
	}
	t.Cleanup(func() { _ = exec.Command("fsfreeze", "-u", dir).Run() }) // whatever happens: nobody could end the daemon
	pause(t, 12*time.Second)
	require.Equal(t, http.StatusOK, d.send(t, http.MethodGet, "/healthz", nil).Status)
	require.NoError(t, exec.Command("fsfreeze", "-u", dir).Run())
	d.records(t)
	d.goesOn(t, "good")
	before := len(w.all())
	soon(t, func(t require.TestingT) { require.Greater(t, len(w.all()), before) })
	c := d.accountedSince(t, "good", from)
	t.Logf("recorded %.1f s, missing %.1f s %v", c.Covered, c.Missing, c.Reasons)
	require.Zero(t, c.Missing, "%v", c.Gaps)
	w.stop()
	d.knowsAll(t, w)
	d.stop()
}
