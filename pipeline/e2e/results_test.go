package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"image"
	"image/jpeg"
	"image/png"
	"mime/multipart"
	"net/http"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"detectd/pipeline"
)

// encoded is the picture with the bright rectangle where, as a file.
func encoded(t *testing.T, kind string) []byte {
	t.Helper()
	var b bytes.Buffer
	if kind == "png" {
		require.NoError(t, png.Encode(&b, picture(where)))
	} else {
		require.NoError(t, jpeg.Encode(&b, picture(where), &jpeg.Options{Quality: 95}))
	}
	return b.Bytes()
}

type imageDetections struct {
	ID           string   `json:"id"`
	Width        int      `json:"width"`
	Height       int      `json:"height"`
	Model        string   `json:"model"`
	ModelVersion int      `json:"model_version"`
	Detections   []object `json:"detections"`
	Picture      string   `json:"picture"`
}

// drawn counts the pixels in which two pictures clearly differ: what was drawn
// into one of them.
func drawn(a, b image.Image) (n int) {
	for y := a.Bounds().Min.Y; y < a.Bounds().Max.Y; y++ {
		for x := a.Bounds().Min.X; x < a.Bounds().Max.X; x++ {
			r1, g1, b1, _ := a.At(x, y).RGBA()
			r2, g2, b2, _ := b.At(x, y).RGBA()
			if max(r1, r2)-min(r1, r2) > 0x3000 || max(g1, g2)-min(g1, g2) > 0x3000 || max(b1, b2)-min(b1, b2) > 0x3000 {
				n++
			}
		}
	}
	return n
}

// TestUploadedPictures come back as boxes and as annotated pictures.
func TestUploadedPictures(t *testing.T) {
	t.Parallel()
	d := start(t)
	useBright(t, d)
	var form bytes.Buffer
	parts := multipart.NewWriter(&form)
	part, err := parts.CreateFormFile("file", "yard.png")
	require.NoError(t, err)
	_, err = part.Write(encoded(t, "png"))
	require.NoError(t, err)
	require.NoError(t, parts.Close())

	for name, c := range map[string]struct {
		content []byte
		kind    string
	}{
		"jpeg": {encoded(t, "jpeg"), "image/jpeg"}, "png": {encoded(t, "png"), "image/png"},
		"form": {form.Bytes(), parts.FormDataContentType()},
	} {
		t.Run(name, func(t *testing.T) {
			var found imageDetections
			d.api(t, http.MethodPost, "/detections/image?model=bright@1", c.content, &found, "Content-Type", c.kind)
			require.Equal(t, []any{videoWidth, videoHeight, "bright", 1}, []any{found.Width, found.Height, found.Model, found.ModelVersion})
			require.Len(t, found.Detections, 1)
			require.Equal(t, "person", found.Detections[0].Label)
			for i, side := range []int{where.Min.X, where.Min.Y, where.Dx(), where.Dy()} {
				require.InDelta(t, side, found.Detections[0].Box[i], 4)
			}
			got := d.send(t, http.MethodGet, found.Picture, nil)
			require.Equal(t, http.StatusOK, got.Status)
			img, _, err := image.Decode(bytes.NewReader(got.Body))
			require.NoError(t, err)
			require.Equal(t, image.Pt(videoWidth, videoHeight), img.Bounds().Size())
			require.Greater(t, drawn(img, picture(where)), 200, "the box")
			var kept result
			d.get(t, "/results/"+found.ID, &kept)
			require.Equal(t, []string{"image", "done"}, []string{kept.Kind, kept.State})
		})
	}
	require.Len(t, list[result](t, d.client, "/results"), 3)
	none := imageDetections{}
	d.api(t, http.MethodPost, "/detections/image?model=bright&score=0.95", encoded(t, "png"), &none, "Content-Type", "image/png")
	require.Empty(t, none.Detections)
	refused(t, d.send(t, http.MethodPost, "/api/v1/detections/image?model=nobody", encoded(t, "png"), "Content-Type", "image/png"),
		http.StatusNotFound, "nobody")
	d.api(t, http.MethodDelete, "/results/"+none.ID, nil, nil)
	refused(t, d.send(t, http.MethodGet, "/api/v1/results/"+none.ID, nil), http.StatusNotFound, none.ID)
}

// finished waits for a result and returns its file.
func finished(t *testing.T, d *daemon, location string) (result, []byte) {
	t.Helper()
	var r result
	soon(t, func(t require.TestingT) {
		a := d.send(t, http.MethodGet, location, nil)
		require.NoError(t, json.Unmarshal(a.Body, &r), "%s", a.Body)
		require.Contains(t, []string{"done", "failed"}, r.State)
	})
	require.Equal(t, "done", r.State, r.Error)
	got := d.send(t, http.MethodGet, r.Content, nil)
	require.Equal(t, http.StatusOK, got.Status)
	require.Equal(t, r.MIME, got.Header.Get("Content-Type"))
	require.Len(t, got.Body, int(r.Bytes))
	return r, got.Body
}

// TestUploadedVideos are looked at frame by frame in the background.
func TestUploadedVideos(t *testing.T) {
	t.Parallel()
	d := start(t)
	useBright(t, d)
	for _, codec := range []pipeline.Codec{pipeline.H264, pipeline.H265, pipeline.MJPEG} {
		content, err := os.ReadFile(plain(t, codec))
		require.NoError(t, err)
		a := d.api(t, http.MethodPost, "/detections/video?model=bright", content, nil, "Content-Type", "video/mp4")
		require.Equal(t, http.StatusAccepted, a.Status)
		r, made := finished(t, d, a.Header.Get("Location"))
		require.Equal(t, []string{"video", "video/mp4"}, []string{r.Kind, r.MIME})
		var found items[struct {
			Frame      int      `json:"frame"`
			PTSMS      float64  `json:"pts_ms"`
			Detections []object `json:"detections"`
		}]
		d.get(t, "/results/"+r.ID+"/detections", &found)
		require.Len(t, found.Items, videoFrames)
		for i, f := range found.Items {
			require.Equal(t, i, f.Frame)
			require.InDelta(t, float64(i)*1000/videoFPS, f.PTSMS, 10)
			require.NotEmpty(t, f.Detections, "frame %d", i)
		}
		lines := linesOf(t, succeeds(t, "detect", "--model", brightFile(t), write(t, "made.mp4", string(made))))
		require.Len(t, lines, videoFrames)
		require.Equal(t, []int{videoWidth, videoHeight}, []int{lines[0].Width, lines[0].Height})
	}
}

// TestRenders: a still and a clip of a moment that was recorded.
func TestRenders(t *testing.T) {
	t.Parallel()
	d := withCamera(t)
	heard := d.stream("")
	var from, to, seen time.Time
	soon(t, func(t require.TestingT) {
		kept := list[recording](t, d.client, "/recordings?camera_id=good")
		require.Greater(t, len(kept), 4)
		from, to = kept[1].Start, kept[4].End // the first detection may come after the first file
		i := slices.IndexFunc(list[annotation](t, d.client, "/annotations?camera_id=good"), func(a annotation) bool {
			seen = a.Time
			return a.Kind == "detected" && len(a.Objects) > 0 && a.Objects[0].Kind == "detected" && a.Time.After(from) && a.Time.Before(to)
		})
		require.NotEqual(t, -1, i)
	})
	a := d.api(t, http.MethodPost, "/results", body{"kind": "still", "camera_id": "good", "time": seen}, nil)
	require.Equal(t, http.StatusAccepted, a.Status)
	r, content := finished(t, d, a.Header.Get("Location"))
	require.Equal(t, "still", r.Kind)
	img, err := jpeg.Decode(bytes.NewReader(content))
	require.NoError(t, err)
	require.Equal(t, image.Pt(videoWidth, videoHeight), img.Bounds().Size())
	plainly := d.send(t, http.MethodGet, "/api/v1/cameras/good/frames/"+seen.UTC().Format(time.RFC3339Nano)+".jpg", nil)
	without, err := jpeg.Decode(bytes.NewReader(plainly.Body))
	require.NoError(t, err)
	require.Greater(t, drawn(img, without), 200, "the box")

	a = d.api(t, http.MethodPost, "/results", body{"kind": "clip", "camera_id": "good", "from": from, "to": to}, nil)
	r, content = finished(t, d, a.Header.Get("Location"))
	require.Equal(t, []string{"clip", "video/mp4"}, []string{r.Kind, r.MIME})
	lines := linesOf(t, succeeds(t, "detect", "--model", brightFile(t), write(t, "clip.mp4", string(content))))
	require.Equal(t, []int{videoWidth, videoHeight}, []int{lines[0].Width, lines[0].Height})
	require.InDelta(t, to.Sub(from).Seconds()*videoFPS, len(lines), videoFPS, "as many frames as there were")
	soon(t, func(t require.TestingT) { require.NotEmpty(t, heard.seen("result")) })

	for _, c := range []struct {
		wanted body
		status int
		says   string
	}{
		{body{"kind": "still", "camera_id": "nobody", "time": from}, 404, "nobody"},
		{body{"kind": "still", "camera_id": "good"}, 422, "time"},
		{body{"kind": "clip", "camera_id": "good", "from": to, "to": from}, 422, "after"},
		{body{"kind": "clip", "camera_id": "good", "from": from, "to": from.Add(time.Hour)}, 422, "5 minutes"},
	} {
		refused(t, d.send(t, http.MethodPost, "/api/v1/results", c.wanted), c.status, c.says)
	}
	before := len(list[result](t, d.client, "/results"))
	old := body{"kind": "still", "camera_id": "good", "time": from.Add(-time.Hour)}
	refused(t, d.send(t, http.MethodPost, "/api/v1/results", old), http.StatusNotFound, "picture of camera")
	require.Len(t, list[result](t, d.client, "/results"), before)
}

// TestReports: hours and days say what the single inferences say.
func TestReports(t *testing.T) {
	t.Parallel()
	d := withCamera(t)
	soon(t, func(t require.TestingT) { require.Greater(t, d.camera(t, "good").Status.Inferences, uint64(20)) })
	d.change(t, "good", body{"name": "Good", "url": d.camera(t, "good").URL, "enabled": false})
	type inference struct {
		Model      string  `json:"model"`
		Detections int     `json:"detections"`
		LatencyMS  float64 `json:"latency_ms"`
		RanMS      float64 `json:"ran_ms"`
		Error      string  `json:"error"`
	}
	type report struct {
		Period     string         `json:"period"`
		Model      string         `json:"model"`
		Frames     int            `json:"frames"`
		Inferences int            `json:"inferences"`
		Errors     int            `json:"errors"`
		Drops      map[string]int `json:"drops"`
		Detections int            `json:"detections"`
		Classes    map[string]int `json:"classes"`
		MeanScore  float64        `json:"mean_score"`
		P50        float64        `json:"p50_ms"`
		P95        float64        `json:"p95_ms"`
		P99        float64        `json:"p99_ms"`
	}
	for _, period := range []string{"hour", "day"} {
		soon(t, func(t require.TestingT) {
			single := list[inference](t, d.client, "/inferences?camera_id=good")
			require.Greater(t, len(single), 20)
			found, longest := 0, 0.0
			for _, i := range single {
				require.Empty(t, i.Error)
				require.Positive(t, i.LatencyMS)
				found += i.Detections
				longest = max(longest, i.LatencyMS)
			}
			var sum report // of two hours when the test runs over the end of one
			sum.Classes = map[string]int{}
			var page items[report]
			d.get(t, fmt.Sprintf("/reports?period=%s&camera_id=good&model=bright&tz=Europe/Berlin", period), &page)
			require.NotEmpty(t, page.Items)
			for _, r := range page.Items {
				require.Equal(t, []string{period, "bright"}, []string{r.Period, r.Model})
				require.LessOrEqual(t, r.P50, r.P95)
				require.LessOrEqual(t, r.P95, r.P99)
				require.LessOrEqual(t, r.P50, longest)
				require.Positive(t, r.P50)
				require.InDelta(t, 0.9, r.MeanScore, 0.01)
				sum.Frames += r.Frames
				sum.Inferences += r.Inferences
				sum.Errors += r.Errors
				sum.Detections += r.Detections
				sum.Classes["person"] += r.Classes["person"]
			}
			require.Equal(t, len(single), sum.Inferences)
			require.Equal(t, found, sum.Detections)
			require.Equal(t, found, sum.Classes["person"])
			require.Zero(t, sum.Errors)
			frames := len(list[annotation](t, d.client, "/annotations?camera_id=good"))
			require.Equal(t, frames, sum.Frames)
		}, period)
	}
}
