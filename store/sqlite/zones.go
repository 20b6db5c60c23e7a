package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"detectd/store"
)

const selectZoneMaps = `SELECT camera_id, document, revision, updated_us FROM zone_maps`

// zoneDocument is a map as a row keeps it.
type zoneDocument struct {
	Zones []store.Zone `json:"zones,omitempty"`
	Lines []store.Line `json:"lines,omitempty"`
	Masks []store.Mask `json:"masks,omitempty"`
}

func scanZoneMap(r row) (m store.ZoneMap, err error) {
	var text string
	var updated int64
	if err := r.Scan(&m.CameraID, &text, &m.Revision, &updated); err != nil {
		return m, err
	}
	var d zoneDocument
	if err := json.Unmarshal([]byte(text), &d); err != nil {
		return m, fmt.Errorf("decode zones: %w", err)
	}
	m.Zones, m.Lines, m.Masks, m.UpdatedAt = d.Zones, d.Lines, d.Masks, timeOf(updated)
	return m, nil
}

func zonesNamed(cameraID string) string { return fmt.Sprintf("zones of camera %q", cameraID) }

func getZoneMap(ctx context.Context, q querier, cameraID string) (store.ZoneMap, error) {
	return one(ctx, q, scanZoneMap, zonesNamed(cameraID), selectZoneMaps+` WHERE camera_id = ?`, cameraID)
}

// PutZoneMap implements store.Zones.
func (s *Store) PutZoneMap(ctx context.Context, m store.ZoneMap, expect int64) (store.ZoneMap, error) {
	if err := m.Validate(); err != nil {
		return store.ZoneMap{}, err
	}
	document, err := marshal(zoneDocument{m.Zones, m.Lines, m.Masks})
	if err != nil {
		return store.ZoneMap{}, fmt.Errorf("encode %s: %w", zonesNamed(m.CameraID), err)
	}
	err = s.write(ctx, "write "+zonesNamed(m.CameraID), func(tx *sql.Tx) error {
		if _, err := getCamera(ctx, tx, m.CameraID); err != nil {
			return err
		}
		old, err := getZoneMap(ctx, tx, m.CameraID)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
		if err := checkRevision("zones of camera "+m.CameraID, expect, old.Revision); err != nil {
			return err
		}
		m.Revision, m.UpdatedAt = old.Revision+1, s.time()
		_, err = tx.ExecContext(ctx, `INSERT OR REPLACE INTO zone_maps (camera_id, document, revision, updated_us) VALUES (?, ?, ?, ?)`,
			m.CameraID, document, m.Revision, micros(m.UpdatedAt))
		return err
	})
	if err != nil {
		return store.ZoneMap{}, err
	}
	return m, nil
}

// turnZones turns what is watched in a camera's picture along with the picture.
func (s *Store) turnZones(ctx context.Context, tx *sql.Tx, cameraID string, degrees int) error {
	if degrees%360 == 0 {
		return nil
	}
	m, err := getZoneMap(ctx, tx, cameraID)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	m = m.Turned(degrees)
	document, err := marshal(zoneDocument{m.Zones, m.Lines, m.Masks})
	if err != nil {
		return fmt.Errorf("encode %s: %w", zonesNamed(cameraID), err)
	}
	_, err = tx.ExecContext(ctx, `UPDATE zone_maps SET document = ?, revision = revision + 1, updated_us = ? WHERE camera_id = ?`,
		document, micros(s.time()), cameraID)
	return err
}

// ZoneMap implements store.Zones.
func (s *Store) ZoneMap(ctx context.Context, cameraID string) (store.ZoneMap, error) {
	return getZoneMap(ctx, s.r, cameraID)
}

// ListZoneMaps implements store.Zones.
func (s *Store) ListZoneMaps(ctx context.Context) ([]store.ZoneMap, error) {
	return list(ctx, s.r, scanZoneMap, "zones", selectZoneMaps+` ORDER BY camera_id`)
}

// AddZoneCounts implements store.Zones.
func (s *Store) AddZoneCounts(ctx context.Context, counts []store.ZoneCount) error {
	if len(counts) == 0 {
		return nil
	}
	return s.write(ctx, "add zone counts", func(tx *sql.Tx) error {
		add, err := tx.PrepareContext(ctx, `INSERT INTO zone_counts
			(camera_id, start_us, zone_id, label, entered, exited, to_right, to_left, present_us, most, watched_us)
			SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11 WHERE EXISTS (SELECT 1 FROM cameras WHERE id = ?1)
			ON CONFLICT (camera_id, start_us, zone_id, label) DO UPDATE SET
				entered = entered + excluded.entered, exited = exited + excluded.exited,
				to_right = to_right + excluded.to_right, to_left = to_left + excluded.to_left,
				present_us = present_us + excluded.present_us, most = max(most, excluded.most),
				watched_us = watched_us + excluded.watched_us`)
		if err != nil {
			return err
		}
		defer func() { _ = add.Close() }()
		for _, c := range counts {
			_, err := add.ExecContext(ctx, c.CameraID, micros(c.Start.UTC().Truncate(time.Minute)), c.ZoneID, c.Label,
				c.Entered, c.Exited, c.ToRight, c.ToLeft, c.Present.Microseconds(), c.Most, c.Watched.Microseconds())
			if err != nil {
				return err
			}
		}
		return nil
	})
}

const (
	defaultZoneCounts = 1000
	mostZoneCounts    = 10_000
)

// ZoneCounts implements store.Zones.
func (s *Store) ZoneCounts(ctx context.Context, q store.ZoneCountQuery) ([]store.ZoneCount, error) {
	var span time.Duration
	switch q.Period {
	case store.PeriodMinute:
		span = time.Minute
	case store.PeriodHour:
		span = time.Hour
	case store.PeriodDay:
		span = 24 * time.Hour
	default:
		return nil, fmt.Errorf("list zone counts: period %q is none of minute, hour and day", q.Period)
	}
	limit := defaultZoneCounts
	if q.Limit > 0 {
		limit = min(q.Limit, mostZoneCounts)
	}
	var f filter
	f.add("camera_id = ?", q.CameraID)
	f.equal("zone_id", q.ZoneID)
	f.from("start_us", q.From)
	f.before("start_us", q.To)
	args := append([]any{span.Microseconds()}, f.args...)
	return list(ctx, s.r, scanZoneCount, "zone counts", `SELECT camera_id, zone_id, label, start_us - start_us % ?1 AS period_us,
		sum(entered), sum(exited), sum(to_right), sum(to_left), sum(present_us), max(most), sum(watched_us)
		FROM zone_counts`+f.where()+` GROUP BY period_us, zone_id, label ORDER BY period_us, zone_id, label LIMIT ?`, append(args, limit)...)
}

func scanZoneCount(r row) (c store.ZoneCount, err error) {
	var start, present, watched int64
	err = r.Scan(&c.CameraID, &c.ZoneID, &c.Label, &start, &c.Entered, &c.Exited, &c.ToRight, &c.ToLeft, &present, &c.Most, &watched)
	c.Start = timeOf(start)
	c.Present, c.Watched = time.Duration(present)*time.Microsecond, time.Duration(watched)*time.Microsecond
	return c, err
}

// DropZoneCounts implements store.Zones. It goes camera by camera, along the key.
func (s *Store) DropZoneCounts(ctx context.Context, before time.Time) error {
	return s.write(ctx, "drop zone counts", func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `DELETE FROM zone_counts WHERE camera_id IN (SELECT id FROM cameras) AND start_us < ?`, micros(before))
		return err
	})
}
