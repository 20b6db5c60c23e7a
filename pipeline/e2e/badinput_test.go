package e2e

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"detectd/detect/detecttest"
	"detectd/pipeline"
)

// hugePNG is a small file that says it is a picture of side times side pixels.
func hugePNG(t *testing.T, side uint32) []byte {
	t.Helper()
	var data bytes.Buffer
	z := zlib.NewWriter(&data)
	_, err := z.Write(make([]byte, 1<<16))
	require.NoError(t, err)
	require.NoError(t, z.Close())
	png := []byte("\x89PNG\r\n\x1a\n")
	chunk := func(kind string, content []byte) {
		png = binary.BigEndian.AppendUint32(png, uint32(len(content)))
		body := append([]byte(kind), content...)
		png = binary.BigEndian.AppendUint32(append(png, body...), crc32.ChecksumIEEE(body))
	}
	header := binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, side), side)
	chunk("IHDR", append(header, 8, 0, 0, 0, 0)) // 8 bits grey
	chunk("IDAT", data.Bytes())
	chunk("IEND", nil)
	return png
}

// TestBadUploads: one clear error each, and nothing is kept.
func TestBadUploads(t *testing.T) {
	t.Parallel()
	d := withCamera(t)
	video, err := os.ReadFile(plain(t, pipeline.H264))
	require.NoError(t, err)
	whole := encoded(t, "jpeg")
	const image, film = "/api/v1/detections/image", "/api/v1/detections/video"
	for name, c := range map[string]struct {
		path, kind string
		content    []byte
		status     []int
		says       string
	}{
		"truncated JPEG":         {image, "image/jpeg", whole[:len(whole)/2], []int{422}, ""},
		"truncated PNG":          {image, "image/png", encoded(t, "png")[:100], []int{422}, ""},
		"text as picture":        {image, "image/jpeg", []byte("hello"), []int{415, 422}, ""},
		"video as picture":       {image, "image/jpeg", video, []int{415, 422}, ""},
		"empty picture":          {image, "image/jpeg", []byte{}, []int{415, 422}, ""},
		"30,000 x 30,000 pixels": {image, "image/png", hugePNG(t, 30000), []int{413, 422}, "pixels"},
		"too many bytes":         {image, "image/jpeg", append(whole, make([]byte, 33<<20)...), []int{413}, ""},
		"text type":              {image, "text/plain", whole, []int{415}, ""},
		"zero-byte video":        {film, "video/mp4", []byte{}, []int{415, 422}, ""},
		"text as video":          {film, "video/mp4", []byte("hello"), []int{415, 422}, ""},
		"truncated video":        {film, "video/mp4", video[:500], []int{415, 422}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			a := d.send(t, http.MethodPost, c.path, c.content, "Content-Type", c.kind)
			require.Contains(t, c.status, a.Status, "%s", a.Body)
			p := refused(t, a, a.Status, c.says)
			require.NotEmpty(t, p.Detail)
			t.Log(p.Detail)
		})
	}
	require.Empty(t, list[result](t, d.client, "/results"))
	left, err := os.ReadDir(filepath.Join(d.dir, "tmp"))
	require.NoError(t, err)
	require.Empty(t, left)
	d.goesOn(t, "good")
}

// TestUploadLimits: what the settings limit is refused.
func TestUploadLimits(t *testing.T) {
	t.Parallel()
	d := start(t, "--config", write(t, "limits.yaml", settings+
		"upload: {picture_bytes: 1KiB, picture_pixels: 100000, video_bytes: 8KiB, video_frames: 20}\n"))
	post := func(kind string, content []byte) answer {
		return d.send(t, http.MethodPost, "/api/v1/detections/"+kind, content, "Content-Type", kind+"/x")
	}
	whole := encoded(t, "jpeg")
	refused(t, post("image", whole), http.StatusRequestEntityTooLarge, "1024 bytes")
	refused(t, post("image", hugePNG(t, 1000)), http.StatusUnprocessableEntity, "pixels")
	video, err := os.ReadFile(plain(t, pipeline.H264))
	require.NoError(t, err)
	refused(t, post("video", append(video, make([]byte, 8<<10)...)), http.StatusRequestEntityTooLarge, "8192 bytes")
	refused(t, post("video", video), http.StatusUnprocessableEntity, "frames")
	require.Empty(t, list[result](t, d.client, "/results"))
}

// TestBadModels: a file that cannot be a model is refused with the reason, and
// what runs goes on.
func TestBadModels(t *testing.T) {
	t.Parallel()
	d := withCamera(t)
	models := func() (names []string) {
		for _, m := range list[struct {
			Name     string            `json:"name"`
			Versions []json.RawMessage `json:"versions"`
		}](t, d.client, "/models") {
			names = append(names, fmt.Sprint(m.Name, len(m.Versions)))
		}
		return names
	}
	before, running := models(), d.camera(t, "good").Status.Model
	for name, c := range map[string]struct {
		content []byte
		says    string
	}{
		"no ONNX":       {[]byte("hello"), "not an ONNX"},
		"empty":         {[]byte{}, ""},
		"half a model":  {detecttest.Bright(t)[:400], "not an ONNX"},
		"no detector":   {detecttest.Identity(t), "detector"},
		"external data": {detecttest.External(t), "external data"},
		"no numbers":    {detecttest.NaN(t), ""},
		"a picture":     {encoded(t, "png"), "not an ONNX"},
	} {
		t.Run(name, func(t *testing.T) {
			p := refused(t, d.send(t, http.MethodPost, "/api/v1/models?name=bright", c.content), http.StatusUnprocessableEntity, c.says)
			t.Log(p.Detail)
			e := command(t, "models", "--data", d.dir, "add", "--name", "bright", write(t, "bad.onnx", string(c.content)))
			require.Equal(t, 1, e.Code)
			require.Contains(t, e.Stderr, c.says)
			require.Equal(t, 1, bytes.Count([]byte(e.Stderr), []byte("\n")), e.Stderr)
		})
	}
	require.Equal(t, before, models())
	require.Equal(t, running, d.camera(t, "good").Status.Model)
	d.goesOn(t, "good")
}

// TestUnknownAndStale: unknown ids are 404 and say which, stale revisions 412,
// and nothing changes.
func TestUnknownAndStale(t *testing.T) {
	t.Parallel()
	d := withCamera(t)
	good := d.camera(t, "good")
	moment := "2026-01-01T00:00:00Z"
	for _, c := range []struct {
		method, path string
		content      any
	}{
		{"GET", "/cameras/nobody", nil},
		{"PUT", "/cameras/nobody", body{"name": "x", "url": good.URL}},
		{"DELETE", "/cameras/nobody", nil},
		{"GET", "/cameras/nobody/frames/latest.jpg", nil},
		{"GET", "/cameras/nobody/frames/" + moment + ".jpg", nil},
		{"GET", "/cameras/nobody/live/index.m3u8", nil},
		{"GET", "/cameras/nobody/live.mjpeg", nil},
		{"GET", "/annotations?camera_id=nobody", nil},
		{"GET", "/recordings?camera_id=nobody", nil},
		{"GET", "/clients/nobody", nil},
		{"DELETE", "/clients/nobody", nil},
		{"GET", "/cameras?client_id=nobody", nil},
		{"GET", "/models/nobody", nil},
		{"DELETE", "/models/nobody/versions/1", nil},
		{"GET", "/running-models/nobody", nil},
		{"GET", "/running-models/default/cameras/nobody", nil},
		{"POST", "/results", body{"kind": "still", "camera_id": "nobody", "time": moment}},
		{"GET", "/results/nobody", nil},
		{"GET", "/results/nobody/content", nil},
		{"GET", "/tracks/nobody", nil},
	} {
		refused(t, d.send(t, c.method, "/api/v1"+c.path, c.content), http.StatusNotFound, "nobody")
	}
	refused(t, d.send(t, "GET", "/api/v1/recordings/99999", nil), http.StatusNotFound, "99999")
	refused(t, d.send(t, "PUT", "/api/v1/running-models/default", body{"model": "nobody"}, "If-Match", `"1"`),
		http.StatusUnprocessableEntity, "nobody")
	refused(t, d.send(t, "POST", "/api/v1/cameras", body{"name": "x", "url": good.URL, "client_id": "nobody"}),
		http.StatusUnprocessableEntity, "nobody")

	d.change(t, "good", body{"name": "Better", "url": good.URL})
	for _, c := range []struct {
		method, path string
		content      any
	}{
		{"PUT", "/cameras/good", body{"name": "Worse", "url": good.URL}},
		{"DELETE", "/cameras/good", nil},
		{"PUT", "/running-models/default", body{"model": "default"}},
		{"DELETE", "/running-models/default", nil},
	} {
		p := refused(t, d.send(t, c.method, "/api/v1"+c.path, c.content, "If-Match", `"99"`), http.StatusPreconditionFailed, "revision")
		require.NotEmpty(t, p.Current, "the answer brings the stored record")
		require.NotEqual(t, "null", string(p.Current))
	}
	require.Equal(t, "Better", d.camera(t, "good").Name)
	require.Equal(t, "bright", d.camera(t, "good").Status.Model)
	d.becomes(t, "good", "running")
	d.goesOn(t, "good")
}
