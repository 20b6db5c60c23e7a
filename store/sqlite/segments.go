package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"detectd/store"
)

const selectSegments = `SELECT id, camera_id, start_us, end_us, path, bytes, frames, codec, width, height, clock, time_error_us, audio, audio_us FROM segments`

func scanSegment(r row) (g store.Segment, err error) {
	var start, end, timeError, audio int64
	err = r.Scan(&g.ID, &g.CameraID, &start, &end, &g.Path, &g.Bytes, &g.Frames, &g.Codec, &g.Width, &g.Height, &g.Clock, &timeError,
		&g.Audio, &audio)
	g.Start, g.End, g.TimeError = timeOf(start), timeOf(end), time.Duration(timeError)*time.Microsecond
	g.AudioTime = micro(audio)
	return g, err
}

func segmentPages() paged[store.Segment, int64] {
	return paged[store.Segment, int64]{
		what: "segments", query: selectSegments, timeIn: "start_us", idIn: "id", ascending: true, scan: scanSegment,
		at: func(g store.Segment) position[int64] { return position[int64]{micros(g.Start), g.ID} },
	}
}

// AddSegment implements store.Segments. It returns ErrNotFound when the camera
// is gone, and ErrExists when the path is taken or waits to be removed; the file
// is then the caller's to remove.
func (s *Store) AddSegment(ctx context.Context, g store.Segment) (store.Segment, error) {
	what := fmt.Sprintf("segment %q", g.Path)
	if length := g.End.Sub(g.Start); length < 0 || length > store.MaxSegment {
		return store.Segment{}, fmt.Errorf("add %s: it is %v long, at most %v can be kept in one", what, length, store.MaxSegment)
	}
	g.Start, g.End, g.TimeError = stored(g.Start), stored(g.End), g.TimeError.Truncate(time.Microsecond)
	g.AudioTime = g.AudioTime.Truncate(time.Microsecond)
	err := s.together(ctx, "add "+what, func(ctx context.Context, tx *sql.Tx) error {
		err := tx.QueryRowContext(ctx, `INSERT INTO segments
			(camera_id, start_us, end_us, path, bytes, frames, codec, width, height, clock, time_error_us, audio, audio_us)
			SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13 WHERE NOT EXISTS (SELECT 1 FROM garbage WHERE path = ?4)
			RETURNING id`,
			g.CameraID, micros(g.Start), micros(g.End), g.Path, g.Bytes, g.Frames, g.Codec, g.Width, g.Height, g.Clock,
			g.TimeError.Microseconds(), g.Audio, g.AudioTime.Microseconds()).Scan(&g.ID)
		switch {
		case isDuplicate(err) || errors.Is(err, sql.ErrNoRows):
			return exists(what)
		case isDangling(err):
			return notFound(cameraNamed(g.CameraID))
		case err != nil:
			return err
		}
		if err := cutGaps(ctx, tx, g.CameraID, store.Range{From: g.Start, To: g.End}); err != nil {
			return err
		}
		for _, h := range g.Holes {
			if _, err := addGap(ctx, tx, store.Gap{CameraID: g.CameraID, From: h.From, To: h.To, Reason: store.GapNoVideo}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return store.Segment{}, err
	}
	g.Holes = nil
	return g, nil
}

// Segment implements store.Segments.
func (s *Store) Segment(ctx context.Context, id int64) (store.Segment, error) {
	return one(ctx, s.r, scanSegment, fmt.Sprintf("segment %d", id), selectSegments+` WHERE id = ?`, id)
}

// SegmentAt implements store.Segments. Of segments that overlap, as after a
// jump of the clock, the one that started last wins.
func (s *Store) SegmentAt(ctx context.Context, cameraID string, t time.Time, tolerance time.Duration) (store.Segment, error) {
	at, reach := micros(t), tolerance.Microseconds()
	// Nothing is longer than MaxSegment, so only so many starts can matter.
	oldest := at - reach - store.MaxSegment.Microseconds()
	near, err := list(ctx, s.r, scanSegment, "segments", `
		SELECT * FROM (`+selectSegments+` WHERE camera_id = ?1 AND start_us <= ?2 AND start_us >= ?3 AND end_us > ?2 ORDER BY start_us DESC, id DESC LIMIT 1)
		UNION ALL
		SELECT * FROM (`+selectSegments+` WHERE camera_id = ?1 AND start_us <= ?2 AND start_us >= ?3 AND end_us <= ?2 ORDER BY end_us DESC, id DESC LIMIT 1)
		UNION ALL
		SELECT * FROM (`+selectSegments+` WHERE camera_id = ?1 AND start_us > ?2 ORDER BY start_us, id LIMIT 1)`,
		cameraID, at, oldest)
	if err != nil {
		return store.Segment{}, err
	}
	var best store.Segment
	distance := int64(-1)
	for _, g := range near {
		if d := max(micros(g.Start)-at, at-micros(g.End), 0); d <= reach && (distance < 0 || d < distance) {
			best, distance = g, d
		}
	}
	if distance < 0 {
		return store.Segment{}, notFound(fmt.Sprintf("recording of camera %q at %s", cameraID, t.UTC().Format(time.RFC3339Nano)))
	}
	return best, nil
}

// ListSegments implements store.Segments.
func (s *Store) ListSegments(ctx context.Context, cameraID string, r store.Range, p store.Page) ([]store.Segment, string, error) {
	return segmentPages().read(ctx, s.r, segmentFilter(cameraID, r), p)
}

func segmentFilter(cameraID string, r store.Range) (f filter) {
	f.equal("camera_id", cameraID)
	if !r.From.IsZero() {
		f.add("end_us > ?", micros(r.From))
		f.from("start_us", r.From.Add(-store.MaxSegment)) // lets the index skip what is older
	}
	f.before("start_us", r.To)
	return f
}

// OldestSegments implements store.Segments, for at most a thousand.
func (s *Store) OldestSegments(ctx context.Context, n int) ([]store.Segment, error) {
	return list(ctx, s.r, scanSegment, "oldest segments", selectSegments+` ORDER BY start_us, id LIMIT ?`, clamp(n))
}

// SegmentBytes implements store.Segments.
func (s *Store) SegmentBytes(ctx context.Context) (int64, error) {
	var sum int64
	if err := s.r.QueryRowContext(ctx, `SELECT coalesce(sum(bytes), 0) FROM segments`).Scan(&sum); err != nil {
		return 0, fmt.Errorf("add up segments: %w", err)
	}
	return sum, nil
}

// DropSegments implements store.Segments. Ids without a row are ignored.
func (s *Store) DropSegments(ctx context.Context, ids []int64) error {
	return s.DiscardSegments(ctx, ids, store.GapExpired)
}

// DiscardSegments implements store.Segments.
func (s *Store) DiscardSegments(ctx context.Context, ids []int64, reason store.GapReason) error {
	all, err := marshal(append([]int64{}, ids...))
	if err != nil {
		return fmt.Errorf("drop segments: %w", err)
	}
	return s.write(ctx, "drop segments", func(tx *sql.Tx) error {
		gone, err := list(ctx, tx, scanSegment, "segments", selectSegments+` WHERE id IN (SELECT value FROM json_each(?)) ORDER BY start_us`, all)
		if err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `INSERT OR IGNORE INTO garbage (path, added_us)
			SELECT path, ? FROM segments WHERE id IN (SELECT value FROM json_each(?))`, micros(s.time()), all); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `DELETE FROM segments WHERE id IN (SELECT value FROM json_each(?))`, all); err != nil {
			return err
		}
		return leaveGaps(ctx, tx, gone, reason)
	})
}

// leaveGaps enters the time of segments that are gone into the ledger, but what
// another segment holds as well.
func leaveGaps(ctx context.Context, tx *sql.Tx, gone []store.Segment, reason store.GapReason) error {
	for _, g := range gone {
		holes, err := holesIn(ctx, tx, g.CameraID, store.Range{From: g.Start, To: g.End}, 0)
		if err != nil {
			return err
		}
		for _, h := range holes {
			if _, err := addGap(ctx, tx, store.Gap{CameraID: g.CameraID, From: h.From, To: h.To, Reason: reason}); err != nil {
				return err
			}
		}
	}
	return nil
}

// Garbage implements store.Segments: the oldest first, at most a thousand.
func (s *Store) Garbage(ctx context.Context, n int) ([]string, error) {
	return list(ctx, s.r, scanText,
		"garbage", `SELECT path FROM garbage ORDER BY added_us, path LIMIT ?`, clamp(n))
}

// ForgetGarbage implements store.Segments.
func (s *Store) ForgetGarbage(ctx context.Context, paths []string) error {
	all, err := marshal(append([]string{}, paths...))
	if err != nil {
		return fmt.Errorf("forget garbage: %w", err)
	}
	return s.write(ctx, "forget garbage", func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `DELETE FROM garbage WHERE path IN (SELECT value FROM json_each(?))`, all)
		return err
	})
}

// clamp keeps lists without pages within the size of the largest page.
func clamp(n int) int { return max(0, min(n, 1000)) }

func scanText(r row) (text string, err error) {
	err = r.Scan(&text)
	return text, err
}
