// Package camera runs the cameras: one worker each, which keeps a source going,
// hands the received video to the recorder and the live view, decodes it, picks
// frames for detection and has every frame annotated. The Manager keeps the
// workers in line with the configured cameras.
//
// Nothing here ever blocks a camera: queues are bounded, what does not fit is
// dropped and counted by place and reason.
package camera

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"detectd/detect"
	"detectd/pipeline"
	"detectd/pipeline/activity"
	"detectd/pipeline/frame"
	"detectd/store"
)

// Result is the answer of a Detector to one frame.
type Result struct {
	Detections []detect.Detection
	Ref        detect.Ref
	Err        error // batch.ErrStale when a newer frame took its place, ErrNoModel, or the detector's
}

// ErrNoModel is the error of a Result when no model is loaded for the camera.
var ErrNoModel = errors.New("no model is loaded for this camera")

// Assignment is what a Detector runs for a camera.
type Assignment struct {
	Ref      detect.Ref
	Revision int64
	FPS      float64 // detections per second wanted
	FastFPS  float64 // while objects move fast; 0: Deps.FastFPS
	Err      string
}

// Detector finds objects in the frames of all cameras.
type Detector interface {
	// Submit hands in a frame; done is called exactly once and must not block.
	Submit(cameraID string, f *frame.Frame, done func(Result))
	Assignment(cameraID string) Assignment
}

// Annotator turns detections of some frames into annotations of all frames. It
// is used by one goroutine. One that also has Late() uint64 tells by it how many
// detections came after their frames had gone out.
type Annotator interface {
	// Frame is called for every decoded frame, in order.
	Frame(m frame.Meta, width, height int)
	// Selected says that the frame seq went to the detector.
	Selected(seq uint64)
	// Detected brings the detections of a selected frame.
	Detected(m frame.Meta, dets []detect.Detection, model string, version int)
	// Failed says that no detections will come for a selected frame.
	Failed(seq uint64)
	// SetHold says how long frames may wait for the next detection.
	SetHold(d time.Duration)
	// Flush completes all frames and ends all tracks: the source ended or broke.
	Flush()
}

// Tap receives the video as it came, beside the decoder.
type Tap interface {
	pipeline.Sink
	// Run works until ctx ends.
	Run(ctx context.Context) error
}

// Hooks lets a tap report into the camera's status.
type Hooks struct {
	Dropped func(units int)   // units it could not record
	Trouble func(text string) // why recording fails, "" when it works again
	Unseen  func(units int)   // units that somebody who watches did not get
}

// Deps is what a worker works with.
type Deps struct {
	Open      func(c store.Camera) (pipeline.Source, error)
	Taps      func(c store.Camera, h Hooks) ([]Tap, error)
	Decoder   func(f pipeline.Format, pool *frame.Pool) (Decoder, error)
	Annotator func(c store.Camera) Annotator
	Detector  Detector
	// Gate decides when a camera's video need not be decoded; nil: it always is.
	Gate func(c store.Camera) *activity.Gate
	// Share is the camera's part of the decoding of all; nil: it has the machine for
	// itself.
	Share func(c store.Camera) Share
	// FastFPS is how many detections per second are made at most while objects
	// move fast; 0: never more than the normal rate.
	FastFPS float64
	// State announces a new state; it must not block.
	State func(pipeline.Status)
	Retry Retry
	Log   *slog.Logger
}

// Decoder turns coded pictures into frames.
type Decoder interface {
	// Decode hands every finished frame to emit, with one reference.
	Decode(u pipeline.Unit, emit func(*frame.Frame)) error
	// Flush hands out what is still inside.
	Flush(emit func(*frame.Frame)) error
	Close()
}

// Worker runs one camera. Make one with NewWorker; Run it once.
type Worker struct {
	camera store.Camera
	deps   Deps
	log    *slog.Logger
	pool   frame.Pool
	taps   []Tap

	units, frames, inferences, bytes, reconnects atomic.Uint64
	idleFrames, selected                         atomic.Uint64
	drops                                        drops
	held                                         atomic.Int64    // units kept undecoded
	flowing                                      atomic.Int64    // since when units come, in Unix ns; 0: they do not
	changed                                      atomic.Bool     // what looks at the pictures is not what it was
	asked                                        [2]atomic.Int64 // when the newest frame was last asked for, in Unix ns

	mu     sync.Mutex // guards what follows
	status pipeline.Status
	latest *frame.Frame
	over   bool // the source ended: its last frames do not mean that it runs

	timeline timeline // owned by the source's goroutine
	queue    chan coded
	skipping bool             // owned by the source's goroutine
	format   *pipeline.Format // owned by the source's goroutine; to go with the next unit
	events   chan event
	answers  chan answer       // of the detector, for the decoder's goroutine
	regate   chan store.Camera // whose gate is to be made anew, for the decoder's goroutine
	pending  sync.WaitGroup    // frames with the detector
	pace     pace
	seq      uint64 // owned by the decoder's goroutine
}

// coded is what waits for the decoder: a unit, with the format when it is new,
// or the news that the source ended.
type coded struct {
	format *pipeline.Format
	unit   pipeline.Unit
	ended  bool
}

// event is a message to the goroutine that owns the annotator.
type event struct {
	kind          eventKind
	meta          frame.Meta
	width, height int
	result        Result
	hold          time.Duration
}

type eventKind int

const (
	frameDecoded eventKind = iota
	frameSelected
	frameAnswered
	sourceEnded
)

const (
	queueUnits  = 256  // about 4 s at 60 fps
	queueEvents = 1024 // frames and answers on their way to the annotator
	// queueAnswers is for more detections than can be under way at a time.
	queueAnswers = 64
)

// NewWorker returns a worker for the camera.
func NewWorker(c store.Camera, deps Deps) (*Worker, error) {
	w := &Worker{
		camera: c, deps: deps, log: deps.Log.With("camera", c.ID),
		queue: make(chan coded, queueUnits), events: make(chan event, queueEvents),
		answers: make(chan answer, queueAnswers), regate: make(chan store.Camera, 1), pace: pace{},
		status: pipeline.Status{CameraID: c.ID, State: pipeline.StateConnecting, Since: time.Now()},
	}
	var err error
	w.taps, err = deps.Taps(c, Hooks{
		Dropped: func(units int) { w.drops.record.Add(uint64(units)) },
		Unseen:  func(units int) { w.drops.live.Add(uint64(units)) },
		Trouble: func(text string) { w.update(func(s *pipeline.Status) { s.RecordError = text }) },
	})
	if err != nil {
		return nil, fmt.Errorf("set up camera %s: %w", c.ID, err)
	}
	return w, nil
}

// Run works until ctx ends, whatever happens to the camera, and returns nil.
func (w *Worker) Run(ctx context.Context) error {
	defer w.setLatest(nil)
	w.announce()
	tapCtx, stopTaps := context.WithCancel(context.WithoutCancel(ctx))
	var taps errgroup.Group
	for _, t := range w.taps {
		taps.Go(func() error { return t.Run(tapCtx) })
	}
	var g errgroup.Group
	g.Go(func() error { w.annotate(); return nil })
	g.Go(func() error { w.decode(ctx); return nil })
	w.supervise(ctx)
	// No unit comes any more. The taps end first: what was recorded is completed
	// also when the decoder or the detector is stuck.
	stopTaps()
	err := taps.Wait()
	close(w.queue)
	return errors.Join(err, g.Wait())
}

// decode turns queued units into frames until the queue is closed.
func (w *Worker) decode(ctx context.Context) {
	defer close(w.events)
	defer w.pending.Wait()
	v := newVideo(ctx, w)
	defer v.leave()
	defer v.close()
	for {
		select {
		case c, ok := <-w.queue:
			if !ok {
				return
			}
			v.take(c)
		case a := <-w.answers:
			v.answered(a)
		case c := <-w.regate:
			v.regate(c)
		}
	}
}

// annotate owns the annotator.
func (w *Worker) annotate() {
	a := w.deps.Annotator(w.camera)
	defer a.Flush()
	late, _ := a.(interface{ Late() uint64 })
	for e := range w.events {
		switch {
		case e.kind == frameDecoded:
			a.SetHold(e.hold) // 0 changes nothing
			a.Frame(e.meta, e.width, e.height)
		case e.kind == frameSelected:
			a.SetHold(e.hold)
			a.Selected(e.meta.Seq)
		case e.kind == sourceEnded:
			a.Flush()
		case e.result.Err != nil:
			a.Failed(e.meta.Seq)
		default:
			a.Detected(e.meta, e.result.Detections, e.result.Ref.Model, e.result.Ref.Version)
			if late != nil {
				w.drops.outrun.Store(late.Late())
			}
		}
	}
}

// Latest returns the newest frame with a reference for the caller, nil when
// there is none.
func (w *Worker) Latest() *frame.Frame {
	w.asked[1].Store(w.asked[0].Swap(time.Now().UnixNano()))
	return w.newest()
}

// newest is Latest for the worker itself.
func (w *Worker) newest() *frame.Frame {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.latest == nil {
		return nil
	}
	return w.latest.Retain()
}

// Changed says that what is looked for in the pictures is something else now, such
// as in other zones: they are looked at anew.
func (w *Worker) Changed() { w.changed.Store(true) }

// watchTime is how long after the last request a viewer counts as gone.
const watchTime = 2 * time.Second

// watched says that somebody asks for one frame after the other.
func (w *Worker) watched() bool {
	newest, before := w.asked[0].Load(), w.asked[1].Load()
	return before > 0 && newest-before < int64(time.Second) && time.Now().UnixNano()-newest < int64(watchTime)
}

func (w *Worker) setLatest(f *frame.Frame) {
	w.mu.Lock()
	old := w.latest
	w.latest = f
	w.mu.Unlock()
	if old != nil {
		old.Release()
	}
}
