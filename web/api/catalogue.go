package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"detectd/store"
)

// CatalogueModel is a detector that can be pulled from the network.
type CatalogueModel struct {
	Name    string  `json:"name" example:"yolox-s" doc:"Its name, also as a model."`
	Title   string  `json:"title" example:"YOLOX-S" doc:"For people."`
	Licence string  `json:"licence" example:"Apache-2.0" doc:"Under which terms it may be used."`
	Source  string  `json:"source" doc:"Page of those who made it."`
	URL     string  `json:"url" doc:"Where the file is."`
	SHA256  string  `json:"sha256" doc:"Of the file."`
	Bytes   int64   `json:"bytes" doc:"Size of the file."`
	AP      float64 `json:"ap" example:"40.5" doc:"Accuracy that its makers publish, AP on COCO val2017, 0 to 100."`
	Width   int     `json:"width" example:"640" doc:"Pixels of the pictures it wants."`
	Height  int     `json:"height" example:"640" doc:"Pixels of the pictures it wants."`
	Version int     `json:"version" example:"1" doc:"Version of the model that is this file; 0 when it is not here."`
	Pull    *Pull   `json:"pull,omitempty" doc:"The latest pull since the start; absent when there was none."`
}

// Pull is how far the pull of a model has come.
type Pull struct {
	State string `json:"state" enum:"waiting,fetching,examining,done,failed" doc:"Waiting for the one before it, fetching, examining the file, or ended."`
	Done  int64  `json:"done" doc:"Bytes that are here."`
	Total int64  `json:"total" doc:"Bytes that will be; 0 when the server does not say."`
	Error string `json:"error,omitempty" doc:"Why it failed."`
}

// Catalogue pulls models from the network.
type Catalogue interface {
	// Models lists the models that can be pulled, without their versions.
	Models() []CatalogueModel
	// Pull begins to pull one. Errors: store.ErrNotFound, store.ErrInUse while it is
	// being pulled.
	Pull(ctx context.Context, name string) error
	// StopPull ends a pull. store.ErrNotFound when there is none.
	StopPull(name string) error
}

// CataloguePath is a model of the catalogue in a path.
type CataloguePath struct {
	Name string `path:"name" maxLength:"63" example:"yolox-s" doc:"Its name."`
}

func (s *server) routeCatalogue() {
	const tag = "Models"
	huma.Register(s.huma, operation(http.MethodGet, "/catalogue", "list-catalogue", tag,
		"List models that can be pulled", "Detectors that are free to use and not part of detectd, and how far each pull has come."), s.listCatalogue)
	pull := operation(http.MethodPost, "/catalogue/{name}/pull", "pull-model", tag,
		"Pull a model", "Begins to fetch a model and to add it. The list says how far it has come. 409 while it is being pulled.", 404, 409, 507)
	pull.DefaultStatus = http.StatusAccepted
	huma.Register(s.huma, pull, s.pullModel)
	huma.Register(s.huma, operation(http.MethodDelete, "/catalogue/{name}/pull", "stop-pull", tag,
		"Stop a pull", "What was fetched is kept, and the next pull goes on from there.", 404), s.stopPull)
}

func (s *server) listCatalogue(ctx context.Context, _ *struct{}) (*listed[CatalogueModel], error) {
	list := s.Catalogue.Models()
	for i, m := range list {
		found, err := s.Records.SearchVersions(ctx, store.Search{Limit: 1, Terms: []store.Term{
			{Field: "name", Op: "=", Value: m.Name}, {Field: "sha256", Op: "=", Value: m.SHA256},
		}})
		if err != nil {
			return nil, s.fail(ctx, err)
		}
		if len(found) > 0 {
			list[i].Version = found[0].Version
		}
	}
	return newList(list, "", func(m CatalogueModel) CatalogueModel { return m }), nil
}

func (s *server) pullModel(ctx context.Context, in *CataloguePath) (*struct{}, error) {
	if err := s.Catalogue.Pull(ctx, in.Name); err != nil {
		return nil, s.fail(ctx, err)
	}
	return nil, nil
}

func (s *server) stopPull(ctx context.Context, in *CataloguePath) (*struct{}, error) {
	if err := s.Catalogue.StopPull(in.Name); err != nil {
		return nil, s.fail(ctx, err)
	}
	return nil, nil
}
