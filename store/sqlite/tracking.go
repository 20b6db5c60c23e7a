package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"

	"detectd/store"
)

// textsOf is the tags or parameters of an owner as JSON.
func textsOf(owner, kind string) string {
	return `(SELECT json_group_array(json_object('Key', key, 'Value', value)) FROM mlflow_texts t WHERE t.owner = ` + owner + ` AND t.kind = '` + kind + `')`
}

// textOf is the value of one of them; its key is asked for.
func textOf(owner, kind string) string {
	return `(SELECT value FROM mlflow_texts t WHERE t.owner = ` + owner + ` AND t.kind = '` + kind + `' AND t.key = ?)`
}

// newest orders values of a metric so that the one that counts comes first.
const newest = ` ORDER BY step DESC, time_ms DESC, value DESC`

// experimentOwner is the owner of an experiment's tags.
func experimentOwner(id int64) string { return "experiment:" + strconv.FormatInt(id, 10) }

var selectExperiments = `SELECT id, name, root, deleted, created_us, updated_us, ` + textsOf("'experiment:' || e.id", store.TextTag) + ` FROM mlflow_experiments e`

func scanExperiment(r row) (e store.Experiment, err error) {
	var created, updated int64
	var tags string
	err = r.Scan(&e.ID, &e.Name, &e.Root, &e.Deleted, &created, &updated, &tags)
	e.CreatedAt, e.UpdatedAt = timeOf(created), timeOf(updated)
	if err == nil {
		err = unpack(tags, &e.Tags)
	}
	return e, err
}

// CreateExperiment implements store.Tracking.
func (s *Store) CreateExperiment(ctx context.Context, e store.Experiment) (store.Experiment, error) {
	err := s.write(ctx, "create experiment", func(tx *sql.Tx) error {
		e.CreatedAt, e.UpdatedAt = s.time(), s.time()
		err := tx.QueryRowContext(ctx, `INSERT INTO mlflow_experiments (name, root, deleted, created_us, updated_us) VALUES (?, ?, 0, ?, ?) RETURNING id`,
			e.Name, e.Root, micros(e.CreatedAt), micros(e.UpdatedAt)).Scan(&e.ID)
		if isDuplicate(err) {
			return exists(fmt.Sprintf("experiment %q", e.Name))
		}
		if err != nil {
			return err
		}
		return putTexts(ctx, tx, experimentOwner(e.ID), store.TextTag, e.Tags)
	})
	return e, err
}

// Experiment implements store.Tracking.
func (s *Store) Experiment(ctx context.Context, id int64) (store.Experiment, error) {
	return one(ctx, s.r, scanExperiment, fmt.Sprintf("experiment %d", id), selectExperiments+` WHERE id = ?`, id)
}

// UpdateExperiment implements store.Tracking.
func (s *Store) UpdateExperiment(ctx context.Context, e store.Experiment) error {
	what := fmt.Sprintf("experiment %d", e.ID)
	return s.write(ctx, "update "+what, func(tx *sql.Tx) error {
		done, err := tx.ExecContext(ctx, `UPDATE mlflow_experiments SET name = ?, deleted = ?, updated_us = ? WHERE id = ?`,
			e.Name, e.Deleted, micros(s.time()), e.ID)
		if isDuplicate(err) {
			return exists(fmt.Sprintf("experiment %q", e.Name))
		}
		if err != nil {
			return err
		}
		return requireRow(done, what)
	})
}

// SearchExperiments implements store.Tracking.
func (s *Store) SearchExperiments(ctx context.Context, q store.Search) ([]store.Experiment, error) {
	return search(ctx, s.r, scanExperiment, "experiments", selectExperiments, "id DESC", fields{
		"id": "id", "name": "name", "created": "created_us / 1000", "updated": "updated_us / 1000", "deleted": "deleted",
		"tag": textOf("'experiment:' || e.id", store.TextTag),
	}, filter{}, q)
}

var selectRuns = `SELECT id, experiment_id, name, user, status, start_ms, end_ms, deleted, ` +
	textsOf("r.id", store.TextTag) + `, ` + textsOf("r.id", store.TextParam) + ` FROM mlflow_runs r`

func scanRun(r row) (v store.Run, err error) {
	var tags, params string
	err = r.Scan(&v.ID, &v.ExperimentID, &v.Name, &v.User, &v.Status, &v.Start, &v.End, &v.Deleted, &tags, &params)
	if err == nil {
		err = errors.Join(unpack(tags, &v.Tags), unpack(params, &v.Params))
	}
	return v, err
}

func runNamed(id string) string { return fmt.Sprintf("run %q", id) }

// CreateRun implements store.Tracking.
func (s *Store) CreateRun(ctx context.Context, r store.Run) error {
	return s.write(ctx, "create run", func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO mlflow_runs (id, experiment_id, name, user, status, start_ms, end_ms, deleted) VALUES (?, ?, ?, ?, ?, ?, ?, 0)`,
			r.ID, r.ExperimentID, r.Name, r.User, r.Status, r.Start, r.End)
		if isDangling(err) {
			return notFound(fmt.Sprintf("experiment %d", r.ExperimentID))
		}
		if err != nil {
			return err
		}
		return putTexts(ctx, tx, r.ID, store.TextTag, r.Tags)
	})
}

// Run implements store.Tracking.
func (s *Store) Run(ctx context.Context, id string) (store.Run, error) {
	r, err := one(ctx, s.r, scanRun, runNamed(id), selectRuns+` WHERE id = ?`, id)
	if err != nil {
		return r, err
	}
	all := []store.Run{r}
	err = s.complete(ctx, all)
	return all[0], err
}

// complete adds what scanRun does not read.
func (s *Store) complete(ctx context.Context, runs []store.Run) (err error) {
	for i := range runs {
		r := &runs[i]
		if r.Metrics, err = s.newestMetrics(ctx, "run_id", r.ID); err != nil {
			return err
		}
		r.Inputs, err = list(ctx, s.r, scanInput, "inputs", `SELECT body FROM mlflow_inputs WHERE run_id = ? ORDER BY model_id, name, digest`, r.ID)
		if err != nil {
			return err
		}
		r.Outputs, err = list(ctx, s.r, func(r row) (o store.Output, err error) {
			return o, r.Scan(&o.ModelID, &o.Step)
		}, "outputs", `SELECT model_id, step FROM mlflow_outputs WHERE run_id = ? ORDER BY step, model_id`, r.ID)
		if err != nil {
			return err
		}
	}
	return nil
}

// UpdateRun implements store.Tracking.
func (s *Store) UpdateRun(ctx context.Context, r store.Run) error {
	return s.write(ctx, "update run", func(tx *sql.Tx) error {
		done, err := tx.ExecContext(ctx, `UPDATE mlflow_runs SET name = ?, status = ?, end_ms = ?, deleted = ? WHERE id = ?`,
			r.Name, r.Status, r.End, r.Deleted, r.ID)
		if err != nil {
			return err
		}
		return requireRow(done, runNamed(r.ID))
	})
}

// SearchRuns implements store.Tracking.
func (s *Store) SearchRuns(ctx context.Context, q store.Search) ([]store.Run, error) {
	runs, err := search(ctx, s.r, scanRun, "runs", selectRuns, "start_ms DESC, id", fields{
		"id": "id", "experiment": "CAST(experiment_id AS TEXT)", "name": "name", "user": "user", "status": "status",
		"start": "start_ms", "end": "end_ms", "deleted": "deleted",
		"tag": textOf("r.id", store.TextTag), "param": textOf("r.id", store.TextParam),
		"input":  "EXISTS (SELECT 1 FROM mlflow_inputs i WHERE i.run_id = r.id AND i.name %s)",
		"digest": "EXISTS (SELECT 1 FROM mlflow_inputs i WHERE i.run_id = r.id AND i.digest %s)",
		"metric": `(SELECT value FROM mlflow_metrics m WHERE m.run_id = r.id AND m.key = ?` + newest + ` LIMIT 1)`,
	}, filter{}, q)
	if err != nil {
		return nil, err
	}
	return runs, s.complete(ctx, runs)
}

// LogRun implements store.Tracking.
func (s *Store) LogRun(ctx context.Context, runID string, metrics []store.Metric, params, tags []store.Text) error {
	return s.write(ctx, "log to run", func(tx *sql.Tx) error {
		var there bool
		err := tx.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM mlflow_runs WHERE id = ?)`, runID).Scan(&there)
		if err != nil {
			return err
		}
		if !there {
			return notFound(runNamed(runID))
		}
		for _, p := range params {
			var old string
			err := tx.QueryRowContext(ctx, `INSERT INTO mlflow_texts (owner, kind, key, value) VALUES (?, 'param', ?, ?)
				ON CONFLICT (owner, kind, key) DO UPDATE SET value = value RETURNING value`, runID, p.Key, p.Value).Scan(&old)
			if err != nil {
				return err
			}
			if old != p.Value {
				return exists(fmt.Sprintf("parameter %q of %s with the value %q; it cannot become %q", p.Key, runNamed(runID), old, p.Value))
			}
		}
		for _, m := range metrics {
			var value any = m.Value
			if math.IsNaN(m.Value) {
				value = nil
			}
			_, err := tx.ExecContext(ctx, `INSERT INTO mlflow_metrics (run_id, key, value, time_ms, step, model_id, dataset, digest) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
				runID, m.Key, value, m.Time, m.Step, m.ModelID, m.Dataset, m.Digest)
			if err != nil {
				return err
			}
		}
		return putTexts(ctx, tx, runID, store.TextTag, tags)
	})
}

const selectMetrics = `SELECT key, value, time_ms, step, run_id, model_id, dataset, digest FROM mlflow_metrics`

func scanMetric(r row) (m store.Metric, err error) {
	var value sql.NullFloat64
	err = r.Scan(&m.Key, &value, &m.Time, &m.Step, &m.RunID, &m.ModelID, &m.Dataset, &m.Digest)
	if m.Value = value.Float64; !value.Valid {
		m.Value = math.NaN()
	}
	return m, err
}

// newestMetrics returns the newest value of each metric of a run or logged model.
func (s *Store) newestMetrics(ctx context.Context, column, id string) ([]store.Metric, error) {
	return list(ctx, s.r, scanMetric, "metrics", `SELECT key, value, time_ms, step, run_id, model_id, dataset, digest FROM (
		SELECT *, row_number() OVER (PARTITION BY key, dataset`+newest+`) AS nth FROM mlflow_metrics WHERE `+column+` = ?) WHERE nth = 1 ORDER BY key`, id)
}

// MetricHistory implements store.Tracking. A value that came again, for a logged
// model or in a repeated request, is one.
func (s *Store) MetricHistory(ctx context.Context, runID, key string, limit, offset int) ([]store.Metric, error) {
	return list(ctx, s.r, scanMetric, "metrics", selectMetrics+` WHERE run_id = ? AND key = ?
		GROUP BY time_ms, step, value ORDER BY min(id) LIMIT ? OFFSET ?`, runID, key, limit, offset)
}

func scanInput(r row) (i store.Input, err error) {
	var body string
	if err := r.Scan(&body); err != nil {
		return i, err
	}
	return i, json.Unmarshal([]byte(body), &i)
}

// AddInputs implements store.Tracking.
func (s *Store) AddInputs(ctx context.Context, runID string, inputs []store.Input) error {
	return s.write(ctx, "add inputs of run", func(tx *sql.Tx) error {
		for _, i := range inputs {
			body, err := marshal(i)
			if err != nil {
				return fmt.Errorf("encode input: %w", err)
			}
			_, err = tx.ExecContext(ctx, `INSERT INTO mlflow_inputs (run_id, model_id, name, digest, body) VALUES (?, ?, ?, ?, ?)
				ON CONFLICT (run_id, model_id, name, digest) DO UPDATE SET body = excluded.body`, runID, i.ModelID, i.Name, i.Digest, body)
			if isDangling(err) {
				return notFound(runNamed(runID))
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// AddOutputs implements store.Tracking.
func (s *Store) AddOutputs(ctx context.Context, runID string, outputs []store.Output) error {
	return s.write(ctx, "add outputs of run", func(tx *sql.Tx) error {
		for _, o := range outputs {
			_, err := tx.ExecContext(ctx, `INSERT INTO mlflow_outputs (run_id, model_id, step) VALUES (?, ?, ?)
				ON CONFLICT (run_id, model_id) DO UPDATE SET step = excluded.step`, runID, o.ModelID, o.Step)
			if isDangling(err) {
				return notFound(runNamed(runID))
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// PutTexts implements store.Tracking.
func (s *Store) PutTexts(ctx context.Context, owner, kind string, texts []store.Text) error {
	return s.write(ctx, "write "+kind+"s", func(tx *sql.Tx) error { return putTexts(ctx, tx, owner, kind, texts) })
}

func putTexts(ctx context.Context, tx *sql.Tx, owner, kind string, texts []store.Text) error {
	for _, t := range texts {
		_, err := tx.ExecContext(ctx, `INSERT INTO mlflow_texts (owner, kind, key, value) VALUES (?, ?, ?, ?)
			ON CONFLICT (owner, kind, key) DO UPDATE SET value = excluded.value`, owner, kind, t.Key, t.Value)
		if err != nil {
			return err
		}
	}
	return nil
}

// DeleteText implements store.Tracking.
func (s *Store) DeleteText(ctx context.Context, owner, kind, key string) error {
	return s.write(ctx, "delete "+kind, func(tx *sql.Tx) error {
		done, err := tx.ExecContext(ctx, `DELETE FROM mlflow_texts WHERE owner = ? AND kind = ? AND key = ?`, owner, kind, key)
		if err != nil {
			return err
		}
		return requireRow(done, fmt.Sprintf("%s %q", kind, key))
	})
}
