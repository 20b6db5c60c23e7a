package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"detectd/store"
)

var selectLogged = `SELECT id, experiment_id, name, type, run_id, status, message, created_us, updated_us, ` +
	textsOf("l.id", store.TextTag) + `, ` + textsOf("l.id", store.TextParam) + ` FROM mlflow_models l`

func scanLogged(r row) (m store.LoggedModel, err error) {
	var created, updated int64
	var tags, params string
	err = r.Scan(&m.ID, &m.ExperimentID, &m.Name, &m.Type, &m.RunID, &m.Status, &m.Message, &created, &updated, &tags, &params)
	m.CreatedAt, m.UpdatedAt = timeOf(created), timeOf(updated)
	if err == nil {
		err = errors.Join(unpack(tags, &m.Tags), unpack(params, &m.Params))
	}
	return m, err
}

func loggedNamed(id string) string { return fmt.Sprintf("logged model %q", id) }

// CreateLoggedModel implements store.Tracking.
func (s *Store) CreateLoggedModel(ctx context.Context, m store.LoggedModel) (store.LoggedModel, error) {
	err := s.write(ctx, "create logged model", func(tx *sql.Tx) error {
		m.CreatedAt = s.time()
		m.UpdatedAt = m.CreatedAt
		_, err := tx.ExecContext(ctx, `INSERT INTO mlflow_models (id, experiment_id, name, type, run_id, status, message, created_us, updated_us) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
			m.ID, m.ExperimentID, m.Name, m.Type, m.RunID, m.Status, m.Message, micros(m.CreatedAt), micros(m.UpdatedAt))
		if isDangling(err) {
			return notFound(fmt.Sprintf("experiment %d", m.ExperimentID))
		}
		if err == nil {
			err = putTexts(ctx, tx, m.ID, store.TextTag, m.Tags)
		}
		if err == nil {
			err = putTexts(ctx, tx, m.ID, store.TextParam, m.Params)
		}
		return err
	})
	return m, err
}

// LoggedModel implements store.Tracking.
func (s *Store) LoggedModel(ctx context.Context, id string) (store.LoggedModel, error) {
	m, err := one(ctx, s.r, scanLogged, loggedNamed(id), selectLogged+` WHERE id = ?`, id)
	if err == nil {
		m.Metrics, err = s.newestMetrics(ctx, "model_id", id)
	}
	return m, err
}

// FinishLoggedModel implements store.Tracking.
func (s *Store) FinishLoggedModel(ctx context.Context, id, status, message string) error {
	return s.write(ctx, "finish logged model", func(tx *sql.Tx) error {
		done, err := tx.ExecContext(ctx, `UPDATE mlflow_models SET status = ?, message = ?, updated_us = ? WHERE id = ?`,
			status, message, micros(s.time()), id)
		if err != nil {
			return err
		}
		return requireRow(done, loggedNamed(id))
	})
}

// DeleteLoggedModel implements store.Tracking.
func (s *Store) DeleteLoggedModel(ctx context.Context, id, folder string) error {
	return s.write(ctx, "delete logged model", func(tx *sql.Tx) error {
		done, err := tx.ExecContext(ctx, `DELETE FROM mlflow_models WHERE id = ?`, id)
		if err == nil {
			err = requireRow(done, loggedNamed(id))
		}
		if err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `DELETE FROM mlflow_texts WHERE owner = ?`, id); err != nil {
			return err
		}
		_, err = deleteArtifacts(ctx, tx, folder)
		return err
	})
}

// SearchLoggedModels implements store.Tracking.
func (s *Store) SearchLoggedModels(ctx context.Context, q store.Search) ([]store.LoggedModel, error) {
	all, err := search(ctx, s.r, scanLogged, "logged models", selectLogged, "created_us DESC, id", fields{
		"id": "id", "experiment": "CAST(experiment_id AS TEXT)", "name": "name", "type": "type", "run": "run_id", "status": "status",
		"created": "created_us / 1000", "updated": "updated_us / 1000",
		"tag": textOf("l.id", store.TextTag), "param": textOf("l.id", store.TextParam),
		"metric": `(SELECT value FROM mlflow_metrics m WHERE m.model_id = l.id AND m.key = ?` + newest + ` LIMIT 1)`,
	}, filter{}, q)
	for i := range all {
		if err == nil {
			all[i].Metrics, err = s.newestMetrics(ctx, "model_id", all[i].ID)
		}
	}
	return all, err
}

const selectArtifacts = `SELECT path, sha256, size FROM mlflow_artifacts`

func scanArtifact(r row) (a store.Artifact, err error) {
	return a, r.Scan(&a.Path, &a.SHA256, &a.Size)
}

// PutArtifact implements store.Tracking.
func (s *Store) PutArtifact(ctx context.Context, a store.Artifact) error {
	return s.write(ctx, "write artifact", func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO mlflow_artifacts (path, sha256, size, created_us) VALUES (?, ?, ?, ?)
			ON CONFLICT (path) DO UPDATE SET sha256 = excluded.sha256, size = excluded.size, created_us = excluded.created_us`,
			a.Path, a.SHA256, a.Size, micros(s.time()))
		return err
	})
}

// Artifact implements store.Tracking.
func (s *Store) Artifact(ctx context.Context, path string) (store.Artifact, error) {
	return one(ctx, s.r, scanArtifact, fmt.Sprintf("artifact %q", path), selectArtifacts+` WHERE path = ?`, path)
}

// below is the condition for what lies in a folder: '0' is the character after '/'.
const below = `path > ?1 || '/' AND path < ?1 || '0'`

// ListArtifacts implements store.Tracking.
func (s *Store) ListArtifacts(ctx context.Context, folder string) ([]store.Artifact, error) {
	return list(ctx, s.r, scanArtifact, "artifacts", selectArtifacts+` WHERE ?1 = '' OR `+below+` ORDER BY path`, folder)
}

// DeleteArtifacts implements store.Tracking.
func (s *Store) DeleteArtifacts(ctx context.Context, path string) (n int, err error) {
	err = s.write(ctx, "delete artifacts", func(tx *sql.Tx) error {
		n, err = deleteArtifacts(ctx, tx, path)
		return err
	})
	return n, err
}

func deleteArtifacts(ctx context.Context, tx *sql.Tx, path string) (int, error) {
	done, err := tx.ExecContext(ctx, `DELETE FROM mlflow_artifacts WHERE path = ?1 OR `+below, path)
	if err != nil {
		return 0, err
	}
	n, err := done.RowsAffected()
	return int(n), err
}
