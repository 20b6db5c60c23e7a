package record_test

import (
	"context"
	"errors"
	"log/slog"
	"math"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asticode/go-astiav"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"detectd/pipeline"
	"detectd/pipeline/frame"
	"detectd/pipeline/playback"
	"detectd/pipeline/simulate"
	"detectd/pipeline/source/file"
	"detectd/pipeline/stage/record"
	"detectd/store"
)

func TestMain(m *testing.M) {
	astiav.SetLogLevel(astiav.LogLevelQuiet)
	goleak.VerifyTestMain(m)
}

// start is the capture time of the first frame in these tests.
var start = time.Date(2026, 3, 4, 23, 59, 55, 123456000, time.UTC)

const tick = 40 * time.Millisecond

// index is an index in memory that can be made to fail.
type index struct {
	mu      sync.Mutex
	rows    []store.Segment
	garbage []string
	err     error
}

func (x *index) AddSegment(_ context.Context, s store.Segment) (store.Segment, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.err != nil {
		return s, x.err
	}
	if slices.Contains(x.garbage, s.Path) || slices.ContainsFunc(x.rows, func(o store.Segment) bool { return o.Path == s.Path }) {
		return s, store.ErrExists
	}
	if s.End.Sub(s.Start) > store.MaxSegment {
		return s, errors.New("too long")
	}
	s.ID = int64(len(x.rows) + 1)
	x.rows = append(x.rows, s)
	return s, nil
}

func (x *index) ListSegments(_ context.Context, _ string, r store.Range, p store.Page) ([]store.Segment, string, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	var out []store.Segment
	for _, s := range x.rows {
		if !s.End.Before(r.From) {
			out = append(out, s)
		}
	}
	return out, "", nil
}

func (x *index) fail(err error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.err = err
}

func (x *index) segments() []store.Segment {
	x.mu.Lock()
	defer x.mu.Unlock()
	return slices.Clone(x.rows)
}

// hooks collects what a recorder tells.
type hooks struct {
	mu       sync.Mutex
	dropped  int
	statuses []string
	segments []store.Segment
	salvaged [2]int
}

func (h *hooks) hooks() record.Hooks {
	return record.Hooks{
		Segment: func(s store.Segment) { h.do(func() { h.segments = append(h.segments, s) }) },
		Status:  func(s string) { h.do(func() { h.statuses = append(h.statuses, s) }) },
		Dropped: func(n int) { h.do(func() { h.dropped += n }) },
		Salvaged: func(kept, removed int) {
			h.do(func() { h.salvaged = [2]int{kept, removed} })
		},
	}
}

func (h *hooks) do(f func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	f()
}

func (h *hooks) lastStatus() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.statuses) == 0 {
		return "none"
	}
	return h.statuses[len(h.statuses)-1]
}

// capture keeps what a source delivers.
type capture struct {
	format pipeline.Format
	units  []pipeline.Unit
}

func (c *capture) Format(f pipeline.Format) { c.format = f }
func (c *capture) Unit(u pipeline.Unit)     { c.units = append(c.units, u) }

// camera makes the units of a stamped video, 40 ms apart from start on.
func camera(t *testing.T, spec simulate.Spec) *capture {
	t.Helper()
	path := filepath.Join(t.TempDir(), "v.mp4")
	spec.Stamp = true
	require.NoError(t, simulate.Generate(path, spec))
	src, err := file.New(file.Config{Path: path, StartTime: start})
	require.NoError(t, err)
	c := &capture{}
	var end *pipeline.SourceError
	require.ErrorAs(t, src.Run(t.Context(), c), &end)
	require.Equal(t, pipeline.StateEnded, end.State)
	return c
}

var quiet = slog.New(slog.DiscardHandler)

// recorder starts a recorder; stop ends it and waits.
func recorder(t *testing.T, cfg record.Config, x *index, h *hooks) (r *record.Recorder, stop func()) {
	t.Helper()
	cfg.CameraID = "door"
	r, err := record.New(cfg, x, quiet, h.hooks())
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- r.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		require.NoError(t, <-done)
	})
	t.Cleanup(stop)
	return r, stop
}

// run records what c holds with a recorder of its own.
func run(t *testing.T, r *record.Recorder, c *capture) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	c.feed(r)
	cancel()
	require.NoError(t, r.Run(ctx))
}

func (c *capture) feed(r *record.Recorder) {
	r.Format(c.format)
	for _, u := range c.units {
		r.Unit(u)
	}
}

// shown is a frame that was played back.
type shown struct {
	index int
	time  time.Time
}

func play(t *testing.T, root string, s store.Segment) []shown {
	t.Helper()
	var pool frame.Pool
	defer pool.Close()
	var out []shown
	err := playback.Play(t.Context(), filepath.Join(root, s.Path), 0, math.MaxInt64, &pool, func(f *frame.Frame, at time.Duration) error {
		out = append(out, shown{simulate.IndexOf(f.AV()), s.Start.Add(at)})
		return nil
	})
	require.NoError(t, err)
	require.Zero(t, pool.Live())
	return out
}

func requireShown(t *testing.T, got []shown, first, frames int) {
	t.Helper()
	require.Len(t, got, frames)
	for i, s := range got {
		require.Equal(t, first+i, s.index)
		require.WithinDuration(t, start.Add(time.Duration(first+i)*tick), s.time, time.Millisecond)
	}
}

func TestSegmentsPlayBack(t *testing.T) {
	for _, tc := range []struct {
		name    string
		codec   pipeline.Codec
		bframes int
	}{{"h264", pipeline.H264, 0}, {"h264 B-frames", pipeline.H264, 2}, {"h265", pipeline.H265, 2}, {"mjpeg", pipeline.MJPEG, 0}} {
		t.Run(tc.name, func(t *testing.T) {
			root, x, h := t.TempDir(), &index{}, &hooks{}
			c := camera(t, simulate.Spec{Codec: tc.codec, BFrames: tc.bframes, FPS: 25, Frames: 130, GOP: 25})
			r, stop := recorder(t, record.Config{Root: root, SegmentLength: 2 * time.Second}, x, h)
			c.feed(r)
			stop()
			segments := x.segments()
			require.Len(t, segments, 3)
			first := 0
			for i, s := range segments {
				frames := []int{50, 50, 30}[i]
				require.Equal(t, "door", s.CameraID)
				require.Equal(t, string(tc.codec), s.Codec)
				require.Equal(t, [2]int{320, 240}, [2]int{s.Width, s.Height})
				require.Equal(t, frames, s.Frames)
				require.WithinDuration(t, start.Add(time.Duration(first)*tick), s.Start, time.Millisecond)
				require.WithinDuration(t, start.Add(time.Duration(first+frames)*tick), s.End, 2*time.Millisecond)
				require.Equal(t, "file", s.Clock)
				require.Equal(t, s.Start.Format("door/2006-01-02"), filepath.ToSlash(filepath.Dir(s.Path)))
				info, err := os.Stat(filepath.Join(root, s.Path))
				require.NoError(t, err)
				require.Equal(t, info.Size(), s.Bytes)
				requireShown(t, play(t, root, s), first, frames)
				first += frames
			}
			require.Equal(t, segments, h.segments)
			require.Zero(t, h.dropped)
			require.Empty(t, h.statuses)
			require.Empty(t, temps(t, root))
		})
	}
}

func temps(t *testing.T, root string) []string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(root, "door", "*.part"))
	require.NoError(t, err)
	return found
}

func TestTornTailPlaysBack(t *testing.T) {
	for _, codec := range []pipeline.Codec{pipeline.H264, pipeline.H265, pipeline.MJPEG} {
		root, x := t.TempDir(), &index{}
		c := camera(t, simulate.Spec{Codec: codec, FPS: 25, Frames: 100, GOP: 25})
		r, stop := recorder(t, record.Config{Root: root}, x, &hooks{})
		c.feed(r)
		stop()
		s := x.segments()[0]
		path := filepath.Join(root, s.Path)
		whole := len(play(t, root, s))
		require.Equal(t, 100, whole)
		for _, cut := range []int64{1, s.Bytes / 10, s.Bytes / 3} {
			require.NoError(t, os.Truncate(path, s.Bytes-cut))
			got := play(t, root, s)
			require.NotEmpty(t, got)
			require.Less(t, len(got), 100)
			requireShown(t, got, 0, len(got))
		}
	}
}

// TestKilled takes the files of a recorder in the midst of its work, as they are
// when the process is killed.
func TestKilled(t *testing.T) {
	c := camera(t, simulate.Spec{BFrames: 2, FPS: 25, Frames: 100, GOP: 25})
	root, x := t.TempDir(), &index{}
	r, stop := recorder(t, record.Config{Root: root}, x, &hooks{})
	c.feed(r)
	var temp string
	require.Eventually(t, func() bool {
		found := temps(t, root)
		if len(found) != 1 {
			return false
		}
		info, err := os.Stat(found[0])
		temp = found[0]
		return err == nil && info.Size() > int64(c.bytes(0, 60)) // two fragments are there
	}, 10*time.Second, 5*time.Millisecond)
	data, err := os.ReadFile(temp)
	require.NoError(t, err)
	stop()

	root2, x2, h := t.TempDir(), &index{}, &hooks{}
	dir := filepath.Join(root2, "door")
	require.NoError(t, os.MkdirAll(dir, 0o750))
	require.NoError(t, os.WriteFile(filepath.Join(dir, filepath.Base(temp)), data[:len(data)-100], 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "20260101T000000.000000Z-rtcp-5us.mp4.part"), data[:500], 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "nonsense.part"), data, 0o600))
	_, stop = recorder(t, record.Config{Root: root2}, x2, h)
	require.Eventually(t, func() bool { return len(x2.segments()) == 1 }, 10*time.Second, 5*time.Millisecond)
	stop()
	require.Equal(t, [2]int{1, 2}, h.salvaged)
	require.Empty(t, temps(t, root2))
	s := x2.segments()[0]
	require.WithinDuration(t, start, s.Start, 0)
	require.Equal(t, "file", s.Clock)
	require.Equal(t, [2]int{320, 240}, [2]int{s.Width, s.Height})
	got := play(t, root2, s)
	require.Len(t, got, s.Frames)
	require.GreaterOrEqual(t, len(got), 25)
	requireShown(t, got, 0, len(got))
	require.WithinDuration(t, start.Add(time.Duration(len(got))*tick), s.End, tick+time.Millisecond)
}

func (c *capture) bytes(from, to int) (n int) {
	for _, u := range c.units[from:to] {
		n += u.Bytes()
	}
	return n
}

func TestFileWithoutRowIsFound(t *testing.T) {
	c := camera(t, simulate.Spec{FPS: 25, Frames: 100, GOP: 25})
	root, x, h := t.TempDir(), &index{}, &hooks{}
	x.err = errors.New("database is locked")
	r, stop := recorder(t, record.Config{Root: root, SegmentLength: time.Second}, x, h)
	c.feed(r)
	require.Eventually(t, func() bool { return h.lastStatus() == "the index of recordings: database is locked" }, 10*time.Second, 5*time.Millisecond)
	stop()
	require.Empty(t, x.segments())

	x.err = nil
	files, err := filepath.Glob(filepath.Join(root, "door", "2026-03-04", "*.mp4"))
	require.NoError(t, err)
	require.Len(t, files, 4)
	gone, err := filepath.Rel(root, files[3])
	require.NoError(t, err)
	x.garbage = []string{filepath.ToSlash(gone)}
	_, stop = recorder(t, record.Config{Root: root}, x, h)
	require.Eventually(t, func() bool { return len(x.segments()) == 3 }, 10*time.Second, 5*time.Millisecond)
	stop()
	require.FileExists(t, filepath.Join(root, gone), "garbage is left to retention")
	require.Len(t, h.segments, 3)
	for i, s := range x.segments() {
		requireShown(t, play(t, root, s), 25*i, 25)
	}
	require.NoError(t, os.Remove(filepath.Join(root, gone))) // as retention does
	h.salvaged = [2]int{}
	_, stop = recorder(t, record.Config{Root: root}, x, h)
	stop()
	require.Len(t, x.segments(), 3, "nothing is found twice")
	require.Zero(t, h.salvaged)
}

func TestFailingIndexIsTriedAgain(t *testing.T) {
	c := camera(t, simulate.Spec{FPS: 25, Frames: 100, GOP: 25})
	x, h := &index{err: errors.New("busy")}, &hooks{}
	r, stop := recorder(t, record.Config{Root: t.TempDir(), SegmentLength: time.Second}, x, h)
	c.feed(r)
	require.Eventually(t, func() bool { return h.lastStatus() == "the index of recordings: busy" }, 10*time.Second, 5*time.Millisecond)
	x.fail(nil)
	require.Eventually(t, func() bool { return h.lastStatus() == "" && len(x.segments()) == 3 }, 10*time.Second, 5*time.Millisecond)
	stop()
	require.Len(t, x.segments(), 4)
	require.Zero(t, h.dropped)
}

func TestFailingDiskIsTriedAgain(t *testing.T) {
	c := camera(t, simulate.Spec{FPS: 25, Frames: 100, GOP: 25})
	root, x, h := t.TempDir(), &index{}, &hooks{}
	require.NoError(t, os.WriteFile(filepath.Join(root, "door"), nil, 0o600)) // a file where the folder belongs
	r, stop := recorder(t, record.Config{Root: root}, x, h)
	c.feed(r)
	require.Eventually(t, func() bool { return strings.HasPrefix(h.lastStatus(), "create ") }, 10*time.Second, 5*time.Millisecond)
	require.NoError(t, os.Remove(filepath.Join(root, "door")))
	shift := time.Duration(0)
	require.Eventually(t, func() bool { // the camera goes on
		shift += 4 * time.Second
		for _, u := range c.units {
			u.PTS, u.DTS, u.Time = u.PTS+shift, u.DTS+shift, u.Time.Add(shift)
			r.Unit(u)
		}
		return h.lastStatus() == ""
	}, 10*time.Second, 20*time.Millisecond)
	stop()
	require.NotEmpty(t, x.segments())
	require.GreaterOrEqual(t, h.dropped, 100)
}

func TestFormatChangeAndJumps(t *testing.T) {
	small := camera(t, simulate.Spec{FPS: 25, Frames: 50, GOP: 25})
	large := camera(t, simulate.Spec{FPS: 25, Frames: 50, GOP: 25, Width: 640, Height: 480, Codec: pipeline.H265})
	moved := func(us []pipeline.Unit, pts, wall time.Duration) (out []pipeline.Unit) {
		for _, u := range us {
			u.PTS, u.DTS, u.Time = u.PTS+pts, u.DTS+pts, u.Time.Add(wall)
			out = append(out, u)
		}
		return out
	}
	for _, tc := range []struct {
		name   string
		after  *capture
		pts    time.Duration
		wall   time.Duration
		format bool
		want   []int // frames of the segments
	}{
		{"on and on", small, 2 * time.Second, 2 * time.Second, false, []int{100}},
		{"the format changes", large, 2 * time.Second, 2 * time.Second, true, []int{50, 50}},
		{"nothing came for a while", small, 5 * time.Second, 5 * time.Second, false, []int{50, 50}},
		{"the clock was set", small, 2 * time.Second, time.Hour, false, []int{50, 50}},
		{"the clock was set back", small, 2 * time.Second, -time.Hour, false, []int{50, 50}},
		{"the timeline began anew", small, 0, 2 * time.Second, false, []int{50, 50}},
		{"a small hole", small, 2500 * time.Millisecond, 2500 * time.Millisecond, false, []int{100}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			root, x, h := t.TempDir(), &index{}, &hooks{}
			r, stop := recorder(t, record.Config{Root: root}, x, h)
			small.feed(r)
			if tc.format {
				r.Format(tc.after.format)
			}
			for _, u := range moved(tc.after.units, tc.pts, tc.wall) {
				r.Unit(u)
			}
			stop()
			var got []int
			for _, s := range x.segments() {
				got = append(got, s.Frames)
				require.Len(t, play(t, root, s), s.Frames)
			}
			require.Equal(t, tc.want, got)
			last := x.segments()[len(got)-1]
			require.WithinDuration(t, start.Add(tc.wall+2*time.Second), last.End, 2*time.Millisecond)
			require.Zero(t, h.dropped)
		})
	}
}

func TestTimesThatDoNotGrow(t *testing.T) {
	c := camera(t, simulate.Spec{FPS: 25, Frames: 50, GOP: 25})
	for i := range c.units {
		if i%5 == 4 {
			c.units[i].DTS, c.units[i].PTS = c.units[i-1].DTS, c.units[i-1].PTS
		}
	}
	root, x := t.TempDir(), &index{}
	r, stop := recorder(t, record.Config{Root: root}, x, &hooks{})
	c.feed(r)
	stop()
	require.Len(t, play(t, root, x.segments()[0]), 50)
}

func TestFullQueueDropsUntilTheNextKeyFrame(t *testing.T) {
	c := camera(t, simulate.Spec{FPS: 25, Frames: 100, GOP: 25})
	for name, cfg := range map[string]record.Config{
		"units": {QueueUnits: 31}, // and the format
		"bytes": {QueueBytes: c.bytes(0, 30)},
	} {
		t.Run(name, func(t *testing.T) {
			root, x, h := t.TempDir(), &index{}, &hooks{}
			cfg.Root, cfg.CameraID = root, "door"
			r, err := record.New(cfg, x, quiet, h.hooks())
			require.NoError(t, err)
			c.feed(r) // nobody takes anything yet
			require.Equal(t, 70, h.dropped)
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan error)
			go func() { done <- r.Run(ctx) }()
			require.Eventually(t, func() bool { return len(temps(t, root)) == 1 }, 10*time.Second, time.Millisecond)
			for i := range 30 { // a second later, from the midst of a group
				u := c.units[(i+20)%100]
				u.PTS, u.DTS, u.Time = u.PTS+3200*time.Millisecond, u.DTS+3200*time.Millisecond, u.Time.Add(3200*time.Millisecond)
				r.Unit(u)
			}
			cancel()
			require.NoError(t, <-done)
			require.Equal(t, 75, h.dropped, "the five before the key frame are lost as well")
			segments := x.segments()
			require.Len(t, segments, 2)
			require.Equal(t, []int{30, 25}, []int{segments[0].Frames, segments[1].Frames})
		})
	}
}

func TestNoKeyFrameForHours(t *testing.T) {
	c := camera(t, simulate.Spec{FPS: 25, Frames: 50, GOP: 50})
	root, x, h := t.TempDir(), &index{}, &hooks{}
	r, stop := recorder(t, record.Config{Root: root}, x, h)
	c.feed(r)
	for i := range 120 { // a picture a minute
		u := c.units[1+i%49]
		at := 3*time.Second + time.Duration(i)*time.Minute
		u.PTS, u.DTS, u.Time = at, at, start.Add(at)
		r.Unit(u)
	}
	stop()
	require.Len(t, x.segments(), 1)
	s := x.segments()[0]
	require.Equal(t, 80, s.Frames)
	require.WithinDuration(t, start.Add(30*time.Minute), s.End, 2*time.Minute)
	require.Equal(t, 90, h.dropped)
	require.Len(t, play(t, root, s), 80)
}

// TestDiskFullWithinASegment limits the size of files, which fails in the midst
// of writing as a full disk does. The limit holds for the whole process, so it is far
// above the file in which the go command has the test note what it opens.
func TestDiskFullWithinASegment(t *testing.T) {
	c := camera(t, simulate.Spec{FPS: 25, Frames: 100, GOP: 25, Bitrate: 8_000_000, Padded: true})
	require.Greater(t, c.bytes(0, 60), 1<<20)
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, unix.SIGXFSZ) // else it ends the process
	defer signal.Stop(signals)
	var limit unix.Rlimit
	require.NoError(t, unix.Getrlimit(unix.RLIMIT_FSIZE, &limit))
	unlimit := sync.OnceFunc(func() { require.NoError(t, unix.Setrlimit(unix.RLIMIT_FSIZE, &limit)) })
	defer unlimit()
	require.NoError(t, unix.Setrlimit(unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: uint64(c.bytes(0, 60)), Max: limit.Max}))

	root, x, h := t.TempDir(), &index{}, &hooks{}
	r, stop := recorder(t, record.Config{Root: root}, x, h)
	c.feed(r)
	require.Eventually(t, func() bool { return len(x.segments()) == 1 }, 10*time.Second, 5*time.Millisecond)
	require.Contains(t, h.lastStatus(), "file too large")
	unlimit()
	stop()
	s := x.segments()[0]
	require.Equal(t, 50, s.Frames, "the whole fragments are kept")
	requireShown(t, play(t, root, s), 0, 50)
	require.WithinDuration(t, start.Add(2*time.Second), s.End, 2*time.Millisecond)
	require.Empty(t, temps(t, root))
	require.Equal(t, len(c.units)-s.Frames, h.dropped, "what is not in the file is counted, also of its open fragment")
}

func TestSilenceCompletesTheFile(t *testing.T) {
	c := camera(t, simulate.Spec{FPS: 25, Frames: 50, GOP: 25})
	root := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		x := &index{}
		r, stop := recorder(t, record.Config{Root: root}, x, &hooks{})
		c.feed(r)
		time.Sleep(4 * time.Second)
		require.Empty(t, x.segments())
		time.Sleep(2 * time.Second)
		require.Len(t, x.segments(), 1)
		stop()
	})
}

func TestUnknownCodec(t *testing.T) {
	x, h := &index{}, &hooks{}
	r, stop := recorder(t, record.Config{Root: t.TempDir()}, x, h)
	r.Format(pipeline.Format{Codec: "vp9"})
	r.Unit(pipeline.Unit{Key: true, Time: start, NALs: [][]byte{{1}}})
	stop()
	require.Equal(t, `video coded as "vp9" cannot be recorded`, h.lastStatus())
	require.Equal(t, 1, h.dropped)
}

func TestConfig(t *testing.T) {
	for _, id := range []string{"", "..", "a/b", ".hidden"} {
		_, err := record.New(record.Config{Root: "x", CameraID: id}, &index{}, quiet, record.Hooks{})
		require.Error(t, err, id)
	}
	_, err := record.New(record.Config{CameraID: "door"}, &index{}, quiet, record.Hooks{})
	require.Error(t, err)
}
