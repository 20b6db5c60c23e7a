package pixel_test

import (
	"testing"

	"github.com/asticode/go-astiav"
	"github.com/stretchr/testify/require"

	"detectd/render/pixel"
)

func alloc(t testing.TB, w, h int, pf astiav.PixelFormat) *astiav.Frame {
	t.Helper()
	f := astiav.AllocFrame()
	t.Cleanup(f.Free)
	f.SetWidth(w)
	f.SetHeight(h)
	f.SetPixelFormat(pf)
	require.NoError(t, f.AllocBuffer(0))
	return f
}

func TestPlanes(t *testing.T) {
	for _, tc := range []struct {
		format  astiav.PixelFormat
		planes  int
		rows    [3]int
		atLeast [3]int // bytes a row
	}{
		{astiav.PixelFormatYuv420P, 3, [3]int{33, 17, 17}, [3]int{65, 33, 33}},
		{astiav.PixelFormatYuvj422P, 3, [3]int{33, 33, 33}, [3]int{65, 33, 33}},
		{astiav.PixelFormatNv12, 2, [3]int{33, 17, 0}, [3]int{65, 66, 0}},
		{astiav.PixelFormatRgb24, 1, [3]int{33, 0, 0}, [3]int{195, 0, 0}},
	} {
		f := alloc(t, 65, 33, tc.format)
		for i := range 4 {
			b, stride := pixel.Plane(f, i)
			if i >= tc.planes {
				require.Nil(t, b, "%v plane %d", tc.format, i)
				continue
			}
			require.GreaterOrEqual(t, stride, tc.atLeast[i])
			require.Len(t, b, stride*tc.rows[i], "%v plane %d", tc.format, i)
		}
	}
	empty := astiav.AllocFrame()
	defer empty.Free()
	b, _ := pixel.Plane(empty, 0)
	require.Nil(t, b)
}

func TestMatrixOf(t *testing.T) {
	require.Equal(t, pixel.BT601, pixel.MatrixOf(alloc(t, 720, 576, astiav.PixelFormatYuv420P)))
	require.Equal(t, pixel.BT709, pixel.MatrixOf(alloc(t, 1280, 720, astiav.PixelFormatYuv420P)))
	require.Equal(t, pixel.BT709, pixel.MatrixOf(alloc(t, 1280, 720, astiav.PixelFormatYuvj420P)))
	require.True(t, pixel.FullRange(alloc(t, 64, 64, astiav.PixelFormatYuvj420P)))
	require.False(t, pixel.FullRange(alloc(t, 64, 64, astiav.PixelFormatYuv420P)))
}

// TestToBGRUnmarked holds what is drawn against the standards' own numbers.
func TestToBGRUnmarked(t *testing.T) {
	const luma, cb, cr = 120, 90, 180
	for _, c := range []struct {
		w, h   int
		kr, kb float64
	}{
		{640, 480, 0.299, 0.114},
		{1280, 704, 0.2126, 0.0722},
		{720, 1280, 0.2126, 0.0722},
	} {
		f := alloc(t, c.w, c.h, astiav.PixelFormatYuv420P)
		for i, level := range []byte{luma, cb, cr} {
			pix, _ := pixel.Plane(f, i)
			for j := range pix {
				pix[j] = level
			}
		}
		y, u, v := (luma-16)*255.0/219, (cb-128)*255.0/224, (cr-128)*255.0/224
		r, b := y+2*(1-c.kr)*v, y+2*(1-c.kb)*u
		g := (y - c.kr*r - c.kb*b) / (1 - c.kr - c.kb)
		var s pixel.Scaler
		bgr := make([]byte, 3*c.w*c.h)
		require.NoError(t, s.ToBGR(f, bgr, 3*c.w, c.w, c.h))
		s.Close()
		for i, want := range []float64{b, g, r} {
			require.InDelta(t, want, bgr[3*(c.w*c.h/2)+i], 2, "%dx%d channel %d", c.w, c.h, i)
		}
	}
}

func TestRefusals(t *testing.T) {
	var s pixel.Scaler
	defer s.Close()
	f := alloc(t, 64, 64, astiav.PixelFormatYuv420P)
	require.Error(t, s.ToBGR(f, make([]byte, 10), 3*64, 64, 64))
	require.Error(t, s.ToBGR(f, make([]byte, 3*64*64), 64, 64, 64))
	require.Error(t, s.ToBGR(f, nil, 0, 0, 0))
	require.Error(t, s.FromBGR(nil, 0, 0, 0, f, pixel.BT601))
	require.Error(t, s.Convert(f, 65, 64, f, pixel.BT601))
	empty := astiav.AllocFrame()
	defer empty.Free()
	require.Error(t, s.ToBGR(empty, make([]byte, 3*64*64), 3*64, 64, 64))
}

func BenchmarkToBGR1080p(b *testing.B) {
	f := alloc(b, 1920, 1080, astiav.PixelFormatYuv420P)
	dst := make([]byte, 3*1920*1080)
	var s pixel.Scaler
	defer s.Close()
	for b.Loop() {
		require.NoError(b, s.ToBGR(f, dst, 3*1920, 1920, 1080))
	}
}
