package api_test

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAliasesAndTags(t *testing.T) {
	f := newFixture(t)
	add := func(content string) {
		f.do("POST", "/models?name=yard&licence=MIT", content, "Content-Type", "application/octet-stream").want(201)
	}
	add("ONNX one")
	add("ONNX two")
	f.Announced()

	f.do("PUT", "/models/yard/aliases/champion", `{"version":1}`).want(200)
	require.Equal(t, []string{"models"}, f.Announced())
	a := f.do("PUT", "/models/yard/aliases/champion", `{"version":2}`).want(412)
	require.Contains(t, a.get("detail"), "names version 1")
	require.EqualValues(t, 1, a.get("current.aliases.champion"), "what is stored comes along")
	a = f.do("PUT", "/models/yard/aliases/champion", `{"version":2,"expect":1}`).want(200)
	require.Equal(t, []any{"champion"}, a.get("versions.0.aliases"))
	require.EqualValues(t, 2, f.do("GET", "/models/yard/aliases/champion", "").want(200).get("version"))
	f.do("GET", "/models/yard/aliases/none", "").want(404)
	for _, alias := range []string{"latest", "v1", "9lives", "a.b"} {
		f.do("PUT", "/models/yard/aliases/"+alias, `{"version":1}`).want(422)
	}
	f.do("PUT", "/models/yard/aliases/canary", `{"version":7}`).want(404)
	require.Contains(t, f.do("DELETE", "/models/yard/versions/2", "").want(409).get("detail"), "champion")
	f.do("POST", "/detections/image?model=yard@champion", "PICTURE", "Content-Type", "image/jpeg").want(200)
	f.do("POST", "/detections/image?model=yard@none", "PICTURE", "Content-Type", "image/jpeg").want(404)

	a = f.do("PATCH", "/models/yard", `{"description":"watches the yard","set_tags":{"team":"zoo"}}`).want(200)
	require.Equal(t, "zoo", a.get("tags.team"))
	f.do("PATCH", "/models/yard", `{"description":"other"}`, "If-Match", `"1"`).want(412)
	a = f.do("PATCH", "/models/yard/versions/1", `{"description":"the first","set_tags":{"size":"small"}}`).want(200)
	require.Equal(t, "small", a.get("versions.1.tags.size"))
	f.do("PATCH", "/models/yard/versions/9", `{}`).want(404)
	f.do("PATCH", "/models/none", `{}`).want(404)

	for query, want := range map[string][]any{
		"yard": {"yard"}, "CHAMPION": {"yard"}, "team=zoo+mit": {"yard"}, "size=small": {"yard"}, "nothing": {}, "zoo+nothing": {}, "": {"default", "yard"},
	} {
		require.Equal(t, want, f.do("GET", "/models?query="+query, "").want(200).all("name"), query)
	}
	fields := f.do("GET", "/models/yard/diff?from=1&to=2", "").want(200).all("field")
	require.Subset(t, fields, []any{"sha256", "tags.size", "aliases", "description"})
	require.Empty(t, f.do("GET", "/models/yard/diff?from=1&to=1", "").want(200).get("items"))
	f.do("GET", "/models/yard/diff?from=1&to=9", "").want(404)

	f.do("DELETE", "/models/yard/aliases/champion?expect=1", "").want(412)
	f.do("DELETE", "/models/yard/aliases/champion?expect=2", "").want(204)
	f.do("DELETE", "/models/yard/aliases/champion", "").want(404)
}
