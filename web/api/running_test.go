package api_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"detectd/pipeline"
	"detectd/web/api/apitest"
)

const (
	ofClient = "/running-models/default"
	ofDoor   = "/running-models/default/cameras/door"
)

// withYard is a fixture with a camera and two versions of the model yard.
func withYard(t *testing.T) *fixture {
	t.Helper()
	f := newFixture(t)
	f.camera("door")
	for _, content := range []string{"ONNX one", "ONNX two"} {
		f.do("POST", "/models?name=yard", content, "Content-Type", "application/octet-stream").want(201)
	}
	return f
}

func TestRunningModelFollowsAlias(t *testing.T) {
	f := withYard(t)
	a := f.do("PUT", ofDoor, `{"model":"yard","alias":"champion"}`, "If-Match", `"0"`).want(422)
	require.Equal(t, "body.alias", a.get("errors.0.location"))
	f.do("PUT", "/models/yard/aliases/champion", `{"version":1,"reason":"the first"}`, "Detectd-Author", "ann").want(200)
	require.Equal(t, "body.alias", f.do("PUT", ofDoor, `{"model":"yard","alias":"champion","version":1}`, "If-Match", `"0"`).want(422).get("errors.0.location"))
	a = f.do("PUT", ofDoor, `{"model":"yard","alias":"champion","reason":"try"}`, "If-Match", `"0"`, "Detectd-Author", "ann").want(200)
	require.Equal(t, []any{"champion", 0.0, "ann", "try"}, []any{a.get("alias"), a.get("version"), a.get("updated_by"), a.get("reason")})
	require.Equal(t, map[string]any{"model": "yard", "alias": "champion", "version": 1.0, "from": "camera"}, a.get("effective"))
	require.Equal(t, []any{"default/door"}, f.do("GET", "/models/yard", "").want(200).get("versions.1.running"))

	require.Contains(t, f.do("DELETE", "/models/yard/aliases/champion", "").want(409).get("detail"), `camera "door" of client "default"`)
	require.Contains(t, f.do("DELETE", "/models/yard/versions/1", "").want(409).get("detail"), `camera "door" of client "default"`)
	f.do("PUT", "/models/yard/aliases/champion", `{"version":2,"expect":1,"reason":"better at night"}`, "Detectd-Author", "bob").want(200)
	require.EqualValues(t, 2, f.do("GET", ofDoor, "").want(200).get("effective.version"))
	require.Equal(t, []any{"default/door"}, f.do("GET", "/models/yard", "").want(200).get("versions.0.running"))
	f.do("DELETE", ofDoor+"?reason=enough", "", "If-Match", `"1"`, "Detectd-Author", "cat").want(204)
	a = f.do("GET", ofDoor+"/revisions", "").want(200)
	require.Equal(t, []any{true, "cat", "enough"}, []any{a.get("items.0.deleted"), a.get("items.0.updated_by"), a.get("items.0.reason")})
	f.do("DELETE", "/models/yard/aliases/champion?expect=2&reason=unused", "").want(204)

	a = f.do("GET", "/models/yard/aliases/champion/history", "").want(200)
	f.do("GET", "/models/yard/aliases/none/history", "").want(404)
	require.Equal(t, []any{0.0, 2.0, 1.0}, a.all("to"))
	require.Equal(t, []any{2.0, 1.0, 0.0}, a.all("from"))
	require.Equal(t, []any{"api", "bob", "ann"}, a.all("by"))
	require.Equal(t, []any{"unused", "better at night", "the first"}, a.all("reason"))
}

func TestAllSettingsOfARunningModel(t *testing.T) {
	f := withYard(t)
	f.do("PUT", "/cameras/door/zones", `{"zones":[{"id":"gate","polygon":[[0,0],[1,0],[1,1]]}]}`, "If-Match", `"0"`).want(200)
	body := `{"model":"yard","version":2,"min_score":0.5,"min_scores":{"car":0.6},"nms_iou":0.4,"nms_ious":{"person":0.7},
		"classes":["car","person"],"zones":["gate"],"detect_fps":4,"fast_fps":12,"provider":"cpu"}`
	a := f.do("PUT", ofDoor, body, "If-Match", `"0"`).want(200)
	for member, want := range map[string]any{
		"min_scores.car": 0.6, "nms_iou": 0.4, "nms_ious.person": 0.7, "zones": []any{"gate"}, "fast_fps": 12.0, "provider": "cpu",
	} {
		require.Equal(t, want, a.get(member), member)
		require.Equal(t, want, f.do("GET", ofDoor+"/revisions", "").want(200).get("items.0."+member), member)
	}
	for body, location := range map[string]string{
		`"min_scores":{"unicorn":0.5}`: "body.min_scores.unicorn",
		`"min_scores":{"car":0}`:       "body.min_scores.car",
		`"nms_ious":{"car":1.5}`:       "body.nms_ious.car",
		`"nms_iou":2`:                  "body.nms_iou",
		`"zones":["moon"]`:             "body.zones[0]",
		`"zones":["NO ID"]`:            "body.zones[0]",
		`"fast_fps":100`:               "body.fast_fps",
		`"provider":"abacus"`:          "body.provider",
	} {
		a := f.do("PUT", ofDoor, `{"model":"yard",`+body+`}`, "If-Match", `"1"`).want(422)
		require.Equal(t, location, a.get("errors.0.location"), body)
	}
	f.do("PUT", ofClient, `{"model":"yard","zones":["moon"]}`, "If-Match", `"0"`).want(200)
}

func TestOldRevisionsComeBack(t *testing.T) {
	f := withYard(t)
	for _, at := range []string{ofClient, ofDoor} {
		f.do("PUT", at, `{"model":"yard","version":1,"min_scores":{"car":0.6},"classes":["car"]}`, "If-Match", `"0"`).want(200)
		f.do("PUT", at, `{"model":"yard","min_scores":{"person":0.3},"detect_fps":4}`, "If-Match", `"1"`).want(200)
		f.do("DELETE", at, "", "If-Match", `"2"`).want(204)

		type row = map[string]any
		diff := func(query string) []any {
			items, _ := f.do("GET", at+"/diff?"+query, "").want(200).get("items").([]any)
			return items
		}
		require.Equal(t, []any{
			row{"field": "classes", "from": `["car"]`, "to": ""},
			row{"field": "detect_fps", "from": "", "to": "4"},
			row{"field": "min_scores.car", "from": "0.6", "to": ""},
			row{"field": "min_scores.person", "from": "", "to": "0.3"},
			row{"field": "version", "from": "1", "to": "newest"},
		}, diff("from=1&to=2"))
		require.Empty(t, diff("from=2&to=2"))
		require.Empty(t, diff("from=0&to=3"), "removed is as none")
		require.Contains(t, diff("from=0&to=1"), row{"field": "model", "from": "", "to": "yard"})
		f.do("GET", at+"/diff?from=1&to=9", "").want(404)

		f.Announced()
		restore := func(revision, body, match string, status int) *answer {
			return f.do("POST", at+"/revisions/"+revision+"/restore", body, "If-Match", match, "Detectd-Author", "ann").want(status)
		}
		restore("1", `{}`, "*", 428)
		restore("9", `{}`, `"0"`, 404)
		a := restore("1", `{}`, `"2"`, 412)
		require.Equal(t, []any{3.0, true}, []any{a.get("current.revision"), a.get("current.deleted")})
		a = f.do("GET", at, "").want(200)
		require.Equal(t, []any{3.0, true, "", `"3"`}, []any{a.get("revision"), a.get("deleted"), a.get("model"), a.Header().Get("ETag")})
		a = restore("1", `{"reason":"the deletion was wrong"}`, `"3"`, 200)
		require.Equal(t, []any{4.0, 1.0, "ann", "the deletion was wrong", map[string]any{"car": 0.6}},
			[]any{a.get("revision"), a.get("version"), a.get("updated_by"), a.get("reason"), a.get("min_scores")})
		require.Empty(t, diff("from=1&to=4"))
		require.EqualValues(t, 5, restore("2", `{}`, `"4"`, 200).get("revision"))
		require.Equal(t, true, restore("3", `{"reason":"back to none"}`, `"5"`, 200).get("deleted"), "taking up a removal removes")
		a = f.do("GET", at+"/revisions", "").want(200)
		require.Equal(t, []any{6.0, 5.0, 4.0, 3.0, 2.0, 1.0}, a.all("revision"))
		require.Equal(t, []any{true, "back to none", "ann"}, []any{a.get("items.0.deleted"), a.get("items.0.reason"), a.get("items.0.updated_by")})
		require.Len(t, f.Announced(), 3)
	}
	// What cannot run any more does not come back.
	f.do("DELETE", "/models/yard/versions/1", "").want(204)
	require.Equal(t, "body.version", f.do("POST", ofDoor+"/revisions/1/restore", `{}`, "If-Match", `"0"`).want(422).get("errors.0.location"))
}

// TestWhatFailedItsCheckRunsOnlyWhenForced: a version named by its number.
func TestWhatFailedItsCheckRunsOnlyWhenForced(t *testing.T) {
	f := withYard(t)
	f.do("POST", "/models?name=yard", "ONNX checked", "Content-Type", "application/octet-stream").want(201)
	a := f.do("PUT", ofDoor, `{"model":"yard","version":3}`, "If-Match", `"0"`).want(409)
	require.Equal(t, "yard@3 may not run unless that is forced, with a reason: self-check: no failure is wanted, it is fail, red is blue", a.get("detail"))
	require.Equal(t, "self-check", a.get("results.0.rule"))
	require.Equal(t, "body.reason", f.do("PUT", ofDoor, `{"model":"yard","version":3,"force":true}`, "If-Match", `"0"`).want(422).get("errors.0.location"))
	require.EqualValues(t, 0, f.do("GET", ofDoor, "").want(200).get("revision"))

	a = f.do("PUT", ofDoor, `{"model":"yard","version":3,"force":true,"reason":"the picture is odd"}`, "If-Match", `"0"`).want(200)
	require.Equal(t, "the picture is odd (forced, the self-check says: fail, red is blue)", a.get("reason"))
	f.do("PUT", ofDoor, `{"model":"yard","version":3,"min_score":0.3}`, "If-Match", `"1"`).want(200)
	f.do("PUT", ofDoor, `{"model":"yard","version":1}`, "If-Match", `"2"`).want(200)
	f.do("POST", ofDoor+"/revisions/2/restore", `{}`, "If-Match", `"3"`).want(409)
	f.do("POST", ofDoor+"/revisions/2/restore", `{"force":true,"reason":"it was right"}`, "If-Match", `"3"`).want(200)

	a = f.do("PUT", ofClient, `{"model":"yard"}`, "If-Match", `"0"`).want(200)
	require.EqualValues(t, 2, a.get("effective.version"), "the newest that has not failed")
	f.do("PUT", "/models/yard/aliases/champion/rules", `{"rules":{"self_check":"any"}}`, "If-Match", `"0"`).want(200)
	f.do("PUT", "/models/yard/aliases/champion", `{"version":3}`).want(200)
	f.do("PUT", ofClient, `{"model":"yard","alias":"champion"}`, "If-Match", `"1"`).want(200) // as its rules allow
}

func TestRunningStates(t *testing.T) {
	f := withYard(t)
	a := f.do("GET", "/cameras/door/running-state", "").want(200)
	require.Equal(t, "loading", a.get("state"), "nobody has looked at it yet")
	ref := pipeline.RunningRef{From: "client", Revision: 6, Model: "yard", Version: 1}
	wanted := ref
	wanted.Revision, wanted.Version = 7, 2
	f.SetRunning(pipeline.RunningState{
		CameraID: "door", ClientID: "default", Wanted: wanted, Running: ref, State: pipeline.RunningFailed, Reason: "file is damaged", Since: apitest.Time,
	})
	for _, s := range []map[string]any{
		f.do("GET", "/cameras/door/running-state", "").want(200).json.(map[string]any),
		f.do("GET", "/running-states?client_id=default", "").want(200).get("items.0").(map[string]any),
	} {
		require.Equal(t, "failed", s["state"])
		require.Equal(t, "file is damaged", s["reason"])
		require.EqualValues(t, 7, s["wanted"].(map[string]any)["revision"])
		require.EqualValues(t, 6, s["running"].(map[string]any)["revision"])
		require.Equal(t, "2026-11-25T09:30:18.123Z", s["since"])
	}
	f.do("GET", "/cameras/none/running-state", "").want(404)
}
