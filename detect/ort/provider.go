package ort

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	ort "github.com/yalue/onnxruntime_go"

	"detectd/detect/onnx"
)

// Provider names where a model runs.
type Provider string

// The execution providers that can be asked for. All but CPU need a library
// that was built with them.
const (
	CPU      Provider = "cpu"
	CUDA     Provider = "cuda"
	TensorRT Provider = "tensorrt"
	OpenVINO Provider = "openvino"
)

// Providers lists all that can be asked for, the fastest first.
func Providers() []Provider { return []Provider{TensorRT, CUDA, OpenVINO, CPU} }

// ErrNotBuiltIn is returned where the loaded library knows nothing of the provider
// that was asked for.
var ErrNotBuiltIn = errors.New("the loaded ONNX Runtime was built without it")

// GPU tells whether a provider computes in the memory of a GPU.
func (p Provider) GPU() bool { return p == CUDA || p == TensorRT }

// optimisation is how much ONNX Runtime improves a network itself. OpenVINO does so
// too, does it better on the network as it was written, and cannot read what has
// been folded into a constant output.
func (p Provider) optimisation() ort.GraphOptimizationLevel {
	if p == OpenVINO {
		return ort.GraphOptimizationLevelDisableAll
	}
	return ort.GraphOptimizationLevelEnableAll
}

// addProvider makes a session use a provider. The CPU always comes last, for what
// the others do not know.
func addProvider(opts *ort.SessionOptions, o Options) error {
	var err error
	switch o.Provider {
	case "", CPU:
		return nil
	case CUDA:
		err = addCUDA(opts, o)
	case TensorRT:
		// CUDA takes the operators that TensorRT does not know.
		if err = addTensorRT(opts, o); err == nil {
			err = addCUDA(opts, o)
		}
	case OpenVINO:
		err = addOpenVINO(opts, o)
	default:
		return fmt.Errorf("unknown execution provider %q", o.Provider)
	}
	if err == nil {
		return nil
	}
	return fmt.Errorf("start %s: %w", o.Provider, explain(err))
}

// prepare looks for the library of a provider beside ONNX Runtime's own, which is
// where ONNX Runtime loads it from, and loads what it needs.
func (r *Runtime) prepare(p Provider) error {
	folder := filepath.Dir(r.path)
	if p == "" || p == CPU || runtime.GOOS != "linux" || !filepath.IsAbs(folder) {
		return nil // known only when it is tried
	}
	_, err := os.Stat(filepath.Join(folder, "libonnxruntime_providers_"+string(p)+".so"))
	if errors.Is(err, fs.ErrNotExist) {
		return ErrNotBuiltIn
	}
	if p.GPU() {
		preload(folder)
	}
	return nil
}

// explain gives the error of a provider that the library does not have its kind.
func explain(err error) error {
	text := err.Error()
	for _, sign := range []string{"not enabled in this build", "is not supported in this build", "Unknown provider name", "not compiled"} {
		if strings.Contains(text, sign) {
			return ErrNotBuiltIn
		}
	}
	return errors.New(oneLine(text))
}

// oneLine drops the source positions and line breaks of ONNX Runtime's errors.
func oneLine(text string) string {
	const longest = 300
	if _, cause, ok := strings.Cut(text, " with error: "); ok { // the library that is missing
		text = cause
	}
	if _, said, ok := strings.Cut(text, "[ONNXRuntimeError]"); ok {
		text = strings.TrimLeft(said, " :")
	}
	if _, said, ok := strings.Cut(text, " CUDA failure "); ok {
		text, _, _ = strings.Cut("CUDA error "+said, " ; GPU=")
	}
	if i := strings.LastIndex(text, "[OpenVINO-EP]"); i >= 0 {
		text = text[i:]
	}
	text = withoutPosition(strings.Join(strings.Fields(text), " "))
	if len(text) > longest {
		text = strings.ToValidUTF8(text[:longest], "") + "…"
	}
	return text
}

// withoutPosition drops "/onnxruntime_src/….cc:360 void* ns::F(int, bool) " from the
// middle of a text.
func withoutPosition(text string) string {
	before, position, found := strings.Cut(text, "/onnxruntime_src/")
	_, said, ok := strings.Cut(position, ") ")
	if !found || !ok {
		return text
	}
	return before + said
}

func addCUDA(opts *ort.SessionOptions, o Options) error {
	cuda, err := ort.NewCUDAProviderOptions()
	if err != nil {
		return err
	}
	defer cuda.Destroy() //nolint:errcheck // cannot fail
	err = cuda.Update(map[string]string{
		"device_id": strconv.Itoa(o.Device),
		// Grow by what is asked for: doubling takes memory that decoders need.
		"arena_extend_strategy": "kSameAsRequested",
		// Trying every algorithm of every new batch size stalls the first frames.
		"cudnn_conv_algo_search": "HEURISTIC",
	})
	if err != nil {
		return err
	}
	return opts.AppendExecutionProviderCUDA(cuda)
}

func addTensorRT(opts *ort.SessionOptions, o Options) error {
	trt, err := ort.NewTensorRTProviderOptions()
	if err != nil {
		return err
	}
	defer trt.Destroy() //nolint:errcheck // cannot fail
	settings := map[string]string{"device_id": strconv.Itoa(o.Device)}
	if o.Engines != "" {
		settings["trt_engine_cache_enable"] = "1"
		settings["trt_engine_cache_path"] = o.Engines
		settings["trt_timing_cache_enable"] = "1"
		settings["trt_timing_cache_path"] = o.Engines
	}
	if err := trt.Update(settings); err != nil {
		return err
	}
	return opts.AppendExecutionProviderTensorRT(trt)
}

// addOpenVINO uses OpenVINO's CPU plugin. Calls from many workers run in streams
// side by side, each on Threads threads, as with ONNX Runtime's own CPU provider.
func addOpenVINO(opts *ort.SessionOptions, o Options) error {
	settings := map[string]string{
		"device_type": "CPU",
		// Without it the plugin calculates in bfloat16 where the processor can.
		"precision":      "FP32",
		"num_of_threads": strconv.Itoa(max(o.Threads, 1) * max(o.Callers, 1)),
		"num_streams":    strconv.Itoa(max(o.Callers, 1)),
	}
	return opts.AppendExecutionProviderOpenVINO(settings)
}

// Start tells whether a provider really works here: it runs a tiny network on it.
// The error says why not, and is ErrNotBuiltIn when the library does not have it.
func (r *Runtime) Start(ctx context.Context, p Provider, device int) error {
	network, err := tiny()
	if err != nil {
		return err
	}
	info := Info{Input: "x", Shape: []int64{0, side}, Outputs: []string{"y"}}
	s, err := r.NewSession(network, info, Options{Provider: p, Device: device, Trial: time.Minute})
	if err != nil {
		return err
	}
	err = s.double(ctx)
	return errors.Join(err, s.Close())
}

// side is the number of values that the tiny network takes.
const side = 4

// tiny is a network that doubles its input.
func tiny() ([]byte, error) {
	n := onnx.Dim{Symbol: "n"}
	b := &onnx.Builder{
		Name:    "double",
		Inputs:  []onnx.Value{{Name: "x", Dims: []onnx.Dim{n, {Size: side}}}},
		Outputs: []onnx.Value{{Name: "y", Dims: []onnx.Dim{n, {Size: side}}}},
		Nodes:   []onnx.Node{{Op: "Add", Name: "double", Inputs: []string{"x", "x"}, Outputs: []string{"y"}}},
	}
	var buf bytes.Buffer
	_, err := b.WriteTo(&buf)
	return buf.Bytes(), err
}

// double runs the tiny network and checks the answer.
func (s *Session) double(ctx context.Context) error {
	c, err := s.Acquire(1)
	if err != nil {
		return err
	}
	defer c.Release()
	copy(c.Input(), []float32{1, -2, 3, 0.5})
	if err := c.Run(ctx); err != nil {
		return err
	}
	if got := c.Outputs(nil, 0)[0]; !slices.Equal(got, []float32{2, -4, 6, 1}) {
		return fmt.Errorf("it calculates wrong: twice 1, -2, 3, 0.5 gave %v", got)
	}
	return nil
}
