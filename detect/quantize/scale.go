package quantize

import "math"

// scale maps numbers to 8 bits: number = step · (level − zero), level from 0 to 255.
type scale struct {
	step float32
	zero uint8
}

// newScale covers a range that includes 0, which becomes a level exactly.
func newScale(lo, hi float64) scale {
	if hi-lo < 1e-12 {
		return scale{step: 1}
	}
	step := float32((hi - lo) / 255)
	return scale{step: step, zero: uint8(min(max(math.RoundToEven(-lo/float64(step)), 0), 255))}
}

// maxBias bounds biases in steps, far enough from 32 bits for sums.
const maxBias = 1 << 30

// quantizeWeights rounds weights to symmetric levels of their channel, which is
// dimension axis. in is the step of what they are multiplied with, and bias, if
// any, what is added to the products: it is rounded to their step.
func quantizeWeights(w []float32, dims []int64, axis int, bias []float32, in float32, most float64) (levels []int8, steps []float32, biases []int32) {
	channels, inner := int(dims[axis]), 1
	for _, d := range dims[axis+1:] {
		inner *= int(d)
	}
	channel := func(i int) int { return i / inner % channels }
	largest := make([]float64, channels)
	for i, v := range w {
		largest[channel(i)] = max(largest[channel(i)], math.Abs(float64(v)))
	}
	steps = make([]float32, channels)
	for c := range steps {
		step := largest[c] / most
		if bias != nil {
			step = max(step, math.Abs(float64(bias[c]))/float64(in)/maxBias)
		}
		if steps[c] = float32(step); steps[c] < 1e-30 {
			steps[c] = 1 // all weights are 0
		}
	}
	levels = make([]int8, len(w))
	for i, v := range w {
		level := math.RoundToEven(float64(v) / float64(steps[channel(i)]))
		levels[i] = int8(min(max(level, -most), most))
	}
	if bias != nil {
		biases = make([]int32, channels)
		for c, b := range bias {
			biases[c] = int32(math.RoundToEven(float64(b) / (float64(in) * float64(steps[c]))))
		}
	}
	return levels, steps, biases
}
