package ort

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// libraryName is what the library is called on this system.
func libraryName() string {
	switch runtime.GOOS {
	case "darwin":
		return "libonnxruntime.dylib"
	case "windows":
		return "onnxruntime.dll"
	default:
		return "libonnxruntime.so.1"
	}
}

// FindLibrary returns the path of ONNX Runtime's shared library. An explicit
// path is taken as it is when the file exists. Otherwise the places are, in this
// order: lib/ beside the program, ../lib/detectd/ from the program,
// build/onnxruntime/ of the checkout that the working directory is in (for
// tests and go run; an installed program never gets there), and at last the bare
// name, which leaves the search to the system's loader.
func FindLibrary(explicit string) (string, error) {
	if explicit != "" {
		if _, err := os.Stat(explicit); err != nil {
			return "", fmt.Errorf("find ONNX Runtime library: %w", err)
		}
		return filepath.Abs(explicit)
	}
	name := libraryName()
	var places []string
	if exe, err := os.Executable(); err == nil {
		if real, err := filepath.EvalSymlinks(exe); err == nil {
			exe = real
		}
		dir := filepath.Dir(exe)
		places = append(places, filepath.Join(dir, "lib", name), filepath.Join(dir, "..", "lib", "detectd", name))
	}
	if dir := checkout(); dir != "" {
		places = append(places, filepath.Join(dir, "build", "onnxruntime", name))
	}
	for _, path := range places {
		if info, err := os.Stat(path); err == nil && !info.IsDir() {
			return path, nil
		}
	}
	return name, nil
}

// checkout is the folder at or above the working directory that holds detectd's
// go.mod, or empty.
func checkout() string {
	dir, err := os.Getwd()
	for err == nil {
		mod, readErr := os.ReadFile(filepath.Join(dir, "go.mod"))
		if readErr == nil && strings.HasPrefix(string(mod), "module detectd\n") {
			return dir
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			break
		}
		dir = parent
	}
	return ""
}
