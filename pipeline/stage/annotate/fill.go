package annotate

import (
	"slices"
	"time"

	"detectd/detect"
	"detectd/store"
)

// complete moves the frames up to i, whose detections are known, to the tail and
// makes i the anchor of what follows. It allocates a few times for all of them,
// not per frame.
func (a *Annotator) complete(i int) {
	h := a.held[i]
	to := anchor{
		known: true, pts: h.meta.PTS, size: h.size,
		objects: a.tracker.Update(h.meta.PTS, h.dets), model: h.model, version: h.version,
	}
	pairs := shared(a.from, to)
	a.tail = slices.Grow(a.tail, i+1)
	objects := make([]store.Object, 0, i*len(pairs)+len(to.objects))
	for k := range i {
		an := a.annotation(k, Extrapolated, "", 0)
		if a.from.known {
			an.Kind, an.Model, an.Version = Interpolated, to.model, to.version
		}
		if a.held[k].size == to.size {
			start, share := len(objects), between(a.from.pts, to.pts, a.held[k].meta.PTS)
			for _, p := range pairs {
				objects = append(objects, blend(p.from, p.to, share))
			}
			an.Objects = slices.Clip(objects[start:])
		}
		a.tail = append(a.tail, an)
	}
	an, start := a.annotation(i, Detected, to.model, to.version), len(objects)
	for _, o := range to.objects {
		objects = append(objects, object(o))
	}
	an.Objects = slices.Clip(objects[start:])
	a.tail = append(a.tail, an)

	a.release(i + 1)
	a.sight(to)
	a.from = to
	a.emit(a.settled())
	a.follow(h.meta)
}

// emit lets the first n frames of the tail go.
func (a *Annotator) emit(n int) {
	if n == 0 {
		return
	}
	as := a.tail
	if n == len(as) {
		a.tail = nil
	} else {
		as, a.tail = slices.Clip(as[:n]), slices.Clone(as[n:])
	}
	a.out.Annotations(as)
}

// extrapolate emits the first n frames without knowing what comes after them.
func (a *Annotator) extrapolate(n int) {
	if n == 0 {
		return
	}
	a.emit(len(a.tail))
	as := make([]store.Annotation, n)
	last := a.held[n-1].meta.PTS
	for k := range n {
		as[k] = a.annotation(k, Extrapolated, "", 0)
		if pts := a.held[k].meta.PTS; a.from.known && pts-a.from.pts <= a.cfg.Predict && a.held[k].size == a.from.size {
			as[k].Model, as[k].Version = a.from.model, a.from.version
			as[k].Objects = a.predicted(pts, a.from.size)
		}
	}
	a.release(n)
	a.out.Annotations(as)
	a.finish(a.tracker.Ended(last))
}

// predicted is what is left of the predicted boxes inside the picture.
func (a *Annotator) predicted(pts time.Duration, s size) []store.Object {
	objects := a.tracker.Predict(pts)
	kept := make([]store.Object, 0, len(objects))
	for _, o := range objects {
		if o.Box = clipped(o.Box, s); o.Box.W > 0 && o.Box.H > 0 {
			kept = append(kept, object(o))
		}
	}
	return kept
}

func (a *Annotator) annotation(i int, kind, model string, version int) store.Annotation {
	h := &a.held[i]
	return store.Annotation{
		CameraID: h.meta.CameraID, Time: h.meta.Time, Frame: h.meta.Seq, PTS: h.meta.PTS,
		Width: h.size.width, Height: h.size.height, Clock: string(h.meta.Clock),
		Kind: kind, Model: model, Version: version,
		// Whole milliseconds take less room.
		TimeError: (h.meta.TimeError + time.Millisecond - 1).Truncate(time.Millisecond),
	}
}

// release forgets the first n frames and keeps their memory for the next ones.
func (a *Annotator) release(n int) { a.held = slices.Delete(a.held, 0, n) }

type pair struct{ from, to *detect.Object }

// shared finds the objects that are in both frames.
func shared(from, to anchor) []pair {
	if !from.known || from.size != to.size {
		return nil
	}
	var pairs []pair
	for i := range to.objects {
		t := &to.objects[i]
		if t.TrackID == "" {
			continue
		}
		for j := range from.objects {
			if f := &from.objects[j]; f.TrackID == t.TrackID {
				pairs = append(pairs, pair{f, t})
				break
			}
		}
	}
	return pairs
}

// between is the share of the way from one time to another at which at lies.
func between(from, to, at time.Duration) float32 {
	if to <= from {
		return 1
	}
	return min(1, max(0, float32(at-from)/float32(to-from)))
}

func blend(from, to *detect.Object, share float32) store.Object {
	mix := func(a, b float32) float32 { return a + (b-a)*share }
	o := object(*from)
	o.Score = mix(from.Score, to.Score)
	o.Box = store.Box{
		mix(from.Box.X, to.Box.X), mix(from.Box.Y, to.Box.Y),
		mix(from.Box.W, to.Box.W), mix(from.Box.H, to.Box.H),
	}
	return o
}

func object(o detect.Object) store.Object {
	return store.Object{TrackID: o.TrackID, ClassID: o.ClassID, Label: o.Label, Score: o.Score, Box: box(o.Box)}
}

func box(b detect.Box) store.Box { return store.Box{b.X, b.Y, b.W, b.H} }

func clipped(b detect.Box, s size) detect.Box {
	x0, y0 := max(0, b.X), max(0, b.Y)
	x1, y1 := min(float32(s.width), b.X+b.W), min(float32(s.height), b.Y+b.H)
	return detect.Box{X: x0, Y: y0, W: x1 - x0, H: y1 - y0}
}
