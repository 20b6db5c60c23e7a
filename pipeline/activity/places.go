package activity

import (
	"slices"
	"time"
)

// Box is where the model found something, in pixels.
type Box struct {
	X, Y, W, H float32
	Score      float32
}

// Constants of the comparison of objects.
const (
	newScore   = 0.5              // a new object must be this certain
	samePlace  = 0.4              // intersection over union with what was there before
	placeTime  = time.Minute      // how long a place is remembered after the last object there, where
	stoodFor   = 10 * time.Second // one stood for this long; else
	goneAfter  = 8                // answers without it end the memory
	maxPlaces  = 128
	minPlaceOf = 3 // answers of the model before anything counts as new
)

// places remembers where objects have been. Models find standing objects in one
// picture and not in the next, so only what is found at a new place is news.
type places struct {
	known   []place
	answers int
}

type place struct {
	box         Box
	since, seen time.Duration
	missed      int // answers since
}

// take notes what was found and says whether any of it is at a new place.
func (p *places) take(at time.Duration, boxes []Box) (news bool) {
	p.answers++
	for i := range p.known {
		p.known[i].missed++
	}
	p.known = slices.DeleteFunc(p.known, func(k place) bool {
		return at-k.seen > placeTime || k.seen-k.since < stoodFor && k.missed > goneAfter
	})
	before := len(p.known)
	for _, b := range boxes {
		if i := slices.IndexFunc(p.known, func(k place) bool { return overlap(k.box, b) >= samePlace }); i >= 0 {
			p.known[i].seen, p.known[i].missed = at, 0
			if i < before { // follow what creeps
				p.known[i].box = b
			}
			continue
		}
		news = news || b.Score >= newScore && p.answers > minPlaceOf
		p.known = append(p.known, place{box: b, since: at, seen: at})
	}
	if over := len(p.known) - maxPlaces; over > 0 {
		p.known = slices.Delete(p.known, 0, over)
	}
	return news
}

// empty says that nothing was found lately.
func (p *places) empty() bool { return len(p.known) == 0 }

// overlap is the intersection of two boxes over their union.
func overlap(a, b Box) float32 {
	w := min(a.X+a.W, b.X+b.W) - max(a.X, b.X)
	h := min(a.Y+a.H, b.Y+b.H) - max(a.Y, b.Y)
	if w <= 0 || h <= 0 {
		return 0
	}
	return w * h / (a.W*a.H + b.W*b.H - w*h)
}
