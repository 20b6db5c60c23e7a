// Package nms removes boxes that overlap a better one of the same class.
package nms

import (
	"cmp"
	"slices"

	"detectd/detect"
)

// Suppress sorts candidates, best score first, and keeps those that no better
// candidate of the same class overlaps by more than iou, at most limit of them.
// With iou 0 nothing is suppressed. The order is total: equal scores are sorted
// by class, then by position, so that the result never depends on the input's
// order. It works in place and returns a part of c.
func Suppress(c []detect.Candidate, iou float32, limit int) []detect.Candidate {
	return SuppressEach(c, func(int) float32 { return iou }, limit)
}

// SuppressEach is Suppress with an overlap for each class.
func SuppressEach(c []detect.Candidate, overlapOf func(class int) float32, limit int) []detect.Candidate {
	slices.SortFunc(c, compare)
	kept := c[:0]
	for _, x := range c {
		if len(kept) >= limit {
			break
		}
		iou := overlapOf(x.Class)
		if iou > 0 && slices.ContainsFunc(kept, func(k detect.Candidate) bool {
			return k.Class == x.Class && overlap(k, x, iou)
		}) {
			continue
		}
		kept = append(kept, x)
	}
	return kept
}

func compare(a, b detect.Candidate) int {
	if a.Score != b.Score {
		return cmp.Compare(b.Score, a.Score)
	}
	return cmp.Or(
		cmp.Compare(a.Class, b.Class),
		cmp.Compare(a.X0, b.X0), cmp.Compare(a.Y0, b.Y0),
		cmp.Compare(a.X1, b.X1), cmp.Compare(a.Y1, b.Y1),
	)
}

// overlap tells whether the intersection over the union is more than iou.
func overlap(a, b detect.Candidate, iou float32) bool {
	w := min(a.X1, b.X1) - max(a.X0, b.X0)
	h := min(a.Y1, b.Y1) - max(a.Y0, b.Y0)
	if w <= 0 || h <= 0 {
		return false
	}
	inter := w * h
	return inter > iou*(area(a)+area(b)-inter)
}

func area(c detect.Candidate) float32 { return (c.X1 - c.X0) * (c.Y1 - c.Y0) }
