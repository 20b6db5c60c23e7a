// Package stats is the arithmetic of samples.
package stats

import (
	"cmp"
	"math"
	"slices"
)

// Number is what can be ordered and counted in.
type Number interface {
	~int | ~int64 | ~float64
}

// Quantile is the smallest sample that at least the share q (0..1) of all samples
// does not exceed: the nearest rank, without interpolation, so that a high one is
// never better than what was measured. It is 0 without samples.
func Quantile[T Number](samples []T, q float64) T {
	if len(samples) == 0 {
		return 0
	}
	sorted := slices.SortedFunc(slices.Values(samples), cmp.Compare[T])
	rank := int(math.Ceil(q * float64(len(sorted))))
	return sorted[min(max(rank-1, 0), len(sorted)-1)]
}

// Median is the middle sample, or the mean of the two in the middle. It is 0
// without samples.
func Median[T Number](samples []T) T {
	if len(samples) == 0 {
		return 0
	}
	sorted := slices.SortedFunc(slices.Values(samples), cmp.Compare[T])
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// Mean is the sum over the number of samples, 0 without any.
func Mean[T Number](samples []T) float64 {
	if len(samples) == 0 {
		return 0
	}
	sum := 0.0
	for _, s := range samples {
		sum += float64(s)
	}
	return sum / float64(len(samples))
}
