package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"detectd/store"
)

const selectGaps = `SELECT id, camera_id, from_us, to_us, reason, detail FROM gaps`

func scanGap(r row) (g store.Gap, err error) {
	var from, to int64
	err = r.Scan(&g.ID, &g.CameraID, &from, &to, (*string)(&g.Reason), &g.Detail)
	g.From, g.To = timeOf(from), timeOf(to)
	return g, err
}

func gapPages() paged[store.Gap, int64] {
	return paged[store.Gap, int64]{
		what: "gaps", query: selectGaps, timeIn: "to_us", idIn: "id", ascending: true, scan: scanGap,
		at: func(g store.Gap) position[int64] { return position[int64]{micros(g.To), g.ID} },
	}
}

func scanLedger(r row) (l store.Ledger, err error) {
	var from, until int64
	err = r.Scan(&l.CameraID, &from, &until)
	l.From, l.Until = timeOf(from), timeOf(until)
	return l, err
}

const selectLedgers = `SELECT camera_id, from_us, until_us FROM ledgers`

func getLedger(ctx context.Context, q querier, cameraID string) (store.Ledger, error) {
	return one(ctx, q, scanLedger, fmt.Sprintf("ledger of camera %q", cameraID), selectLedgers+` WHERE camera_id = ?`, cameraID)
}

// OpenLedger implements store.Gaps.
func (s *Store) OpenLedger(ctx context.Context, cameraID string, at time.Time) (l store.Ledger, err error) {
	err = s.write(ctx, "open ledger of "+cameraNamed(cameraID), func(tx *sql.Tx) error {
		l, err = getLedger(ctx, tx, cameraID)
		if !errors.Is(err, store.ErrNotFound) {
			return err
		}
		l = store.Ledger{CameraID: cameraID, From: stored(at), Until: stored(at)}
		_, err := tx.ExecContext(ctx, `INSERT INTO ledgers (camera_id, from_us, until_us) VALUES (?, ?, ?)`, cameraID, micros(at), micros(at))
		if isDangling(err) {
			return notFound(cameraNamed(cameraID))
		}
		return err
	})
	return l, err
}

// AccountGaps implements store.Gaps.
func (s *Store) AccountGaps(ctx context.Context, accounts []store.Account) (ledgers []store.Ledger, gaps []store.Gap, err error) {
	if len(accounts) == 0 {
		return nil, nil, nil
	}
	err = s.write(ctx, "account for gaps", func(tx *sql.Tx) error {
		ledgers, gaps = nil, nil
		for _, a := range accounts {
			l, found, err := account(ctx, tx, a)
			if errors.Is(err, store.ErrNotFound) {
				continue // deleted meanwhile
			}
			if err != nil {
				return err
			}
			ledgers, gaps = append(ledgers, l), append(gaps, found...)
		}
		return nil
	})
	return ledgers, gaps, err
}

func account(ctx context.Context, tx *sql.Tx, a store.Account) (store.Ledger, []store.Gap, error) {
	l, err := getLedger(ctx, tx, a.CameraID)
	if err != nil || !a.To.After(l.Until) {
		return l, nil, err
	}
	span := store.Range{From: l.Until, To: stored(a.To)}
	holes, err := holesIn(ctx, tx, a.CameraID, span, 0)
	if err != nil {
		return l, nil, err
	}
	var found []store.Gap
	until := span.To
	for _, h := range holes {
		if h.To.Sub(h.From) <= store.GapSlack {
			if !h.To.Before(span.To) {
				until = h.From // it may become a longer one
			}
			continue
		}
		gaps, to := a.Explain(h)
		for _, g := range gaps {
			if g, err = addGap(ctx, tx, g); err != nil {
				return l, nil, err
			}
			found = append(found, g)
		}
		if to.Before(h.To) {
			until = to
		}
	}
	l.Until = stored(until)
	_, err = tx.ExecContext(ctx, `UPDATE ledgers SET until_us = ? WHERE camera_id = ?`, micros(l.Until), a.CameraID)
	return l, found, err
}

// holesIn are the parts of a span longer than slack that lie in no segment and no gap.
func holesIn(ctx context.Context, q querier, cameraID string, span store.Range, slack time.Duration) ([]store.Range, error) {
	from, to := micros(span.From), micros(span.To)
	pieces, err := list(ctx, q, scanRange, "recorded time", `
		SELECT start_us, end_us FROM segments WHERE camera_id = ?1 AND start_us < ?3 AND start_us >= ?4 AND end_us > ?2
		UNION ALL
		SELECT from_us, to_us FROM gaps WHERE camera_id = ?1 AND to_us > ?2 AND from_us < ?3`,
		cameraID, from, to, from-store.MaxSegment.Microseconds())
	if err != nil {
		return nil, err
	}
	return store.Holes(span, pieces, slack), nil
}

func scanRange(r row) (store.Range, error) {
	var from, to int64
	err := r.Scan(&from, &to)
	return store.Range{From: timeOf(from), To: timeOf(to)}, err
}

// addGap enters a gap, or makes the one before it longer when it has the same reason.
func addGap(ctx context.Context, tx *sql.Tx, g store.Gap) (store.Gap, error) {
	g.From, g.To = stored(g.From), stored(g.To)
	before, err := scanGap(tx.QueryRowContext(ctx, selectGaps+` WHERE camera_id = ?1 AND to_us BETWEEN ?2 AND ?3 AND from_us < ?3
		ORDER BY to_us DESC LIMIT 1`, g.CameraID, micros(g.From)-store.GapSlack.Microseconds(), micros(g.From)))
	switch {
	case err == nil && before.Reason == g.Reason && before.Detail == g.Detail:
		g.ID, g.From = before.ID, before.From
		_, err = tx.ExecContext(ctx, `UPDATE gaps SET to_us = ? WHERE id = ?`, micros(g.To), g.ID)
		return g, err
	case err != nil && !errors.Is(err, sql.ErrNoRows):
		return g, err
	}
	err = tx.QueryRowContext(ctx, `INSERT INTO gaps (camera_id, from_us, to_us, reason, detail) VALUES (?, ?, ?, ?, ?) RETURNING id`,
		g.CameraID, micros(g.From), micros(g.To), string(g.Reason), g.Detail).Scan(&g.ID)
	return g, err
}

// cutGaps takes the time of a recording out of the gaps, as when a file of an
// earlier run is found again.
func cutGaps(ctx context.Context, tx *sql.Tx, cameraID string, span store.Range) error {
	from, to := micros(span.From), micros(span.To)
	hit, err := list(ctx, tx, scanGap, "gaps", selectGaps+` WHERE camera_id = ? AND to_us > ? AND from_us < ?`, cameraID, from, to)
	if err != nil {
		return err
	}
	for _, g := range hit {
		if _, err := tx.ExecContext(ctx, `DELETE FROM gaps WHERE id = ?`, g.ID); err != nil {
			return err
		}
		for _, rest := range []store.Range{{From: g.From, To: span.From}, {From: span.To, To: g.To}} {
			if rest.To.Sub(rest.From) <= store.GapSlack {
				continue // what is too short to be a gap
			}
			if _, err := tx.ExecContext(ctx, `INSERT INTO gaps (camera_id, from_us, to_us, reason, detail) VALUES (?, ?, ?, ?, ?)`,
				cameraID, micros(rest.From), micros(rest.To), string(g.Reason), g.Detail); err != nil {
				return err
			}
		}
	}
	return nil
}

// Ledger implements store.Gaps.
func (s *Store) Ledger(ctx context.Context, cameraID string) (store.Ledger, error) {
	return getLedger(ctx, s.r, cameraID)
}

// ListGaps implements store.Gaps.
func (s *Store) ListGaps(ctx context.Context, cameraID string, r store.Range, p store.Page) ([]store.Gap, string, error) {
	var f filter
	f.equal("camera_id", cameraID)
	if !r.From.IsZero() {
		f.add("to_us > ?", micros(r.From))
	}
	f.before("from_us", r.To)
	return gapPages().read(ctx, s.r, f, p)
}

// Coverage implements store.Gaps.
func (s *Store) Coverage(ctx context.Context, cameraID string, r store.Range) (store.Coverage, error) {
	c := store.Coverage{From: r.From, To: r.From, Reasons: map[store.GapReason]time.Duration{}}
	l, err := getLedger(ctx, s.r, cameraID)
	if errors.Is(err, store.ErrNotFound) {
		return c, nil // nothing is accounted for yet
	}
	if err != nil {
		return c, err
	}
	if r.From.IsZero() || r.From.Before(l.From) {
		r.From = l.From
	}
	if r.To.IsZero() || r.To.After(l.Until) {
		r.To = l.Until
	}
	c.From, c.To = r.From, r.From
	if !r.To.After(r.From) {
		return c, nil
	}
	c.To = r.To
	c.Covered = c.To.Sub(c.From)
	from, to := micros(r.From), micros(r.To)
	rows, err := s.r.QueryContext(ctx, `SELECT reason, sum(min(to_us, ?3) - max(from_us, ?2)) FROM gaps
		WHERE camera_id = ?1 AND to_us > ?2 AND from_us < ?3 GROUP BY reason`, cameraID, from, to)
	if err != nil {
		return c, fmt.Errorf("add up gaps: %w", err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var reason store.GapReason
		var us int64
		if err := rows.Scan((*string)(&reason), &us); err != nil {
			return c, fmt.Errorf("add up gaps: %w", err)
		}
		d := time.Duration(us) * time.Microsecond
		c.Reasons[reason] += d
		c.Covered -= d
		if reason.Wanted() {
			c.Missing += d
		} else {
			c.Unwanted += d
		}
	}
	if err := rows.Err(); err != nil {
		return c, fmt.Errorf("add up gaps: %w", err)
	}
	return c, nil
}
