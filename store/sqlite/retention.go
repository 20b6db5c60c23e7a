package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"detectd/store"
)

// PutKeep implements store.Keeps.
func (s *Store) PutKeep(ctx context.Context, k store.Keep) (store.Keep, error) {
	k.From, k.To, k.CreatedAt = stored(k.From), stored(k.To), s.time()
	err := s.write(ctx, "keep recordings", func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT OR REPLACE INTO keeps (camera_id, id, from_us, to_us, note, created_us) VALUES (?, ?, ?, ?, ?, ?)`,
			k.CameraID, k.ID, micros(k.From), micros(k.To), k.Note, micros(k.CreatedAt))
		if isDangling(err) {
			return notFound(cameraNamed(k.CameraID))
		}
		return err
	})
	return k, err
}

// ListKeeps implements store.Keeps.
func (s *Store) ListKeeps(ctx context.Context, cameraID string) ([]store.Keep, error) {
	var f filter
	f.equal("camera_id", cameraID)
	return list(ctx, s.r, scanKeep, "keeps", `SELECT camera_id, id, from_us, to_us, note, created_us FROM keeps`+f.where()+` ORDER BY camera_id, id`, f.args...)
}

func scanKeep(r row) (k store.Keep, err error) {
	var from, to, created int64
	err = r.Scan(&k.CameraID, &k.ID, &from, &to, &k.Note, &created)
	k.From, k.To, k.CreatedAt = timeOf(from), timeOf(to), timeOf(created)
	return k, err
}

// DeleteKeep implements store.Keeps.
func (s *Store) DeleteKeep(ctx context.Context, cameraID, id string) error {
	return s.write(ctx, "forget keep", func(tx *sql.Tx) error {
		res, err := tx.ExecContext(ctx, `DELETE FROM keeps WHERE camera_id = ? AND id = ?`, cameraID, id)
		if err != nil {
			return err
		}
		if n, err := res.RowsAffected(); err != nil || n > 0 {
			return err
		}
		return notFound(fmt.Sprintf("keep %q of camera %q", id, cameraID))
	})
}

// unkept is true of a segment that no keep protects.
const unkept = `NOT EXISTS (SELECT 1 FROM keeps k WHERE k.camera_id = segments.camera_id AND k.from_us < end_us AND k.to_us > start_us)`

// OldestUnkept implements store.Keeps.
func (s *Store) OldestUnkept(ctx context.Context, q store.Oldest) ([]store.Segment, error) {
	var f filter
	f.equal("camera_id", q.CameraID)
	f.from("start_us", q.From)
	f.before("end_us", q.EndBefore)
	f.before("start_us", q.EndBefore) // lets the index stop
	f.add(unkept)
	if q.Idle != nil {
		f.add(`NOT EXISTS (SELECT 1 FROM cameras c CROSS JOIN events e WHERE c.id = segments.camera_id AND e.camera_id = segments.camera_id
			AND e.time_us < segments.end_us + iif(c.record_before_us > 0, c.record_before_us, ?)
			AND e.time_us > segments.start_us - iif(c.record_after_us > 0, c.record_after_us, ?)
			AND `+eventsAtPlaces+`)`, q.Idle.Before.Microseconds(), q.Idle.After.Microseconds())
	}
	return list(ctx, s.r, scanSegment, "oldest segments", selectSegments+f.where()+` ORDER BY start_us, id LIMIT ?`, append(f.args, clamp(q.Limit))...)
}

// eventsAtPlaces are the events whose recordings are kept for them.
const eventsAtPlaces = `(e.kind LIKE 'zone.%' OR e.kind LIKE 'line.%')`

// longestTrack bounds how far back a search for the tracks of a segment looks.
const longestTrack = 24 * time.Hour

// IdleSegments implements store.Keeps.
func (s *Store) IdleSegments(ctx context.Context, q store.Idle) ([]store.Segment, error) {
	happened := `SELECT 1 FROM tracks t WHERE t.camera_id = ?1 AND t.start_us < segments.end_us + ?2 AND t.end_us > segments.start_us - ?3
		AND t.start_us > segments.start_us - ` + fmt.Sprint(longestTrack.Microseconds())
	if q.Events {
		happened = `SELECT 1 FROM events e WHERE e.camera_id = ?1 AND e.time_us < segments.end_us + ?2 AND e.time_us > segments.start_us - ?3
			AND ` + eventsAtPlaces
	}
	return list(ctx, s.r, scanSegment, "segments without events", selectSegments+` WHERE camera_id = ?1 AND start_us >= ?4 AND end_us < ?5
		AND `+unkept+` AND NOT EXISTS (`+happened+`) ORDER BY start_us, id LIMIT ?6`,
		q.CameraID, q.Before.Microseconds(), q.After.Microseconds(), micros(q.From), micros(q.To), clamp(q.Limit))
}

// RecordedBytes implements store.Keeps.
func (s *Store) RecordedBytes(ctx context.Context) ([]store.Recorded, error) {
	return list(ctx, s.r, func(r row) (g store.Recorded, err error) {
		var newest int64
		err = r.Scan(&g.CameraID, &g.Bytes, &newest)
		g.Newest = timeOf(newest)
		return g, err
	}, "recordings", `SELECT camera_id, sum(bytes), max(end_us) FROM segments GROUP BY camera_id`)
}

// resultsAtOnce bounds the results that go in one transaction: a row holds the
// boxes of a whole video.
const resultsAtOnce = 50

// resultsTooMany are those beyond a size, counted from the newest on.
const resultsTooMany = `SELECT id FROM
	(SELECT id, created_us, sum(bytes) OVER (ORDER BY created_us DESC, id DESC) AS size FROM results WHERE state NOT IN ('queued', 'running'))
	WHERE size > ?1 ORDER BY created_us, id LIMIT ?2`

// DropOld implements store.Keeps. One call deletes a bounded number of rows.
func (s *Store) DropOld(ctx context.Context, old store.Old, limit int) (int, error) {
	total := 0
	err := s.write(ctx, "drop old records", func(tx *sql.Tx) error {
		for _, q := range []struct {
			limit int64 // 0: none
			query string
			most  int
		}{
			{micros(old.Tracks), `DELETE FROM tracks WHERE id IN (SELECT id FROM tracks WHERE start_us < ?1 AND end_us < ?1 ORDER BY start_us LIMIT ?2)`, limit},
			{micros(old.Events), `DELETE FROM events WHERE id IN (SELECT id FROM events WHERE time_us < ?1 ORDER BY time_us LIMIT ?2)`, limit},
			{micros(old.Reports), `DELETE FROM report_hours WHERE (hour_us, camera_id, model, version) IN
				(SELECT hour_us, camera_id, model, version FROM report_hours WHERE hour_us < ?1 ORDER BY hour_us LIMIT ?2)`, limit},
			{micros(old.Results), `DELETE FROM results WHERE id IN (SELECT id FROM results WHERE created_us < ?1 AND finished_us < ?1
				AND state NOT IN ('queued', 'running') ORDER BY created_us LIMIT ?2)`, resultsAtOnce},
			{old.ResultBytes, `DELETE FROM results WHERE id IN (` + resultsTooMany + `)`, resultsAtOnce},
		} {
			if q.limit == 0 || total >= limit {
				continue
			}
			res, err := tx.ExecContext(ctx, q.query, q.limit, min(q.most, limit-total))
			if err != nil {
				return err
			}
			n, err := res.RowsAffected()
			if err != nil {
				return err
			}
			total += int(n)
		}
		return nil
	})
	return total, err
}
