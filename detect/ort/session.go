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
	// Sizes are the numbers of pictures that a model with a free batch is run with, the
	// smallest first, and 1 among them; a call with fewer is filled up. Each has a
	// session of its own: ONNX Runtime's CUDA provider plans a network anew, for a
	// second or so, when a session gets another number of pictures than the time before.
	// Those that the device has no memory for are left out. Empty runs any number.
	Sizes []int
	// Trial bounds each of the runs that NewSession makes; 0 means 30 seconds, and
	// 15 minutes with TensorRT, which compiles the model then.
	Trial time.Duration

	lanes int  // threads for calls also where the provider is no GPU; 0: none
	bind  bool // bind inputs and outputs also where the provider works in the host's memory
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
	sized   []sized // the smallest first
	lanes   *lanes  // nil: calls run on their own threads
	info    Info
	outputs []outputShape
	bind    bool // runs are made with bound inputs and outputs
	gpu     bool // tensors lie in locked pages
	device  int

	mu    sync.Mutex      // guards free
	free  map[int][]*Call // idle calls by batch size
	close sync.Once
}

// sized is the session for calls with a number of pictures; 0: any.
type sized struct {
	batch int
	s     *ort.DynamicAdvancedSession
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
	if gpu {
		o.lanes = min(max(o.Callers, 1), maxLanes)
	}
	if o.lanes > 0 {
		s.lanes = newLanes(o.lanes)
	}
	sizes := o.Sizes
	if len(sizes) == 0 || info.Shape[0] > 0 {
		sizes = []int{0}
	}
	for _, n := range sizes {
		one, err := load(model, info, o)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("load model: %s", oneLine(err.Error())), s.Close())
		}
		s.sized = append(s.sized, sized{n, one})
	}
	if err := s.probe(o.trial()); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// load makes a session of the library.
func load(model []byte, info Info, o Options) (s *ort.DynamicAdvancedSession, err error) {
	var opts *ort.SessionOptions
	keepSignalStack(func() { opts, err = sessionOptions(o) })
	if err != nil {
		return nil, err
	}
	defer opts.Destroy() //nolint:errcheck // cannot fail
	inputs := []string{info.Input}
	for _, c := range info.Constants {
		inputs = append(inputs, c.Name)
	}
	keepSignalStack(func() {
		s, err = ort.NewDynamicAdvancedSessionWithONNXData(model, inputs, info.Outputs, opts)
	})
	return s, err
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

// probe runs the model to learn the shapes of its outputs. Sizes are tried side by
// side, because a GPU takes seconds to plan each.
func (s *Session) probe(limit time.Duration) error {
	first := max(int(s.info.Shape[0]), 1)
	pictures := []int{first}
	if s.info.Shape[0] == 0 {
		pictures = append(pictures, max(2, s.size(2).batch))
		for _, z := range s.sized {
			if z.batch > pictures[1] {
				pictures = append(pictures, z.batch)
			}
		}
	}
	found, errs := make([][][]int64, len(pictures)), make([]error, len(pictures))
	var all sync.WaitGroup
	for i, n := range pictures {
		if len(s.sized) == 1 { // of a session for any number: one after the other, which takes less memory
			if found[i], errs[i] = s.shapes(n, limit); errs[i] != nil {
				break
			}
			continue
		}
		all.Go(func() { found[i], errs[i] = s.shapes(n, limit) })
	}
	all.Wait()
	if errs[0] != nil {
		return errs[0]
	}
	one, two, second := found[0], found[0], 1
	if len(pictures) > 1 {
		two, second = found[1], pictures[1]
		if err := errs[1]; errors.Is(err, ErrSlow) {
			return err
		} else if err != nil {
			return fmt.Errorf("%w: %w", ErrSinglePicture, err)
		}
		s.leaveOut(pictures, errs)
	}
	for i, dims := range one {
		name := s.info.Outputs[i]
		if slices.Contains(dims, 0) {
			return fmt.Errorf("output %q is empty (%v) for an empty picture: %s", name, dims, fixedSize)
		}
		out := outputShape{dims: dims}
		if !slices.Equal(dims, two[i]) {
			if len(dims) < 1 || dims[0] != 1 || two[i][0] != int64(second) || !slices.Equal(dims[1:], two[i][1:]) {
				return fmt.Errorf("%w: output %q changes from %v to %v with %d pictures", ErrSinglePicture, name, dims, two[i], second)
			}
			out.batched = true
		} else if s.info.Shape[0] > 0 && len(dims) > 0 && dims[0] == s.info.Shape[0] {
			out.batched = true
		}
		s.outputs = append(s.outputs, out)
	}
	return nil
}

// leaveOut drops the sizes from the first on that does not run.
func (s *Session) leaveOut(pictures []int, errs []error) {
	bad := slices.IndexFunc(errs, func(err error) bool { return err != nil })
	if bad < 0 {
		return
	}
	s.sized = slices.DeleteFunc(s.sized, func(z sized) bool {
		if z.batch < pictures[bad] {
			return false
		}
		_ = z.s.Destroy() // cannot fail
		return true
	})
}

// size is the session that runs a number of pictures, filled up to its own.
func (s *Session) size(batch int) sized {
	for _, z := range s.sized {
		if z.batch == 0 || z.batch >= batch {
			return z
		}
	}
	return s.sized[len(s.sized)-1]
}

// MaxBatch is the most pictures of a call; 0 is any number.
func (s *Session) MaxBatch() int {
	if n := int(s.info.Shape[0]); n > 0 {
		return n
	}
	return s.sized[len(s.sized)-1].batch
}

// shapes runs the model on empty pictures and returns the shapes of its outputs.
func (s *Session) shapes(batch int, limit time.Duration) ([][]int64, error) {
	c := &Call{s: s, session: s.size(batch).s, batch: batch}
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

// Acquire returns the tensors for one call with a batch of pictures, no more than
// MaxBatch; the caller fills the input, runs it, reads the outputs and releases it.
// Where the session is filled up, the pictures beyond the batch are earlier ones.
func (s *Session) Acquire(batch int) (*Call, error) {
	wanted := batch
	if z := s.size(batch); z.batch > 0 {
		if batch > z.batch {
			return nil, fmt.Errorf("%d pictures are more than the %d of a call", batch, z.batch)
		}
		batch = z.batch
	}
	s.mu.Lock()
	list := s.free[batch]
	if n := len(list); n > 0 {
		c := list[n-1]
		s.free[batch] = list[:n-1]
		s.mu.Unlock()
		c.wanted = wanted
		return c, nil
	}
	s.mu.Unlock()
	c, err := s.newCall(batch)
	if err == nil {
		c.wanted = wanted
	}
	return c, err
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
		for _, z := range s.sized {
			err = errors.Join(err, z.s.Destroy())
		}
		if s.lanes != nil {
			s.lanes.close()
		}
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
		if c.s.outputs[i].batched {
			data = data[:len(data)/c.batch*c.wanted] // not what it was filled up with
		}
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
	if c.s.lanes != nil {
		var err error
		c.s.lanes.run(func() { err = c.runHere(ctx) })
		return err
	}
	return c.runHere(ctx)
}

func (c *Call) runHere(ctx context.Context) error {
	if c.binding != nil {
		return c.runBound()
	}
	if ctx.Done() == nil {
		return describe(c.session.Run(c.in, c.out))
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
	err := c.session.RunWithOptions(c.in, c.out, c.options)
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
