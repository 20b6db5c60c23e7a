package decode

/*
#cgo pkg-config: libavcodec libavutil
#include "card.h"
#include <stdlib.h>
*/
import "C"

import (
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"unsafe"

	"github.com/asticode/go-astiav"

	"detectd/pipeline"
	"detectd/pipeline/frame"
)

// Card is an NVIDIA card that decodes H.264 and H.265 (NVDEC). Its pictures stay on
// it until somebody reads them. Safe for concurrent use.
type Card struct {
	device *C.AVBufferRef

	pictures, fetched, bytes atomic.Uint64

	mu    sync.Mutex // guards pools
	pools map[int]poolRef
}

// poolRef keeps buffers of one size.
type poolRef = *C.AVBufferPool

// CardStats counts what a Card did.
type CardStats struct {
	Pictures uint64 // decoded on the card
	Fetched  uint64 // of those, brought into this machine's memory
	Bytes    uint64 // of pixels that were brought
}

// OpenCard opens the card of that number, as CUDA counts them. The error says what is
// missing. Close it after the decoders that use it.
func OpenCard(number int) (*Card, error) {
	if !hasLibrary("libcuda.so.1") {
		return nil, fmt.Errorf("open card %d: there is no NVIDIA driver: libcuda.so.1 is missing", number)
	}
	if !hasLibrary("libnvcuvid.so.1") {
		return nil, fmt.Errorf("open card %d: the driver's libnvcuvid.so.1 is missing; in a container, set NVIDIA_DRIVER_CAPABILITIES=all", number)
	}
	c := &Card{pools: map[int]poolRef{}}
	name := C.CString(strconv.Itoa(number))
	defer C.free(unsafe.Pointer(name))
	if rc := C.dtd_card_open(&c.device, name); rc < 0 { //nolint:gocritic // it looks at what cgo makes of this
		return nil, fmt.Errorf("open card %d: NVIDIA's driver gives no CUDA device of that number: %w", number, astiav.Error(rc))
	}
	return c, nil
}

// hasLibrary says whether the loader finds a library.
func hasLibrary(name string) bool {
	s := C.CString(name)
	defer C.free(unsafe.Pointer(s))
	return C.dtd_card_library(s) != 0
}

// Stats tells what the card did since it was opened.
func (c *Card) Stats() CardStats {
	return CardStats{Pictures: c.pictures.Load(), Fetched: c.fetched.Load(), Bytes: c.bytes.Load()}
}

// Close gives the card back. Pictures that are still out stay valid. Idempotent.
func (c *Card) Close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.drain()
	C.av_buffer_unref(&c.device) //nolint:gocritic // it looks at what cgo makes of this
}

// drain gives unused buffers back; those in use follow when they are not any more.
func (c *Card) drain() {
	for _, p := range c.pools {
		C.av_buffer_pool_uninit(&p) //nolint:gocritic // it looks at what cgo makes of this
	}
	clear(c.pools)
}

// maxPools bounds the sizes of pictures for which buffers are kept.
const maxPools = 16

// buffer returns a buffer for a picture of that many bytes, nil without memory.
func (c *Card) buffer(bytes int) *C.AVBufferRef {
	c.mu.Lock()
	defer c.mu.Unlock()
	p := c.pools[bytes]
	if p == nil {
		if len(c.pools) >= maxPools {
			c.drain()
		}
		if p = C.av_buffer_pool_init(C.size_t(bytes), nil); p == nil {
			return nil
		}
		c.pools[bytes] = p
	}
	return C.av_buffer_pool_get(p)
}

const (
	// spare is how many surfaces a decoder has for pictures that others hold. It has
	// five more than it needs anyway.
	spare = 2
	// most is how many may be held before a further one is fetched at once, so that its
	// surface is free again: cards have 32 for a stream, and none is left when all are held.
	most = 4
)

// deck is what the pictures of one decoder that are on the card have in common. It
// lives as long as the last of them.
type deck struct {
	card    *Card
	held    atomic.Int32
	trouble atomic.Pointer[error] // the first picture that could not be fetched
}

var _ frame.Remote = (*deck)(nil)

// Fetch implements frame.Remote.
func (d *deck) Fetch(here, there *astiav.Frame) error {
	to, from := (*C.AVFrame)(here.UnsafePointer()), (*C.AVFrame)(there.UnsafePointer())
	bytes := int(C.dtd_card_bytes(to))
	buffer := d.card.buffer(bytes)
	err := errors.New("out of memory")
	if buffer != nil {
		err = nil
		if rc := C.dtd_card_fetch(to, from, buffer); rc < 0 {
			err = astiav.Error(rc)
		}
	}
	if err != nil {
		err = fmt.Errorf("fetch picture from the card: %w", err)
		d.trouble.CompareAndSwap(nil, &err)
		return err
	}
	d.card.fetched.Add(1)
	d.card.bytes.Add(uint64(here.Width()) * uint64(here.Height()) * 3 / 2)
	return nil
}

// Returned implements frame.Remote.
func (d *deck) Returned() { d.held.Add(-1) }

// lay leaves the pixels of f on the card.
func (d *deck) lay(f *frame.Frame) error {
	if err := f.Defer(d, astiav.PixelFormatNv12); err != nil {
		return err
	}
	d.card.pictures.Add(1)
	if d.held.Add(1) > most {
		f.AV()
	}
	return nil
}

// codecOf is the libav context inside of go-astiav's, which has no way to attach one
// device to many codecs and none to flush.
func codecOf(cc *astiav.CodecContext) *C.AVCodecContext {
	return *(**C.AVCodecContext)(unsafe.Pointer(cc)) // its first field
}

// attach has a codec that is not open yet decode on the card.
func (d *deck) attach(cc *astiav.CodecContext) error {
	d.card.mu.Lock()
	defer d.card.mu.Unlock()
	if d.card.device == nil {
		return errors.New("attach card after Close")
	}
	if rc := C.dtd_card_attach(codecOf(cc), d.card.device, spare); rc < 0 {
		return fmt.Errorf("attach card: %w", astiav.Error(rc))
	}
	return nil
}

// flush makes a codec forget what it holds. H.265 keeps what it has on the card; H.264
// gives it back and takes it anew with the next unit, in libav 5.1.
func flush(cc *astiav.CodecContext) { C.avcodec_flush_buffers(codecOf(cc)) }

// errCropped is for pictures that a player cuts at the left or the top, which libav
// does not do on the card.
var errCropped = errors.New("the video is cropped at the left or the top")

// place notes where a picture of a decoder with a card is. keep is false for a gap in
// the video, for which the card has no pixels.
func (d *Decoder) place(f *astiav.Frame) (keep bool, err error) {
	switch C.dtd_card_holds((*C.AVFrame)(f.UnsafePointer())) {
	case C.DTD_NOTHING:
		return false, nil
	case C.DTD_CROPPED:
		return false, errCropped
	case C.DTD_THERE:
		d.where, d.why = pipeline.OnCard, ""
	default:
		d.where, d.why = pipeline.OnCPU, notTaken
	}
	d.refused = 0
	return true, nil
}

const notTaken = "the card does not take this video: it decodes 4:2:0 with 8 bits, in sizes and numbers that depend on the card"

// patience is how many units in a row the card may refuse.
const patience = 16

// judge decides after an error whether the card is to blame: libavcodec says of damaged
// video that it is invalid, and so do CPUs; what else happens is the card's.
func (d *Decoder) judge(err error) error {
	if d.deck == nil || d.where == pipeline.OnCPU {
		return nil
	}
	if d.refused++; errors.Is(err, astiav.ErrInvaliddata) && !errors.Is(err, errCropped) && d.refused < patience {
		return nil
	}
	return d.leaveCard(err)
}

// leaveCard goes on without the card, from the next key unit on.
func (d *Decoder) leaveCard(why error) error {
	d.deck, d.where, d.why = nil, pipeline.OnCPU, why.Error()
	return d.reopen()
}

// Where tells what decodes the stream, pipeline.OnCPU or pipeline.OnCard, and why not the card where it
// might: it cannot decode such video, it failed, or there is none although one was
// asked for. Both are empty where no card was asked for, and before the first picture.
func (d *Decoder) Where() (decoder, why string) {
	if d.opts.Card == nil && d.opts.NoCard == "" {
		return "", ""
	}
	return d.where, d.why
}
