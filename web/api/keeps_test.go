package api_test

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestKeeps(t *testing.T) {
	f := newFixture(t)
	f.camera("door")
	const span = `{"from":"2026-11-25T09:00:00Z","to":"2026-11-25T10:00:00Z","note":"break-in"}`
	f.do("PUT", "/cameras/none/keeps/x", span).want(404)
	f.do("PUT", "/cameras/door/keeps/x", `{"from":"2026-11-25T09:00:00Z","to":"2026-11-25T09:00:00Z"}`).want(422)
	f.do("PUT", "/cameras/door/keeps/x", span).want(200)
	f.do("PUT", "/cameras/door/keeps/x", span).want(200)
	a := f.do("GET", "/cameras/door/keeps", "").want(200)
	require.Len(t, a.get("items"), 1)
	require.Equal(t, "break-in", a.get("items.0.note"))
	require.Equal(t, "2026-11-25T10:00:00.000Z", a.get("items.0.to"))
	f.do("DELETE", "/cameras/door/keeps/x", "").want(204)
	f.do("DELETE", "/cameras/door/keeps/x", "").want(404)
	f.do("GET", "/cameras/none/keeps", "").want(404)
}

func TestCameraRetention(t *testing.T) {
	f := newFixture(t)
	f.camera("door")
	const settings = `{"name":"Door","url":"rtsp://10.0.0.5/door","record":"events","record_before_s":3.5,"record_after_s":20,"keep_days":14,"keep_events_days":30,"keep_bytes":1000000}`
	f.do("PUT", "/cameras/door", settings).want(200)
	a := f.do("GET", "/cameras/door", "").want(200)
	for member, want := range map[string]any{
		"record": "events", "record_before_s": 3.5, "record_after_s": 20.0, "keep_days": 14.0, "keep_events_days": 30.0, "keep_bytes": 1e6,
	} {
		require.Equal(t, want, a.get(member), member)
	}
	f.do("PUT", "/cameras/door", `{"name":"Door","url":"rtsp://10.0.0.5/door","record":"sometimes"}`).want(422)
	f.do("PUT", "/cameras/door", `{"name":"Door","url":"rtsp://10.0.0.5/door","keep_days":-1}`).want(422)
}
