package api

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"net/http"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"detectd/detect"
	"detectd/store"
)

// Model is a model with its versions.
type Model struct {
	Name        string            `json:"name" example:"default" doc:"Identifies the model for ever."`
	Description string            `json:"description" example:"SSDLite MobileNet v2, 80 classes" doc:"For people."`
	Label       string            `json:"label" example:"default" doc:"The name by which clients of MLflow know it."`
	Revision    int64             `json:"revision" example:"1" doc:"Counts changes of what is said about it, aliases included."`
	Aliases     map[string]int    `json:"aliases" nullable:"false" doc:"Names of versions, such as champion, with the version each names."`
	Tags        map[string]string `json:"tags" nullable:"false" doc:"For people and their tools."`
	CreatedAt   Time              `json:"created_at" doc:"When its first version was added."`
	Count       int               `json:"version_count" example:"1" doc:"How many versions it has."`
	Versions    []ModelVersion    `json:"versions" nullable:"false" doc:"Its newest versions, newest first: 5 in a list of models, else 100."`
}

// AddedModel is a model with the version that has a file that was added.
type AddedModel struct {
	Model
	Added int `json:"added" example:"2" doc:"The version that has the file: a new one, or one that was there."`
}

// ModelVersion is one immutable model file with the way to read it.
type ModelVersion struct {
	Version     int               `json:"version" example:"1" doc:"Counts from 1."`
	SHA256      string            `json:"sha256" doc:"Of the ONNX file."`
	Bytes       int64             `json:"bytes" doc:"Size of the ONNX file."`
	Family      string            `json:"family" example:"ssd" doc:"How its outputs are read."`
	Licence     string            `json:"licence" example:"Apache-2.0" doc:"Under which terms it may be used."`
	Source      string            `json:"source" doc:"Where the file came from."`
	Description string            `json:"description" doc:"For people."`
	Aliases     []string          `json:"aliases" nullable:"false" example:"champion" doc:"Aliases that name it."`
	Tags        map[string]string `json:"tags" nullable:"false" doc:"For people and their tools."`
	Labels      []string          `json:"labels" nullable:"false" doc:"What it can find, by class id."`
	Input       ModelInput        `json:"input" doc:"The picture it wants."`
	Lineage     *Lineage          `json:"lineage,omitempty" doc:"What it was made from; absent where nothing is known."`
	Check       *ModelCheck       `json:"check,omitempty" doc:"What its newest self-check found; absent when there was none."`
	CreatedAt   Time              `json:"created_at" doc:"When it was added."`
	Measured    []Measurement     `json:"measured" nullable:"false" doc:"The newest accuracy on each data set, and the newest speed on each machine."`
	Running     []string          `json:"running" nullable:"false" example:"harbour/door" doc:"Cameras that it is set to run on, as client/camera."`
}

// ModelInput is the picture a model wants.
type ModelInput struct {
	Width  int    `json:"width" example:"300" doc:"Pixels."`
	Height int    `json:"height" example:"300" doc:"Pixels."`
	Layout string `json:"layout" enum:"nchw,nhwc" doc:"Order of the tensor's dimensions."`
	Colour string `json:"colour" enum:"rgb,bgr" doc:"Order of the colour channels."`
	Resize string `json:"resize" enum:"stretch,letterbox_top,letterbox_centre" doc:"How pictures are brought to that size."`
}

// How many versions come with their model: in a list, and alone.
const (
	listedVersions = 3
	shownVersions  = 100
)

// ModelPath is the model in a path.
type ModelPath struct {
	ModelName string `path:"model_name" pattern:"^[a-z0-9][a-z0-9._-]{0,62}$" example:"default" doc:"The model's name."`
}

// VersionPath is one version of a model in a path.
type VersionPath struct {
	ModelPath
	Version int `path:"version" minimum:"1" example:"1" doc:"The version."`
}

func (s *server) routeModels() {
	const tag = "Models"
	huma.Register(s.huma, operation(http.MethodGet, "/models", "list-models", tag,
		"List models", "All models, by name, each with its 3 newest versions; with query, those that it fits."), s.listModels)
	huma.Register(s.huma, operation(http.MethodGet, "/models/{model_name}", "get-model", tag,
		"Get a model", "One model with its 100 newest versions.", 404), s.getModel)
	huma.Register(s.huma, operation(http.MethodGet, "/models/{model_name}/versions", "list-model-versions", tag,
		"List the versions of a model", "All versions of a model, newest first.", 404), s.listVersions)
	add := operation(http.MethodPost, "/models", "add-model", tag,
		"Add a model version", "Takes an ONNX file of at most 2 GiB and adds it as the newest version of the named model. "+
			"A version is a file and its contract: the same file again answers 200, and the version that has it, unless another contract is asked for. 422 says why a file is not a detector.", 413, 415, 503, 507)
	add.DefaultStatus = http.StatusCreated
	huma.Register(s.huma, add, s.addModel)
	s.describeBody(add, uploadRequest("The ONNX file.", "application/octet-stream", "application/onnx"))
	again := *s.huma.OpenAPI().Paths[add.Path].Post.Responses["201"]
	again.Description = "This file is registered already."
	s.huma.OpenAPI().Paths[add.Path].Post.Responses["200"] = &again
	s.routeModelChecks()
	s.routeVersions()
	huma.Register(s.huma, operation(http.MethodDelete, "/models/{model_name}/versions/{version}", "delete-model-version", tag,
		"Delete a model version", "Deletes a version with its file. 409 while it runs anywhere or an alias names it.", 404, 409), s.deleteModelVersion)
	huma.Register(s.huma, operation(http.MethodDelete, "/models/{model_name}", "delete-model", tag,
		"Delete a model", "Deletes a model with all its versions, their files, aliases and rules. 409 while one of them runs anywhere or is being promoted.", 404, 409), s.deleteModel)
}

func (s *server) listModels(ctx context.Context, in *struct {
	Page
	Query string `query:"query" maxLength:"200" example:"yolox champion" doc:"Words that all occur in a model's name, description, tags (KEY=VALUE), aliases, or its versions' families and licences."`
},
) (*listed[Model], error) {
	after, err := in.after()
	if err != nil {
		return nil, err
	}
	models, err := s.findModels(ctx, in.Query, after, in.Limit+1)
	if err != nil {
		return nil, s.fail(ctx, err)
	}
	models, next := firstOf(models, in.Page, func(m store.Model) string { return m.Name })
	var versions []store.ModelVersion
	for i, m := range models {
		if models[i].Versions, err = s.versions(ctx, m.Name, math.MaxInt32, listedVersions); err != nil {
			return nil, s.fail(ctx, err)
		}
		versions = append(versions, models[i].Versions...)
	}
	running, err := s.running(ctx)
	if err != nil {
		return nil, s.fail(ctx, err)
	}
	measured, err := s.measured(ctx, versions...)
	if err != nil {
		return nil, s.fail(ctx, err)
	}
	return newList(models, next, func(m store.Model) Model { return newModel(m, running, measured) }), nil
}

func (s *server) listVersions(ctx context.Context, in *struct {
	ModelPath
	Page
},
) (*listed[ModelVersion], error) {
	after, err := in.after()
	if err != nil {
		return nil, err
	}
	before := math.MaxInt32
	if after != "" {
		if before, err = strconv.Atoi(after); err != nil {
			return nil, errCursor()
		}
	}
	if _, err := s.Records.Model(ctx, in.ModelName, false); err != nil {
		return nil, s.fail(ctx, err)
	}
	rows, err := s.versions(ctx, in.ModelName, before, in.Limit+1)
	if err != nil {
		return nil, s.fail(ctx, err)
	}
	rows, next := firstOf(rows, in.Page, func(v store.ModelVersion) string { return strconv.Itoa(v.Version) })
	running, err := s.running(ctx)
	if err != nil {
		return nil, s.fail(ctx, err)
	}
	measured, err := s.measured(ctx, rows...)
	if err != nil {
		return nil, s.fail(ctx, err)
	}
	return newList(rows, next, func(v store.ModelVersion) ModelVersion { return newModelVersion(v, running, measured) }), nil
}

func (s *server) getModel(ctx context.Context, in *ModelPath) (*answered[Model], error) {
	m, err := s.model(ctx, in.ModelName)
	if err != nil {
		return nil, s.fail(ctx, err)
	}
	return &answered[Model]{Body: m}, nil
}

func (s *server) addModel(ctx context.Context, in *struct {
	UploadBody
	Name        string `query:"name" required:"true" pattern:"^[a-z0-9][a-z0-9._-]{0,62}$" example:"yard" doc:"The model's name."`
	Description string `query:"description" maxLength:"1000" doc:"For people; used when the model is new."`
	Licence     string `query:"licence" maxLength:"200" example:"Apache-2.0" doc:"Under which terms the file may be used."`
	Source      string `query:"source" maxLength:"1000" doc:"Where the file came from."`
	SHA256      string `query:"sha256" pattern:"^[0-9a-fA-F]{64}$" doc:"Checksum of the file; another file is refused."`
	Family      string `query:"family" maxLength:"40" example:"yolov8" doc:"How the outputs are laid out; found out when it is not given."`

	Contract []string `query:"contract,explode" maxItems:"100" example:"[\"input.scale=1/255\"]" doc:"Parts of the contract as KEY=VALUE, where they cannot be found out. docs/models.md lists the keys."`
},
) (*struct {
	Status   int
	Location string `header:"Location" doc:"Address of the model."`
	Body     AddedModel
}, error,
) {
	f, err := in.open(maxModelBytes)
	if err == nil {
		err = f.accept("application/onnx", "application/x-onnx")
	}
	if err != nil {
		return nil, s.fail(ctx, err)
	}
	contract := map[string]string{}
	for _, item := range in.Contract {
		key, value, ok := strings.Cut(item, "=")
		if !ok {
			return nil, invalid("query.contract", "each item must be KEY=VALUE, as in input.scale=1/255")
		}
		contract[key] = value
	}
	status := http.StatusCreated
	v, err := s.Models.Add(ctx, NewModel{
		Name: in.Name, Description: in.Description, Licence: in.Licence, Source: in.Source,
		Family: in.Family, Contract: contract, SHA256: in.SHA256,
	}, f)
	switch {
	case errors.Is(err, store.ErrExists):
		status = http.StatusOK
	case err != nil:
		return nil, s.fail(ctx, err)
	default:
		s.Announcer.ModelsChanged()
	}
	m, err := s.model(ctx, in.Name)
	if err != nil {
		return nil, s.fail(ctx, err)
	}
	return &struct {
		Status   int
		Location string `header:"Location" doc:"Address of the model."`
		Body     AddedModel
	}{status, base + "/models/" + in.Name, AddedModel{m, v.Version}}, nil
}

func (s *server) deleteModelVersion(ctx context.Context, in *VersionPath) (*struct{}, error) {
	if err := s.Models.Remove(ctx, in.ModelName, in.Version); err != nil {
		return nil, s.fail(ctx, err)
	}
	s.Announcer.ModelsChanged()
	return nil, nil
}

func (s *server) deleteModel(ctx context.Context, in *ModelPath) (*struct{}, error) {
	if err := s.Models.RemoveModel(ctx, in.ModelName); err != nil {
		return nil, s.fail(ctx, err)
	}
	s.Announcer.ModelsChanged()
	return nil, nil
}

// model returns the model in its JSON form.
func (s *server) model(ctx context.Context, name string) (Model, error) {
	m, err := s.Records.Model(ctx, name, false)
	if err != nil {
		return Model{}, err
	}
	if m.Versions, err = s.versions(ctx, name, math.MaxInt32, shownVersions); err != nil {
		return Model{}, err
	}
	running, err := s.running(ctx)
	if err != nil {
		return Model{}, err
	}
	measured, err := s.measured(ctx, m.Versions...)
	return newModel(m, running, measured), err
}

// running tells for each model version on which cameras it is set to run.
func (s *server) running(ctx context.Context) (map[store.VersionKey][]string, error) {
	records, err := s.Records.ListRunningModels(ctx)
	if err != nil {
		return nil, err
	}
	cameras, err := s.Records.ListCameras(ctx, "")
	if err != nil {
		return nil, err
	}
	// The versions that models without one, or with an alias, stand for.
	resolved := map[detect.Ref]int{}
	out := map[store.VersionKey][]string{}
	for _, c := range cameras {
		e := s.effective(records, c.ClientID, c.ID)
		if e.Alias != "" || e.Version == 0 {
			ref := detect.Ref{Model: e.Model, Alias: e.Alias}
			if _, known := resolved[ref]; !known {
				v, err := s.version(ctx, ref.Model, 0, ref.Alias)
				if err != nil && !errors.Is(err, store.ErrNotFound) {
					return nil, err
				}
				resolved[ref] = v.Version
			}
			e.Version = resolved[ref]
		}
		key := store.VersionKey{Model: e.Model, Version: e.Version}
		out[key] = append(out[key], c.ClientID+"/"+c.ID)
	}
	return out, nil
}

func newModel(m store.Model, running map[store.VersionKey][]string, measured map[store.VersionKey][]Measurement) Model {
	out := Model{
		Name: m.Name, Description: m.Description, Label: m.Label, Revision: m.Revision, CreatedAt: Time{m.CreatedAt},
		Aliases: filled(m.Aliases), Tags: filled(m.Tags), Count: m.Count, Versions: make([]ModelVersion, 0, len(m.Versions)),
	}
	for _, v := range m.Versions {
		out.Versions = append(out.Versions, newModelVersion(v, running, measured))
	}
	return out
}

func newModelVersion(v store.ModelVersion, running map[store.VersionKey][]string, measured map[store.VersionKey][]Measurement) ModelVersion {
	var c detect.Contract
	_ = json.Unmarshal(v.Contract, &c) // written by this program; an unreadable one shows as empty
	return ModelVersion{
		Version: v.Version, SHA256: v.SHA256, Bytes: v.Size, Family: v.Family, Licence: v.Licence, Source: v.Source,
		Labels: append([]string{}, c.Labels...), CreatedAt: Time{v.CreatedAt},
		Lineage: newLineage(v), Check: newModelCheck(v), Running: append([]string{}, running[store.VersionKey{Model: v.Model, Version: v.Version}]...),
		Measured:    append([]Measurement{}, measured[store.VersionKey{Model: v.Model, Version: v.Version}]...),
		Description: v.Description, Aliases: append([]string{}, v.Aliases...), Tags: filled(v.Tags),
		Input: ModelInput{
			Width: c.Input.Width, Height: c.Input.Height, Layout: string(c.Input.Layout),
			Colour: string(c.Input.Colour), Resize: string(c.Input.Resize),
		},
	}
}
