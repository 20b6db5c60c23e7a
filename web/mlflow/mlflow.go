// Package mlflow lets clients of MLflow use detectd as their tracking server,
// registry and artifact store: the REST routes of MLflow 3 that its Python client
// needs to log, register, find and fetch models. docs/mlflow.md lists them.
//
// A model version registered here is taken in like any other model file: what is
// no detector is refused. The wire rules are those of MLflow's protos
// (mlflow/protos/service.proto, model_registry.proto, mlflow_artifacts.proto).
package mlflow

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"strings"

	"github.com/go-chi/chi/v5"

	"detectd/store"
	"detectd/web/api"
)

// Version is the newest release of MLflow whose client was tried with this package.
const Version = "3.17.2"

// Deps is what the handlers work with. All fields but Auth are required.
type Deps struct {
	Log     *slog.Logger
	Records Records
	Blobs   store.Blobs
	Models  Models
	Aliases Aliases
	// Changed is told when the registry's versions are others.
	Changed func()
	Auth    Auth // the zero value asks clients for nothing
}

// Records is what is kept of models and of what clients track.
type Records interface {
	store.Models
	store.Registry
	store.Tracking
}

// Models takes model files in, checked, and deletes them.
type Models interface {
	// Add is Add of api.Models.
	Add(ctx context.Context, m api.NewModel, r io.Reader) (store.ModelVersion, error)
	// Remove is Remove of api.Models.
	Remove(ctx context.Context, name string, version int) error
	// RemoveModel deletes a model with all versions. store.ErrInUse as Remove.
	RemoveModel(ctx context.Context, name string) error
}

// Aliases moves aliases by their rules.
type Aliases interface {
	// Move is Move of api.Aliases.
	Move(ctx context.Context, c store.AliasChange) error
}

// server answers the requests.
type server struct{ Deps }

// New returns the handlers by pattern of net/http.
func New(deps Deps) map[string]http.Handler {
	s := &server{deps}
	router := chi.NewRouter()
	router.NotFound(noEndpoint)
	router.MethodNotAllowed(noEndpoint)
	for _, prefix := range []string{"/api/2.0", "/ajax-api/2.0"} {
		router.Route(prefix+"/mlflow", s.routes)
		router.Route(prefix+"/mlflow-artifacts", s.routeArtifacts)
	}
	for _, prefix := range []string{"/api/3.0", "/ajax-api/3.0"} {
		router.Get(prefix+"/mlflow/server-info", s.handle(serverInfo))
	}
	router.Get("/version", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, Version) })
	router.Get("/health", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "OK") })
	guarded := s.Auth.protect(router)
	return map[string]http.Handler{
		"/api/2.0/": guarded, "/api/3.0/": guarded, "/ajax-api/": guarded, "/version": router, "/health": router,
	}
}

func (s *server) routes(r chi.Router) {
	s.routeExperiments(r)
	s.routeRuns(r)
	s.routeLogged(r)
	s.routeModels(r)
	s.routeVersions(r)
}

// answer is the JSON object of an answer; nil is {}.
type answer map[string]any

// handler answers a request with given parameters.
type handler func(ctx context.Context, in params) (answer, error)

// handle reads the parameters from the query of a GET, else from the JSON body.
// Parts of the path come on top.
func (s *server) handle(h handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		in, err := parse(w, r)
		if err == nil {
			var out answer
			if out, err = h(r.Context(), in); err == nil {
				if out == nil {
					out = answer{}
				}
				reply(w, http.StatusOK, out)
				return
			}
		}
		s.fail(w, r, err)
	}
}

// serverInfo tells newer clients what this server can do. Transfers in parts and
// by signed address are for object stores.
func serverInfo(context.Context, params) (answer, error) {
	return answer{
		"store_type": "SqlStore", "workspaces_enabled": false,
		"multipart_uploads_enabled": false, "multipart_downloads_enabled": false,
	}, nil
}

func noEndpoint(w http.ResponseWriter, r *http.Request) {
	write(w, failure{"ENDPOINT_NOT_FOUND", r.Method + " " + strings.TrimPrefix(r.URL.Path, "/") + " is not part of what detectd offers of MLflow"})
}
