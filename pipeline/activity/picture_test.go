package activity

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestReduce(t *testing.T) {
	for width, side := range map[int]int{37: 4, 643: 8, 2563: 16} {
		height, stride := 3*side-1, width+4
		luma := make([]byte, stride*(height-1)+width)
		for i := range luma {
			luma[i] = byte(i * 31)
		}
		for i := range side * stride { // the largest sum
			luma[i] = 255
		}
		var p Picture
		p.Reduce(luma, stride, width, height)
		require.Equal(t, side, p.Side)
		require.Equal(t, width/side, p.Width)
		require.Equal(t, 2, p.Height)
		for by := range p.Height {
			for bx := range p.Width {
				sum := 0
				for y := 0; y < side; y += side / 4 {
					for x := range side {
						sum += int(luma[(by*side+y)*stride+bx*side+x])
					}
				}
				require.Equal(t, uint16(sum*level/(4*side)), p.Sums[by*p.Width+bx]) //nolint:gosec // 32 levels of 255 at most
			}
		}
	}
}

// view is a picture of 40x30 squares with noise of so many levels.
func view(rng *rand.Rand, noise int, change func(x, y int) int) *Picture {
	p := &Picture{Width: 40, Height: 30, Sums: make([]uint16, 1200)}
	for i := range p.Sums {
		v := 80*level + i%7*level + change(i%40, i/40)*level
		if noise > 0 {
			v += rng.IntN(2*noise*level) - noise*level
		}
		p.Sums[i] = uint16(v)
	}
	return p
}

func TestCompare(t *testing.T) {
	nothing := func(int, int) int { return 0 }
	for name, tc := range map[string]struct {
		noise  int
		change func(x, y int) int
		moved  bool
	}{
		"nothing":      {0, nothing, false},
		"noise":        {6, nothing, false},
		"light":        {1, func(int, int) int { return 20 }, false},
		"object":       {1, func(x, y int) int { return 30 * within(x, y, 10, 10, 3, 5) }, true},
		"small object": {0, func(x, y int) int { return 30 * within(x, y, 10, 10, 2, 2) }, true},
		"in the noise": {6, func(x, y int) int { return 60 * within(x, y, 10, 10, 3, 5) }, true},
		"single dots":  {0, func(x, y int) int { return 60 * within(x%5, y%5, 0, 0, 1, 1) }, false},
	} {
		t.Run(name, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(1, 2))
			var s scene
			for i := range 100 {
				s.compare(time.Duration(i)*pictureEvery, view(rng, tc.noise, nothing), true)
			}
			require.False(t, s.compare(100*pictureEvery, view(rng, tc.noise, nothing), true))
			require.Equal(t, tc.moved, s.compare(101*pictureEvery, view(rng, tc.noise, tc.change), true))
		})
	}
}

func within(x, y, x0, y0, width, height int) int {
	if x >= x0 && x < x0+width && y >= y0 && y < y0+height {
		return 1
	}
	return 0
}

func TestCompareBeginsAnewWithAnotherSize(t *testing.T) {
	var s scene
	rng := rand.New(rand.NewPCG(1, 2))
	require.False(t, s.compare(1, view(rng, 0, func(int, int) int { return 0 }), true))
	other := &Picture{Width: 30, Height: 40, Sums: make([]uint16, 1200)}
	require.False(t, s.compare(2, other, true))
}
