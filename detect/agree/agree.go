// Package agree compares what two detectors find in the same pictures.
package agree

import (
	"cmp"
	"slices"

	"detectd/detect"
)

// Overlap is the intersection over union from which two boxes are the same object.
const Overlap = 0.5

// Class is how two detectors agree on objects of a label.
type Class struct {
	Matched int64 // found by both
	Extra   int64 // found by the second only
	Missing int64 // found by the first only
	// ScoreDiff adds up, over what both have found, the score of the second less
	// that of the first; AbsScoreDiff adds up the sizes of these differences.
	ScoreDiff, AbsScoreDiff float64
}

// Compare matches the detections of two detectors in one picture, by label. Of
// boxes that overlap by Overlap at least, those of the second are taken best score
// first, each with the free box of the first that it overlaps most. Labels that
// neither has found are not in the result.
func Compare(first, second []detect.Detection) map[string]Class {
	out := map[string]Class{}
	taken := make([]bool, len(first))
	order := slices.Clone(second)
	slices.SortStableFunc(order, func(a, b detect.Detection) int { return cmp.Compare(b.Score, a.Score) })
	for _, d := range order {
		best, overlap := -1, float32(Overlap)
		for i, f := range first {
			if taken[i] || f.Label != d.Label {
				continue
			}
			if o := IoU(f.Box, d.Box); o >= overlap {
				best, overlap = i, o
			}
		}
		c := out[d.Label]
		if best < 0 {
			c.Extra++
		} else {
			taken[best] = true
			c.Matched++
			diff := float64(d.Score) - float64(first[best].Score)
			c.ScoreDiff += diff
			c.AbsScoreDiff += max(diff, -diff)
		}
		out[d.Label] = c
	}
	for i, f := range first {
		if !taken[i] {
			c := out[f.Label]
			c.Missing++
			out[f.Label] = c
		}
	}
	return out
}

// IoU is the intersection over the union of two boxes, 0 to 1.
func IoU(a, b detect.Box) float32 {
	w := min(a.X+a.W, b.X+b.W) - max(a.X, b.X)
	h := min(a.Y+a.H, b.Y+b.H) - max(a.Y, b.Y)
	if w <= 0 || h <= 0 {
		return 0
	}
	shared := w * h
	return shared / (a.W*a.H + b.W*b.H - shared)
}
