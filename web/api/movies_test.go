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

// TestPlaylistWithSound: browsers play sound only where all files have the same of it.
func TestPlaylistWithSound(t *testing.T) {
	whole := 10 * time.Second
	for name, tc := range map[string]struct {
		audio [2]string
		times [2]time.Duration
		head  string
		media []string
	}{
		"AAC in all":     {[2]string{"aac", "aac"}, [2]time.Duration{whole, whole - 80*time.Millisecond}, `init.mp4"`, []string{"", ""}},
		"Opus in all":    {[2]string{"opus", "opus"}, [2]time.Duration{whole, whole}, `init.mp4"`, []string{"", ""}},
		"none":           {[2]string{"", ""}, [2]time.Duration{}, `init.mp4"`, []string{"", ""}},
		"G.711":          {[2]string{"pcmu", "pcmu"}, [2]time.Duration{whole, whole}, `init.mp4?audio=false"`, []string{"", ""}},
		"in one of them": {[2]string{"aac", ""}, [2]time.Duration{whole, 0}, `init.mp4?audio=false"`, []string{"", ""}},
		"another codec":  {[2]string{"aac", "opus"}, [2]time.Duration{whole, whole}, `init.mp4?audio=false"`, []string{"", ""}},
		"a hole in one":  {[2]string{"aac", "aac"}, [2]time.Duration{whole, 9 * time.Second}, `init.mp4"`, []string{"", "?fill=true"}},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			f.do("POST", "/cameras", `{"id":"door","name":"Door","url":"rtsp://h/d"}`).want(201)
			for i := range tc.audio {
				at := apitest.Time.Add(time.Duration(i) * whole)
				_, err := f.Records.AddSegment(t.Context(), store.Segment{
					CameraID: "door", Start: at, End: at.Add(whole), Path: fmt.Sprintf("door/%d.mp4", i), Bytes: 10, Frames: 300,
					Codec: "h264", Width: 640, Height: 480, Clock: "rtcp", Audio: tc.audio[i], AudioTime: tc.times[i],
				})
				require.NoError(t, err)
			}
			list := f.do("GET", "/cameras/door/recordings/index.m3u8?"+span(0, time.Hour), "").want(200).Body.String()
			require.Equal(t, 2, strings.Count(list, tc.head), list)
			for i, query := range tc.media {
				require.Contains(t, list, fmt.Sprintf("recordings/%d/media.mp4%s\n", i+1, query))
			}
		})
	}
	f := recordedDoor(t)
	require.Equal(t, "filled", f.do("GET", "/recordings/2/media.mp4?fill=true", "").want(200).Body.String())
	require.Equal(t, "silent head", f.do("GET", "/recordings/2/init.mp4?audio=false", "").want(200).Body.String())
}

// TestAudioSwitch: nobody turns sound on by leaving it unsaid.
func TestAudioSwitch(t *testing.T) {
	f := newFixture(t)
	const camera = `"name":"Door","url":"rtsp://h/d"`
	require.Contains(t, f.do("POST", "/cameras", `{"id":"door",`+camera+`}`).want(201).Body.String(), `"audio":true`)
	require.Contains(t, f.do("PUT", "/cameras/door", `{"audio":false,`+camera+`}`).want(200).Body.String(), `"audio":false`)
	require.Contains(t, f.do("PUT", "/cameras/door", `{`+camera+`}`).want(200).Body.String(), `"audio":false`)
	require.Contains(t, f.do("PUT", "/cameras/door", `{"audio":true,`+camera+`}`).want(200).Body.String(), `"audio":true`)
	require.Contains(t, f.do("POST", "/cameras", `{"id":"gate","audio":false,`+camera+`}`).want(201).Body.String(), `"audio":false`)
}

func TestTimeline(t *testing.T) {
	f := recordedDoor(t)
	a := f.do("GET", "/cameras/door/timeline?step_seconds=30&"+span(0, time.Hour), "").want(200)
	require.Equal(t, []any{20.0, 10.0}, a.all("recorded_seconds"))
	f.do("GET", "/cameras/door/timeline?step_seconds=1&"+span(0, 24*time.Hour), "").want(422)
	f.do("GET", "/cameras/nobody/timeline?"+span(0, time.Hour), "").want(404)
}
