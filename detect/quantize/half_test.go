package quantize

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// wide is the number of a 16-bit float, by its definition.
func wide(h uint16) float64 {
	sign, exponent, fraction := 1.0, int(h>>10&31), float64(h&1023)
	if h>>15 == 1 {
		sign = -1
	}
	if exponent == 0 {
		return sign * math.Ldexp(fraction, -24)
	}
	return sign * math.Ldexp(1024+fraction, exponent-25)
}

func TestHalfIsTheNearest(t *testing.T) {
	for h := range uint16(0x7c00) {
		require.Equal(t, h, half(float32(wide(h))), "%g", wide(h))
		require.Equal(t, h|0x8000, half(-float32(wide(h))))
	}
	random := rand.New(rand.NewPCG(1, 2))
	for range 200_000 {
		v := float32(math.Ldexp(random.Float64()*2-1, random.IntN(44)-27))
		h := half(v)
		off := math.Abs(wide(h) - float64(v))
		for _, other := range []uint16{h - 1, h + 1} {
			if other&0x7fff < 0x7c00 && math.Abs(float64(v)) < maxHalf {
				require.LessOrEqual(t, off, math.Abs(wide(other)-float64(v)), "%g", v)
			}
		}
	}
	require.Equal(t, half(maxHalf), half(float32(math.Inf(1))))
	require.Equal(t, half(-maxHalf), half(-1e30))
	require.Equal(t, uint16(0x3c00), half(1+1.0/2048), "ties go to the even one")
	require.Equal(t, uint16(0x3c02), half(1+3.0/2048))
	require.Equal(t, uint16(0x7e00), half(float32(math.NaN())))
}

func TestScale(t *testing.T) {
	for _, c := range [][2]float64{{0, 255}, {-1, 1}, {-3, 0}, {0, 0}, {-0.3, 12.7}} {
		s := newScale(c[0], c[1])
		low, high := float64(s.step)*(0-float64(s.zero)), float64(s.step)*(255-float64(s.zero))
		require.LessOrEqual(t, low, c[0]+float64(s.step)/2+1e-6)
		require.GreaterOrEqual(t, high, c[1]-float64(s.step)/2-1e-6)
	}
}

func TestQuantizeWeights(t *testing.T) {
	// Two outputs, three weights each; the second channel has all zeros.
	levels, steps, biases := quantizeWeights([]float32{1, -2, 0.5, 0, 0, 0}, []int64{2, 3}, 0, []float32{1, -1}, 0.1, 127)
	require.InDelta(t, 2.0/127, steps[0], 1e-9)
	require.Equal(t, []int8{64, -127, 32, 0, 0, 0}, levels) // 63.5 and 31.75, ties to even
	require.EqualValues(t, 635, biases[0])
	require.InDelta(t, -1, float64(biases[1])*0.1*float64(steps[1]), 1e-6)

	// The channels are the columns.
	levels, steps, biases = quantizeWeights([]float32{1, 10, -1, -4}, []int64{2, 2}, 1, nil, 1, 63)
	require.Equal(t, []int8{63, 63, -63, -25}, levels) // -25.2
	require.Len(t, steps, 2)
	require.Nil(t, biases)

	// A bias far above the products does not overflow.
	_, steps, biases = quantizeWeights([]float32{1e-9}, []int64{1, 1}, 0, []float32{100}, 1e-3, 127)
	require.InDelta(t, 100, float64(biases[0])*1e-3*float64(steps[0]), 1e-3)
}

func TestHistogram(t *testing.T) {
	h := &histogram{}
	values := make([]float32, 100_000)
	for i := range values {
		values[i] = float32(i%1000) / 1000 // from 0 to 1
	}
	h.add(values)
	h.add([]float32{50, -20}) // two far out
	lo, hi, err := h.span(MinMax)
	require.NoError(t, err)
	require.Equal(t, []float64{-20, 50}, []float64{lo, hi})
	lo, hi, err = h.span(Percentile)
	require.NoError(t, err)
	require.InDelta(t, 0, lo, 0.1)
	require.InDelta(t, 1, hi, 0.1)
	lo, hi, err = h.span(LeastError)
	require.NoError(t, err)
	require.Less(t, hi-lo, 69.0)
	_, _, err = h.span("entropy")
	require.ErrorContains(t, err, "percentile")
	require.EqualValues(t, 100_002, h.total)
	sum := int64(0)
	for _, n := range h.counts {
		sum += n
	}
	require.Equal(t, h.total, sum)
}
