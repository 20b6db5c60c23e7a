package floor

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"runtime"
	"slices"
	"sync"
	"time"

	bare "github.com/yalue/onnxruntime_go"
	"golang.org/x/sys/unix"

	"detectd/detect"
	"detectd/detect/model"
	"detectd/detect/ort"
	"detectd/pipeline/bench/stats"
)

// Inferring is F2, or what a pool does of the same.
type Inferring struct {
	CPU       time.Duration // per inference
	P50       time.Duration // of one call
	PerSecond float64       // by all callers together
}

// Model is an open model file with the runtime it runs in. One may be open in a
// process at a time.
type Model struct {
	rt       *ort.Runtime
	data     []byte
	contract detect.Contract
}

// OpenModel reads a model file and loads ONNX Runtime.
func OpenModel(library, file string) (*Model, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("open model: %w", err)
	}
	c, err := model.Sniff(data)
	if err != nil {
		return nil, err
	}
	rt, err := ort.Open(library)
	if err != nil {
		return nil, err
	}
	return &Model{rt: rt, data: data, contract: c}, nil
}

// Version is that of ONNX Runtime.
func (m *Model) Version() string { return m.rt.Version() }

// Close gives the runtime back.
func (m *Model) Close() error { return m.rt.Close() }

// Infer measures F2: ONNX Runtime alone, called by as many callers as there are
// processors, each with tensors of its own, with one thread per call that does not
// spin. Each caller makes the given number of calls.
func (m *Model) Infer(calls int) (i Inferring, err error) {
	opts, err := bare.NewSessionOptions()
	if err != nil {
		return i, fmt.Errorf("make session options: %w", err)
	}
	defer opts.Destroy() //nolint:errcheck // cannot fail
	if err := errors.Join(
		opts.SetIntraOpNumThreads(1),
		opts.SetInterOpNumThreads(1),
		opts.SetGraphOptimizationLevel(bare.GraphOptimizationLevelEnableAll),
		opts.AddSessionConfigEntry("session.intra_op.allow_spinning", "0"),
	); err != nil {
		return i, fmt.Errorf("set session options: %w", err)
	}
	session, err := NewSession(m.data, m.contract, opts)
	if err != nil {
		return i, err
	}
	defer session.Close()
	callers := make([]func() error, runtime.GOMAXPROCS(0))
	for k := range callers {
		c, err := session.NewCall()
		if err != nil {
			return i, err
		}
		defer c.Close()
		callers[k] = c.Run
	}
	if _, err := together(callers, func(made int) bool { return made < 3 }); err != nil { // first runs allocate
		return i, err
	}
	return timed(func() ([]time.Duration, error) {
		return together(callers, func(made int) bool { return made < calls })
	})
}

// together makes calls side by side, each for as long as more says to one that was made
// so often, and returns what each took.
func together(calls []func() error, more func(made int) bool) ([]time.Duration, error) {
	took := make([][]time.Duration, len(calls))
	errs := make([]error, len(calls))
	var wg sync.WaitGroup
	for k, call := range calls {
		wg.Go(func() {
			for more(len(took[k])) {
				began := time.Now()
				if errs[k] = call(); errs[k] != nil {
					return
				}
				took[k] = append(took[k], time.Since(began))
			}
		})
	}
	wg.Wait()
	return slices.Concat(took...), errors.Join(errs...)
}

// timed measures work of this whole process, which tells what each piece took.
func timed(work func() ([]time.Duration, error)) (i Inferring, err error) {
	cpu, err := cpuTime(unix.RUSAGE_SELF)
	if err != nil {
		return i, err
	}
	began := time.Now()
	took, err := work()
	if err != nil {
		return i, err
	}
	wall := time.Since(began)
	ended, err := cpuTime(unix.RUSAGE_SELF)
	if err != nil || len(took) == 0 {
		return i, err
	}
	return Inferring{
		CPU: (ended - cpu) / time.Duration(len(took)), P50: stats.Median(took), PerSecond: float64(len(took)) / wall.Seconds(),
	}, nil
}

// Session is ONNX Runtime without anything of ours: no checks of the outputs, no
// reuse of calls.
type Session struct {
	session *bare.DynamicAdvancedSession
	shape   bare.Shape
	input   string
	names   []string // of the outputs
}

// NewSession loads a model that takes one picture. Options nil are the defaults of
// ONNX Runtime.
func NewSession(data []byte, c detect.Contract, opts *bare.SessionOptions) (*Session, error) {
	return newSession(data, c, 1, opts)
}

// newSession is NewSession for calls with several pictures.
func newSession(data []byte, c detect.Contract, pictures int, opts *bare.SessionOptions) (*Session, error) {
	in := c.Input
	s := &Session{input: in.Name, shape: bare.NewShape(int64(pictures), 3, int64(in.Height), int64(in.Width))}
	if in.Layout == detect.NHWC {
		s.shape = bare.NewShape(int64(pictures), int64(in.Height), int64(in.Width), 3)
	}
	if t := in.ElementType(); t != detect.Float32 {
		return nil, fmt.Errorf("load model: the floor feeds 32-bit floats, and the model takes %s", t)
	}
	s.names = slices.Sorted(maps.Values(c.Outputs))
	var err error
	if s.session, err = bare.NewDynamicAdvancedSessionWithONNXData(data, []string{in.Name}, s.names, opts); err != nil {
		return nil, fmt.Errorf("load model: %w", err)
	}
	return s, nil
}

// Close frees the session.
func (s *Session) Close() { _ = s.session.Destroy() } // cannot fail

// Call is a set of tensors for one caller.
type Call struct {
	s       *Session
	input   *bare.Tensor[float32]
	outputs []bare.Value
}

// NewCall makes the tensors of a caller, and the outputs by a first run.
func (s *Session) NewCall() (*Call, error) {
	input, err := bare.NewEmptyTensor[float32](s.shape)
	if err != nil {
		return nil, fmt.Errorf("make input: %w", err)
	}
	pixels := input.GetData()
	for k := range pixels {
		pixels[k] = float32(k%256) / 256 // no zeros, which some kernels are faster with
	}
	c := &Call{s: s, input: input, outputs: make([]bare.Value, len(s.names))}
	if err := c.Run(); err != nil {
		return nil, errors.Join(err, input.Destroy())
	}
	return c, nil
}

// Input is the space for the picture.
func (c *Call) Input() []float32 { return c.input.GetData() }

// Output is what the last run gave at place i of the model's outputs by name.
func (c *Call) Output(i int) ([]float32, error) {
	t, ok := c.outputs[i].(*bare.Tensor[float32])
	if !ok {
		return nil, fmt.Errorf("output %d of the model is not of 32-bit floats", i)
	}
	return t.GetData(), nil
}

// Shapes are those of the outputs by name, with the batch.
func (c *Call) Shapes() [][]int64 {
	shapes := make([][]int64, len(c.outputs))
	for i, o := range c.outputs {
		shapes[i] = o.GetShape()
	}
	return shapes
}

// Run runs the model once.
func (c *Call) Run() error {
	if err := c.s.session.Run([]bare.Value{c.input}, c.outputs); err != nil {
		return fmt.Errorf("run model: %w", err)
	}
	return nil
}

// Close frees the tensors.
func (c *Call) Close() {
	for _, v := range append(c.outputs, c.input) {
		_ = v.Destroy() // cannot fail
	}
}
