package e2e

import (
	"bytes"
	"encoding/json"
	"image"
	"image/png"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"detectd/pipeline"
	"detectd/pipeline/frame"
	"detectd/pipeline/simulate"
)

// changing is a video that goes on in twice the size, and back when it loops.
func changing(t *testing.T, name string, second pipeline.Codec) string {
	t.Helper()
	var all []byte
	for i, codec := range []pipeline.Codec{pipeline.H264, second} {
		part := filepath.Join(t.TempDir(), name)
		require.NoError(t, simulate.Generate(part, simulate.Spec{
			Codec: codec, FPS: 10, Frames: 30, Plain: true, Width: videoWidth * (1 + i), Height: videoHeight * (1 + i),
		}))
		data, err := os.ReadFile(part)
		require.NoError(t, err)
		all = append(all, data...)
	}
	return write(t, name, string(all))
}

// TestVideoThatChanges: a camera whose video changes its size in the middle goes
// on; boxes lie right in both sizes, a recording ends at the change, and the other
// camera does not notice.
func TestVideoThatChanges(t *testing.T) {
	t.Parallel()
	path := changing(t, "size.h264", pipeline.H264)
	other := changing(t, "codec.ts", pipeline.H265)
	d := withCamera(t, path, other)
	server, _ := serve(t, simulate.Config{Files: []string{path}})
	d.addCamera(t, "RTSP", server.URLs()[0], body{"id": "rtsp"})
	for _, id := range []string{"rtsp", "size"} {
		var kept []recording
		soon(t, func(t require.TestingT) {
			widths := map[int]int{}
			for _, a := range list[annotation](t, d.client, "/annotations?camera_id="+id) {
				widths[a.Width]++
				for _, o := range a.Objects {
					require.LessOrEqual(t, o.Box[0]+o.Box[2], float64(a.Width)+1)
					if a.Kind != "detected" {
						continue
					}
					// The box is as high as a quarter of the picture, and begins at a third.
					require.InDelta(t, a.Height/4, o.Box[3], float64(a.Height)/24, "%+v", a)
					require.InDelta(t, a.Height/3, o.Box[1], float64(a.Height)/24, "%+v", a)
				}
			}
			require.Greater(t, widths[videoWidth], 40, id)
			require.Greater(t, widths[2*videoWidth], 40, id)
			require.Len(t, widths, 2)
			kept = list[recording](t, d.client, "/recordings?camera_id="+id)
			require.Greater(t, len(kept), 3)
		}, id)
		s := d.camera(t, id).Status
		require.Equal(t, "running", s.State)
		require.Zero(t, s.Reconnects, "it goes on without a pause")
		sizes := map[int]bool{}
		for _, r := range kept {
			got := d.send(t, http.MethodGet, r.Video, nil)
			require.Equal(t, http.StatusOK, got.Status)
			lines := linesOf(t, succeeds(t, "detect", "--model", brightFile(t), write(t, "r.mp4", string(got.Body))))
			require.NotEmpty(t, lines)
			for _, l := range lines {
				require.Equal(t, lines[0].Width, l.Width, "a recording has one size")
			}
			sizes[lines[0].Width] = true
		}
		require.Len(t, sizes, 2, id)
	}
	// Another codec is not followed: a camera plays up to there, detect says so.
	d.becomes(t, "codec", "running")
	d.goesOn(t, "codec")
	e := command(t, "detect", "--model", brightFile(t), other)
	require.Equal(t, 1, e.Code)
	require.InDelta(t, 30, len(linesOf(t, e.Stdout)), 2)
	require.Contains(t, e.Stderr, "another codec in the middle")
	d.goesOn(t, "good")
}

// TestUploadThatChanges: an uploaded video of two sizes is looked at whole.
func TestUploadThatChanges(t *testing.T) {
	t.Parallel()
	d := start(t)
	useBright(t, d)
	content, err := os.ReadFile(changing(t, "a.ts", pipeline.H264))
	require.NoError(t, err)
	a := d.api(t, http.MethodPost, "/detections/video?model=bright", content, nil, "Content-Type", "video/mp2t")
	_, made := finished(t, d, a.Header.Get("Location"))
	lines := linesOf(t, succeeds(t, "detect", "--model", brightFile(t), write(t, "made.mp4", string(made))))
	require.InDelta(t, 60, len(lines), 1)
	require.Equal(t, videoWidth, lines[59-1].Width, "all in the first size")
}

// TestVideosShownOtherwise: turned, anamorphic and interlaced videos.
func TestVideosShownOtherwise(t *testing.T) {
	t.Parallel()
	model, dir := brightFile(t), t.TempDir()
	generate := func(name string, spec simulate.Spec) string {
		path := filepath.Join(dir, name)
		spec.FPS, spec.Frames, spec.Plain, spec.Still = 10, 20, true, true
		require.NoError(t, simulate.Generate(path, spec))
		return path
	}
	usual := generate("usual.mp4", simulate.Spec{})
	turned := generate("turned.mp4", simulate.Spec{Orientation: 6})
	wide := generate("wide.mp4", simulate.Spec{Aspect: [2]int{3, 2}})
	laced := generate("laced.ts", simulate.Spec{Interlaced: true})
	first := func(args ...string) line {
		lines := linesOf(t, succeeds(t, append([]string{"detect", "--model", model}, args...)...))
		require.Len(t, lines, 20)
		require.Len(t, lines[0].Detections, 1)
		return lines[0]
	}
	want := first(usual)
	near := func(want, got box) {
		for i := range want {
			require.InDelta(t, want[i], got[i], 5, "%v is not %v", got, want)
		}
	}

	// A quarter clockwise: what was left is at the top.
	got := first("--save", t.TempDir(), turned)
	require.Equal(t, []any{videoHeight, videoWidth, "car"}, []any{got.Width, got.Height, got.Detections[0].Label})
	b := want.Detections[0].Box
	shown := box{videoHeight - b[1] - b[3], b[0], b[3], b[2]}
	near(shown, got.Detections[0].Box)
	for _, path := range []string{wide, laced} {
		got := first(path)
		require.Equal(t, []int{videoWidth, videoHeight}, []int{got.Width, got.Height}, "pixels as stored")
		near(b, got.Detections[0].Box)
	}

	// The daemon: uploads are turned, and so are cameras.
	d := start(t, turned, wide, laced)
	useBright(t, d)
	content, err := os.ReadFile(turned)
	require.NoError(t, err)
	a := d.api(t, http.MethodPost, "/detections/video?model=bright", content, nil, "Content-Type", "video/mp4")
	_, made := finished(t, d, a.Header.Get("Location"))
	again := first(write(t, "made.mp4", string(made)))
	require.Equal(t, []int{videoHeight, videoWidth}, []int{again.Width, again.Height})
	for id, label := range map[string]string{"turned": "car", "wide": "person", "laced": "person"} {
		wantSize, b := []int{videoWidth, videoHeight}, b
		if id == "turned" {
			wantSize, b = []int{videoHeight, videoWidth}, shown
		}
		soon(t, func(t require.TestingT) {
			detected := 0
			for _, a := range list[annotation](t, d.client, "/annotations?camera_id="+id) {
				require.Equal(t, wantSize, []int{a.Width, a.Height})
				for _, o := range a.Objects {
					if o.Kind != "detected" || a.Model != "bright" {
						continue
					}
					detected++
					require.Equal(t, label, o.Label, id)
					for i := range b {
						require.InDelta(t, b[i], o.Box[i], 5, "%s: %v", id, o.Box)
					}
				}
			}
			require.Positive(t, detected, id)
		})
	}
}

// TestPicturesShownOtherwise: all EXIF orientations, through detect, an upload and a
// camera that shows a picture.
func TestPicturesShownOtherwise(t *testing.T) {
	t.Parallel()
	plainJPEG := encoded(t, "jpeg")
	d, model := start(t), brightFile(t)
	useBright(t, d)
	for o := frame.Orientation(1); o <= 8; o++ {
		exif := []byte("Exif\x00\x00MM\x00*\x00\x00\x00\x08\x00\x01\x01\x12\x00\x03\x00\x00\x00\x01\x00" + string(rune(o)) + "\x00\x00\x00\x00\x00\x00")
		content := bytes.Join([][]byte{{0xff, 0xd8, 0xff, 0xe1, 0, byte(len(exif) + 2)}, exif, plainJPEG[2:]}, nil)
		path := write(t, "a.jpg", string(content))
		lines := linesOf(t, succeeds(t, "detect", "--model", model, path))
		var up imageDetections
		d.api(t, http.MethodPost, "/detections/image?model=bright", content, &up, "Content-Type", "image/jpeg")
		w, h := o.Size(videoWidth, videoHeight)
		label := "person"
		if o.Swapped() {
			label = "car"
		}
		for _, found := range [][]object{lines[0].Detections, up.Detections} {
			require.Len(t, found, 1)
			require.Equal(t, label, found[0].Label)
			b := found[0].Box
			x, y := o.From(int(b[0]+b[2]/2), int(b[1]+b[3]/2), videoWidth, videoHeight)
			require.InDelta(t, where.Min.X+where.Dx()/2, x, 4, "orientation %d", o)
			require.InDelta(t, where.Min.Y+where.Dy()/2, y, 4, "orientation %d", o)
		}
		require.Equal(t, [][2]int{{w, h}, {w, h}}, [][2]int{{lines[0].Width, lines[0].Height}, {up.Width, up.Height}})
	}
}

// TestOddPictures: one pixel is a picture; too many are one clear error, also where
// a camera shows them, and the other camera goes on.
func TestOddPictures(t *testing.T) {
	t.Parallel()
	model := brightFile(t)
	var one bytes.Buffer
	require.NoError(t, png.Encode(&one, image.NewGray(image.Rect(0, 0, 1, 1))))
	huge, tiny := write(t, "huge.png", string(hugePNG(t, 16384))), write(t, "tiny.png", one.String())
	e := command(t, "detect", "--model", model, huge)
	require.Equal(t, 1, e.Code)
	require.Equal(t, 1, strings.Count(e.Stderr, "\n"), e.Stderr)
	require.Contains(t, e.Stderr, "16384 x 16384 pixels")
	lines := linesOf(t, succeeds(t, "detect", "--model", model, tiny))
	require.Equal(t, []int{1, 1}, []int{lines[0].Width, lines[0].Height})

	d := withCamera(t, huge, tiny)
	var found imageDetections
	d.api(t, http.MethodPost, "/detections/image?model=bright", one.Bytes(), &found, "Content-Type", "image/png")
	require.Equal(t, []int{1, 1}, []int{found.Width, found.Height})
	p := refused(t, d.send(t, http.MethodPost, "/api/v1/detections/image", hugePNG(t, 16384), "Content-Type", "image/png"),
		http.StatusUnprocessableEntity, "16384 x 16384 pixels")
	require.NotEmpty(t, p.Detail)
	soon(t, func(t require.TestingT) {
		s := d.camera(t, "huge").Status
		require.NotEqual(t, "running", s.State)
		require.NotEmpty(t, s.Reason)
		require.NotEmpty(t, list[annotation](t, d.client, "/annotations?camera_id=tiny"))
	})
	text, err := json.Marshal(d.camera(t, "huge").Status)
	require.NoError(t, err)
	t.Logf("%s", text)
	d.goesOn(t, "good")
}
