package api_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"detectd/web/api"
)

func TestCatalogue(t *testing.T) {
	f := newFixture(t)
	a := f.do("GET", "/catalogue", "").want(200)
	require.Equal(t, []any{"free"}, a.all("name"))
	require.InDelta(t, 0, a.get("items.0.version"), 0)
	require.NotContains(t, a.Body.String(), `"pull"`)

	f.do("POST", "/catalogue/other/pull", "").want(404)
	f.do("DELETE", "/catalogue/free/pull", "").want(404)
	f.do("POST", "/catalogue/free/pull", "").want(202)
	f.do("POST", "/catalogue/free/pull", "").want(409)
	require.Equal(t, "fetching", f.do("GET", "/catalogue", "").want(200).get("items.0.pull.state"))
	f.do("DELETE", "/catalogue/free/pull", "").want(204)

	v, err := f.World.Add(t.Context(), api.NewModel{Name: "free"}, strings.NewReader("ONNX free"))
	require.NoError(t, err)
	f.SetPullable(v.SHA256)
	require.InDelta(t, 1, f.do("GET", "/catalogue", "").want(200).get("items.0.version"), 0)
}
