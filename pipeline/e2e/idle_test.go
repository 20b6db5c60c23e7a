package e2e

import (
	"net/http"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"detectd/pipeline/simulate"
)

// TestIdleCamera: with the settings as they come a camera in front of which nothing moves is hardly
// decoded, and still every picture is annotated; where something comes and goes
// it is found. What is saved stands in the camera's status and in the metrics.
func TestIdleCamera(t *testing.T) {
	path := filepath.Join(t.TempDir(), "yard.mp4")
	require.NoError(t, simulate.Generate(path, simulate.Spec{
		FPS: videoFPS, GOP: 2 * videoFPS, Frames: 300,
		Scene: &simulate.Scene{Noise: 1, Visits: []simulate.Visit{{From: 230, To: 260, Speed: 4, Luma: 235}}},
	}))
	s, _ := serve(t, simulate.Config{Files: []string{path}})
	d := start(t)
	useBright(t, d)
	d.addCamera(t, "Yard", s.URLs()[0], body{"id": "yard"})
	soon(t, func(t require.TestingT) {
		var now struct {
			Status struct {
				Activity   string `json:"activity"`
				IdleFrames uint64 `json:"idle_frames"`
			} `json:"status"`
		}
		d.get(t, "/cameras/yard", &now)
		require.Greater(t, now.Status.IdleFrames, uint64(2*videoFPS))
		require.NotEmpty(t, now.Status.Activity)
		metrics := string(d.send(t, http.MethodGet, "/metrics", nil).Body)
		require.Contains(t, metrics, `detectd_camera_idle_frames_total{camera="yard"}`)
	})
	soon(t, func(t require.TestingT) {
		require.NotEmpty(t, list[detection](t, d.client, "/detections?kind=detected&label=person&camera_id=yard"))
	})
	for i, a := range list[annotation](t, d.client, "/annotations?camera_id=yard") {
		require.Equal(t, uint64(i+1), a.Frame, "no picture without an annotation")
	}
}
