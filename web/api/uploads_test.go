package api_test

import (
	"bytes"
	"encoding/json"
	"io"
	"mime/multipart"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"detectd/store"
	"detectd/web/api/apitest"
)

func TestDetectImage(t *testing.T) {
	f := newFixture(t)
	a := f.do("POST", "/detections/image?model=default@1&score=0.4&save=true", "PICTURE", "Content-Type", "image/png").want(200)
	require.Equal(t, "person", a.get("detections.0.label"))
	require.Equal(t, []any{1.0, 2.0, 3.0, 4.0}, a.get("detections.0.box"))
	require.EqualValues(t, 61.5, a.get("took_ms"))
	require.Equal(t, "/api/v1/results/image1/content", a.get("picture"))

	for name, c := range map[string]struct {
		query, body, kind string
		status            int
	}{
		"no type":       {"", "PICTURE", "application/octet-stream", 200},
		"curl's type":   {"", "PICTURE", "application/x-www-form-urlencoded", 200},
		"video":         {"", "PICTURE", "video/mp4", 415},
		"text":          {"", "PICTURE", "text/plain", 415},
		"no picture":    {"", "GARBAGE", "image/png", 422},
		"empty":         {"", "", "image/png", 422},
		"unknown model": {"?model=missing", "PICTURE", "image/png", 404},
		"bad model":     {"?model=Bad+Name", "PICTURE", "image/png", 422},
		"bad score":     {"?score=2", "PICTURE", "image/png", 422},
		"bad query":     {"?colour=red", "PICTURE", "image/png", 422},
		"no boundary":   {"", "PICTURE", "multipart/form-data", 422},
		"bad form":      {"", "PICTURE", "multipart/form-data; boundary=x", 422},
	} {
		t.Run(name, func(t *testing.T) {
			f.do("POST", "/detections/image"+c.query, c.body, "Content-Type", c.kind).want(c.status)
		})
	}
}

func TestDetectImageInForm(t *testing.T) {
	f := newFixture(t)
	form := func(field, kind string) (*bytes.Buffer, string) {
		var body bytes.Buffer
		w := multipart.NewWriter(&body)
		require.NoError(t, w.WriteField("comment", "first"))
		part, err := w.CreatePart(map[string][]string{
			"Content-Disposition": {`form-data; name="` + field + `"; filename="C:\\photos\\yard.jpg"`}, "Content-Type": {kind},
		})
		require.NoError(t, err)
		_, err = part.Write([]byte("PICTURE"))
		require.NoError(t, err)
		require.NoError(t, w.Close())
		return &body, w.FormDataContentType()
	}
	send := func(field, kind string) *answer {
		body, contentType := form(field, kind)
		return f.send(httptest.NewRequestWithContext(t.Context(), "POST", "/api/v1/detections/image", body), "Content-Type", contentType)
	}
	send("file", "image/jpeg").want(200)
	send("picture", "image/jpeg").want(422)
	send("file", "text/html").want(415)
}

// zeros is an endless picture.
type zeros struct{ begun bool }

func (z *zeros) Read(p []byte) (int, error) {
	clear(p)
	if !z.begun {
		z.begun = true
		return copy(p, "PICTURE"), nil
	}
	return len(p), nil
}

func TestUploadsAreLimited(t *testing.T) {
	f := newFixture(t)
	// The length is not known: the limit strikes while reading.
	endless := httptest.NewRequestWithContext(t.Context(), "POST", "/api/v1/detections/image", io.NopCloser(&zeros{}))
	f.send(endless, "Content-Type", "image/png").want(413)
	// The length is known: nothing is read.
	for path, size := range map[string]int64{
		"/detections/image": 33 << 20, "/detections/video": 2<<30 + 1<<20, "/models?name=x": 1<<30 + 1<<20,
	} {
		r := httptest.NewRequestWithContext(t.Context(), "POST", "/api/v1"+path, io.NopCloser(&zeros{}))
		r.ContentLength = size
		f.send(r, "Content-Type", "application/octet-stream").want(413)
	}
}

// broken is a body whose sender goes away.
type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

func TestUploadThatStops(t *testing.T) {
	f := newFixture(t)
	r := httptest.NewRequestWithContext(t.Context(), "POST", "/api/v1/detections/image", io.NopCloser(broken{}))
	f.send(r, "Content-Type", "image/png").want(422)
}

func TestDetectVideo(t *testing.T) {
	f := newFixture(t)
	a := f.do("POST", "/detections/video", "VIDEO", "Content-Type", "video/mp4").want(202)
	require.Equal(t, "/api/v1/results/video1", a.Header().Get("Location"))
	f.do("GET", "/results/video1/content", "").want(409)
	f.do("GET", "/results/video1/detections", "").want(409)

	r, err := f.Records.Result(t.Context(), "video1")
	require.NoError(t, err)
	r.State, r.SHA256, r.MIME, r.FinishedAt = store.ResultDone, f.Blobs.Add([]byte("annotated")), "video/mp4", apitest.Time
	r.Name = `ya"rd ä.mp4`
	r.Detections = json.RawMessage(`[{"frame":0,"pts_ms":40,"detections":[{"label":"car","class_id":1,"score":0.5,"box":[1,2,3,4]}]},{"frame":1,"pts_ms":80,"detections":null}]`)
	require.NoError(t, f.Records.PutResult(t.Context(), r))
	a = f.do("GET", "/results/video1/content", "", "Range", "bytes=0-3").want(206)
	require.Equal(t, "anno", a.Body.String())
	require.Equal(t, "video/mp4", a.Header().Get("Content-Type"))
	a = f.do("GET", "/results/video1/detections", "").want(200)
	require.Equal(t, "car", a.get("items.0.detections.0.label"))
	require.Empty(t, a.get("items.1.detections"))

	r.State, r.Error = store.ResultFailed, "the file ends early"
	require.NoError(t, f.Records.PutResult(t.Context(), r))
	require.Contains(t, f.do("GET", "/results/video1/content", "").want(409).get("detail"), "ends early")
	f.do("POST", "/detections/video", "", "Content-Type", "video/mp4").want(422)
	f.do("POST", "/detections/video", "VIDEO", "Content-Type", "image/png").want(415)
}

func TestResults(t *testing.T) {
	f := newFixture(t)
	f.camera("door")
	a := f.do("POST", "/results", `{"kind":"still","camera_id":"door","time":"2026-11-25T09:30:18.123Z"}`).want(202)
	require.Equal(t, "queued", a.get("state"))
	require.Equal(t, a.get("from"), a.get("to"))
	id := a.get("id").(string)
	require.Equal(t, "/api/v1/results/"+id, a.Header().Get("Location"))
	f.do("POST", "/results", `{"kind":"clip","camera_id":"door","from":"2026-11-25T09:30:00Z","to":"2026-11-25T09:35:00Z"}`).want(202)
	require.Len(t, f.Requested(), 2)
	require.Equal(t, 5*time.Minute, f.Requested()[1].To.Sub(f.Requested()[1].From))

	for _, body := range []string{
		`{"kind":"still","camera_id":"door"}`,
		`{"kind":"clip","camera_id":"door","from":"2026-11-25T09:30:00Z"}`,
		`{"kind":"clip","camera_id":"door","from":"2026-11-25T09:30:00Z","to":"2026-11-25T09:30:00Z"}`,
		`{"kind":"clip","camera_id":"door","from":"2026-11-25T09:30:00Z","to":"2026-11-25T09:35:01Z"}`,
		`{"kind":"film","camera_id":"door"}`,
		`{"kind":"still","camera_id":"door","time":"noon"}`,
	} {
		f.do("POST", "/results", body).want(422)
	}
	f.do("POST", "/results", `{"kind":"still","camera_id":"nothing","time":"2026-11-25T09:30:18Z"}`).want(404)
	require.Len(t, f.Requested(), 2)

	require.Len(t, f.do("GET", "/results?camera_id=door", "").want(200).get("items"), 2)
	f.do("GET", "/results?camera_id=nothing", "").want(404)
	f.do("GET", "/results/"+id, "").want(200)
	f.do("DELETE", "/results/"+id, "").want(204)
	f.do("GET", "/results/"+id, "").want(404)
	f.do("GET", "/results/"+id+"/content", "").want(404)
	f.do("DELETE", "/results/"+id, "").want(404)
}
