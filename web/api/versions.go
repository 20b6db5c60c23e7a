package api

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humachi"
)

// VersionDetails is a version with its contract.
type VersionDetails struct {
	ModelVersion
	Contract map[string]any `json:"contract" doc:"How it is fed and read; docs/models.md lists the keys."`
}

// routeVersions adds what there is of single versions.
func (s *server) routeVersions() {
	const tag, path = "Models", "/models/{model_name}/versions/{version}"
	huma.Register(s.huma, operation(http.MethodGet, path, "get-model-version", tag,
		"Get a model version", "One version with its contract.", 404), s.getVersion)
	file := operation(http.MethodGet, path+"/file", "get-model-file", tag,
		"Get a version's file", "The ONNX file, byte for byte as it was added. Its SHA-256 is the ETag.", 404)
	file.Responses = map[string]*huma.Response{
		"200": binary("The file.", onnxType), "206": binary("The part asked for.", onnxType),
		"304": {Description: "Not changed."}, "416": {Description: "The range is not in the file."},
	}
	huma.Register(s.huma, file, s.getVersionFile)
}

// onnxType is the media type of model files.
const onnxType = "application/octet-stream"

func (s *server) getVersion(ctx context.Context, in *VersionPath) (*answered[VersionDetails], error) {
	v, err := s.Records.ModelVersion(ctx, in.ModelName, in.Version)
	if err != nil {
		return nil, s.fail(ctx, err)
	}
	running, err := s.running(ctx)
	if err != nil {
		return nil, s.fail(ctx, err)
	}
	measured, err := s.measured(ctx, v)
	if err != nil {
		return nil, s.fail(ctx, err)
	}
	out := VersionDetails{ModelVersion: newModelVersion(v, running, measured), Contract: map[string]any{}}
	_ = json.Unmarshal(v.Contract, &out.Contract) // written by this program; an unreadable one shows as empty
	return &answered[VersionDetails]{Body: out}, nil
}

func (s *server) getVersionFile(ctx context.Context, in *VersionPath) (*huma.StreamResponse, error) {
	v, err := s.Records.ModelVersion(ctx, in.ModelName, in.Version)
	if err != nil {
		return nil, s.fail(ctx, err)
	}
	file, _, err := s.Blobs.Open(ctx, v.SHA256)
	if err != nil {
		return nil, s.fail(ctx, fmt.Errorf("file of model %s@%d: %w", v.Model, v.Version, err))
	}
	return &huma.StreamResponse{Body: func(c huma.Context) {
		defer file.Close()
		req, w := humachi.Unwrap(c)
		w.Header().Set("Content-Type", onnxType)
		w.Header().Set("Content-Disposition", fmt.Sprintf(`attachment; filename="%s-%d.onnx"`, v.Model, v.Version))
		w.Header().Set("ETag", `"`+v.SHA256+`"`)
		http.ServeContent(w, req, "", v.CreatedAt, file)
	}}, nil
}
