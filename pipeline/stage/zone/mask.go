package zone

import (
	"slices"
	"time"

	"detectd/detect"
	"detectd/pipeline/frame"
	"detectd/store"
)

// Unmasked returns the detections of a picture of the given size in pixels that
// no mask drops and that are in one of the zones where they are wanted. Zones that
// the camera does not have are passed over; when it has none of them, detections are
// wanted everywhere. It does not change dets, and returns it where nothing is dropped.
func (c *Camera) Unmasked(dets []detect.Detection, width, height int) []detect.Detection {
	m := c.current.Load()
	only := c.only()
	if len(m.Masks)+len(only) == 0 || width <= 0 || height <= 0 {
		return dets
	}
	s := size{width, height}
	masks := make([]polygon, len(m.Masks))
	for i, k := range m.Masks {
		masks[i] = s.polygon(k.Polygon)
	}
	var wanted []polygon
	for _, z := range m.Zones {
		if slices.Contains(only, z.ID) {
			wanted = append(wanted, s.polygon(z.Polygon))
		}
	}
	masked := func(d detect.Detection) bool {
		b := store.Box{d.Box.X, d.Box.Y, d.Box.W, d.Box.H}
		at, area := anchor(b), s.share(b)
		at.y = min(at.y, float64(height)-0.5) // a box that the picture's edge cuts stands on the edge
		if len(wanted) > 0 && !slices.ContainsFunc(wanted, func(p polygon) bool { return p.holds(at) }) {
			return true
		}
		for i, k := range m.Masks {
			f := store.ObjectFilter{Classes: k.Classes, MinArea: k.MinArea, MaxArea: k.MaxArea}
			if passes(f, d.Label, area, d.Score) && masks[i].holds(at) {
				return true
			}
		}
		return false
	}
	if !slices.ContainsFunc(dets, masked) {
		return dets
	}
	return slices.DeleteFunc(slices.Clone(dets), masked)
}

// annotator is what turns detections into annotations.
type annotator interface {
	Frame(m frame.Meta, width, height int)
	Selected(seq uint64)
	Detected(m frame.Meta, dets []detect.Detection, model string, version int)
	Failed(seq uint64)
	SetHold(d time.Duration)
	Flush()
}

// Masked is an annotator that never sees what the masks of its camera drop.
type Masked struct {
	annotator
	camera        *Camera
	width, height int
}

// Mask puts the camera's masks in front of an annotator.
func (c *Camera) Mask(a annotator) *Masked { return &Masked{annotator: a, camera: c} }

// Frame takes in the next decoded frame.
func (m *Masked) Frame(meta frame.Meta, width, height int) {
	m.width, m.height = width, height
	m.annotator.Frame(meta, width, height)
}

// Detected takes in what the model found in a frame. Masks are laid over the size
// of the newest frame: a stream that changes its size does so seldom.
func (m *Masked) Detected(meta frame.Meta, dets []detect.Detection, model string, version int) {
	m.annotator.Detected(meta, m.camera.Unmasked(dets, m.width, m.height), model, version)
}
