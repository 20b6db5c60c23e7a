package live_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/asticode/go-astiav"
	"github.com/bluenviron/gohlslib/v2/pkg/playlist"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"detectd/pipeline"
	"detectd/pipeline/frame"
	"detectd/pipeline/playback"
	"detectd/pipeline/simulate"
	"detectd/pipeline/source/file"
	"detectd/pipeline/stage/live"
)

func TestMain(m *testing.M) {
	astiav.SetLogLevel(astiav.LogLevelQuiet)
	goleak.VerifyTestMain(m)
}

var start = time.Date(2026, 3, 4, 5, 6, 7, 125000000, time.UTC)

const tick = 40 * time.Millisecond

type capture struct {
	format pipeline.Format
	units  []pipeline.Unit
}

func (c *capture) Format(f pipeline.Format) { c.format = f }
func (c *capture) Unit(u pipeline.Unit)     { c.units = append(c.units, u) }

func camera(t *testing.T, spec simulate.Spec) *capture {
	t.Helper()
	path := filepath.Join(t.TempDir(), "v.mp4")
	spec.Stamp = true
	require.NoError(t, simulate.Generate(path, spec))
	src, err := file.New(file.Config{Path: path, StartTime: start})
	require.NoError(t, err)
	c := &capture{}
	require.Error(t, src.Run(t.Context(), c))
	return c
}

// serve runs l behind a real server. get fetches a file from it.
func serve(t *testing.T, l *live.Live) (url string, stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- l.Run(ctx) }()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch err := l.Serve(w, r, strings.TrimPrefix(r.URL.Path, "/live/")); {
		case errors.Is(err, live.ErrNoHLS):
			w.WriteHeader(http.StatusUnsupportedMediaType)
		case errors.Is(err, live.ErrNotLive):
			w.WriteHeader(http.StatusServiceUnavailable)
		case err != nil:
			w.WriteHeader(http.StatusNotFound)
		}
	}))
	stop = sync.OnceFunc(func() {
		cancel()
		require.NoError(t, <-done)
		s.Close()
		s.Client().CloseIdleConnections()
	})
	t.Cleanup(stop)
	return s.URL + "/live/", stop
}

// answer is what came back from a request.
type answer struct {
	status int
	kind   string
	body   []byte
}

func get(t *testing.T, url string) answer {
	t.Helper()
	r, err := http.Get(url) //nolint:noctx // a test
	if err != nil {         // no require: it runs beside the test, too
		t.Error(err)
		return answer{}
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Error(err)
	}
	return answer{r.StatusCode, r.Header.Get("Content-Type"), b}
}

// watch asks for the index in the background, feeds l, and returns the answer.
func watch(t *testing.T, l *live.Live, url string, c *capture) answer {
	t.Helper()
	got := make(chan answer, 1)
	go func() { got <- get(t, url+live.Index) }()
	require.Eventually(t, func() bool { return l.Asking() == 1 }, 10*time.Second, time.Millisecond)
	l.Format(c.format)
	for _, u := range c.units {
		l.Unit(u)
	}
	return <-got
}

var quiet = slog.New(slog.DiscardHandler)

func TestPlaylistsAndSegments(t *testing.T) {
	for _, tc := range []struct {
		name    string
		codec   pipeline.Codec
		bframes int
	}{{"h264", pipeline.H264, 0}, {"h264 B-frames", pipeline.H264, 2}, {"h265 B-frames", pipeline.H265, 2}} {
		t.Run(tc.name, func(t *testing.T) {
			c := camera(t, simulate.Spec{Codec: tc.codec, BFrames: tc.bframes, FPS: 25, Frames: 110, GOP: 25})
			l := live.New("door", nil, quiet)
			url, _ := serve(t, l)
			index := watch(t, l, url, c)
			require.Equal(t, http.StatusOK, index.status)
			require.Equal(t, "application/vnd.apple.mpegurl", index.kind)
			var top playlist.Multivariant
			require.NoError(t, top.Unmarshal(index.body))
			require.Equal(t, "320x240", top.Variants[0].Resolution)

			var media playlist.Media
			require.NoError(t, media.Unmarshal(get(t, url+top.Variants[0].URI).body))
			require.Nil(t, media.PartInf, "whole segments only")
			segments := media.Segments[len(media.Segments)-2:]
			head := get(t, url+media.Map.URI)
			require.Equal(t, http.StatusOK, head.status)
			for i, s := range segments {
				first := 50 + 25*i // four are complete; the last two carry times
				require.NotNil(t, s.DateTime)
				require.WithinDuration(t, start.Add(time.Duration(first)*tick), *s.DateTime, 2*time.Millisecond)
				require.InDelta(t, time.Second, s.Duration, float64(2*tick))
				seg := get(t, url+s.URI)
				require.Equal(t, http.StatusOK, seg.status)
				require.Equal(t, "video/mp4", seg.kind)
				requireFrames(t, append(append([]byte{}, head.body...), seg.body...), first)
			}
			for _, s := range media.Segments {
				require.False(t, s.Gap, "players wait for ever at a gap")
			}
			require.Equal(t, http.StatusNotFound, get(t, url+"other.mp4").status)
		})
	}
}

// requireFrames decodes a second of video that begins with the given frame.
func requireFrames(t *testing.T, mp4 []byte, first int) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "s.mp4")
	require.NoError(t, os.WriteFile(path, mp4, 0o600))
	var pool frame.Pool
	defer pool.Close()
	n := 0
	require.NoError(t, playback.Play(t.Context(), path, 0, time.Hour, &pool, func(f *frame.Frame, at time.Duration) error {
		require.Equal(t, first+n, simulate.IndexOf(f.AV()))
		require.InDelta(t, time.Duration(n)*tick, at, float64(time.Millisecond))
		n++
		return nil
	}))
	require.Equal(t, 25, n)
}

func TestNothingIsPackedUnwatched(t *testing.T) {
	c := camera(t, simulate.Spec{FPS: 25, Frames: 60, GOP: 25})
	l := live.New("door", nil, quiet)
	l.SetTimes(300*time.Millisecond, 10*time.Second)
	url, _ := serve(t, l)
	l.Format(c.format)
	for _, u := range c.units {
		l.Unit(u)
	}
	require.False(t, l.Packing())
	require.Equal(t, http.StatusNotFound, get(t, url+"a_video1_seg7.mp4").status, "no segment starts packing")
	require.Equal(t, http.StatusOK, watch(t, l, url, c).status)
	require.True(t, l.Packing())
	last := c.units[len(c.units)-1]
	require.Eventually(t, func() bool { // the camera goes on, the viewer is gone
		last.PTS, last.DTS, last.Time = last.PTS+tick, last.DTS+tick, last.Time.Add(tick)
		l.Unit(last)
		return !l.Packing()
	}, 10*time.Second, 10*time.Millisecond)
}

func TestStalledCameraLetsViewersGo(t *testing.T) {
	c := camera(t, simulate.Spec{FPS: 25, Frames: 10, GOP: 25}) // too little for a segment
	l := live.New("door", nil, quiet)
	l.SetTimes(300*time.Millisecond, 10*time.Second)
	url, _ := serve(t, l)
	require.Equal(t, http.StatusServiceUnavailable, watch(t, l, url, c).status)
	require.False(t, l.Packing())
}

func TestErrors(t *testing.T) {
	t.Run("no video", func(t *testing.T) {
		l := live.New("door", nil, quiet)
		l.SetTimes(10*time.Second, 20*time.Millisecond)
		url, _ := serve(t, l)
		require.Equal(t, http.StatusServiceUnavailable, get(t, url+live.Index).status)
	})
	t.Run("mjpeg", func(t *testing.T) {
		l := live.New("door", nil, quiet)
		url, _ := serve(t, l)
		l.Format(pipeline.Format{Codec: pipeline.MJPEG})
		l.Unit(pipeline.Unit{Key: true, NALs: [][]byte{{1}}})
		require.Equal(t, http.StatusUnsupportedMediaType, get(t, url+live.Index).status)
		err := l.Serve(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil), live.Index)
		require.ErrorIs(t, err, live.ErrNoHLS)
	})
	t.Run("other names", func(t *testing.T) {
		l := live.New("door", nil, quiet)
		for _, file := range []string{"", "../index.m3u8", `a\index.m3u8`, "x.mp4"} {
			err := l.Serve(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil), file)
			require.ErrorIs(t, err, live.ErrNoFile, file)
		}
	})
	t.Run("the viewer goes", func(t *testing.T) {
		l := live.New("door", nil, quiet)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		err := l.Serve(httptest.NewRecorder(), httptest.NewRequestWithContext(ctx, http.MethodGet, "/", nil), live.Index)
		require.ErrorIs(t, err, context.Canceled)
	})
	t.Run("the camera ends", func(t *testing.T) {
		l := live.New("door", nil, quiet)
		url, stop := serve(t, l)
		got := make(chan answer, 1)
		go func() { got <- get(t, url+live.Index) }()
		require.Eventually(t, func() bool { return l.Asking() == 1 }, 10*time.Second, time.Millisecond)
		stop()
		require.Equal(t, http.StatusServiceUnavailable, (<-got).status)
	})
}

func TestNewFormatAndJumps(t *testing.T) {
	small := camera(t, simulate.Spec{FPS: 25, Frames: 60, GOP: 25})
	large := camera(t, simulate.Spec{FPS: 25, Frames: 60, GOP: 25, Width: 640, Height: 480, Codec: pipeline.H265})
	for _, tc := range []struct {
		name     string
		next     *capture
		pts      time.Duration
		wall     time.Duration
		size     string
		firstURI bool // packing goes on
	}{
		{"on and on", small, 2400 * time.Millisecond, 2400 * time.Millisecond, "320x240", true},
		{"another format", large, 2400 * time.Millisecond, 2400 * time.Millisecond, "640x480", false},
		{"a long gap", small, time.Minute, time.Minute, "320x240", false},
		{"the clock is set", small, 2400 * time.Millisecond, time.Hour, "320x240", false},
		{"the timeline begins anew", small, -time.Minute, 2400 * time.Millisecond, "320x240", false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			l := live.New("door", nil, quiet)
			url, _ := serve(t, l)
			require.Equal(t, http.StatusOK, watch(t, l, url, small).status)
			head := func() string {
				var media playlist.Media
				require.NoError(t, media.Unmarshal(get(t, url+"video1_stream.m3u8").body))
				return media.Map.URI
			}
			before := head()
			if tc.next != small {
				l.Format(tc.next.format)
			}
			for _, u := range tc.next.units {
				u.PTS, u.DTS, u.Time = u.PTS+tc.pts, u.DTS+tc.pts, u.Time.Add(tc.wall)
				l.Unit(u)
			}
			var top playlist.Multivariant
			require.NoError(t, top.Unmarshal(get(t, url+live.Index).body))
			require.Equal(t, tc.size, top.Variants[0].Resolution)
			require.Equal(t, tc.firstURI, before == head())
		})
	}
}

func TestBrokenUnits(t *testing.T) {
	c := camera(t, simulate.Spec{FPS: 25, Frames: 60, GOP: 25})
	broken := &capture{format: c.format}
	for i, u := range c.units {
		if i%7 == 3 {
			u.NALs = [][]byte{{}, {0x41}, nil}
		}
		broken.units = append(broken.units, u)
	}
	l := live.New("door", nil, quiet)
	url, _ := serve(t, l)
	require.NotPanics(t, func() { watch(t, l, url, broken) })
	for _, u := range c.units {
		l.Unit(u)
	}
	require.Equal(t, http.StatusOK, get(t, url+live.Index).status, "works again")
}

// TestUnitsThatCannotBePackedAreCounted: packing begins anew at the next key picture, and
// what somebody who looks does not get is counted. What nobody wants to see is not.
func TestUnitsThatCannotBePackedAreCounted(t *testing.T) {
	c := camera(t, simulate.Spec{FPS: 25, Frames: 60, GOP: 25})
	stuck := &capture{format: c.format}
	for i, u := range c.units {
		if i%7 == 3 {
			u.PTS = c.units[i-2].PTS // a time that runs back
		}
		stuck.units = append(stuck.units, u)
	}
	missed := 0
	l := live.New("door", func(n int) { missed += n }, quiet)
	l.SetTimes(30*time.Second, 300*time.Millisecond)
	url, _ := serve(t, l)
	l.Format(c.format)
	for _, u := range stuck.units {
		l.Unit(u)
	}
	require.Zero(t, missed, "nobody looks")
	watch(t, l, url, stuck)
	const want = 22 + 19 + 8 // 3 to 24, 31 to 49 and 52 to 59
	require.Equal(t, want, missed)
	for _, u := range c.units {
		l.Unit(u)
	}
	require.Equal(t, want, missed, "works again")
}
