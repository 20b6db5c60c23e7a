package frame

/*
#cgo pkg-config: libavutil
#include <libavutil/frame.h>
#include <libavutil/pixdesc.h>
#include <string.h>

static int dtd_full(const AVFrame *f) {
	const AVPixFmtDescriptor *d = av_pix_fmt_desc_get(f->format);
	if (f->color_range == AVCOL_RANGE_JPEG || (d && !strncmp(d->name, "yuvj", 4)))
		return 1;
	return f->color_range != AVCOL_RANGE_MPEG && d && (d->flags & AV_PIX_FMT_FLAG_RGB || d->nb_components < 3);
}
*/
import "C"

import "github.com/asticode/go-astiav"

// Colour says how the values of a frame are to be read.
type Colour struct {
	// Matrix is one of ColorSpaceSmpte170M (BT.601), ColorSpaceBt709,
	// ColorSpaceBt2020Ncl, ColorSpaceSmpte240M and ColorSpaceFcc. It says nothing
	// about RGB and grey.
	Matrix astiav.ColorSpace
	Full   bool // values run over the whole of their range, not 16 to 235 of 255
}

// ColourOf is the one place that says how a frame's values are read: by the matrix
// and the range that it is marked with. What is not marked is read as players do:
// pictures of at least 1280 columns or 720 lines are BT.709 and all others are
// BT.601; YUV has the limited range, RGB, grey and libav's yuvj formats the full
// one. JPEG is BT.601 by definition (JFIF) at any size: its decoders mark it.
func ColourOf(av *astiav.Frame) Colour {
	f := (*C.AVFrame)(av.UnsafePointer())
	c := Colour{Matrix: astiav.ColorSpaceSmpte170M, Full: C.dtd_full(f) != 0}
	switch m := astiav.ColorSpace(f.colorspace); m {
	case astiav.ColorSpaceBt709, astiav.ColorSpaceBt2020Ncl, astiav.ColorSpaceSmpte240M, astiav.ColorSpaceFcc:
		c.Matrix = m
	case astiav.ColorSpaceBt2020Cl:
		c.Matrix = astiav.ColorSpaceBt2020Ncl // close enough to look at
	case astiav.ColorSpaceBt470Bg, astiav.ColorSpaceSmpte170M:
	default:
		if HighDefinition(av.Width(), av.Height()) {
			c.Matrix = astiav.ColorSpaceBt709
		}
	}
	return c
}

// HighDefinition tells whether unmarked video of this size is BT.709, not BT.601.
func HighDefinition(width, height int) bool { return width >= 1280 || height >= 720 }

// SetColour marks a frame.
func SetColour(av *astiav.Frame, c Colour) {
	f := (*C.AVFrame)(av.UnsafePointer())
	f.colorspace = C.enum_AVColorSpace(c.Matrix)
	f.color_range = C.AVCOL_RANGE_MPEG
	if c.Full {
		f.color_range = C.AVCOL_RANGE_JPEG
	}
}
