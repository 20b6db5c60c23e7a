package api_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"detectd/store"
	"detectd/web/api/apitest"
)

func TestDetections(t *testing.T) {
	f := newFixture(t)
	f.camera("door")
	f.Series.Rows = []store.DetectionRow{{
		CameraID: "door", Time: apitest.Time, Frame: 7, Kind: "detected",
		Object: store.Object{TrackID: "door-1", Label: "person", Score: 0.5, Box: store.Box{1, 2, 3, 4}, Kind: "extrapolated"},
	}}
	f.Series.Next = "more"
	a := f.do("GET", "/detections?camera_id=door&from=2026-11-25T09:00:00Z&to=2026-11-25T10:00:00.5%2B01:00&label=person&kind=detected&limit=5&cursor=abc", "").want(200)
	require.JSONEq(t, `{"items":[{"camera_id":"door","time":"2026-11-25T09:30:18.123Z","frame":7,"kind":"extrapolated","label":"person",
		"class_id":0,"score":0.5,"box":[1,2,3,4],"track_id":"door-1"}],"next":"more"}`, a.Body.String())
	require.Equal(t, "door", f.Series.Query.CameraID)
	require.Equal(t, "person", f.Series.Query.Label)
	require.Equal(t, "detected", f.Series.Query.Kind)
	require.True(t, f.Series.Query.To.Equal(time.Date(2026, 11, 25, 9, 0, 0, 500_000_000, time.UTC)))
	require.Equal(t, store.Page{Limit: 5, Cursor: "abc"}, f.Series.Page)
	f.do("GET", "/detections?camera_id=nothing", "").want(404)
	f.do("GET", "/detections?from=yesterday", "").want(422)
	f.do("GET", "/detections?kind=guessed", "").want(422)
	f.Series.Err = fmt.Errorf("page: %w", store.ErrCursor)
	f.do("GET", "/detections?cursor=bad", "").want(422)
	f.Series.Err = errors.New("disk on fire at sector 9")
	a = f.do("GET", "/detections", "").want(500)
	require.NotContains(t, a.Body.String(), "sector")
	require.Contains(t, f.Log.String(), "sector")
}

func TestAnnotations(t *testing.T) {
	f := newFixture(t)
	f.camera("door")
	f.Series.Frames = []store.Annotation{{
		CameraID: "door", Time: apitest.Time, Frame: 7, PTS: 40 * time.Millisecond, Width: 640, Height: 480, Kind: "interpolated",
		Model: "default", Version: 1, Clock: "rtcp", TimeError: 41 * time.Millisecond, Objects: []store.Object{{Label: "car", Box: store.Box{1, 2, 3, 4}}},
	}, {CameraID: "door", Time: apitest.Time, Kind: "detected"}}
	a := f.do("GET", "/annotations?camera_id=door&limit=1000", "").want(200)
	require.Equal(t, "interpolated", a.get("items.0.objects.0.kind"))
	require.EqualValues(t, 40, a.get("items.0.pts_ms"))
	require.EqualValues(t, 41, a.get("items.0.time_error_ms"))
	require.Empty(t, a.get("items.1.objects"))
	require.Equal(t, 1000, f.Series.FrameLimit)
	f.do("GET", "/annotations", "").want(422)
	f.do("GET", "/annotations?camera_id=nothing", "").want(404)
}

func TestInferences(t *testing.T) {
	f := newFixture(t)
	f.Series.Infers = []store.Inference{{CameraID: "door", Time: apitest.Time, Model: "default", Version: 1, Batch: 4, Latency: 42500 * time.Microsecond}}
	a := f.do("GET", "/inferences", "").want(200)
	require.EqualValues(t, 42.5, a.get("items.0.latency_ms"))
	f.do("GET", "/inferences?camera_id=nothing", "").want(404)
}

func TestTracks(t *testing.T) {
	f := newFixture(t)
	f.camera("door")
	require.NoError(t, f.Records.PutTrack(t.Context(), store.Track{
		ID: "door-1", CameraID: "door", Label: "person", Start: apitest.Time, End: apitest.Time.Add(time.Second),
		BestTime: apitest.Time, BestScore: 0.9, BestBox: store.Box{1, 2, 3, 4}, Model: "default", Version: 1,
	}))
	require.Equal(t, []any{"door-1"}, f.do("GET", "/tracks?camera_id=door&label=person", "").want(200).all("id"))
	require.Empty(t, f.do("GET", "/tracks?label=car", "").want(200).get("items"))
	require.Equal(t, []any{1.0, 2.0, 3.0, 4.0}, f.do("GET", "/tracks/door-1", "").want(200).get("best_box"))
	f.do("GET", "/tracks/door-2", "").want(404)
	f.do("GET", "/tracks?camera_id=nothing", "").want(404)
	f.do("GET", "/tracks?cursor=bad", "").want(422)
}

func TestEvents(t *testing.T) {
	f := newFixture(t)
	_, err := f.Records.AddEvent(t.Context(), store.Event{
		Time: apitest.Time, Kind: "camera.state", CameraID: "gone", Message: "it runs", Data: json.RawMessage(`{"state":"running"}`),
	})
	require.NoError(t, err)
	a := f.do("GET", "/events?camera_id=gone&kind=camera.state", "").want(200)
	require.Equal(t, "running", a.get("items.0.data.state"))
	require.Empty(t, f.do("GET", "/events?kind=other", "").want(200).get("items"))
}

func TestRecordings(t *testing.T) {
	f := newFixture(t)
	f.camera("door")
	add := func(path string) store.Segment {
		s, err := f.Records.AddSegment(t.Context(), store.Segment{
			CameraID: "door", Start: apitest.Time, End: apitest.Time.Add(10 * time.Second), Path: path, Bytes: 10, Frames: 250,
			Codec: "h264", Width: 640, Height: 480, Clock: "rtcp", TimeError: 1500 * time.Microsecond,
		})
		require.NoError(t, err)
		return s
	}
	s, gone := add("a.mp4"), add("gone.mp4")
	a := f.do("GET", "/recordings?camera_id=door", "").want(200)
	video := a.get("items.0.video").(string)
	require.EqualValues(t, 1.5, a.get("items.0.time_error_ms"))
	f.do("GET", "/recordings", "").want(422)
	f.do("GET", "/recordings?camera_id=nothing", "").want(404)
	f.do("GET", fmt.Sprintf("/recordings/%d", s.ID), "").want(200)
	f.do("GET", "/recordings/9999", "").want(404)
	f.do("GET", "/recordings/x", "").want(422)

	path := strings.TrimPrefix(video, "/api/v1")
	a = f.do("GET", path, "").want(200)
	require.Equal(t, "video/mp4", a.Header().Get("Content-Type"))
	require.Equal(t, "0123456789", a.Body.String())
	a = f.do("GET", path, "", "Range", "bytes=2-4").want(206)
	require.Equal(t, "234", a.Body.String())
	f.do("GET", path, "", "Range", "bytes=20-").want(416)
	f.do("GET", path, "", "If-None-Match", a.Header().Get("ETag")).want(304)
	f.do("GET", fmt.Sprintf("/recordings/%d/video.mp4", gone.ID), "").want(404)
	f.do("GET", "/recordings/9999/video.mp4", "").want(404)
}

func TestReports(t *testing.T) {
	f := newFixture(t)
	f.camera("door")
	d := store.ReportDelta{
		CameraID: "door", Model: "default", Version: 1, Hour: apitest.Time.Truncate(time.Hour), Frames: 100, Inferences: 20,
		Classes: map[string]int64{"person": 3}, ScoreSum: 2.4,
	}
	d.Latency.Add(40 * time.Millisecond)
	require.NoError(t, f.Records.MergeReport(t.Context(), d))
	a := f.do("GET", "/reports?period=hour&camera_id=door&model=default", "").want(200)
	require.EqualValues(t, 3, a.get("items.0.classes.person"))
	require.InDelta(t, 40, a.get("items.0.p50_ms"), 4)
	require.InDelta(t, 0.8, a.get("items.0.mean_score"), 1e-9)
	a = f.do("GET", "/reports?period=day&tz=Europe/Berlin", "").want(200)
	require.Equal(t, "2026-11-24T23:00:00.000Z", a.get("items.0.start"))
	f.do("GET", "/reports?tz=Mars/Olympus", "").want(422)
	f.do("GET", "/reports?tz=Local", "").want(422)
	f.do("GET", "/reports?period=week", "").want(422)
	f.do("GET", "/reports?camera_id=nothing", "").want(404)
}

func TestSystem(t *testing.T) {
	f := newFixture(t)
	a := f.do("GET", "/system", "").want(200)
	require.Equal(t, "default@1", a.get("model_default"))
	require.Contains(t, a.get("not_included"), "access control: loopback only")
}

func TestCheckSystem(t *testing.T) {
	f := newFixture(t)
	a := f.do("POST", "/system/check", `{"level":"hash"}`).want(200)
	require.Equal(t, "its file is missing at level hash", a.get("findings.0.what"))
	require.Equal(t, "its file is missing at level presence", f.do("POST", "/system/check", `{}`).want(200).get("findings.0.what"))
	f.do("POST", "/system/check", `{"level":"thorough"}`).want(422)
}
