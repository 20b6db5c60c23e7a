package e2e

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestBackupOfARunningDaemon: a backup beside a daemon that records holds all that
// it had shown before, and a daemon on what is restored of it goes on.
func TestBackupOfARunningDaemon(t *testing.T) {
	t.Parallel()
	d := withCamera(t)
	soon(t, func(t require.TestingT) {
		require.GreaterOrEqual(t, len(list[recording](t, d.client, "/recordings?camera_id=good")), 2)
	})
	old := keptBy(t, d)
	out := filepath.Join(t.TempDir(), "backup.tar")
	require.Contains(t, succeeds(t, "backup", "--data", d.dir, "--media", out), "files")
	e := command(t, "backup", "--data", d.dir, out)
	require.Equal(t, 1, e.Code)
	require.Contains(t, e.Stderr, "exists already")
	succeeds(t, "check", "--data", d.dir)
	succeeds(t, "gc", "--data", d.dir, "--dry-run")
	e = command(t, "gc", "--data", d.dir)
	require.Equal(t, 1, e.Code)
	require.Contains(t, e.Stderr, "in use")
	e = command(t, "restore", out, "--data", d.dir)
	require.Equal(t, 1, e.Code)
	require.Contains(t, e.Stderr, "name an empty folder")

	dir := filepath.Join(t.TempDir(), "restored")
	succeeds(t, "restore", out, "--data", dir)
	var found struct {
		Findings []any `json:"findings"`
		Files    int   `json:"files"`
	}
	require.NoError(t, json.Unmarshal([]byte(succeeds(t, "check", "--data", dir, "--level", "hash", "--json")), &found))
	require.Empty(t, found.Findings)
	require.Positive(t, found.Files)
	r := startIn(t, dir)
	requireKept(t, old, keptBy(t, r))
	r.becomes(t, "good", "running")
	r.goesOn(t, "good")

	cut := filepath.Join(t.TempDir(), "cut.tar")
	content, err := os.ReadFile(out)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(cut, content[:len(content)/2], 0o600))
	none := filepath.Join(t.TempDir(), "none")
	e = command(t, "restore", cut, "--data", none)
	oneLine(t, e, 1, "the backup is damaged")
	require.NoDirExists(t, none)
}

// TestRestartToRecording kills a daemon again and again and says how long it takes
// until video is recorded again. DETECTD_TEST_RESTARTS is how often.
func TestRestartToRecording(t *testing.T) {
	times, err := strconv.Atoi(os.Getenv("DETECTD_TEST_RESTARTS"))
	if err != nil {
		t.Skip("a measurement: set DETECTD_TEST_RESTARTS=20")
	}
	d := withCamera(t)
	var took []float64
	for range times {
		soon(t, func(t require.TestingT) { require.True(t, d.camera(t, "good").Status.Recording) })
		d.kill()
		begin := time.Now()
		d = startIn(t, d.dir)
		soon(t, func(t require.TestingT) { require.True(t, d.camera(t, "good").Status.Recording) })
		took = append(took, time.Since(begin).Seconds())
	}
	slices.Sort(took)
	t.Logf("restart to recording: median %.2f s, p95 %.2f s, worst %.2f s of %d", took[len(took)/2], took[len(took)*95/100], took[len(took)-1], len(took))
}
