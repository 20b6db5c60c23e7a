package api_test

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestModelChecks(t *testing.T) {
	f := newFixture(t)
	const version = "/models/yard/versions/1"
	m := f.do("POST", "/models?name=yard", "ONNX checked", "Content-Type", "application/octet-stream").want(201)
	require.Equal(t, "fail", m.get("versions.0.check.verdict"))
	require.Equal(t, "default@1", m.get("versions.0.lineage.parent"))
	c := f.do("GET", version+"/check", "").want(200)
	require.Equal(t, []any{"red is blue"}, c.get("faults"))
	require.Equal(t, "/api/v1"+version+"/check/overlay", c.get("overlay"))
	require.Equal(t, m.get("versions.0.created_at"), c.get("time"))
	picture := f.do("GET", version+"/check/overlay", "").want(200)
	require.Equal(t, "image/jpeg", picture.Header().Get("Content-Type"))
	require.Equal(t, "JPEG", picture.Body.String())

	again := f.do("POST", version+"/check", "").want(200)
	require.Equal(t, "pass", again.get("verdict"))
	require.NotNil(t, again.get("time"))
	require.Equal(t, "pass", f.do("GET", "/models/yard", "").want(200).get("versions.0.check.verdict"))
	newer := f.do("GET", version+"/check/overlay", "").want(200)
	require.Equal(t, "JPEG 2", newer.Body.String())
	require.NotEqual(t, picture.Header().Get("ETag"), newer.Header().Get("ETag"))
	require.Equal(t, []string{"models", "models"}, f.Announced())
	f.do("POST", "/models/yard/versions/7/check", "").want(404)

	f.do("POST", "/models?name=plain", "ONNX", "Content-Type", "application/octet-stream").want(201)
	f.do("GET", "/models/plain/versions/1/check", "").want(404)
	f.do("GET", "/models/plain/versions/1/check/overlay", "").want(404)
	f.do("GET", "/models/plain/versions/2/check", "").want(404)
}
