package e2e

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"detectd/pipeline"
	"detectd/pipeline/simulate"
)

// TestPage opens the real page in a browser: web/ui/e2e/live.mjs says what it
// has to do.
func TestPage(t *testing.T) {
	t.Parallel()
	root, err := repository()
	require.NoError(t, err)
	for path, advice := range map[string]string{
		"web/ui/dist/index.html":              "run make build",
		"web/ui/node_modules/playwright-core": "run make deps",
	} {
		if _, err := os.Stat(filepath.Join(root, path)); err != nil {
			t.Fatalf("%v: %s", err, advice)
		}
	}
	if os.Getenv("CHROMIUM") == "" {
		if _, err := exec.LookPath("chromium"); err != nil {
			t.Fatalf("%v: install the package chromium (make test-packages)", err)
		}
	}
	// A picture in which there is room to move: the box needs 15 s to cross it.
	wide := filepath.Join(t.TempDir(), "wide.mp4")
	require.NoError(t, simulate.Generate(wide, simulate.Spec{
		Codec: pipeline.H264, Width: 640, Height: 480, FPS: 10, Frames: 145, Plain: true,
	}))
	camera, _ := serve(t, simulate.Config{Files: []string{wide}})
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, closed.Close())

	d := start(t)
	useBright(t, d)
	d.addCamera(t, "Good", camera.URLs()[0], body{"id": "good"})
	d.becomes(t, "good", "running")

	node := exec.Command("node", "live.mjs", d.base+"/", plainCamera(t), "rtsp://"+closed.Addr().String()+"/live")
	node.Dir = filepath.Join(root, "web", "ui", "e2e")
	done := finish(t, node)
	require.Zero(t, done.Code, "%s%s", done.Stdout, done.Stderr)
	t.Log(done.Stdout)
}
