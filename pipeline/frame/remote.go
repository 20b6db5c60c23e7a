package frame

/*
#cgo pkg-config: libavutil
#include <libavutil/frame.h>
*/
import "C"

import (
	"errors"
	"sync"

	"github.com/asticode/go-astiav"
)

// Remote keeps pictures outside of this machine's memory, as a graphics card does.
// Its methods are called from any goroutine.
type Remote interface {
	// Fetch brings the pixels of there into here, which has the size and the pixel
	// format but no buffer. After an error here stays without pixels.
	Fetch(here, there *astiav.Frame) error
	// Returned says that one of its pictures was given back.
	Returned()
}

// away is what a frame has while its pixels are elsewhere.
type away struct {
	remote Remote

	mu      sync.Mutex // guards what follows, and the buffer of the frame's av until it is there
	there   *astiav.Frame
	pending bool // nobody has asked for the pixels yet
}

// Defer leaves the pixels of f where they are, with remote, until somebody asks for
// them by AV or Luma: then they are fetched, once for all owners of f, as a picture of
// the given format. What nobody reads is never fetched. The producer calls it before it
// hands f on, with what AV holds by then: all that is known of the picture stays with it.
func (f *Frame) Defer(remote Remote, format astiav.PixelFormat) error {
	if f.away.there == nil {
		f.away.there = astiav.AllocFrame()
	}
	width, height := f.av.Width(), f.av.Height()
	f.away.there.MoveRef(f.av)
	here, there := (*C.AVFrame)(f.av.UnsafePointer()), (*C.AVFrame)(f.away.there.UnsafePointer())
	if C.av_frame_copy_props(here, there) < 0 {
		f.av.Unref()
		f.av.MoveRef(f.away.there)
		return errors.New("copy what is known of a picture: out of memory")
	}
	f.av.SetWidth(width)
	f.av.SetHeight(height)
	f.av.SetPixelFormat(format)
	f.away.remote, f.away.pending = remote, true
	return nil
}

// bring fetches the pixels unless that was done. After an error f has the remote's
// pixel format, which nothing reads, and no pixels.
func (f *Frame) bring() {
	f.away.mu.Lock()
	defer f.away.mu.Unlock()
	if !f.away.pending {
		return
	}
	if err := f.away.remote.Fetch(f.av, f.away.there); err != nil {
		f.av.SetPixelFormat(f.away.there.PixelFormat())
	}
	f.giveBack()
}

// giveBack ends the use of the remote's picture. The caller holds mu, or f alone.
func (f *Frame) giveBack() {
	f.away.there.Unref()
	f.away.pending = false
	f.away.remote.Returned()
}

// leave forgets the remote after the last Release.
func (f *Frame) leave() {
	if f.away.remote == nil {
		return
	}
	if f.away.pending {
		f.giveBack()
	}
	f.away.remote = nil
}

// free frees the shell.
func (f *Frame) free() {
	f.av.Free()
	if f.away.there != nil {
		f.away.there.Free()
	}
}
