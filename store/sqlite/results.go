package sqlite

import (
	"context"
	"database/sql"
	"fmt"

	"detectd/store"
)

const (
	resultStart   = `id, kind, camera_id, name, from_us, to_us, state, progress, error, mime, sha256, bytes, input, `
	resultEnd     = `, model, version, min_score, created_us, finished_us`
	resultColumns = resultStart + `detections` + resultEnd

	selectResults = `SELECT ` + resultColumns + ` FROM results`
	// listResults leaves the detections out: those of a long video are megabytes.
	listResults = `SELECT ` + resultStart + `''` + resultEnd + ` FROM results`
)

func scanResult(r row) (v store.Result, err error) {
	var from, to, created, finished int64
	var detections string
	err = r.Scan(&v.ID, &v.Kind, &v.CameraID, &v.Name, &from, &to, &v.State, &v.Progress, &v.Error, &v.MIME, &v.SHA256, &v.Bytes,
		&v.Input, &detections, &v.Model, &v.Version, &v.MinScore, &created, &finished)
	v.From, v.To, v.CreatedAt, v.FinishedAt = timeOf(from), timeOf(to), timeOf(created), timeOf(finished)
	v.Detections = raw(detections)
	return v, err
}

func resultPages() paged[store.Result, string] {
	return paged[store.Result, string]{
		what: "results", query: listResults, timeIn: "created_us", idIn: "id", scan: scanResult,
		at: func(v store.Result) position[string] { return position[string]{micros(v.CreatedAt), v.ID} },
	}
}

func resultNamed(id string) string { return fmt.Sprintf("result %q", id) }

// PutResult implements store.Results. The creation time is set once: a zero one
// takes the present, and replacing a result keeps the one it has.
func (s *Store) PutResult(ctx context.Context, v store.Result) error {
	if v.CreatedAt.IsZero() {
		v.CreatedAt = s.time()
	}
	return s.write(ctx, "write "+resultNamed(v.ID), func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT OR REPLACE INTO results (`+resultColumns+`)
			VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17,
				coalesce((SELECT created_us FROM results WHERE id = ?1), ?18), ?19)`,
			v.ID, v.Kind, v.CameraID, v.Name, micros(v.From), micros(v.To), v.State, v.Progress, v.Error, v.MIME, v.SHA256, v.Bytes,
			v.Input, string(v.Detections), v.Model, v.Version, v.MinScore, micros(v.CreatedAt), micros(v.FinishedAt))
		return err
	})
}

// Result implements store.Results.
func (s *Store) Result(ctx context.Context, id string) (store.Result, error) {
	return one(ctx, s.r, scanResult, resultNamed(id), selectResults+` WHERE id = ?`, id)
}

// ListResults implements store.Results; cameraID "" lists all.
func (s *Store) ListResults(ctx context.Context, cameraID string, p store.Page) ([]store.Result, string, error) {
	var f filter
	f.equal("camera_id", cameraID)
	return resultPages().read(ctx, s.r, f, p)
}

// DeleteResult implements store.Results.
func (s *Store) DeleteResult(ctx context.Context, id string) error {
	return s.write(ctx, "delete "+resultNamed(id), func(tx *sql.Tx) error {
		done, err := tx.ExecContext(ctx, `DELETE FROM results WHERE id = ?`, id)
		if err != nil {
			return err
		}
		return requireRow(done, resultNamed(id))
	})
}

// UnfinishedResults implements store.Results, for at most a thousand.
func (s *Store) UnfinishedResults(ctx context.Context) ([]store.Result, error) {
	return list(ctx, s.r, scanResult, "unfinished results",
		selectResults+` WHERE state IN ('queued', 'running') ORDER BY created_us, id LIMIT 1000`)
}
