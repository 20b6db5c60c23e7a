package e2e

import (
	"path/filepath"
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
	d := startIn(t, filepath.Join(disk.dir, "data"))
	d.addCamera(t, "Good", plainCamera(t), body{"id": "good"})
	d.records(t)
	parts := func() []string {
		found, err := filepath.Glob(filepath.Join(d.dir, "media", "good", "*.part"))
		require.NoError(t, err)
		return found
	}
	soon(t, func(t require.TestingT) { require.NotEmpty(t, parts()) })
	pause(t, 2500*time.Millisecond) // a second at least is in the file
	d.kill()
	torn := parts()
	require.Len(t, torn, 1)

	disk.has(diskFault{sync: syscall.EIO, only: "data/media"})
	d = startIn(t, d.dir)
	soon(t, func(t require.TestingT) {
		require.Contains(t, d.log.String(), "a file of an earlier run cannot be taken up")
	})
	require.Positive(t, disk.refusals())
	d.kill()
	require.Contains(t, parts(), torn[0], "it is still there to be taken up")

	disk.has(diskFault{})
	d = startIn(t, d.dir)
	d.records(t)
	require.NotContains(t, parts(), torn[0])
	name := filepath.Base(torn[0])
	start, err := time.Parse("20060102T150405.000000Z", name[:23])
	require.NoError(t, err)
	soon(t, func(t require.TestingT) {
		for _, r := range list[recording](t, d.client, "/recordings?camera_id=good") {
			if r.Start.Equal(start) {
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
