package sqlite

import (
	"context"
	"database/sql"
	"time"

	"detectd/store"
)

const selectCameras = `SELECT id, client_id, name, url, username, password, transport, enabled, record,
	detect_fps, no_audio, loop, demo, record_before_us, record_after_us, keep_us, keep_events_us, keep_bytes, weight, idle, rotation, revision, created_us, updated_us FROM cameras`

func scanCamera(r row) (c store.Camera, err error) {
	var created, updated, before, after, keep, keepEvents int64
	err = r.Scan(&c.ID, &c.ClientID, &c.Name, &c.URL, &c.Username, (*string)(&c.Password), &c.Transport, &c.Enabled, &c.Record,
		&c.DetectFPS, &c.NoAudio, &c.Loop, &c.Demo, &before, &after, &keep, &keepEvents, &c.KeepBytes, &c.Weight, &c.Idle, &c.Rotation, &c.Revision, &created, &updated)
	c.RecordBefore, c.RecordAfter, c.Keep, c.KeepEvents = micro(before), micro(after), micro(keep), micro(keepEvents)
	c.CreatedAt, c.UpdatedAt = timeOf(created), timeOf(updated)
	return c, err
}

func getCamera(ctx context.Context, q querier, id string) (store.Camera, error) {
	return one(ctx, q, scanCamera, cameraNamed(id), selectCameras+` WHERE id = ?`, id)
}

// CreateCamera implements store.Cameras.
func (s *Store) CreateCamera(ctx context.Context, c store.Camera) (store.Camera, error) {
	c.Revision, c.CreatedAt = 1, s.time()
	c.UpdatedAt = c.CreatedAt
	err := s.write(ctx, "create "+cameraNamed(c.ID), func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO cameras (id, client_id, name, url, username, password, transport, enabled, record,
			detect_fps, no_audio, loop, demo, record_before_us, record_after_us, keep_us, keep_events_us, keep_bytes, weight, idle, rotation, revision, created_us, updated_us)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
			c.ID, c.ClientID, c.Name, c.URL, c.Username, string(c.Password), c.Transport, c.Enabled, c.Record,
			c.DetectFPS, c.NoAudio, c.Loop, c.Demo, c.RecordBefore.Microseconds(), c.RecordAfter.Microseconds(), c.Keep.Microseconds(),
			c.KeepEvents.Microseconds(), c.KeepBytes, c.Weight, c.Idle, c.Rotation, c.Revision, micros(c.CreatedAt), micros(c.UpdatedAt))
		switch {
		case isDuplicate(err):
			return exists(cameraNamed(c.ID))
		case isDangling(err):
			return notFound(clientNamed(c.ClientID))
		}
		return err
	})
	if err != nil {
		return store.Camera{}, err
	}
	return c, nil
}

// Camera implements store.Cameras.
func (s *Store) Camera(ctx context.Context, id string) (store.Camera, error) {
	return getCamera(ctx, s.r, id)
}

// ListCameras implements store.Cameras.
func (s *Store) ListCameras(ctx context.Context, clientID string) ([]store.Camera, error) {
	var f filter
	f.equal("client_id", clientID)
	return list(ctx, s.r, scanCamera, "cameras", selectCameras+f.where()+` ORDER BY id`, f.args...)
}

// UpdateCamera implements store.Cameras. What is watched in a picture that is turned
// otherwise is turned along. A camera that moves to another client
// leaves its running-model record behind, which would mean nothing there.
func (s *Store) UpdateCamera(ctx context.Context, c store.Camera, expect int64) (store.Camera, error) {
	err := s.write(ctx, "update "+cameraNamed(c.ID), func(tx *sql.Tx) error {
		old, err := getCamera(ctx, tx, c.ID)
		if err != nil {
			return err
		}
		if err := checkRevision("camera "+c.ID, expect, old.Revision); err != nil {
			return err
		}
		c.Revision, c.CreatedAt, c.UpdatedAt = old.Revision+1, old.CreatedAt, s.time()
		_, err = tx.ExecContext(ctx, `UPDATE cameras SET client_id = ?, name = ?, url = ?, username = ?, password = ?, transport = ?,
			enabled = ?, record = ?, detect_fps = ?, no_audio = ?, loop = ?, demo = ?,
			record_before_us = ?, record_after_us = ?, keep_us = ?, keep_events_us = ?, keep_bytes = ?, weight = ?, idle = ?, rotation = ?, revision = ?, updated_us = ? WHERE id = ?`,
			c.ClientID, c.Name, c.URL, c.Username, string(c.Password), c.Transport,
			c.Enabled, c.Record, c.DetectFPS, c.NoAudio, c.Loop, c.Demo,
			c.RecordBefore.Microseconds(), c.RecordAfter.Microseconds(), c.Keep.Microseconds(), c.KeepEvents.Microseconds(), c.KeepBytes, c.Weight, c.Idle, c.Rotation,
			c.Revision, micros(c.UpdatedAt), c.ID)
		switch {
		case isDangling(err):
			return notFound(clientNamed(c.ClientID))
		case err != nil:
			return err
		}
		if err := s.turnZones(ctx, tx, c.ID, c.Rotation-old.Rotation); err != nil {
			return err
		}
		if c.ClientID != old.ClientID {
			return s.dropRunningModel(ctx, tx, old.ClientID, c.ID, "camera moved to client "+c.ClientID)
		}
		return nil
	})
	if err != nil {
		return store.Camera{}, err
	}
	return c, nil
}

// DeleteCamera implements store.Cameras.
func (s *Store) DeleteCamera(ctx context.Context, id string, expect int64) error {
	return s.write(ctx, "delete "+cameraNamed(id), func(tx *sql.Tx) error {
		old, err := getCamera(ctx, tx, id)
		if err != nil {
			return err
		}
		if err := checkRevision("camera "+id, expect, old.Revision); err != nil {
			return err
		}
		if err := s.dropRunningModel(ctx, tx, old.ClientID, id, "camera deleted"); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `INSERT OR IGNORE INTO garbage (path, added_us)
			SELECT path, ? FROM segments WHERE camera_id = ?`, micros(s.time()), id); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `DELETE FROM segments WHERE camera_id = ?`, id); err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `DELETE FROM cameras WHERE id = ?`, id) // its tracks go along
		return err
	})
}

func micro(us int64) time.Duration { return time.Duration(us) * time.Microsecond }
