package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
)

// later names the resources that have their place and are not part of this version.
func later() []string { return []string{"reviews", "datasets", "training-jobs"} }

func (s *server) routeLater() {
	for _, name := range later() {
		op := operation(http.MethodGet, "/"+name, "list-"+name, "Later",
			"List "+name, "Not part of this version: answers 501.", http.StatusNotImplemented)
		op.DefaultStatus = http.StatusNotImplemented
		huma.Register(s.huma, op, func(context.Context, *struct{}) (*struct{}, error) {
			return nil, huma.NewError(http.StatusNotImplemented, name+" is not part of this version")
		})
	}
}
