package render

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"detectd/pipeline/frame"
	"detectd/pipeline/playback"
	"detectd/render"
	"detectd/render/draw"
	"detectd/store"
)

const (
	// nearby is how far from the time asked for a picture may be.
	nearby = 2 * time.Second
	// liveNearby is how far from a live frame its annotation may be: that of the
	// frame itself is stored when the detection after it is known.
	liveNearby = 1500 * time.Millisecond
	// always reaches every recording there is.
	always = 100 * 365 * 24 * time.Hour
)

// moment is a frame with the time it was captured.
type moment struct {
	frame  *frame.Frame
	pool   *frame.Pool // of the frame, when it is ours
	at     time.Time
	clock  string
	nearby time.Duration // how far its annotation may be
}

func (m moment) release() {
	m.frame.Release()
	if m.pool != nil {
		m.pool.Close()
	}
}

// JPEG returns the picture of a camera nearest to at, within 2 s of it, or its
// newest one for a zero at, with the time it was captured and how that is known
// (rtcp, arrival or file). With boxes, its objects are drawn. store.ErrNotFound
// when there is no such picture.
func (s *Stage) JPEG(ctx context.Context, cameraID string, at time.Time, boxes bool) (jpeg []byte, captured time.Time, clock string, err error) {
	if err := s.acquire(ctx); err != nil {
		return nil, time.Time{}, "", err
	}
	defer func() { <-s.slots }()
	var m moment
	if at.IsZero() {
		m, err = s.newest(ctx, cameraID)
	} else {
		m, err = s.recorded(ctx, cameraID, at)
	}
	if err != nil {
		return nil, time.Time{}, "", err
	}
	defer m.release()
	var a store.Annotation
	if boxes {
		if a, err = s.annotation(ctx, cameraID, m); err != nil {
			return nil, time.Time{}, "", err
		}
	}
	jpeg, err = s.Draw(m.frame, a, 0)
	return jpeg, m.at, m.clock, err
}

// acquire waits for a slot, which the caller gives back.
func (s *Stage) acquire(ctx context.Context) error {
	select {
	case s.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// annotation finds what is known about a frame; nothing is no error.
func (s *Stage) annotation(ctx context.Context, cameraID string, m moment) (store.Annotation, error) {
	a, err := s.deps.Series.AnnotationAt(ctx, cameraID, m.at, m.nearby)
	if errors.Is(err, store.ErrNotFound) {
		return store.Annotation{}, nil
	}
	return a, err
}

// Draw draws the objects of an annotation on a frame and codes it as JPEG, upright
// and in its true shape. width in pixels makes it smaller; 0 keeps the frame's. f
// stays the caller's.
func (s *Stage) Draw(f *frame.Frame, a store.Annotation, width int) ([]byte, error) {
	p, err := draw.Frame(f, labels(f, a), render.Style{Width: width, TrueShape: true})
	if err != nil {
		return nil, err
	}
	jpeg, err := draw.JPEG(p, 0)
	return jpeg, errors.Join(err, p.Close())
}

// newest is the newest live frame, else the newest recorded one.
func (s *Stage) newest(ctx context.Context, cameraID string) (moment, error) {
	if m, ok := s.live(cameraID); ok {
		return m, nil
	}
	segment, err := s.deps.Segments.SegmentAt(ctx, cameraID, time.Now(), always)
	if err != nil {
		return moment{}, noPicture(cameraID, err)
	}
	return s.open(ctx, segment, segment.End)
}

func (s *Stage) live(cameraID string) (moment, bool) {
	f := s.deps.Latest(cameraID)
	if f == nil {
		return moment{}, false
	}
	return moment{frame: f, at: f.Time, clock: string(f.Clock), nearby: liveNearby}, true
}

// recorded is the frame nearest to at. For a moment so new that its recording is
// not in the index yet, the live frame may do.
func (s *Stage) recorded(ctx context.Context, cameraID string, at time.Time) (moment, error) {
	var m moment
	segment, err := s.deps.Segments.SegmentAt(ctx, cameraID, at, nearby)
	if err == nil {
		m, err = s.open(ctx, segment, at)
	}
	found := err == nil
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return moment{}, err
	}
	if found && distance(m, at) <= nearby && !at.After(segment.End) {
		return m, nil
	}
	if live, ok := s.live(cameraID); ok {
		if !found || distance(live, at) < distance(m, at) {
			if found {
				m.release()
			}
			m, found = live, true
		} else {
			live.release()
		}
	}
	if found && distance(m, at) <= nearby {
		return m, nil
	}
	if found {
		m.release()
	}
	return moment{}, fmt.Errorf("picture of camera %q at %s: %w", cameraID, at.UTC().Format(time.RFC3339Nano), store.ErrNotFound)
}

func distance(m moment, at time.Time) time.Duration { return m.at.Sub(at).Abs() }

// open decodes the frame of a segment that is nearest to at.
func (s *Stage) open(ctx context.Context, segment store.Segment, at time.Time) (moment, error) {
	path := s.path(segment)
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) { // deleted just now
		return moment{}, noPicture(segment.CameraID, store.ErrNotFound)
	}
	pool := &frame.Pool{}
	f, offset, err := playback.FrameAt(ctx, path, at.Sub(segment.Start), pool)
	if err != nil {
		pool.Close()
		if errors.Is(err, playback.ErrNoFrame) {
			err = noPicture(segment.CameraID, store.ErrNotFound)
		}
		return moment{}, err
	}
	return moment{
		frame: f, pool: pool, at: segment.Start.Add(offset), clock: segment.Clock,
		nearby: tolerance(interval(segment)),
	}, nil
}

func (s *Stage) path(segment store.Segment) string {
	return filepath.Join(s.cfg.Media, filepath.FromSlash(segment.Path))
}

func noPicture(cameraID string, err error) error {
	return fmt.Errorf("picture of camera %q: %w", cameraID, err)
}

// interval is the mean time between two frames of a segment.
func interval(segment store.Segment) time.Duration {
	d := segment.End.Sub(segment.Start)
	if segment.Frames < 1 || d <= 0 {
		return 40 * time.Millisecond
	}
	return d / time.Duration(segment.Frames)
}

// tolerance is how far the time of an annotation may be from that of the frame
// it belongs to: clocks are mapped with jitter, but the next frame is another.
func tolerance(interval time.Duration) time.Duration {
	return min(max(interval/2, 20*time.Millisecond), 500*time.Millisecond)
}

// labels are the boxes of an annotation for a frame, which may have another size
// than the one that was looked at.
func labels(f *frame.Frame, a store.Annotation) []render.Label {
	sx, sy := float32(1), float32(1)
	if a.Width > 0 && a.Height > 0 {
		width, height := f.UprightSize()
		sx, sy = float32(width)/float32(a.Width), float32(height)/float32(a.Height)
	}
	ls := make([]render.Label, 0, len(a.Objects))
	for _, o := range a.Objects {
		b := o.Box
		ls = append(ls, label(o.Label, o.Score, o.ClassID, o.TrackID, [4]float32{b[0] * sx, b[1] * sy, b[2] * sx, b[3] * sy}))
	}
	return ls
}

// label is the box of an object. One that is followed has the colour of its
// track and the track's number, which is the last part of its id.
func label(name string, score float32, classID int, trackID string, box [4]float32) render.Label {
	l := render.Label{Text: render.Caption(name, score), Box: box, Color: render.ClassColor(classID)}
	if trackID != "" {
		l.Text += " #" + trackID[strings.LastIndexByte(trackID, '-')+1:]
		l.Color = render.TrackColor(trackID)
	}
	return l
}
