package playback_test

import (
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/asticode/go-astiav"
	"github.com/stretchr/testify/require"

	"detectd/pipeline"
	"detectd/pipeline/frame"
	"detectd/pipeline/playback"
	"detectd/pipeline/simulate"
)

func TestMain(m *testing.M) {
	astiav.SetLogLevel(astiav.LogLevelQuiet)
	m.Run()
}

// video makes an MP4 of 50 stamped frames, 40 ms apart, a key frame every 10.
func video(t *testing.T, codec pipeline.Codec, bframes int) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "v.mp4")
	require.NoError(t, simulate.Generate(path, simulate.Spec{
		Codec: codec, Width: 320, Height: 240, FPS: 25, Frames: 50, GOP: 10, BFrames: bframes, Stamp: true,
	}))
	return path
}

const tick = 40 * time.Millisecond

func TestFrameAt(t *testing.T) {
	for name, path := range map[string]string{
		"h264":          video(t, pipeline.H264, 0),
		"h264 B-frames": video(t, pipeline.H264, 2),
		"h265 B-frames": video(t, pipeline.H265, 2),
		"mjpeg":         video(t, pipeline.MJPEG, 0),
	} {
		t.Run(name, func(t *testing.T) {
			var pool frame.Pool
			defer pool.Close()
			for _, tc := range []struct {
				offset time.Duration
				want   int
			}{
				{-time.Hour, 0},
				{0, 0},
				{19 * time.Millisecond, 0},
				{21 * time.Millisecond, 1},
				{9 * tick, 9},
				{10 * tick, 10},
				{10*tick - 15*time.Millisecond, 10},
				{10*tick - 25*time.Millisecond, 9},
				{17 * tick, 17},
				{18*tick + 25*time.Millisecond, 19},
				{49 * tick, 49},
				{time.Hour, 49},
				{math.MaxInt64, 49},
			} {
				f, at, err := playback.FrameAt(t.Context(), path, tc.offset, &pool)
				require.NoError(t, err)
				require.Equal(t, tc.want, simulate.IndexOf(f.AV()), "at %v", tc.offset)
				require.InDelta(t, time.Duration(tc.want)*tick, at, float64(time.Millisecond))
				require.Equal(t, at, f.PTS)
				f.Release()
				require.Zero(t, pool.Live())
			}
		})
	}
}

func TestPlay(t *testing.T) {
	path := video(t, pipeline.H264, 2)
	for _, tc := range []struct {
		from, to    time.Duration
		first, last int
	}{
		{0, math.MaxInt64, 0, 49},
		{12 * tick, 31 * tick, 12, 30},
		{12*tick + 1, 31*tick + 1, 13, 31},
		{40 * tick, time.Hour, 40, 49},
		{time.Hour, 2 * time.Hour, 0, -1},
		{20 * tick, 20 * tick, 0, -1},
	} {
		var pool frame.Pool
		want := tc.first
		err := playback.Play(t.Context(), path, tc.from, tc.to, &pool, func(f *frame.Frame, at time.Duration) error {
			require.Equal(t, want, simulate.IndexOf(f.AV()))
			require.InDelta(t, time.Duration(want)*tick, at, float64(time.Millisecond))
			want++
			return nil
		})
		require.NoError(t, err)
		require.Equal(t, want, tc.last+1)
		require.Zero(t, pool.Live())
		pool.Close()
	}
}

func TestPlayEndsEarly(t *testing.T) {
	path := video(t, pipeline.H264, 2)
	var pool frame.Pool
	stop := errors.New("enough")
	n := 0
	err := playback.Play(t.Context(), path, 0, time.Hour, &pool, func(*frame.Frame, time.Duration) error {
		if n++; n == 3 {
			return stop
		}
		return nil
	})
	require.ErrorIs(t, err, stop)
	ctx, cancel := context.WithCancel(t.Context())
	err = playback.Play(ctx, path, 0, time.Hour, &pool, func(*frame.Frame, time.Duration) error {
		cancel()
		return nil
	})
	require.ErrorIs(t, err, context.Canceled)
	require.Zero(t, pool.Live())
}

func TestOtherFiles(t *testing.T) {
	dir := t.TempDir()
	var pool frame.Pool
	_, _, err := playback.FrameAt(t.Context(), filepath.Join(dir, "none.mp4"), 0, &pool)
	require.ErrorContains(t, err, "open file")
	text := filepath.Join(dir, "text.mp4")
	require.NoError(t, os.WriteFile(text, []byte("this is no video, but it is long enough to look at"), 0o600))
	_, _, err = playback.FrameAt(t.Context(), text, 0, &pool)
	require.Error(t, err)
	avi := filepath.Join(dir, "v.avi") // another container than segments have
	require.NoError(t, simulate.Generate(avi, simulate.Spec{Frames: 5}))
	_, _, err = playback.FrameAt(t.Context(), avi, 0, &pool)
	require.Error(t, err)
	require.Zero(t, pool.Live())
}
