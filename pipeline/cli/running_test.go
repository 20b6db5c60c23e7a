package cli

import (
	"log/slog"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"detectd/pipeline/promote"
	"detectd/store"
	"detectd/store/folder"
	"detectd/store/sqlite"
	"detectd/web/api"
	"detectd/web/api/apitest"
)

// besideAPI is a data folder whose detectd is only the API: a client with two cameras
// and a model with three versions, of which the third has failed its self-check.
func besideAPI(t *testing.T) (data string, records *sqlite.Store) {
	t.Helper()
	ctx := t.Context()
	data = filepath.Join(t.TempDir(), "data")
	f, err := folder.Open(data)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, f.Close()) })
	records, err = sqlite.Open(ctx, f.DB(), slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, records.Close()) })
	world := apitest.New(t, records)
	deps := world.Deps()
	deps.Aliases = promote.NewKeeper(records, "here")
	handler, err := api.New(deps)
	require.NoError(t, err)
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	require.NoError(t, f.SetAddress(server.URL+"/"))
	_, err = records.CreateClient(ctx, store.Client{ID: "default"})
	require.NoError(t, err)
	for _, id := range []string{"door", "gate"} {
		_, err = records.CreateCamera(ctx, store.Camera{ID: id, ClientID: "default", URL: "rtsp://h/" + id})
		require.NoError(t, err)
	}
	for _, name := range []string{"default", "yard", "yard", "yard"} {
		content := "ONNX one"
		if v, err := records.ModelVersion(ctx, name, 0); err == nil {
			content = []string{"", "ONNX two", "ONNX checked"}[v.Version]
		}
		_, err = world.Add(ctx, api.NewModel{Name: name}, strings.NewReader(content))
		require.NoError(t, err)
	}
	return data, records
}

func TestRunningCommand(t *testing.T) {
	data, _ := besideAPI(t)
	running := func(code int, args ...string) (stdout, stderr string) {
		t.Helper()
		got, stdout, stderr := command(t, append([]string{"running", "--data", data}, args...)...)
		require.Equal(t, code, got, "%v: %s%s", args, stdout, stderr)
		return stdout, stderr
	}
	stdout, _ := running(0, "show", "default/door")
	require.Contains(t, stdout, "default/door has no running model of its own; its default decides: default@1\n")
	_, stderr := running(2, "set", "default/door")
	require.Contains(t, stderr, "name the MODEL")
	stdout, _ = running(0, "set", "default/door", "yard@1", "--min-score", "0.4", "--min-scores", "car=0.6", "--classes", "car,person", "--detect-fps", "4", "--provider", "cpu", "--reason", "a try")
	require.Equal(t, "default/door runs yard@1, revision 1\n", stdout)
	stdout, _ = running(0, "set", "default/door", "--min-scores", "person=0.3", "--min-scores", "car=0", "--classes", "")
	require.Equal(t, "default/door runs yard@1, revision 2\n", stdout, "the rest stays")
	stdout, _ = running(0, "show", "default/door")
	for _, line := range []string{"runs yard@1, which is yard@1", "revision: 2, ", ", by cli", "detect_fps: 4", "min_score: 0.4", `min_scores: {"person":0.3}`, "provider: cpu", "camera door: loading"} {
		require.Contains(t, stdout, line)
	}
	require.NotContains(t, stdout, "classes")
	require.NotContains(t, stdout, "gate")

	stdout, stderr = running(1, "set", "default/door", "yard@2", "--revision", "1", "--min-score", "0.7")
	require.Contains(t, stdout, "Somebody else was first: revision 2, by cli.\n")
	require.Regexp(t, `(?m)^min_score +0\.7 +0\.4 +<$`, stdout)
	require.Regexp(t, `(?m)^version +2 +1 +<$`, stdout)
	require.Regexp(t, `(?m)^model +yard +yard *$`, stdout)
	require.Contains(t, stderr, "nothing was changed: the record is at revision 2; look at both sides and give the command again, with --revision 2")

	_, stderr = running(1, "set", "default", "yard@3")
	require.Contains(t, stderr, "yard@3 may not run unless that is forced")
	_, stderr = running(2, "set", "default", "yard@3", "--force")
	require.Contains(t, stderr, "--force needs --reason")
	running(0, "set", "default", "yard@3", "--force", "--reason", "the picture is odd")
	running(0, "set", "default", "yard", "--clear")
	stdout, _ = running(0, "list")
	require.Regexp(t, `(?m)^default +yard +@2 +2 `, stdout)
	require.Regexp(t, `(?m)^default/door +yard@1 +@1 +2 .* cli`, stdout)
	stdout, _ = running(0, "list", "--client", "other", "--json")
	require.Equal(t, "[]\n", stdout)

	stdout, _ = running(0, "unset", "default/door", "--reason", "enough")
	require.Equal(t, "default/door follows its client: yard@2\n", stdout)
	stdout, _ = running(0, "history", "default/door")
	require.Regexp(t, `(?m)^3 +\(removed\) .* cli +enough$`, stdout)
	require.Regexp(t, `(?m)^1 +yard@1 .* cli +a try$`, stdout)
	stdout, _ = running(0, "diff", "default/door", "1", "2")
	require.Regexp(t, `(?m)^min_scores.car +0\.6 +-$`, stdout)
	stdout, _ = running(0, "restore", "default/door", "1", "--reason", "it was right")
	require.Equal(t, "default/door runs yard@1 as at revision 1, now revision 4\n", stdout)
	stdout, _ = running(0, "restore", "default/door", "3")
	require.Equal(t, "default/door has no running model of its own, as at revision 3\n", stdout)
	stdout, _ = running(1, "restore", "default/door", "1", "--revision", "2")
	require.Contains(t, stdout, "Somebody else was first: revision 5, which removed the record.\n")
	_, stderr = running(1, "restore", "default/door", "9")
	require.Contains(t, stderr, "default/door has no revision 9")
	_, stderr = running(2, "show", "a/b/c")
	require.Contains(t, stderr, "neither CLIENT nor CLIENT/CAMERA")
	_, stderr = running(1, "show", "default/none")
	require.Contains(t, stderr, `camera "none"`)
}

func TestPromotionCommands(t *testing.T) {
	data, _ := besideAPI(t)
	run := func(code int, args ...string) string {
		t.Helper()
		got, stdout, stderr := command(t, append([]string{args[0], "--data", data}, args[1:]...)...)
		require.Equal(t, code, got, "%v: %s%s", args, stdout, stderr)
		return stdout + stderr
	}
	require.Contains(t, run(2, "promotions", "stop"), "no promotions are under way")
	require.Contains(t, run(2, "models", "promote", "yard"), "names no version")
	require.Contains(t, run(2, "models", "promote", "yard@2", "--force"), "--force needs --reason")
	require.Contains(t, run(2, "models", "promote", "yard@2", "--shadow", "0.5", "--canary", "door"), "can't be used together")
	text := run(0, "models", "promote", "yard@2", "--alias", "champion", "--shadow", "0.5", "--cameras", "door,gate", "--reason", "sees better")
	require.Contains(t, text, ": yard@2 is in state shadow on camera door, gate\n")
	id := strings.TrimSuffix(strings.Fields(text)[1], ":")
	require.Regexp(t, `(?m)^`+id+` +yard@2 +champion +default +shadow .* cli +sees better$`, run(0, "promotions", "list"))
	require.Contains(t, run(0, "promotions", "show", id), id+": yard@2 instead of ")
	require.Contains(t, run(0, "promotions", "show", id, "--json"), `"share": 0.5`)
	require.Contains(t, run(0, "promotions", "canary", id, "--cameras", "door"), "is in state canary")
	require.Contains(t, run(0, "promotions", "all", "--reason", "held for a day"), "is in state watch")
	require.Contains(t, run(0, "promotions", "stop", "--reason", "no good"), "is in state rolled_back")
	require.Contains(t, run(1, "promotions", "keep", id), "")
	require.Contains(t, run(0, "models", "promote", "yard@2", "--canary", "gate"), "is in state canary on camera gate")

	stdout := run(1, "promotions", "list", "--model", "none", "--data", filepath.Join(t.TempDir(), "none"))
	require.Contains(t, stdout, "look into data folder")
}
