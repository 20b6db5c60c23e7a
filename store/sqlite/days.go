package sqlite

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"detectd/store"
)

// days merges hours, read newest first, into days until it has enough of them.
func (s *Store) days(ctx context.Context, q store.ReportQuery, limit int) ([]store.Report, error) {
	loc := q.Location
	if loc == nil {
		loc = time.UTC
	}
	if !q.From.IsZero() {
		q.From = midnight(q.From, loc, 0)
	}
	if !q.To.IsZero() { // the day To lies in is wanted unless it only starts there
		q.To = midnight(q.To.Add(-time.Microsecond), loc, 1)
	}
	query, args := reportFilter(q).query()
	rows, err := s.r.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, fmt.Errorf("list reports: %w", err)
	}
	defer func() { _ = rows.Close() }()

	all, day := []store.Report{}, []*tally{} // days that are complete, tallies of the one being read
	finish := func() {
		slices.SortFunc(day, compareTallies)
		for _, t := range day {
			all = append(all, t.report("day"))
		}
		day = nil
	}
	for rows.Next() {
		hour, err := scanHour(rows)
		if err != nil {
			return nil, fmt.Errorf("list reports: %w", err)
		}
		hour.start = midnight(hour.start, loc, 0)
		if len(day) > 0 && !day[0].start.Equal(hour.start) {
			if finish(); len(all) >= limit {
				return all[:limit], nil
			}
		}
		day = addTo(day, hour)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("list reports: %w", err)
	}
	finish()
	return all[:min(limit, len(all))], nil
}

func addTo(day []*tally, hour *tally) []*tally {
	for _, t := range day {
		if compareTallies(t, hour) == 0 {
			t.add(hour)
			return day
		}
	}
	return append(day, hour)
}

func compareTallies(a, b *tally) int {
	return cmp.Or(cmp.Compare(a.camera, b.camera), cmp.Compare(a.model, b.model), cmp.Compare(a.version, b.version))
}

// midnight is the start of the day of t, or of one that many days later.
func midnight(t time.Time, loc *time.Location, later int) time.Time {
	y, m, d := t.In(loc).Date()
	return time.Date(y, m, d+later, 0, 0, 0, 0, loc)
}
