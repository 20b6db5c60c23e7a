package render

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"time"

	"detectd/pipeline/frame"
	"detectd/pipeline/playback"
	"detectd/render"
	"detectd/render/draw"
	"detectd/render/video"
	"detectd/store"
)

// maxWidth is that of the videos made, in pixels: larger frames are made smaller.
const maxWidth = 3840

// still makes the picture of a moment.
func (j *job) still(ctx context.Context, path string) error {
	jpeg, _, _, err := j.stage.JPEG(ctx, j.CameraID, j.From, true)
	if errors.Is(err, store.ErrNotFound) {
		return errors.New("there is no recording of this moment")
	}
	if err != nil {
		return err
	}
	j.MIME = "image/jpeg"
	if err := os.WriteFile(path, jpeg, 0o600); err != nil {
		return fmt.Errorf("write picture: %w", err)
	}
	return nil
}

// clip makes a video of all that was recorded in the span.
func (j *job) clip(ctx context.Context, path string) error {
	segments, err := j.segments(ctx)
	if err != nil {
		return err
	}
	out := &film{path: path}
	var pool frame.Pool
	defer pool.Close()
	for _, segment := range segments {
		if err := j.play(ctx, segment, out, &pool); err != nil {
			_ = out.close() // nobody will see it
			return err
		}
	}
	if err := out.close(); err != nil {
		return err
	}
	if out.frames == 0 {
		return errors.New("there is no recording of this time")
	}
	j.MIME = "video/mp4"
	return nil
}

// segments are those of the span, by time.
func (j *job) segments(ctx context.Context) ([]store.Segment, error) {
	return store.AllSegments(ctx, j.stage.deps.Segments, j.CameraID, store.Range{From: j.From, To: j.To})
}

// play adds the frames of one segment. One whose file is gone is passed over:
// retention may delete it at any time.
func (j *job) play(ctx context.Context, segment store.Segment, out *film, pool *frame.Pool) error {
	s, path, near := j.stage, j.stage.path(segment), tolerance(interval(segment))
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	from, to := later(j.From, segment.Start), j.To
	known, err := s.deps.Series.Annotations(ctx, j.CameraID,
		store.Range{From: from.Add(-near), To: earlier(to, segment.End).Add(near)}, store.MaxAnnotations)
	if err != nil {
		return err
	}
	err = playback.Play(ctx, path, from.Sub(segment.Start), to.Sub(segment.Start), pool, func(f *frame.Frame, at time.Duration) error {
		captured := segment.Start.Add(at)
		if err := out.addAt(f, labels(f, nearest(known, captured, near)), captured, interval(segment)); err != nil {
			return err
		}
		return j.progress(ctx, float64(captured.Sub(j.From))/float64(j.To.Sub(j.From)))
	})
	if errors.Is(err, playback.ErrNoFrame) {
		return nil
	}
	return err
}

// nearest is the annotation nearest to t within the tolerance, else an empty one.
// as is sorted by time.
func nearest(as []store.Annotation, t time.Time, near time.Duration) (best store.Annotation) {
	i, _ := slices.BinarySearchFunc(as, t, func(a store.Annotation, t time.Time) int { return a.Time.Compare(t) })
	around := as[max(0, i-1):min(len(as), i+1)]
	if len(around) == 0 {
		return best
	}
	found := slices.MinFunc(around, func(a, b store.Annotation) int {
		return cmp.Compare(a.Time.Sub(t).Abs(), b.Time.Sub(t).Abs())
	})
	if found.Time.Sub(t).Abs() <= near {
		best = found
	}
	return best
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// film is a video with boxes that is being written. It begins with its first
// frame, whose size it has.
type film struct {
	path     string
	encoder  *video.Encoder
	frames   int
	pts      time.Duration // of the newest frame
	captured time.Time     // the same, for addAt
}

// minStep is the least time between two frames: the encoder wants them to grow.
const minStep = time.Millisecond

// addAt adds a frame at its capture time. Gaps in the recording are cut out: the
// film goes on after one interval. A frame from before the newest is left out.
func (o *film) addAt(f *frame.Frame, ls []render.Label, captured time.Time, interval time.Duration) error {
	pts := time.Duration(0)
	if o.frames > 0 {
		step := captured.Sub(o.captured)
		if step < minStep {
			return nil
		}
		if step > max(time.Second, 3*interval) {
			step = interval
		}
		pts = o.pts + step
	}
	o.captured = captured
	return o.add(f, ls, pts, float64(time.Second)/float64(interval))
}

// add adds a frame at a time of the film.
func (o *film) add(f *frame.Frame, ls []render.Label, pts time.Duration, fps float64) (err error) {
	p, err := draw.Frame(f, ls, render.Style{Width: maxWidth})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.Close()) }()
	if o.encoder == nil {
		ratio := f.AV().SampleAspectRatio()
		aspect := [2]int{ratio.Num(), ratio.Den()}
		if f.Orientation.Swapped() {
			aspect[0], aspect[1] = aspect[1], aspect[0]
		}
		o.encoder, err = video.New(o.path, video.Spec{
			Width: p.Width(), Height: p.Height(), FPS: fps, Threads: threads(), Aspect: aspect,
		})
		if err != nil {
			return err
		}
	}
	if o.frames > 0 && pts < o.pts+minStep {
		pts = o.pts + minStep
	}
	o.pts = pts
	o.frames++
	return o.encoder.WritePicture(p, pts)
}

// close completes the file.
func (o *film) close() error {
	if o.encoder == nil {
		return nil
	}
	return o.encoder.Close()
}
