package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"

	"detectd/store"
)

const runningColumns = `client_id, camera_id, model, version, alias, min_score, min_scores, nms_iou, nms_ious, classes, zones,
	detect_fps, fast_fps, provider, revision`

// runningMarks stand for runningColumns and when, by whom and why they were written.
const runningMarks = `?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?`

const (
	selectRunning   = `SELECT ` + runningColumns + `, 0, updated_us, updated_by, reason FROM running_models`
	selectRevisions = `SELECT ` + runningColumns + `, deleted, updated_us, updated_by, reason FROM running_model_revisions`
)

func scanRunning(r row) (m store.RunningModel, err error) {
	var classes, scores, overlaps, zones string
	var updated int64
	err = r.Scan(&m.ClientID, &m.CameraID, &m.Model, &m.Version, &m.Alias, &m.MinScore, &scores, &m.NMSIoU, &overlaps, &classes, &zones,
		&m.DetectFPS, &m.FastFPS, &m.Provider, &m.Revision, &m.Deleted, &updated, &m.UpdatedBy, &m.Reason)
	if err != nil {
		return m, err
	}
	m.UpdatedAt = timeOf(updated)
	err = errors.Join(unpack(classes, &m.Classes), unpack(scores, &m.MinScores), unpack(overlaps, &m.NMSIoUs), unpack(zones, &m.Zones))
	if err != nil {
		return m, fmt.Errorf("decode running model: %w", err)
	}
	return m, nil
}

// runningValues are the values of runningColumns but the revision.
func runningValues(m store.RunningModel) ([]any, error) {
	var texts [4]string
	for i, v := range []any{append([]string{}, m.Classes...), orEmpty(m.MinScores), orEmpty(m.NMSIoUs), append([]string{}, m.Zones...)} {
		var err error
		if texts[i], err = marshal(v); err != nil {
			return nil, err
		}
	}
	return []any{
		m.ClientID, m.CameraID, m.Model, m.Version, m.Alias, m.MinScore, texts[1], m.NMSIoU, texts[2], texts[0], texts[3],
		m.DetectFPS, m.FastFPS, m.Provider,
	}, nil
}

func orEmpty(m map[string]float64) map[string]float64 {
	if m == nil {
		return map[string]float64{}
	}
	return m
}

func runningNamed(clientID, cameraID string) string {
	if cameraID == "" {
		return fmt.Sprintf("running model of client %q", clientID)
	}
	return fmt.Sprintf("running model of camera %q of client %q", cameraID, clientID)
}

func getRunning(ctx context.Context, q querier, clientID, cameraID string) (store.RunningModel, error) {
	return one(ctx, q, scanRunning, runningNamed(clientID, cameraID),
		selectRunning+` WHERE client_id = ? AND camera_id = ?`, clientID, cameraID)
}

// checkNamed returns ErrNotFound unless what a running model names exists.
func checkNamed(ctx context.Context, tx *sql.Tx, r store.RunningModel) error {
	if r.Alias == "" {
		_, err := getVersion(ctx, tx, r.Model, r.Version)
		return err
	}
	if r.Version != 0 {
		return fmt.Errorf("running model names version %d and alias %q, and can follow only one of them", r.Version, r.Alias)
	}
	_, err := aliasVersion(ctx, tx, r.Model, r.Alias)
	return err
}

// PutRunningModel implements store.RunningModels. The client, the camera and
// the model version or alias named must exist.
func (s *Store) PutRunningModel(ctx context.Context, r store.RunningModel, expect int64) (store.RunningModel, error) {
	what := runningNamed(r.ClientID, r.CameraID)
	err := s.write(ctx, "write "+what, func(tx *sql.Tx) error {
		if err := checkPlace(ctx, tx, r.ClientID, r.CameraID); err != nil {
			return err
		}
		if err := checkNamed(ctx, tx, r); err != nil {
			return err
		}
		old, err := getRunning(ctx, tx, r.ClientID, r.CameraID)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
		now := old.Revision
		if now == 0 && expect > 0 { // based on the removal
			if now, err = lastRevision(ctx, tx, r.ClientID, r.CameraID); err != nil {
				return err
			}
		}
		if err := checkRevision(what, expect, now); err != nil {
			return err
		}
		r.Deleted = false
		return s.putRunning(ctx, tx, &r)
	})
	if err != nil {
		return store.RunningModel{}, err
	}
	return r, nil
}

// RunningModel implements store.RunningModels, from memory.
func (s *Store) RunningModel(ctx context.Context, clientID, cameraID string) (store.RunningModel, error) {
	all, err := s.runningModels(ctx)
	if err != nil {
		return store.RunningModel{}, err
	}
	i := slices.IndexFunc(all, func(r store.RunningModel) bool { return r.ClientID == clientID && r.CameraID == cameraID })
	if i < 0 {
		return store.RunningModel{}, notFound(runningNamed(clientID, cameraID))
	}
	return all[i], nil
}

// ListRunningModels implements store.RunningModels, from memory: by client, its own
// record first.
func (s *Store) ListRunningModels(ctx context.Context) ([]store.RunningModel, error) {
	return s.runningModels(ctx)
}

// RunningModelRevision implements store.RunningModels.
func (s *Store) RunningModelRevision(ctx context.Context, clientID, cameraID string) (int64, error) {
	return lastRevision(ctx, s.r, clientID, cameraID)
}

func lastRevision(ctx context.Context, q querier, clientID, cameraID string) (n int64, err error) {
	err = q.QueryRowContext(ctx, `SELECT coalesce(max(revision), 0) FROM running_model_revisions WHERE client_id = ? AND camera_id = ?`,
		clientID, cameraID).Scan(&n)
	if err != nil {
		return 0, fmt.Errorf("read revision of %s: %w", runningNamed(clientID, cameraID), err)
	}
	return n, nil
}

// DeleteRunningModel implements store.RunningModels.
func (s *Store) DeleteRunningModel(ctx context.Context, clientID, cameraID string, expect int64, a store.Author) (store.RunningModel, error) {
	what := runningNamed(clientID, cameraID)
	var r store.RunningModel
	err := s.write(ctx, "delete "+what, func(tx *sql.Tx) (err error) {
		if r, err = getRunning(ctx, tx, clientID, cameraID); err != nil {
			return err
		}
		if err := checkRevision(what, expect, r.Revision); err != nil {
			return err
		}
		r.Deleted, r.UpdatedBy, r.Reason = true, a.By, a.Why
		return s.putRunning(ctx, tx, &r)
	})
	if err != nil {
		return store.RunningModel{}, err
	}
	return r, nil
}

// RunningModelHistory implements store.RunningModels. It returns the newest
// thousand revisions, also of cameras and clients that are gone.
func (s *Store) RunningModelHistory(ctx context.Context, clientID, cameraID string) ([]store.RunningModel, error) {
	return list(ctx, s.r, scanRunning, "revisions of "+runningNamed(clientID, cameraID),
		selectRevisions+` WHERE client_id = ? AND camera_id = ? ORDER BY revision DESC LIMIT 1000`, clientID, cameraID)
}

// dropRunningModel removes a record, if there is one, and notes that as a revision.
func (s *Store) dropRunningModel(ctx context.Context, tx *sql.Tx, clientID, cameraID, reason string) error {
	r, err := getRunning(ctx, tx, clientID, cameraID)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	r.Deleted, r.Reason, r.UpdatedBy = true, reason, ""
	return s.putRunning(ctx, tx, &r)
}

// putRunning writes the next revision of a record and makes it, or its absence
// when r.Deleted, the current state. It fills in the revision and the time.
func (s *Store) putRunning(ctx context.Context, tx *sql.Tx, r *store.RunningModel) error {
	values, err := runningValues(*r)
	if err != nil {
		return err
	}
	r.UpdatedAt = s.time()
	last, err := lastRevision(ctx, tx, r.ClientID, r.CameraID)
	if err != nil {
		return err
	}
	r.Revision = last + 1
	values = append(values, r.Revision, micros(r.UpdatedAt), r.UpdatedBy, r.Reason)
	_, err = tx.ExecContext(ctx, `INSERT INTO running_model_revisions (`+runningColumns+`, updated_us, updated_by, reason, deleted)
		VALUES (`+runningMarks+`, ?)`, append(slices.Clip(values), r.Deleted)...)
	if err != nil {
		return err
	}
	if r.Deleted {
		_, err = tx.ExecContext(ctx, `DELETE FROM running_models WHERE client_id = ? AND camera_id = ?`, r.ClientID, r.CameraID)
		return err
	}
	_, err = tx.ExecContext(ctx, `INSERT OR REPLACE INTO running_models (`+runningColumns+`, updated_us, updated_by, reason)
		VALUES (`+runningMarks+`)`, values...)
	return err
}

// checkPlace returns ErrNotFound unless the client exists and the camera, if
// one is named, is one of its own.
func checkPlace(ctx context.Context, q querier, clientID, cameraID string) error {
	if _, err := getClient(ctx, q, clientID); err != nil {
		return err
	}
	if cameraID == "" {
		return nil
	}
	c, err := getCamera(ctx, q, cameraID)
	if err != nil {
		return err
	}
	if c.ClientID != clientID {
		return notFound(fmt.Sprintf("camera %q of client %q", cameraID, clientID))
	}
	return nil
}
