package camera

import (
	"slices"
	"time"

	"detectd/pipeline"
	"detectd/pipeline/activity"
)

// The bounds of the coded video kept while a camera is idle: 10 s at 19 Mb/s, and
// as many pictures as an annotator keeps waiting for the next look.
const (
	maxHeldBytes = 24 << 20
	maxHeldUnits = 560
)

// hold keeps the units since the last calm key picture of an idle camera, in
// decoding order, so that they can still be decoded when something starts.
type hold struct {
	units []pipeline.Unit
	bytes int
}

func (h *hold) add(u pipeline.Unit) {
	h.units = append(h.units, u)
	h.bytes += u.Bytes()
}

// full says that no more should be kept.
func (h *hold) full() bool { return h.bytes > maxHeldBytes || len(h.units) > maxHeldUnits }

// take removes the first n units and returns them.
func (h *hold) take(n int) []pipeline.Unit {
	taken := slices.Clone(h.units[:n])
	h.units = slices.Delete(h.units, 0, n)
	for _, u := range taken {
		h.bytes -= u.Bytes()
	}
	return taken
}

// before is the index of the first unit that is shown at pts or later and is a
// key unit, or the number of units.
func (h *hold) before(pts time.Duration) int {
	i := slices.IndexFunc(h.units, func(u pipeline.Unit) bool { return u.Key && u.PTS >= pts })
	if i < 0 {
		return len(h.units)
	}
	return i
}

// weigh tells the gate of a unit. Rate control may pad with filler units (ITU-T
// H.264 7.4.2.7, H.265 7.4.2.4), which say nothing of the picture.
func weigh(codec pipeline.Codec, u pipeline.Unit) activity.Unit {
	w, judged := activity.Unit{PTS: u.PTS, Key: u.Key}, false
	for _, nal := range u.NALs {
		if len(nal) == 0 {
			continue
		}
		filler, picture, reference := nalKind(codec, nal[0])
		if filler {
			w.Padded = true
			continue
		}
		w.Bytes += len(nal)
		if picture && !judged {
			judged, w.Disposable = true, !reference
		}
	}
	return w
}

// nalKind reads the first byte of a NAL unit (H.264 table 7-1, H.265 table 7-1).
func nalKind(codec pipeline.Codec, first byte) (filler, picture, reference bool) {
	switch codec {
	case pipeline.H264:
		kind := first & 0x1f
		return kind == 12, kind >= 1 && kind <= 5, first>>5&3 != 0
	case pipeline.H265:
		kind := first >> 1 & 0x3f
		return kind == 38, kind < 32, kind > 14 || kind%2 == 1
	}
	return false, true, true
}
