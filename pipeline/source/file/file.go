// Package file is the source that plays a local video file or picture.
//
// libavformat takes videos apart, restricted to a list of containers and to the
// local file; pictures are read as they are. The sink is called synchronously:
// without Realtime a file is played exactly as fast as the sink takes it, and
// nothing is dropped.
package file

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"detectd/pipeline"
	"detectd/pipeline/frame"
)

// Config says what to play and how.
type Config struct {
	Path     string
	Realtime bool // keep the pace of the time stamps; else as fast as the sink returns
	Loop     bool // start again at the end, on one continuous timeline
	// FPS plays the file at this many frames per second instead of its own rate;
	// a picture is repeated at this rate when it loops (0 means 1).
	FPS float64
	// StartTime is the capture time of the first frame; zero means the time of Run.
	StartTime time.Time
	NoSound   bool // leaves the sound out
}

// Source plays one file.
type Source struct{ cfg Config }

var _ pipeline.Source = (*Source)(nil)

// New returns a source that opens the file when it is run. The error is a
// *pipeline.SourceError.
func New(cfg Config) (*Source, error) {
	if cfg.Path == "" {
		return nil, fail(pipeline.StateBadURL, "the path of the file is empty", nil)
	}
	if cfg.FPS < 0 {
		return nil, fail(pipeline.StateBadURL, "the frame rate must not be negative", nil)
	}
	return &Source{cfg: cfg}, nil
}

// Run implements pipeline.Source. A file that does not loop ends with StateEnded.
func (s *Source) Run(ctx context.Context, sink pipeline.Sink) error {
	p := &player{cfg: s.cfg, sink: sink, began: time.Now(), lastDTS: -1}
	if listens, ok := sink.(pipeline.SoundSink); ok && !s.cfg.NoSound {
		p.hearing.sink = listens
	}
	if p.cfg.StartTime.IsZero() {
		p.cfg.StartTime = p.began
	}
	for {
		before := p.units
		err := p.once(ctx)
		if ctx.Err() != nil {
			return nil //nolint:nilerr // being stopped is no failure, whatever it interrupted
		}
		switch {
		case p.units == before && err == nil:
			return fail(pipeline.StateNoVideo, "the file holds no picture", nil)
		case s.cfg.Loop && p.units > before:
			continue // a file that is damaged at its end loops up to there
		case err != nil:
			return err
		}
		if missing, err := Short(s.cfg.Path); err == nil && missing > 0 {
			return fail(pipeline.StateEnded, fmt.Sprintf("the file was played to its end, which comes early: %d bytes of it are missing", missing), nil)
		}
		return fail(pipeline.StateEnded, "the file was played to its end", nil)
	}
}

// player keeps the timeline while a file is played, over all its loops.
type player struct {
	cfg     Config
	sink    pipeline.Sink
	began   time.Time     // when the timeline's 0 was due
	offset  time.Duration // where the present loop begins on the timeline
	lastDTS time.Duration
	units   int
	format  pipeline.Format // as announced
	hearing hearing
}

// once plays the file from its beginning to its end.
func (p *player) once(ctx context.Context) error {
	m, err := open(p.cfg.Path)
	if err != nil {
		return err
	}
	defer m.close()
	info := m.describe()
	rate, scale := info.FPS, 1.0
	if p.cfg.FPS > 0 {
		scale, rate = rate/p.cfg.FPS, p.cfg.FPS
	}
	sound := m.sound()
	if scale != 1 && sound.Codec != "" {
		sound = pipeline.SoundFormat{Missing: "the file is not played at its own speed"}
	}
	end := p.offset
	interval := time.Duration(float64(time.Second) / rate)
	for {
		u, err := m.next()
		p.listen(m)
		p.passedOver(m)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			p.offset = end
			return err
		}
		p.hearing.announce(sound)
		if f := m.describe().Format; p.units == 0 || u.Key && !f.Equal(p.format) {
			p.format = f
			p.sink.Format(f)
		}
		u.PTS = p.offset + time.Duration(float64(u.PTS)*scale)
		u.DTS = p.offset + time.Duration(float64(u.DTS)*scale)
		end = max(end, u.PTS+interval)
		if p.units > 0 {
			p.hear(ctx, u.DTS)
		}
		if !p.deliver(ctx, u) {
			return nil
		}
	}
	p.hear(ctx, end)
	p.hearing.queue = nil // it would be heard together with the next loop
	p.offset = end
	return nil
}

// passedOver tells the sink of units that could not be decoded.
func (p *player) passedOver(m medium) {
	v, ok := m.(*video)
	if !ok || v.passed == 0 {
		return
	}
	if l, ok := p.sink.(pipeline.Losses); ok {
		l.Lost(0, v.passed)
	}
	v.passed = 0
}

// deliver hands u on when it is due; false means that ctx ended.
func (p *player) deliver(ctx context.Context, u pipeline.Unit) bool {
	// Decoding order starts before 0 where pictures are reordered, and some files
	// are out of order: DTS must grow and never be after PTS.
	u.DTS = max(min(u.DTS, u.PTS), p.lastDTS+1)
	u.PTS = max(u.PTS, u.DTS)
	p.lastDTS = u.DTS
	if p.cfg.Realtime && !p.wait(ctx, u.DTS) {
		return false
	}
	if ctx.Err() != nil {
		return false
	}
	u.Time, u.Clock, u.Arrived = p.cfg.StartTime.Add(u.PTS), frame.ClockFile, time.Now()
	p.units++
	p.sink.Unit(u)
	return true
}

// maxBehind is how far playing may lag before it gives up catching up.
const maxBehind = time.Second

func (p *player) wait(ctx context.Context, due time.Duration) bool {
	ahead := due - time.Since(p.began)
	if ahead < -maxBehind {
		p.began = p.began.Add(-ahead)
	}
	if ahead <= 0 {
		return true
	}
	t := time.NewTimer(ahead)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

func fail(state pipeline.State, reason string, err error) *pipeline.SourceError {
	return &pipeline.SourceError{State: state, Reason: reason, Err: err}
}
