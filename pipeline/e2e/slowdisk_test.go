package e2e

import (
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestVerySlowDisk: every fsync takes seconds, for a while. What a camera sends waits in
// memory, nothing dies, and each second is recorded or in the ledger.
func TestVerySlowDisk(t *testing.T) {
	t.Parallel()
	disk := mountFaulty(t)
	roomy := write(t, "roomy.yaml", settings+"\nspace: {evict: 3, refuse: 2, stop: 1}\n") // the disk is as full as the machine's
	d := startIn(t, filepath.Join(disk.dir, "data"), "--config", roomy)
	d.addCamera(t, "Good", plainCamera(t), body{"id": "good"})
	d.records(t)
	from := time.Now()
	disk.has(diskFault{slow: 4 * time.Second})
	pause(t, 20*time.Second)
	require.Equal(t, http.StatusOK, d.send(t, http.MethodGet, "/healthz", nil).Status)
	disk.has(diskFault{})
	d.records(t)
	c := d.accountedSince(t, "good", from)
	t.Logf("recorded %.1f s, missing %.1f s %v", c.Covered, c.Missing, c.Reasons)
	require.Zero(t, c.Missing, "it is far from what memory may hold: %v", c.Gaps)
	d.stop()
	disk.mu.Lock()
	require.Empty(t, disk.believed)
	disk.mu.Unlock()
}
