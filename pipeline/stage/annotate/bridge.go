package annotate

import (
	"maps"
	"math"
	"slices"
	"time"

	"detectd/detect"
	"detectd/store"
)

// sighting is what is remembered of a followed object to fill in the frames in
// which it was not seen.
type sighting struct {
	last   seen
	before seen          // the sighting before the last; pts is negative when there is none
	since  time.Duration // the detection before the first sighting; negative when there was none
	missed time.Duration // the first detection after the last sighting, which did not see it; negative: none
}

// seen is an object in one detected frame.
type seen struct {
	pts    time.Duration
	size   size
	object detect.Object
}

const never = time.Duration(math.MinInt64)

// sight takes in the objects of a detected frame: gaps behind them are filled,
// and the objects that are gone for good part. It is called before the frame
// becomes the anchor.
func (a *Annotator) sight(to anchor) {
	if a.cfg.Bridge < 0 {
		return
	}
	for _, o := range to.objects {
		if o.TrackID == "" {
			continue
		}
		now, s := seen{to.pts, to.size, o}, a.seen[o.TrackID]
		if s == nil {
			s = &sighting{last: now, before: seen{pts: never}, since: never, missed: never}
			if a.from.known && to.pts-a.from.pts <= a.cfg.Bridge {
				s.since = a.from.pts
			}
			a.seen[o.TrackID] = s
			continue
		}
		if s.missed != never && to.pts-s.last.pts <= a.cfg.Bridge {
			a.bridge(s.last, now)
		}
		if s.before.pts == never && s.since != never && to.pts-s.last.pts <= a.cfg.Bridge {
			half := s.last.pts - (s.last.pts-s.since)/2
			a.extend(s.last, now, half, s.last.pts-1)
		}
		s.before, s.last, s.missed, s.since = s.last, now, never, never
	}
	for _, s := range a.seen {
		if s.missed == never && s.last.pts < to.pts {
			s.missed = to.pts
		}
	}
	a.part(to.pts)
}

// part gives up the objects that have not been seen for too long at the given
// time, and fills in half of what may be missing behind their last sighting.
func (a *Annotator) part(at time.Duration) {
	for _, id := range slices.Sorted(maps.Keys(a.seen)) { // sorted, so that the same video is annotated the same
		s := a.seen[id]
		if at-s.last.pts <= a.cfg.Bridge {
			continue
		}
		if s.before.pts != never && s.missed != never {
			end := s.last.pts + min(a.cfg.Predict, (s.missed-s.last.pts)/2)
			a.extend(s.before, s.last, s.last.pts+1, end)
		}
		delete(a.seen, id)
	}
}

// settled is how many frames of the tail no object can change any more.
func (a *Annotator) settled() int {
	n := len(a.tail)
	for _, s := range a.seen {
		open := s.last.pts
		switch {
		case s.before.pts == never && s.since != never:
			open = s.since
		case s.missed == never:
			continue
		}
		for n > 0 && a.tail[n-1].PTS > open {
			n--
		}
	}
	return n
}

// bridge interpolates an object in the frames between two sightings in which it
// is missing.
func (a *Annotator) bridge(from, to seen) {
	if from.size != to.size {
		return
	}
	for i := range a.tail {
		an := &a.tail[i]
		if an.PTS > from.pts && an.PTS < to.pts && (size{an.Width, an.Height}) == to.size {
			a.add(an, blend(&from.object, &to.object, between(from.pts, to.pts, an.PTS)), Interpolated)
		}
	}
}

// extend extrapolates an object from two sightings to the frames from first to
// last, which lie on one side of both.
func (a *Annotator) extend(from, to seen, first, last time.Duration) {
	if from.size != to.size || to.pts <= from.pts {
		return
	}
	for i := range a.tail {
		an := &a.tail[i]
		if an.PTS < first || an.PTS > last || (size{an.Width, an.Height}) != to.size {
			continue
		}
		share := float32(an.PTS-from.pts) / float32(to.pts-from.pts)
		near := &from.object
		if share > 0.5 {
			near = &to.object
		}
		o := object(*near)
		// Only the place goes on: sizes are too noisy to be carried beyond what was seen.
		centre := func(b detect.Box) (x, y float32) { return b.X + b.W/2, b.Y + b.H/2 }
		x0, y0 := centre(from.object.Box)
		x1, y1 := centre(to.object.Box)
		b := near.Box
		b.X, b.Y = x0+(x1-x0)*share-b.W/2, y0+(y1-y0)*share-b.H/2
		if b = clipped(b, to.size); b.W > 0 && b.H > 0 {
			o.Box = box(b)
			a.add(an, o, Extrapolated)
		}
	}
}

// add puts an object into a frame, marked when its kind is not the frame's.
func (a *Annotator) add(an *store.Annotation, o store.Object, kind string) {
	if an.Kind != kind {
		o.Kind = kind
	}
	an.Objects = append(an.Objects, o)
}
