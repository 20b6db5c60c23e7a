package e2e

import (
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"detectd/pipeline"
	"detectd/pipeline/simulate"
)

// TestPage opens the real page in a browser: web/ui/e2e/live.mjs says what it
// has to do.
func TestPage(t *testing.T) {
	t.Parallel()
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

	browse(t, "live.mjs", d.base+"/", plainCamera(t), "rtsp://"+closed.Addr().String()+"/live")
}

// browse runs a script of web/ui/e2e, which opens the page in a browser.
func browse(t *testing.T, script string, args ...string) {
	t.Helper()
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
	node := exec.Command("node", append([]string{script}, args...)...)
	node.Dir = filepath.Join(root, "web", "ui", "e2e")
	done := finish(t, node)
	require.Zero(t, done.Code, "%s%s", done.Stdout, done.Stderr)
	t.Log(done.Stdout)
}

// TestRecordingsPage plays, searches and keeps recordings on the real page, over
// a gap: web/ui/e2e/recordings.mjs says what it has to do.
func TestRecordingsPage(t *testing.T) {
	t.Parallel()
	url := plainCamera(t)
	d := start(t)
	useBright(t, d)
	d.addCamera(t, "Good", url, body{"id": "good"})
	recorded := func(since time.Time) (all []recording) {
		soon(t, func(t require.TestingT) {
			all = list[recording](t, d.client, "/recordings?camera_id=good&from="+since.UTC().Format(time.RFC3339Nano))
			require.NotEmpty(t, all)
			require.Greater(t, all[len(all)-1].End.Sub(all[0].Start), 12*time.Second)
		})
		return all
	}
	recorded(time.Now())
	d.api(t, http.MethodPut, "/cameras/good", body{"name": "Good", "url": url, "record": "off"}, nil)
	off := time.Now()
	require.Eventually(t, func() bool { return time.Since(off) > 6*time.Second }, patience, time.Second)
	d.api(t, http.MethodPut, "/cameras/good", body{"name": "Good", "url": url, "record": "continuous"}, nil)
	recorded(time.Now())
	d.accounted(t, "good")
	all := list[recording](t, d.client, "/recordings?camera_id=good")
	gap := slices.IndexFunc(all[1:], func(r recording) bool { return r.Start.After(off) })
	require.GreaterOrEqual(t, gap, 0)
	browse(t, "recordings.mjs", d.base+"/", all[gap].End.UTC().Format(time.RFC3339Nano), all[gap+1].Start.UTC().Format(time.RFC3339Nano))
}

// TestTrueShapeOnPage: live and recorded video whose pixels are not square is shown in its
// true shape, with the boxes in place: web/ui/e2e/shape.mjs.
func TestTrueShapeOnPage(t *testing.T) {
	t.Parallel()
	wide := filepath.Join(t.TempDir(), "wide.mp4")
	require.NoError(t, simulate.Generate(wide, simulate.Spec{Aspect: [2]int{3, 2}, FPS: 10, Frames: 20, Plain: true, Still: true}))
	d := start(t, wide)
	useBright(t, d)
	var recorded time.Time
	soon(t, func(t require.TestingT) {
		all := list[recording](t, d.client, "/recordings?camera_id=wide")
		require.NotEmpty(t, all)
		last := all[len(all)-1]
		require.Greater(t, last.End.Sub(all[0].Start), 15*time.Second, "the last of it has been detected by then")
		recorded = last.End.Add(-6 * time.Second)
	})
	browse(t, "shape.mjs", d.base+"/", recorded.UTC().Format(time.RFC3339Nano), "2")
}

// TestTurnedOnPage: live and recorded video of turned cameras is shown upright, with
// the boxes in place: web/ui/e2e/turned.mjs.
func TestTurnedOnPage(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "a.mp4")
	require.NoError(t, simulate.Generate(path, simulate.Spec{FPS: 10, Frames: 100, GOP: 10, Plain: true, Still: true}))
	s, _ := serve(t, simulate.Config{Files: []string{path}})
	d := start(t)
	useBright(t, d)
	for id, degrees := range map[string]int{"quarter": 90, "half": 180} {
		d.addCamera(t, id, s.URLs()[0], body{"id": id, "rotation": degrees})
	}
	var recorded time.Time
	soon(t, func(t require.TestingT) {
		for _, id := range []string{"quarter", "half"} {
			all := list[recording](t, d.client, "/recordings?camera_id="+id)
			require.NotEmpty(t, all)
			last := all[len(all)-1]
			require.Greater(t, last.End.Sub(all[0].Start), 15*time.Second, "the last of it has been detected by then")
			recorded = last.End.Add(-6 * time.Second)
		}
	})
	browse(t, "turned.mjs", d.base+"/", recorded.UTC().Format(time.RFC3339Nano), "quarter=90", "half=180")
}
