package retain

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"detectd/store"
)

// Policy decides what of each camera is kept. nil keeps to the limits of Config alone.
type Policy struct {
	Index PolicyIndex
	// Watched says whether the camera's pictures were looked at in a span of time.
	// What nobody looked at is kept: an object may have been in it.
	Watched       func(ctx context.Context, cameraID string, r store.Range) bool
	Before, After time.Duration // of what happens, for cameras that set none
	Keep          KeepAges
}

// KeepAges say how old records may become; 0 keeps them for ever.
type KeepAges struct {
	Tracks, Events, Reports, Results time.Duration
	ResultBytes                      int64 // size of the files of all results; 0 is no limit
}

// PolicyIndex is the part of the store that a policy needs.
type PolicyIndex interface {
	ListCameras(ctx context.Context, clientID string) ([]store.Camera, error)
	OldestUnkept(ctx context.Context, q store.Oldest) ([]store.Segment, error)
	IdleSegments(ctx context.Context, q store.Idle) ([]store.Segment, error)
	RecordedBytes(ctx context.Context) ([]store.Recorded, error)
	DiscardSegments(ctx context.Context, ids []int64, reason store.GapReason) error
	DropOld(ctx context.Context, old store.Old, limit int) (int, error)
}

const (
	// decideAfter is how long after a segment it is known what happened in it: an
	// object is followed on while it is there, and its track is stored meanwhile.
	decideAfter = 2 * time.Minute
	// In a period, age takes no more than this much of a camera's time, from its
	// oldest recording on, should the clock be wrong.
	agePeriod = time.Hour
	ageStep   = 6 * time.Hour
	// dayOfAll is how much of everything is kept before recordings of events go for
	// want of space.
	dayOfAll = 24 * time.Hour
	// recordBatch is how many old records go in one transaction.
	recordBatch = 500
)

// ages tells apart what has a limit of its own: a camera's recordings, and those of
// them that no event reaches.
type ages struct {
	camera string
	idle   bool
}

// ageLimit is up to where a camera's recordings may go by age in a period.
type ageLimit struct {
	began time.Duration
	until time.Time
}

// present is the time that ages count from: not later than an hour after the
// newest recording, since a clock that was set forward makes nothing old. Where
// nothing is recorded any more, ages go on with the time since the start.
func present(now time.Time, all []store.Recorded, elapsed time.Duration) time.Time {
	var newest time.Time
	for _, r := range all {
		if r.Newest.After(newest) {
			newest = r.Newest
		}
	}
	if limit := newest.Add(time.Hour + elapsed); !newest.IsZero() && limit.Before(now) {
		return limit
	}
	return now
}

// dropper drops segments, and their files.
type dropper func(ids []int64, bytes int64, reason store.GapReason) error

// byCamera deletes what is over the limits of single cameras, and that in which
// nothing happened where only what happens is kept.
func (r *Retention) byCamera(ctx context.Context, drop dropper) error {
	p := r.cfg.Policy
	cameras, err := p.Index.ListCameras(ctx, "")
	if err != nil {
		return fmt.Errorf("list cameras: %w", err)
	}
	all, err := p.Index.RecordedBytes(ctx)
	if err != nil {
		return fmt.Errorf("sum segments: %w", err)
	}
	recorded := map[string]int64{}
	for _, a := range all {
		recorded[a.CameraID] = a.Bytes
	}
	now := present(r.cfg.Now(), all, r.cfg.Elapsed())
	for _, c := range cameras {
		have := recorded[c.ID]
		counted := func(ids []int64, bytes int64, reason store.GapReason) error {
			have -= bytes
			return drop(ids, bytes, reason)
		}
		if err := r.byAge(ctx, c, now, counted); err != nil {
			return err
		}
		if err := r.bySize(ctx, c, have, drop); err != nil {
			return err
		}
		if c.Record == store.RecordMotion || c.Record == store.RecordEvents {
			if err := r.byEvents(ctx, c, now, drop); err != nil {
				return err
			}
		}
	}
	return r.dropRecords(ctx, now)
}

// byAge deletes what is old. What an event reaches may become older than the rest.
func (r *Retention) byAge(ctx context.Context, c store.Camera, now time.Time, drop dropper) error {
	keep, events := cmp.Or(c.Keep, r.cfg.MaxAge), cmp.Or(c.KeepEvents, r.cfg.EventAge)
	if keep <= 0 {
		return nil
	}
	if _, err := r.expire(ctx, store.Oldest{CameraID: c.ID, EndBefore: now.Add(-max(keep, events))}, drop); err != nil || events <= keep {
		return err
	}
	before := now.Add(-keep)
	all, err := r.expire(ctx, store.Oldest{CameraID: c.ID, From: r.spared[c.ID], EndBefore: before, Idle: r.reach()}, drop)
	if all { // the others are not looked at again until they are old for events
		r.spared[c.ID] = before.Add(-store.MaxSegment)
	}
	return err
}

func (r *Retention) reach() *store.Reach {
	return &store.Reach{Before: r.cfg.Policy.Before, After: r.cfg.Policy.After}
}

// expire deletes the segments that q finds, all of them or as many as age may take
// in a period.
func (r *Retention) expire(ctx context.Context, q store.Oldest, drop dropper) (all bool, err error) {
	q.Limit = batch
	key := ages{q.CameraID, q.Idle != nil}
	for {
		old, err := r.cfg.Policy.Index.OldestUnkept(ctx, q)
		if err != nil || len(old) == 0 {
			return err == nil, err
		}
		limit, known := r.ages[key]
		if elapsed := r.cfg.Elapsed(); !known || elapsed-limit.began >= agePeriod {
			limit = ageLimit{elapsed, old[0].Start.Add(ageStep)}
			r.ages[key] = limit
		}
		var ids []int64
		var bytes int64
		for _, s := range old {
			if s.End.After(limit.until) {
				break
			}
			ids = append(ids, s.ID)
			bytes += s.Bytes
		}
		if len(ids) == 0 {
			return false, nil
		}
		if err := drop(ids, bytes, store.GapExpired); err != nil {
			return false, err
		}
	}
}

// next are the next segments to go where there is too much: those without an event
// that are more than a day old, then the oldest.
func (r *Retention) next(ctx context.Context, q store.Oldest, spare bool) ([]store.Segment, error) {
	if spare {
		idle := q
		idle.Idle, idle.EndBefore = r.reach(), r.cfg.Now().Add(-dayOfAll)
		if found, err := r.cfg.Policy.Index.OldestUnkept(ctx, idle); err != nil || len(found) > 0 {
			return found, err
		}
	}
	return r.cfg.Policy.Index.OldestUnkept(ctx, q)
}

func (r *Retention) bySize(ctx context.Context, c store.Camera, have int64, drop dropper) error {
	for c.KeepBytes > 0 && have > c.KeepBytes {
		old, err := r.next(ctx, store.Oldest{CameraID: c.ID, Limit: batch}, cmp.Or(c.KeepEvents, r.cfg.EventAge) > 0)
		if err != nil || len(old) == 0 {
			return err
		}
		var ids []int64
		var bytes int64
		for _, s := range old {
			if have-bytes <= c.KeepBytes {
				break
			}
			ids = append(ids, s.ID)
			bytes += s.Bytes
		}
		have -= bytes
		if err := drop(ids, bytes, store.GapExpired); err != nil {
			return err
		}
	}
	return nil
}

// byEvents goes on from where the last sweep ended: what was kept stays kept.
func (r *Retention) byEvents(ctx context.Context, c store.Camera, now time.Time, drop dropper) error {
	q := store.Idle{CameraID: c.ID, Events: c.Record == store.RecordEvents, Before: c.RecordBefore, After: c.RecordAfter, Limit: batch}
	if q.Before <= 0 {
		q.Before = r.cfg.Policy.Before
	}
	if q.After <= 0 {
		q.After = r.cfg.Policy.After
	}
	q.Range = store.Range{From: r.decided[c.ID], To: now.Add(-decideAfter - q.Before)}
	for {
		idle, err := r.cfg.Policy.Index.IdleSegments(ctx, q)
		if err != nil {
			return err
		}
		var ids []int64
		var bytes int64
		for _, s := range idle {
			if r.cfg.Policy.Watched(ctx, c.ID, store.Range{From: s.Start, To: s.End}) {
				ids = append(ids, s.ID)
				bytes += s.Bytes
			}
			q.From = s.Start.Add(time.Microsecond)
		}
		if len(ids) > 0 {
			if err := drop(ids, bytes, store.GapNotKept); err != nil {
				return err
			}
		}
		if len(idle) < batch {
			if q.To.After(r.decided[c.ID]) {
				r.decided[c.ID] = q.To.Add(-store.MaxSegment)
			}
			return nil
		}
	}
}

// dropRecords deletes old tracks, events, reports and results, a few at a time. The
// files of results go with the next sweep of blobs.
func (r *Retention) dropRecords(ctx context.Context, now time.Time) error {
	before := func(age time.Duration) (t time.Time) {
		if age > 0 {
			t = now.Add(-age)
		}
		return t
	}
	k := r.cfg.Policy.Keep
	old := store.Old{Tracks: before(k.Tracks), Events: before(k.Events), Reports: before(k.Reports), Results: before(k.Results), ResultBytes: k.ResultBytes}
	n, err := r.cfg.Policy.Index.DropOld(ctx, old, recordBatch)
	if err != nil {
		return fmt.Errorf("drop old records: %w", err)
	}
	if n > 0 {
		r.log.Debug("deleted old records", "rows", n)
	}
	return nil // the rest goes in the next sweeps
}
