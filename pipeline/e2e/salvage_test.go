package e2e

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestSalvageOnABadDisk: a torn recording is taken up at a start when its fsync fails,
// and again when the disk works. What has failed is written anew, not believed.
func TestSalvageOnABadDisk(t *testing.T) {
	t.Parallel()
	disk := mountFaulty(t)
	long := write(t, "long.yaml", strings.Replace(settings, "segment: 1s", "segment: 4s", 1)+ // several seconds in a file
		"\nspace: {evict: 3, refuse: 2, stop: 1}\n") // the disk is as full as the machine's
	d := startIn(t, filepath.Join(disk.dir, "data"), "--config", long)
	d.addCamera(t, "Good", plainCamera(t), body{"id": "good"})
	d.records(t)
	parts := func() []string {
		found, err := filepath.Glob(filepath.Join(d.dir, "media", "good", "*.part"))
		require.NoError(t, err)
		return found
	}
	require.Eventually(t, func() bool { // its first second is in it
		for _, part := range parts() {
			if content, err := os.ReadFile(part); err == nil && bytes.Contains(content, []byte("mdat")) {
				return true
			}
		}
		return false
	}, patience, 5*time.Millisecond)
	d.kill()
	torn := parts()
	require.Len(t, torn, 1)

	disk.has(diskFault{sync: syscall.EIO, only: "data/media"})
	d = startIn(t, d.dir, "--config", long)
	soon(t, func(t require.TestingT) { require.Positive(t, disk.refusals()) }) // it is the first that is synced there
	d.kill()
	require.Contains(t, parts(), torn[0], "it is still there to be taken up")

	disk.has(diskFault{})
	d = startIn(t, d.dir, "--config", long)
	d.records(t)
	require.NotContains(t, parts(), torn[0])
	name := filepath.Base(torn[0])
	start, err := time.Parse("20060102T150405.000000Z", name[:23])
	require.NoError(t, err)
	soon(t, func(t require.TestingT) {
		for _, r := range list[recording](t, d.client, "/recordings?camera_id=good") {
			if r.Start.Equal(start.Truncate(time.Millisecond)) {
				require.Greater(t, r.End.Sub(r.Start), time.Second/2)
				return
			}
		}
		require.Fail(t, "it is in no recording")
	})
	d.stop()
	disk.mu.Lock()
	require.Empty(t, disk.believed, "what a failed sync has lost was taken for safe")
	disk.mu.Unlock()
	succeeds(t, "check", "--data", d.dir)
}
