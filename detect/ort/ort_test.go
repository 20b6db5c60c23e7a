package ort_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"detectd/detect"
	"detectd/detect/detecttest"
	"detectd/detect/onnx"
	"detectd/detect/ort"
)

func TestFindLibrary(t *testing.T) {
	path, err := ort.FindLibrary("")
	require.NoError(t, err)
	require.Equal(t, detecttest.Artefact(t, "onnxruntime", "libonnxruntime.so.1"), path)

	_, err = ort.FindLibrary(filepath.Join(t.TempDir(), "missing.so"))
	require.ErrorIs(t, err, os.ErrNotExist)

	own := filepath.Join(t.TempDir(), "own.so")
	require.NoError(t, os.WriteFile(own, nil, 0o600))
	path, err = ort.FindLibrary(own)
	require.NoError(t, err)
	require.Equal(t, own, path)

	t.Chdir(t.TempDir()) // nothing there: left to the loader
	path, err = ort.FindLibrary("")
	require.NoError(t, err)
	require.Equal(t, "libonnxruntime.so.1", path)
}

func TestOpen(t *testing.T) {
	bad := filepath.Join(t.TempDir(), "bad.so")
	require.NoError(t, os.WriteFile(bad, []byte("no library"), 0o600))
	_, err := ort.Open(bad)
	require.ErrorContains(t, err, bad)

	rt := detecttest.Runtime(t)
	require.NotEmpty(t, rt.Version())
	_, err = ort.Open(rt.Path())
	require.ErrorIs(t, err, ort.ErrOpen)
}

// sum returns a model with outputs of both kinds: rows that follow the batch,
// [N,2] = input + 1, and a constant.
func sum(t *testing.T, batch onnx.Dim) []byte {
	b := &onnx.Builder{
		Name:   "sum",
		Inputs: []onnx.Value{{Name: "x", Dims: []onnx.Dim{batch, {Size: 2}}}},
		Outputs: []onnx.Value{
			{Name: "y", Dims: []onnx.Dim{batch, {Size: 2}}},
			{Name: "c", Dims: onnx.Dims(3)},
		},
		Tensors: []onnx.Tensor{
			{Name: "one", Floats: []float32{1}},
			{Name: "three", Dims: []int64{3}, Floats: []float32{7, 8, 9}},
		},
		Nodes: []onnx.Node{
			{Op: "Add", Inputs: []string{"x", "one"}, Outputs: []string{"y"}},
			{Op: "Identity", Inputs: []string{"three"}, Outputs: []string{"c"}},
		},
	}
	var buf bytes.Buffer
	_, err := b.WriteTo(&buf)
	require.NoError(t, err)
	return buf.Bytes()
}

func TestSession(t *testing.T) {
	rt := detecttest.Runtime(t)
	info := ort.Info{Input: "x", Shape: []int64{0, 2}, Outputs: []string{"y", "c"}}
	s, err := rt.NewSession(sum(t, onnx.Dim{Symbol: "n"}), info, ort.Options{})
	require.NoError(t, err)
	require.ErrorContains(t, rt.Close(), "still open")
	require.Equal(t, [][]int64{{2}, {3}}, s.OutputShapes())

	var wg sync.WaitGroup
	for worker := range 4 {
		wg.Go(func() {
			var out [][]float32
			for n := range 200 {
				batch := 1 + n%3
				call, err := s.Acquire(batch)
				if err != nil {
					t.Error(err)
					return
				}
				for i := range call.Input() {
					call.Input()[i] = float32(1000*worker + n + i)
				}
				if err := call.Run(t.Context()); err != nil {
					t.Error(err)
				}
				for i := range batch {
					out = call.Outputs(out, i)
					if out[0][1] != float32(1000*worker+n+2*i+2) || out[1][2] != 9 {
						t.Errorf("wrong answer %v", out)
					}
				}
				call.Release()
			}
		})
	}
	wg.Wait()
	require.NoError(t, s.Close())
	require.NoError(t, s.Close())
}

func TestFixedBatch(t *testing.T) {
	rt := detecttest.Runtime(t)
	info := ort.Info{Input: "x", Shape: []int64{2, 2}, Outputs: []string{"y", "c"}}
	s, err := rt.NewSession(sum(t, onnx.Dim{Size: 2}), info, ort.Options{Threads: 2})
	require.NoError(t, err)
	defer func() { require.NoError(t, s.Close()) }()
	require.Equal(t, [][]int64{{2}, {3}}, s.OutputShapes())
}

func TestNotFinite(t *testing.T) {
	rt := detecttest.Runtime(t)
	info := ort.Info{Input: "images", Shape: []int64{0, 3, detecttest.Side, detecttest.Side}, Outputs: []string{"output"}}
	s, err := rt.NewSession(detecttest.NaN(t), info, ort.Options{})
	require.NoError(t, err)
	defer func() { require.NoError(t, s.Close()) }()
	call, err := s.Acquire(1)
	require.NoError(t, err)
	defer call.Release()
	require.ErrorIs(t, call.Run(t.Context()), ort.ErrNotFinite)

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, call.Run(ctx), context.Canceled)
}

// TestVaryingOutputs: outputs that are as long as what is found are refused in words,
// in the trial when nothing is found in an empty picture, else when they change.
func TestVaryingOutputs(t *testing.T) {
	rt := detecttest.Runtime(t)
	open := func(nodes ...onnx.Node) (*ort.Session, error) {
		b := &onnx.Builder{
			Name:    "varying",
			Inputs:  []onnx.Value{{Name: "x", Dims: onnx.Dims(1, 2)}},
			Outputs: []onnx.Value{{Name: "y", Dims: []onnx.Dim{{Symbol: "n"}}}},
			Tensors: []onnx.Tensor{
				{Name: "three", Dims: []int64{3}, Floats: []float32{7, 8, 9}},
				{Name: "zero", Dims: []int64{1}, Ints: []int64{0}},
				{Name: "one", Dims: []int64{1}, Ints: []int64{1}},
			},
			Nodes: append([]onnx.Node{
				{Op: "ReduceMax", Inputs: []string{"x"}, Outputs: []string{"max"}, Attrs: map[string]any{"keepdims": int64(0)}},
				{Op: "Cast", Inputs: []string{"max"}, Outputs: []string{"whole"}, Attrs: map[string]any{"to": int64(7)}},
				{Op: "Reshape", Inputs: []string{"whole", "one"}, Outputs: []string{"found"}},
			}, nodes...),
		}
		var buf bytes.Buffer
		_, err := b.WriteTo(&buf)
		require.NoError(t, err)
		return rt.NewSession(buf.Bytes(), ort.Info{Input: "x", Shape: []int64{1, 2}, Outputs: []string{"y"}}, ort.Options{})
	}
	_, err := open(onnx.Node{Op: "Slice", Inputs: []string{"three", "zero", "found"}, Outputs: []string{"y"}})
	require.ErrorContains(t, err, `output "y" is empty ([0]) for an empty picture: outputs must not change their shape`)

	s, err := open(
		onnx.Node{Op: "Add", Inputs: []string{"found", "one"}, Outputs: []string{"more"}},
		onnx.Node{Op: "Slice", Inputs: []string{"three", "zero", "more"}, Outputs: []string{"y"}},
	)
	require.NoError(t, err)
	defer func() { require.NoError(t, s.Close()) }()
	call, err := s.Acquire(1)
	require.NoError(t, err)
	defer call.Release()
	require.NoError(t, call.Run(t.Context()))
	call.Input()[0] = 1
	err = call.Run(t.Context())
	require.ErrorIs(t, err, ort.ErrRun)
	require.ErrorContains(t, err, "outputs must not change their shape")
}

func TestSessionRefuses(t *testing.T) {
	rt := detecttest.Runtime(t)
	whole := sum(t, onnx.Dim{Symbol: "n"})
	good := ort.Info{Input: "x", Shape: []int64{0, 2}, Outputs: []string{"y"}}
	for name, c := range map[string]struct {
		data []byte
		info ort.Info
		opts ort.Options
	}{
		"too new":     {bytes.Replace(whole, []byte("\x08\x07"), []byte("\x08\x63"), 1), good, ort.Options{}}, // the version of the format
		"no model":    {[]byte("text"), good, ort.Options{}},
		"input name":  {whole, ort.Info{Input: "z", Shape: good.Shape, Outputs: good.Outputs}, ort.Options{}},
		"output name": {whole, ort.Info{Input: "x", Shape: good.Shape, Outputs: []string{"z"}}, ort.Options{}},
		"shape":       {whole, ort.Info{Input: "x", Shape: []int64{0, 3}, Outputs: good.Outputs}, ort.Options{}},
		"provider":    {whole, good, ort.Options{Provider: "abacus"}},
		"no cuda":     {whole, good, ort.Options{Provider: ort.CUDA}},
	} {
		_, err := rt.NewSession(c.data, c.info, c.opts)
		require.Error(t, err, name)
		require.NotContains(t, err.Error(), "onnxruntime_src", name)
	}
}

func BenchmarkDefaultModel(b *testing.B) {
	rt := detecttest.Runtime(b)
	info := ort.Info{Input: "image", Shape: []int64{0, 3, 300, 300}, Outputs: []string{"boxes", "scores", "anchors"}}
	s, err := rt.NewSession(detecttest.DefaultModel(b), info, ort.Options{})
	require.NoError(b, err)
	defer func() { require.NoError(b, s.Close()) }()
	for _, batch := range []int{1, 4, 8} {
		b.Run(map[int]string{1: "batch1", 4: "batch4", 8: "batch8"}[batch], func(b *testing.B) {
			call, err := s.Acquire(batch)
			require.NoError(b, err)
			defer call.Release()
			b.ReportAllocs()
			for b.Loop() {
				if err := call.Run(b.Context()); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*batch), "µs/image")
		})
	}
}

// TestInputs runs a network with a picture in each element type and a constant
// that goes with each picture.
func TestInputs(t *testing.T) {
	rt := detecttest.Runtime(t)
	for _, constant := range []string{"int64", "int32", "float32", "float64"} {
		for _, kind := range []string{detect.Float32, detect.Float16, detect.Uint8} {
			n := detecttest.Network{
				Inputs: []onnx.Value{
					detecttest.PictureInput("x", kind, 3, 2, 2), {Name: "sizes", Type: constant, Dims: onnx.BatchDims(2)},
				},
				Outputs: []detecttest.Output{{
					Name: "y", Shape: []int64{1, 4}, Values: []float32{1, 1, 1, 1}, Gain: []float32{1, 1, 1, 1}, Sizes: "sizes",
				}},
			}
			info := ort.Info{
				Input: "x", Type: kind, Shape: []int64{0, 3, 2, 2}, Outputs: []string{"y"},
				Constants: []ort.Constant{{Name: "sizes", Type: constant, Shape: []int64{0, 2}, Values: []float64{30, 7}}},
			}
			s, err := rt.NewSession(n.Encode(t), info, ort.Options{})
			require.NoError(t, err)
			call, err := s.Acquire(2)
			require.NoError(t, err)
			for i := range call.Bytes() {
				call.Bytes()[i] = 0
			}
			require.Equal(t, kind == detect.Float32, call.Input() != nil)
			require.NoError(t, call.Run(t.Context()))
			for i := range 2 {
				require.Equal(t, []float32{30, 7, 30, 7}, call.Outputs(nil, i)[0])
			}
			call.Release()
			require.NoError(t, s.Close())

			info.Constants[0].Values = []float64{1, 2, 3}
			_, err = rt.NewSession(n.Encode(t), info, ort.Options{})
			require.ErrorContains(t, err, `input "sizes" has room for`)
		}
	}
}

// TestFloatOutputs reads whole numbers and 16-bit floats.
func TestFloatOutputs(t *testing.T) {
	rt := detecttest.Runtime(t)
	n := detecttest.Network{
		Inputs: []onnx.Value{detecttest.PictureInput("x", "", 3, 2, 2)},
		Outputs: []detecttest.Output{
			{Name: "a", Type: "int64", Shape: []int64{3}, Values: []float32{1, -7, 90}},
			{Name: "b", Type: "float16", Shape: []int64{2}, Values: []float32{0.5, -2}},
		},
	}
	data, names, err := onnx.WithFloatOutputs(n.Encode(t), []string{"a", "b"})
	require.NoError(t, err)
	s, err := rt.NewSession(data, ort.Info{Input: "x", Shape: []int64{0, 3, 2, 2}, Outputs: names}, ort.Options{})
	require.NoError(t, err)
	defer func() { require.NoError(t, s.Close()) }()
	call, err := s.Acquire(1)
	require.NoError(t, err)
	defer call.Release()
	require.NoError(t, call.Run(t.Context()))
	require.Equal(t, [][]float32{{1, -7, 90}, {0.5, -2}}, call.Outputs(nil, 0))
}

// TestStops ends a model that would run for hours: in the trial, and when a
// caller goes away, after which the call can be used again.
func TestStops(t *testing.T) {
	rt := detecttest.Runtime(t)
	info := ort.Info{Input: "images", Shape: []int64{0, 3, detecttest.Side, detecttest.Side}, Outputs: []string{"output"}}
	_, err := rt.NewSession(detecttest.Endless(t), info, ort.Options{Trial: 50 * time.Millisecond})
	require.ErrorIs(t, err, ort.ErrSlow)

	s, err := rt.NewSession(detecttest.Waiting(t), info, ort.Options{})
	require.NoError(t, err)
	defer func() { require.NoError(t, s.Close()) }()
	call, err := s.Acquire(1)
	require.NoError(t, err)
	defer call.Release()
	call.Input()[0] = 1e9 // a bright picture takes long
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, call.Run(ctx), context.DeadlineExceeded)
	call.Input()[0] = 0
	require.NoError(t, call.Run(t.Context()))
}
