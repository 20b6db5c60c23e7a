package scan_test

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"detectd/detect/scan"
)

func TestFinite(t *testing.T) {
	for _, n := range []int{0, 1, 3, 63, 64, 65, 130} {
		data := make([]float32, n)
		for i := range data {
			data[i] = -math.MaxFloat32
		}
		require.True(t, scan.Finite(data))
		for i := range data {
			for _, bad := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
				data[i] = float32(bad)
				require.False(t, scan.Finite(data), "%v at %d of %d", bad, i, n)
			}
			data[i] = 1
		}
	}
}

func TestAbove(t *testing.T) {
	for _, n := range []int{0, 1, 64, 1000, 1917 * 91} {
		for _, every := range []int{1, 7, 300} { // 1: more than fit into one call
			data := make([]float32, n)
			var want, got []int
			for i := range data {
				switch {
				case i%every == 0:
					data[i] = 0.5
					want = append(want, i)
				case i%5 == 0:
					data[i] = float32(math.NaN())
				default:
					data[i] = 0.49
				}
			}
			scan.Above(data, 0.5, func(i int) { got = append(got, i) })
			require.Equal(t, want, got, "%d numbers, every %d", n, every)
		}
	}
}

func TestRows(t *testing.T) {
	for _, width := range []int{1, 2, 7, 91, 300} {
		for first := range min(width, 3) {
			for _, every := range []int{1, 7, 300} {
				data := make([]float32, 40*width)
				var want, got []int
				for i := range data {
					switch {
					case i%width == 0 || i%every == 0:
						data[i] = 0.5
						if i%width >= first {
							want = append(want, i)
						}
					case i%5 == 0:
						data[i] = float32(math.NaN())
					default:
						data[i] = 0.49
					}
				}
				scan.Rows(data, width, first, 0.5, func(i int) { got = append(got, i) })
				require.Equal(t, want, got, "rows of %d from %d, every %d", width, first, every)
			}
		}
	}
	scan.Rows(nil, 91, 1, 0.5, func(int) { t.Error("there is nothing") })
}

func BenchmarkFinite(b *testing.B) {
	data := make([]float32, 1917*95)
	b.ReportAllocs()
	for b.Loop() {
		scan.Finite(data)
	}
}

func BenchmarkAbove(b *testing.B) {
	data := make([]float32, 1917*91)
	data[5000] = 1
	n := 0
	b.ReportAllocs()
	for b.Loop() {
		scan.Above(data, 0.5, func(int) { n++ })
	}
}

// BenchmarkRows has a background that is certain everywhere.
func BenchmarkRows(b *testing.B) {
	data := make([]float32, 1917*91)
	for i := 0; i < len(data); i += 91 {
		data[i] = 1
	}
	data[5000] = 1
	n := 0
	b.ReportAllocs()
	for b.Loop() {
		scan.Rows(data, 91, 1, 0.5, func(int) { n++ })
	}
}
