package mlflow

import (
	"context"
	"errors"
	"strconv"

	"github.com/go-chi/chi/v5"

	"detectd/store"
)

func isExists(err error) bool { return errors.Is(err, store.ErrExists) }

func (s *server) routeLogged(r chi.Router) {
	r.Post("/logged-models", s.handle(s.createLogged))
	r.Post("/logged-models/search", s.handle(s.searchLogged))
	r.Get("/logged-models/{model_id}", s.handle(s.getLogged))
	r.Patch("/logged-models/{model_id}", s.handle(s.finishLogged))
	r.Delete("/logged-models/{model_id}", s.handle(s.deleteLogged))
	r.Patch("/logged-models/{model_id}/tags", s.handle(s.tagLogged))
	r.Delete("/logged-models/{model_id}/tags/{tag_key}", s.handle(s.untagLogged))
	r.Post("/logged-models/{model_id}/params", s.handle(s.paramsOfLogged))
	r.Get("/logged-models/{model_id}/artifacts/directories", s.handle(s.listLogged))
}

// loggedFolder is where a logged model's files are.
func (s *server) loggedFolder(ctx context.Context, m store.LoggedModel) (string, error) {
	e, err := s.Records.Experiment(ctx, m.ExperimentID)
	return rootOf(e) + "/models/" + m.ID + "/artifacts", err
}

func (s *server) loggedJSON(ctx context.Context, m store.LoggedModel) (answer, error) {
	folder, err := s.loggedFolder(ctx, m)
	if err != nil {
		return nil, err
	}
	return answer{
		"info": answer{
			"model_id": m.ID, "experiment_id": strconv.FormatInt(m.ExperimentID, 10), "name": m.Name,
			"creation_timestamp_ms": millis(m.CreatedAt), "last_updated_timestamp_ms": millis(m.UpdatedAt),
			"artifact_uri": scheme + folder, "status": m.Status, "model_type": m.Type, "status_message": m.Message,
			"source_run_id": m.RunID, "tags": textsJSON(m.Tags),
		},
		"data": answer{"params": textsJSON(m.Params), "metrics": metricsJSON(m.Metrics)},
	}, nil
}

func (s *server) answerLogged(ctx context.Context, m store.LoggedModel, err error) (answer, error) {
	if err != nil {
		return nil, err
	}
	out, err := s.loggedJSON(ctx, m)
	return answer{"model": out}, err
}

func (s *server) createLogged(ctx context.Context, in params) (answer, error) {
	if in.str("experiment_id") == "" {
		in["experiment_id"] = "0"
	}
	e, err := s.experiment(ctx, in)
	if err != nil {
		return nil, err
	}
	m := store.LoggedModel{
		ID: "m-" + newID(), ExperimentID: e.ID, Name: in.str("name"), Type: in.str("model_type"), RunID: in.str("source_run_id"),
		Status: "LOGGED_MODEL_PENDING",
	}
	if m.Name == "" {
		m.Name = "model-" + m.ID[2:10]
	}
	if m.Params, err = in.texts("params"); err != nil {
		return nil, err
	}
	if m.Tags, err = in.texts("tags"); err != nil {
		return nil, err
	}
	m, err = s.Records.CreateLoggedModel(ctx, m)
	return s.answerLogged(ctx, m, err)
}

func (s *server) logged(ctx context.Context, in params) (store.LoggedModel, error) {
	return s.Records.LoggedModel(ctx, in.str("model_id"))
}

func (s *server) getLogged(ctx context.Context, in params) (answer, error) {
	m, err := s.logged(ctx, in)
	return s.answerLogged(ctx, m, err)
}

func (s *server) finishLogged(ctx context.Context, in params) (answer, error) {
	status := in.str("status")
	switch status {
	case "1", "2", "3": // LoggedModelStatus
		status = map[string]string{"1": "LOGGED_MODEL_PENDING", "2": "LOGGED_MODEL_READY", "3": "LOGGED_MODEL_UPLOAD_FAILED"}[status]
	case "LOGGED_MODEL_PENDING", "LOGGED_MODEL_READY", "LOGGED_MODEL_UPLOAD_FAILED":
	default:
		return nil, invalid("there is no logged model status %.40q", status)
	}
	if err := s.Records.FinishLoggedModel(ctx, in.str("model_id"), status, in.str("status_message")); err != nil {
		return nil, err
	}
	return s.getLogged(ctx, in)
}

func (s *server) deleteLogged(ctx context.Context, in params) (answer, error) {
	m, err := s.logged(ctx, in)
	if err != nil {
		return nil, err
	}
	folder, err := s.loggedFolder(ctx, m)
	if err != nil {
		return nil, err
	}
	return nil, s.Records.DeleteLoggedModel(ctx, m.ID, folder)
}

func (s *server) tagLogged(ctx context.Context, in params) (answer, error) {
	m, err := s.logged(ctx, in)
	if err != nil {
		return nil, err
	}
	tags, err := in.texts("tags")
	if err != nil {
		return nil, err
	}
	if err := s.Records.PutTexts(ctx, m.ID, store.TextTag, tags); err != nil {
		return nil, err
	}
	return s.getLogged(ctx, in)
}

func (s *server) untagLogged(ctx context.Context, in params) (answer, error) {
	m, err := s.logged(ctx, in)
	if err != nil {
		return nil, err
	}
	return nil, s.Records.DeleteText(ctx, m.ID, store.TextTag, in.str("tag_key"))
}

func (s *server) paramsOfLogged(ctx context.Context, in params) (answer, error) {
	m, err := s.logged(ctx, in)
	if err != nil {
		return nil, err
	}
	texts, err := in.texts("params")
	if err != nil {
		return nil, err
	}
	return nil, s.Records.PutTexts(ctx, m.ID, store.TextParam, texts)
}

func (s *server) listLogged(ctx context.Context, in params) (answer, error) {
	m, err := s.logged(ctx, in)
	if err != nil {
		return nil, err
	}
	folder, err := s.loggedFolder(ctx, m)
	if err != nil {
		return nil, err
	}
	return s.listBelow(ctx, folder, in.str("artifact_directory_path"))
}

func (s *server) searchLogged(ctx context.Context, in params) (answer, error) {
	n := names{
		"model_id": "id", "name": "name", "model_type": "type", "status": "status", "source_run_id": "run",
		"creation_timestamp": "created", "creation_time": "created", "last_updated_timestamp": "updated",
		"tag.": "tag", "param.": "param", "metric.": "metric",
	}
	orders := in.objects("order_by")
	delete(in, "order_by")
	q, err := n.search(in, "filter", 50, 1000)
	if err != nil {
		return nil, err
	}
	for _, o := range orders {
		field, key, err := n.field(o.str("field_name"))
		if err != nil {
			return nil, err
		}
		q.Order = append(q.Order, store.Order{Field: field, Key: key, Desc: o.str("ascending") == "false"})
	}
	q.Terms = append(q.Terms, store.Term{Field: "experiment", Op: "IN", Value: append([]string{}, in.list("experiment_ids")...)})
	found, err := s.Records.SearchLoggedModels(ctx, q)
	if err != nil {
		return nil, err
	}
	var failed error
	out := paged("models", q, found, func(m store.LoggedModel) answer {
		one, err := s.loggedJSON(ctx, m)
		failed = errors.Join(failed, err)
		return one
	})
	return out, failed
}
