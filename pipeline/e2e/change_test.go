package e2e

import (
	"encoding/json"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestCamerasChangeWhileRunning: clients and cameras come, change and go
// without a restart, and open pages hear of it.
func TestCamerasChangeWhileRunning(t *testing.T) {
	t.Parallel()
	d := start(t)
	useBright(t, d)
	other, first, second := plainCamera(t), plainCamera(t), plainCamera(t)
	all := d.stream("?camera_id=gate")

	a := d.api(t, http.MethodPost, "/clients", body{"name": "Yard"}, nil)
	require.Equal(t, http.StatusCreated, a.Status)
	require.Equal(t, "/api/v1/clients/yard", a.Header.Get("Location"))
	d.addCamera(t, "Other", other, nil)
	gate := d.addCamera(t, "Gate", first, body{"client_id": "yard"})
	require.Equal(t, "yard", gate.ClientID)
	d.becomes(t, "gate", "running")
	require.Equal(t, "default", d.camera(t, "gate").Status.Model, "the client yard has no record of its own")

	// Another address, another name: the worker starts again.
	changed := d.change(t, "gate", body{"name": "Main gate", "url": second})
	require.Equal(t, gate.Revision+1, changed.Revision)
	require.Equal(t, []string{"Main gate", second, "yard"}, []string{changed.Name, changed.URL, changed.ClientID})
	d.becomes(t, "gate", "running")
	d.goesOn(t, "gate")

	d.change(t, "gate", body{"name": "Main gate", "url": second, "enabled": false})
	d.becomes(t, "gate", "disabled")
	d.change(t, "gate", body{"name": "Main gate", "url": second, "record": "off"})
	s := d.becomes(t, "gate", "running")
	require.False(t, s.Recording)
	d.goesOn(t, "other")

	p := refused(t, d.send(t, http.MethodPut, "/api/v1/cameras/gate", body{"name": "x", "url": second}, "If-Match", quoted(gate.Revision)),
		http.StatusPreconditionFailed, "")
	var current camera
	require.NoError(t, json.Unmarshal(p.Current, &current))
	require.Equal(t, "Main gate", current.Name)

	refused(t, d.send(t, http.MethodDelete, "/api/v1/clients/yard", nil), http.StatusConflict, "camera")
	d.api(t, http.MethodDelete, "/cameras/gate", nil, nil)
	refused(t, d.send(t, http.MethodGet, "/api/v1/cameras/gate", nil), http.StatusNotFound, "gate")
	d.api(t, http.MethodDelete, "/clients/yard", nil, nil)
	soon(t, func(t require.TestingT) {
		require.NotContains(t, string(d.send(t, http.MethodGet, "/metrics", nil).Body), `detectd_camera_frames_total{camera="gate"}`)
	})
	require.Len(t, list[camera](t, d.client, "/cameras"), 1)
	d.goesOn(t, "other")
	checkHeard(t, all)
}

// checkHeard expects that a page which watched the camera gate heard all of it.
func checkHeard(t *testing.T, s *stream) {
	t.Helper()
	soon(t, func(t require.TestingT) {
		var actions []string
		for _, data := range s.seen("camera.changed") {
			var c struct {
				CameraID string `json:"camera_id"`
				Action   string `json:"action"`
			}
			require.NoError(t, json.Unmarshal([]byte(data), &c))
			if c.CameraID == "gate" {
				actions = append(actions, c.Action)
			}
		}
		require.Equal(t, []string{"created", "updated", "updated", "updated", "deleted"}, actions)
	})
	var states []string
	for _, data := range s.seen("camera.state") {
		var c status
		require.NoError(t, json.Unmarshal([]byte(data), &c))
		if c.CameraID == "gate" {
			states = append(states, c.State)
		}
	}
	require.Contains(t, states, "running")
	require.Contains(t, states, "disabled")
	require.NotEmpty(t, s.seen("health"))
	require.NotEmpty(t, s.seen("detections"))
	for _, data := range s.seen("detections") {
		var frames struct {
			CameraID string `json:"camera_id"`
		}
		require.NoError(t, json.Unmarshal([]byte(data), &frames))
		require.Equal(t, "gate", frames.CameraID, "detections are only of the cameras asked for")
	}
}

// TestModelChangesLive: another model runs within about a second, no frame is
// lost, and nobody overwrites what he has not seen.
func TestModelChangesLive(t *testing.T) {
	t.Parallel()
	d := withCamera(t)
	heard := d.stream("")
	soon(t, func(t require.TestingT) { require.NotEmpty(t, list[detection](t, d.client, "/detections")) })
	before := d.camera(t, "good").Status
	var applied, slowest time.Duration // until the status says so, until frames do
	revision := before.ModelRevision
	for i := range 10 {
		wanted := []string{"default", "bright"}[i%2]
		set := d.setModel(t, wanted, 1)
		asked := time.Now()
		require.Equal(t, revision+1, set.Revision)
		require.Equal(t, "client", set.Effective.From)
		revision = set.Revision
		soon(t, func(t require.TestingT) {
			s := d.camera(t, "good").Status
			require.Equal(t, []any{wanted, 1, revision, ""}, []any{s.Model, s.ModelVersion, s.ModelRevision, s.ModelError})
		})
		applied = max(applied, time.Since(asked))
		// The model is in use when frames carry it.
		soon(t, func(t require.TestingT) {
			var page items[annotation]
			d.get(t, "/annotations?camera_id=good&limit=1000&from="+asked.UTC().Format(time.RFC3339Nano), &page)
			require.True(t, slices.ContainsFunc(page.Items, func(a annotation) bool { return a.Model == wanted }))
		})
		slowest = max(slowest, time.Since(asked))
	}
	t.Logf("slowest change: %s until the status says so, %s until annotations do", applied, slowest)
	require.Less(t, applied, 2*time.Second, "within about a second")
	require.Less(t, slowest, 5*time.Second, "annotations take longer, and the machine may be busy")
	after := d.camera(t, "good").Status
	require.Equal(t, before.Drops["failed"], after.Drops["failed"])
	require.Equal(t, before.Drops["decode"], after.Drops["decode"])
	require.Equal(t, before.Reconnects, after.Reconnects, "without a new connection")
	for i, a := range list[annotation](t, d.client, "/annotations?camera_id=good") {
		require.Equal(t, uint64(i+1), a.Frame, "no frame is lost")
	}
	soon(t, func(t require.TestingT) { require.Len(t, heard.seen("model.changed"), 10) })

	change := body{"model": "default"}
	p := refused(t, d.send(t, http.MethodPut, "/api/v1/running-models/default", change, "If-Match", quoted(revision-1)),
		http.StatusPreconditionFailed, "")
	var current runningModel
	require.NoError(t, json.Unmarshal(p.Current, &current))
	require.Equal(t, revision, current.Revision)
	refused(t, d.send(t, http.MethodPut, "/api/v1/running-models/default", change), http.StatusPreconditionRequired, "If-Match")
	var history items[runningModel]
	d.get(t, "/running-models/default/revisions", &history)
	require.Len(t, history.Items, int(revision))

	// A camera's own record goes over its client's.
	var own runningModel
	d.api(t, http.MethodPut, "/running-models/default/cameras/good", body{"model": "default"}, &own, "If-Match", `"0"`)
	require.Equal(t, "camera", own.Effective.From)
	soon(t, func(t require.TestingT) { require.Equal(t, "default", d.camera(t, "good").Status.Model) })
	d.api(t, http.MethodDelete, "/running-models/default/cameras/good", nil, nil, "If-Match", quoted(own.Revision))
	soon(t, func(t require.TestingT) { require.Equal(t, "bright", d.camera(t, "good").Status.Model) })
}

// kept is everything that must outlive a restart.
type kept struct {
	Clients, Cameras, Models, Running []string
	Results, Tracks, Events           []string
	Recordings                        []recording
	Annotations                       int
}

func keptBy(t *testing.T, d *daemon) (k kept) {
	t.Helper()
	ids := func(path, key string) (all []string) {
		for _, item := range list[map[string]any](t, d.client, path) {
			text, err := json.Marshal(item[key])
			require.NoError(t, err)
			all = append(all, string(text))
		}
		slices.Sort(all)
		return all
	}
	k.Clients, k.Cameras, k.Models = ids("/clients", "id"), ids("/cameras", "id"), ids("/models", "name")
	k.Running, k.Results, k.Tracks = ids("/running-models", "revision"), ids("/results", "id"), ids("/tracks", "id")
	k.Events = ids("/events", "id")
	k.Recordings = list[recording](t, d.client, "/recordings?camera_id=good")
	k.Annotations = len(list[annotation](t, d.client, "/annotations?camera_id=good"))
	return k
}

// requireKept expects that everything of old is there, perhaps with more.
func requireKept(t *testing.T, old, now kept) {
	t.Helper()
	require.Equal(t, old.Clients, now.Clients)
	require.Equal(t, old.Cameras, now.Cameras)
	require.Equal(t, old.Models, now.Models)
	require.Equal(t, old.Running, now.Running)
	require.Subset(t, now.Results, old.Results)
	require.Subset(t, now.Tracks, old.Tracks)
	require.Subset(t, now.Events, old.Events)
	require.Subset(t, now.Recordings, old.Recordings)
}

// TestRestart: a restart keeps everything, and counters start again.
func TestRestart(t *testing.T) {
	t.Parallel()
	d := withCamera(t)
	d.api(t, http.MethodPost, "/clients", body{"name": "Yard"}, nil)
	soon(t, func(t require.TestingT) {
		require.Greater(t, d.camera(t, "good").Status.Frames, uint64(40))
		require.NotEmpty(t, list[recording](t, d.client, "/recordings?camera_id=good"))
		require.NotEmpty(t, list[struct{}](t, d.client, "/tracks"))
	})
	d.api(t, http.MethodPost, "/results", body{"kind": "still", "camera_id": "good", "time": time.Now().UTC()}, nil)
	soon(t, func(t require.TestingT) { require.NotEmpty(t, list[loggedEvent](t, d.client, "/events")) })
	old, frames := keptBy(t, d), d.camera(t, "good").Status.Frames
	d.stop()

	again := startIn(t, d.dir)
	restarted := again.camera(t, "good").Status
	require.Less(t, restarted.Frames, frames)
	again.becomes(t, "good", "running")
	again.goesOn(t, "good")
	now := keptBy(t, again)
	requireKept(t, old, now)
	require.GreaterOrEqual(t, now.Annotations, old.Annotations, "an orderly stop loses no annotation")
	require.Equal(t, "bright", again.camera(t, "good").Status.Model)
}
