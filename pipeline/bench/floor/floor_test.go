package floor

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"detectd/detect/ort"
	"detectd/pipeline/simulate"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// repository walks up to the folder of go.mod.
func repository(t *testing.T) string {
	t.Helper()
	dir, err := os.Getwd()
	require.NoError(t, err)
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		parent := filepath.Dir(dir)
		require.NotEqual(t, dir, parent, "no go.mod above this folder")
		dir = parent
	}
}

func openModel(t *testing.T) *Model {
	t.Helper()
	library, err := ort.FindLibrary("")
	if err != nil {
		library = filepath.Join(repository(t), "build/onnxruntime/libonnxruntime.so.1")
	}
	file := filepath.Join(repository(t), "build/share/default.onnx")
	if _, err := os.Stat(file); err != nil {
		t.Fatal("run make build first: ", err)
	}
	m, err := OpenModel(library, file)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, m.Close()) })
	return m
}

func video(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "v.mp4")
	require.NoError(t, simulate.Generate(path, simulate.Spec{Frames: 30, BFrames: 2}))
	return path
}

func TestDecode(t *testing.T) {
	d, err := Decode(video(t))
	require.NoError(t, err)
	require.Equal(t, 30, d.Frames)
	require.Positive(t, d.CPU)
	require.Positive(t, d.P50)

	bad := filepath.Join(t.TempDir(), "bad.mp4")
	_, err = Decode(bad)
	require.ErrorContains(t, err, "open "+bad)
	require.NoError(t, os.WriteFile(bad, []byte("no video at all"), 0o600))
	_, err = Decode(bad)
	require.ErrorContains(t, err, "open "+bad)
}

func TestFloorAndPoolOfTheDefaultModel(t *testing.T) {
	m := openModel(t)
	require.NotEmpty(t, m.Version())
	bare, err := m.Infer(2)
	require.NoError(t, err)
	require.Positive(t, bare.CPU)
	require.Positive(t, bare.P50)
	require.Positive(t, bare.PerSecond)
	pool, err := m.Pool(t.Context(), video(t), 3, 1, 2)
	require.NoError(t, err)
	require.Positive(t, pool.CPU)
	require.Positive(t, pool.PerSecond)
	_, err = m.Pool(t.Context(), "none.mp4", 3, 1, 2)
	require.ErrorContains(t, err, "none.mp4")
}

func TestReadFrames(t *testing.T) {
	path := video(t)
	f, err := ReadFrames(t.Context(), path, 7)
	require.NoError(t, err)
	require.Len(t, f.List, 7)
	f.Close()
	require.Zero(t, f.pool.Live())
	f, err = ReadFrames(t.Context(), path, 1000)
	require.NoError(t, err)
	require.Len(t, f.List, 30)
	f.Close()
}

// TestFed has the pool of a GPU answer for all streams, on the CPU.
func TestFed(t *testing.T) {
	m := openModel(t)
	got, sizes, err := m.Fed(t.Context(), video(t), Fed{Streams: 3, Duration: 200 * time.Millisecond})
	require.NoError(t, err)
	require.Positive(t, got.PerSecond)
	require.Positive(t, sizes[1])
	_, _, err = m.Fed(t.Context(), filepath.Join(t.TempDir(), "none.mp4"), Fed{Streams: 1})
	require.ErrorContains(t, err, "none.mp4")
}

// TestLoopWithoutGPU is what a library without CUDA says.
func TestLoopWithoutGPU(t *testing.T) {
	m := openModel(t)
	require.NoError(t, m.Starts(t.Context(), ort.CPU))
	_, err := m.GPU(t.Context(), Loop{Batch: 1, Callers: 1}, time.Second)
	require.ErrorIs(t, err, ort.ErrNotBuiltIn)
}

// TestCallsInTime make no call after their time, and end with the first error.
func TestCallsInTime(t *testing.T) {
	n := 0
	took, err := until([]func() error{func() error { n++; return nil }}, time.Now())
	require.NoError(t, err)
	require.Empty(t, took)
	require.Zero(t, n)
	_, err = until([]func() error{func() error { n++; return ort.ErrRun }}, time.Now().Add(time.Hour))
	require.ErrorIs(t, err, ort.ErrRun)
	require.Equal(t, 1, n)
}
