package e2e

import (
	"cmp"
	"context"
	"fmt"
	"image"
	"image/png"
	"math"
	"mime"
	"mime/multipart"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"detectd/pipeline"
	"detectd/pipeline/frame"
	"detectd/pipeline/playback"
	"detectd/pipeline/simulate"
)

// TestMainJob: cameras of every codec over every transport with every way to
// log in are watched, detected in, recorded and shown, all at the same time.
func TestMainJob(t *testing.T) {
	t.Parallel()
	d := start(t)
	useBright(t, d)
	codecs := []pipeline.Codec{pipeline.H264, pipeline.H265, pipeline.MJPEG}
	var files []string
	for _, codec := range codecs {
		files = append(files, plain(t, codec))
	}
	added := map[string]pipeline.Codec{}
	for _, login := range []string{"none", "basic", "digest"} {
		cfg, more := simulate.Config{Files: files}, body{"detect_fps": 2}
		if login != "none" {
			cfg.Auth, cfg.Username, cfg.Password = login, "viewer", "p@ss/w%rd?"
			more["username"], more["password"] = cfg.Username, cfg.Password
		}
		server, _ := serve(t, cfg)
		for i, address := range server.URLs() {
			for _, transport := range []string{"tcp", "udp"} {
				more["transport"] = transport
				c := d.addCamera(t, fmt.Sprint(codecs[i], " ", transport, " ", login), address, more)
				added[c.ID] = codecs[i]
			}
		}
	}
	require.Len(t, added, 18)
	for id, codec := range added {
		t.Run(id, func(t *testing.T) {
			t.Parallel()
			checkRunning(t, d, id, codec)
			checkDetections(t, d, id)
			checkAnnotations(t, d, id)
			checkRecordings(t, d, id, codec)
			checkPictures(t, d, id)
			checkLive(t, d, id, codec)
		})
	}
}

func checkRunning(t *testing.T, d *daemon, id string, codec pipeline.Codec) {
	soon(t, func(t require.TestingT) {
		s := d.camera(t, id).Status
		require.Equal(t, "running", s.State, s.Reason)
		require.Equal(t, string(codec), s.Codec)
		require.Equal(t, []int{videoWidth, videoHeight}, []int{s.Width, s.Height})
		require.Equal(t, "rtcp", s.Clock)
		require.Equal(t, "bright", s.Model)
		require.True(t, s.Recording)
		require.Greater(t, s.Inferences, uint64(4))
	})
}

func checkDetections(t *testing.T, d *daemon, id string) {
	soon(t, func(t require.TestingT) {
		found := list[detection](t, d.client, "/detections?kind=detected&label=person&camera_id="+id)
		require.NotEmpty(t, found)
		followed := 0
		for _, f := range found {
			require.Equal(t, id, f.CameraID)
			require.InDelta(t, 0.9, f.Score, 0.01)
			require.InDelta(t, videoHeight/4, f.Box[3], 8, "height of the box")
			if f.TrackID != "" {
				followed++
			}
		}
		require.Positive(t, followed)
		require.NotEmpty(t, list[struct{}](t, d.client, "/tracks?camera_id="+id))
	})
}

// checkAnnotations expects that every frame is there once, with what is in it.
func checkAnnotations(t *testing.T, d *daemon, id string) {
	soon(t, func(t require.TestingT) {
		frames := list[annotation](t, d.client, "/annotations?camera_id="+id)
		require.Greater(t, len(frames), 30)
		kinds, filled := map[string]int{}, 0
		for i, f := range frames {
			if f.Frame != uint64(i+1) {
				require.Fail(t, "frames are to be counted from 1 without a gap", "%s; drops %v",
					around(frames, i), d.camera(t, id).Status.Drops)
			}
			require.Equal(t, []int{videoWidth, videoHeight}, []int{f.Width, f.Height})
			kinds[f.Kind]++
			if len(f.Objects) > 0 {
				filled++
			}
		}
		require.Positive(t, kinds["detected"])
		require.Positive(t, kinds["interpolated"], "%v", kinds)
		require.Greater(t, filled, len(frames)*2/3, "tracking fills the frames in between")
	})
}

// around are the numbers and times of the frames at index i.
func around(frames []annotation, i int) (text string) {
	for _, f := range frames[max(0, i-3):min(len(frames), i+4)] {
		text += fmt.Sprint(f.Frame, " at ", f.Time.Format("05.000"), ", ")
	}
	return text
}

func checkRecordings(t *testing.T, d *daemon, id string, codec pipeline.Codec) {
	var kept []recording
	soon(t, func(t require.TestingT) {
		kept = list[recording](t, d.client, "/recordings?camera_id="+id)
		require.NotEmpty(t, kept)
	})
	r := kept[0]
	require.Equal(t, string(codec), r.Codec)
	require.GreaterOrEqual(t, r.Frames, videoFPS/2)
	require.True(t, r.End.After(r.Start))
	content := d.send(t, http.MethodGet, r.Video, nil)
	require.Equal(t, http.StatusOK, content.Status)
	require.Equal(t, "video/mp4", content.Header.Get("Content-Type"))
	require.Len(t, content.Body, int(r.Bytes))
	require.Equal(t, "ftyp", string(content.Body[4:8]))
	part := d.send(t, http.MethodGet, r.Video, nil, "Range", "bytes=4-7")
	require.Equal(t, http.StatusPartialContent, part.Status)
	require.Equal(t, "ftyp", string(part.Body))
	checkMovie(t, d, id, r)
	checkPlaylist(t, d, id, r)
}

// checkMovie downloads half of a recording and counts its pictures.
func checkMovie(t *testing.T, d *daemon, id string, r recording) {
	length := r.End.Sub(r.Start)
	from, to := r.Start.Add(length/4), r.Start.Add(3*length/4)
	got := d.send(t, http.MethodGet, "/api/v1/cameras/"+id+"/recordings/video.mp4?"+spanOf(from, to), nil)
	require.Equal(t, http.StatusOK, got.Status, "%s", got.Body)
	start, err := time.Parse(time.RFC3339Nano, got.Header.Get("X-Frame-Time"))
	require.NoError(t, err)
	require.WithinDuration(t, from, start, time.Second/videoFPS+time.Millisecond)
	require.False(t, start.Before(from.Truncate(time.Millisecond)))
	require.InDelta(t, length.Seconds()/2*videoFPS, pictures(t, got.Body), 2)
}

// checkPlaylist follows the playlist of recorded video to its pictures.
func checkPlaylist(t *testing.T, d *daemon, id string, r recording) {
	got := d.send(t, http.MethodGet, "/api/v1/cameras/"+id+"/recordings/index.m3u8?"+spanOf(r.Start, r.End), nil)
	require.Equal(t, http.StatusOK, got.Status, "%s", got.Body)
	list := string(got.Body)
	_, head, _ := strings.Cut(list, `#EXT-X-MAP:URI="`)
	head, _, _ = strings.Cut(head, `"`)
	media := firstFile(list)
	require.Contains(t, head, "/init.mp4")
	var file []byte
	for _, url := range []string{head, media} {
		part := d.send(t, http.MethodGet, url, nil)
		require.Equal(t, http.StatusOK, part.Status, "%s: %s", url, part.Body)
		file = append(file, part.Body...)
	}
	require.Equal(t, r.Frames, pictures(t, file))
}

func spanOf(from, to time.Time) string {
	const format = "2006-01-02T15:04:05.000Z"
	return "from=" + from.UTC().Format(format) + "&to=" + to.UTC().Format(format)
}

// pictures counts what a player shows of an MP4 file.
func pictures(t *testing.T, data []byte) (n int) {
	path := filepath.Join(t.TempDir(), "m.mp4")
	require.NoError(t, os.WriteFile(path, data, 0o600))
	var pool frame.Pool
	defer pool.Close()
	require.NoError(t, playback.Play(t.Context(), path, math.MinInt64, math.MaxInt64, &pool, func(*frame.Frame, time.Duration) error {
		n++
		return nil
	}))
	return n
}

// checkPictures takes a recorded frame and compares what is to be seen in it
// with its annotation.
func checkPictures(t *testing.T, d *daemon, id string) {
	r := list[recording](t, d.client, "/recordings?camera_id="+id)[0]
	wanted := r.Start.Add(r.End.Sub(r.Start) / 2)
	got := d.send(t, http.MethodGet, "/api/v1/cameras/"+id+"/frames/"+wanted.UTC().Format(time.RFC3339Nano)+".jpg", nil)
	require.Equal(t, http.StatusOK, got.Status, "%s", got.Body)
	require.Equal(t, "image/jpeg", got.Header.Get("Content-Type"))
	require.NotEmpty(t, got.Header.Get("X-Frame-Clock"))
	captured, err := time.Parse(time.RFC3339Nano, got.Header.Get("X-Frame-Time"))
	require.NoError(t, err)
	require.WithinDuration(t, wanted, captured, time.Second)
	x, y, size := bright(t, got.Body)
	require.Equal(t, image.Pt(videoWidth, videoHeight), size)

	all := list[annotation](t, d.client, "/annotations?camera_id="+id)
	same := slices.MinFunc(all, func(a, b annotation) int {
		return cmp.Compare(a.Time.Sub(captured).Abs(), b.Time.Sub(captured).Abs())
	})
	t.Logf("frame and annotation are %s apart", same.Time.Sub(captured))
	require.WithinDuration(t, captured, same.Time, time.Second/videoFPS/2, "annotations have the times of frames")
	if len(same.Objects) > 0 { // it may be older than the first detection
		require.True(t, same.Objects[0].Box.covers(x, y), "%v is to cover %.0f,%.0f", same.Objects[0].Box, x, y)
	}

	latest := d.send(t, http.MethodGet, "/api/v1/cameras/"+id+"/frames/latest.jpg?boxes=true", nil)
	require.Equal(t, http.StatusOK, latest.Status, "%s", latest.Body)
	_, _, size = bright(t, latest.Body)
	require.Equal(t, image.Pt(videoWidth, videoHeight), size)
	none := d.send(t, http.MethodGet, "/api/v1/cameras/"+id+"/frames/2020-01-01T00:00:00Z.jpg", nil)
	refused(t, none, http.StatusNotFound, "")
}

func checkLive(t *testing.T, d *daemon, id string, codec pipeline.Codec) {
	live := "/api/v1/cameras/" + id + "/live/"
	if codec == pipeline.MJPEG {
		p := refused(t, d.send(t, http.MethodGet, live+"index.m3u8", nil), http.StatusNotFound, "")
		require.Equal(t, "urn:detectd:problem/no-hls", p.Type)
		readMJPEG(t, d, "/api/v1/cameras/"+id+"/live.mjpeg")
		return
	}
	// From playlist to playlist to the first piece of video.
	name := "index.m3u8"
	for range 3 {
		var got answer
		next := ""
		soon(t, func(t require.TestingT) {
			got = d.send(t, http.MethodGet, live+name, nil)
			require.Equal(t, http.StatusOK, got.Status, "%s: %s", name, got.Body)
			next = firstFile(string(got.Body))
			require.False(t, next == "" && strings.HasSuffix(name, ".m3u8"), "%s", got.Body)
		})
		if next == "" {
			require.Greater(t, len(got.Body), 100, name)
			return
		}
		name = next
	}
	require.Fail(t, "no video behind the playlists")
}

// firstFile is the first file that a playlist names, except those that stand
// for a gap.
func firstFile(playlist string) string {
	gap := false
	for line := range strings.Lines(playlist) {
		switch line = strings.TrimSpace(line); {
		case line == "#EXT-X-GAP":
			gap = true
		case line == "" || line[0] == '#':
		case gap:
			gap = false
		case strings.HasPrefix(playlist, "#EXTM3U"):
			return line
		}
	}
	return ""
}

// readMJPEG expects two pictures that follow each other.
func readMJPEG(t *testing.T, d *daemon, path string) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, d.base+path, nil)
	require.NoError(t, err)
	response, err := d.http.Do(request)
	require.NoError(t, err)
	defer response.Body.Close()
	kind, params, err := mime.ParseMediaType(response.Header.Get("Content-Type"))
	require.NoError(t, err)
	require.Equal(t, "multipart/x-mixed-replace", kind)
	parts := multipart.NewReader(response.Body, params["boundary"])
	for range 2 {
		part, err := parts.NextPart()
		require.NoError(t, err)
		config, _, err := image.DecodeConfig(part)
		require.NoError(t, err)
		require.Equal(t, videoWidth, config.Width)
	}
}

// TestFilesOnTheCommandLine: a video and a picture are cameras, too.
func TestFilesOnTheCommandLine(t *testing.T) {
	t.Parallel()
	still := filepath.Join(t.TempDir(), "yard.png")
	file, err := os.Create(still)
	require.NoError(t, err)
	require.NoError(t, png.Encode(file, picture(image.Rect(100, 60, 140, 160))))
	require.NoError(t, file.Close())

	d := start(t, plain(t, pipeline.H264), still)
	useBright(t, d)
	for _, id := range []string{"h264", "yard"} {
		soon(t, func(t require.TestingT) {
			found := list[detection](t, d.client, "/detections?label=person&camera_id="+id)
			require.NotEmpty(t, found, "%+v", d.camera(t, id).Status)
			if id == "yard" {
				require.True(t, found[0].Box.covers(120, 110), "%v", found[0].Box)
			}
		}, id)
	}
	// The file goes on after its end.
	soon(t, func(t require.TestingT) {
		s := d.camera(t, "h264").Status
		require.Equal(t, "running", s.State)
		require.Greater(t, s.Frames, uint64(videoFrames+videoFPS))
	})
	// Only what the command line named may be a camera.
	refused(t, d.send(t, http.MethodPost, "/api/v1/cameras", body{"name": "x", "url": "/etc/passwd"}),
		http.StatusUnprocessableEntity, "sources.folders")
	refused(t, d.send(t, http.MethodPost, "/api/v1/cameras", body{"name": "x", "url": (&url.URL{Scheme: "file", Path: d.dir}).String()}),
		http.StatusUnprocessableEntity, "sources.folders")
}
