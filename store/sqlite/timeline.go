package sqlite

import (
	"context"
	"fmt"
	"time"

	"detectd/store"
)

// span is a piece of time in microseconds; what says what it is of.
type span struct {
	start, end int64
	what       string
}

func scanSpan(r row) (s span, err error) {
	err = r.Scan(&s.start, &s.end, &s.what)
	return s, err
}

// longTrack is the length in microseconds from which tracks are in the index
// tracks_long.
const longTrack = 3_600_000_000

// tracksWithin reads the tracks of a camera (?1) that reach into a span (?4 to ?3); ?2
// is longTrack before it.
const tracksWithin = `SELECT start_us, end_us, label FROM (
		SELECT start_us, end_us, label, id FROM tracks
			WHERE camera_id = ?1 AND start_us < ?2 AND end_us >= ?4 AND end_us - start_us > 3600000000
		UNION ALL
		SELECT start_us, end_us, label, id FROM tracks
			WHERE camera_id = ?1 AND start_us >= ?2 AND start_us < ?3 AND end_us >= ?4
	) ORDER BY start_us, id`

// Timeline implements store.Timelines.
func (s *Store) Timeline(ctx context.Context, cameraID string, r store.Range, step time.Duration) ([]store.TimelinePiece, error) {
	from, to, width := micros(r.From), micros(r.To), step.Microseconds()
	if r.From.IsZero() || to <= from || width <= 0 || (to-from-1)/width >= store.MaxTimeline {
		return nil, fmt.Errorf("make timeline from %v to %v in steps of %v: more than %d steps, or none", r.From, r.To, step, store.MaxTimeline)
	}
	t := timeline{from: from, to: to, width: width, pieces: map[int64]*store.TimelinePiece{}}
	segments, err := list(ctx, s.r, scanSpan, "recorded time", `SELECT start_us, end_us, '' FROM segments
		WHERE camera_id = ? AND start_us >= ? AND start_us < ? AND end_us > ? ORDER BY start_us, id`,
		cameraID, from-store.MaxSegment.Microseconds(), to, from)
	if err != nil {
		return nil, err
	}
	t.cover(segments, func(p *store.TimelinePiece, d time.Duration) { p.Recorded += d })
	tracks, err := list(ctx, s.r, scanSpan, "tracks in time", tracksWithin, cameraID, from-longTrack, to, from)
	if err != nil {
		return nil, err
	}
	t.cover(tracks, func(p *store.TimelinePiece, d time.Duration) { p.Moving += d })
	for _, track := range tracks {
		if track.start >= from {
			p := t.at((track.start - from) / width)
			if p.Tracks == nil {
				p.Tracks = map[string]int{}
			}
			p.Tracks[track.what]++
		}
	}
	events, err := list(ctx, s.r, scanSpan, "events in time", `SELECT (time_us - ?1) / ?2, count(*), '' FROM events
		WHERE camera_id = ?3 AND time_us >= ?1 AND time_us < ?4 GROUP BY 1`, from, width, cameraID, to)
	if err != nil {
		return nil, err
	}
	for _, e := range events {
		t.at(e.start).Events = int(e.end)
	}
	return t.list(), nil
}

// timeline is made of pieces of the same width, in microseconds.
type timeline struct {
	from, to, width int64
	pieces          map[int64]*store.TimelinePiece // by number
}

func (t *timeline) at(i int64) *store.TimelinePiece {
	p := t.pieces[i]
	if p == nil {
		p = &store.TimelinePiece{Start: timeOf(t.from + i*t.width)}
		t.pieces[i] = p
	}
	return p
}

// cover adds the time that spans, by their starts, cover together: where they
// overlap it counts once.
func (t *timeline) cover(spans []span, add func(*store.TimelinePiece, time.Duration)) {
	done := t.from
	for _, s := range spans {
		start, end := max(s.start, done), min(s.end, t.to)
		for start < end {
			i := (start - t.from) / t.width
			until := min(end, t.from+(i+1)*t.width)
			add(t.at(i), time.Duration(until-start)*time.Microsecond)
			start = until
		}
		done = max(done, end)
	}
}

func (t *timeline) list() []store.TimelinePiece {
	out := make([]store.TimelinePiece, 0, len(t.pieces))
	for i := range (t.to-t.from-1)/t.width + 1 {
		if p := t.pieces[i]; p != nil {
			out = append(out, *p)
		}
	}
	return out
}
