package tensor_test

import (
	"fmt"
	"testing"

	"github.com/asticode/go-astiav"
	"github.com/stretchr/testify/require"

	"detectd/detect"
	"detectd/detect/detecttest"
	"detectd/detect/tensor"
	"detectd/pipeline/frame"
)

// TestSemiplanarIsPlanar fills from the same picture as a CPU and as a graphics card
// decode it, with rows of other lengths: the values are the same, bit for bit.
func TestSemiplanarIsPlanar(t *testing.T) {
	var pool frame.Pool
	in := input(41, 33, detect.NCHW, detect.RGB, detect.LetterboxTop)
	filler, err := tensor.New(in)
	require.NoError(t, err)
	want, got := make([]float32, filler.Size()), make([]float32, filler.Size())
	for _, size := range [][2]int{{64, 48}, {37, 53}, {301, 97}, {17, 9}, {1919, 1079}} {
		name := fmt.Sprintf("%dx%d", size[0], size[1])
		planar := detecttest.Blank(t, &pool, astiav.PixelFormatYuv420P, size[0], size[1])
		wide := detecttest.Blank(t, &pool, astiav.PixelFormatNv12, size[0]+200, size[1]) // for its longer rows
		wide.AV().SetWidth(size[0])
		noise(planar, false)
		from, to := detecttest.Planes(planar), detecttest.Planes(wide)
		require.NotEqual(t, from[0].Stride, to[0].Stride)
		for y := range size[1] {
			copy(to[0].Pix[y*to[0].Stride:], from[0].Pix[y*from[0].Stride:][:size[0]])
		}
		for y := range (size[1] + 1) / 2 {
			for x := range (size[0] + 1) / 2 {
				to[1].Pix[y*to[1].Stride+2*x] = from[1].Pix[y*from[1].Stride+x]
				to[1].Pix[y*to[1].Stride+2*x+1] = from[2].Pix[y*from[2].Stride+x]
			}
		}
		_, err = filler.Fill(want, planar)
		require.NoError(t, err, name)
		_, err = filler.Fill(got, wide)
		require.NoError(t, err, name)
		require.Equal(t, want, got, name)
		planar.Release()
		wide.Release()
	}
	require.Zero(t, pool.Live())
}
