package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestKilledWhileRecording: after kill -9 the daemon starts, saves what it can
// of the open recording, and lacks nothing that it had shown before.
func TestKilledWhileRecording(t *testing.T) {
	t.Parallel()
	d := withCamera(t)
	for round := range 3 {
		soon(t, func(t require.TestingT) {
			require.Greater(t, len(list[recording](t, d.client, "/recordings?camera_id=good")), round)
			require.True(t, d.camera(t, "good").Status.Recording)
		})
		old := keptBy(t, d)
		d.kill()

		d = startIn(t, d.dir)
		requireKept(t, old, keptBy(t, d))
		d.becomes(t, "good", "running")
		d.goesOn(t, "good")
		d.showsLive(t)
	}
	requireWhole(t, d)
}

// requireWhole expects that every recording has its file, which can be decoded,
// and that no file lies about without its recording.
func requireWhole(t *testing.T, d *daemon) {
	t.Helper()
	d.api(t, "PUT", "/cameras/good", body{"name": "Good", "url": d.camera(t, "good").URL, "enabled": false}, nil)
	d.becomes(t, "good", "disabled")
	files := map[string]bool{}
	soon(t, func(t require.TestingT) {
		clear(files)
		require.NoError(t, filepath.WalkDir(filepath.Join(d.dir, "media"), func(path string, e os.DirEntry, err error) error {
			if err == nil && !e.IsDir() {
				files[path] = true
			}
			return err
		}))
		require.Len(t, files, len(list[recording](t, d.client, "/recordings?camera_id=good")))
	})
	model := brightFile(t)
	for _, r := range list[recording](t, d.client, "/recordings?camera_id=good") {
		content := d.send(t, "GET", r.Video, nil)
		require.Len(t, content.Body, int(r.Bytes))
		file := write(t, "recording.mp4", string(content.Body))
		frames := strings.Count(succeeds(t, "detect", "--model", model, file), "\n")
		require.Equal(t, r.Frames, frames)
	}
}
