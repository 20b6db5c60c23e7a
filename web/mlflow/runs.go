package mlflow

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"slices"
	"strconv"
	"time"

	"github.com/go-chi/chi/v5"

	"detectd/store"
)

func (s *server) routeRuns(r chi.Router) {
	r.Post("/runs/create", s.handle(s.createRun))
	r.Get("/runs/get", s.handle(s.getRun))
	r.Post("/runs/update", s.handle(s.updateRun))
	r.Post("/runs/delete", s.handle(s.deleteRun(true)))
	r.Post("/runs/restore", s.handle(s.deleteRun(false)))
	r.Post("/runs/search", s.handle(s.searchRuns))
	r.Post("/runs/log-metric", s.handle(s.logMetric))
	r.Post("/runs/log-parameter", s.handle(s.logParameter))
	r.Post("/runs/log-batch", s.handle(s.logBatch))
	r.Post("/runs/set-tag", s.handle(s.setRunTag))
	r.Post("/runs/delete-tag", s.handle(s.deleteRunTag))
	r.Post("/runs/log-inputs", s.handle(s.logInputs))
	r.Post("/runs/outputs", s.handle(s.runOutputs))
	r.Get("/metrics/get-history", s.handle(s.metricHistory))
	r.Get("/artifacts/list", s.handle(s.listRunArtifacts))
}

// newID is 32 hexadecimal digits, as MLflow names runs and logged models.
func newID() string {
	b := make([]byte, 16)
	_, _ = rand.Read(b) // never fails
	return hex.EncodeToString(b)
}

// runName is the tag that repeats a run's name.
const runName = "mlflow.runName"

// runFolder is where a run's files are.
func (s *server) runFolder(ctx context.Context, r store.Run) (string, error) {
	e, err := s.Records.Experiment(ctx, r.ExperimentID)
	return rootOf(e) + "/" + r.ID + "/artifacts", err
}

func (s *server) runJSON(ctx context.Context, r store.Run) (answer, error) {
	folder, err := s.runFolder(ctx, r)
	return runJSON(r, folder), err
}

func runJSON(r store.Run, folder string) answer {
	info := answer{
		"run_id": r.ID, "run_uuid": r.ID, "experiment_id": strconv.FormatInt(r.ExperimentID, 10), "run_name": r.Name, "user_id": r.User,
		"status": r.Status, "start_time": r.Start, "artifact_uri": scheme + folder, "lifecycle_stage": stageOf(r.Deleted),
	}
	if r.End > 0 {
		info["end_time"] = r.End
	}
	outputs := make([]answer, len(r.Outputs))
	for i, o := range r.Outputs {
		outputs[i] = answer{"model_id": o.ModelID, "step": o.Step}
	}
	return answer{
		"info":    info,
		"data":    answer{"metrics": metricsJSON(r.Metrics), "params": textsJSON(r.Params), "tags": textsJSON(r.Tags)},
		"inputs":  inputsJSON(r.Inputs),
		"outputs": answer{"model_outputs": outputs},
	}
}

func (s *server) createRun(ctx context.Context, in params) (answer, error) {
	if in.str("experiment_id") == "" {
		in["experiment_id"] = "0"
	}
	e, err := s.experiment(ctx, in)
	if err != nil {
		return nil, err
	}
	if e.Deleted {
		return nil, invalid("experiment %d is deleted; restore it first", e.ID)
	}
	r := store.Run{ID: newID(), ExperimentID: e.ID, User: in.str("user_id"), Status: "RUNNING", Name: in.str("run_name")}
	if r.Start, err = in.num("start_time"); err != nil {
		return nil, err
	}
	if r.Start == 0 {
		r.Start = time.Now().UnixMilli()
	}
	if r.Tags, err = in.texts("tags"); err != nil {
		return nil, err
	}
	for _, t := range r.Tags {
		if t.Key == runName && r.Name == "" {
			r.Name = t.Value
		}
	}
	if r.Name == "" {
		r.Name = "run-" + r.ID[:8]
	}
	r.Tags = slices.DeleteFunc(r.Tags, func(t store.Text) bool { return t.Key == runName })
	r.Tags = append(r.Tags, store.Text{Key: runName, Value: r.Name})
	if err := s.Records.CreateRun(ctx, r); err != nil {
		return nil, err
	}
	out, err := s.runJSON(ctx, r)
	return answer{"run": out}, err
}

// run finds the one that a request names.
func (s *server) run(ctx context.Context, in params) (store.Run, error) {
	id := in.str("run_id")
	if id == "" {
		id = in.str("run_uuid")
	}
	if id == "" {
		return store.Run{}, invalid("missing value for required parameter 'run_id'")
	}
	return s.Records.Run(ctx, id)
}

func (s *server) getRun(ctx context.Context, in params) (answer, error) {
	r, err := s.run(ctx, in)
	if err != nil {
		return nil, err
	}
	out, err := s.runJSON(ctx, r)
	return answer{"run": out}, err
}

func (s *server) updateRun(ctx context.Context, in params) (answer, error) {
	r, err := s.run(ctx, in)
	if err != nil {
		return nil, err
	}
	if status := in.str("status"); status != "" {
		statuses := []string{"RUNNING", "SCHEDULED", "FINISHED", "FAILED", "KILLED"} // RunStatus counts from 1
		if n, err := strconv.Atoi(status); err == nil && n >= 1 && n <= len(statuses) {
			status = statuses[n-1]
		}
		if !slices.Contains(statuses, status) {
			return nil, invalid("there is no run status %.40q", status)
		}
		r.Status = status
	}
	end, err := in.num("end_time")
	if err != nil {
		return nil, err
	}
	if end > 0 {
		r.End = end
	}
	if name := in.str("run_name"); name != "" && name != r.Name {
		r.Name = name
		if err := s.Records.PutTexts(ctx, r.ID, store.TextTag, []store.Text{{Key: runName, Value: name}}); err != nil {
			return nil, err
		}
	}
	if err := s.Records.UpdateRun(ctx, r); err != nil {
		return nil, err
	}
	out, err := s.runJSON(ctx, r)
	return answer{"run_info": out["info"]}, err
}

func (s *server) deleteRun(deleted bool) handler {
	return func(ctx context.Context, in params) (answer, error) {
		r, err := s.run(ctx, in)
		if err != nil {
			return nil, err
		}
		r.Deleted = deleted
		return nil, s.Records.UpdateRun(ctx, r)
	}
}

func (s *server) searchRuns(ctx context.Context, in params) (answer, error) {
	q, err := names{
		"run_id": "id", "run_name": "name", "user_id": "user", "status": "status", "start_time": "start", "end_time": "end",
		"Created": "start", "tag.": "tag", "param.": "param", "metric.": "metric",
		"dataset.name": "input", "dataset.digest": "digest", "datasets.name": "input", "datasets.digest": "digest",
	}.search(in, "filter", 1000, 50_000)
	if err != nil {
		return nil, err
	}
	view(in, "run_view_type", &q)
	q.Terms = append(q.Terms, store.Term{Field: "experiment", Op: "IN", Value: append([]string{}, in.list("experiment_ids")...)})
	found, err := s.Records.SearchRuns(ctx, q)
	if err != nil {
		return nil, err
	}
	roots := map[int64]string{}
	for _, r := range found {
		if roots[r.ExperimentID] == "" {
			e, err := s.Records.Experiment(ctx, r.ExperimentID)
			if err != nil {
				return nil, err
			}
			roots[r.ExperimentID] = rootOf(e)
		}
	}
	return paged("runs", q, found, func(r store.Run) answer {
		return runJSON(r, roots[r.ExperimentID]+"/"+r.ID+"/artifacts")
	}), nil
}

func (p params) metric() (m store.Metric, err error) {
	m = store.Metric{Key: p.str("key"), ModelID: p.str("model_id"), Dataset: p.str("dataset_name"), Digest: p.str("dataset_digest")}
	if m.Key == "" || len(m.Key) > 250 {
		return m, invalid("a metric needs a key of 250 bytes at most")
	}
	if m.Value, err = p.float("value"); err != nil {
		return m, err
	}
	if m.Time, err = p.num("timestamp"); err != nil {
		return m, err
	}
	m.Step, err = p.num("step")
	return m, err
}

// log adds to the run that a request names.
func (s *server) log(ctx context.Context, in params, metrics []store.Metric, values, tags []store.Text) error {
	r, err := s.run(ctx, in)
	if err != nil {
		return err
	}
	if r.Deleted {
		return invalid("run %q is deleted; restore it first", r.ID)
	}
	for _, v := range values {
		if len(v.Value) > 6000 {
			return invalid("parameter %q has more than 6000 bytes", v.Key)
		}
	}
	err = s.Records.LogRun(ctx, r.ID, metrics, values, tags)
	if isExists(err) { // what MLflow calls a changed parameter
		return failure{invalidValue, err.Error()}
	}
	for _, t := range tags {
		if err == nil && t.Key == runName {
			r.Name = t.Value
			err = s.Records.UpdateRun(ctx, r)
		}
	}
	return err
}

func (s *server) logMetric(ctx context.Context, in params) (answer, error) {
	m, err := in.metric()
	if err != nil {
		return nil, err
	}
	return nil, s.log(ctx, in, []store.Metric{m}, nil, nil)
}

func (s *server) logParameter(ctx context.Context, in params) (answer, error) {
	t, err := in.text()
	if err != nil {
		return nil, err
	}
	return nil, s.log(ctx, in, nil, []store.Text{t}, nil)
}

func (s *server) setRunTag(ctx context.Context, in params) (answer, error) {
	t, err := in.text()
	if err != nil {
		return nil, err
	}
	return nil, s.log(ctx, in, nil, nil, []store.Text{t})
}

func (s *server) logBatch(ctx context.Context, in params) (answer, error) {
	var metrics []store.Metric
	for _, o := range in.objects("metrics") {
		m, err := o.metric()
		if err != nil {
			return nil, err
		}
		metrics = append(metrics, m)
	}
	values, err := in.texts("params")
	if err != nil {
		return nil, err
	}
	tags, err := in.texts("tags")
	if err != nil {
		return nil, err
	}
	if n := len(metrics) + len(values) + len(tags); n > 1000 {
		return nil, invalid("a batch has 1000 metrics, parameters and tags at most, not %d", n)
	}
	return nil, s.log(ctx, in, metrics, values, tags)
}

func (s *server) deleteRunTag(ctx context.Context, in params) (answer, error) {
	r, err := s.run(ctx, in)
	if err != nil {
		return nil, err
	}
	return nil, s.Records.DeleteText(ctx, r.ID, store.TextTag, in.str("key"))
}

func (s *server) runOutputs(ctx context.Context, in params) (answer, error) {
	r, err := s.run(ctx, in)
	if err != nil {
		return nil, err
	}
	var outputs []store.Output
	for _, o := range in.objects("models") {
		step, err := o.num("step")
		if err != nil {
			return nil, err
		}
		if _, err := s.Records.LoggedModel(ctx, o.str("model_id")); err != nil {
			return nil, err
		}
		outputs = append(outputs, store.Output{ModelID: o.str("model_id"), Step: step})
	}
	return nil, s.Records.AddOutputs(ctx, r.ID, outputs)
}

func (s *server) metricHistory(ctx context.Context, in params) (answer, error) {
	r, err := s.run(ctx, in)
	if err != nil {
		return nil, err
	}
	key, err := in.need("metric_key")
	if err != nil {
		return nil, err
	}
	q := store.Search{}
	if err := in.page(&q, 25_000, 25_000); err != nil {
		return nil, err
	}
	found, err := s.Records.MetricHistory(ctx, r.ID, key, q.Limit, q.Offset)
	if err != nil {
		return nil, err
	}
	return paged("metrics", q, found, func(m store.Metric) answer { return metricsJSON([]store.Metric{m})[0] }), nil
}

func (s *server) listRunArtifacts(ctx context.Context, in params) (answer, error) {
	r, err := s.run(ctx, in)
	if err != nil {
		return nil, err
	}
	folder, err := s.runFolder(ctx, r)
	if err != nil {
		return nil, err
	}
	return s.listBelow(ctx, folder, in.str("path"))
}
