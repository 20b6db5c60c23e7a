package recall

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strconv"
	"sync"
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

// theatre plays one scene to one camera worker.
type theatre struct {
	spec   simulate.Spec
	format pipeline.Format
	units  []pipeline.Unit

	mu      sync.Mutex            // guards decoded
	decoded map[time.Duration]int // by PTS: how often

	worker *camera.Worker
	as     []store.Annotation // owned by the worker until it has ended
}

func newTheatre(ctx context.Context, path string, spec simulate.Spec) (*theatre, error) {
	if err := simulate.Generate(path, spec); err != nil {
		return nil, err
	}
	s, err := file.New(file.Config{Path: path, StartTime: time.Unix(1000, 0)})
	if err != nil {
		return nil, err
	}
	th := &theatre{spec: spec, decoded: map[time.Duration]int{}}
	if err := s.Run(ctx, (*collector)(th)); err != nil {
		if state, reason := pipeline.StateOf(err); state != pipeline.StateEnded {
			return nil, fmt.Errorf("read scene: %s", reason)
		}
	}
	return th, ctx.Err()
}

// collector keeps the units of a scene.
type collector theatre

// Format implements pipeline.Sink.
func (c *collector) Format(f pipeline.Format) { c.format = f }

// Unit implements pipeline.Sink.
func (c *collector) Unit(u pipeline.Unit) { c.units = append(c.units, u) }

// pace is the time between two units: sixteen times as fast as in life.
const pace = time.Second / (16 * fps)

// Run implements pipeline.Source.
func (th *theatre) Run(ctx context.Context, sink pipeline.Sink) error {
	sink.Format(th.format)
	began := time.Now()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for i, u := range th.units {
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
		}
		if err := th.keepUp(ctx); err != nil {
			return nil //nolint:nilerr // the end of ctx is no error of a source
		}
		sink.Unit(u)
		timer.Reset(time.Until(began.Add(time.Duration(i+1) * pace)))
	}
	return &pipeline.SourceError{State: pipeline.StateEnded}
}

const (
	// waiting is how many units may wait in the worker: fewer than its queue holds,
	// more than are held back while idle.
	waiting = 240
	// patience is how long they are waited for.
	patience = 5 * time.Second
)

// keepUp waits until the worker is not far behind: cameras would lose pictures,
// but how fast this machine is must not matter here.
func (th *theatre) keepUp(ctx context.Context) error {
	for began := time.Now(); time.Since(began) < patience; {
		s := th.worker.Status()
		if s.Units < s.Frames+s.IdleFrames+waiting {
			break
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Millisecond):
		}
	}
	return nil
}

// counted counts what is decoded.
type counted struct {
	camera.Decoder
	th *theatre
}

// Decode implements camera.Decoder.
func (c counted) Decode(u pipeline.Unit, emit func(*frame.Frame)) error {
	c.th.mu.Lock()
	c.th.decoded[u.PTS]++
	c.th.mu.Unlock()
	return c.Decoder.Decode(u, emit)
}

// brightness is the luma from which a place belongs to a figure; views stay below.
const brightness = 185

// Submit implements camera.Detector.
func (th *theatre) Submit(_ string, f *frame.Frame, done func(camera.Result)) {
	luma, stride := f.Luma()
	const side = 8 // pixels of a place
	x0, y0, x1, y1 := f.Width(), f.Height(), 0, 0
	for y := 0; y+side <= f.Height(); y += side {
		for x := 0; x+side <= f.Width(); x += side {
			sum := 0
			for row := y; row < y+side; row++ {
				for _, v := range luma[row*stride+x : row*stride+x+side] {
					sum += int(v)
				}
			}
			if sum > brightness*side*side {
				x0, y0, x1, y1 = min(x0, x), min(y0, y), max(x1, x+side), max(y1, y+side)
			}
		}
	}
	var found []detect.Detection
	if x1 > x0 {
		found = append(found, detect.Detection{Label: "person", Score: 0.9, Box: detect.Box{
			X: float32(x0), Y: float32(y0), W: float32(x1 - x0), H: float32(y1 - y0),
		}})
	}
	done(camera.Result{Detections: found, Ref: detect.Ref{Model: "figures", Version: 1}})
}

// Assignment implements camera.Detector.
func (th *theatre) Assignment(string) camera.Assignment { return camera.Assignment{FPS: 5} }

// Annotations implements annotate.Out.
func (th *theatre) Annotations(as []store.Annotation) { th.as = append(th.as, as...) }

// Track implements annotate.Out.
func (th *theatre) Track(store.Track) {}

var (
	_ pipeline.Source = (*theatre)(nil)
	_ camera.Detector = (*theatre)(nil)
	_ annotate.Out    = (*theatre)(nil)
)

// play shows the scene to a worker with a gate.
func (th *theatre) play(ctx context.Context, rng *rand.Rand) error {
	n := 0
	w, err := camera.NewWorker(store.Camera{ID: "scene"}, camera.Deps{
		Open: func(store.Camera) (pipeline.Source, error) { return th, nil },
		Taps: func(store.Camera, camera.Hooks) ([]camera.Tap, error) { return nil, nil },
		Decoder: func(f pipeline.Format, pool *frame.Pool) (camera.Decoder, error) {
			d, err := decode.New(f, pool, decode.Options{})
			return counted{d, th}, err
		},
		Annotator: func(store.Camera) camera.Annotator {
			tracker := track.New(track.Config{}, func() string { n++; return strconv.Itoa(n) })
			return annotate.New(annotate.Config{}, tracker, th)
		},
		Gate:     func(store.Camera) *activity.Gate { return activity.New(rng) },
		Detector: th, Retry: camera.DefaultRetry(), Log: slog.New(slog.DiscardHandler),
		State: func(pipeline.Status) {},
	})
	if err != nil {
		return err
	}
	th.worker = w
	running, cancel := context.WithCancel(ctx)
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- w.Run(running) }()
	all := uint64(len(th.units))
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for s := w.Status(); s.Frames+s.IdleFrames+s.Drops.Decode+s.Drops.Corrupt < all; s = w.Status() {
		select {
		case <-ctx.Done():
			cancel()
			return errors.Join(ctx.Err(), <-ended)
		case <-tick.C:
		}
	}
	cancel()
	err = <-ended
	if s := w.Status(); s.Drops.Decode > 0 {
		err = errors.Join(err, fmt.Errorf("this machine is too slow for it: %d pictures were dropped", s.Drops.Decode))
	}
	return err
}

// judge holds the annotations against the truth.
func (th *theatre) judge(name string) Result {
	r := Result{Scenes: 1, Units: len(th.units)}
	for _, times := range th.decoded {
		r.Decoded += times
	}
	for _, v := range th.spec.Scene.Visits {
		r.Events++
		delay := th.delay(v)
		started := delay >= 0 && delay <= fps/5+1 && th.decoded[th.as[v.From].PTS] > 0
		switch {
		case delay < 0:
			r.Late = append(r.Late, fmt.Sprintf("%s: picture %d to %d was not found", name, v.From, v.To))
		case !started:
			r.Late = append(r.Late, fmt.Sprintf("%s: picture %d was found %d pictures late", name, v.From, delay))
		}
		if delay >= 0 {
			r.Found++
		}
		if started {
			r.Started++
		}
	}
	return r
}

// delay is how many pictures after its first a visit is annotated, -1 for never.
func (th *theatre) delay(v simulate.Visit) int {
	for i := v.From; i < min(v.To, len(th.as)); i++ {
		x, y, width, height, _ := v.Visible(th.spec, i)
		for _, o := range th.as[i].Objects {
			ox, oy := float64(o.Box[0]+o.Box[2]/2), float64(o.Box[1]+o.Box[3]/2) // its middle
			if ox > float64(x) && ox < float64(x+width) && oy > float64(y) && oy < float64(y+height) {
				return i - v.From
			}
		}
	}
	return -1
}
