package api_test

import (
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/danielgtaylor/huma/v2"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"detectd/pipeline/promote"
	"detectd/store"
	"detectd/store/sqlite"
	"detectd/web/api"
	"detectd/web/api/apitest"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("database/sql.(*DB).connectionOpener"))
}

// fixture is the real handler over the real record store, with a client
// "default" and a model "default@1".
type fixture struct {
	*apitest.World
	t       *testing.T
	handler http.Handler
	spec    *huma.OpenAPI
}

// open returns an empty record store.
func open(t testing.TB) store.Records {
	t.Helper()
	records, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "test.db"), slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, records.Close()) })
	return records
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	records := open(t)
	f := &fixture{World: apitest.New(t, records), t: t}
	deps := f.Deps()
	deps.Aliases = promote.NewKeeper(records, "here")
	f.handler, f.spec = api.NewTested(deps)
	_, err := records.CreateClient(t.Context(), store.Client{ID: "default", Name: "Default"})
	require.NoError(t, err)
	_, err = f.World.Add(t.Context(), api.NewModel{Name: "default"}, strings.NewReader("ONNX default"))
	require.NoError(t, err)
	return f
}

// camera adds a camera through the API.
func (f *fixture) camera(id string) {
	f.t.Helper()
	f.do("POST", "/cameras", `{"id":"`+id+`","name":"`+id+`","url":"rtsp://10.0.0.5/`+id+`"}`).want(201)
}

// answer is what came back, checked against the description of the API.
type answer struct {
	*httptest.ResponseRecorder
	t    *testing.T
	what string
	json any
}

// do makes a request below /api/v1; headers come in pairs. Every answer must be
// of a status and a schema that the description has for this operation.
func (f *fixture) do(method, path, body string, headers ...string) *answer {
	f.t.Helper()
	var reader io.Reader
	if body != "" {
		reader = strings.NewReader(body)
	}
	return f.send(httptest.NewRequestWithContext(f.t.Context(), method, "/api/v1"+path, reader), headers...)
}

func (f *fixture) send(r *http.Request, headers ...string) *answer {
	f.t.Helper()
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	if r.Body != nil && r.Header.Get("Content-Type") == "" {
		r.Header.Set("Content-Type", "application/json")
	}
	a := &answer{ResponseRecorder: httptest.NewRecorder(), t: f.t, what: r.Method + " " + r.URL.Path}
	f.handler.ServeHTTP(a, r)
	f.conform(r, a)
	return a
}

// conform checks an answer against the description.
func (f *fixture) conform(r *http.Request, a *answer) {
	f.t.Helper()
	op := find(f.spec, r.Method, r.URL.Path)
	if op == nil {
		return
	}
	response := op.Responses[strconv.Itoa(a.Code)]
	require.NotNil(f.t, response, "%s: status %d is not described: %s", a.what, a.Code, a.Body)
	kind := a.Header().Get("Content-Type")
	if !strings.HasSuffix(kind, "json") {
		return
	}
	require.NoError(f.t, json.Unmarshal(a.Body.Bytes(), &a.json), a.what)
	media := response.Content[kind]
	require.NotNil(f.t, media, "%s: %s is not described for status %d", a.what, kind, a.Code)
	var res huma.ValidateResult
	huma.Validate(f.spec.Components.Schemas, media.Schema, huma.NewPathBuffer(nil, 0), huma.ModeReadFromServer, a.json, &res)
	require.Empty(f.t, res.Errors, "%s: %s", a.what, a.Body)
}

// find returns the operation that a path belongs to, literal paths first.
func find(spec *huma.OpenAPI, method, path string) *huma.Operation {
	var best *huma.Operation
	for pattern, item := range spec.Paths {
		op := map[string]*huma.Operation{"GET": item.Get, "POST": item.Post, "PUT": item.Put, "DELETE": item.Delete, "PATCH": item.Patch}[method]
		if op != nil && matches(pattern, path) && (best == nil || strings.Count(pattern, "{") < strings.Count(best.Path, "{")) {
			best = op
		}
	}
	return best
}

func matches(pattern, path string) bool {
	want, got := strings.Split(pattern, "/"), strings.Split(path, "/")
	if len(want) != len(got) {
		return false
	}
	for i := range want {
		if !strings.HasPrefix(want[i], "{") && want[i] != got[i] {
			return false
		}
	}
	return true
}

// want checks the status.
func (a *answer) want(status int) *answer {
	a.t.Helper()
	require.Equal(a.t, status, a.Code, "%s: %s", a.what, a.Body)
	return a
}

// get returns a member of the answer: "items.0.id".
func (a *answer) get(path string) any {
	a.t.Helper()
	v := a.json
	for key := range strings.SplitSeq(path, ".") {
		switch x := v.(type) {
		case map[string]any:
			v = x[key]
		case []any:
			i, err := strconv.Atoi(key)
			require.NoError(a.t, err)
			require.Less(a.t, i, len(x), "%s has %d items", a.what, len(x))
			v = x[i]
		default:
			require.Fail(a.t, "no such member", "%s of %s", path, a.Body)
		}
	}
	return v
}

// ids returns one member of all items.
func (a *answer) all(member string) []any {
	a.t.Helper()
	out := []any{}
	for _, item := range a.get("items").([]any) {
		out = append(out, item.(map[string]any)[member])
	}
	return out
}
