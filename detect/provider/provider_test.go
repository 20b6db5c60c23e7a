package provider

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"detectd/detect"
	"detectd/detect/detecttest"
	"detectd/detect/model"
	"detectd/detect/ort"
	"detectd/pipeline/frame"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestParse(t *testing.T) {
	for text, want := range map[string][]ort.Provider{
		"auto": nil, "": nil, "cpu": {ort.CPU}, " CUDA ": {ort.CUDA}, "tensorrt": {ort.TensorRT, ort.CUDA},
		"tensorrt, openvino,tensorrt": {ort.TensorRT, ort.OpenVINO},
	} {
		got, err := Parse(text)
		require.NoError(t, err)
		require.Equal(t, want, got, text)
	}
	for _, text := range []string{"gpu", "cuda,", "cuda auto", "auto,cpu"} {
		_, err := Parse(text)
		require.ErrorContains(t, err, "not one of auto", text)
	}
}

func TestOrder(t *testing.T) {
	for _, c := range []struct {
		choice Choice
		want   []ort.Provider
	}{
		{Choice{}, []ort.Provider{ort.CUDA, ort.OpenVINO, ort.CPU}},
		{Choice{Compile: true}, []ort.Provider{ort.TensorRT, ort.CUDA, ort.OpenVINO, ort.CPU}},
		{Choice{Order: []ort.Provider{ort.OpenVINO}}, []ort.Provider{ort.OpenVINO, ort.CPU}},
		{Choice{Order: []ort.Provider{ort.CPU, ort.CUDA}}, []ort.Provider{ort.CPU}},
	} {
		require.Equal(t, c.want, c.choice.order())
	}
}

// faulty is a detector whose runs fail on demand, in front of a real one.
type faulty struct {
	detect.Detector
	broken atomic.Bool
	closed atomic.Bool
	shift  float32 // of the boxes it finds
	other  error   // returned instead of the runtime's error
}

func (f *faulty) Detect(ctx context.Context, frames []*frame.Frame, opts []detect.Options) ([][]detect.Detection, error) {
	if f.closed.Load() {
		return nil, model.ErrClosed
	}
	if f.other != nil {
		return nil, f.other
	}
	if f.broken.Load() {
		return nil, fmt.Errorf("%w: CUDA error 700: an illegal memory access was encountered", ort.ErrRun)
	}
	found, err := f.Detector.Detect(ctx, frames, opts)
	for _, list := range found {
		for i := range list {
			list[i].Box.X += f.shift
		}
	}
	return found, err
}

func (f *faulty) Close() error {
	f.closed.Store(true)
	return f.Detector.Close()
}

// rig opens real detectors, those of other providers than the CPU behind a faulty.
type rig struct {
	rt      *ort.Runtime
	data    []byte
	refused map[ort.Provider]error
	shift   map[ort.Provider]float32
	mu      sync.Mutex
	opened  map[ort.Provider]*faulty
	clock   time.Duration                  // moves only while something runs
	cost    map[ort.Provider]time.Duration // of a run
}

// timed takes as long to run as the rig says.
type timed struct {
	detect.Detector
	rig      *rig
	provider ort.Provider
}

func (d timed) Detect(ctx context.Context, frames []*frame.Frame, opts []detect.Options) ([][]detect.Detection, error) {
	d.rig.clock += d.rig.cost[d.provider]
	return d.Detector.Detect(ctx, frames, opts)
}

// start is Open by the rig's clock.
func (r *rig) start(t *testing.T, c Choice) *Detector {
	t.Helper()
	open := func(p ort.Provider) (detect.Detector, error) {
		d, err := r.open(p)
		return timed{d, r, p}, err
	}
	reference, err := open(ort.CPU)
	require.NoError(t, err)
	d, err := openAt(t.Context(), open, c, nil, reference, func() time.Duration { return r.clock })
	require.NoError(t, err)
	return d
}

func newRig(t *testing.T) *rig {
	return &rig{
		rt: detecttest.Runtime(t), data: detecttest.Bright(t), refused: map[ort.Provider]error{},
		shift: map[ort.Provider]float32{}, opened: map[ort.Provider]*faulty{},
		cost: map[ort.Provider]time.Duration{ort.CPU: 10 * time.Millisecond, ort.OpenVINO: 8 * time.Millisecond},
	}
}

func (r *rig) open(p ort.Provider) (detect.Detector, error) {
	if err := r.refused[p]; err != nil {
		return nil, err
	}
	d, err := model.Open(r.rt, r.data, model.Options{})
	if err != nil || p == ort.CPU {
		return d, err
	}
	f := &faulty{Detector: d, shift: r.shift[p]}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.opened[p] = f
	return f, nil
}

func look(t *testing.T, d detect.Detector) ([]detect.Detection, error) {
	t.Helper()
	pool := &frame.Pool{}
	defer pool.Close()
	f := detecttest.Picture(t, pool, 128, 128, detecttest.Rect{X: 32, Y: 32, W: 40, H: 50})
	defer f.Release()
	found, err := d.Detect(t.Context(), []*frame.Frame{f}, []detect.Options{{}})
	if err != nil {
		return nil, err
	}
	return found[0], nil
}

func TestFirstThatWorks(t *testing.T) {
	r := newRig(t)
	r.refused[ort.TensorRT] = fmt.Errorf("%w: libnvinfer.so.10: cannot open shared object file", detect.ErrNotDetector)
	r.shift[ort.CUDA] = 60 // calculates wrong
	for _, c := range []struct {
		name     string
		order    []ort.Provider
		want     ort.Provider
		degraded string
		refused  int
	}{
		{"automatic", nil, ort.OpenVINO, "", 1},
		{"asked and works", []ort.Provider{ort.OpenVINO}, ort.OpenVINO, "", 0},
		{"asked and does not start", []ort.Provider{ort.TensorRT, ort.OpenVINO}, ort.OpenVINO, "tensorrt does not work here: libnvinfer", 1},
		{"asked and is wrong", []ort.Provider{ort.CUDA}, ort.CPU, "cuda does not work here: it finds other boxes than the CPU", 1},
		{"none", []ort.Provider{ort.TensorRT, ort.CUDA}, ort.CPU, "tensorrt does not work here", 2},
		{"cpu", []ort.Provider{ort.CPU}, ort.CPU, "", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := r.start(t, Choice{Order: c.order})
			s := d.State()
			require.Equal(t, c.want, s.Provider)
			require.Equal(t, c.degraded != "", s.Degraded)
			require.Contains(t, s.Reason, c.degraded)
			require.Len(t, s.Refused, c.refused)
			found, err := look(t, d)
			require.NoError(t, err)
			require.Len(t, found, 1)
			require.NoError(t, d.Close())
			for p, f := range r.opened {
				require.True(t, f.closed.Load(), "%s is closed", p)
			}
		})
	}
}

func TestOpenVINOHasToPay(t *testing.T) {
	r := newRig(t)
	r.refused[ort.CUDA] = errors.New("no driver")
	for _, c := range []struct {
		took  time.Duration
		order []ort.Provider
		want  ort.Provider
		trial string
	}{
		{8 * time.Millisecond, nil, ort.OpenVINO, "8.0 ms of CPU time a picture, 10.0 ms with the CPU provider"},
		{9800 * time.Microsecond, nil, ort.CPU, "9.8 ms of CPU time a picture, 10.0 ms with the CPU provider"},
		{11 * time.Millisecond, nil, ort.CPU, "11.0 ms of CPU time a picture, 10.0 ms with the CPU provider"},
		{11 * time.Millisecond, []ort.Provider{ort.OpenVINO}, ort.OpenVINO, ""}, // whoever names it gets it
		{10 * time.Minute, nil, ort.CPU, "600000.0 ms of CPU time a picture, 10.0 ms with the CPU provider"},
	} {
		r.cost[ort.OpenVINO], r.clock = c.took, 0
		d := r.start(t, Choice{Order: c.order})
		s := d.State()
		require.Equal(t, c.want, s.Provider, "%s", c.took)
		require.Equal(t, c.trial, s.Trial)
		require.False(t, s.Degraded, "nobody asked for it")
		if len(c.order) == 0 && c.want == ort.CPU {
			require.Len(t, s.Refused, 2)
			require.Equal(t, Refusal{ort.OpenVINO, "it does not save time with this model: " + c.trial}, s.Refused[1])
			require.True(t, r.opened[ort.OpenVINO].closed.Load())
		}
		if c.took > time.Minute {
			require.LessOrEqual(t, r.clock, 3*c.took+30*time.Millisecond, "a slow one runs once after the comparison")
		}
		require.NoError(t, d.Close())
	}
}

func TestModelAtFault(t *testing.T) {
	r := newRig(t)
	r.data = detecttest.Identity(t)
	_, err := Open(t.Context(), r.open, Choice{}, nil)
	require.ErrorIs(t, err, detect.ErrNotDetector)
}

// TestBreaks lets a provider die while many callers use it.
func TestBreaks(t *testing.T) {
	r := newRig(t)
	var states []State // written under Detector.moving
	d, err := Open(t.Context(), r.open, Choice{Order: []ort.Provider{ort.CUDA, ort.OpenVINO}},
		func(s State) { states = append(states, s) })
	require.NoError(t, err)
	require.Equal(t, State{Provider: ort.CUDA}, d.State())
	cuda := r.opened[ort.CUDA]

	cuda.broken.Store(true)
	for range patience - 1 {
		_, err := look(t, d)
		require.ErrorIs(t, err, ort.ErrRun)
	}
	cuda.broken.Store(false)
	_, err = look(t, d)
	require.NoError(t, err, "it has recovered")
	require.Empty(t, states)

	cuda.broken.Store(true)
	var wg sync.WaitGroup
	var failed, fine atomic.Int64
	for range 4 {
		wg.Go(func() {
			for range 50 {
				found, err := look(t, d)
				switch {
				case err == nil && len(found) == 1:
					fine.Add(1)
				case errors.Is(err, ort.ErrRun):
					failed.Add(1)
				default:
					t.Error(found, err)
				}
			}
		})
	}
	wg.Wait()
	require.Positive(t, fine.Load())
	require.GreaterOrEqual(t, failed.Load(), int64(patience))
	s := d.State()
	require.Equal(t, ort.OpenVINO, s.Provider)
	require.True(t, s.Degraded)
	require.Contains(t, s.Reason, "cuda broke after it had worked: run model: CUDA error 700")
	require.EqualValues(t, 1, s.Moves)
	require.EqualValues(t, failed.Load()+patience-1, s.Failures)
	require.True(t, cuda.closed.Load())
	require.Len(t, states, 1)

	r.opened[ort.OpenVINO].broken.Store(true)
	for range patience {
		_, err = look(t, d)
		require.Error(t, err)
	}
	_, err = look(t, d)
	require.NoError(t, err)
	require.Equal(t, ort.CPU, d.State().Provider)
	require.Len(t, d.State().Refused, 2)
	require.NoError(t, d.Close())
}

// TestOtherErrors checks that what is not the runtime's fault moves nothing.
func TestOtherErrors(t *testing.T) {
	r := newRig(t)
	d, err := Open(t.Context(), r.open, Choice{Order: []ort.Provider{ort.CUDA}}, nil)
	require.NoError(t, err)
	for _, other := range []error{context.Canceled, ort.ErrNotFinite} {
		r.opened[ort.CUDA].other = other
		for range 2 * patience {
			_, err := look(t, d)
			require.ErrorIs(t, err, other)
		}
	}
	require.Equal(t, State{Provider: ort.CUDA}, d.State())
	require.NoError(t, d.Close())
}

// TestOpenVINO runs the default model on the real thing.
func TestOpenVINO(t *testing.T) {
	library := os.Getenv("DETECTD_TEST_LIBRARY")
	if library == "" {
		t.Skip("DETECTD_TEST_LIBRARY names no libonnxruntime with OpenVINO: it is not tried")
	}
	rt, err := ort.Open(library)
	require.NoError(t, err)
	defer func() { require.NoError(t, rt.Close()) }()
	for name, file := range map[string][]byte{"default": detecttest.DefaultModel(t), "bright": detecttest.Bright(t)} {
		open := OpenOn(rt, func() ([]byte, error) { return file, nil }, model.Options{}, Choice{})
		d, err := Open(t.Context(), open, Choice{}, nil)
		require.NoError(t, err)
		require.Equal(t, ort.OpenVINO, d.State().Provider, "%s: %v", name, d.State())
		require.NoError(t, d.Close())
	}
}
