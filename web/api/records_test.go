package api_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"detectd/pipeline"
	"detectd/store"
	"detectd/web/api"
	"detectd/web/api/apitest"
)

func newRequest(t *testing.T, method, path, body string) *http.Request {
	t.Helper()
	return httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(body))
}

func TestClients(t *testing.T) {
	f := newFixture(t)
	a := f.do("POST", "/clients", `{"name":"Old Harbour!"}`).want(201)
	require.Equal(t, "old-harbour", a.get("id"))
	require.Equal(t, "/api/v1/clients/old-harbour", a.Header().Get("Location"))
	require.Equal(t, `"1"`, a.Header().Get("ETag"))
	require.Equal(t, "no-store", a.Header().Get("Cache-Control"))
	require.Regexp(t, `^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$`, a.get("created_at"))
	require.Equal(t, "old-harbour-2", f.do("POST", "/clients", `{"name":"Old Harbour"}`).want(201).get("id"))
	f.do("POST", "/clients", `{"id":"old-harbour","name":"x"}`).want(409)
	require.Equal(t, []any{"default", "old-harbour", "old-harbour-2"}, f.do("GET", "/clients", "").want(200).all("id"))

	page := f.do("GET", "/clients?limit=2", "").want(200)
	require.Equal(t, []any{"default", "old-harbour"}, page.all("id"))
	require.Equal(t, []any{"old-harbour-2"}, f.do("GET", "/clients?limit=2&cursor="+page.get("next").(string), "").want(200).all("id"))
	f.do("GET", "/clients?cursor=*", "").want(422)

	a = f.do("PUT", "/clients/old-harbour", `{"name":"New"}`, "If-Match", `"1"`).want(200)
	require.Equal(t, `"2"`, a.Header().Get("ETag"))
	a = f.do("PUT", "/clients/old-harbour", `{"name":"Other"}`, "If-Match", `"1"`).want(412)
	require.Equal(t, "New", a.get("current.name"))
	require.EqualValues(t, 2, a.get("current.revision"))
	f.do("PUT", "/clients/old-harbour", `{"name":"Any"}`, "If-Match", "*").want(200)
	f.do("PUT", "/clients/old-harbour", `{"name":"Any"}`, "If-Match", "seven").want(422)
	f.do("PUT", "/clients/nobody", `{"name":"x"}`).want(404)

	f.do("POST", "/cameras", `{"name":"c","client_id":"old-harbour","url":"rtsp://h/c"}`).want(201)
	require.EqualValues(t, 1, f.do("GET", "/clients/old-harbour", "").want(200).get("cameras"))
	f.do("DELETE", "/clients/old-harbour", "").want(409)
	f.do("DELETE", "/cameras/c", "").want(204)
	f.do("DELETE", "/clients/old-harbour", "", "If-Match", `"1"`).want(412)
	f.do("DELETE", "/clients/old-harbour", "").want(204)
	require.Contains(t, f.do("GET", "/clients/old-harbour", "").want(404).get("detail"), "old-harbour")
	require.Equal(t, []string{
		"client old-harbour created", "client old-harbour-2 created", "client old-harbour updated", "client old-harbour updated",
		"camera c created", "camera c deleted", "client old-harbour deleted",
	}, f.Announced())
}

func TestCameras(t *testing.T) {
	f := newFixture(t)
	a := f.do("POST", "/cameras", `{"name":"Front Door","url":"rtsp://viewer:pw@10.0.0.5/stream","detect_fps":10,"idle":"decode","weight":2.5}`).want(201)
	require.Equal(t, "front-door", a.get("id"))
	require.Equal(t, "default", a.get("client_id"))
	require.Equal(t, "rtsp://10.0.0.5/stream", a.get("url"))
	require.Equal(t, "viewer", a.get("username"))
	require.Equal(t, true, a.get("has_password"))
	require.Equal(t, "auto", a.get("transport"))
	require.Equal(t, "continuous", a.get("record"))
	require.Equal(t, true, a.get("enabled"))
	require.Equal(t, "connecting", a.get("status.state"))
	require.Equal(t, "decode", a.get("idle"))

	f.SetStatuses(pipeline.Status{CameraID: "front-door", State: pipeline.StateRunning, FPS: 25, Idle: "decode", Since: apitest.Time, Clock: "rtcp"})
	a = f.do("GET", "/cameras/front-door", "").want(200)
	require.Equal(t, "running", a.get("status.state"))
	require.Equal(t, "decode", a.get("status.idle"))
	require.Equal(t, "2026-11-25T09:30:18.123Z", a.get("status.since"))
	require.Equal(t, []any{"front-door"}, f.do("GET", "/cameras?client_id=default", "").want(200).all("id"))
	f.do("GET", "/cameras?client_id=nobody", "").want(404)

	// A change without user and password keeps them, an empty password clears it.
	put := `{"name":"Door","url":"rtsp://10.0.0.6/stream","enabled":false`
	a = f.do("PUT", "/cameras/front-door", put+`}`, "If-Match", `"1"`).want(200)
	require.Equal(t, true, a.get("has_password"))
	require.Equal(t, "viewer", a.get("username"))
	require.Equal(t, false, a.get("enabled"))
	require.EqualValues(t, 0, a.get("detect_fps"))
	require.EqualValues(t, 1, a.get("weight"))
	stored, err := f.Records.Camera(t.Context(), "front-door")
	require.NoError(t, err)
	require.Equal(t, store.Secret("pw"), stored.Password)
	a = f.do("PUT", "/cameras/front-door", put+`,"username":"","password":""}`).want(200)
	require.Equal(t, false, a.get("has_password"))
	require.Empty(t, a.get("username"))

	a = f.do("PUT", "/cameras/front-door", put+`}`, "If-Match", `"1"`).want(412)
	require.Equal(t, "front-door", a.get("current.id"))
	f.do("PUT", "/cameras/nothing", put+`}`).want(404)
	f.do("DELETE", "/cameras/front-door", "", "If-Match", `"1"`).want(412)
	f.do("DELETE", "/cameras/front-door", "").want(204)
	f.do("GET", "/cameras/front-door", "").want(404)
	require.Equal(t, []string{
		"camera front-door created", "camera front-door updated", "camera front-door updated", "camera front-door deleted",
	}, f.Announced())
}

func TestRefusedCameras(t *testing.T) {
	f := newFixture(t)
	for name, c := range map[string]struct {
		body     string
		status   int
		location string
	}{
		"no name":          {`{"url":"rtsp://h/x"}`, 422, "body"},
		"empty name":       {`{"name":"","url":"rtsp://h/x"}`, 422, "body.name"},
		"no url":           {`{"name":"x"}`, 422, "body"},
		"bad scheme":       {`{"name":"x","url":"exec:rm"}`, 422, "body.url"},
		"bad url":          {`{"name":"x","url":"rtsp://h:port/x"}`, 422, "body.url"},
		"bad id":           {`{"id":"Bad Id","name":"x","url":"rtsp://h/x"}`, 422, "body.id"},
		"bad transport":    {`{"name":"x","url":"rtsp://h/x","transport":"smoke"}`, 422, "body.transport"},
		"bad record":       {`{"name":"x","url":"rtsp://h/x","record":"sometimes"}`, 422, "body.record"},
		"idle":             {`{"name":"x","url":"rtsp://h/x","idle":"never"}`, 422, "body.idle"},
		"weightless":       {`{"name":"x","url":"rtsp://h/x","weight":0}`, 422, "body.weight"},
		"too many fps":     {`{"name":"x","url":"rtsp://h/x","detect_fps":61}`, 422, "body.detect_fps"},
		"wrong type":       {`{"name":7,"url":"rtsp://h/x"}`, 422, "body.name"},
		"unknown member":   {`{"name":"x","url":"rtsp://h/x","colour":"red"}`, 422, "body.colour"},
		"unknown client":   {`{"name":"x","url":"rtsp://h/x","client_id":"nobody"}`, 422, "body.client_id"},
		"not JSON":         {`{"name":`, 400, "body"},
		"nothing":          {``, 400, ""},
		"one MiB and more": {`{"name":"` + strings.Repeat("x", 1<<20) + `"}`, 413, ""},
		"long name":        {`{"name":"` + strings.Repeat("x", 201) + `","url":"rtsp://h/x"}`, 422, "body.name"},
	} {
		t.Run(name, func(t *testing.T) {
			a := f.do("POST", "/cameras", c.body).want(c.status)
			if c.location != "" {
				require.Equal(t, c.location, a.get("errors.0.location"))
			}
		})
	}
	require.Empty(t, f.do("GET", "/cameras", "").want(200).get("items"))
	require.Empty(t, f.Announced())
	f.do("GET", "/cameras/Bad%20Id", "").want(422)
	f.do("GET", "/cameras?colour=red", "").want(422)
	f.do("GET", "/cameras?limit=0", "").want(422)
	f.do("GET", "/cameras?limit=1001", "").want(422)
}

func TestModels(t *testing.T) {
	f := newFixture(t)
	f.camera("door")
	add := func(name, content string, status int) *answer {
		return f.do("POST", "/models?name="+name+"&description=Yard&licence=MIT&source=here", content, "Content-Type", "application/octet-stream").want(status)
	}
	f.Announced()
	a := add("yard", "ONNX 1", 201)
	require.Equal(t, "/api/v1/models/yard", a.Header().Get("Location"))
	require.Equal(t, []any{"person", "car"}, a.get("versions.0.labels"))
	require.EqualValues(t, 300, a.get("versions.0.input.width"))
	require.Equal(t, "MIT", a.get("versions.0.licence"))
	require.Equal(t, []string{"models"}, f.Announced())
	a = add("yard", "ONNX 1", 200)
	require.Len(t, a.get("versions"), 1)
	require.Empty(t, f.Announced())
	a = add("yard", "ONNX 2", 201)
	require.EqualValues(t, 2, a.get("versions.0.version"))

	for content, reason := range map[string]string{
		"PNG": "not an ONNX model", "ONNX external": "external data", "ONNX other": "not a detector", "": "not an ONNX model",
	} {
		require.Contains(t, add("bad", content, 422).get("detail"), reason)
	}
	f.do("POST", "/models", "ONNX", "Content-Type", "application/octet-stream").want(422)
	f.do("POST", "/models?name=bad", "PNG", "Content-Type", "image/png").want(415)
	f.do("POST", "/models?name=Bad+Name", "ONNX", "Content-Type", "application/octet-stream").want(422)

	require.Equal(t, []any{"default", "yard"}, f.do("GET", "/models", "").want(200).all("name"))
	require.Equal(t, []any{"default/door"}, f.do("GET", "/models/default", "").want(200).get("versions.0.running"))
	f.do("GET", "/models/none", "").want(404)

	f.do("PUT", "/running-models/default", `{"model":"yard","version":1}`, "If-Match", `"0"`).want(200)
	require.Equal(t, []any{"default/door"}, f.do("GET", "/models/yard", "").want(200).get("versions.1.running"))
	f.do("DELETE", "/models/yard/versions/1", "").want(409)
	f.do("DELETE", "/models/yard/versions/2", "").want(204)
	f.do("DELETE", "/models/yard/versions/9", "").want(404)
	f.do("DELETE", "/models/yard/versions/0", "").want(422)
}

func TestRunningModels(t *testing.T) {
	f := newFixture(t)
	f.camera("door")
	_, err := f.World.Add(t.Context(), api.NewModel{Name: "yard"}, strings.NewReader("ONNX yard"))
	require.NoError(t, err)
	f.do("POST", "/clients", `{"name":"other"}`).want(201)
	f.Announced()
	const client, camera = "/running-models/default", "/running-models/default/cameras/door"

	a := f.do("GET", camera, "").want(200)
	require.Equal(t, `"0"`, a.Header().Get("ETag"))
	require.Equal(t, map[string]any{"model": "default", "version": 1.0, "from": "default"}, a.get("effective"))

	f.do("PUT", client, `{"model":"yard"}`).want(428)
	f.do("PUT", client, `{"model":"yard"}`, "If-Match", "*").want(428)
	f.do("DELETE", client, "").want(428)
	f.do("DELETE", client, "", "If-Match", `"0"`).want(404)
	a = f.do("PUT", client, `{"model":"yard","min_score":0.5,"reason":"better at night"}`, "If-Match", `"0"`).want(200)
	require.Equal(t, `"1"`, a.Header().Get("ETag"))
	require.Equal(t, map[string]any{"model": "yard", "version": 1.0, "from": "client"}, f.do("GET", camera, "").want(200).get("effective"))

	a = f.do("PUT", client, `{"model":"default"}`, "If-Match", `"0"`).want(412)
	require.Equal(t, "yard", a.get("current.model"))
	a = f.do("PUT", camera, `{"model":"default","version":1,"classes":["car"],"detect_fps":2}`, "If-Match", `"0"`).want(200)
	require.Equal(t, map[string]any{"model": "default", "version": 1.0, "from": "camera"}, a.get("effective"))
	require.Equal(t, []any{"", "door"}, f.do("GET", "/running-models", "").want(200).all("camera_id"))

	for body, location := range map[string]string{
		`{"model":"none"}`:                          "body.model",
		`{"model":"yard","version":9}`:              "body.version",
		`{"model":"yard","classes":["unicorn"]}`:    "body.classes[0]",
		`{"model":"yard","classes":["car","car"]}`:  "body.classes",
		`{"model":"yard","min_score":1.5}`:          "body.min_score",
		`{"model":"yard","detect_fps":-1}`:          "body.detect_fps",
		`{"version":1}`:                             "body",
		`{"model":"yard","classes":["car"],"x":""}`: "body.x",
	} {
		require.Equal(t, location, f.do("PUT", camera, body, "If-Match", `"1"`).want(422).get("errors.0.location"), body)
	}
	f.do("GET", "/running-models/nobody", "").want(404)
	f.do("GET", "/running-models/default/cameras/nothing", "").want(404)
	f.do("PUT", "/running-models/other/cameras/door", `{"model":"yard"}`, "If-Match", `"0"`).want(404)

	f.do("DELETE", camera, "", "If-Match", `"7"`).want(412)
	f.do("DELETE", camera, "", "If-Match", `"1"`).want(204)
	require.Equal(t, "client", f.do("GET", camera, "").want(200).get("effective.from"))
	a = f.do("GET", camera+"/revisions", "").want(200)
	require.Equal(t, []any{2.0, 1.0}, a.all("revision"))
	require.Equal(t, true, a.get("items.0.deleted"))
	require.Equal(t, "better at night", f.do("GET", client+"/revisions", "").want(200).get("items.0.reason"))
	require.Equal(t, []string{"running model default/ 1", "running model default/door 1", "running model default/door 2"}, f.Announced())
}
