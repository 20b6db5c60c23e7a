package movie_test

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"testing"
	"testing/iotest"
	"time"

	"github.com/asticode/go-astiav"
	"github.com/stretchr/testify/require"

	"detectd/pipeline"
	"detectd/pipeline/frame"
	"detectd/pipeline/playback"
	"detectd/pipeline/playback/movie"
	"detectd/pipeline/simulate"
	"detectd/pipeline/source/file"
	"detectd/pipeline/stage/record"
	"detectd/store"
)

const tick = 40 * time.Millisecond

var start = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)

func TestMain(m *testing.M) {
	astiav.SetLogLevel(astiav.LogLevelQuiet)
	m.Run()
}

// rows collects what a recorder adds.
type rows []store.Segment

func (r *rows) AddSegment(_ context.Context, s store.Segment) (store.Segment, error) {
	*r = append(*r, s)
	return s, nil
}

func (r *rows) ListSegments(context.Context, string, store.Range, store.Page) ([]store.Segment, string, error) {
	return nil, "", nil
}

// units keeps what a source delivers.
type units struct {
	format pipeline.Format
	list   []pipeline.Unit
}

func (u *units) Format(f pipeline.Format) { u.format = f }
func (u *units) Unit(v pipeline.Unit)     { u.list = append(u.list, v) }

// recorded records a stamped video of 100 frames, 40 ms apart from begin on, a
// key frame every 10, in files of a second.
func recorded(t *testing.T, spec simulate.Spec, begin time.Time) []movie.Piece {
	t.Helper()
	path := filepath.Join(t.TempDir(), "v.mp4")
	spec.Stamp, spec.FPS, spec.Frames, spec.GOP = true, 25, 100, 10
	require.NoError(t, simulate.Generate(path, spec))
	src, err := file.New(file.Config{Path: path, StartTime: begin})
	require.NoError(t, err)
	var u units
	var end *pipeline.SourceError
	require.ErrorAs(t, src.Run(t.Context(), &u), &end)
	require.Equal(t, pipeline.StateEnded, end.State)

	var index rows
	root := t.TempDir()
	r, err := record.New(record.Config{Root: root, CameraID: "door", SegmentLength: time.Second}, &index, slog.New(slog.DiscardHandler), record.Hooks{})
	require.NoError(t, err)
	r.Format(u.format)
	for _, v := range u.list {
		r.Unit(v)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.NoError(t, r.Run(ctx))
	require.Greater(t, len(index), 2)
	var pieces []movie.Piece
	for _, s := range index {
		pieces = append(pieces, movie.Piece{Path: filepath.Join(root, s.Path), Start: s.Start})
	}
	return pieces
}

// watch writes the movie to a file and decodes it as a player does: the numbers
// of the frames, and when each is shown.
func watch(t *testing.T, m *movie.Movie) (numbers []int, times []time.Duration) {
	t.Helper()
	data, err := io.ReadAll(m)
	require.NoError(t, err)
	require.Equal(t, m.Size(), int64(len(data)))
	path := filepath.Join(t.TempDir(), "m.mp4")
	require.NoError(t, os.WriteFile(path, data, 0o600))
	var pool frame.Pool
	defer pool.Close()
	require.NoError(t, playback.Play(t.Context(), path, math.MinInt64, math.MaxInt64, &pool, func(f *frame.Frame, at time.Duration) error {
		numbers, times = append(numbers, simulate.IndexOf(f.AV())), append(times, at)
		return nil
	}))
	return numbers, times
}

func TestCuts(t *testing.T) {
	for name, spec := range map[string]simulate.Spec{
		"h264":          {Codec: pipeline.H264},
		"h264 B-frames": {Codec: pipeline.H264, BFrames: 2},
		"h265 B-frames": {Codec: pipeline.H265, BFrames: 2},
		"mjpeg":         {Codec: pipeline.MJPEG},
	} {
		t.Run(name, func(t *testing.T) {
			pieces := recorded(t, spec, start)
			every := 10 // pictures from key to key
			if spec.Codec == pipeline.MJPEG {
				every = 1
			}
			for _, c := range []struct {
				cut         movie.Cut
				from, to    time.Duration
				first, last int
			}{
				{movie.Exact, 13 * tick, 57 * tick, 13, 56},
				{movie.Exact, 13*tick + 2*time.Millisecond, 57*tick + 2*time.Millisecond, 14, 57},
				{movie.Exact, 30 * tick, 31 * tick, 30, 30},
				{movie.Exact, -time.Hour, time.Hour, 0, 99},
				{movie.AtKeys, 13 * tick, 57 * tick, 13 / every * every, (57+every-1)/every*every - 1},
				{movie.AtKeys, 0, 100 * tick, 0, 99},
			} {
				m, err := movie.Open(pieces, start.Add(c.from), start.Add(c.to), c.cut)
				require.NoError(t, err)
				require.WithinDuration(t, start.Add(time.Duration(c.first)*tick), m.Start(), time.Millisecond)
				numbers, times := watch(t, m)
				require.NoError(t, m.Close())
				require.Len(t, numbers, c.last-c.first+1, "%v to %v: %v", c.from, c.to, numbers)
				for i, n := range numbers {
					require.Equal(t, c.first+i, n)
					require.InDelta(t, time.Duration(i)*tick, times[i]-times[0], float64(time.Millisecond))
				}
			}
		})
	}
}

// A camera that was away leaves a gap in which the last picture stands still: a
// moment of the movie is the same moment of the day.
func TestGap(t *testing.T) {
	pieces := append(recorded(t, simulate.Spec{}, start), recorded(t, simulate.Spec{}, start.Add(30*time.Second))...)
	m, err := movie.Open(pieces, start, start.Add(time.Minute), movie.Exact)
	require.NoError(t, err)
	defer m.Close()
	numbers, times := watch(t, m)
	require.Len(t, numbers, 200)
	require.Equal(t, 0, numbers[100])
	require.InDelta(t, 30*time.Second, times[100], float64(time.Millisecond))
}

// A clock that is set back makes files overlap; no picture is lost.
func TestOverlap(t *testing.T) {
	pieces := append(recorded(t, simulate.Spec{}, start), recorded(t, simulate.Spec{}, start.Add(3*time.Second))...)
	m, err := movie.Open(pieces, start, start.Add(time.Minute), movie.AtKeys)
	require.NoError(t, err)
	defer m.Close()
	numbers, _ := watch(t, m)
	require.Len(t, numbers, 200)
}

func TestTornTail(t *testing.T) {
	pieces := recorded(t, simulate.Spec{}, start)[:1]
	data, err := os.ReadFile(pieces[0].Path)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(pieces[0].Path, append(data, "\x00\x00\x10\x00moof torn"...), 0o600))
	m, err := movie.Open(pieces, start, start.Add(time.Minute), movie.AtKeys)
	require.NoError(t, err)
	defer m.Close()
	numbers, _ := watch(t, m)
	require.NotEmpty(t, numbers)
}

func TestReadsAnyRange(t *testing.T) {
	m, err := movie.Open(recorded(t, simulate.Spec{}, start), start, start.Add(2*time.Second), movie.AtKeys)
	require.NoError(t, err)
	defer m.Close()
	whole, err := io.ReadAll(m)
	require.NoError(t, err)
	_, err = m.Seek(0, io.SeekStart)
	require.NoError(t, err)
	if err := iotest.TestReader(struct{ io.ReadSeeker }{m}, whole); err != nil {
		t.Fatalf("%.200s", err)
	}
	_, err = m.Seek(-100, io.SeekEnd)
	require.NoError(t, err)
	tail, err := io.ReadAll(m)
	require.NoError(t, err)
	require.Equal(t, whole[len(whole)-100:], tail)
}

func TestRefusals(t *testing.T) {
	pieces := recorded(t, simulate.Spec{Width: 320, Height: 240}, start)
	open := func(pieces []movie.Piece, from, to time.Duration) error {
		m, err := movie.Open(pieces, start.Add(from), start.Add(to), movie.Exact)
		require.Nil(t, m)
		return err
	}
	require.ErrorIs(t, open(nil, 0, time.Second), movie.ErrNoMedia)
	require.ErrorIs(t, open(pieces, time.Minute, time.Hour), movie.ErrNoMedia)
	require.ErrorIs(t, open(pieces, 0, 7*time.Hour), movie.ErrTooLong)
	mixed := append(pieces, recorded(t, simulate.Spec{Width: 640, Height: 480}, start.Add(time.Minute))...) //nolint:gocritic // pieces is not used again
	err := open(mixed, 0, time.Hour)
	require.ErrorIs(t, err, movie.ErrMixed)
	require.ErrorContains(t, err, "2026-11-25T12:01:00Z")
	require.Error(t, open([]movie.Piece{{Path: filepath.Join(t.TempDir(), "none.mp4")}}, 0, time.Second))
	text := filepath.Join(t.TempDir(), "text.mp4")
	require.NoError(t, os.WriteFile(text, []byte("this is no video, but long enough to look at"), 0o600))
	require.ErrorIs(t, open([]movie.Piece{{Path: text}}, 0, time.Second), movie.ErrNoMedia)
}

func TestHeadSize(t *testing.T) {
	data, err := os.ReadFile(recorded(t, simulate.Spec{}, start)[0].Path)
	require.NoError(t, err)
	n, err := movie.HeadSize(bytes.NewReader(data), int64(len(data)))
	require.NoError(t, err)
	require.Equal(t, "moof", string(data[n+4:n+8]))
	_, err = movie.HeadSize(bytes.NewReader(data[:n-1]), n-1)
	require.ErrorIs(t, err, movie.ErrNoMedia)
}

func FuzzOpen(f *testing.F) {
	f.Add([]byte("\x00\x00\x00\x08moov\x00\x00\x00\x08moof\x00\x00\x00\x08mdat"))
	f.Fuzz(func(t *testing.T, data []byte) {
		path := filepath.Join(t.TempDir(), "f.mp4")
		require.NoError(t, os.WriteFile(path, data, 0o600))
		if m, err := movie.Open([]movie.Piece{{Path: path, Start: start}}, start, start.Add(time.Hour), movie.Exact); err == nil {
			_, _ = io.Copy(io.Discard, m)
			require.NoError(t, m.Close())
		}
	})
}
