package mlflow

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strings"

	"go.yaml.in/yaml/v3"
)

// artifacts is where a server gives files out that clients have no access to otherwise.
const artifacts = "api/2.0/mlflow-artifacts/artifacts"

// limits of a model's folder
const (
	maxFiles   = 10_000
	maxDepth   = 16
	maxMLmodel = 1 << 20
)

// Files are those of a version, in a folder of this machine.
type Files struct {
	Dir  string // of the version
	ONNX string // path of the model below Dir
}

// stored is a file of the server.
type stored struct {
	path string // below the version's folder
	size int64
}

// Fetch brings the files of a version into dir, which is empty. Errors that match
// ErrSkip are about this version alone: it is no ONNX model, or its files are where
// the server does not give them out.
func (c *Client) Fetch(ctx context.Context, v Version, dir string, most int64) (Files, error) {
	root, err := c.folder(ctx, v)
	if err != nil {
		return Files{}, err
	}
	files, err := c.list(ctx, root, "", 0)
	if err != nil {
		return Files{}, err
	}
	var model string
	total := int64(0)
	for _, f := range files {
		total += f.size
		if f.path == "MLmodel" {
			if model, err = c.onnxOf(ctx, root); err != nil {
				return Files{}, err
			}
		}
	}
	if model == "" {
		return Files{}, fmt.Errorf("its MLmodel names no ONNX file: %w", ErrSkip)
	}
	if total > most {
		return Files{}, fmt.Errorf("its files have %d bytes, more than the %d that are taken: %w", total, most, ErrSkip)
	}
	found := false
	beside := path.Dir(model)
	for _, f := range files {
		if path.Dir(f.path) != beside { // tensors lie beside the model
			continue
		}
		found = found || f.path == model
		if err := c.fetch(ctx, root, f, dir); err != nil {
			return Files{}, err
		}
	}
	if !found {
		return Files{}, fmt.Errorf("its ONNX file %s is not there: %w", model, ErrSkip)
	}
	return Files{Dir: dir, ONNX: model}, nil
}

// folder is where the server keeps the files of a version.
func (c *Client) folder(ctx context.Context, v Version) (string, error) {
	text, err := c.get(ctx, "api/2.0/mlflow/model-versions/get-download-uri", url.Values{"name": {v.Model}, "version": {fmt.Sprint(v.Number)}})
	if err != nil {
		return "", err
	}
	var answer struct {
		URI string `json:"artifact_uri"`
	}
	if err := json.Unmarshal(text, &answer); err != nil {
		return "", fmt.Errorf("%s does not answer as an MLflow server: %w", c.Address(), err)
	}
	uri := answer.URI
	if id, ok := strings.CutPrefix(uri, "models:/m-"); ok { // a logged model of MLflow 3
		if uri, err = c.logged(ctx, "m-"+id); err != nil {
			return "", err
		}
	}
	u, err := url.Parse(uri)
	if err != nil || u.Scheme != "mlflow-artifacts" {
		return "", fmt.Errorf("its files are at %.200s, and the server does not give them out (it does when it is started with --serve-artifacts): %w", uri, ErrSkip)
	}
	return clean(u.Path)
}

// logged is where the files of a logged model are.
func (c *Client) logged(ctx context.Context, id string) (string, error) {
	text, err := c.get(ctx, "api/2.0/mlflow/logged-models/"+url.PathEscape(id), nil)
	if err != nil {
		return "", err
	}
	var answer struct {
		Model struct {
			Info struct {
				URI string `json:"artifact_uri"`
			} `json:"info"`
		} `json:"model"`
	}
	if err := json.Unmarshal(text, &answer); err != nil {
		return "", fmt.Errorf("%s does not answer as an MLflow server: %w", c.Address(), err)
	}
	return answer.Model.Info.URI, nil
}

// clean is a path that stays where it is; what the server says is not trusted.
func clean(p string) (string, error) {
	p = strings.Trim(p, "/")
	for part := range strings.SplitSeq(p, "/") {
		if part == "" || part == "." || part == ".." || strings.ContainsAny(part, "\\\x00") {
			return "", fmt.Errorf("the server names the path %.200q: %w", p, ErrSkip)
		}
	}
	return p, nil
}

// list lists the files below a folder.
func (c *Client) list(ctx context.Context, root, below string, depth int) ([]stored, error) {
	text, err := c.get(ctx, artifacts, url.Values{"path": {path.Join(root, below)}})
	if gone, ok := errors.AsType[*answerError](err); ok && gone.status == http.StatusNotFound {
		return nil, fmt.Errorf("its files are gone (%w): %w", err, ErrSkip)
	}
	if err != nil {
		return nil, err
	}
	var answer struct {
		Files []struct {
			Path  string      `json:"path"`
			IsDir bool        `json:"is_dir"`
			Size  json.Number `json:"file_size"`
		} `json:"files"`
	}
	if err := json.Unmarshal(text, &answer); err != nil {
		return nil, fmt.Errorf("%s does not answer as an MLflow server: %w", c.Address(), err)
	}
	var out []stored
	for _, f := range answer.Files {
		name, err := clean(f.Path)
		if err != nil {
			return nil, err
		}
		name = path.Join(below, name)
		if f.IsDir {
			if depth >= maxDepth {
				return nil, fmt.Errorf("its folders are nested too deep: %w", ErrSkip)
			}
			more, err := c.list(ctx, root, name, depth+1)
			if err != nil {
				return nil, err
			}
			out = append(out, more...)
		} else {
			size, err := f.Size.Int64()
			if err != nil || size < 0 {
				return nil, fmt.Errorf("the server tells no size of %s: %w", name, ErrSkip)
			}
			out = append(out, stored{path: name, size: size})
		}
		if len(out) > maxFiles {
			return nil, fmt.Errorf("it has more than %d files: %w", maxFiles, ErrSkip)
		}
	}
	return out, nil
}

// onnxOf reads from a version's MLmodel where its ONNX file is; "" when it is of
// another kind.
func (c *Client) onnxOf(ctx context.Context, root string) (string, error) {
	body, _, err := c.open(ctx, artifacts+"/"+root+"/MLmodel", nil)
	if err != nil {
		return "", err
	}
	defer func() { _ = body.Close() }()
	text, err := io.ReadAll(io.LimitReader(body, maxMLmodel))
	if err != nil {
		return "", fmt.Errorf("read MLmodel: %w", err)
	}
	var m struct {
		Flavors struct {
			ONNX struct {
				Data string `yaml:"data"`
			} `yaml:"onnx"`
		} `yaml:"flavors"`
	}
	if err := yaml.Unmarshal(text, &m); err != nil {
		return "", fmt.Errorf("its MLmodel cannot be read: %w", ErrSkip)
	}
	if m.Flavors.ONNX.Data == "" {
		return "", nil
	}
	return clean(m.Flavors.ONNX.Data)
}

// fetch brings one file into dir; it has to have the size that the server has told.
func (c *Client) fetch(ctx context.Context, root string, f stored, dir string) (err error) {
	body, _, err := c.open(ctx, artifacts+"/"+path.Join(root, f.path), nil)
	if err != nil {
		return err
	}
	defer func() { _ = body.Close() }()
	to := filepath.Join(dir, filepath.FromSlash(f.path))
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		return err
	}
	file, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	n, err := io.Copy(file, io.LimitReader(body, f.size+1))
	if err != nil {
		return fmt.Errorf("fetch %s: %w", f.path, err)
	}
	if n != f.size {
		return fmt.Errorf("fetch %s: %d bytes came, the server has told %d", f.path, n, f.size)
	}
	return nil
}
