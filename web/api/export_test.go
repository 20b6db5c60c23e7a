package api

import (
	"net/http"

	"github.com/danielgtaylor/huma/v2"
	"github.com/go-chi/chi/v5"
)

// Routes returns the routes and the description that they were made with.
func Routes() (chi.Routes, *huma.OpenAPI) {
	router, s := newRouter(Deps{})
	return router, s.huma.OpenAPI()
}

// NewTested is New with the description that answers have to follow.
func NewTested(deps Deps) (http.Handler, *huma.OpenAPI) {
	router, s := newRouter(deps)
	return router, s.huma.OpenAPI()
}

// URLProblem is urlProblem.
var URLProblem = urlProblem
