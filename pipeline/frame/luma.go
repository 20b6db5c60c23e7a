package frame

/*
#cgo pkg-config: libavutil
#include <libavutil/frame.h>
*/
import "C"

import (
	"unsafe"

	"github.com/asticode/go-astiav"
)

// Luma is a view of the brightness of f, one byte per pixel, rows stride bytes
// apart. It is nil where the pixel format has no such plane. Valid as long as the
// caller holds a reference to f; not to be written to.
func (f *Frame) Luma() (pixels []byte, stride int) {
	picture := f.AV()
	switch picture.PixelFormat() {
	case astiav.PixelFormatYuv420P, astiav.PixelFormatYuvj420P, astiav.PixelFormatYuv422P, astiav.PixelFormatYuvj422P,
		astiav.PixelFormatYuv444P, astiav.PixelFormatYuvj444P, astiav.PixelFormatNv12, astiav.PixelFormatGray8:
	default:
		return nil, 0
	}
	av := (*C.AVFrame)(picture.UnsafePointer())
	stride = int(av.linesize[0])
	if av.data[0] == nil || stride < f.Width() || f.Height() <= 0 {
		return nil, 0
	}
	return unsafe.Slice((*byte)(av.data[0]), stride*(f.Height()-1)+f.Width()), stride
}
