package model

import (
	"cmp"

	"detectd/detect"
)

// limits are what detections of a picture must keep to.
type limits struct {
	minScore  float32
	minScores map[string]float32 // by label
	iou       float32
	ious      map[string]float32 // by label
}

func limitsOf(o detect.Options, c *detect.Contract) limits {
	l := limits{minScore: c.MinScore, minScores: o.MinScores, iou: cmp.Or(o.NMSIoU, c.NMSIoU), ious: o.NMSIoUs}
	if o.MinScore > 0 {
		l.minScore = o.MinScore
	}
	return l
}

// lowest is the score below which nothing is wanted.
func (l limits) lowest() float32 {
	lowest := l.minScore
	for _, s := range l.minScores {
		lowest = min(lowest, s)
	}
	return lowest
}

// keeps says whether a score that decoding let through is enough for a label.
func (l limits) keeps(label string, score float32) bool {
	if len(l.minScores) == 0 {
		return true
	}
	least, ok := l.minScores[label]
	if !ok {
		least = l.minScore
	}
	return score >= least
}

// overlap is above which the worse of two boxes of a label goes.
func (l limits) overlap(label string) float32 {
	if iou, ok := l.ious[label]; ok {
		return iou
	}
	return l.iou
}
