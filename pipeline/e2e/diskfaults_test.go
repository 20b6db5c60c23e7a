package e2e

import (
	"net/http"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestFaultsOfTheDisk: a disk that becomes read-only, that refuses more (a quota),
// that takes no new files, that is slow, or whose fsync fails, while detectd runs.
// Nothing dies, what cannot be kept is refused and never acknowledged, and all
// resumes by itself.
func TestFaultsOfTheDisk(t *testing.T) {
	t.Parallel()
	disk := mountFaulty(t)
	d := startIn(t, filepath.Join(disk.dir, "data"))
	useBright(t, d)
	d.addCamera(t, "Good", plainCamera(t), body{"id": "good"})
	d.becomes(t, "good", "running")
	w := d.writer(t)
	for _, f := range []struct {
		name  string
		fault diskFault
		gap   string // why nothing is recorded meanwhile
		takes bool   // records are taken all the same
	}{
		{"slow", diskFault{slow: 300 * time.Millisecond}, "", true},
		{"fsync fails", diskFault{sync: syscall.EIO}, "disk_error", false},
		{"quota", diskFault{write: syscall.EDQUOT, create: syscall.EDQUOT}, "disk_full", false},
		{"no free inodes", diskFault{create: syscall.ENOSPC}, "disk_full", true},
		{"read-only", diskFault{change: syscall.EROFS}, "disk_error", false},
	} {
		d.records(t)
		from := time.Now()
		disk.has(f.fault)
		before := len(w.all())
		if f.gap != "" {
			soon(t, func(t require.TestingT) { require.False(t, d.camera(t, "good").Status.Recording) }, f.name)
		}
		if f.gap == "disk_full" { // what the disk says of its space does not show it
			soon(t, func(t require.TestingT) { require.Equal(t, "stop", d.space(t).Space.Level) }, f.name)
			require.Contains(t, string(d.send(t, http.MethodGet, "/readyz", nil).Body), "quota")
		}
		if f.takes {
			soon(t, func(t require.TestingT) { require.Greater(t, len(w.all()), before) }, f.name)
		} else {
			soon(t, func(t require.TestingT) {
				refused(t, d.send(t, http.MethodPost, "/api/v1/clients", body{"name": "refused"}), http.StatusServiceUnavailable, "takes no changes")
			}, f.name)
			require.Positive(t, disk.refusals(), f.name)
		}
		pause(t, 6*time.Second)
		d.goesOn(t, "good") // detection does not mind
		disk.has(diskFault{})
		d.records(t)
		d.rendersAStill(t)
		c := d.accountedSince(t, "good", from)
		t.Logf("%s: recorded %.1f s, missing %.1f s %v, %d records taken", f.name, c.Covered, c.Missing, c.Reasons, len(w.all())-before)
		if f.gap == "" {
			require.Zero(t, c.Missing, "%s: %v", f.name, c.Gaps)
		} else {
			require.Greater(t, c.Reasons[f.gap], 3.0, "%s: %v", f.name, c.Gaps)
		}
	}
	w.stop()
	d.kill()
	d = startIn(t, d.dir)
	d.knowsAll(t, w)
	for _, c := range list[struct{ Name string }](t, d.client, "/clients") {
		require.NotEqual(t, "refused", c.Name)
	}
	d.records(t)
	d.stop()
	disk.mu.Lock()
	require.Empty(t, disk.believed, "what a failed sync has lost was taken for safe")
	disk.mu.Unlock()
	succeeds(t, "check", "--data", d.dir)
}

// records waits until something has been recorded since now.
func (d *daemon) records(t *testing.T) {
	t.Helper()
	now := time.Now()
	soon(t, func(t require.TestingT) {
		require.True(t, d.camera(t, "good").Status.Recording)
		all := list[recording](t, d.client, "/recordings?camera_id=good&from="+now.UTC().Format(time.RFC3339Nano))
		require.NotEmpty(t, all)
	})
}

// rendersAStill expects that the work queue works, and its results are kept.
func (d *daemon) rendersAStill(t *testing.T) {
	t.Helper()
	all := list[recording](t, d.client, "/recordings?camera_id=good")
	r := all[len(all)-1]
	var made result
	soon(t, func(t require.TestingT) {
		d.api(t, http.MethodPost, "/results", body{"kind": "still", "camera_id": "good", "time": r.Start.Add(r.End.Sub(r.Start) / 2).UTC()}, &made)
	})
	soon(t, func(t require.TestingT) {
		d.get(t, "/results/"+made.ID, &made)
		require.Equal(t, "done", made.State, made.Error)
	})
}

// accountedSince waits until the time since a moment is accounted for up to now.
func (d *daemon) accountedSince(t *testing.T, id string, since time.Time) (c coverage) {
	t.Helper()
	now := time.Now()
	soon(t, func(t require.TestingT) {
		c = d.coverageSince(t, id, since)
		require.True(t, c.End.After(now))
	})
	return c
}

// knowsAll expects that every client that a writer has been told is kept is there.
func (d *daemon) knowsAll(t *testing.T, w *writer) {
	t.Helper()
	known := map[string]bool{}
	for _, c := range list[struct{ ID string }](t, d.client, "/clients") {
		known[c.ID] = true
	}
	for _, id := range w.all() {
		require.True(t, known[id], "%s was acknowledged", id)
	}
	t.Logf("%d records were acknowledged, and are there", len(w.all()))
}
