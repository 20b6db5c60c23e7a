// Package frame holds decoded pictures: reference-counted libav frames in YUV
// (or any other libav pixel format), with the time they were captured.
//
// Pixels live in libav's own buffers, never on the Go heap. A Frame is owned by
// whoever holds a reference: the producer starts with one, every further owner
// calls Retain before it keeps the frame and Release when it is done. After the
// last Release the pixels are gone and the shell goes back to its Pool.
//
// This package imports nothing else of detectd.
package frame

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/asticode/go-astiav"
)

// Clock says how the capture time of a frame was obtained.
type Clock string

// The sources of a capture time, from the best to the worst.
const (
	ClockRTCP    Clock = "rtcp"    // the camera's RTCP sender report mapped RTP time to its wall clock
	ClockArrival Clock = "arrival" // the wall clock of this machine when the packet arrived
	ClockFile    Clock = "file"    // start of playing plus the time stamp in the file
)

// Meta is what is known about a frame beside its pixels.
type Meta struct {
	CameraID  string
	Seq       uint64        // counts the frames of one camera from 1, without gaps
	PTS       time.Duration // on the stream's own monotonic timeline, from 0
	Time      time.Time     // capture time on the wall clock
	TimeError time.Duration // half-width of the interval Time is known to lie in
	Clock     Clock
	Arrived   time.Time // when the last byte of the access unit reached this process
	Key       bool      // decoded from a key frame
	Damaged   bool      // the decoder concealed errors: show it, never alert on it
	// Orientation says how the pixels have to be turned to be upright. Width and
	// Height are those of the pixels as they are; boxes are those of the upright
	// picture, whose size UprightSize tells.
	Orientation Orientation
}

// Frame is one decoded picture. Valid until its last Release.
type Frame struct {
	Meta

	av   *astiav.Frame
	refs atomic.Int32
	pool *Pool
	away away
}

// AV is the libav frame with the pixels. It stays owned by f: never free or
// unref it, and do not use it after Release. Pixels that are elsewhere (see Defer)
// are fetched by the first call; where that fails they cannot be read, by a pixel
// format that says so.
func (f *Frame) AV() *astiav.Frame {
	if f.away.remote != nil {
		f.bring()
	}
	return f.av
}

// Width is the picture's width in pixels.
func (f *Frame) Width() int { return f.av.Width() }

// Height is the picture's height in pixels.
func (f *Frame) Height() int { return f.av.Height() }

// Retain adds a reference and returns f, for handing it to another owner.
func (f *Frame) Retain() *Frame {
	if f.refs.Add(1) <= 1 {
		panic("frame: Retain after the last Release")
	}
	return f
}

// Release drops a reference. After the last one the pixels are given back.
func (f *Frame) Release() {
	switch n := f.refs.Add(-1); {
	case n > 0:
		return
	case n < 0:
		panic("frame: Release without a reference")
	}
	f.leave()
	f.av.Unref()
	f.pool.put(f)
}

// Pool recycles the shells of frames. The pixel buffers themselves are pooled
// by the libav decoder that filled them. The zero Pool is ready to use.
type Pool struct {
	mu   sync.Mutex // guards free
	free []*Frame
	live atomic.Int64
}

// Get returns an empty frame with one reference. The caller fills f.AV(), for
// instance with CodecContext.ReceiveFrame, and f.Meta.
func (p *Pool) Get() *Frame {
	p.live.Add(1)
	p.mu.Lock()
	var f *Frame
	if n := len(p.free); n > 0 {
		f, p.free = p.free[n-1], p.free[:n-1]
	}
	p.mu.Unlock()
	if f == nil {
		f = &Frame{av: astiav.AllocFrame(), pool: p}
	}
	f.Meta = Meta{}
	f.refs.Store(1)
	return f
}

// Live is the number of frames that are out: taken and not yet released.
func (p *Pool) Live() int { return int(p.live.Load()) }

// Close frees the pooled shells. Frames still out are freed by their Release.
func (p *Pool) Close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, f := range p.free {
		f.free()
	}
	p.free = nil
}

func (p *Pool) put(f *Frame) {
	p.live.Add(-1)
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.free) < maxFree {
		p.free = append(p.free, f)
		return
	}
	f.free()
}

// maxFree bounds the shells kept for reuse (each well under a kilobyte).
const maxFree = 256
