// Package api is detectd's HTTP API: the routes below /api/v1 with their JSON
// forms, validation and OpenAPI description, one file per resource.
//
// It holds no state. Records come from the store; whatever moves (camera
// workers, detector, renders, live video) is reached through the interfaces in
// deps.go, which the daemon fills.
package api

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humachi"
	"github.com/go-chi/chi/v5"
)

// base is where all resources live.
const base = "/api/v1"

// specPath is where the OpenAPI description is served.
const specPath = "/api/openapi.json"

// server answers the requests. Its methods are the handlers.
type server struct {
	Deps
	huma huma.API
}

// New returns the handler of everything below /api. It starts no goroutines;
// streams end with their requests.
func New(deps Deps) (http.Handler, error) {
	router, s := newRouter(deps)
	spec, err := s.spec()
	if err != nil {
		return nil, err
	}
	router.Get(specPath, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		_, _ = w.Write(spec)
	})
	return router, nil
}

// OpenAPI returns the description of the API as indented JSON. It is the same
// for every run of one build.
func OpenAPI() ([]byte, error) {
	_, s := newRouter(Deps{Log: slog.New(slog.DiscardHandler)})
	return s.spec()
}

// newRouter builds the routes. It works with empty Deps as long as no request is made.
func newRouter(deps Deps) (*chi.Mux, *server) {
	router := chi.NewRouter()
	router.NotFound(func(w http.ResponseWriter, r *http.Request) {
		WriteProblem(w, http.StatusNotFound, "there is nothing at "+r.URL.Path)
	})
	router.MethodNotAllowed(func(w http.ResponseWriter, r *http.Request) {
		WriteProblem(w, http.StatusMethodNotAllowed, r.Method+" is not possible at "+r.URL.Path)
	})
	s := &server{Deps: deps}
	s.huma = huma.NewAPI(s.config(), adapter{humachi.NewAdapter(router)})
	s.huma.UseMiddleware(noStore)
	s.routeClients()
	s.routeCameras()
	s.routeZones()
	s.routeLive()
	s.routeDetections()
	s.routeUploads()
	s.routeResults()
	s.routeTracks()
	s.routeEvents()
	s.routeRecordings()
	s.routeMovies()
	s.routeTimeline()
	s.routeCoverage()
	s.routeKeeps()
	s.routeModels()
	s.routeMeasurements()
	s.routeAliases()
	s.routeCatalogue()
	s.routeGates()
	s.routePromotions()
	s.routeRunningModels()
	s.routeRunningHistory()
	s.routeRunningStates()
	s.routeReports()
	s.routeSystem()
	s.routeCheck()
	s.routeLater()
	return router, s
}

func (s *server) config() huma.Config {
	return huma.Config{
		OpenAPI: &huma.OpenAPI{
			OpenAPI: "3.1.0",
			Info: &huma.Info{
				Title:   "detectd",
				Version: "1",
				Description: "Cameras, detections, recordings and models of one detectd. " +
					"Times are RFC 3339 in UTC with milliseconds, durations are milliseconds, boxes are pixels of the source picture. " +
					"Errors are problem details (RFC 9457).",
				License: &huma.License{Name: "Apache-2.0", Identifier: "Apache-2.0"},
			},
			Tags: tags(),
		},
		Formats:       map[string]huma.Format{"application/json": huma.DefaultJSONFormat, "json": huma.DefaultJSONFormat},
		DefaultFormat: "application/json",
		Transformers:  []huma.Transformer{redact},
	}
}

func tags() []*huma.Tag {
	return []*huma.Tag{
		{Name: "Clients", Description: "Owners of cameras: sites, customers, departments."},
		{Name: "Cameras", Description: "Sources of video, their condition, live view and pictures."},
		{Name: "Zones", Description: "What is watched in the cameras' pictures: zones, lines, masks, and what was counted there."},
		{Name: "Detections", Description: "Objects found, frame by frame, and detection in uploads."},
		{Name: "Results", Description: "Rendered stills and clips, and annotated uploads."},
		{Name: "Tracks", Description: "Objects followed through frames."},
		{Name: "Events", Description: "The log of what happened, and the live stream."},
		{Name: "Recordings", Description: "Recorded video as it came from the cameras."},
		{Name: "Models", Description: "The model registry."},
		{Name: "Promotions", Description: "Versions on their way to the cameras: shadow, canary, roll back."},
		{Name: "Running models", Description: "Which model runs where, with which settings."},
		{Name: "Reports", Description: "Roll-ups and single inferences."},
		{Name: "System", Description: "The daemon and its machine."},
		{Name: "Later", Description: "Resources that have their place and are not part of this version."},
	}
}

func (s *server) spec() ([]byte, error) {
	compact, err := json.Marshal(s.huma.OpenAPI())
	if err != nil {
		return nil, fmt.Errorf("encode OpenAPI description: %w", err)
	}
	// Through a generic value, so that all keys are in alphabetical order.
	var v any
	if err := json.Unmarshal(compact, &v); err != nil {
		return nil, fmt.Errorf("read OpenAPI description: %w", err)
	}
	spec, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("encode OpenAPI description: %w", err)
	}
	return append(spec, '\n'), nil
}

// adapter registers routes with chi. A chi parameter cannot be followed by a
// suffix that may occur in its value, as in {time}.jpg: the handler cuts it off.
type adapter struct{ huma.Adapter }

// Handle implements huma.Adapter.
func (a adapter) Handle(op *huma.Operation, handler func(huma.Context)) {
	route := *op
	route.Path = strings.Replace(op.Path, "}"+jpgSuffix, "}", 1)
	a.Adapter.Handle(&route, handler)
}

// noStore keeps answers out of caches. Handlers may set another rule.
func noStore(ctx huma.Context, next func(huma.Context)) {
	ctx.SetHeader("Cache-Control", "no-store")
	next(ctx)
}

// operation describes a route. Errors lists the statuses it answers beside
// success; 422 and 500 are added to all.
func operation(method, path, id, tag, summary, description string, errs ...int) huma.Operation {
	return huma.Operation{
		Method: method, Path: base + path, OperationID: id, Tags: []string{tag},
		Summary: summary, Description: description,
		Errors:                       append(errs, http.StatusUnprocessableEntity, http.StatusInternalServerError),
		RejectUnknownQueryParameters: true,
		MaxBodyBytes:                 maxJSONBytes,
	}
}

// Limits of request bodies.
const (
	maxJSONBytes  = 1 << 20
	maxImageBytes = 32 << 20
	maxVideoBytes = 2 << 30
	maxModelBytes = 1<<31 - 1
)
