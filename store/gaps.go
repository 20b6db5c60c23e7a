package store

import (
	"cmp"
	"slices"
	"time"
)

// GapReason says why there is no recording of a span of time.
type GapReason string

// The reasons for which something is missing.
const (
	GapCamera   GapReason = "camera"       // the camera was not there; the detail is its state
	GapNoVideo  GapReason = "no_video"     // it was there and sent nothing that could be recorded
	GapDiskFull GapReason = "disk_full"    // no space was left for recordings
	GapDisk     GapReason = "disk_error"   // the disk or the index refused
	GapDown     GapReason = "process_down" // detectd was not running
	GapOverload GapReason = "overload"     // video was dropped: the disk could not keep up
	GapClock    GapReason = "clock_jump"   // the machine's clock was set forward, or it slept
	GapLost     GapReason = "file_lost"    // it was recorded, and the file is gone
)

// The reasons for which nothing is missing.
const (
	GapOff      GapReason = "off"      // recording was switched off
	GapDisabled GapReason = "disabled" // the camera was switched off
	GapEnded    GapReason = "ended"    // a file that does not loop was over
	GapNotKept  GapReason = "not_kept" // nothing happened, and only what happens is kept
	GapExpired  GapReason = "expired"  // it was recorded, and has been deleted by age or size
)

// Wanted says whether a recording should have been there.
func (r GapReason) Wanted() bool {
	return !slices.Contains([]GapReason{GapOff, GapDisabled, GapEnded, GapNotKept, GapExpired}, r)
}

// GapSlack is the longest hole between two recordings that counts as none: less
// than what cameras' clocks waver.
const GapSlack = 500 * time.Millisecond

// Gap is a span of time of a camera of which there is no recording.
type Gap struct {
	ID       int64
	CameraID string
	From, To time.Time
	Reason   GapReason
	Detail   string // of GapCamera: the state
}

// Ledger says which time of a camera is accounted for: every moment from From to
// Until lies in a segment or in a gap.
type Ledger struct {
	CameraID string
	From     time.Time
	Until    time.Time
}

// Cause is what explains a moment without a recording, from a time on until the
// next cause. An empty reason means that nothing is known to be wrong.
type Cause struct {
	From   time.Time
	Reason GapReason
	Detail string
}

// Account asks to account for a camera's time up to To.
type Account struct {
	CameraID string
	To       time.Time
	Causes   []Cause // by From, oldest first
	// Patience is how long a moment at the end that nothing explains yet may wait
	// for the next account.
	Patience time.Duration
}

// Coverage is how much of a span of time was recorded.
type Coverage struct {
	From, To time.Time                   // the part of the span that is accounted for; equal when there is none
	Covered  time.Duration               // in a recording
	Missing  time.Duration               // not, although it was wanted
	Unwanted time.Duration               // neither recorded nor wanted
	Reasons  map[GapReason]time.Duration // missing and unwanted time by reason
}

// Holes returns the parts of span longer than slack that none of the pieces
// covers. Pieces may overlap and come in any order.
func Holes(span Range, pieces []Range, slack time.Duration) []Range {
	pieces = slices.Clone(pieces)
	slices.SortFunc(pieces, func(a, b Range) int { return a.From.Compare(b.From) })
	var holes []Range
	at := span.From
	for _, p := range append(pieces, Range{From: span.To, To: span.To}) {
		end := p.From
		if end.After(span.To) {
			end = span.To
		}
		if end.Sub(at) > slack {
			holes = append(holes, Range{From: at, To: end})
		}
		if p.To.After(at) {
			at = p.To
		}
	}
	return holes
}

// Unaccounted returns what breaks the promise of a ledger: the parts of its time
// that lie neither in a segment nor in a gap.
func Unaccounted(l Ledger, segments []Segment, gaps []Gap) []Range {
	pieces := make([]Range, 0, len(segments)+len(gaps))
	for _, s := range segments {
		pieces = append(pieces, Range{From: s.Start, To: s.End})
	}
	for _, g := range gaps {
		pieces = append(pieces, Range{From: g.From, To: g.To})
	}
	return Holes(Range{From: l.From, To: l.Until}, pieces, GapSlack)
}

// Explain splits a hole by the causes. A part that nothing explains has the
// reason of what comes after it, since a camera is noticed to be gone only some
// time after its last picture, else of what comes before. When the hole ends with
// such a part, and patience has not run out, that part is left out: the returned
// time is where it begins, else the end of the hole.
func (a Account) Explain(hole Range) (gaps []Gap, until time.Time) {
	parts := a.split(hole)
	next := Cause{}
	for i := len(parts) - 1; i >= 0; i-- {
		if parts[i].Reason == "" {
			parts[i].Reason, parts[i].Detail = next.Reason, next.Detail
		}
		next = Cause{Reason: parts[i].Reason, Detail: parts[i].Detail}
	}
	until = hole.To
	if n := len(parts); n > 0 && parts[n-1].Reason == "" {
		open := !hole.To.Before(a.To)
		if last := parts[n-1]; open && last.To.Sub(last.From) < a.Patience {
			until, parts = last.From, parts[:n-1]
		}
	}
	for _, p := range parts {
		if p.Reason == "" {
			p.Reason = GapNoVideo
			if n := len(gaps); n > 0 {
				p.Reason, p.Detail = gaps[n-1].Reason, gaps[n-1].Detail
			}
		}
		if n := len(gaps); n > 0 && gaps[n-1].Reason == p.Reason && gaps[n-1].Detail == p.Detail {
			gaps[n-1].To = p.To
			continue
		}
		gaps = append(gaps, p)
	}
	return gaps, until
}

// split cuts a hole where the causes change.
func (a Account) split(hole Range) []Gap {
	at, cause := hole.From, Cause{}
	var parts []Gap
	cut := func(to time.Time) {
		if to.After(at) {
			parts = append(parts, Gap{CameraID: a.CameraID, From: at, To: to, Reason: cause.Reason, Detail: cause.Detail})
			at = to
		}
	}
	causes := slices.Clone(a.Causes)
	slices.SortStableFunc(causes, func(x, y Cause) int { return cmp.Compare(x.From.UnixNano(), y.From.UnixNano()) })
	for _, c := range causes {
		if !c.From.Before(hole.To) {
			break
		}
		cut(c.From)
		cause = c
	}
	cut(hole.To)
	return parts
}
