package mlflow

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"detectd/store"
)

// own is the folder under which every version can be fetched, also one that no
// client of MLflow has added.
const own = "registry"

// source is where the file of a new version comes from.
type source struct {
	onnx   store.Artifact
	logged store.LoggedModel // empty when it is no logged model
	// version is the version that has the file; nil for files that are none yet.
	version *store.ModelVersion
	// open opens a file beside it.
	open func(name string) (io.ReadSeekCloser, int64, error)
}

// source resolves the address of a model that is to be registered.
func (s *server) source(ctx context.Context, address, modelID string) (source, error) {
	folder, logged, err := s.folder(ctx, address, modelID)
	if err != nil {
		return source{}, err
	}
	if v, ok, err := s.ownVersion(ctx, folder); err != nil {
		return source{}, err
	} else if ok {
		onnx, err := s.artifact(ctx, folder+"/model.onnx")
		return source{onnx: onnx, version: &v}, err
	}
	onnx, err := s.findONNX(ctx, folder)
	if err != nil {
		return source{}, err
	}
	return source{onnx: onnx, logged: logged, open: func(name string) (io.ReadSeekCloser, int64, error) {
		a, err := s.artifact(ctx, path.Dir(onnx.Path)+"/"+name)
		if errors.Is(err, store.ErrNotFound) {
			return nil, 0, fmt.Errorf("there is no %q beside the model", name)
		}
		if err != nil {
			return nil, 0, err
		}
		return s.Blobs.Open(ctx, a.SHA256)
	}}, nil
}

// folder is that of the files at an address: models:/m-ID, models:/NAME/VERSION,
// models:/NAME@ALIAS, runs:/ID/PATH or mlflow-artifacts:/PATH.
func (s *server) folder(ctx context.Context, address, modelID string) (string, store.LoggedModel, error) {
	var none store.LoggedModel
	kind, rest, _ := strings.Cut(address, ":/")
	rest = strings.Trim(rest, "/")
	name, tail, nested := strings.Cut(rest, "/")
	switch kind {
	case "models":
		if strings.HasPrefix(rest, "m-") && !nested {
			m, err := s.Records.LoggedModel(ctx, rest)
			if err != nil {
				return "", none, err
			}
			folder, err := s.loggedFolder(ctx, m)
			return folder, m, err
		}
		v, err := s.named(ctx, rest)
		if err != nil {
			return "", none, err
		}
		return versionPath(v), none, nil // always whole, whatever became of the artifacts
	case "runs":
		return s.runSource(ctx, name, tail, modelID)
	case "mlflow-artifacts":
		folder, err := folderOf(address)
		if err != nil {
			return "", none, err
		}
		if modelID != "" {
			m, err := s.Records.LoggedModel(ctx, modelID)
			return folder, m, err
		}
		return folder, none, nil
	}
	return "", none, invalid("source %.100q: detectd takes models from models:/, runs:/ and %s, where it has the files itself", address, scheme)
}

// runSource is the folder below a run, or the logged model of that name that the run made.
func (s *server) runSource(ctx context.Context, id, tail, modelID string) (string, store.LoggedModel, error) {
	var none store.LoggedModel
	r, err := s.Records.Run(ctx, id)
	if err != nil {
		return "", none, err
	}
	root, err := s.runFolder(ctx, r)
	if err != nil {
		return "", none, err
	}
	folder, err := clean(root + "/" + tail)
	if err != nil {
		return "", none, err
	}
	files, err := s.Records.ListArtifacts(ctx, folder)
	if err != nil || len(files) > 0 {
		return folder, none, err
	}
	q := store.Search{Terms: []store.Term{{Field: "run", Op: "=", Value: r.ID}, {Field: "name", Op: "=", Value: tail}}, Limit: 1}
	if modelID != "" {
		q.Terms = []store.Term{{Field: "id", Op: "=", Value: modelID}}
	}
	found, err := s.Records.SearchLoggedModels(ctx, q)
	if err != nil || len(found) == 0 {
		return folder, none, err
	}
	folder, err = s.loggedFolder(ctx, found[0])
	return folder, found[0], err
}

// named is the version that NAME/VERSION, NAME/latest or NAME@ALIAS names.
func (s *server) named(ctx context.Context, ref string) (store.ModelVersion, error) {
	if name, alias, ok := strings.Cut(ref, "@"); ok {
		m, err := s.Records.Model(ctx, name, true)
		if err != nil {
			return store.ModelVersion{}, err
		}
		return s.Records.AliasVersion(ctx, m.Name, alias)
	}
	name, number, _ := strings.Cut(ref, "/")
	m, err := s.Records.Model(ctx, name, true)
	if err != nil {
		return store.ModelVersion{}, err
	}
	n, err := strconv.Atoi(number)
	if err != nil && number != "latest" {
		return store.ModelVersion{}, invalid("models:/%.100s names no version", ref)
	}
	return s.Records.ModelVersion(ctx, m.Name, n)
}

// findONNX finds the model file of a folder: what its MLmodel says, or the only one.
func (s *server) findONNX(ctx context.Context, folder string) (store.Artifact, error) {
	if strings.HasSuffix(folder, ".onnx") {
		if a, err := s.artifact(ctx, folder); err == nil {
			return a, nil
		}
	}
	files, err := s.files(ctx, folder)
	if err != nil {
		return store.Artifact{}, err
	}
	if len(files) == 0 {
		return store.Artifact{}, invalid("there are no files at %s%s; log the model to this server first", scheme, folder)
	}
	var onnx []store.Artifact
	for _, f := range files {
		if f.Path == folder+"/MLmodel" {
			name, err := s.dataOf(ctx, f)
			if err != nil {
				return store.Artifact{}, err
			}
			if name != "" {
				return s.artifact(ctx, folder+"/"+name)
			}
		}
		if strings.HasSuffix(f.Path, ".onnx") {
			onnx = append(onnx, f)
		}
	}
	if len(onnx) != 1 {
		return store.Artifact{}, invalid("a model of detectd is one ONNX file, and there are %d at %s%s; log it with mlflow.onnx.log_model", len(onnx), scheme, folder)
	}
	return onnx[0], nil
}

// maxMLmodel is the most of an MLmodel file that is read.
const maxMLmodel = 1 << 20

// dataOf reads from an MLmodel file where the ONNX file is; "" when it names none.
func (s *server) dataOf(ctx context.Context, a store.Artifact) (string, error) {
	file, _, err := s.Blobs.Open(ctx, a.SHA256)
	if err != nil {
		return "", err
	}
	defer func() { _ = file.Close() }()
	text, err := io.ReadAll(io.LimitReader(file, maxMLmodel))
	if err != nil {
		return "", err
	}
	var m struct {
		Flavors struct {
			ONNX struct {
				Data string `yaml:"data"`
			} `yaml:"onnx"`
		} `yaml:"flavors"`
	}
	if err := yaml.Unmarshal(text, &m); err != nil {
		return "", invalid("the MLmodel file cannot be read: %v", err)
	}
	if m.Flavors.ONNX.Data == "" {
		return "", nil
	}
	name, err := clean(m.Flavors.ONNX.Data)
	if err != nil {
		return "", err
	}
	if !strings.HasSuffix(name, ".onnx") {
		name += "/model.onnx" // older clients put it into a folder
	}
	return name, nil
}

// versionPath is the folder at which a version can always be fetched.
func versionPath(v store.ModelVersion) string {
	return fmt.Sprintf("%s/%s/%d", own, v.Model, v.Version)
}

// versionFolder is the folder that a version came from while it has files, else versionPath.
func (s *server) versionFolder(ctx context.Context, v store.ModelVersion) (string, error) {
	if kind, _, ok := strings.Cut(v.Source, ":/"); ok && (kind == "models" || kind == "runs" || kind == "mlflow-artifacts") {
		folder, _, err := s.folder(ctx, v.Source, v.LoggedModel)
		if err == nil {
			files, err := s.Records.ListArtifacts(ctx, folder)
			if err != nil {
				return "", err
			}
			if len(files) > 0 {
				return folder, nil
			}
		}
	}
	return versionPath(v), nil
}
