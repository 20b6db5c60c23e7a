package api_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"detectd/store"
	"detectd/web/api"
)

// TestVersion walks what can be seen and changed of one version.
func TestVersion(t *testing.T) {
	f := newFixture(t)
	const version = "/models/yard/versions/1"
	m := f.do("POST", "/models?name=yard&licence=unknown", "ONNX yard", "Content-Type", "application/octet-stream").want(201)
	require.NotContains(t, m.get("versions.0"), "lineage", "nothing is known")
	v := f.do("GET", version, "").want(200)
	require.Equal(t, "x", v.get("contract.input.name"))
	require.Equal(t, []any{"person", "car"}, v.get("labels"))
	require.Equal(t, m.get("versions.0.sha256"), v.get("sha256"))

	file := f.do("GET", version+"/file", "").want(200)
	require.Equal(t, "ONNX yard", file.Body.String())
	require.Equal(t, `attachment; filename="yard-1.onnx"`, file.Header().Get("Content-Disposition"))
	require.Equal(t, `"`+v.get("sha256").(string)+`"`, file.Header().Get("ETag"))
	require.Equal(t, "yard", f.do("GET", version+"/file", "", "Range", "bytes=5-").want(206).Body.String())
	f.do("GET", version+"/file", "", "If-None-Match", file.Header().Get("ETag")).want(304)

	changed := f.do("PATCH", version, `{"licence":"MIT","source":"us","set_tags":{"detectd.job":"train-318","detectd.dataset":"street@7","detectd.parent":"yard@0"}}`).want(200)
	require.Equal(t, "MIT", changed.get("versions.0.licence"))
	require.Equal(t, "us", changed.get("versions.0.source"))
	require.Equal(t, map[string]any{"parent": "yard@0", "job": "train-318", "dataset": "street@7"}, changed.get("versions.0.lineage"))
	require.Equal(t, v.get("sha256"), changed.get("versions.0.sha256"), "the file never changes")
	f.do("PATCH", "/models/yard", `{"licence":"MIT"}`, "If-Match", `"1"`).want(422)
	f.do("PATCH", version, `{"sha256":"aa"}`).want(422)
	f.do("GET", "/models/yard/versions/2", "").want(404)
	f.do("GET", "/models/yard/versions/2/file", "").want(404)
}

// TestUploadWithChecksum hands the expected checksum on to the intake.
func TestUploadWithChecksum(t *testing.T) {
	f := newFixture(t)
	sum := strings.Repeat("Ab", 32)
	f.do("POST", "/models?name=yard&sha256="+sum, "ONNX yard", "Content-Type", "application/octet-stream").want(422)
	f.do("POST", "/models?name=yard&sha256=123", "ONNX yard", "Content-Type", "application/octet-stream").want(422)
	f.do("GET", "/models/yard", "").want(404)
}

// TestDeleteModel refuses while one of its versions runs.
func TestDeleteModel(t *testing.T) {
	f := newFixture(t)
	for _, data := range []string{"ONNX a", "ONNX b"} {
		_, err := f.World.Add(t.Context(), api.NewModel{Name: "yard"}, strings.NewReader(data))
		require.NoError(t, err)
	}
	_, err := f.Records.PutRunningModel(t.Context(), store.RunningModel{ClientID: "default", Model: "yard", Version: 1}, 0)
	require.NoError(t, err)
	require.Contains(t, f.do("DELETE", "/models/yard", "").want(409).get("detail"), "in use")
	_, err = f.Records.PutRunningModel(t.Context(), store.RunningModel{ClientID: "default", Model: "default"}, 1)
	require.NoError(t, err)
	f.do("DELETE", "/models/yard", "").want(204)
	f.do("GET", "/models/yard", "").want(404)
	f.do("DELETE", "/models/yard", "").want(404)
	require.Equal(t, []string{"models"}, f.Announced())
}
