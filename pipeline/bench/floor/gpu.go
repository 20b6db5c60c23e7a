package floor

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"time"

	bare "github.com/yalue/onnxruntime_go"

	"detectd/detect/batch"
	"detectd/detect/model"
	"detectd/detect/ort"
)

// Loop is a bare loop of ONNX Runtime on a GPU.
type Loop struct {
	Batch   int // pictures of a call
	Callers int // that call side by side
	Device  int
	// Options of ONNX Runtime's CUDA provider beside the device.
	Options map[string]string
	// Plain gives inputs and outputs with each run, in memory as it comes. Otherwise
	// they are bound and lie in locked pages, which a GPU reads and writes by itself.
	Plain bool
}

// Starts tells whether a provider works here: nil when it does.
func (m *Model) Starts(ctx context.Context, p ort.Provider) error { return m.rt.Start(ctx, p, 0) }

// GPU measures a loop for about a time. CPU and PerSecond of the answer are per
// picture, P50 is of a call.
func (m *Model) GPU(ctx context.Context, l Loop, d time.Duration) (i Inferring, err error) {
	if err := m.rt.Start(ctx, ort.CUDA, l.Device); err != nil { // loads what CUDA needs
		return i, err
	}
	opts, err := cudaOptions(l)
	if err != nil {
		return i, err
	}
	defer opts.Destroy() //nolint:errcheck // cannot fail
	session, err := newSession(m.data, m.contract, l.Batch, opts)
	if err != nil {
		return i, err
	}
	defer session.Close()
	var calls []func() error
	for range l.Callers {
		call, done, err := session.caller(l)
		if err != nil {
			return i, err
		}
		defer done()
		calls = append(calls, call)
	}
	if _, err := until(calls, time.Now().Add(d/4)); err != nil { // first runs choose kernels
		return i, err
	}
	i, err = timed(func() ([]time.Duration, error) { return until(calls, time.Now().Add(d)) })
	i.CPU, i.PerSecond = i.CPU/time.Duration(l.Batch), i.PerSecond*float64(l.Batch)
	return i, err
}

func cudaOptions(l Loop) (*bare.SessionOptions, error) {
	opts, err := bare.NewSessionOptions()
	if err != nil {
		return nil, fmt.Errorf("make session options: %w", err)
	}
	cuda, err := bare.NewCUDAProviderOptions()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("make options of CUDA: %w", err), opts.Destroy())
	}
	defer cuda.Destroy() //nolint:errcheck // cannot fail
	settings := map[string]string{"device_id": strconv.Itoa(l.Device)}
	maps.Copy(settings, l.Options)
	if err := errors.Join(
		opts.SetIntraOpNumThreads(1),
		opts.AddSessionConfigEntry("session.intra_op.allow_spinning", "0"),
		opts.SetGraphOptimizationLevel(bare.GraphOptimizationLevelEnableAll),
		cuda.Update(settings),
		opts.AppendExecutionProviderCUDA(cuda),
	); err != nil {
		return nil, errors.Join(fmt.Errorf("set session options: %w", err), opts.Destroy())
	}
	return opts, nil
}

// caller prepares the tensors of one caller. done frees them.
func (s *Session) caller(l Loop) (call func() error, done func(), err error) {
	c, err := s.NewCall()
	if err != nil {
		return nil, nil, err
	}
	if l.Plain {
		return c.Run, c.Close, nil
	}
	b := &bound{}
	if err := b.make(s, c, l.Device); err != nil {
		b.close()
		c.Close()
		return nil, nil, fmt.Errorf("bind inputs and outputs: %w", err)
	}
	c.Close()
	return b.run, b.close, nil
}

// bound is what a caller with bound inputs and outputs has.
type bound struct {
	s       *Session
	binding *bare.IoBinding
	input   bare.Value
	values  []bare.Value
	free    []func()
}

// make makes tensors like those of a call.
func (b *bound) make(s *Session, c *Call, device int) (err error) {
	b.s = s
	if b.binding, err = s.session.CreateIoBinding(); err != nil {
		return err
	}
	input, err := b.tensor(c.input, device)
	if err != nil {
		return err
	}
	b.input = input
	copy(input.GetData(), c.input.GetData())
	for k, o := range c.outputs {
		plain, ok := o.(*bare.Tensor[float32])
		if !ok {
			return fmt.Errorf("output %q is not of 32-bit floats", s.names[k])
		}
		t, err := b.tensor(plain, device)
		if err != nil {
			return err
		}
		if err := b.binding.BindOutput(s.names[k], t); err != nil {
			return err
		}
	}
	return nil
}

// tensor makes a tensor of the shape of another in locked pages.
func (b *bound) tensor(like *bare.Tensor[float32], device int) (*bare.Tensor[float32], error) {
	data, free, err := ort.Locked(len(like.GetData()), device)
	if err != nil {
		return nil, err
	}
	b.free = append(b.free, free)
	t, err := bare.NewTensor(like.GetShape(), data)
	if err != nil {
		return nil, err
	}
	b.values = append(b.values, t)
	return t, nil
}

// run binds the input anew, which is when it is copied to the GPU, and runs.
func (b *bound) run() error {
	if err := b.binding.BindInput(b.s.input, b.input); err != nil {
		return err
	}
	return b.s.session.RunWithBinding(b.binding)
}

func (b *bound) close() {
	if b.binding != nil {
		_ = b.binding.Destroy() // cannot fail
	}
	for _, v := range b.values {
		_ = v.Destroy() // cannot fail
	}
	for _, free := range b.free {
		free()
	}
}

// until makes calls side by side up to a moment and returns what each took.
func until(calls []func() error, end time.Time) ([]time.Duration, error) {
	return together(calls, func(int) bool { return time.Now().Before(end) })
}

// Fed is a pool of the daemon on a GPU.
type Fed struct {
	Options  model.Options
	Batch    batch.Config
	Streams  int // that always have a frame waiting
	Duration time.Duration
}

// Fed measures the detector pool as Pool does, with a model opened as options say.
// It tells the sizes of its calls, too: how many pictures went in calls of each size.
func (m *Model) Fed(ctx context.Context, video string, f Fed) (i Inferring, sizes map[int]int, err error) {
	err = m.withPool(ctx, video, min(f.Streams, 16), f.Options, f.Batch, func(b *batch.Batcher, frames *Frames) (err error) {
		work := func(d time.Duration) (took []time.Duration, err error) {
			end := time.Now().Add(d)
			sizes = map[int]int{}
			err = saturate(b, frames.List, f.Streams, func(int) bool { return time.Now().Before(end) }, func(r batch.Result) {
				took = append(took, r.Queued+r.Inferred)
				sizes[r.BatchSize]++
			})
			return took, err
		}
		if _, err := work(f.Duration / 2); err != nil {
			return err
		}
		i, err = timed(func() ([]time.Duration, error) { return work(f.Duration) })
		return err
	})
	return i, sizes, err
}
