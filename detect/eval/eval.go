// Package eval measures how well a detector finds what people have marked: the
// twelve figures of COCO for boxes (Lin et al., "Microsoft COCO: Common Objects
// in Context", 2014), to the last digit those of pycocotools 2.0.
//
// The rules, where they are not obvious: detections of one class in one picture
// are taken best score first, equal scores in the order given, at most 100; each
// takes the free object it overlaps most, of equal ones the later; what overlaps
// a crowd is neither right nor wrong, and a crowd may take many; objects and
// detections outside the range of areas count neither way, both ends of a range
// belong to it; the area of an object is the one in the annotations.
package eval

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
)

const (
	thresholds    = 10  // overlaps 0.50, 0.55, …, 0.95
	recalls       = 101 // recalls 0, 0.01, …, 1
	maxDetections = 100 // per class and picture
	// absent is a figure that has no object to be taken from.
	absent = -1.0
)

// areaRange holds areas in square pixels, both ends included.
type areaRange struct{ from, to float64 }

func (r areaRange) holds(area float64) bool { return area >= r.from && area <= r.to }

const areas = 4

// ranges returns COCO's areas: all, small, medium and large.
func ranges() [areas]areaRange {
	const small, medium, all = 32 * 32, 96 * 96, 1e5 * 1e5
	return [areas]areaRange{{0, all}, {0, small}, {small, medium}, {medium, all}}
}

// Evaluator gathers the detections of pictures one after the other; it keeps a
// few bytes of each and no picture. It is safe for concurrent use, and what it
// finds does not depend on the order of the pictures.
type Evaluator struct {
	categories []Category    // by id
	category   map[int64]int // index in categories by id
	image      map[int64]int // rank of the picture by id
	truth      [][]object    // by picture, sorted by category
	positives  [][areas]int  // by category: objects to be found

	mu   sync.Mutex // guards what follows
	seen []bool     // by picture
	hits [][]hit    // by category
}

// object is an annotation.
type object struct {
	category int
	box      [4]float64
	area     float64
	crowd    bool
	nameless bool // its id is 0
}

// New makes an Evaluator for a checked data set, as ReadDataset returns it.
func New(d *Dataset) *Evaluator {
	e := &Evaluator{
		categories: slices.Clone(d.Categories),
		category:   make(map[int64]int, len(d.Categories)),
		image:      make(map[int64]int, len(d.Images)),
		truth:      make([][]object, len(d.Images)),
		positives:  make([][areas]int, len(d.Categories)),
		seen:       make([]bool, len(d.Images)),
		hits:       make([][]hit, len(d.Categories)),
	}
	slices.SortFunc(e.categories, func(a, b Category) int { return cmp.Compare(a.ID, b.ID) })
	for i, c := range e.categories {
		e.category[c.ID] = i
	}
	ids := make([]int64, len(d.Images))
	for i, image := range d.Images {
		ids[i] = image.ID
	}
	slices.Sort(ids)
	for i, id := range ids {
		e.image[id] = i
	}
	for _, a := range d.Annotations {
		o := object{category: e.category[a.CategoryID], box: a.Box, area: a.Area, crowd: a.Crowd, nameless: a.ID == 0}
		image := e.image[a.ImageID]
		e.truth[image] = append(e.truth[image], o)
		for i, r := range ranges() {
			if !o.crowd && r.holds(o.area) {
				e.positives[o.category][i]++
			}
		}
	}
	for _, objects := range e.truth {
		slices.SortStableFunc(objects, func(a, b object) int { return cmp.Compare(a.category, b.category) })
	}
	return e
}

// Evaluate returns the figures of a whole list of results.
func Evaluate(d *Dataset, results []Result) (Summary, error) {
	e := New(d)
	byImage, order := map[int64][]Result{}, []int64{}
	for _, r := range results {
		if _, ok := byImage[r.ImageID]; !ok {
			order = append(order, r.ImageID)
		}
		byImage[r.ImageID] = append(byImage[r.ImageID], r)
	}
	for _, id := range order {
		if err := e.Add(id, byImage[id]); err != nil {
			return Summary{}, err
		}
	}
	return e.Summary(), nil
}

// Add takes all detections of one picture. Detections of categories that the
// data set does not have are left out; their ImageID is not looked at. A picture
// that is never added counts as one in which nothing was found.
func (e *Evaluator) Add(imageID int64, detections []Result) error {
	image, ok := e.image[imageID]
	if !ok {
		return fmt.Errorf("image %d is not in the data set", imageID)
	}
	sorted := make([]detection, 0, len(detections))
	for _, d := range detections {
		if err := d.check(); err != nil {
			return fmt.Errorf("image %d: %w", imageID, err)
		}
		if c, ok := e.category[d.CategoryID]; ok {
			sorted = append(sorted, detection{category: c, score: d.Score, box: d.Box})
		}
	}
	slices.SortStableFunc(sorted, func(a, b detection) int {
		return cmp.Or(cmp.Compare(a.category, b.category), cmp.Compare(b.score, a.score))
	})
	var found []hit
	truth := e.truth[image]
	for len(sorted) > 0 {
		c := sorted[0].category
		n := prefix(sorted, func(d detection) bool { return d.category == c })
		truth = truth[prefix(truth, func(o object) bool { return o.category < c }):]
		objects := truth[:prefix(truth, func(o object) bool { return o.category == c })]
		found = match(found, objects, sorted[:min(n, maxDetections)])
		sorted = sorted[n:]
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.seen[image] {
		return fmt.Errorf("image %d was added twice", imageID)
	}
	e.seen[image] = true
	for _, h := range found {
		h.image = int32(image) //nolint:gosec // there are fewer pictures than that
		e.hits[h.category] = append(e.hits[h.category], h)
	}
	return nil
}

// prefix is how many elements at the start of list hold.
func prefix[T any](list []T, holds func(T) bool) int {
	if i := slices.IndexFunc(list, func(v T) bool { return !holds(v) }); i >= 0 {
		return i
	}
	return len(list)
}

// Result is one detection in COCO's form.
type Result struct {
	ImageID    int64      `json:"image_id"`
	CategoryID int64      `json:"category_id"`
	Box        [4]float64 `json:"bbox"` // x, y, width, height in pixels, from the top left corner
	Score      float64    `json:"score"`
}

func (r Result) check() error {
	if err := checkBox(r.Box); err != nil {
		return err
	}
	if !finite(r.Score) {
		return errors.New("the score is not a number")
	}
	return nil
}

func checkBox(b [4]float64) error {
	for _, v := range b {
		if !finite(v) {
			return errors.New("the box is not made of numbers")
		}
	}
	if b[2] < 0 || b[3] < 0 {
		return fmt.Errorf("the box has a negative size (%g by %g)", b[2], b[3])
	}
	return nil
}

func finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }
