package api_test

import (
	"bufio"
	"context"
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

func TestFrames(t *testing.T) {
	f := newFixture(t)
	f.camera("door")
	a := f.do("GET", "/cameras/door/frames/latest.jpg", "").want(200)
	require.Equal(t, "image/jpeg", a.Header().Get("Content-Type"))
	require.Equal(t, "2026-11-25T09:30:18.123Z", a.Header().Get("X-Frame-Time"))
	require.Equal(t, "rtcp", a.Header().Get("X-Frame-Clock"))
	require.Equal(t, "jpeg boxes=false", a.Body.String())
	for _, at := range []string{"2026-11-25T09:30:17.5Z", "2026-11-25T10:30:18.123+01:00", "2026-11-25T09%3A30%3A18.123Z"} {
		a = f.do("GET", "/cameras/door/frames/"+at+".jpg?boxes=true", "").want(200)
		require.Equal(t, "jpeg boxes=true", a.Body.String())
	}
	f.do("GET", "/cameras/door/frames/2020-01-01T00:00:00Z.jpg", "").want(404)
	f.do("GET", "/cameras/door/frames/yesterday.jpg", "").want(422)
	f.do("GET", "/cameras/door/frames/latest.png", "").want(404)
	f.do("GET", "/cameras/nothing/frames/latest.jpg", "").want(404)
}

func TestLive(t *testing.T) {
	f := newFixture(t)
	f.camera("door")
	f.camera("mjpeg")
	a := f.do("GET", "/cameras/door/live/index.m3u8?_HLS_msn=1", "").want(200)
	require.Equal(t, "#EXTM3U", a.Body.String())
	a = f.do("GET", "/cameras/mjpeg/live/index.m3u8", "").want(404)
	require.True(t, strings.HasSuffix(a.get("type").(string), "/no-hls"))
	require.Equal(t, "application/problem+json", a.Header().Get("Content-Type"))
	a = f.do("GET", "/cameras/door/live/broken.mp4", "").want(500)
	require.NotContains(t, a.Body.String(), "secret detail")
	f.do("GET", "/cameras/door/live/..%2Fsecret", "").want(422)
	f.do("GET", "/cameras/nothing/live/index.m3u8", "").want(404)

	ctx, cancel := context.WithCancel(t.Context())
	w := &firstWrite{ResponseRecorder: httptest.NewRecorder(), then: cancel}
	f.handler.ServeHTTP(w, newRequest(t, "GET", "/api/v1/cameras/mjpeg/live.mjpeg", "").WithContext(ctx))
	require.Equal(t, "multipart/x-mixed-replace; boundary=x", w.Header().Get("Content-Type"))
	f.do("GET", "/cameras/mjpeg/live.mjpeg?x=1", "").want(422)
}

// firstWrite calls then after the first write of an endless answer.
type firstWrite struct {
	*httptest.ResponseRecorder
	then func()
}

func (w *firstWrite) Write(p []byte) (int, error) {
	defer w.then()
	return w.ResponseRecorder.Write(p)
}

func TestEventStream(t *testing.T) {
	f := newFixture(t)
	f.SetStatuses(pipeline.Status{CameraID: "door", State: pipeline.StateRunning})
	server := httptest.NewServer(f.handler)
	defer server.Close()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+"/api/v1/events/stream?camera_id=door&camera_id=*", nil)
	require.NoError(t, err)
	res, err := server.Client().Do(req)
	require.NoError(t, err)
	defer res.Body.Close()
	require.Equal(t, "text/event-stream", res.Header.Get("Content-Type"))
	require.Equal(t, "no-store", res.Header.Get("Cache-Control"))
	require.Equal(t, []string{"door", "*"}, <-f.Feed.Subscribed)

	events := bufio.NewReader(res.Body)
	next := func(want string) string {
		for {
			lines := []string{}
			for {
				line, err := events.ReadString('\n')
				require.NoError(t, err)
				if line = strings.TrimSuffix(line, "\n"); line == "" {
					break
				}
				lines = append(lines, line)
			}
			if len(lines) == 1 && strings.HasPrefix(lines[0], ":") {
				continue
			}
			require.Len(t, lines, 2)
			name, ok := strings.CutPrefix(lines[0], "event: ")
			require.True(t, ok, lines[0])
			data, ok := strings.CutPrefix(lines[1], "data: ")
			require.True(t, ok, lines[1])
			if name == want {
				return data
			}
			require.Equal(t, "health", name)
		}
	}
	require.Contains(t, next("health"), `{"cameras":[{"camera_id":"door","state":"running"`)
	for _, c := range []struct {
		item api.FeedItem
		want string
	}{
		{api.FeedItem{Event: "camera.changed", Data: api.CameraChange{CameraID: "door", Action: api.Updated}}, `{"camera_id":"door","action":"updated"}`},
		{api.FeedItem{Event: "model.changed", Data: api.ModelChange{ClientID: "default", Revision: 3}}, `{"client_id":"default","camera_id":"","revision":3}`},
		{api.FeedItem{Event: "models.changed"}, `{}`},
		{
			api.FeedItem{Event: "model.state", Data: pipeline.RunningState{
				CameraID: "door", ClientID: "default", Wanted: pipeline.RunningRef{From: "client", Revision: 7, Model: "yard", Alias: "champion", Version: 3},
				State: pipeline.RunningLoading,
			}},
			`{"camera_id":"door","client_id":"default","wanted":{"from":"client","revision":7,"model":"yard","alias":"champion","version":3},"state":"loading"}`,
		},
		{
			api.FeedItem{Event: "detections", Data: []store.Annotation{{CameraID: "door", Time: apitest.Time, Kind: "detected"}}},
			`{"camera_id":"door","frames":[{"camera_id":"door","time":"2026-11-25T09:30:18.123Z","frame":0,"pts_ms":0,"time_error_ms":0,"width":0,"height":0,"kind":"detected","objects":[]}]}`,
		},
		{
			api.FeedItem{Event: "result", Data: store.Result{ID: "r", Kind: "clip", State: store.ResultDone, CreatedAt: apitest.Time}},
			`{"id":"r","kind":"clip","name":"","state":"done","progress":0,"bytes":0,"created_at":"2026-11-25T09:30:18.123Z","content":"/api/v1/results/r/content"}`,
		},
	} {
		f.Feed.Items <- c.item
		require.JSONEq(t, c.want, next(c.item.Event))
	}
	for _, item := range []api.FeedItem{{Event: "track", Data: store.Track{ID: "t"}}, {Event: "camera.state", Data: pipeline.Status{CameraID: "door"}}} {
		f.Feed.Items <- item
		require.NotEmpty(t, next(item.Event))
	}
	f.do("GET", "/events/stream?camera_id=Bad+Id", "").want(422)
}
