package api_test

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAliasRules(t *testing.T) {
	f := newFixture(t)
	const path = "/models/default/aliases/champion"
	a := f.do("GET", path+"/rules", "").want(200)
	require.Equal(t, "not_failed", a.get("rules.self_check"))
	require.Equal(t, `"0"`, a.Header().Get("ETag"))
	f.do("PUT", path, `{"version":1,"reason":"the first"}`).want(200)

	rules := `{"rules":{"self_check":"any","max_p95_ms":10,"accuracy":[{"dataset":"street","min_ap":0.3,"max_loss":0.01}]},"reason":"site standard"}`
	f.do("PUT", path+"/rules", rules).want(428)
	a = f.do("PUT", path+"/rules", rules, "If-Match", `"0"`).want(200)
	require.InDelta(t, 1, a.get("revision"), 0)
	require.InDelta(t, 10, a.get("rules.max_p95_ms"), 0)
	require.InDelta(t, 0.01, a.get("rules.accuracy.0.max_loss"), 0)
	a = f.do("PUT", path+"/rules", rules, "If-Match", `"0"`).want(412)
	require.Equal(t, "site standard", a.get("current.reason"))
	require.Equal(t, []any{"champion"}, f.do("GET", "/models/default/rules", "").want(200).all("alias"))

	a = f.do("GET", path+"/rules/check?version=1", "").want(200)
	require.Equal(t, false, a.get("passed"))
	require.Equal(t, "not measured", a.get("results.0.measured"))
	a = f.do("PUT", path, `{"version":1,"expect":1}`).want(409)
	require.Equal(t, "default@1 may not become default@champion: AP on street: at least 0.300 is wanted, it is not measured; "+
		"p95 of a call: at most 10.0 ms is wanted, it is not measured on this machine (here)", a.get("detail"))
	require.Equal(t, "AP on street", a.get("results.0.rule"))
	f.do("PUT", path, `{"version":1,"expect":1,"force":true}`).want(422)
	f.do("PUT", path, `{"version":1,"expect":1,"force":true,"reason":"the only one"}`).want(200)
	f.do("PUT", path, `{"version":1,"expect":7,"force":true,"reason":"the only one"}`).want(412)
	require.ElementsMatch(t, []any{"alias.refused", "alias.rules", "alias.moved"}, f.do("GET", "/events", "").want(200).all("kind"))

	f.do("GET", path+"/rules/check?version=9", "").want(404)
	f.do("GET", "/models/none/aliases/champion/rules", "").want(404)
	f.do("GET", "/models/none/rules", "").want(404)
	f.do("PUT", "/models/none/aliases/champion/rules", rules, "If-Match", `"0"`).want(404)
	f.do("PUT", "/models/default/aliases/latest/rules", rules, "If-Match", `"0"`).want(422)
	f.do("PUT", path+"/rules", `{"rules":{"self_check":"maybe"}}`, "If-Match", `"1"`).want(422)
}
