// Package detecttest helps testing what works with detectors: generated
// pictures, tiny models and the artefacts that `make build` leaves in build/.
package detecttest

import (
	"os"
	"path/filepath"
	"testing"

	"detectd/detect/ort"
)

// Artefact returns the path of a file below the repository's build folder. The
// test fails when it is not there.
func Artefact(t testing.TB, name ...string) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatalf("find repository: %v", err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			break
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			t.Fatal("find repository: no go.mod above the working directory")
		}
		dir = parent
	}
	path := filepath.Join(append([]string{dir, "build"}, name...)...)
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("%v: run make build", err)
	}
	return path
}

// Runtime opens ONNX Runtime for one test, which must not run in parallel with
// another one that does, and closes it at the end of the test. Detectors must be
// closed before.
func Runtime(t testing.TB) *ort.Runtime {
	t.Helper()
	rt, err := ort.Open(Artefact(t, "onnxruntime", "libonnxruntime.so.1"))
	if err != nil {
		t.Fatalf("open ONNX Runtime: %v", err)
	}
	t.Cleanup(func() {
		if err := rt.Close(); err != nil {
			t.Errorf("%v", err)
		}
	})
	return rt
}

// DefaultModel returns the bytes of the default model.
func DefaultModel(t testing.TB) []byte {
	t.Helper()
	data, err := os.ReadFile(Artefact(t, "share", "default.onnx"))
	if err != nil {
		t.Fatalf("read default model: %v", err)
	}
	return data
}
