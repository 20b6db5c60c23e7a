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
	picture := f.do("GET", version+"/check/overlay", "").want(200)
	require.Equal(t, "image/jpeg", picture.Header().Get("Content-Type"))
	require.Equal(t, "JPEG", picture.Body.String())

	f.do("POST", "/models?name=plain", "ONNX", "Content-Type", "application/octet-stream").want(201)
	f.do("GET", "/models/plain/versions/1/check", "").want(404)
	f.do("GET", "/models/plain/versions/1/check/overlay", "").want(404)
	f.do("GET", "/models/plain/versions/2/check", "").want(404)
}
