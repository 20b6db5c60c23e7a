package frame_test

import (
	"fmt"
	"testing"

	"github.com/asticode/go-astiav"
	"github.com/stretchr/testify/require"

	"detectd/pipeline/frame"
)

func TestColourOf(t *testing.T) {
	const bt601, bt709, bt2020 = astiav.ColorSpaceSmpte170M, astiav.ColorSpaceBt709, astiav.ColorSpaceBt2020Ncl
	const limited, full, none = astiav.ColorRangeMpeg, astiav.ColorRangeJpeg, astiav.ColorRangeUnspecified
	yuv, yuvj := astiav.PixelFormatYuv420P, astiav.PixelFormatYuvj420P
	for _, c := range []struct {
		w, h   int
		format astiav.PixelFormat
		mark   astiav.ColorSpace
		span   astiav.ColorRange
		want   frame.Colour
	}{
		{640, 480, yuv, astiav.ColorSpaceUnspecified, none, frame.Colour{Matrix: bt601}},
		{720, 576, yuv, astiav.ColorSpaceUnspecified, none, frame.Colour{Matrix: bt601}},
		{1278, 718, yuv, astiav.ColorSpaceUnspecified, none, frame.Colour{Matrix: bt601}},
		{1280, 718, yuv, astiav.ColorSpaceUnspecified, none, frame.Colour{Matrix: bt709}}, // wide
		{960, 720, yuv, astiav.ColorSpaceUnspecified, none, frame.Colour{Matrix: bt709}},
		{720, 1280, yuv, astiav.ColorSpaceUnspecified, none, frame.Colour{Matrix: bt709}}, // upright telephone
		{1920, 1080, yuv, astiav.ColorSpaceUnspecified, full, frame.Colour{Matrix: bt709, Full: true}},
		{1920, 1080, yuvj, astiav.ColorSpaceUnspecified, none, frame.Colour{Matrix: bt709, Full: true}},
		{640, 480, yuvj, astiav.ColorSpaceUnspecified, limited, frame.Colour{Matrix: bt601, Full: true}}, // the name says more
		{1920, 1080, yuvj, astiav.ColorSpaceBt470Bg, full, frame.Colour{Matrix: bt601, Full: true}},      // JPEG
		{1920, 1080, yuv, bt601, limited, frame.Colour{Matrix: bt601}},
		{640, 480, yuv, bt709, limited, frame.Colour{Matrix: bt709}},
		{640, 480, yuv, bt2020, none, frame.Colour{Matrix: bt2020}},
		{640, 480, yuv, astiav.ColorSpaceBt2020Cl, none, frame.Colour{Matrix: bt2020}},
		{640, 480, astiav.PixelFormatGray8, astiav.ColorSpaceUnspecified, none, frame.Colour{Matrix: bt601, Full: true}},
		{640, 480, astiav.PixelFormatGray8, astiav.ColorSpaceUnspecified, limited, frame.Colour{Matrix: bt601}},
		{640, 480, astiav.PixelFormatRgb24, astiav.ColorSpaceUnspecified, none, frame.Colour{Matrix: bt601, Full: true}},
	} {
		f := astiav.AllocFrame()
		f.SetWidth(c.w)
		f.SetHeight(c.h)
		f.SetPixelFormat(c.format)
		name := fmt.Sprintf("%dx%d %s %v %v", c.w, c.h, c.format, c.mark, c.span)
		frame.SetColour(f, frame.Colour{Matrix: c.mark})
		f.SetColorRange(c.span)
		require.Equal(t, c.want, frame.ColourOf(f), name)
		frame.SetColour(f, c.want) // what is marked is read as it was
		require.Equal(t, c.want, frame.ColourOf(f), name)
		f.Free()
	}
}
