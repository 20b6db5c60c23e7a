package offline_test

import (
	"context"
	"errors"
	"fmt"
	"image"
	"image/png"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"detectd/detect"
	"detectd/pipeline"
	"detectd/pipeline/decode"
	"detectd/pipeline/frame"
	"detectd/pipeline/offline"
	"detectd/pipeline/simulate"
	"detectd/render/picture"
)

func TestMain(m *testing.M) {
	decode.Quiet()
	goleak.VerifyTestMain(m)
}

// reader is a detector that finds the number stamped into the picture.
type reader struct {
	before func(n int) error
	most   atomic.Int64 // runs at the same time
	now    atomic.Int64
}

func (r *reader) Detect(ctx context.Context, frames []*frame.Frame, opts []detect.Options) ([][]detect.Detection, error) {
	r.most.Store(max(r.most.Load(), r.now.Add(1)))
	defer r.now.Add(-1)
	out := make([][]detect.Detection, len(frames))
	for i, f := range frames {
		n := simulate.IndexOf(f.AV())
		if r.before != nil {
			if err := r.before(n); err != nil {
				return nil, err
			}
		}
		out[i] = []detect.Detection{{ClassID: n, Label: "number", Score: opts[i].MinScore}}
	}
	return out, ctx.Err()
}

func (*reader) MaxBatch() int             { return 1 }
func (*reader) Contract() detect.Contract { return detect.Contract{} }
func (*reader) Close() error              { return nil }

func generate(t *testing.T, name string, spec simulate.Spec) string {
	t.Helper()
	spec.Stamp = true
	path := filepath.Join(t.TempDir(), name)
	require.NoError(t, simulate.Generate(path, spec))
	return path
}

func TestFileGivesEveryFrameInOrder(t *testing.T) {
	for name, spec := range map[string]simulate.Spec{
		"a.mp4":   {BFrames: 2},
		"b.mkv":   {Codec: pipeline.H265, BFrames: 2},
		"c.mjpeg": {Codec: pipeline.MJPEG},
		"d.avi":   {Codec: "mpeg4"},
		"e.h264":  {},
	} {
		path := generate(t, name, spec)
		for _, tc := range []struct {
			every int
			all   bool
		}{{0, false}, {3, false}, {3, true}} {
			t.Run(fmt.Sprintf("%s every %d all %v", name, tc.every, tc.all), func(t *testing.T) {
				var pool frame.Pool
				defer pool.Close()
				// Numbers that are divisible by four wait for the one after the next of
				// those looked at, or the end: results come out of order.
				det := &reader{}
				step := max(1, tc.every)
				seen := make([]chan struct{}, 64)
				for i := range seen {
					seen[i] = make(chan struct{})
				}
				var once [64]sync.Once
				det.before = func(n int) error {
					once[n].Do(func() { close(seen[n]) })
					if next := n + step; n%4 == 0 && next < 50 {
						<-seen[next]
					}
					return nil
				}
				next, stride := 0, step
				if tc.all {
					stride = 1
				}
				err := offline.File(t.Context(), offline.Config{Path: path, Every: tc.every, All: tc.all, Workers: 2}, det,
					detect.Options{MinScore: 0.5}, &pool, func(f offline.Frame) error {
						require.Equal(t, next, f.Index)
						require.Equal(t, next, simulate.IndexOf(f.Frame.AV()))
						require.InDelta(t, float64(next)*40, float64(f.PTS.Microseconds())/1000, 1.1)
						require.Equal(t, f.Index%step == 0, f.Detected)
						if f.Detected {
							require.Equal(t, []detect.Detection{{ClassID: f.Index, Label: "number", Score: 0.5}}, f.Detections)
						} else {
							require.Empty(t, f.Detections)
						}
						require.LessOrEqual(t, pool.Live(), 3*2+4, "frames in memory")
						next += stride
						return nil
					})
				require.NoError(t, err)
				require.Equal(t, 49/stride*stride+stride, next)
				require.LessOrEqual(t, det.most.Load(), int64(2))
				require.Zero(t, pool.Live())
			})
		}
	}
}

func TestFileStopsWhenItMust(t *testing.T) {
	path := generate(t, "v.mp4", simulate.Spec{BFrames: 2})
	broken := errors.New("broken")
	for name, tc := range map[string]struct {
		cfg    offline.Config
		before func(int) error
		fn     func(cancel context.CancelFunc, n int) error
		want   error
		frames int
	}{
		"too many frames": {cfg: offline.Config{MaxFrames: 10}, want: offline.ErrTooManyFrames, frames: 10},
		"as many as may":  {cfg: offline.Config{MaxFrames: 50}, frames: 50},
		"callback": {fn: func(_ context.CancelFunc, n int) error {
			if n == 7 {
				return broken
			}
			return nil
		}, want: broken, frames: 8},
		"detector": {before: func(n int) error {
			if n == 5 {
				return broken
			}
			return nil
		}, want: broken, frames: 5},
		"cancelled": {fn: func(cancel context.CancelFunc, n int) error {
			if n == 3 {
				cancel()
			}
			return nil
		}, want: context.Canceled, frames: -1},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			var pool frame.Pool
			defer pool.Close()
			tc.cfg.Path = path
			frames := 0
			err := offline.File(ctx, tc.cfg, &reader{before: tc.before}, detect.Options{}, &pool, func(f offline.Frame) error {
				require.Equal(t, frames, f.Index)
				frames++
				if tc.fn != nil {
					return tc.fn(cancel, f.Index)
				}
				return nil
			})
			require.ErrorIs(t, err, tc.want)
			if tc.frames >= 0 {
				require.Equal(t, tc.frames, frames)
			} else {
				require.Less(t, frames, 50)
			}
			require.Zero(t, pool.Live())
		})
	}
}

func TestFileTakesPictures(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.bin") // the name does not matter
	f, err := os.Create(path)
	require.NoError(t, err)
	require.NoError(t, png.Encode(f, image.NewGray(image.Rect(0, 0, 256, 128))))
	require.NoError(t, f.Close())
	var pool frame.Pool
	defer pool.Close()
	n := 0
	require.NoError(t, offline.File(t.Context(), offline.Config{Path: path}, &reader{}, detect.Options{}, &pool, func(f offline.Frame) error {
		require.True(t, f.Detected)
		require.Len(t, f.Detections, 1)
		require.Equal(t, 256, f.Frame.Width())
		n++
		return nil
	}))
	require.Equal(t, 1, n)
	require.Zero(t, pool.Live())
	require.Equal(t, offline.Length{Frames: 1}, offline.Measure(path))
	_, _, err = offline.Check(t.Context(), path, 0)
	require.ErrorIs(t, err, offline.ErrPicture)
	err = offline.File(t.Context(), offline.Config{Path: path, MaxPixels: 1000}, &reader{}, detect.Options{}, &pool, nil)
	require.ErrorIs(t, err, picture.ErrTooLarge)
}

func TestFileRefuses(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, data []byte) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, data, 0o600))
		return path
	}
	video, err := os.ReadFile(generate(t, "v.mp4", simulate.Spec{}))
	require.NoError(t, err)
	fifo := filepath.Join(dir, "pipe")
	require.NoError(t, syscall.Mkfifo(fifo, 0o600))
	for name, tc := range map[string]struct {
		path string
		is   error
		text string
	}{
		"missing":   {filepath.Join(dir, "none.mp4"), fs.ErrNotExist, "no such file"},
		"folder":    {dir, nil, "is not a file"},
		"pipe":      {fifo, nil, "is not a file"},
		"empty":     {write("empty.mp4", nil), offline.ErrEmpty, "is empty"},
		"text":      {write("text.mp4", []byte("this is no video at all\n")), nil, "make it a JPEG, PNG or MP4"},
		"cut video": {write("cut.mp4", video[:len(video)/2]), nil, "not a video or picture"},
		"cut image": {write("cut.jpg", []byte("\xff\xd8\xff\xe0\x00\x10JFIF\x00")), picture.ErrTruncated, "ends too early"},
	} {
		t.Run(name, func(t *testing.T) {
			var pool frame.Pool
			err := offline.File(t.Context(), offline.Config{Path: tc.path}, &reader{}, detect.Options{}, &pool, func(offline.Frame) error {
				t.Error("a frame of it")
				return nil
			})
			require.ErrorContains(t, err, tc.text)
			require.NotContains(t, err.Error(), tc.path, "the caller names the file")
			if tc.is != nil {
				require.ErrorIs(t, err, tc.is)
			}
			_, _, err = offline.Check(t.Context(), tc.path, 0)
			require.Error(t, err)
			require.NotPanics(t, func() { offline.Measure(tc.path) })
		})
	}
}

func TestMeasureAndCheck(t *testing.T) {
	path := generate(t, "v.mp4", simulate.Spec{Width: 320, Height: 240, BFrames: 2})
	require.Equal(t, offline.Length{Frames: 50, Duration: 2 * time.Second, FPS: 25}, offline.Measure(path))
	w, h, err := offline.Check(t.Context(), path, 0)
	require.NoError(t, err)
	require.Equal(t, []int{320, 240}, []int{w, h})
	_, _, err = offline.Check(t.Context(), path, 320*240-1)
	require.ErrorContains(t, err, "limit")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, _, err = offline.Check(ctx, path, 0)
	require.ErrorIs(t, err, context.Canceled)
	require.Equal(t, ".mjpeg", offline.Extension("a/b.MJPG"))
	require.Empty(t, offline.Extension("a/b.mp4"))
}

// Of a damaged video all that can be decoded is looked at, in order.
func TestFileSurvivesDamage(t *testing.T) {
	for _, name := range []string{"a.mkv", "b.ts", "c.avi", "d.mp4"} {
		path := generate(t, name, simulate.Spec{GOP: 10})
		whole, err := os.ReadFile(path)
		require.NoError(t, err)
		middle := len(whole) / 2
		holed := append([]byte(nil), whole...)
		for i := middle; i < middle+2000; i++ {
			holed[i] ^= 0x5a
		}
		damaged := map[string][]byte{"holed": holed}
		if name != "d.mp4" { // whose index is at the end
			damaged["cut"] = whole[:middle]
		}
		for how, data := range damaged {
			t.Run(name+" "+how, func(t *testing.T) {
				require.NoError(t, os.WriteFile(path, data, 0o600))
				var pool frame.Pool
				defer pool.Close()
				frames, last := 0, time.Duration(-1)
				err := offline.File(t.Context(), offline.Config{Path: path}, &reader{}, detect.Options{}, &pool, func(f offline.Frame) error {
					require.Equal(t, frames, f.Index)
					require.Greater(t, f.PTS, last)
					last = f.PTS
					frames++
					return nil
				})
				if err != nil {
					require.ErrorContains(t, err, "damaged")
				}
				require.GreaterOrEqual(t, frames, 10)
				require.Zero(t, pool.Live())
			})
		}
	}
}
