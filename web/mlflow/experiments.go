package mlflow

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/go-chi/chi/v5"

	"detectd/store"
)

func sorted(all []string) []string {
	slices.Sort(all)
	return all
}

func (s *server) routeExperiments(r chi.Router) {
	r.Post("/experiments/create", s.handle(s.createExperiment))
	r.Get("/experiments/get", s.handle(s.getExperiment))
	r.Get("/experiments/get-by-name", s.handle(s.experimentByName))
	r.Get("/experiments/search", s.handle(s.searchExperiments))
	r.Post("/experiments/search", s.handle(s.searchExperiments))
	r.Post("/experiments/update", s.handle(s.changeExperiment(func(e *store.Experiment, in params) { e.Name = in.str("new_name") })))
	r.Post("/experiments/delete", s.handle(s.changeExperiment(func(e *store.Experiment, _ params) { e.Deleted = true })))
	r.Post("/experiments/restore", s.handle(s.changeExperiment(func(e *store.Experiment, _ params) { e.Deleted = false })))
	r.Post("/experiments/set-experiment-tag", s.handle(s.tagExperiment))
	r.Post("/experiments/delete-experiment-tag", s.handle(s.untagExperiment))
}

// scheme is that of the addresses that clients reach files of this server by.
const scheme = "mlflow-artifacts:/"

// rootOf is the folder of an experiment's files.
func rootOf(e store.Experiment) string {
	if e.Root != "" {
		return e.Root
	}
	return strconv.FormatInt(e.ID, 10)
}

func stageOf(deleted bool) string {
	if deleted {
		return "deleted"
	}
	return "active"
}

func experimentJSON(e store.Experiment) answer {
	return answer{
		"experiment_id": strconv.FormatInt(e.ID, 10), "name": e.Name, "artifact_location": scheme + rootOf(e),
		"lifecycle_stage": stageOf(e.Deleted), "creation_time": millis(e.CreatedAt), "last_update_time": millis(e.UpdatedAt),
		"tags": textsJSON(e.Tags),
	}
}

func (s *server) createExperiment(ctx context.Context, in params) (answer, error) {
	name, err := in.need("name")
	if err != nil {
		return nil, err
	}
	e := store.Experiment{Name: name}
	if where := in.str("artifact_location"); where != "" {
		root, err := folderOf(where)
		if err != nil {
			return nil, invalid("artifact_location %.100q: files are kept by detectd itself; leave it out, or give %sFOLDER", where, scheme)
		}
		e.Root = root
	}
	if e.Tags, err = in.texts("tags"); err != nil {
		return nil, err
	}
	if e, err = s.Records.CreateExperiment(ctx, e); err != nil {
		return nil, err
	}
	return answer{"experiment_id": strconv.FormatInt(e.ID, 10)}, nil
}

// experiment finds the one that a request names.
func (s *server) experiment(ctx context.Context, in params) (store.Experiment, error) {
	id, err := in.need("experiment_id")
	if err != nil {
		return store.Experiment{}, err
	}
	n, err := strconv.ParseInt(id, 10, 64)
	if err != nil {
		return store.Experiment{}, fmt.Errorf("experiment %.40q: %w", id, store.ErrNotFound)
	}
	return s.Records.Experiment(ctx, n)
}

func (s *server) getExperiment(ctx context.Context, in params) (answer, error) {
	e, err := s.experiment(ctx, in)
	if err != nil {
		return nil, err
	}
	return answer{"experiment": experimentJSON(e)}, nil
}

func (s *server) experimentByName(ctx context.Context, in params) (answer, error) {
	name, err := in.need("experiment_name")
	if err != nil {
		return nil, err
	}
	found, err := s.Records.SearchExperiments(ctx, store.Search{Terms: []store.Term{{Field: "name", Op: "=", Value: name}}})
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("experiment %q: %w", name, store.ErrNotFound)
	}
	return answer{"experiment": experimentJSON(found[0])}, nil
}

// view adds the condition of a ViewType.
func view(in params, key string, q *store.Search) {
	switch in.str(key) {
	case "ALL", "3":
	case "DELETED_ONLY", "2":
		q.Terms = append(q.Terms, store.Term{Field: "deleted", Op: "=", Value: 1})
	default:
		q.Terms = append(q.Terms, store.Term{Field: "deleted", Op: "=", Value: 0})
	}
}

func (s *server) searchExperiments(ctx context.Context, in params) (answer, error) {
	q, err := names{
		"name": "name", "experiment_id": "id", "creation_time": "created", "last_update_time": "updated", "tag.": "tag",
	}.search(in, "filter", 1000, 50_000)
	if err != nil {
		return nil, err
	}
	view(in, "view_type", &q)
	found, err := s.Records.SearchExperiments(ctx, q)
	if err != nil {
		return nil, err
	}
	return paged("experiments", q, found, experimentJSON), nil
}

func (s *server) changeExperiment(change func(*store.Experiment, params)) handler {
	return func(ctx context.Context, in params) (answer, error) {
		e, err := s.experiment(ctx, in)
		if err != nil {
			return nil, err
		}
		if change(&e, in); strings.TrimSpace(e.Name) == "" {
			return nil, invalid("missing value for required parameter 'new_name'")
		}
		return nil, s.Records.UpdateExperiment(ctx, e)
	}
}

func ownerOf(e store.Experiment) string { return fmt.Sprintf("experiment:%d", e.ID) }

func (s *server) tagExperiment(ctx context.Context, in params) (answer, error) {
	e, err := s.experiment(ctx, in)
	if err != nil {
		return nil, err
	}
	tag, err := in.text()
	if err != nil {
		return nil, err
	}
	return nil, s.Records.PutTexts(ctx, ownerOf(e), store.TextTag, []store.Text{tag})
}

func (s *server) untagExperiment(ctx context.Context, in params) (answer, error) {
	e, err := s.experiment(ctx, in)
	if err != nil {
		return nil, err
	}
	return nil, s.Records.DeleteText(ctx, ownerOf(e), store.TextTag, in.str("key"))
}
