package ort

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	ort "github.com/yalue/onnxruntime_go"

	"detectd/detect"
	"detectd/detect/scan"
)

// Errors of models that cannot be used.
var (
	// ErrNotFinite is detect.ErrNotFinite.
	ErrNotFinite = detect.ErrNotFinite
	// ErrSlow is returned when a model does not finish its trial run in time.
	ErrSlow = errors.New("model is too slow")
	// ErrRun is returned when the runtime or its provider fails in a run.
	ErrRun = errors.New("run model")
)

// Options tune a session. The zero value is right for many callers on a CPU.
type Options struct {
	// Threads work together on one call; 0 means 1. More than 1 only pays for a
	// lone caller.
	Threads  int
	Provider Provider // "" means CPU
	Device   int      // number of the GPU
	Callers  int      // that will run the session at the same time; 0 means 1. OpenVINO plans for them
	Engines  string   // folder in which TensorRT keeps what it has compiled; "" compiles at every start
	// Trial bounds each of the runs that NewSession makes; 0 means 30 seconds, and
	// 15 minutes with TensorRT, which compiles the model then.
	Trial time.Duration

	bind bool // bind inputs and outputs also where the provider works in the host's memory
}

func (o Options) trial() time.Duration {
	switch {
	case o.Trial > 0:
		return o.Trial
	case o.Provider == TensorRT:
		return 15 * time.Minute
	default:
		return 30 * time.Second
	}
}

// Info says what a session takes and gives.
type Info struct {
	Input     string
	Type      string  // element type of the input: float32 (also when empty), float16 or uint8
	Shape     []int64 // of the input; the first number is the batch, 0 when free
	Constants []Constant
	Outputs   []string // float32 all
}

// Constant is a further input that is the same in every call.
type Constant struct {
	Name   string
	Type   string    // float32, float64, int32 or int64
	Shape  []int64   // 0 in the first place: the batch, each picture gets Values
	Values []float64 // of one picture
}

// Session is a loaded model with one picture input. It is safe for concurrent
// use; calls run side by side.
type Session struct {
	rt      *Runtime
	s       *ort.DynamicAdvancedSession
	info    Info
	outputs []outputShape
	bind    bool // runs are made with bound inputs and outputs
	gpu     bool // tensors lie in locked pages
	device  int

	mu    sync.Mutex      // guards free
	free  map[int][]*Call // idle calls by batch size
	close sync.Once
}

// outputShape is the shape of an output; batched says that its first dimension
// is the batch.
type outputShape struct {
	dims    []int64
	batched bool
}

// ErrSinglePicture is returned by NewSession for a model that says that its batch is
// free and runs with one picture only. With 1 as the first of Info.Shape it can be used.
var ErrSinglePicture = errors.New("the model takes one picture at a time, though its file says any number")

// NewSession loads a model. A free batch is found out by running the model once
// with one and once with two empty pictures, which also gives the shapes of the
// outputs. The model's bytes are not needed afterwards.
func (r *Runtime) NewSession(model []byte, info Info, o Options) (*Session, error) {
	if err := r.enter(); err != nil {
		return nil, err
	}
	gpu := o.Provider.GPU()
	s := &Session{rt: r, info: info, free: map[int][]*Call{}, gpu: gpu, bind: gpu || o.bind, device: o.Device}
	if err := r.prepare(o.Provider); err != nil {
		r.leave()
		return nil, fmt.Errorf("load model: start %s: %w", o.Provider, err)
	}
	var opts *ort.SessionOptions
	var err error
	keepSignalStack(func() { opts, err = sessionOptions(o) })
	if err == nil {
		defer opts.Destroy() //nolint:errcheck // cannot fail
		inputs := []string{info.Input}
		for _, c := range info.Constants {
			inputs = append(inputs, c.Name)
		}
		keepSignalStack(func() {
			s.s, err = ort.NewDynamicAdvancedSessionWithONNXData(model, inputs, info.Outputs, opts)
		})
	}
	if err != nil {
		r.leave()
		return nil, fmt.Errorf("load model: %s", oneLine(err.Error()))
	}
	if err := s.probe(o.trial()); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func sessionOptions(o Options) (*ort.SessionOptions, error) {
	opts, err := ort.NewSessionOptions()
	if err != nil {
		return nil, err
	}
	err = errors.Join(
		opts.SetIntraOpNumThreads(max(o.Threads, 1)),
		opts.SetInterOpNumThreads(1),
		opts.SetExecutionMode(ort.ExecutionModeSequential),
		opts.SetGraphOptimizationLevel(o.Provider.optimisation()),
		// A spinning thread takes the core that another caller could use.
		opts.AddSessionConfigEntry("session.intra_op.allow_spinning", "0"),
		opts.AddSessionConfigEntry("session.inter_op.allow_spinning", "0"),
		opts.SetLogSeverityLevel(ort.LoggingLevelFatal),
		addProvider(opts, o),
	)
	if err != nil {
		return nil, errors.Join(err, opts.Destroy())
	}
	return opts, nil
}

// probe runs the model to learn the shapes of its outputs.
func (s *Session) probe(limit time.Duration) error {
	first := max(int(s.info.Shape[0]), 1)
	one, err := s.shapes(first, limit)
	if err != nil {
		return err
	}
	two := one
	if s.info.Shape[0] == 0 {
		if two, err = s.shapes(2, limit); err != nil {
			if errors.Is(err, ErrSlow) {
				return err
			}
			return fmt.Errorf("%w: %w", ErrSinglePicture, err)
		}
	}
	for i, dims := range one {
		name := s.info.Outputs[i]
		if slices.Contains(dims, 0) {
			return fmt.Errorf("output %q is empty (%v) for an empty picture: %s", name, dims, fixedSize)
		}
		out := outputShape{dims: dims}
		if !slices.Equal(dims, two[i]) {
			if len(dims) < 1 || dims[0] != 1 || two[i][0] != 2 || !slices.Equal(dims[1:], two[i][1:]) {
				return fmt.Errorf("%w: output %q changes from %v to %v with a second picture", ErrSinglePicture, name, dims, two[i])
			}
			out.batched = true
		} else if s.info.Shape[0] > 0 && len(dims) > 0 && dims[0] == s.info.Shape[0] {
			out.batched = true
		}
		s.outputs = append(s.outputs, out)
	}
	return nil
}

// shapes runs the model on empty pictures and returns the shapes of its outputs.
func (s *Session) shapes(batch int, limit time.Duration) ([][]int64, error) {
	c := &Call{s: s, batch: batch}
	defer c.destroy()
	if err := c.makeInputs(); err != nil {
		return nil, err
	}
	c.out = make([]ort.Value, len(s.info.Outputs)) // the runtime makes them
	ctx, cancel := context.WithTimeoutCause(context.Background(), limit,
		fmt.Errorf("%w: it was stopped after %v", ErrSlow, limit))
	defer cancel()
	if err := c.run(ctx); err != nil {
		return nil, fmt.Errorf("try the model with %d pictures: %w", batch, err)
	}
	var shapes [][]int64
	for i, v := range c.out {
		if _, ok := v.(*ort.Tensor[float32]); !ok {
			return nil, fmt.Errorf("output %q is not a float32 tensor", s.info.Outputs[i])
		}
		shapes = append(shapes, v.GetShape())
	}
	return shapes, nil
}

func (s *Session) inputShape(batch int) ort.Shape {
	shape := slices.Clone(s.info.Shape)
	shape[0] = int64(batch)
	return shape
}

// OutputShapes returns the outputs' shapes for one picture, without the batch
// dimension where they have one.
func (s *Session) OutputShapes() [][]int64 {
	shapes := make([][]int64, len(s.outputs))
	for i, o := range s.outputs {
		shapes[i] = slices.Clone(o.dims)
		if o.batched {
			shapes[i] = shapes[i][1:]
		}
	}
	return shapes
}

// Acquire returns the tensors for one call with a batch of pictures; the caller
// fills the input, runs it, reads the outputs and releases it.
func (s *Session) Acquire(batch int) (*Call, error) {
	s.mu.Lock()
	list := s.free[batch]
	if n := len(list); n > 0 {
		c := list[n-1]
		s.free[batch] = list[:n-1]
		s.mu.Unlock()
		return c, nil
	}
	s.mu.Unlock()
	return s.newCall(batch)
}

// Close frees the session. No call may be out.
func (s *Session) Close() error {
	var err error
	s.close.Do(func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		for _, list := range s.free {
			for _, c := range list {
				c.destroy()
			}
		}
		s.free = nil
		err = s.s.Destroy()
		s.rt.leave()
	})
	return err
}

// Run runs the model on the call's inputs. When ctx ends, the model is stopped
// after the operator it is at; on a GPU, where a run takes milliseconds and the
// binding takes no options, it is finished. The outputs are checked to be finite.
// ErrRun is the error of the runtime itself.
func (c *Call) Run(ctx context.Context) error {
	if err := c.run(ctx); err != nil {
		return err
	}
	for i, data := range c.outputs {
		if !scan.Finite(data) {
			return fmt.Errorf("%w: output %q", ErrNotFinite, c.s.info.Outputs[i])
		}
	}
	return nil
}

func (c *Call) run(ctx context.Context) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	if c.binding != nil {
		return c.runBound()
	}
	if ctx.Done() == nil {
		return describe(c.s.s.Run(c.in, c.out))
	}
	if c.options == nil {
		var err error
		if c.options, err = ort.NewRunOptions(); err != nil {
			return describe(err)
		}
	}
	told := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		_ = c.options.Terminate() // cannot fail
		close(told)
	})
	err := c.s.s.RunWithOptions(c.in, c.out, c.options)
	if !stop() {
		<-told
		_ = c.options.UnsetTerminate() // cannot fail
		if err != nil {
			return context.Cause(ctx)
		}
	}
	return describe(err)
}

// fixedSize says what to do about a model whose outputs are as long as what it finds.
const fixedSize = "outputs must not change their shape with the picture, export it with a fixed number of boxes"

func describe(err error) error {
	if err == nil {
		return nil
	}
	text := err.Error()
	for _, said := range []string{"Got invalid dimensions for output", "pre-allocated output OrtValues"} {
		if strings.Contains(text, said) {
			return fmt.Errorf("%w: %s (%s)", ErrRun, fixedSize, oneLine(text))
		}
	}
	return fmt.Errorf("%w: %s", ErrRun, oneLine(text))
}
