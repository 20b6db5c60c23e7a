package api

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"

	"github.com/danielgtaylor/huma/v2"

	"detectd/store"
)

// RunningDifference is one setting that differs between two revisions.
type RunningDifference struct {
	Field string `json:"field" example:"min_scores.car" doc:"The setting; limits by label one by one."`
	From  string `json:"from" example:"0.5" doc:"In the first revision; empty where it says nothing."`
	To    string `json:"to" example:"0.6" doc:"In the second revision; empty where it says nothing."`
}

// RevisionsCompared are two revisions of a record.
type RevisionsCompared struct {
	From int64 `query:"from" required:"true" minimum:"0" example:"3" doc:"The first revision; 0 for no record."`
	To   int64 `query:"to" required:"true" minimum:"0" example:"7" doc:"The second revision; 0 for no record."`
}

// Restoring is why an old revision is taken up again.
type Restoring struct {
	Force  bool   `json:"force,omitempty" doc:"Also a version whose self-check has failed; needs a reason."`
	Reason string `json:"reason,omitempty" maxLength:"500" example:"too many false alarms" doc:"Why, for the history."`
}

// RevisionPath is a revision in a path.
type RevisionPath struct {
	Revision int64 `path:"revision" minimum:"1" example:"3" doc:"The revision."`
}

func (s *server) routeRunningHistory() {
	client := s.historyOperations("/running-models/{client_id}", "client")
	huma.Register(s.huma, client.diff, func(ctx context.Context, in *struct {
		ClientPath
		RevisionsCompared
	},
	) (*listed[RunningDifference], error) {
		return s.diffRevisions(ctx, in.at(), in.RevisionsCompared)
	})
	huma.Register(s.huma, client.restore, func(ctx context.Context, in *struct {
		ClientPath
		RevisionPath
		RequiredPrecondition
		Signed
		Body Restoring
	},
	) (*revised[RunningModel], error) {
		return s.restoreRevision(ctx, in.at(), in.Revision, in.IfMatch, in.by(in.Body.Reason), in.Body.Force)
	})
	camera := s.historyOperations("/running-models/{client_id}/cameras/{camera_id}", "camera")
	huma.Register(s.huma, camera.diff, func(ctx context.Context, in *struct {
		RunningPath
		RevisionsCompared
	},
	) (*listed[RunningDifference], error) {
		return s.diffRevisions(ctx, in.at(), in.RevisionsCompared)
	})
	huma.Register(s.huma, camera.restore, func(ctx context.Context, in *struct {
		RunningPath
		RevisionPath
		RequiredPrecondition
		Signed
		Body Restoring
	},
	) (*revised[RunningModel], error) {
		return s.restoreRevision(ctx, in.at(), in.Revision, in.IfMatch, in.by(in.Body.Reason), in.Body.Force)
	})
}

func (s *server) historyOperations(path, level string) (ops struct{ diff, restore huma.Operation }) {
	const tag = "Running models"
	ops.diff = operation(http.MethodGet, path+"/diff", "compare-running-model-revisions-of-"+level, tag, "Compare two revisions of what a "+level+" ran",
		"What differs between two revisions of the record, by setting.", 404)
	ops.restore = s.gated(s.revisable(operation(http.MethodPost, path+"/revisions/{revision}/restore", "restore-running-model-of-"+level, tag,
		"Take up an old revision of what a "+level+" ran", "Makes a new revision that says what an old one said. Where that one removed the record, "+
			"this does too. 422 when the model of it is gone; 409 and 412 as for setting it.", 404, 428)))
	return ops
}

// revision returns a revision of a record; number 0 is that of no record.
func (s *server) revision(ctx context.Context, a at, number int64) (store.RunningModel, error) {
	if number == 0 {
		return store.RunningModel{Deleted: true}, nil
	}
	rows, err := s.Records.RunningModelHistory(ctx, a.client, a.camera)
	if err != nil {
		return store.RunningModel{}, s.fail(ctx, err)
	}
	i := slices.IndexFunc(rows, func(r store.RunningModel) bool { return r.Revision == number })
	if i < 0 {
		return store.RunningModel{}, s.fail(ctx, fmt.Errorf("revision %d: %w", number, store.ErrNotFound))
	}
	return rows[i], nil
}

func (s *server) diffRevisions(ctx context.Context, a at, in RevisionsCompared) (*listed[RunningDifference], error) {
	if err := s.exists(ctx, a); err != nil {
		return nil, err
	}
	from, err := s.revision(ctx, a, in.From)
	if err != nil {
		return nil, err
	}
	to, err := s.revision(ctx, a, in.To)
	if err != nil {
		return nil, err
	}
	differences, err := runningDifferences(from, to)
	if err != nil {
		return nil, s.fail(ctx, err)
	}
	return newList(differences, "", func(d RunningDifference) RunningDifference { return d }), nil
}

// runningDifferences lists the settings that differ, by name.
func runningDifferences(from, to store.RunningModel) ([]RunningDifference, error) {
	a, err := settingFacts(from)
	if err != nil {
		return nil, err
	}
	b, err := settingFacts(to)
	if err != nil {
		return nil, err
	}
	var out []RunningDifference
	for _, field := range keysOf(a, b) {
		if a[field] != b[field] {
			out = append(out, RunningDifference{Field: field, From: a[field], To: b[field]})
		}
	}
	return out, nil
}

// settingFacts are the settings of a record as texts, limits by label one by one.
// What is left to the level below, and a record that was removed, say nothing.
func settingFacts(r store.RunningModel) (map[string]string, error) {
	out := map[string]string{}
	if r.Deleted {
		return out, nil
	}
	text, err := json.Marshal(newSettings(r))
	if err != nil {
		return nil, fmt.Errorf("encode running model: %w", err)
	}
	var fields map[string]any
	if err := json.Unmarshal(text, &fields); err != nil {
		return nil, fmt.Errorf("decode running model: %w", err)
	}
	flatten(out, "", fields)
	for field, value := range out {
		if value == "" || value == "0" || value == "[]" {
			delete(out, field)
		}
	}
	if out["version"] == "" && out["alias"] == "" {
		out["version"] = "newest"
	}
	return out, nil
}

func (s *server) restoreRevision(ctx context.Context, a at, number int64, ifMatch string, author store.Author, force bool) (*revised[RunningModel], error) {
	if err := s.exists(ctx, a); err != nil {
		return nil, err
	}
	expect, err := requireIfMatch(ifMatch)
	if err != nil {
		return nil, err
	}
	old, err := s.revision(ctx, a, number)
	if err != nil {
		return nil, err
	}
	if old.Deleted {
		if err := s.deleteRunningModel(ctx, a, ifMatch, author); err != nil {
			return nil, err
		}
		return s.getRunningModel(ctx, a)
	}
	old.UpdatedBy, old.Reason = author.By, author.Why
	r, err := s.put(ctx, old, expect, force)
	if err != nil {
		return nil, s.failRevision(ctx, err, func() (any, error) { return s.runningModel(ctx, a) })
	}
	return s.written(ctx, r)
}
