package api_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"detectd/store"
	"detectd/web/api/apitest"
)

// recordedDoor stores camera door with three recordings of ten seconds, the last
// of them a minute later.
func recordedDoor(t *testing.T) *fixture {
	f := newFixture(t)
	f.do("POST", "/cameras", `{"id":"door","name":"Door","url":"rtsp://h/d"}`).want(201)
	for i, second := range []int{0, 10, 80} {
		_, err := f.Records.AddSegment(t.Context(), store.Segment{
			CameraID: "door", Start: apitest.Time.Add(time.Duration(second) * time.Second), End: apitest.Time.Add(time.Duration(second+10) * time.Second),
			Path: fmt.Sprintf("door/%d.mp4", i), Bytes: 10, Frames: 300, Codec: "h264", Width: 640, Height: 480, Clock: "rtcp",
		})
		require.NoError(t, err)
	}
	return f
}

func span(from, to time.Duration) string {
	const format = "2006-01-02T15:04:05.000Z"
	return "from=" + apitest.Time.Add(from).UTC().Format(format) + "&to=" + apitest.Time.Add(to).UTC().Format(format)
}

func TestMovie(t *testing.T) {
	f := recordedDoor(t)
	a := f.do("GET", "/cameras/door/recordings/video.mp4?"+span(time.Second, time.Minute), "").want(200)
	require.Equal(t, "door exact=true", a.Body.String())
	require.Equal(t, "video/mp4", a.Header().Get("Content-Type"))
	require.Regexp(t, `^attachment; filename="door-\d{8}T\d{6}Z\.mp4"$`, a.Header().Get("Content-Disposition"))
	require.NotEmpty(t, a.Header().Get("X-Frame-Time"))
	a = f.do("GET", "/cameras/door/recordings/video.mp4?cut=keys&"+span(0, time.Minute), "", "Range", "bytes=5-").want(206)
	require.Equal(t, "exact=false", a.Body.String())

	f.do("GET", "/cameras/door/recordings/video.mp4?"+span(0, 7*time.Hour), "").want(422)
	f.do("GET", "/cameras/door/recordings/video.mp4?"+span(0, time.Millisecond), "").want(404)
	f.do("GET", "/cameras/door/recordings/video.mp4?"+span(time.Hour, 0), "").want(422)
	f.do("GET", "/cameras/door/recordings/video.mp4", "").want(422)
	f.do("GET", "/cameras/nobody/recordings/video.mp4?"+span(0, time.Minute), "").want(404)
}

func TestPlaylist(t *testing.T) {
	f := recordedDoor(t)
	a := f.do("GET", "/cameras/door/recordings/index.m3u8?"+span(12*time.Second, time.Hour), "").want(200)
	require.Equal(t, "application/vnd.apple.mpegurl", a.Header().Get("Content-Type"))
	lines := strings.Split(strings.TrimSpace(a.Body.String()), "\n")
	require.Equal(t, []string{
		"#EXTM3U", "#EXT-X-VERSION:7", "#EXT-X-TARGETDURATION:10", "#EXT-X-PLAYLIST-TYPE:VOD", "#EXT-X-INDEPENDENT-SEGMENTS",
		`#EXT-X-MAP:URI="/api/v1/recordings/2/init.mp4"`,
		"#EXT-X-PROGRAM-DATE-TIME:" + apitest.Time.Add(10*time.Second).UTC().Format("2006-01-02T15:04:05.000Z"),
		"#EXTINF:10.000,", "/api/v1/recordings/2/media.mp4", "#EXT-X-DISCONTINUITY",
	}, lines[:10])
	require.Equal(t, "#EXT-X-ENDLIST", lines[len(lines)-1])

	f.do("GET", "/cameras/door/recordings/index.m3u8?"+span(time.Hour, 2*time.Hour), "").want(404)
	f.do("GET", "/cameras/door/recordings/index.m3u8?"+span(0, 8*24*time.Hour), "").want(422)
	require.Equal(t, "head", f.do("GET", "/recordings/2/init.mp4", "").want(200).Body.String())
	require.Equal(t, "0123456789", f.do("GET", "/recordings/2/media.mp4", "").want(200).Body.String())
	f.do("GET", "/recordings/9/media.mp4", "").want(404)
}

func TestTimeline(t *testing.T) {
	f := recordedDoor(t)
	a := f.do("GET", "/cameras/door/timeline?step_seconds=30&"+span(0, time.Hour), "").want(200)
	require.Equal(t, []any{20.0, 10.0}, a.all("recorded_seconds"))
	f.do("GET", "/cameras/door/timeline?step_seconds=1&"+span(0, 24*time.Hour), "").want(422)
	f.do("GET", "/cameras/nobody/timeline?"+span(0, time.Hour), "").want(404)
}
