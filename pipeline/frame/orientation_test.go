package frame_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"detectd/pipeline/frame"
)

// TestTurned: an upright pixel of a picture that is turned on lies where it would
// when the upright picture were turned.
func TestTurned(t *testing.T) {
	const w, h = 5, 3
	for o := frame.Orientation(0); o <= 8; o++ {
		uw, uh := o.Size(w, h)
		for degrees, quarter := range map[int]frame.Orientation{0: 1, 90: 6, 180: 3, 270: 8, 360: 1, -90: 8} {
			turned := o.Turned(degrees)
			tw, th := turned.Size(w, h)
			wantW, wantH := quarter.Size(uw, uh)
			require.Equal(t, [2]int{wantW, wantH}, [2]int{tw, th})
			for y := range th {
				for x := range tw {
					ux, uy := quarter.From(x, y, uw, uh)
					wantX, wantY := o.From(ux, uy, w, h)
					gotX, gotY := turned.From(x, y, w, h)
					require.Equal(t, [2]int{wantX, wantY}, [2]int{gotX, gotY}, "orientation %d turned by %d", o, degrees)
				}
			}
		}
	}
}

// TestMatrix: the matrix of an orientation moves a stored pixel to where it is upright.
func TestMatrix(t *testing.T) {
	for o := frame.Upright; o <= 8; o++ {
		a, b, c, d := o.Matrix()
		require.Equal(t, o, frame.OrientationOf(3*a, 3*b, 3*c, 3*d))
		// One step along x of the upright picture, in stored steps and back.
		x0, y0 := o.From(0, 0, 9, 9)
		x1, y1 := o.From(1, 0, 9, 9)
		dx, dy := x1-x0, y1-y0
		require.Equal(t, [2]int{1, 0}, [2]int{a*dx + c*dy, b*dx + d*dy}, "orientation %d", o)
		x1, y1 = o.From(0, 1, 9, 9)
		dx, dy = x1-x0, y1-y0
		require.Equal(t, [2]int{0, 1}, [2]int{a*dx + c*dy, b*dx + d*dy}, "orientation %d", o)
	}
	require.Equal(t, frame.Upright, frame.OrientationOf(0, 0, 0, 0))
	require.Equal(t, frame.Upright, frame.OrientationOf(1, 1, -1, 1), "by 45 degrees")
}
