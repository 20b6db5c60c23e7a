package quantize

import (
	"fmt"
	"math"
)

// Calibration is the rule by which the range of a tensor is chosen from the
// numbers seen in it.
type Calibration string

// The rules.
const (
	MinMax     Calibration = "minmax"     // all of them
	Percentile Calibration = "percentile" // all but one in ten thousand
	LeastError Calibration = "mse"        // the range with the least mean square error of rounding and clipping
)

// outside is the part of the numbers that Percentile leaves out, half at each end.
const outside = 1e-4

// bins is even, half of them are for negative numbers.
const bins = 4096

// histogram counts numbers from -limit to limit; the limit grows when it must.
type histogram struct {
	limit  float64
	counts [bins]int64
	total  int64
	lo, hi float64
}

func (h *histogram) add(values []float32) {
	for _, v := range values {
		x := float64(v)
		if h.total == 0 {
			h.lo, h.hi = x, x
		}
		h.lo, h.hi = min(h.lo, x), max(h.hi, x)
		h.total++
		if h.limit == 0 {
			h.limit = 1e-6
		}
		for math.Abs(x) > h.limit {
			h.widen()
		}
		h.counts[min(int((x/h.limit+1)/2*bins), bins-1)]++
	}
}

// widen doubles the limit: two bins become one, nearer to the middle.
func (h *histogram) widen() {
	var wide [bins]int64
	for i, n := range h.counts {
		wide[bins/4+i/2] += n
	}
	h.counts = wide
	h.limit *= 2
}

// edge is the lower end of a bin.
func (h *histogram) edge(i int) float64 { return (float64(i)/bins*2 - 1) * h.limit }

// span is the range by a rule. It has at least the number 0 in it, as padding does.
func (h *histogram) span(rule Calibration) (lo, hi float64, err error) {
	lo, hi = h.lo, h.hi
	switch rule {
	case MinMax:
	case Percentile:
		lo, hi = h.percentile()
	case LeastError:
		lo, hi = h.leastError()
	default:
		return 0, 0, fmt.Errorf("unknown calibration %q: there are %s, %s and %s", rule, MinMax, Percentile, LeastError)
	}
	return min(lo, 0), max(hi, 0), nil
}

func (h *histogram) percentile() (lo, hi float64) {
	skip := int64(float64(h.total) * outside / 2)
	first, last := 0, bins-1
	for n := h.counts[first]; n <= skip && first < bins-1; n += h.counts[first] {
		first++
	}
	for n := h.counts[last]; n <= skip && last > 0; n += h.counts[last] {
		last--
	}
	return max(h.lo, h.edge(first)), min(h.hi, h.edge(last+1))
}

// leastError tries ever narrower ranges.
func (h *histogram) leastError() (lo, hi float64) {
	const tries = 50
	low, high := min(h.lo, 0), max(h.hi, 0)
	lo, hi = low, high
	best := math.Inf(1)
	for i := tries; i > tries/4; i-- {
		part := float64(i) / tries
		if e := h.squares(low*part, high*part); e < best {
			best, lo, hi = e, low*part, high*part
		}
	}
	return lo, hi
}

// squares is the sum of the squared errors of 256 levels from lo to hi.
func (h *histogram) squares(lo, hi float64) (sum float64) {
	step := (hi - lo) / 255
	rounding := step * step / 12
	for i, n := range h.counts {
		if n == 0 {
			continue
		}
		switch x := (h.edge(i) + h.edge(i+1)) / 2; {
		case x < lo:
			sum += float64(n) * (lo - x) * (lo - x)
		case x > hi:
			sum += float64(n) * (x - hi) * (x - hi)
		default:
			sum += float64(n) * rounding
		}
	}
	return sum
}
