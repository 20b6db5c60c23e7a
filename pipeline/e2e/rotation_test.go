package e2e

import (
	"bytes"
	"image/jpeg"
	"net/http"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"detectd/pipeline/frame"
	"detectd/pipeline/matrix"
	"detectd/pipeline/simulate"
)

// stillBox is the bright box of a still plain video, as it is stored.
var stillBox = box{0, videoHeight / 3, videoHeight / 8, videoHeight / 4}

// turnedBox is where a stored box is in the upright picture.
func turnedBox(o frame.Orientation, b box) box {
	w, h := float64(videoWidth), float64(videoHeight)
	switch o { //nolint:exhaustive // the quarter turns
	case 6:
		return box{h - b[1] - b[3], b[0], b[3], b[2]}
	case 3:
		return box{w - b[0] - b[2], h - b[1] - b[3], b[2], b[3]}
	case 8:
		return box{b[1], w - b[0] - b[2], b[3], b[2]}
	}
	return b
}

// lies expects the bright box in a picture of the right size.
func lies(t require.TestingT, o frame.Orientation, picture []byte) {
	img, err := jpeg.Decode(bytes.NewReader(picture))
	require.NoError(t, err)
	w, h := o.Size(videoWidth, videoHeight)
	require.Equal(t, [2]int{w, h}, [2]int{img.Bounds().Dx(), img.Bounds().Dy()})
	b := turnedBox(o, stillBox)
	at := func(x, y float64) uint32 {
		_, g, _, _ := img.At(int(x), int(y)).RGBA()
		return g >> 8
	}
	require.Greater(t, at(b[0]+b[2]/2, b[1]+0.85*b[3]), uint32(180))
	require.Less(t, at(float64(w)/2, float64(h)/2), uint32(120))
}

// finds expects that a video shows the box where it is upright, to a model that knows
// of nothing else than the file.
func finds(t *testing.T, o frame.Orientation, video []byte) {
	t.Helper()
	lines := linesOf(t, succeeds(t, "detect", "--model", brightFile(t), write(t, "a.mp4", string(video))))
	require.NotEmpty(t, lines)
	w, h := o.Size(videoWidth, videoHeight)
	require.Equal(t, [2]int{w, h}, [2]int{lines[0].Width, lines[0].Height})
	require.Len(t, lines[0].Detections, 1)
	for i, want := range turnedBox(o, stillBox) {
		require.InDelta(t, want, lines[0].Detections[0].Box[i], 5, "%v", lines[0].Detections[0].Box)
	}
}

// TestRotation: the rotation of a camera turns all that is made of its video, and
// nothing that was made before.
func TestRotation(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "a.mp4")
	require.NoError(t, simulate.Generate(path, simulate.Spec{FPS: 10, Frames: 100, GOP: 10, Plain: true, Still: true}))
	s, _ := serve(t, simulate.Config{Files: []string{path}})
	d := start(t)
	useBright(t, d)
	url := s.URLs()[0]
	d.addCamera(t, "A", url, body{"id": "a"})
	d.becomes(t, "a", "running")
	zone := func(points ...[2]float64) body {
		return body{"id": "z", "polygon": points}
	}
	d.api(t, http.MethodPut, "/cameras/a/zones", body{"zones": []body{zone([2]float64{0, 0.3}, [2]float64{0.1, 0.3}, [2]float64{0.1, 0.6})}}, nil, "If-Match", quoted(0))
	var first recording
	soon(t, func(t require.TestingT) {
		all := list[recording](t, d.client, "/recordings?camera_id=a")
		require.Greater(t, len(all), 1, "the first is complete")
		first = all[0]
	})

	for _, c := range []struct {
		degrees int
		o       frame.Orientation
		label   string
		zone    [2]float64 // its first corner
	}{
		{90, 6, "car", [2]float64{0.7, 0}},
		{180, 3, "person", [2]float64{1, 0.7}},
		{270, 8, "car", [2]float64{0.3, 1}},
	} {
		began := time.Now()
		d.change(t, "a", body{"name": "A", "url": url, "rotation": c.degrees})
		var z struct {
			Zones []struct{ Polygon [][2]float64 }
		}
		d.get(t, "/cameras/a/zones", &z)
		require.Equal(t, c.zone, z.Zones[0].Polygon[0])
		w, h := c.o.Size(videoWidth, videoHeight)
		var newest annotation
		var kept []recording
		soon(t, func(t require.TestingT) {
			seen := 0
			for _, a := range list[annotation](t, d.client, "/annotations?camera_id=a&from="+began.Add(4*time.Second).UTC().Format(time.RFC3339Nano)) {
				require.Equal(t, [2]int{w, h}, [2]int{a.Width, a.Height})
				for _, o := range a.Objects {
					require.Equal(t, c.label, o.Label)
					for i, want := range turnedBox(c.o, stillBox) {
						require.InDelta(t, want, o.Box[i], 5, "%v", o.Box)
					}
					newest, seen = a, seen+1
				}
			}
			require.Greater(t, seen, 10)
			kept = list[recording](t, d.client, "/recordings?camera_id=a&from="+began.Add(4*time.Second).UTC().Format(time.RFC3339Nano))
			require.Greater(t, len(kept), 1)
		})
		status := d.camera(t, "a").Status
		require.Equal(t, [2]int{w, h}, [2]int{status.Width, status.Height})

		lies(t, c.o, d.send(t, http.MethodGet, "/api/v1/cameras/a/frames/latest.jpg", nil).Body)
		r := kept[0]
		middle := r.Start.Add(r.End.Sub(r.Start) / 2).UTC()
		lies(t, c.o, d.send(t, http.MethodGet, "/api/v1/cameras/a/frames/"+middle.Format(time.RFC3339Nano)+".jpg", nil).Body)
		finds(t, c.o, d.send(t, http.MethodGet, r.Video, nil).Body)
		span := "?from=" + r.Start.UTC().Format(time.RFC3339Nano) + "&to=" + kept[1].End.UTC().Format(time.RFC3339Nano)
		finds(t, c.o, d.send(t, http.MethodGet, "/api/v1/cameras/a/recordings/video.mp4"+span, nil).Body)
		require.NotZero(t, newest.Time)
		for _, order := range []body{
			{"kind": "still", "camera_id": "a", "time": middle},
			{"kind": "clip", "camera_id": "a", "from": r.Start.UTC(), "to": r.End.UTC()},
		} {
			a := d.api(t, http.MethodPost, "/results", order, nil)
			made, content := finished(t, d, a.Header.Get("Location"))
			if made.Kind == "still" {
				lies(t, c.o, content)
				continue
			}
			lines := linesOf(t, succeeds(t, "detect", "--model", brightFile(t), write(t, "clip.mp4", string(content))))
			require.Equal(t, [2]int{w, h}, [2]int{lines[0].Width, lines[0].Height})
			b, want := lines[0].Detections[0].Box, turnedBox(c.o, stillBox) // which is bright with the words at it
			require.InDelta(t, want[1]+want[3], b[1]+b[3], 5, "%v", b)
		}

		playlist := d.send(t, http.MethodGet, "/api/v1/cameras/a/live/index.m3u8", nil)
		require.Equal(t, http.StatusOK, playlist.Status)
		media := regexp.MustCompile(`(?m)^[^#\n]+\.m3u8`).FindString(string(playlist.Body))
		var name []string
		soon(t, func(t require.TestingT) {
			name = regexp.MustCompile(`URI="([^"]+_init\.mp4)"`).FindStringSubmatch(string(d.send(t, http.MethodGet, "/api/v1/cameras/a/live/"+media, nil).Body))
			require.Len(t, name, 2)
		})
		require.Equal(t, c.o, matrix.Read(d.send(t, http.MethodGet, "/api/v1/cameras/a/live/"+name[1], nil).Body))
	}
	finds(t, frame.Upright, d.send(t, http.MethodGet, first.Video, nil).Body)
	p := refused(t, d.send(t, http.MethodPut, "/api/v1/cameras/a", body{"name": "A", "url": url, "rotation": 45}), http.StatusUnprocessableEntity, "")
	require.NotEmpty(t, p.Detail)
}
