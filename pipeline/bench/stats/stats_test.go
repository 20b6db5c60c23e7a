package stats

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestQuantile(t *testing.T) {
	hundred := make([]float64, 100)
	for i := range hundred {
		hundred[i] = float64(100 - i) // unsorted
	}
	for q, want := range map[float64]float64{0: 1, 0.5: 50, 0.95: 95, 0.99: 99, 0.991: 100, 1: 100} {
		require.InDelta(t, want, Quantile(hundred, q), 0, "quantile %v", q)
	}
	require.InDelta(t, 100, hundred[0], 0, "samples keep their order")
	require.Equal(t, time.Second, Quantile([]time.Duration{time.Second}, 0.99))
	require.Zero(t, Quantile([]int(nil), 0.5))
}

func TestMedian(t *testing.T) {
	require.InDelta(t, 2, Median([]float64{9, 1, 2}), 0)
	require.InDelta(t, 1.5, Median([]float64{9, 1, 2, 1}), 0)
	require.Equal(t, 3*time.Second, Median([]time.Duration{3 * time.Second}))
	require.Zero(t, Median([]float64(nil)))
}

func TestMean(t *testing.T) {
	require.InDelta(t, 2.5, Mean([]int{1, 2, 3, 4}), 1e-12)
	require.Zero(t, Mean([]int(nil)))
}
