package daemon

import (
	"context"
	"time"

	"detectd/pipeline/bus"
	"detectd/pipeline/stage/ledger"
	"detectd/pipeline/stage/retain"
	"detectd/store"
)

// recordings is the index of segments with the files that are being written
// added, so that pictures and clips reach up to the last second.
type recordings struct {
	store.Segments
	growing func(cameraID string) (store.Segment, bool)
}

// SegmentAt implements store.Segments.
func (r recordings) SegmentAt(ctx context.Context, cameraID string, t time.Time, tolerance time.Duration) (store.Segment, error) {
	if s, ok := r.growing(cameraID); ok && !t.Before(s.Start) && !t.After(s.End.Add(tolerance)) {
		return s, nil
	}
	return r.Segments.SegmentAt(ctx, cameraID, t, tolerance)
}

// ListSegments implements store.Segments. The open file is the last of the last page.
func (r recordings) ListSegments(ctx context.Context, cameraID string, span store.Range, p store.Page) ([]store.Segment, string, error) {
	// Looked up first: a file that is completed meanwhile is then in the index
	// too, and found twice rather than not at all.
	s, ok := r.growing(cameraID)
	all, next, err := r.Segments.ListSegments(ctx, cameraID, span, p)
	if err != nil || next != "" || !ok || (!span.To.IsZero() && !s.Start.Before(span.To)) || !s.End.After(span.From) {
		return all, next, err
	}
	if n := len(all); n > 0 && !all[n-1].Start.Before(s.Start) {
		return all, next, nil
	}
	return append(all, s), next, nil
}

// growing describes the file that a camera is being recorded into.
func (d *Daemon) growing(cameraID string) (store.Segment, bool) {
	d.mu.RLock()
	r := d.recorders[cameraID]
	d.mu.RUnlock()
	if r == nil {
		return store.Segment{}, false
	}
	return r.Growing()
}

// newLedger builds the stage that accounts for what is not recorded.
func (d *Daemon) newLedger() *ledger.Stage {
	return ledger.New(ledger.Config{}, ledger.Deps{
		Records: d.records, Log: d.log,
		Watch: func(cameraID string) (w ledger.Watch, ok bool) {
			if w.Status, ok = d.cameras.Status(cameraID); !ok {
				return w, false
			}
			if s, growing := d.growing(cameraID); growing {
				w.Growing = s.Start
			}
			return w, true
		},
		Announce: func(g store.Gap, open bool) {
			d.bus.Publish(bus.Subject(bus.Gaps, g.CameraID), bus.Gap{
				CameraID: g.CameraID, From: g.From, To: g.To, Open: open, Reason: string(g.Reason), Detail: g.Detail,
			})
		},
	})
}

// policy decides what of each camera is kept.
func (d *Daemon) policy() *retain.Policy {
	return &retain.Policy{
		Index: d.records, Before: d.cfg.Record.Before, After: d.cfg.Record.After,
		Keep: retain.KeepAges{Tracks: d.cfg.Keep.Tracks, Events: d.cfg.Keep.Events, Reports: d.cfg.Keep.Reports, Results: d.cfg.Keep.Results, ResultBytes: d.cfg.Keep.ResultsBytes},
		// Without annotations nobody looked, or nobody knows: what was recorded is kept.
		Watched: func(ctx context.Context, cameraID string, r store.Range) bool {
			found, err := d.series.Annotations(ctx, cameraID, r, 1)
			return err == nil && len(found) > 0
		},
	}
}
