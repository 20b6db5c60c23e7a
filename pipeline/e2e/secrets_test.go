package e2e

import (
	"encoding/json"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"detectd/pipeline"
	"detectd/pipeline/simulate"
)

// TestSecrets: the password of a camera is in no answer, event, log or file but
// the database and the last good copy of it, however it came in.
func TestSecrets(t *testing.T) {
	t.Parallel()
	const canary = "c4nary?pass/w%rd"
	locked, _ := serve(t, simulate.Config{
		Files: []string{plain(t, pipeline.H264)}, Auth: "basic", Username: "viewer", Password: canary,
	})
	address := locked.URLs()[0]
	inside := func(password string) string {
		return strings.Replace(address, "rtsp://", "rtsp://viewer:"+url.QueryEscape(password)+"@", 1)
	}
	d := start(t, inside(canary))
	useBright(t, d)
	events := d.stream("?camera_id=*")

	var said []string
	say := func(a answer) answer {
		said = append(said, string(a.Body))
		for name, values := range a.Header {
			said = append(said, name+": "+strings.Join(values, ", "))
		}
		return a
	}
	post := func(settings body) { say(d.send(t, http.MethodPost, "/api/v1/cameras", settings)) }
	post(body{"name": "In the URL", "id": "in-url", "url": inside(canary)})
	post(body{"name": "In the body", "id": "in-body", "url": address, "username": "viewer", "password": canary})
	post(body{"name": "In the query", "id": "in-query", "url": address + "?user=viewer&password=" + url.QueryEscape(canary)})
	post(body{"name": "Wrong", "id": "wrong", "url": inside("wrong-" + canary)})
	post(body{"name": "Twice", "id": "in-url", "url": inside(canary)})
	post(body{"name": "Bad", "url": strings.Replace(inside(canary), "rtsp:", "http:", 1)})
	post(body{"name": "Bad", "url": "rtsp://viewer:" + canary + "@127.0.0.1/x"})
	post(body{"name": "Bad", "url": address, "password": []string{canary}})
	post(body{"name": "Bad", "url": address, "transport": "pigeon", "password": canary})
	say(d.send(t, http.MethodPost, "/api/v1/cameras", `{"password":"`+canary+`",`, "Content-Type", "application/json"))
	say(d.send(t, http.MethodPut, "/api/v1/cameras/in-url", body{"name": "x", "url": inside(canary)}, "If-Match", `"99"`))
	say(d.send(t, http.MethodPut, "/api/v1/cameras/in-url", body{"name": "Other name", "url": address}))
	for id, shown := range map[string]string{"in-url": address, "in-body": address, "in-query": address + "?user=viewer&password=***"} {
		s := d.becomes(t, id, "running")
		require.Empty(t, s.Reason)
		c := d.camera(t, id)
		require.Equal(t, []any{shown, "viewer", true}, []any{c.URL, c.Username, c.HasPassword})
	}
	d.becomes(t, "wrong", "auth_failed")
	soon(t, func(t require.TestingT) {
		require.NotEmpty(t, list[loggedEvent](t, d.client, "/events?camera_id=wrong&kind=camera.state"))
		require.NotEmpty(t, events.seen("detections"))
	})
	for _, path := range everyPath(t, d) {
		say(d.send(t, http.MethodGet, path, nil))
	}
	said = append(said, events.seen("")...)
	d.stop()
	said = append(said, d.log.String())
	said = append(said, filesOf(t, d.dir)...)
	for _, text := range said {
		for _, form := range []string{"c4nary", url.QueryEscape(canary), "dmlld2VyOmM0bmFyeT"} { // the last is how basic login writes it
			at := strings.Index(text, form)
			require.Equal(t, -1, at, "%s", text[max(0, at-200):min(len(text), max(0, at)+100)])
		}
	}
}

// everyPath are all addresses that can be read without knowing an id, and some with.
func everyPath(t *testing.T, d *daemon) []string {
	paths := []string{"/metrics", "/healthz", "/readyz", "/"}
	var spec struct {
		Paths map[string]map[string]json.RawMessage `json:"paths"`
	}
	require.NoError(t, json.Unmarshal(d.send(t, http.MethodGet, "/api/openapi.json", nil).Body, &spec))
	known := strings.NewReplacer("{camera_id}", "in-url", "{client_id}", "default", "{model_name}", "bright")
	for path, methods := range spec.Paths {
		if _, ok := methods["get"]; !ok || strings.HasSuffix(path, "stream") || strings.HasSuffix(path, ".mjpeg") {
			continue
		}
		path = known.Replace(path)
		if !strings.HasPrefix(path, "/api/v1") {
			path = "/api/v1" + path
		}
		if !strings.Contains(path, "{") {
			paths = append(paths, path, path+"?camera_id=in-url")
		}
	}
	require.Greater(t, len(paths), 20)
	return paths
}

// filesOf are the files of a data folder, but for the database and the last good
// copy of it, which have to know the passwords and are for their owner alone.
func filesOf(t *testing.T, dir string) (all []string) {
	require.NoError(t, filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		if strings.HasPrefix(e.Name(), "detectd.db") || e.Name() == "last-good.json" {
			info, err := e.Info()
			require.NoError(t, err)
			require.Zero(t, info.Mode().Perm()&0o077, path)
			return nil
		}
		content, err := os.ReadFile(path)
		all = append(all, string(content))
		return err
	}))
	require.NotEmpty(t, all)
	return all
}
