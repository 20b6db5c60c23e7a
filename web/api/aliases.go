package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"detectd/store"
)

// ModelAlias says which version an alias names.
type ModelAlias struct {
	Model   string `json:"model" example:"yard" doc:"The model's name."`
	Alias   string `json:"alias" example:"champion" doc:"The alias."`
	Version int    `json:"version" example:"3" doc:"The version it names."`
}

// AliasChange moves an alias.
type AliasChange struct {
	Version int    `json:"version" minimum:"1" example:"3" doc:"The version it is to name."`
	Expect  int    `json:"expect,omitempty" minimum:"0" example:"2" doc:"The version it names now; 0 or absent for a new alias."`
	Reason  string `json:"reason,omitempty" maxLength:"500" example:"better at night" doc:"Why, for the history."`
	Force   bool   `json:"force,omitempty" doc:"Move it also to a version that does not meet the alias's rules; needs a reason."`
}

// AliasMove is one change of what an alias names.
type AliasMove struct {
	Model  string `json:"model" example:"yard" doc:"The model's name."`
	Alias  string `json:"alias" example:"champion" doc:"The alias."`
	From   int    `json:"from" example:"2" doc:"The version it named before; 0 when it was new."`
	To     int    `json:"to" example:"3" doc:"The version it named then; 0 when it was deleted."`
	Time   Time   `json:"time" doc:"When."`
	By     string `json:"by" example:"ann" doc:"Who moved it."`
	Reason string `json:"reason" doc:"Why, in the words of who moved it."`
}

// ModelNotes change what is said about a model or a version.
type ModelNotes struct {
	Description *string           `json:"description,omitempty" maxLength:"10000" doc:"For people; absent leaves it as it is."`
	Licence     *string           `json:"licence,omitempty" maxLength:"200" doc:"Of a version: under which terms it may be used."`
	Source      *string           `json:"source,omitempty" maxLength:"1000" doc:"Of a version: where its file came from."`
	SetTags     map[string]string `json:"set_tags,omitempty" doc:"Tags to set, by key."`
	RemoveTags  []string          `json:"remove_tags,omitempty" nullable:"false" maxItems:"1000" doc:"Keys of tags to remove."`
}

// ModelDifference is one thing that differs between two versions.
type ModelDifference struct {
	Field string `json:"field" example:"input.width" doc:"What differs: a field of the version, or a key of its contract."`
	From  string `json:"from" example:"320" doc:"In the first version; empty where it has none."`
	To    string `json:"to" example:"640" doc:"In the second version; empty where it has none."`
}

// AliasPath is an alias in a path.
type AliasPath struct {
	ModelPath
	Alias string `path:"alias" maxLength:"255" example:"champion" doc:"The alias: letters, digits, '_' and '-', not beginning with a digit."`
}

func (s *server) routeAliases() {
	const tag = "Models"
	huma.Register(s.huma, s.revisable(operation(http.MethodPatch, "/models/{model_name}", "change-model", tag,
		"Change what is said about a model", "Changes description and tags. 412 when If-Match names another revision than the stored one.", 404)), s.changeModel)
	huma.Register(s.huma, operation(http.MethodPatch, "/models/{model_name}/versions/{version}", "change-model-version", tag,
		"Change what is said about a version", "Changes description, tags, licence and source. The file and its contract never change.", 404), s.changeVersion)
	huma.Register(s.huma, operation(http.MethodGet, "/models/{model_name}/aliases/{alias}", "get-model-alias", tag,
		"Look an alias up", "The version that an alias names.", 404), s.getAlias)
	huma.Register(s.huma, s.gated(s.revisable(operation(http.MethodPut, "/models/{model_name}/aliases/{alias}", "set-model-alias", tag,
		"Set an alias", "Lets an alias name a version that meets its rules; 409 says which it does not. "+
			"412 when it names another version than expect says, so that nobody's move is overwritten unseen.", 404))), s.setAlias)
	huma.Register(s.huma, s.revisable(operation(http.MethodDelete, "/models/{model_name}/aliases/{alias}", "delete-model-alias", tag,
		"Delete an alias", "Takes an alias away. 409 while a running model follows it, 412 when it names another version than expect says.", 404, 409)), s.deleteAlias)
	huma.Register(s.huma, operation(http.MethodGet, "/models/{model_name}/aliases/{alias}/history", "list-model-alias-history", tag,
		"List the moves of an alias", "Which versions an alias named, newest first: who moved it, when and why. Also of an alias that was deleted.", 404), s.listAliasMoves)
	huma.Register(s.huma, operation(http.MethodGet, "/models/{model_name}/diff", "compare-model-versions", tag,
		"Compare two versions", "What differs between two versions of a model, by field.", 404), s.diffVersions)
}

// findModels finds models that all words of a query fit, by name, without their
// versions: those after the name in after, limit at most.
func (s *server) findModels(ctx context.Context, query, after string, limit int) ([]store.Model, error) {
	q := store.Search{Order: []store.Order{{Field: "name"}}, Limit: limit, Terms: []store.Term{
		{Field: "name", Op: ">", Value: after}, {Field: "empty", Op: "=", Value: 0.0},
	}}
	for w := range strings.FieldsSeq(query) {
		// Words are plain: what LIKE takes as a pattern stands for one letter.
		q.Terms = append(q.Terms, store.Term{Field: "text", Op: "ILIKE", Value: "%" + strings.ReplaceAll(w, "%", "_") + "%"})
	}
	return s.Records.SearchModels(ctx, q)
}

// versions lists the versions of a model below the number before, newest first.
func (s *server) versions(ctx context.Context, model string, before, limit int) ([]store.ModelVersion, error) {
	return s.Records.SearchVersions(ctx, store.Search{
		Terms: []store.Term{{Field: "name", Op: "=", Value: model}, {Field: "version", Op: "<", Value: float64(before)}},
		Order: []store.Order{{Field: "version", Desc: true}}, Limit: limit,
	})
}

// filled is m, never nil.
func filled[V any](m map[string]V) map[string]V {
	if m == nil {
		return map[string]V{}
	}
	return m
}

func (n ModelNotes) change() (store.ModelChange, error) {
	for key, value := range n.SetTags {
		if key == "" || len(key) > 250 || len(value) > 5000 {
			return store.ModelChange{}, invalid("body.set_tags", "a tag's key has 1 to 250 bytes, its value 5000 at most")
		}
	}
	return store.ModelChange{Description: n.Description, Licence: n.Licence, Source: n.Source, SetTags: n.SetTags, RemoveTags: n.RemoveTags}, nil
}

func (s *server) changeModel(ctx context.Context, in *struct {
	ModelPath
	IfMatch string `header:"If-Match" example:"\"3\"" doc:"Revision the change is based on, quoted."`
	Body    ModelNotes
},
) (*answered[Model], error) {
	expect, err := parseIfMatch(in.IfMatch)
	if err != nil {
		return nil, err
	}
	c, err := in.Body.change()
	if err != nil {
		return nil, err
	}
	if c.Licence != nil || c.Source != nil {
		return nil, invalid("body", "licence and source belong to a version: PATCH …/versions/{version}")
	}
	if _, err := s.Records.ChangeModel(ctx, in.ModelName, c, expect); err != nil {
		return nil, s.failRevision(ctx, err, func() (any, error) { return s.model(ctx, in.ModelName) })
	}
	return s.changedModel(ctx, in.ModelName)
}

// changedModel announces a change and answers with the model.
func (s *server) changedModel(ctx context.Context, name string) (*answered[Model], error) {
	s.Announcer.ModelsChanged()
	m, err := s.model(ctx, name)
	if err != nil {
		return nil, s.fail(ctx, err)
	}
	return &answered[Model]{Body: m}, nil
}

func (s *server) changeVersion(ctx context.Context, in *struct {
	VersionPath
	Body ModelNotes
},
) (*answered[Model], error) {
	c, err := in.Body.change()
	if err != nil {
		return nil, err
	}
	if _, err := s.Records.ChangeVersion(ctx, in.ModelName, in.Version, c); err != nil {
		return nil, s.fail(ctx, err)
	}
	return s.changedModel(ctx, in.ModelName)
}

func (s *server) getAlias(ctx context.Context, in *AliasPath) (*answered[ModelAlias], error) {
	v, err := s.Records.AliasVersion(ctx, in.ModelName, in.Alias)
	if err != nil {
		return nil, s.fail(ctx, err)
	}
	return &answered[ModelAlias]{Body: ModelAlias{Model: v.Model, Alias: in.Alias, Version: v.Version}}, nil
}

func (s *server) setAlias(ctx context.Context, in *struct {
	AliasPath
	Signed
	Body AliasChange
},
) (*answered[Model], error) {
	if err := store.CheckAlias(in.Alias); err != nil {
		return nil, invalid("path.alias", err.Error())
	}
	if in.Body.Force && in.Body.Reason == "" {
		return nil, invalid("body.reason", "force needs a reason")
	}
	err := s.Aliases.Move(ctx, store.AliasChange{
		Model: in.ModelName, Alias: in.Alias, Version: in.Body.Version, Expect: in.Body.Expect,
		By: in.by("").By, Reason: in.Body.Reason, Force: in.Body.Force,
	})
	if errors.Is(err, store.ErrGate) {
		return nil, s.failGate(ctx, err)
	}
	if err != nil {
		return nil, s.failRevision(ctx, err, func() (any, error) { return s.model(ctx, in.ModelName) })
	}
	return s.changedModel(ctx, in.ModelName)
}

func (s *server) deleteAlias(ctx context.Context, in *struct {
	AliasPath
	SignedWhy
	Expect int `query:"expect" minimum:"0" doc:"The version it names now; any when absent."`
},
) (*struct{}, error) {
	expect := in.Expect
	if expect == 0 {
		expect = store.AnyVersion
	}
	if err := s.Records.DeleteAlias(ctx, in.ModelName, in.Alias, expect, in.author()); err != nil {
		return nil, s.failRevision(ctx, err, func() (any, error) { return s.model(ctx, in.ModelName) })
	}
	s.Announcer.ModelsChanged()
	return nil, nil
}

func (s *server) listAliasMoves(ctx context.Context, in *AliasPath) (*listed[AliasMove], error) {
	moves, err := s.Records.AliasHistory(ctx, in.ModelName, in.Alias)
	if err != nil {
		return nil, s.fail(ctx, err)
	}
	if len(moves) == 0 {
		return nil, s.fail(ctx, fmt.Errorf("alias %q of model %q: %w", in.Alias, in.ModelName, store.ErrNotFound))
	}
	return newList(moves, "", func(m store.AliasMove) AliasMove {
		return AliasMove{Model: m.Model, Alias: m.Alias, From: m.From, To: m.To, Time: Time{m.At}, By: m.By, Reason: m.Why}
	}), nil
}

func (s *server) diffVersions(ctx context.Context, in *struct {
	ModelPath
	From int `query:"from" required:"true" minimum:"1" example:"1" doc:"The first version."`
	To   int `query:"to" required:"true" minimum:"1" example:"2" doc:"The second version."`
},
) (*listed[ModelDifference], error) {
	from, err := s.Records.ModelVersion(ctx, in.ModelName, in.From)
	if err != nil {
		return nil, s.fail(ctx, err)
	}
	to, err := s.Records.ModelVersion(ctx, in.ModelName, in.To)
	if err != nil {
		return nil, s.fail(ctx, err)
	}
	return newList(Differences(from, to), "", func(d ModelDifference) ModelDifference { return d }), nil
}

// Differences lists what differs between two versions, by field.
func Differences(from, to store.ModelVersion) []ModelDifference {
	a, b := facts(from), facts(to)
	out := []ModelDifference{}
	for _, key := range keysOf(a, b) {
		if a[key] != b[key] {
			out = append(out, ModelDifference{Field: key, From: a[key], To: b[key]})
		}
	}
	return out
}

// keysOf are the keys of two maps, sorted.
func keysOf(a, b map[string]string) []string {
	keys := slices.AppendSeq(slices.Collect(maps.Keys(a)), maps.Keys(b))
	slices.Sort(keys)
	return slices.Compact(keys)
}

// facts are the fields of a version as texts, those of its contract by path.
func facts(v store.ModelVersion) map[string]string {
	out := map[string]string{
		"sha256": v.SHA256, "bytes": fmt.Sprint(v.Size), "family": v.Family, "licence": v.Licence, "source": v.Source,
		"description": v.Description, "aliases": strings.Join(v.Aliases, ", "),
	}
	for key, value := range v.Tags {
		out["tags."+key] = value
	}
	for prefix, text := range map[string]json.RawMessage{"": v.Contract, "lineage.": v.Lineage, "check.": v.Check} {
		var fields any
		if json.Unmarshal(text, &fields) == nil { // written by this program; an unreadable one shows as empty
			flatten(out, prefix, fields)
		}
	}
	return out
}

// flatten adds what is in objects by path; lists are one value.
func flatten(out map[string]string, path string, v any) {
	if object, ok := v.(map[string]any); ok {
		for key, value := range object {
			flatten(out, strings.TrimSuffix(path, ".")+map[bool]string{true: ".", false: ""}[path != ""]+key, value)
		}
		return
	}
	if text, ok := v.(string); ok {
		out[path] = text
		return
	}
	text, _ := json.Marshal(v) // values that came from JSON
	out[path] = string(text)
}
