package mlflow

import (
	"cmp"
	"context"
	"fmt"
	"regexp"
	"slices"
	"strconv"

	"github.com/go-chi/chi/v5"

	"detectd/store"
)

func (s *server) routeModels(r chi.Router) {
	r.Post("/registered-models/create", s.handle(s.createModel))
	r.Post("/registered-models/rename", s.handle(s.renameModel))
	r.Patch("/registered-models/update", s.handle(s.updateModel))
	r.Delete("/registered-models/delete", s.handle(s.deleteModel))
	r.Get("/registered-models/get", s.handle(s.getModel))
	r.Get("/registered-models/search", s.handle(s.searchModels))
	r.Get("/registered-models/get-latest-versions", s.handle(s.latestVersions))
	r.Post("/registered-models/get-latest-versions", s.handle(s.latestVersions))
	r.Post("/registered-models/set-tag", s.handle(s.tagModel))
	r.Delete("/registered-models/delete-tag", s.handle(s.untagModel))
	r.Post("/registered-models/alias", s.handle(s.setAlias))
	r.Delete("/registered-models/alias", s.handle(s.deleteAlias))
	r.Get("/registered-models/alias", s.handle(s.versionByAlias))
}

// native is what detectd's own names look like.
var native = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,62}$`)

// stages that versions can be in beside none.
var stages = []string{"Staging", "Production", "Archived"}

// model finds the one that a request names, by its name for clients of MLflow.
func (s *server) model(ctx context.Context, in params) (store.Model, error) {
	name, err := in.need("name")
	if err != nil {
		return store.Model{}, err
	}
	return s.Records.Model(ctx, name, true)
}

func (s *server) modelJSON(ctx context.Context, m store.Model) (answer, error) {
	latest, err := s.latest(ctx, m, nil)
	if err != nil {
		return nil, err
	}
	return modelJSON(m, latest), nil
}

// modelJSON is a registered model with its latest versions.
func modelJSON(m store.Model, latest []answer) answer {
	aliases := make([]answer, 0, len(m.Aliases))
	for _, alias := range sortedKeys(m.Aliases) {
		aliases = append(aliases, answer{"alias": alias, "version": strconv.Itoa(m.Aliases[alias])})
	}
	out := answer{
		"name": m.Label, "creation_timestamp": millis(m.CreatedAt), "last_updated_timestamp": millis(m.UpdatedAt),
		"description": m.Description, "tags": tagsJSON(m.Tags), "aliases": aliases,
	}
	if len(latest) > 0 {
		out["latest_versions"] = latest
	}
	return out
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	return sorted(keys)
}

func tagsJSON(tags map[string]string) []answer {
	out := make([]answer, 0, len(tags))
	for _, key := range sortedKeys(tags) {
		out = append(out, answer{"key": key, "value": tags[key]})
	}
	return out
}

// latest is the newest version of each of the stages, nil for all.
func (s *server) latest(ctx context.Context, m store.Model, wanted []string) ([]answer, error) {
	of, err := s.latestOf(ctx, []store.Model{m}, wanted)
	return append([]answer{}, of[m.Name]...), err
}

// latestOf is latest of several models, by name: for each the version without a
// stage, then the others in the order of their stages.
func (s *server) latestOf(ctx context.Context, models []store.Model, wanted []string) (map[string][]answer, error) {
	names, labels := make([]string, len(models)), map[string]string{}
	for i, m := range models {
		names[i], labels[m.Name] = m.Name, m.Label
	}
	found, err := s.Records.LatestVersions(ctx, names...)
	if err != nil {
		return nil, err
	}
	out := map[string][]answer{}
	for _, stage := range append([]string{"None"}, stages...) {
		if len(wanted) > 0 && !slices.Contains(wanted, stage) {
			continue
		}
		for _, v := range found {
			if cmp.Or(v.Stage, "None") == stage {
				out[v.Model] = append(out[v.Model], versionJSON(labels[v.Model], v))
			}
		}
	}
	return out, nil
}

func (s *server) answerModel(ctx context.Context, m store.Model, err error) (answer, error) {
	if err != nil {
		return nil, err
	}
	out, err := s.modelJSON(ctx, m)
	return answer{"registered_model": out}, err
}

func (s *server) createModel(ctx context.Context, in params) (answer, error) {
	label, err := checkName(in.str("name"))
	if err != nil {
		return nil, err
	}
	if _, err := s.Records.Model(ctx, label, true); err == nil {
		return nil, failure{alreadyExists, fmt.Sprintf("Registered Model (name=%s) already exists.", label)}
	}
	tags, err := in.tags("tags")
	if err != nil {
		return nil, err
	}
	create := func(name string) (store.Model, error) {
		return s.Records.CreateModel(ctx, store.Model{Name: name, Label: label, Description: in.str("description"), Tags: tags})
	}
	name := label
	if !native.MatchString(label) {
		name = store.Slug(label, "model")
	}
	m, err := store.CreateUnique(name, create)
	return s.answerModel(ctx, m, err)
}

// checkName refuses names that MLflow's addresses cannot hold.
func checkName(name string) (string, error) {
	switch {
	case name == "":
		return "", invalid("Registered model name cannot be empty.")
	case len(name) > 256 || regexp.MustCompile(`[/:\x00-\x1f]`).MatchString(name):
		return "", invalid("model name %.60q: a name has neither '/' nor ':', and 256 bytes at most", name)
	}
	return name, nil
}

// tags are tags as a map, nil for none.
func (p params) tags(key string) (map[string]string, error) {
	texts, err := p.texts(key)
	if err != nil || len(texts) == 0 {
		return nil, err
	}
	out := map[string]string{}
	for _, t := range texts {
		out[t.Key] = t.Value
	}
	return out, nil
}

// change applies a change to the model that a request names.
func (s *server) change(ctx context.Context, in params, c store.ModelChange) (answer, error) {
	m, err := s.model(ctx, in)
	if err != nil {
		return nil, err
	}
	m, err = s.Records.ChangeModel(ctx, m.Name, c, store.AnyRevision)
	return s.answerModel(ctx, m, err)
}

func (s *server) renameModel(ctx context.Context, in params) (answer, error) {
	label, err := checkName(in.str("new_name"))
	if err != nil {
		return nil, err
	}
	return s.change(ctx, in, store.ModelChange{Label: &label})
}

func (s *server) updateModel(ctx context.Context, in params) (answer, error) {
	return s.change(ctx, in, store.ModelChange{Description: in.ptr("description")})
}

func (s *server) tagModel(ctx context.Context, in params) (answer, error) {
	t, err := in.text()
	if err != nil {
		return nil, err
	}
	_, err = s.change(ctx, in, store.ModelChange{SetTags: map[string]string{t.Key: t.Value}})
	return nil, err
}

func (s *server) untagModel(ctx context.Context, in params) (answer, error) {
	key, err := in.need("key")
	if err != nil {
		return nil, err
	}
	_, err = s.change(ctx, in, store.ModelChange{RemoveTags: []string{key}})
	return nil, forgiving(err, in)
}

// forgiving lets a tag that is not there be deleted, as MLflow does, unless the
// model or version is missing.
func forgiving(err error, in params) error {
	if err != nil && in.str("key") != "" && regexp.MustCompile(`^tag `).MatchString(err.Error()) {
		return nil
	}
	return err
}

func (s *server) deleteModel(ctx context.Context, in params) (answer, error) {
	m, err := s.model(ctx, in)
	if err != nil {
		return nil, err
	}
	if err := s.Models.RemoveModel(ctx, m.Name); err != nil {
		return nil, err
	}
	s.Changed()
	return nil, nil
}

func (s *server) getModel(ctx context.Context, in params) (answer, error) {
	m, err := s.model(ctx, in)
	return s.answerModel(ctx, m, err)
}

func (s *server) searchModels(ctx context.Context, in params) (answer, error) {
	q, err := names{
		"name": "label", "creation_timestamp": "created", "last_updated_timestamp": "updated", "timestamp": "updated", "tag.": "tag",
	}.search(in, "filter", 100, 1000)
	if err != nil {
		return nil, err
	}
	q.Order = append(q.Order, store.Order{Field: "label"})
	found, err := s.Records.SearchModels(ctx, q)
	if err != nil {
		return nil, err
	}
	latest, err := s.latestOf(ctx, found, nil)
	if err != nil {
		return nil, err
	}
	return paged("registered_models", q, found, func(m store.Model) answer { return modelJSON(m, latest[m.Name]) }), nil
}

func (s *server) latestVersions(ctx context.Context, in params) (answer, error) {
	m, err := s.model(ctx, in)
	if err != nil {
		return nil, err
	}
	found, err := s.latest(ctx, m, in.list("stages"))
	return answer{"model_versions": found}, err
}

// author is who moves aliases by way of MLflow, whose clients give no names or reasons.
func author() store.Author { return store.Author{By: "mlflow"} }

func (s *server) setAlias(ctx context.Context, in params) (answer, error) {
	m, err := s.model(ctx, in)
	if err != nil {
		return nil, err
	}
	alias, err := in.need("alias")
	if err != nil {
		return nil, err
	}
	if err := store.CheckAlias(alias); err != nil {
		return nil, invalid("%v", err)
	}
	version, err := in.num("version")
	if err != nil {
		return nil, err
	}
	err = s.Aliases.Move(ctx, store.AliasChange{Model: m.Name, Alias: alias, Version: int(version), Expect: store.AnyVersion, By: author().By})
	if err != nil {
		return nil, err
	}
	s.Changed()
	return nil, nil
}

func (s *server) deleteAlias(ctx context.Context, in params) (answer, error) {
	m, err := s.model(ctx, in)
	if err != nil {
		return nil, err
	}
	if _, ok := m.Aliases[in.str("alias")]; !ok {
		return nil, nil // as MLflow does
	}
	if err := s.Records.DeleteAlias(ctx, m.Name, in.str("alias"), store.AnyVersion, author()); err != nil {
		return nil, err
	}
	s.Changed()
	return nil, nil
}

func (s *server) versionByAlias(ctx context.Context, in params) (answer, error) {
	m, err := s.model(ctx, in)
	if err != nil {
		return nil, err
	}
	alias, err := in.need("alias")
	if err != nil {
		return nil, err
	}
	if _, ok := m.Aliases[alias]; !ok { // the client looks for this code
		return nil, invalid("Registered model alias %s not found.", alias)
	}
	v, err := s.Records.AliasVersion(ctx, m.Name, alias)
	return answer{"model_version": versionJSON(m.Label, v)}, err
}
