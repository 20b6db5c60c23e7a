package detecttest

/*
#cgo pkg-config: libavutil
#include <libavutil/frame.h>
#include <libavutil/pixdesc.h>

static int planes(const AVFrame *f) { return av_pix_fmt_count_planes(f->format); }

static int rows(const AVFrame *f, int i) {
	const AVPixFmtDescriptor *d = av_pix_fmt_desc_get(f->format);
	if ((i == 1 || i == 2) && !(d->flags & AV_PIX_FMT_FLAG_RGB))
		return AV_CEIL_RSHIFT(f->height, d->log2_chroma_h);
	return f->height;
}

static void mark(AVFrame *f, int range, int space) {
	f->color_range = range;
	f->colorspace = space;
}
*/
import "C"

import (
	"testing"
	"unsafe"

	"github.com/asticode/go-astiav"

	"detectd/pipeline/frame"
)

// Plane is one plane of a frame's pixels, in libav's own memory.
type Plane struct {
	Pix    []byte // Stride bytes per row
	Stride int
	Rows   int
}

// Planes returns the planes of f. They are valid as long as the frame.
func Planes(f *frame.Frame) []Plane {
	c := (*C.AVFrame)(f.AV().UnsafePointer())
	list := make([]Plane, int(C.planes(c)))
	for i := range list {
		p := Plane{Stride: int(c.linesize[i]), Rows: int(C.rows(c, C.int(i)))}
		p.Pix = unsafe.Slice((*byte)(unsafe.Pointer(c.data[i])), p.Stride*p.Rows)
		list[i] = p
	}
	return list
}

// Matrix is a colour matrix as libav numbers it.
type Matrix int

// The colour matrices.
const (
	BT709      Matrix = C.AVCOL_SPC_BT709
	BT601      Matrix = C.AVCOL_SPC_SMPTE170M
	Unmarked   Matrix = C.AVCOL_SPC_UNSPECIFIED
	BT2020     Matrix = C.AVCOL_SPC_BT2020_NCL
	rangeFull         = C.AVCOL_RANGE_JPEG
	rangeVideo        = C.AVCOL_RANGE_MPEG
)

// Mark sets the colour range and matrix of a frame.
func Mark(f *frame.Frame, full bool, m Matrix) {
	r := rangeVideo
	if full {
		r = rangeFull
	}
	C.mark((*C.AVFrame)(f.AV().UnsafePointer()), C.int(r), C.int(m))
}

// Blank returns a frame of the given format whose pixels are not set. The
// caller releases it.
func Blank(t testing.TB, pool *frame.Pool, format astiav.PixelFormat, w, h int) *frame.Frame {
	t.Helper()
	f := pool.Get()
	av := f.AV()
	av.SetWidth(w)
	av.SetHeight(h)
	av.SetPixelFormat(format)
	if err := av.AllocBuffer(0); err != nil {
		f.Release()
		t.Fatalf("allocate %dx%d frame: %v", w, h, err)
	}
	return f
}

// Rect is a bright rectangle of a generated picture, in pixels.
type Rect struct{ X, Y, W, H int }

// Levels of the generated pictures, in luma with limited range.
const (
	LumaDark   = 60
	LumaBright = 225
)

// Picture returns a grey yuv420p picture with bright rectangles. The caller
// releases it.
func Picture(t testing.TB, pool *frame.Pool, w, h int, rects ...Rect) *frame.Frame {
	t.Helper()
	f := Blank(t, pool, astiav.PixelFormatYuv420P, w, h)
	planes := Planes(f)
	for i, level := range []byte{LumaDark, 128, 128} {
		for j := range planes[i].Pix {
			planes[i].Pix[j] = level
		}
	}
	luma := planes[0]
	for _, r := range rects {
		for y := max(r.Y, 0); y < min(r.Y+r.H, h); y++ {
			for x := max(r.X, 0); x < min(r.X+r.W, w); x++ {
				luma.Pix[y*luma.Stride+x] = LumaBright
			}
		}
	}
	return f
}
