package tensor_test

import (
	"encoding/binary"
	"math"
	"testing"
	"unsafe"

	"github.com/asticode/go-astiav"
	"github.com/stretchr/testify/require"

	"detectd/detect"
	"detectd/detect/detecttest"
	"detectd/detect/tensor"
	"detectd/pipeline/frame"
)

// fromHalf decodes a 16-bit float.
func fromHalf(h uint16) float64 {
	sign, exponent, fraction := 1.0, int(h>>10&31), float64(h&1023)
	if h>>15 == 1 {
		sign = -1
	}
	switch exponent {
	case 0:
		return sign * fraction * math.Pow(2, -24)
	case 31:
		return sign * math.Inf(1)
	default:
		return sign * (1 + fraction/1024) * math.Pow(2, float64(exponent-15))
	}
}

// TestTypes compares inputs of 16-bit floats and bytes with those of 32-bit
// floats: halves are the nearest ones, bytes are rounded.
func TestTypes(t *testing.T) {
	var pool frame.Pool
	for _, format := range []astiav.PixelFormat{astiav.PixelFormatYuv420P, astiav.PixelFormatRgb24} {
		f := detecttest.Blank(t, &pool, format, 130, 71)
		noise(f, false)
		for _, layout := range []detect.Layout{detect.NCHW, detect.NHWC} {
			for _, scale := range []float32{1, 1.0 / 255, 1e-8, 1e4} {
				in := input(49, 37, layout, detect.RGB, detect.LetterboxCentre)
				in.Scale, in.Mean = scale, [3]float32{0.1 * scale, 0, 0.3 * scale}
				whole, err := tensor.New(in)
				require.NoError(t, err)
				want := make([]float32, whole.Size())
				_, err = whole.Fill(want, f)
				require.NoError(t, err)

				in.Type = detect.Float16
				half, err := tensor.New(in)
				require.NoError(t, err)
				require.Equal(t, 2*half.Size(), half.Bytes())
				got := make([]byte, half.Bytes())
				g, err := half.FillBytes(got, f)
				require.NoError(t, err)
				require.Equal(t, 49, g.Cols)
				for i, w := range want {
					h := binary.NativeEndian.Uint16(got[2*i:])
					require.LessOrEqual(t, math.Abs(fromHalf(h)-float64(w)), nearest(float64(w), h), "%g became %g", w, fromHalf(h))
				}

				in.Type = detect.Uint8
				bytes, err := tensor.New(in)
				require.NoError(t, err)
				got = make([]byte, bytes.Bytes())
				_, err = bytes.FillBytes(got, f)
				require.NoError(t, err)
				for i, w := range want {
					require.Equal(t, byte(min(max(w, 0), 255)+0.5), got[i])
				}
				_, err = bytes.Fill(want, f)
				require.ErrorContains(t, err, "uint8")
			}
		}
		f.Release()
	}
}

// nearest is how far the nearest 16-bit float may be from v; the largest one's
// neighbour is infinite.
func nearest(v float64, h uint16) float64 {
	if math.Abs(v) >= 65520 && h&0x7fff == 0x7c00 {
		return math.Inf(1)
	}
	_, exponent := math.Frexp(v)
	return math.Pow(2, float64(max(exponent-11, -24))) / 2
}

func TestBlank(t *testing.T) {
	for _, layout := range []detect.Layout{detect.NCHW, detect.NHWC} {
		in := input(5, 3, layout, detect.RGB, detect.LetterboxTop)
		in.Scale, in.Std = 0.5, [3]float32{1, 2, 4}
		filler, err := tensor.New(in)
		require.NoError(t, err)
		got := make([]float32, filler.Size())
		raw := unsafe.Slice((*byte)(unsafe.Pointer(&got[0])), filler.Bytes())
		require.NoError(t, filler.Blank(raw, 100))
		for i, v := range got {
			channel := i / 15
			if layout == detect.NHWC {
				channel = i % 3
			}
			require.InDelta(t, 50/float64(int(1)<<channel), v, 1e-5)
		}
		require.ErrorContains(t, filler.Blank(raw[:4], 0), "too small")
	}
}

// TestFormats fills from formats that pictures have: a level of 0.6 of the range
// in every component gives the same everywhere.
func TestFormats(t *testing.T) {
	const level = 0.6
	var pool frame.Pool
	filler, err := tensor.New(input(40, 30, detect.NCHW, detect.RGB, detect.Stretch))
	require.NoError(t, err)
	got := make([]float32, filler.Size())
	for _, format := range []astiav.PixelFormat{
		astiav.PixelFormatGray8, astiav.PixelFormatYa8, astiav.PixelFormatGray16Le, astiav.PixelFormatGray16Be,
		astiav.PixelFormatRgba, astiav.PixelFormatBgra, astiav.PixelFormatArgb, astiav.PixelFormatAbgr,
		astiav.PixelFormatRgb48Le, astiav.PixelFormatRgb48Be, astiav.PixelFormatRgba64Le, astiav.PixelFormatRgba64Be,
		astiav.PixelFormatGbrp, astiav.PixelFormatGbrap, astiav.PixelFormatGbrp10Le, astiav.PixelFormatYuv444P,
	} {
		for _, size := range [][2]int{{1, 1}, {1, 300}, {57, 41}, {200, 150}} {
			f := detecttest.Blank(t, &pool, format, size[0], size[1])
			detecttest.Mark(f, true, detecttest.BT601)
			for i, p := range detecttest.Planes(f) {
				paint(p.Pix, format, i)
			}
			_, err := filler.Fill(got, f)
			require.NoError(t, err, format)
			for _, v := range got {
				require.InDelta(t, 255*level, v, 0.3, "%s %v", format, size)
			}
			f.Release()
		}
	}
}

// paint sets all samples of a plane to the level; chroma has none.
func paint(pix []byte, format astiav.PixelFormat, plane int) {
	level := func(top float64) uint16 { return uint16(math.Round(0.6 * top)) }
	for i := range pix {
		switch format {
		case astiav.PixelFormatGray16Le, astiav.PixelFormatRgb48Le, astiav.PixelFormatRgba64Le:
			pix[i] = byte(level(65535) >> (8 * (i % 2)))
		case astiav.PixelFormatGray16Be, astiav.PixelFormatRgb48Be, astiav.PixelFormatRgba64Be:
			pix[i] = byte(level(65535) >> (8 * (1 - i%2)))
		case astiav.PixelFormatGbrp10Le:
			pix[i] = byte(level(1023) >> (8 * (i % 2)))
		default:
			pix[i] = byte(level(255))
			if format == astiav.PixelFormatYuv444P && plane > 0 {
				pix[i] = 128
			}
		}
	}
}

// TestHugePicture shrinks 16384x16000 pixels, about the most that libav allocates.
func TestHugePicture(t *testing.T) {
	const w, h = 16384, 16000
	var pool frame.Pool
	f := detecttest.Blank(t, &pool, astiav.PixelFormatGray8, w, h)
	defer f.Release()
	luma := detecttest.Planes(f)[0]
	for y := h / 2; y < h; y++ { // the lower half
		row := luma.Pix[y*luma.Stride:]
		for x := range w {
			row[x] = 200
		}
	}
	filler, err := tensor.New(input(32, 32, detect.NCHW, detect.RGB, detect.Stretch))
	require.NoError(t, err)
	got := make([]float32, filler.Size())
	g, err := filler.Fill(got, f)
	require.NoError(t, err)
	require.InDelta(t, 200, got[32*31+5], 0.1)
	require.Equal(t, detect.Box{X: w / 4, Y: h / 4, W: w / 4, H: h / 2}, g.ToSource(8, 8, 16, 24))
}

func TestRefusesInputs(t *testing.T) {
	for _, bad := range []func(*detect.Input){
		func(in *detect.Input) { in.Type = "int64" },
		func(in *detect.Input) { in.Scale = float32(math.NaN()) },
		func(in *detect.Input) { in.Mean[2] = float32(math.Inf(1)) },
	} {
		in := input(8, 8, detect.NCHW, detect.RGB, detect.Stretch)
		bad(&in)
		_, err := tensor.New(in)
		require.Error(t, err)
	}
}
