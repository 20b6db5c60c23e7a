package api_test

import (
	"encoding/json"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/danielgtaylor/huma/v2"
	"github.com/go-chi/chi/v5"
	"github.com/stretchr/testify/require"

	"detectd/web/api"
)

func operations(spec *huma.OpenAPI) map[string]*huma.Operation {
	out := map[string]*huma.Operation{}
	for path, item := range spec.Paths {
		for method, op := range map[string]*huma.Operation{
			"GET": item.Get, "POST": item.Post, "PUT": item.Put, "DELETE": item.Delete,
			"PATCH": item.Patch, "HEAD": item.Head, "OPTIONS": item.Options,
		} {
			if op != nil {
				out[method+" "+path] = op
			}
		}
	}
	return out
}

func TestEveryRouteIsDescribedAndTheOtherWayRound(t *testing.T) {
	routes, spec := api.Routes()
	var routed []string
	require.NoError(t, chi.Walk(routes, func(method, route string, _ http.Handler, _ ...func(http.Handler) http.Handler) error {
		routed = append(routed, method+" "+strings.Replace(route, "/frames/{time}", "/frames/{time}.jpg", 1))
		return nil
	}))
	var described []string
	for name := range operations(spec) {
		described = append(described, name)
	}
	require.ElementsMatch(t, described, routed)
	require.Greater(t, len(routed), 35)
}

func TestOperationsAreDescribedInFull(t *testing.T) {
	_, spec := api.Routes()
	tags := map[string]bool{}
	for _, tag := range spec.Tags {
		tags[tag.Name] = true
	}
	param := regexp.MustCompile(`\{(\w+)\}`)
	seen := map[string]bool{}
	for name, op := range operations(spec) {
		require.NotEmpty(t, op.Summary, name)
		require.NotEmpty(t, op.Description, name)
		require.Len(t, op.Tags, 1, name)
		require.True(t, tags[op.Tags[0]], name)
		require.False(t, seen[op.OperationID], "%s has the id of another operation", name)
		seen[op.OperationID] = true
		require.Contains(t, op.Responses, "500", name)
		require.Contains(t, op.Responses, "422", name)
		if strings.Contains(op.Path, "{") {
			require.Contains(t, op.Responses, "404", name)
		}
		in := map[string]bool{}
		for _, p := range op.Parameters {
			require.NotEmpty(t, p.Description, "%s: parameter %s", name, p.Name)
			if p.In == "path" {
				in[p.Name] = true
			}
		}
		for _, m := range param.FindAllStringSubmatch(op.Path, -1) {
			require.True(t, in[m[1]], "%s: parameter %s is not described", name, m[1])
			delete(in, m[1])
		}
		require.Empty(t, in, name)
		for code, r := range op.Responses {
			require.NotEmpty(t, r.Description, "%s %s", name, code)
		}
	}
}

func TestMembersOfRecordsAreDescribed(t *testing.T) {
	_, spec := api.Routes()
	for name, schema := range spec.Components.Schemas.Map() {
		if name == "ErrorModel" || name == "RevisionProblem" || name == "GateProblem" {
			continue // huma's
		}
		for member, s := range schema.Properties {
			require.NotEmpty(t, s.Description, "%s.%s", name, member)
			if s.Type == huma.TypeArray {
				require.False(t, s.Nullable, "%s.%s may be null", name, member)
			}
		}
	}
}

func TestOpenAPIIsStableAndReferencesResolve(t *testing.T) {
	first, err := api.OpenAPI()
	require.NoError(t, err)
	second, err := api.OpenAPI()
	require.NoError(t, err)
	require.Equal(t, string(first), string(second))

	var doc map[string]any
	require.NoError(t, json.Unmarshal(first, &doc))
	require.Equal(t, "3.1.0", doc["openapi"])
	schemas := doc["components"].(map[string]any)["schemas"].(map[string]any)
	var walk func(v any)
	refs := 0
	walk = func(v any) {
		switch x := v.(type) {
		case map[string]any:
			if ref, ok := x["$ref"].(string); ok {
				refs++
				require.Contains(t, schemas, strings.TrimPrefix(ref, "#/components/schemas/"))
			}
			for _, m := range x {
				walk(m)
			}
		case []any:
			for _, m := range x {
				walk(m)
			}
		}
	}
	walk(doc)
	require.Greater(t, refs, 50)
}

func TestOpenAPIIsServed(t *testing.T) {
	f := newFixture(t)
	h, err := api.New(f.Deps())
	require.NoError(t, err)
	f.handler = h
	got := f.send(newRequest(t, "GET", "/api/openapi.json", "")).want(200)
	want, err := api.OpenAPI()
	require.NoError(t, err)
	require.Equal(t, string(want), got.Body.String())
}

func TestPathsThatAreNotThere(t *testing.T) {
	f := newFixture(t)
	a := f.send(newRequest(t, "GET", "/api/v1/nothing", "")).want(404)
	require.Equal(t, "application/problem+json", a.Header().Get("Content-Type"))
	a = f.send(newRequest(t, "PATCH", "/api/v1/clients", "")).want(405)
	require.Equal(t, "application/problem+json", a.Header().Get("Content-Type"))
}

func TestLaterResourcesSaySo(t *testing.T) {
	f := newFixture(t)
	for _, name := range []string{"reviews", "datasets", "training-jobs"} {
		a := f.do("GET", "/"+name, "").want(501)
		require.Equal(t, name+" is not part of this version", a.get("detail"))
	}
}
