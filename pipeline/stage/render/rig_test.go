package render_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/jpeg"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"detectd/detect"
	"detectd/pipeline/bus"
	"detectd/pipeline/decode"
	"detectd/pipeline/frame"
	"detectd/pipeline/playback"
	"detectd/pipeline/simulate"
	"detectd/pipeline/stage/render"
	"detectd/pipeline/stage/track"
	drawing "detectd/render"
	"detectd/render/draw"
	"detectd/store"
	"detectd/store/badger"
	"detectd/store/blob"
	"detectd/store/sqlite"
)

func TestMain(m *testing.M) {
	decode.Quiet()
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("github.com/golang/glog.(*fileSink).flushDaemon"))
}

// reader is a detector that finds the number stamped into the picture.
type reader struct {
	before func(ctx context.Context, n int) error
}

func (r *reader) Detect(ctx context.Context, frames []*frame.Frame, _ []detect.Options) ([][]detect.Detection, error) {
	out := make([][]detect.Detection, len(frames))
	for i, f := range frames {
		n := simulate.IndexOf(f.AV())
		if r.before != nil {
			if err := r.before(ctx, n); err != nil {
				return nil, err
			}
		}
		out[i] = []detect.Detection{{ClassID: 3, Label: "person", Score: 0.9, Box: boxOf(n)}}
	}
	return out, ctx.Err()
}

func (*reader) MaxBatch() int             { return 1 }
func (*reader) Contract() detect.Contract { return detect.Contract{} }
func (*reader) Close() error              { return nil }

// boxOf is the box of the object in frame n: it moves two pixels a frame.
func boxOf(n int) detect.Box { return detect.Box{X: float32(150 + 2*n), Y: 150, W: 40, H: 60} }

const tick = 40 * time.Millisecond

// start is the capture time of the first recorded frame.
var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// rig is a stage on real stores.
type rig struct {
	cfg     render.Config
	deps    render.Deps
	records *sqlite.Store
	series  *badger.Store
	blobs   *blob.Store
	model   *reader
	pool    frame.Pool

	mu   sync.Mutex // guards live
	live *frame.Frame
}

func newRig(t *testing.T) *rig {
	t.Helper()
	log, dir := slog.New(slog.DiscardHandler), t.TempDir()
	r := &rig{model: &reader{}}
	folder := func(name string) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.Mkdir(path, 0o700))
		return path
	}
	var err error
	r.records, err = sqlite.Open(t.Context(), filepath.Join(dir, "db"), log)
	require.NoError(t, err)
	r.series, err = badger.Open(folder("series"), 0, log)
	require.NoError(t, err)
	r.blobs, err = blob.Open("file://" + folder("blobs"))
	require.NoError(t, err)
	b, err := bus.Open(t.Context(), bus.Config{Folder: folder("bus")}, log)
	require.NoError(t, err)
	t.Cleanup(func() {
		r.setLive(nil)
		require.Zero(t, r.pool.Live())
		r.pool.Close()
		require.NoError(t, errors.Join(b.Close(), r.blobs.Close(), r.series.Close(), r.records.Close()))
	})
	r.cfg = render.Config{Temp: folder("tmp"), Media: folder("media"), MaxFrames: 100}
	r.deps = render.Deps{
		Results: r.records, Segments: r.records, Series: r.series, Blobs: r.blobs, Bus: b, Log: log,
		Latest: func(string) *frame.Frame {
			r.mu.Lock()
			defer r.mu.Unlock()
			if r.live == nil {
				return nil
			}
			return r.live.Retain()
		},
		Tracker: func() render.Tracker {
			n := 0
			return track.New(track.Config{}, func() string { n++; return strconv.Itoa(n) })
		},
		Detector: func(_ context.Context, ref detect.Ref) (detect.Detector, detect.Ref, error) {
			if ref.Model != "reader" {
				return nil, ref, fmt.Errorf("model %s: %w", ref, store.ErrNotFound)
			}
			return r.model, ref, nil
		},
	}
	_, err = r.records.CreateClient(t.Context(), store.Client{ID: "c"})
	require.NoError(t, err)
	_, err = r.records.CreateCamera(t.Context(), store.Camera{ID: "door", ClientID: "c"})
	require.NoError(t, err)
	return r
}

func (r *rig) setLive(f *frame.Frame) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.live != nil {
		r.live.Release()
	}
	r.live = f
}

// run starts a stage; the function returned stops it and waits.
func (r *rig) run(t *testing.T) (*render.Stage, func()) {
	t.Helper()
	s := render.New(r.cfg, r.deps)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	stop := sync.OnceFunc(func() {
		cancel()
		require.NoError(t, <-ended)
	})
	t.Cleanup(stop)
	return s, stop
}

// record adds a segment of frames that are annotated, from a time on.
func (r *rig) record(t *testing.T, name string, from time.Time, frames int) store.Segment {
	t.Helper()
	path := filepath.Join(r.cfg.Media, name)
	require.NoError(t, simulate.Generate(path, simulate.Spec{Frames: frames, GOP: 10, BFrames: 2, Stamp: true}))
	size, err := os.Stat(path)
	require.NoError(t, err)
	s, err := r.records.AddSegment(t.Context(), store.Segment{
		CameraID: "door", Start: from, End: from.Add(time.Duration(frames) * tick), Path: name, Bytes: size.Size(),
		Frames: frames, Codec: "h264", Width: 320, Height: 240, Clock: "rtcp",
	})
	require.NoError(t, err)
	var as []store.Annotation
	for i := range frames {
		b := boxOf(i)
		as = append(as, store.Annotation{
			// The clock of the stream is not quite that of the file.
			CameraID: "door", Time: from.Add(time.Duration(i)*tick + 3*time.Millisecond), Width: 320, Height: 240, Kind: "detected",
			Objects: []store.Object{{TrackID: "door-x-7", Label: "person", Score: 0.9, Box: store.Box{b.X, b.Y, b.W, b.H}}},
		})
	}
	require.NoError(t, r.series.PutAnnotations(t.Context(), as))
	return s
}

// submit puts an uploaded video into the store and the queue.
func (r *rig) submit(t *testing.T, id string, data []byte) {
	t.Helper()
	sha, _, err := r.blobs.Put(t.Context(), bytes.NewReader(data))
	require.NoError(t, err)
	require.NoError(t, r.records.PutResult(t.Context(), store.Result{
		ID: id, Kind: "video", Name: "yard.mp4", State: store.ResultQueued, Input: sha, Model: "reader", Version: 1,
	}))
	require.NoError(t, r.deps.Bus.Enqueue(t.Context(), bus.RenderWork, id, bus.RenderJob{ResultID: id}))
}

func video(t *testing.T, frames int) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "v.mp4")
	require.NoError(t, simulate.Generate(path, simulate.Spec{Frames: frames, BFrames: 2, Stamp: true}))
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	return data
}

// wait returns the result once it is done or has failed.
func (r *rig) wait(t *testing.T, id string) (res store.Result) {
	t.Helper()
	require.Eventually(t, func() bool {
		var err error
		res, err = r.records.Result(context.Background(), id)
		return err == nil && (res.State == store.ResultDone || res.State == store.ResultFailed)
	}, time.Minute, 5*time.Millisecond, "result %s", id)
	return res
}

// tidy checks that no temporary file is left.
func (r *rig) tidy(t *testing.T) {
	t.Helper()
	left, err := os.ReadDir(r.cfg.Temp)
	require.NoError(t, err)
	require.Empty(t, left)
}

func (r *rig) content(t *testing.T, sha string) []byte {
	t.Helper()
	f, size, err := r.blobs.Open(t.Context(), sha)
	require.NoError(t, err)
	defer func() { _ = f.Close() }()
	data := make([]byte, size)
	_, err = f.Read(data)
	require.NoError(t, err)
	return data
}

// shown is a frame of a rendered video.
type shown struct {
	number int
	at     time.Duration
	boxed  bool // has the box that belongs to its number
}

// watch decodes a rendered video.
func watch(t *testing.T, data []byte) (frames []shown) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "watch.mp4")
	require.NoError(t, os.WriteFile(path, data, 0o600))
	var pool frame.Pool
	defer pool.Close()
	require.NoError(t, playback.Play(t.Context(), path, 0, time.Hour, &pool, func(f *frame.Frame, at time.Duration) error {
		n := simulate.IndexOf(f.AV())
		p, err := draw.Frame(f, nil, drawing.Style{})
		if err != nil {
			return err
		}
		pix, stride, err := p.Pixels()
		frames = append(frames, shown{n, at, boxed(n, func(x, y int) (int, int, int) {
			c := pix[y*stride+3*x:]
			return int(c[0]), int(c[1]), int(c[2])
		})})
		return errors.Join(err, p.Close())
	}))
	return frames
}

// boxed tells whether the right side of the box of frame n is drawn: the pictures
// themselves are grey, and two pixels beside it there is no colour.
func boxed(n int, at func(x, y int) (int, int, int)) bool {
	coloured := func(x, y int) bool {
		a, b, c := at(x, y)
		return max(a, b, c)-min(a, b, c) > 40
	}
	b := boxOf(n)
	x, y := int(b.X), int(b.Y+b.H/2)
	return coloured(x, y) && !coloured(x-3, y) && !coloured(x+4, y)
}

// look decodes a rendered picture.
func look(t *testing.T, data []byte) shown {
	t.Helper()
	img, err := jpeg.Decode(bytes.NewReader(data))
	require.NoError(t, err)
	yuv, ok := img.(*image.YCbCr)
	require.True(t, ok)
	n := simulate.Index(yuv.Y, yuv.YStride)
	return shown{number: n, boxed: boxed(n, func(x, y int) (int, int, int) {
		r, g, b, _ := img.At(x, y).RGBA()
		return int(r >> 8), int(g >> 8), int(b >> 8)
	})}
}
