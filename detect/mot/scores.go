package mot

import (
	"math"

	"detectd/detect/assign"
)

// epsilon is numpy's, by which TrackEval widens its thresholds.
const epsilon = 2.220446049250313e-16

// hota counts matches at every threshold. Boxes are matched once per frame, for
// all thresholds, by overlap times how well the two ids go together over the
// whole sequence.
func (s *sequence) hota(r *Result) {
	if s.nTrue == 0 || s.nSaid == 0 {
		for a := range r.Thresholds {
			r.Thresholds[a].FN, r.Thresholds[a].FP = s.nTrue, s.nSaid
		}
		return
	}
	together := s.together()
	var matches [Alphas]map[[2]int]int
	var costs []float64
	for a := range matches {
		matches[a] = map[[2]int]int{}
	}
	var solver assign.Solver
	for _, st := range s.steps {
		match := make([]int, len(st.truth))
		costs = costs[:0]
		for j, t := range st.truth {
			for k, f := range st.found {
				c := together.at(t, f)
				costs = append(costs, -st.overlap[j][k]*c/(float64(s.truths[t]+s.founds[f])-c))
			}
		}
		solver.Solve(len(st.truth), len(st.found), func(j, k int) float64 { return costs[j*len(st.found)+k] }, match)
		for a := range r.Thresholds {
			at := &r.Thresholds[a]
			hits := 0
			for j, k := range match {
				if k < 0 || st.overlap[j][k] < Alpha(a)-epsilon {
					continue
				}
				hits++
				at.overlap += st.overlap[j][k]
				matches[a][[2]int{st.truth[j], st.found[k]}]++
			}
			at.TP, at.FN, at.FP = at.TP+hits, at.FN+len(st.truth)-hits, at.FP+len(st.found)-hits
		}
	}
	for a := range r.Thresholds {
		at := &r.Thresholds[a]
		for pair, n := range matches[a] {
			t, f, m := float64(s.truths[pair[0]]), float64(s.founds[pair[1]]), float64(n)
			at.assA += m * m / (t + f - m)
			at.assRe += m * m / t
			at.assPr += m * m / f
		}
	}
}

// together says for each pair of ids how much of their frames they may share: the
// overlap in each frame against what competes for it.
func (s *sequence) together() table {
	sum := s.table()
	for _, st := range s.steps {
		rows, columns := make([]float64, len(st.truth)), make([]float64, len(st.found))
		for j, row := range st.overlap {
			for k, o := range row {
				rows[j] += o
				columns[k] += o
			}
		}
		for j, row := range st.overlap {
			for k, o := range row {
				if all := rows[j] + columns[k] - o; all > epsilon && o > 0 {
					sum.add(st.truth[j], st.found[k], o/all)
				}
			}
		}
	}
	return sum
}

// identity finds the one-to-one mapping of true ids to track ids that explains
// the most boxes.
func (s *sequence) identity(r *Result) {
	shared := s.table()
	for _, st := range s.steps {
		for j, row := range st.overlap {
			for k, o := range row {
				if o >= Threshold {
					shared.add(st.truth[j], st.found[k], 1)
				}
			}
		}
	}
	var solver assign.Solver
	match := make([]int, len(s.truths))
	solver.Solve(len(s.truths), len(s.founds), func(t, f int) float64 { return -shared.at(t, f) }, match)
	for t, f := range match {
		if f >= 0 {
			r.IDTP += int(shared.at(t, f))
		}
	}
	r.IDFN, r.IDFP = s.nTrue-r.IDTP, s.nSaid-r.IDTP
}

// clear counts matches frame by frame: a pair of the frame before stays a pair
// while it overlaps enough.
func (s *sequence) clear(r *Result) {
	if s.nTrue == 0 || s.nSaid == 0 {
		r.FN, r.FP, r.ML = s.nTrue, s.nSaid, len(s.truths)
		return
	}
	const none = -1
	last, before := filled(len(s.truths), none), filled(len(s.truths), none) // ever, and in the frame before
	matched, begun := make([]int, len(s.truths)), make([]int, len(s.truths))
	var solver assign.Solver
	for _, st := range s.steps {
		if len(st.truth) == 0 || len(st.found) == 0 {
			r.FN, r.FP = r.FN+len(st.truth), r.FP+len(st.found)
			continue
		}
		match := make([]int, len(st.truth))
		solver.Solve(len(st.truth), len(st.found), func(j, k int) float64 {
			score := st.overlap[j][k]
			if score < Threshold-epsilon {
				return 0
			}
			if before[st.truth[j]] == st.found[k] {
				score += 1000
			}
			return -score
		}, match)
		now := filled(len(s.truths), none)
		hits := 0
		for j, k := range match {
			if k < 0 {
				continue
			}
			t, f := st.truth[j], st.found[k]
			hits++
			matched[t]++
			r.overlap += st.overlap[j][k]
			if last[t] != none && last[t] != f {
				r.IDSW++
			}
			if before[t] == none {
				begun[t]++
			}
			last[t], now[t] = f, f
		}
		before = now
		r.TP, r.FN, r.FP = r.TP+hits, r.FN+len(st.truth)-hits, r.FP+len(st.found)-hits
	}
	for t, n := range s.truths {
		switch share := float64(matched[t]) / float64(n); {
		case share > 0.8:
			r.MT++
		case share >= 0.2:
			r.PT++
		default:
			r.ML++
		}
		r.Frag += max(0, begun[t]-1)
	}
}

// table has a number for each pair of a true id and a track id.
type table struct {
	columns int
	cells   []float64
}

func (s *sequence) table() table {
	return table{len(s.founds), make([]float64, len(s.truths)*len(s.founds))}
}

func (t table) at(truth, found int) float64          { return t.cells[truth*t.columns+found] }
func (t table) add(truth, found int, amount float64) { t.cells[truth*t.columns+found] += amount }

func filled(n, value int) []int {
	all := make([]int, n)
	for i := range all {
		all[i] = value
	}
	return all
}

// finish computes the ratios from the counts and the sums.
func (r *Result) finish() {
	for i := range r.Thresholds {
		t := &r.Thresholds[i]
		t.DetRe, t.DetPr = ratio(t.TP, t.TP+t.FN), ratio(t.TP, t.TP+t.FP)
		t.DetA = ratio(t.TP, t.TP+t.FN+t.FP)
		matches := float64(max(1, t.TP))
		t.AssA, t.AssRe, t.AssPr = t.assA/matches, t.assRe/matches, t.assPr/matches
		t.HOTA = math.Sqrt(t.DetA * t.AssA)
		t.LocA = 1
		if t.TP > 0 {
			t.LocA = t.overlap / float64(t.TP)
		}
		r.HOTA, r.DetA, r.AssA = r.HOTA+t.HOTA/Alphas, r.DetA+t.DetA/Alphas, r.AssA+t.AssA/Alphas
		r.DetRe, r.DetPr = r.DetRe+t.DetRe/Alphas, r.DetPr+t.DetPr/Alphas
		r.AssRe, r.AssPr = r.AssRe+t.AssRe/Alphas, r.AssPr+t.AssPr/Alphas
		r.LocA += t.LocA / Alphas
	}
	r.IDP, r.IDR = ratio(r.IDTP, r.IDTP+r.IDFP), ratio(r.IDTP, r.IDTP+r.IDFN)
	r.IDF1 = ratio(2*r.IDTP, 2*r.IDTP+r.IDFP+r.IDFN)
	r.MOTA = float64(r.TP-r.FP-r.IDSW) / float64(max(1, r.TP+r.FN))
	r.MOTP = r.overlap / float64(max(1, r.TP))
	r.F1 = ratio(2*r.TP, 2*r.TP+r.FP+r.FN)
}

func ratio(a, b int) float64 { return float64(a) / float64(max(1, b)) }
