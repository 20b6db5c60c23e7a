// Package pixel reaches the pixels of libav frames: it lends their planes and it
// converts and scales them with libswscale, honouring colour range and matrix.
// It speaks C itself because go-astiav reaches neither planes nor colour settings.
package pixel

/*
#cgo pkg-config: libswscale libavutil
#include <libavutil/frame.h>
#include <libavutil/pixdesc.h>
#include <libswscale/swscale.h>
#include <stdint.h>

typedef struct { int matrix, full; } dtdColour;
typedef struct { uint8_t *data[4]; int stride[4]; int w, h, fmt, full, matrix; } dtdPicture;

// The yuvj formats are yuv formats with a full range under another name;
// libswscale warns about them on every use.
static int dtd_plain(int fmt, int *full) {
	switch (fmt) {
	case AV_PIX_FMT_YUVJ420P: *full = 1; return AV_PIX_FMT_YUV420P;
	case AV_PIX_FMT_YUVJ422P: *full = 1; return AV_PIX_FMT_YUV422P;
	case AV_PIX_FMT_YUVJ444P: *full = 1; return AV_PIX_FMT_YUV444P;
	case AV_PIX_FMT_YUVJ440P: *full = 1; return AV_PIX_FMT_YUV440P;
	case AV_PIX_FMT_YUVJ411P: *full = 1; return AV_PIX_FMT_YUV411P;
	}
	return fmt;
}

static int dtd_rgb(int fmt) {
	const AVPixFmtDescriptor *d = av_pix_fmt_desc_get(fmt);
	return !d || (d->flags & AV_PIX_FMT_FLAG_RGB);
}

static void dtd_of_frame(const AVFrame *f, dtdPicture *p, dtdColour c) {
	for (int i = 0; i < 4; i++) { p->data[i] = f->data[i]; p->stride[i] = f->linesize[i]; }
	p->w = f->width;
	p->h = f->height;
	p->full = c.full;
	p->fmt = dtd_plain(f->format, &p->full);
	p->matrix = c.matrix;
}

static int dtd_scale(struct SwsContext **ctx, const dtdPicture *s, const dtdPicture *d) {
	// libswscale ends the process on what it does not know.
	if (s->w < 1 || s->h < 1 || d->w < 1 || d->h < 1 || !s->data[0] || !d->data[0] ||
		!sws_isSupportedInput(s->fmt) || !sws_isSupportedOutput(d->fmt)) return AVERROR(EINVAL);
	*ctx = sws_getCachedContext(*ctx, s->w, s->h, s->fmt, d->w, d->h, d->fmt,
		SWS_ACCURATE_RND | (s->w == d->w && s->h == d->h ? SWS_BILINEAR : SWS_AREA), NULL, NULL, NULL);
	if (!*ctx) return AVERROR(EINVAL);
	// A refusal means that there is nothing to set for this pair of formats.
	sws_setColorspaceDetails(*ctx, sws_getCoefficients(s->matrix), s->full || dtd_rgb(s->fmt),
		sws_getCoefficients(d->matrix), d->full || dtd_rgb(d->fmt), 0, 1 << 16, 1 << 16);
	return sws_scale(*ctx, (const uint8_t *const *)s->data, s->stride, 0, s->h, (uint8_t *const *)d->data, d->stride);
}

static int dtd_to_bgr(struct SwsContext **ctx, void *frame, dtdColour c, uint8_t *dst, int stride, int w, int h) {
	dtdPicture s, d = {{dst}, {stride}, w, h, AV_PIX_FMT_BGR24, 1, SWS_CS_DEFAULT};
	dtd_of_frame(frame, &s, c);
	d.matrix = s.matrix;
	return dtd_scale(ctx, &s, &d);
}

static int dtd_from_bgr(struct SwsContext **ctx, uint8_t *src, int stride, int w, int h, void *frame, dtdColour c) {
	dtdPicture d, s = {{src}, {stride}, w, h, AV_PIX_FMT_BGR24, 1, c.matrix};
	dtd_of_frame(frame, &d, c);
	return dtd_scale(ctx, &s, &d);
}

static int dtd_convert(struct SwsContext **ctx, void *src, dtdColour from, int w, int h, void *dst, dtdColour to) {
	dtdPicture s, d;
	dtd_of_frame(src, &s, from);
	dtd_of_frame(dst, &d, to);
	s.w = w;
	s.h = h;
	return dtd_scale(ctx, &s, &d);
}

static uint8_t *dtd_plane(void *p, int i, int *stride, int *rows) {
	const AVFrame *f = p;
	const AVPixFmtDescriptor *d = av_pix_fmt_desc_get(f->format);
	int used = 0;
	if (!d || i < 0 || i > 3) return NULL;
	for (int c = 0; c < d->nb_components; c++) used |= d->comp[c].plane == i;
	if (!used || !f->data[i] || f->linesize[i] <= 0) return NULL;
	int chroma = (i == 1 || i == 2) && !(d->flags & AV_PIX_FMT_FLAG_RGB);
	*stride = f->linesize[i];
	*rows = chroma ? AV_CEIL_RSHIFT(f->height, d->log2_chroma_h) : f->height;
	return f->data[i];
}
*/
import "C"

import (
	"fmt"
	"unsafe"

	"github.com/asticode/go-astiav"

	"detectd/pipeline/frame"
)

// Matrix is a set of YCbCr coefficients.
type Matrix int

// The matrices that are written; others are only read.
const (
	BT601 Matrix = C.SWS_CS_ITU601
	BT709 Matrix = C.SWS_CS_ITU709
)

// MatrixOf is the matrix of a frame's YCbCr values, as frame.ColourOf says.
func MatrixOf(f *astiav.Frame) Matrix {
	switch frame.ColourOf(f).Matrix {
	case astiav.ColorSpaceBt709:
		return BT709
	case astiav.ColorSpaceBt2020Ncl:
		return C.SWS_CS_BT2020
	case astiav.ColorSpaceSmpte240M:
		return C.SWS_CS_SMPTE240M
	case astiav.ColorSpaceFcc:
		return C.SWS_CS_FCC
	default:
		return BT601
	}
}

// FullRange tells whether the frame's values run from 0 to 255 instead of 16 to 235.
func FullRange(f *astiav.Frame) bool { return frame.ColourOf(f).Full }

// colour is what the C side needs to know: the range of f, and a matrix.
func colour(f *astiav.Frame, m Matrix) C.dtdColour {
	c := C.dtdColour{matrix: C.int(m)}
	if FullRange(f) {
		c.full = 1
	}
	return c
}

// Plane lends plane i of a frame in memory and tells how many bytes its rows are
// apart. The bytes are the frame's own; nil when there is no such plane.
func Plane(f *astiav.Frame, i int) ([]byte, int) {
	var stride, rows C.int
	p := C.dtd_plane(f.UnsafePointer(), C.int(i), &stride, &rows)
	if p == nil {
		return nil, 0
	}
	return unsafe.Slice((*byte)(p), int(stride)*int(rows)), int(stride)
}

// Scaler converts pictures, keeping its tables from one to the next. The zero
// Scaler is ready to use by one goroutine; Close frees it.
type Scaler struct {
	ctx *C.struct_SwsContext
}

// ToBGR writes src as width x height pixels of blue, green and red into dst,
// whose rows are stride bytes apart.
func (s *Scaler) ToBGR(src *astiav.Frame, dst []byte, stride, width, height int) error {
	if err := checkBGR(dst, stride, width, height); err != nil {
		return err
	}
	return s.result(C.dtd_to_bgr(&s.ctx, src.UnsafePointer(), colour(src, MatrixOf(src)), (*C.uint8_t)(unsafe.Pointer(&dst[0])),
		C.int(stride), C.int(width), C.int(height)))
}

// FromBGR fills dst, whose size, format, range and buffers are set, from
// width x height pixels of blue, green and red. The values written are in matrix m.
func (s *Scaler) FromBGR(src []byte, stride, width, height int, dst *astiav.Frame, m Matrix) error {
	if err := checkBGR(src, stride, width, height); err != nil {
		return err
	}
	return s.result(C.dtd_from_bgr(&s.ctx, (*C.uint8_t)(unsafe.Pointer(&src[0])),
		C.int(stride), C.int(width), C.int(height), dst.UnsafePointer(), colour(dst, m)))
}

// Convert fills dst, whose size, format, range and buffers are set, from the
// top left width x height pixels of src. The values written are in matrix m; the
// sources' own matrix must be the same when both are YCbCr.
func (s *Scaler) Convert(src *astiav.Frame, width, height int, dst *astiav.Frame, m Matrix) error {
	if width < 1 || height < 1 || width > src.Width() || height > src.Height() {
		return fmt.Errorf("convert %dx%d pixels of a %dx%d picture", width, height, src.Width(), src.Height())
	}
	return s.result(C.dtd_convert(&s.ctx, src.UnsafePointer(), colour(src, MatrixOf(src)),
		C.int(width), C.int(height), dst.UnsafePointer(), colour(dst, m)))
}

// Close frees the tables.
func (s *Scaler) Close() {
	C.sws_freeContext(s.ctx)
	s.ctx = nil
}

func (s *Scaler) result(ret C.int) error {
	if ret < 0 {
		return fmt.Errorf("convert picture: no way from this pixel format and size: %w", astiav.Error(ret))
	}
	return nil
}

func checkBGR(b []byte, stride, width, height int) error {
	if width < 1 || height < 1 || stride < 3*width || len(b) < stride*(height-1)+3*width {
		return fmt.Errorf("convert picture: %d bytes are no %dx%d picture", len(b), width, height)
	}
	return nil
}
