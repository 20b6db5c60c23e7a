// Package assign solves the linear assignment problem: who goes with whom, so
// that the sum of the costs is as small as possible. Trackers use it, and the
// metrics that judge them.
package assign

import "math"

// Solver solves assignment problems. It keeps its scratch memory between calls,
// so one Solver serves one goroutine. The zero Solver is ready to use.
type Solver struct {
	u, v, shortest []float64
	row, way       []int // by column, counted from 1: the row assigned, the column before on the path
	used           []bool
}

// Solve gives each of the n rows at most one of the m columns so that the sum of
// cost over all pairs is as small as possible, exactly. A pair whose cost is not
// negative is left unmatched: a caller subtracts the most it will pay from its
// costs. It writes the column of every row, or -1, into match (length n).
//
// It is the Hungarian method with shortest augmenting paths (Kuhn 1955; Jonker
// and Volgenant, "A shortest augmenting path algorithm for dense and sparse
// linear assignment problems", Computing 38, 1987), O(n·n·m) for n ≤ m.
func (a *Solver) Solve(n, m int, cost func(row, column int) float64, match []int) {
	for i := range match {
		match[i] = -1
	}
	if n == 0 || m == 0 {
		return
	}
	if n > m {
		a.run(m, n, func(i, j int) float64 { return cost(j, i) })
		for j := 1; j <= n; j++ {
			if i := a.row[j]; i > 0 && cost(j-1, i-1) < 0 {
				match[j-1] = i - 1
			}
		}
		return
	}
	a.run(n, m, cost)
	for j := 1; j <= m; j++ {
		if i := a.row[j]; i > 0 && cost(i-1, j-1) < 0 {
			match[i-1] = j - 1
		}
	}
}

// run assigns every one of n ≤ m rows; a.row tells the row of each column.
func (a *Solver) run(n, m int, cost func(row, column int) float64) {
	a.u, a.v = zeroed(a.u, n+1), zeroed(a.v, m+1)
	a.row, a.way = zeroed(a.row, m+1), zeroed(a.way, m+1)
	for i := 1; i <= n; i++ {
		a.augment(i, m, cost)
	}
}

// augment adds row i along the shortest path of reduced costs to a free column.
func (a *Solver) augment(i, m int, cost func(row, column int) float64) {
	a.row[0] = i
	a.used = zeroed(a.used, m+1)
	a.shortest = zeroed(a.shortest, m+1)
	for j := range a.shortest {
		a.shortest[j] = math.Inf(1)
	}
	j0 := 0
	for a.row[j0] != 0 {
		a.used[j0] = true
		i0, delta, next := a.row[j0], math.Inf(1), 0
		for j := 1; j <= m; j++ {
			if a.used[j] {
				continue
			}
			if c := cost(i0-1, j-1) - a.u[i0] - a.v[j]; c < a.shortest[j] {
				a.shortest[j], a.way[j] = c, j0
			}
			if a.shortest[j] < delta {
				delta, next = a.shortest[j], j
			}
		}
		for j := 0; j <= m; j++ {
			if a.used[j] {
				a.u[a.row[j]] += delta
				a.v[j] -= delta
			} else {
				a.shortest[j] -= delta
			}
		}
		j0 = next
	}
	for j0 != 0 {
		a.row[j0] = a.row[a.way[j0]]
		j0 = a.way[j0]
	}
}

// zeroed returns s with n zero elements, on the same memory where it suffices.
func zeroed[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	s = s[:n]
	clear(s)
	return s
}
