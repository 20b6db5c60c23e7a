// Package proof shows what cameras that are left undecoded while nothing moves
// (pipeline/activity) miss: it runs a camera's worker in front of painted scenes
// whose truth is known, as fast as it goes, and counts what was found of it.
package proof

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"detectd/detect"
	"detectd/pipeline"
	"detectd/pipeline/activity"
	"detectd/pipeline/camera"
	"detectd/pipeline/decode"
	"detectd/pipeline/frame"
	"detectd/pipeline/simulate"
	"detectd/pipeline/source/file"
	"detectd/pipeline/stage/annotate"
	"detectd/pipeline/stage/track"
	"detectd/store"
)

// Video is a coded video in memory.
type Video struct {
	Format pipeline.Format
	Units  []pipeline.Unit // in decoding order
}

// Read reads a video file.
func Read(ctx context.Context, path string) (v Video, err error) {
	s, err := file.New(file.Config{Path: path, StartTime: time.Unix(1000, 0)})
	if err != nil {
		return v, err
	}
	var all sink
	if state, reason := pipeline.StateOf(s.Run(ctx, &all)); state != pipeline.StateEnded {
		return v, fmt.Errorf("read %s: %s", filepath.Base(path), reason)
	}
	return all.video, nil
}

type sink struct{ video Video }

func (s *sink) Unit(u pipeline.Unit) { s.video.Units = append(s.video.Units, u) }

// Format implements pipeline.Sink.
func (s *sink) Format(f pipeline.Format) { s.video.Format = f }

// Seen is what a detector finds in the frame with the given capture PTS.
type Seen func(f *frame.Frame) []detect.Detection

// Played is what a worker with a gate made of a video.
type Played struct {
	States      []Moment              // of the gate when each unit came
	Reasons     map[string]int        // units by the reason for the gate's state
	Decoded     map[time.Duration]int // how often the unit was decoded
	Annotations []store.Annotation
	Status      pipeline.Status
}

// Moment is the state of the gate just before a unit came.
type Moment struct {
	PTS   time.Duration
	State activity.State
}

// Before is the state before the first unit came that is shown at pts or later.
func (p *Played) Before(pts time.Duration) activity.State {
	for _, m := range p.States {
		if m.PTS >= pts {
			return m.State
		}
	}
	return ""
}

// Share is the part of the units that was decoded, counting every time.
func (p *Played) Share() float64 {
	n := 0
	for _, times := range p.Decoded {
		n += times
	}
	return float64(n) / float64(max(1, len(p.States)))
}

// Play shows a video to the worker of a camera with a gate. audits chooses the
// moments that are checked at random; nil: none.
func Play(ctx context.Context, v Video, seen Seen, audits *rand.Rand) (*Played, error) {
	decode.Quiet()
	p := &Played{Reasons: map[string]int{}, Decoded: map[time.Duration]int{}}
	var ids int
	var gate *activity.Gate
	w, err := camera.NewWorker(store.Camera{ID: "proof"}, camera.Deps{
		Taps: func(store.Camera, camera.Hooks) ([]camera.Tap, error) { return nil, nil },
		Decoder: func(f pipeline.Format, pool *frame.Pool) (camera.Decoder, error) {
			d, err := decode.New(f, pool, decode.Options{})
			return counting{d, p}, err
		},
		Annotator: func(store.Camera) camera.Annotator {
			return annotate.New(annotate.Config{}, track.New(track.Config{}, func() string { ids++; return strconv.Itoa(ids) }), out{p})
		},
		Gate:     func(store.Camera) *activity.Gate { gate = activity.New(audits); return gate },
		Detector: detector{seen}, Log: slog.New(slog.DiscardHandler), State: func(pipeline.Status) {},
	})
	if err != nil {
		return nil, err
	}
	err = w.Replay(ctx, v.Format, func(yield func(pipeline.Unit) bool) {
		for _, u := range v.Units {
			if gate == nil {
				p.States = append(p.States, Moment{u.PTS, activity.Learning})
			} else {
				p.States = append(p.States, Moment{u.PTS, gate.Report().State})
				p.Reasons[gate.Report().Reason]++
			}
			if !yield(u) {
				return
			}
		}
	})
	p.Status = w.Status()
	return p, err
}

// counting counts what is decoded.
type counting struct {
	camera.Decoder
	p *Played
}

func (c counting) Decode(u pipeline.Unit, emit func(*frame.Frame)) error {
	c.p.Decoded[u.PTS]++
	return c.Decoder.Decode(u, emit)
}

type out struct{ p *Played }

func (o out) Annotations(as []store.Annotation) { o.p.Annotations = append(o.p.Annotations, as...) }
func (out) Track(store.Track)                   {}

// detector answers at once.
type detector struct{ seen Seen }

// perSecond is how many detections a second the cameras get, as by default.
const perSecond = 5

func (d detector) Assignment(string) camera.Assignment { return camera.Assignment{FPS: perSecond} }

func (d detector) Submit(_ string, f *frame.Frame, done func(camera.Result)) {
	done(camera.Result{Detections: d.seen(f), Ref: detect.Ref{Model: "truth", Version: 1}})
}

// paint makes the video of a painted scene, in the folder dir, where it may be
// already.
func paint(ctx context.Context, dir, name string, spec simulate.Spec) (Video, error) {
	path := filepath.Join(dir, name+".mkv")
	if _, err := os.Stat(path); err == nil {
		return Read(ctx, path)
	}
	if err := simulate.Generate(path, spec); err != nil {
		return Video{}, err
	}
	return Read(ctx, path)
}

// times are the PTS of a video's pictures in the order of showing.
func (v Video) times() []time.Duration {
	all := make([]time.Duration, len(v.Units))
	for i, u := range v.Units {
		all[i] = u.PTS
	}
	slices.Sort(all)
	return all
}
