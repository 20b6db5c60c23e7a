package rtsp_test

import (
	"bytes"
	"context"
	"log/slog"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"detectd/pipeline"
	"detectd/pipeline/decode"
	"detectd/pipeline/frame"
	"detectd/pipeline/simulate"
	"detectd/pipeline/source/rtsp"
)

func TestMain(m *testing.M) {
	decode.Quiet()
	goleak.VerifyTestMain(m)
}

const (
	user     = "opera tor"
	password = "p@ss/w%rd?"
)

// sink keeps what a source delivers, and calls each with every unit.
type sink struct {
	mu      sync.Mutex
	formats []pipeline.Format
	units   []pipeline.Unit
	lost    [2]int // packets, pictures
	each    func(n int, u pipeline.Unit)
}

func (s *sink) Lost(packets, pictures int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lost[0] += packets
	s.lost[1] += pictures
}

func (s *sink) Format(f pipeline.Format) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.formats = append(s.formats, f)
}

func (s *sink) Unit(u pipeline.Unit) {
	s.mu.Lock()
	s.units = append(s.units, u)
	n := len(s.units)
	s.mu.Unlock()
	if s.each != nil {
		s.each(n, u)
	}
}

// play runs a source until it ends or delivered enough units (0: no limit). No
// error and no log line may hold the password.
func play(t *testing.T, cfg rtsp.Config, enough int, each func(n int, u pipeline.Unit)) (*sink, error) {
	t.Helper()
	s, lines, err := run(t, cfg, enough, each)
	require.NotContains(t, lines, password)
	if err != nil {
		require.NotContains(t, err.Error(), password)
		require.NotContains(t, err.Error(), user)
	}
	return s, err
}

// run is play for any password.
func run(t *testing.T, cfg rtsp.Config, enough int, each func(n int, u pipeline.Unit)) (*sink, string, error) {
	t.Helper()
	var lines bytes.Buffer
	cfg.Logger = slog.New(slog.NewTextHandler(&lines, &slog.HandlerOptions{Level: slog.LevelDebug}))
	src, err := rtsp.New(cfg)
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	s := &sink{each: func(n int, u pipeline.Unit) {
		if each != nil {
			each(n, u)
		}
		if n == enough {
			cancel()
		}
	}}
	err = src.Run(ctx, s)
	return s, lines.String(), err
}

func serve(t *testing.T, cfg simulate.Config) *simulate.Server {
	t.Helper()
	cfg.Listen = "127.0.0.1:0"
	s, err := simulate.New(cfg)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-done)
	})
	<-s.Ready()
	return s
}

func video(t *testing.T, name string, spec simulate.Spec) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	require.NoError(t, simulate.Generate(path, spec))
	return path
}

func TestCodecsTransportsAuthentication(t *testing.T) {
	fast := simulate.Spec{FPS: 50, Frames: 20, GOP: 10}
	with := func(c pipeline.Codec, b int) simulate.Spec { s := fast; s.Codec, s.BFrames = c, b; return s }
	files := []string{
		video(t, "h264.mp4", with(pipeline.H264, 0)), video(t, "h264b.mp4", with(pipeline.H264, 2)),
		video(t, "h265.mp4", with(pipeline.H265, 0)), video(t, "mjpeg.avi", with(pipeline.MJPEG, 0)),
	}
	codecs := []pipeline.Codec{pipeline.H264, pipeline.H264, pipeline.H265, pipeline.MJPEG}
	sets := []int{2, 2, 3, 0}
	for _, method := range []string{"none", "basic", "digest"} {
		sim, cfg := simulate.Config{Files: files}, rtsp.Config{}
		if method != "none" {
			sim.Auth, sim.Username, sim.Password = method, user, password
			cfg.Username, cfg.Password = user, password
		}
		server := serve(t, sim)
		for i, url := range server.URLs() {
			for _, transport := range []rtsp.Transport{rtsp.TransportTCP, rtsp.TransportUDP, rtsp.TransportAuto} {
				t.Run(method+" "+string(transport)+" "+filepath.Base(url), func(t *testing.T) {
					t.Parallel()
					cfg := cfg
					cfg.URL, cfg.Transport = url, transport
					s, err := play(t, cfg, 25, nil)
					require.NoError(t, err)
					require.Len(t, s.formats, 1)
					require.Equal(t, codecs[i], s.formats[0].Codec)
					require.Equal(t, []int{320, 240}, []int{s.formats[0].Width, s.formats[0].Height})
					require.Len(t, s.formats[0].ParameterSets, sets[i])
					checkUnits(t, s.units)
					if transport != rtsp.TransportUDP { // there a sender report may overtake the video
						require.Equal(t, frame.ClockRTCP, s.units[24].Clock)
					}
					checkPictures(t, s)
				})
			}
		}
	}
}

// checkUnits checks what every consumer relies on.
func checkUnits(t *testing.T, units []pipeline.Unit) {
	t.Helper()
	require.Zero(t, units[0].PTS)
	require.LessOrEqual(t, units[0].DTS, time.Duration(0)) // H.265 decodes before 0 what is shown at 0
	require.Greater(t, units[0].DTS, -time.Second)
	require.True(t, units[0].Key)
	seen := map[time.Duration]bool{}
	for i, u := range units {
		if i > 0 {
			require.Greater(t, u.DTS, units[i-1].DTS)
		}
		require.GreaterOrEqual(t, u.PTS, u.DTS)
		require.False(t, seen[u.PTS], "two units at %s", u.PTS)
		seen[u.PTS] = true
		require.False(t, u.Damaged)
		require.Positive(t, u.TimeError)
		require.WithinDuration(t, u.Arrived, u.Time, 15*time.Second)
	}
}

func checkPictures(t *testing.T, s *sink) {
	t.Helper()
	var pool frame.Pool
	d, err := decode.New(s.formats[0], &pool, decode.Options{})
	require.NoError(t, err)
	defer d.Close()
	n, last := 0, time.Duration(-1)
	emit := func(f *frame.Frame) {
		require.Greater(t, f.PTS, last)
		last = f.PTS
		n++
		f.Release()
	}
	for _, u := range s.units {
		require.NoError(t, d.Decode(u, emit))
	}
	require.NoError(t, d.Flush(emit))
	require.Len(t, s.units, n)
}

func TestWrongPassword(t *testing.T) {
	server := serve(t, simulate.Config{
		Files: []string{video(t, "a.mp4", simulate.Spec{Frames: 5})}, Username: user, Password: password,
	})
	for _, cfg := range []rtsp.Config{
		{Username: user, Password: "wrong"}, {Username: "wrong", Password: password}, {},
	} {
		cfg.URL = server.URLs()[0]
		_, err := play(t, cfg, 0, nil)
		state, reason := pipeline.StateOf(err)
		require.Equal(t, pipeline.StateAuth, state, reason)
	}
}

func TestNotFound(t *testing.T) {
	server := serve(t, simulate.Config{Files: []string{video(t, "a.mp4", simulate.Spec{Frames: 5})}})
	_, err := play(t, rtsp.Config{URL: server.URLs()[0] + "x"}, 0, nil)
	state, _ := pipeline.StateOf(err)
	require.Equal(t, pipeline.StateNotFound, state)
}

func TestLost(t *testing.T) {
	server := serve(t, simulate.Config{Files: []string{video(t, "a.mp4", simulate.Spec{FPS: 50, Frames: 20, GOP: 10})}})
	for _, transport := range []rtsp.Transport{rtsp.TransportTCP, rtsp.TransportUDP} {
		_, err := play(t, rtsp.Config{URL: server.URLs()[0], Transport: transport}, 0, func(n int, _ pipeline.Unit) {
			if n == 5 {
				server.DropClients()
			}
		})
		state, reason := pipeline.StateOf(err)
		require.Equal(t, pipeline.StateLost, state, reason)
	}
}

func TestSilence(t *testing.T) {
	server := serve(t, simulate.Config{Files: []string{video(t, "a.mp4", simulate.Spec{FPS: 50, Frames: 20, GOP: 10})}})
	for _, transport := range []rtsp.Transport{rtsp.TransportTCP, rtsp.TransportUDP} {
		server.Resume()
		cfg := rtsp.Config{URL: server.URLs()[0], Transport: transport, VideoTimeout: 400 * time.Millisecond}
		_, err := play(t, cfg, 0, func(n int, _ pipeline.Unit) {
			if n == 5 {
				server.Pause()
			}
		})
		state, reason := pipeline.StateOf(err)
		require.Equal(t, pipeline.StateTimeout, state, reason)
		require.Contains(t, reason, "stopped")
	}
	// And when no video comes from the beginning.
	_, err := play(t, rtsp.Config{URL: server.URLs()[0], VideoTimeout: 200 * time.Millisecond}, 0, nil)
	state, reason := pipeline.StateOf(err)
	require.Equal(t, pipeline.StateTimeout, state, reason)
}

func TestLostPacketsMarkDamage(t *testing.T) {
	for _, codec := range []pipeline.Codec{pipeline.H264, pipeline.H265} {
		server := serve(t, simulate.Config{Files: []string{video(t, "a.mkv", simulate.Spec{Codec: codec, FPS: 50, Frames: 40, GOP: 20})}})
		s, err := play(t, rtsp.Config{URL: server.URLs()[0]}, 60, func(n int, u pipeline.Unit) {
			if n == 5 {
				server.Lose(3)
			}
		})
		require.NoError(t, err)
		damaged, healed := false, false
		for i, u := range s.units {
			if i > 0 && s.units[i-1].Damaged && !u.Damaged {
				require.True(t, u.Key, "only a whole key unit heals")
				healed = true
			}
			damaged = damaged || u.Damaged
		}
		require.True(t, damaged)
		require.True(t, healed)
		require.False(t, s.units[4].Damaged)
		require.Equal(t, 3, s.lost[0], "packets are counted")
	}
}

func TestEveryRunStartsAtZero(t *testing.T) {
	server := serve(t, simulate.Config{Files: []string{
		video(t, "a.mp4", simulate.Spec{FPS: 50, Frames: 20, GOP: 10}),
		video(t, "b.mp4", simulate.Spec{FPS: 50, Frames: 20, GOP: 10, Width: 640, Height: 360}),
	}})
	for i, width := range []int{320, 640} {
		s, err := play(t, rtsp.Config{URL: server.URLs()[i]}, 3, nil)
		require.NoError(t, err)
		require.Equal(t, width, s.formats[0].Width)
		require.Zero(t, s.units[0].PTS)
	}
}
