package ort_test

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"detectd/detect/detecttest"
	"detectd/detect/onnx"
	"detectd/detect/ort"
)

// ownLibrary is the library that DETECTD_TEST_LIBRARY names, such as the one that
// `make gpu PROVIDER=openvino` leaves in build/onnxruntime-openvino.
func ownLibrary(t *testing.T) *ort.Runtime {
	t.Helper()
	path := os.Getenv("DETECTD_TEST_LIBRARY")
	if path == "" {
		t.Skip("DETECTD_TEST_LIBRARY names no libonnxruntime with other providers: they are not tried")
	}
	rt, err := ort.Open(path)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, rt.Close()) })
	return rt
}

func TestStart(t *testing.T) {
	rt := detecttest.Runtime(t)
	require.NoError(t, rt.Start(t.Context(), ort.CPU, 0))
	for _, p := range ort.Providers() {
		if p != ort.CPU {
			require.ErrorIs(t, rt.Start(t.Context(), p, 0), ort.ErrNotBuiltIn, p)
		}
	}
	require.ErrorContains(t, rt.Start(t.Context(), "abacus", 0), "abacus")
}

// TestStartOwn tries every provider of a library: each works or says why not in one line.
func TestStartOwn(t *testing.T) {
	rt := ownLibrary(t)
	for _, p := range ort.Providers() {
		err := rt.Start(t.Context(), p, 0)
		t.Logf("%s %s: %v", rt.Version(), p, err)
		if p == ort.CPU {
			require.NoError(t, err)
		}
		if err != nil {
			require.NotContains(t, err.Error(), "\n")
			require.Less(t, len(err.Error()), 400)
		}
	}
}

// TestProviderWithoutItsLibraries is what a machine without CUDA meets.
func TestProviderWithoutItsLibraries(t *testing.T) {
	folder := t.TempDir()
	library := filepath.Join(folder, "libonnxruntime.so.1")
	data, err := os.ReadFile(detecttest.Artefact(t, "onnxruntime", "libonnxruntime.so.1"))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(library, data, 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(folder, "libonnxruntime_providers_cuda.so"), []byte("no library"), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(folder, "libcudart.so.12"), []byte("no library"), 0o600))
	rt, err := ort.Open(library)
	require.NoError(t, err)
	defer func() { require.NoError(t, rt.Close()) }()
	err = rt.Start(t.Context(), ort.CUDA, 0)
	require.Error(t, err)
	require.NotErrorIs(t, err, ort.ErrNotBuiltIn)
	require.ErrorContains(t, err, "start cuda: ")
	require.NotContains(t, err.Error(), "provider_bridge_ort.cc")
	require.ErrorIs(t, rt.Start(t.Context(), ort.TensorRT, 0), ort.ErrNotBuiltIn)
}

// TestBinding holds runs with bound inputs and outputs against plain ones: the same
// numbers, for all batches, from many callers, and with constants.
func TestBinding(t *testing.T) {
	rt := detecttest.Runtime(t)
	info := ort.Info{Input: "x", Shape: []int64{0, 2}, Outputs: []string{"y", "c"}}
	plain, err := rt.NewSession(sum(t, onnx.Dim{Symbol: "n"}), info, ort.Options{})
	require.NoError(t, err)
	defer func() { require.NoError(t, plain.Close()) }()
	bound, err := rt.NewSession(sum(t, onnx.Dim{Symbol: "n"}), info, ort.Bound(ort.Options{}))
	require.NoError(t, err)
	defer func() { require.NoError(t, bound.Close()) }()
	ort.OnGPU(bound) // its pages stay as they are: there is no CUDA in the process
	var wg sync.WaitGroup
	for worker := range uint64(4) {
		wg.Go(func() {
			random := rand.New(rand.NewPCG(worker, 1))
			for n := range 100 {
				batch := 1 + n%3
				a, errA := plain.Acquire(batch)
				b, errB := bound.Acquire(batch)
				if errA != nil || errB != nil {
					t.Error(errA, errB)
					return
				}
				for i := range a.Input() {
					a.Input()[i] = random.Float32()
				}
				copy(b.Input(), a.Input())
				if errA, errB = a.Run(t.Context()), b.Run(t.Context()); errA != nil || errB != nil {
					t.Error(errA, errB)
				}
				for i := range batch {
					x, y := a.Outputs(nil, i), b.Outputs(nil, i)
					if x[0][0] != y[0][0] || x[0][1] != y[0][1] || y[1][2] != 9 || x[0][0] != a.Input()[2*i]+1 {
						t.Errorf("plain %v, bound %v", x, y)
					}
				}
				a.Release()
				b.Release()
			}
		})
	}
	wg.Wait()
}

// TestSignalStack opens and closes sessions on changing threads while Go interrupts
// them: OpenVINO's plugin leaves a thread without the stack for signals it had.
func TestSignalStack(t *testing.T) {
	rt := ownLibrary(t)
	if rt.Start(t.Context(), ort.OpenVINO, 0) != nil {
		t.Skip("DETECTD_TEST_LIBRARY has no OpenVINO")
	}
	for range 20 {
		var wg sync.WaitGroup
		wg.Go(func() {
			if err := rt.Start(t.Context(), ort.OpenVINO, 0); err != nil {
				t.Error(err)
			}
		})
		wg.Wait()
		runtime.GC()
	}
}
