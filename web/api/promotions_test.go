package api_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"detectd/store"
)

func TestPromotions(t *testing.T) {
	f := newFixture(t)
	f.camera("door")
	_, err := f.Records.AddModelVersion(t.Context(), store.Model{Name: "default"}, store.ModelVersion{SHA256: "other", Contract: []byte(`{}`)})
	require.NoError(t, err)
	a := f.do("POST", "/promotions", `{"model":"default","version":2,"alias":"champion","client_id":"default","cameras":["door"],"reason":"sees better","bands":{"max_slowdown":2}}`).want(201)
	require.Equal(t, "shadow", a.get("state"))
	require.InDelta(t, 0.1, a.get("share"), 0)
	require.InDelta(t, 600, a.get("period_s"), 0)
	require.InDelta(t, 2, a.get("bands.max_slowdown"), 0)
	require.InDelta(t, 60, a.get("bands.window_s"), 0)
	id := a.get("id").(string)
	require.Equal(t, "/api/v1/promotions/"+id, a.Header().Get("Location"))
	f.do("POST", "/promotions", `{"model":"default","version":1,"client_id":"default"}`).want(409)

	shadow := store.ShadowReport{
		Model: "default", Version: 2, Since: time.Now(), Active: 10 * time.Second, Cores: 2, Offered: 500, Chosen: 50, Busy: 3, NoRoom: 7, Looked: 40, Same: 30,
		Wall: 4 * time.Second, CPU: 2 * time.Second, Classes: map[string]store.ClassAgreement{
			"car":    {Matched: 1, Missing: 1},
			"person": {Matched: 40, Extra: 10, Missing: 10, ScoreDiff: -4, AbsScoreDiff: 8},
		},
	}
	shadow.Took.Add(100 * time.Millisecond)
	look := store.PromotionLook{Inferences: 70, P95: 12 * time.Millisecond, Rules: []store.GateResult{{Rule: "loads", Wanted: "runs", Measured: "running", Passed: true}}}
	require.NoError(t, f.Records.NotePromotion(t.Context(), store.Promotion{ID: id, Shadow: &shadow, Figures: &look}))
	a = f.do("GET", "/promotions/"+id, "").want(200)
	require.Equal(t, []any{"person", "car"}, []any{a.get("shadow.classes.0.label"), a.get("shadow.classes.1.label")})
	require.InDelta(t, 0.8, a.get("shadow.classes.0.agreement"), 1e-9)
	require.InDelta(t, -0.1, a.get("shadow.classes.0.score_diff"), 1e-9)
	require.InDelta(t, 82./103, a.get("shadow.agreement"), 1e-9)
	require.InDelta(t, 0.1, a.get("shadow.cpu_share"), 1e-9)
	require.InDelta(t, 100, a.get("shadow.mean_ms"), 1e-9)
	require.InDelta(t, 0.75, a.get("shadow.same"), 1e-9)
	require.InDelta(t, 12, a.get("figures.p95_ms"), 0)
	require.Equal(t, "loads", a.get("figures.rules.0.rule"))

	f.do("POST", "/promotions/"+id+"/step", `{"to":"canary","reason":"they agree"}`).want(200)
	f.do("POST", "/promotions/"+id+"/step", `{"to":"watch","force":true}`).want(422)
	f.do("POST", "/promotions/"+id+"/step", `{"to":"everything"}`).want(422)
	a = f.do("POST", "/promotions/"+id+"/step", `{"to":"rolled_back","reason":"no"}`).want(200)
	require.Equal(t, "no", a.get("reason"))
	f.do("POST", "/promotions/"+id+"/step", `{"to":"done"}`).want(409)
	require.Equal(t, []any{id}, f.do("GET", "/promotions?model=default", "").want(200).all("id"))
	require.Empty(t, f.do("GET", "/promotions?model=none", "").want(200).all("id"))

	f.do("GET", "/promotions/none", "").want(404)
	f.do("POST", "/promotions/none/step", `{"to":"done"}`).want(404)
	f.do("POST", "/promotions", `{"model":"default","version":9,"client_id":"default"}`).want(404)
	f.do("POST", "/promotions", `{"model":"default","version":1,"client_id":"default","alias":"latest"}`).want(422)
	f.do("POST", "/promotions", `{"model":"default","version":1,"client_id":"default","force":true}`).want(422)
}
