package ort

/*
#cgo linux LDFLAGS: -ldl
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// The CUDA runtime, if the provider has brought it into the process.
static void *cudart(void) {
	static const char *const names[] = {"libcudart.so.13", "libcudart.so.12", "libcudart.so.11.0"};
	for (unsigned i = 0; i < sizeof names / sizeof *names; i++) {
		void *lib = dlopen(names[i], RTLD_LAZY | RTLD_NOLOAD);
		if (lib)
			return lib;
	}
	return NULL;
}

// Locks pages for transfers of a device and of all others; 0 when it has.
static int pin(int device, void *p, size_t n) {
	const unsigned portable = 1;
	void *lib = cudart();
	if (!lib)
		return -1;
	int (*use)(int) = (int (*)(int))dlsym(lib, "cudaSetDevice");
	int (*lock)(void *, size_t, unsigned) = (int (*)(void *, size_t, unsigned))dlsym(lib, "cudaHostRegister");
	int status = use && lock ? use(device) : -1;
	if (status == 0)
		status = lock(p, n, portable);
	dlclose(lib);
	return status;
}

static void unpin(void *p) {
	void *lib = cudart();
	if (!lib)
		return;
	int (*unlock)(void *) = (int (*)(void *))dlsym(lib, "cudaHostUnregister");
	if (unlock)
		unlock(p);
	dlclose(lib);
}

// Zeroed memory of whole pages.
static void *pages(size_t *n) {
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	void *p = NULL;
	*n = (*n + page - 1) / page * page;
	if (posix_memalign(&p, page, *n) != 0)
		return NULL;
	return memset(p, 0, *n);
}

static int preload(const char *path) { return dlopen(path, RTLD_LAZY | RTLD_GLOBAL) != NULL; }
*/
import "C"

import (
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"unsafe"
)

// block is a piece of C memory that a tensor lies in.
type block struct {
	p      unsafe.Pointer
	pinned bool // its pages are locked, so that a GPU reads and writes them by itself
}

// newBlock takes zeroed memory. For a GPU its pages are locked where the CUDA
// runtime lets them be; the library's binding has no way to ask ONNX Runtime for
// its own such memory. Without, transfers are slower and nothing else changes.
func newBlock(bytes int64, forGPU bool, device int) (block, error) {
	if !forGPU {
		if p := C.calloc(1, C.size_t(bytes)); p != nil {
			return block{p: p}, nil
		}
		return block{}, errors.New("out of memory")
	}
	n := C.size_t(bytes)
	p := C.pages(&n)
	if p == nil {
		return block{}, errors.New("out of memory")
	}
	return block{p: p, pinned: C.pin(C.int(device), p, n) == 0}, nil
}

func (b block) free() {
	if b.pinned {
		C.unpin(b.p)
	}
	C.free(b.p)
}

// Locked gives zeroed memory for n numbers in pages that a GPU reads and writes by
// itself, where the CUDA runtime has been loaded and lets them be locked, and in
// plain ones elsewhere. It is valid until free is called.
func Locked(n, device int) (data []float32, free func(), err error) {
	b, err := newBlock(4*int64(n), true, device)
	if err != nil {
		return nil, nil, err
	}
	return unsafe.Slice((*float32)(b.p), n), b.free, nil
}

// preload loads NVIDIA's libraries that lie beside ONNX Runtime, where the loader
// does not look for what its providers need. Which need which is not known here, so
// it goes on as long as one more can be loaded. It is harmless to do again.
func preload(folder string) {
	var files []string
	for _, name := range []string{"cudart", "cublasLt", "cublas", "curand", "nvJitLink", "cufft", "nvrtc", "cudnn*", "nvinfer*", "nvonnxparser"} {
		found, _ := filepath.Glob(filepath.Join(folder, "lib"+name+".so.*")) // the pattern is good
		for _, file := range found {
			// TensorRT's builders are loaded when something is to be built.
			if !strings.Contains(file, "builder_resource") {
				files = append(files, file)
			}
		}
	}
	for more := true; more; {
		more = false
		files = slices.DeleteFunc(files, func(file string) bool {
			path := C.CString(file)
			defer C.free(unsafe.Pointer(path))
			loaded := C.preload(path) != 0
			more = more || loaded
			return loaded
		})
	}
}
