package e2e

import (
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestDetectsWithoutItsDatabase: when the database cannot be read, detection starts
// from the last good copy, says so, changes nothing, and all is there afterwards.
func TestDetectsWithoutItsDatabase(t *testing.T) {
	t.Parallel()
	d := withCamera(t)
	copied := filepath.Join(d.dir, "last-good.json")
	d.api(t, http.MethodPut, "/models/bright/aliases/champion", body{"version": 1}, nil)
	var own runningModel
	d.api(t, http.MethodPut, "/running-models/default/cameras/good", body{"model": "bright", "alias": "champion", "min_score": 0.55}, &own, "If-Match", `"0"`)
	soon(t, func(t require.TestingT) {
		data, err := os.ReadFile(copied)
		require.NoError(t, err)
		require.Contains(t, string(data), "champion")
		require.Contains(t, string(data), "0.55")
	})
	d.stop()

	db := filepath.Join(d.dir, "detectd.db")
	whole, err := os.ReadFile(db)
	require.NoError(t, err)
	damaged := append([]byte("this was a database once"), whole[24:]...)
	require.NoError(t, os.WriteFile(db, damaged, 0o600))
	again := startIn(t, d.dir)
	soon(t, func(t require.TestingT) {
		s := again.camera(t, "good").Status
		require.Equal(t, []any{"running", "bright", 1, own.Revision}, []any{s.State, s.Model, s.ModelVersion, s.ModelRevision})
		require.NotZero(t, s.Inferences)
		require.False(t, s.Recording)
	})
	refused(t, again.send(t, http.MethodDelete, "/api/v1/running-models/default/cameras/good", nil, "If-Match", quoted(own.Revision)),
		http.StatusServiceUnavailable, "the database cannot be read")
	var system struct {
		Degraded string `json:"degraded"`
	}
	again.get(t, "/system", &system)
	require.Contains(t, system.Degraded, "nothing is recorded")
	require.Contains(t, string(again.send(t, http.MethodGet, "/readyz", nil).Body), "degraded")
	again.stop()
	now, err := os.ReadFile(db)
	require.NoError(t, err)
	require.Equal(t, damaged, now, "the damaged file is left as it is")

	require.NoError(t, os.WriteFile(db, whole, 0o600))
	healed := startIn(t, d.dir)
	healed.becomes(t, "good", "running")
	healed.goesOn(t, "good")
	require.NotEmpty(t, list[recording](t, healed.client, "/recordings?camera_id=good"))
	healed.api(t, http.MethodDelete, "/running-models/default/cameras/good", nil, nil, "If-Match", quoted(own.Revision))
}
