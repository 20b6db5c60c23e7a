package eval

import (
	"cmp"
	"runtime"
	"slices"
	"sync"
)

// Summary holds COCO's twelve figures, 0 to 1. A figure for which there is no
// object is -1.
type Summary struct {
	AP       float64 `json:"ap"` // mean precision over overlaps 0.50 to 0.95, recalls and categories
	AP50     float64 `json:"ap50"`
	AP75     float64 `json:"ap75"`
	APSmall  float64 `json:"ap_small"`  // areas up to 32² pixels
	APMedium float64 `json:"ap_medium"` // from 32² to 96²
	APLarge  float64 `json:"ap_large"`  // from 96²
	AR1      float64 `json:"ar_1"`      // recall with at most 1 detection per category and picture
	AR10     float64 `json:"ar_10"`
	AR100    float64 `json:"ar_100"`
	ARSmall  float64 `json:"ar_small"`
	ARMedium float64 `json:"ar_medium"`
	ARLarge  float64 `json:"ar_large"`
	PerClass []Class `json:"per_class"` // all categories, by id
}

// Class is how well one category is found.
type Class struct {
	Label     string  `json:"label"`
	AP        float64 `json:"ap"`
	AP50      float64 `json:"ap50"`
	Instances int     `json:"instances"` // objects to be found: without crowds
}

// Figures returns the twelve in pycocotools' order.
func (s Summary) Figures() [12]float64 {
	return [12]float64{
		s.AP, s.AP50, s.AP75, s.APSmall, s.APMedium, s.APLarge,
		s.AR1, s.AR10, s.AR100, s.ARSmall, s.ARMedium, s.ARLarge,
	}
}

// The parts of a Summary: the ranges of areas with all detections, then all
// areas with fewer detections.
const (
	withOne = areas + iota
	withTen
	parts
)

// curve is what one category reaches in one part, by threshold.
type curve struct {
	precision [thresholds]float64 // mean over the recalls
	recall    [thresholds]float64
}

// Summary returns the figures of what was added so far.
func (e *Evaluator) Summary() Summary {
	e.mu.Lock()
	defer e.mu.Unlock()
	curves := make([][parts]curve, len(e.categories))
	todo := make(chan int)
	var wg sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(e.categories)) {
		wg.Go(func() {
			for c := range todo {
				curves[c] = e.curves(c)
			}
		})
	}
	for c := range e.categories {
		todo <- c
	}
	close(todo)
	wg.Wait()
	return e.summary(curves)
}

func (e *Evaluator) summary(curves [][parts]curve) Summary {
	// average is the mean over the categories that have objects in the area.
	average := func(area int, value func(*[parts]curve) float64) float64 {
		sum, n := 0.0, 0
		for c := range curves {
			if e.positives[c][area] > 0 {
				sum += value(&curves[c])
				n++
			}
		}
		if n == 0 {
			return absent
		}
		return sum / float64(n)
	}
	precision := func(area int) float64 {
		return average(area, func(c *[parts]curve) float64 { return mean(c[area].precision) })
	}
	recall := func(area, part int) float64 {
		return average(area, func(c *[parts]curve) float64 { return mean(c[part].recall) })
	}
	s := Summary{
		AP:      precision(0),
		AP50:    average(0, func(c *[parts]curve) float64 { return c[0].precision[0] }),
		AP75:    average(0, func(c *[parts]curve) float64 { return c[0].precision[5] }),
		APSmall: precision(1), APMedium: precision(2), APLarge: precision(3),
		AR1: recall(0, withOne), AR10: recall(0, withTen), AR100: recall(0, 0),
		ARSmall: recall(1, 1), ARMedium: recall(2, 2), ARLarge: recall(3, 3),
		PerClass: make([]Class, len(curves)),
	}
	for i, c := range e.categories {
		s.PerClass[i] = Class{Label: c.Name, AP: absent, AP50: absent, Instances: e.positives[i][0]}
		if e.positives[i][0] > 0 {
			s.PerClass[i].AP, s.PerClass[i].AP50 = mean(curves[i][0].precision), curves[i][0].precision[0]
		}
	}
	return s
}

// curves ranks the detections of a category over all pictures and counts.
func (e *Evaluator) curves(category int) (out [parts]curve) {
	hits := e.hits[category]
	slices.SortFunc(hits, func(a, b hit) int {
		return cmp.Or(cmp.Compare(b.score, a.score), cmp.Compare(a.image, b.image), cmp.Compare(a.rank, b.rank))
	})
	var line ranking
	for part := range parts {
		area, most := part, int16(maxDetections)
		switch part {
		case withOne:
			area, most = 0, 1
		case withTen:
			area, most = 0, 10
		}
		positives := e.positives[category][area]
		if positives == 0 {
			continue
		}
		for t := range thresholds {
			line.count(hits, area, t, most, positives)
			out[part].precision[t], out[part].recall[t] = line.precision(), line.recall()
		}
	}
	return out
}

// ranking is recall and precision after each detection that counts.
type ranking struct{ recalls, precisions []float64 }

func (l *ranking) count(hits []hit, area, t int, most int16, positives int) {
	l.recalls, l.precisions = l.recalls[:0], l.precisions[:0]
	const epsilon = 0x1p-52
	bit := uint16(1) << t
	right, wrong := 0.0, 0.0
	for i := range hits {
		h := &hits[i]
		if h.rank >= most || h.ignored[area]&bit != 0 {
			continue
		}
		if h.right[area]&bit != 0 {
			right++
		} else {
			wrong++
		}
		l.recalls = append(l.recalls, right/float64(positives))
		l.precisions = append(l.precisions, right/(wrong+right+epsilon))
	}
}

func (l *ranking) recall() float64 {
	if len(l.recalls) == 0 {
		return 0
	}
	return l.recalls[len(l.recalls)-1]
}

// precision is the mean over the recalls of the best precision at that recall or
// a higher one, 0 where it is not reached.
func (l *ranking) precision() float64 {
	for i := len(l.precisions) - 1; i > 0; i-- {
		l.precisions[i-1] = max(l.precisions[i-1], l.precisions[i])
	}
	sum, i := 0.0, 0
	for r := range recalls {
		least := float64(r) * 0.01
		for i < len(l.recalls) && l.recalls[i] < least {
			i++
		}
		if i == len(l.recalls) {
			break
		}
		sum += l.precisions[i]
	}
	return sum / recalls
}

func mean(values [thresholds]float64) float64 {
	sum := 0.0
	for _, v := range values {
		sum += v
	}
	return sum / thresholds
}
