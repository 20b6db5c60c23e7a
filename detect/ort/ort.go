// Package ort runs ONNX models with ONNX Runtime. It is the only package that
// talks to that library, which is loaded at run time from a path.
//
// Tensors live in C memory that is reused from call to call, so that running a
// model puts nothing large on the Go heap.
package ort

import (
	"errors"
	"fmt"
	"strings"
	"sync"

	ort "github.com/yalue/onnxruntime_go"
)

// ErrOpen is returned by Open when the process already has a runtime.
var ErrOpen = errors.New("ONNX Runtime is already open in this process")

// API is the version of ONNX Runtime's interface that is spoken: ONNX Runtime 1.24 was
// the first with it, and later ones have it too.
const API = 24

// Runtime is the loaded library with its environment. ONNX Runtime allows one
// per process.
type Runtime struct {
	path string

	mu       sync.Mutex // guards what follows
	closed   bool
	sessions int
}

// Open loads the library (see FindLibrary) and starts its environment.
func Open(libraryPath string) (*Runtime, error) {
	if ort.IsInitialized() {
		return nil, ErrOpen
	}
	ort.SetSharedLibraryPath(libraryPath)
	if err := ort.InitializeEnvironment(ort.WithLogLevelFatal()); err != nil {
		if strings.Contains(err.Error(), "ORT API base") {
			return nil, fmt.Errorf("load ONNX Runtime from %q: it does not speak API version %d, which detectd needs: take ONNX Runtime 1.%d or later", libraryPath, API, API)
		}
		return nil, fmt.Errorf("load ONNX Runtime from %q: %w", libraryPath, err)
	}
	// Best effort: builds without telemetry refuse to switch it off.
	_ = ort.DisableTelemetry()
	return &Runtime{path: libraryPath}, nil
}

// Version is the version of the loaded library.
func (r *Runtime) Version() string { return ort.GetVersion() }

// Path is where the library was loaded from.
func (r *Runtime) Path() string { return r.path }

// Close ends the environment. It refuses while sessions are open.
func (r *Runtime) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return nil
	}
	if r.sessions > 0 {
		return fmt.Errorf("close ONNX Runtime: %d sessions are still open", r.sessions)
	}
	if err := ort.DestroyEnvironment(); err != nil {
		return fmt.Errorf("close ONNX Runtime: %w", err)
	}
	r.closed = true
	return nil
}

func (r *Runtime) enter() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return errors.New("ONNX Runtime is closed")
	}
	r.sessions++
	return nil
}

func (r *Runtime) leave() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sessions--
}
