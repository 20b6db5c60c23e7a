package assign

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAssignmentIsOptimal(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	var a Solver
	for range 500 {
		n, m := r.IntN(6), r.IntN(6)
		costs := make([]float64, n*m)
		for i := range costs {
			costs[i] = r.Float64() - 0.7
		}
		cost := func(i, j int) float64 { return costs[i*m+j] }
		match := make([]int, n)
		a.Solve(n, m, func(i, j int) float64 { return min(0, cost(i, j)) }, match)
		sum, used := 0.0, map[int]bool{}
		for i, j := range match {
			if j >= 0 {
				require.False(t, used[j])
				used[j] = true
				require.Negative(t, cost(i, j))
				sum += cost(i, j)
			}
		}
		require.InDelta(t, cheapest(n, m, cost, 0, 0), sum, 1e-9)
	}
}

// cheapest tries every assignment of rows from i on, with the columns in taken gone.
func cheapest(n, m int, cost func(i, j int) float64, i, taken int) float64 {
	if i == n {
		return 0
	}
	best := cheapest(n, m, cost, i+1, taken)
	for j := range m {
		if taken&(1<<j) == 0 {
			best = min(best, cost(i, j)+cheapest(n, m, cost, i+1, taken|1<<j))
		}
	}
	return best
}
