package mlflow_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"detectd/detect"
	"detectd/pipeline/promote"
	"detectd/store"
	"detectd/store/blob"
	"detectd/store/sqlite"
	"detectd/web/api"
	"detectd/web/mlflow"
)

// fixture is the real handler over real stores; only the intake of models is
// one that takes every file that begins with "ONNX".
type fixture struct {
	t       testing.TB
	records *sqlite.Store
	blobs   store.Blobs
	mux     *http.ServeMux
	taken   []api.NewModel
}

func newFixture(t testing.TB) *fixture {
	t.Helper()
	folder := t.TempDir()
	records, err := sqlite.Open(t.Context(), filepath.Join(folder, "test.db"), slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, records.Close()) })
	blobs, err := blob.Open("file://" + filepath.Join(folder, "blobs"))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, blobs.Close()) })
	f := &fixture{t: t, records: records, blobs: blobs, mux: http.NewServeMux()}
	for pattern, handler := range mlflow.New(mlflow.Deps{
		Log: slog.New(slog.DiscardHandler), Records: records, Blobs: blobs, Models: f, Aliases: promote.NewKeeper(records, "here"), Changed: func() {},
	}) {
		f.mux.Handle(pattern, handler)
	}
	return f
}

// Add implements mlflow.Models.
func (f *fixture) Add(ctx context.Context, m api.NewModel, r io.Reader) (store.ModelVersion, error) {
	data, err := io.ReadAll(r)
	if err != nil {
		return store.ModelVersion{}, err
	}
	if !bytes.HasPrefix(data, []byte("ONNX")) {
		return store.ModelVersion{}, fmt.Errorf("%w: it begins with other letters", detect.ErrNotONNX)
	}
	if name, ok := strings.CutPrefix(string(data), "ONNX+"); ok { // with a file beside it
		file, _, err := m.External(name)
		if err != nil {
			return store.ModelVersion{}, fmt.Errorf("%w: %w", detect.ErrExternalData, err)
		}
		more, err := io.ReadAll(file)
		if err = errors.Join(err, file.Close()); err != nil {
			return store.ModelVersion{}, err
		}
		data = append([]byte("ONNX"), more...)
	}
	f.taken = append(f.taken, m)
	sum := sha256.Sum256(data)
	if _, _, err := f.blobs.Put(ctx, bytes.NewReader(data)); err != nil {
		return store.ModelVersion{}, err
	}
	return f.records.AddModelVersion(ctx, store.Model{Name: m.Name}, store.ModelVersion{
		SHA256: hex.EncodeToString(sum[:]), Size: int64(len(data)), Family: m.Family, Licence: m.Licence, Source: m.Source,
		Description: m.VersionDescription, Tags: m.Tags, RunID: m.RunID, LoggedModel: m.LoggedModel,
	})
}

// Remove implements mlflow.Models.
func (f *fixture) Remove(ctx context.Context, name string, version int) error {
	return f.records.DeleteModelVersion(ctx, name, version)
}

// RemoveModel implements mlflow.Models.
func (f *fixture) RemoveModel(ctx context.Context, name string) error {
	_, err := f.records.DeleteModel(ctx, name)
	return err
}

// send makes a request below /api/2.0.
func (f *fixture) send(method, path, body string) *httptest.ResponseRecorder {
	f.t.Helper()
	w := httptest.NewRecorder()
	f.mux.ServeHTTP(w, httptest.NewRequestWithContext(f.t.Context(), method, path, strings.NewReader(body)))
	return w
}

// call makes a request and returns the answer's object, which must have the status.
func (f *fixture) call(status int, method, path, body string) map[string]any {
	f.t.Helper()
	w := f.send(method, "/api/2.0/mlflow/"+path, body)
	require.Equal(f.t, status, w.Code, "%s %s: %s", method, path, w.Body)
	require.Equal(f.t, "application/json", w.Header().Get("Content-Type"))
	var out map[string]any
	require.NoError(f.t, json.Unmarshal(w.Body.Bytes(), &out))
	return out
}

// refused makes a request that must be refused with an error code.
func (f *fixture) refused(status int, code, method, path, body string) string {
	f.t.Helper()
	out := f.call(status, method, path, body)
	require.Equal(f.t, code, out["error_code"], "%v", out)
	require.Len(f.t, out, 2)
	message, _ := out["message"].(string)
	require.NotEmpty(f.t, message)
	return message
}

// at walks into an answer: keys of objects, or the first item of a list for "0".
func at(t *testing.T, v any, path ...string) any {
	t.Helper()
	for _, key := range path {
		if key == "0" {
			list, ok := v.([]any)
			require.True(t, ok && len(list) > 0, "no list at %s of %v", key, path)
			v = list[0]
			continue
		}
		object, ok := v.(map[string]any)
		require.True(t, ok, "no object at %s of %v", key, path)
		v = object[key]
	}
	return v
}

func text(t *testing.T, v any, path ...string) string {
	t.Helper()
	s, ok := at(t, v, path...).(string)
	require.True(t, ok, "no text at %v: %v", path, v)
	return s
}

func (f *fixture) upload(path, body string) {
	f.t.Helper()
	w := f.send("PUT", "/api/2.0/mlflow-artifacts/artifacts/"+path, body)
	require.Equal(f.t, 200, w.Code, w.Body)
	require.JSONEq(f.t, "{}", w.Body.String())
}

// TestTranscript makes the calls that mlflow.onnx.log_model with
// registered_model_name and download_artifacts make, in their order.
func TestTranscript(t *testing.T) {
	f := newFixture(t)
	f.refused(404, "RESOURCE_DOES_NOT_EXIST", "GET", "experiments/get-by-name?experiment_name=yard", "")
	experiment := text(t, f.call(200, "POST", "experiments/create", `{"name":"yard"}`), "experiment_id")
	got := f.call(200, "GET", "experiments/get?experiment_id="+experiment, "")
	require.Equal(t, "mlflow-artifacts:/"+experiment, at(t, got, "experiment", "artifact_location"))
	require.Equal(t, "active", at(t, got, "experiment", "lifecycle_stage"))

	run := text(t, f.call(200, "POST", "runs/create", `{"experiment_id":"`+experiment+`","user_id":"me","start_time":1700000000000,
		"run_name":"first","tags":[{"key":"mlflow.runName","value":"first"}]}`), "run", "info", "run_id")
	require.Len(t, run, 32)
	require.Empty(t, f.call(200, "POST", "runs/log-batch", `{"run_id":"`+run+`","metrics":[{"key":"loss","value":0.5,"timestamp":1700000000001,"step":3},
		{"key":"nan","value":"NaN","timestamp":"1700000000001","step":"0"}],"params":[{"key":"lr","value":"0.1"}],"tags":[{"key":"a","value":"b"}]}`))
	f.call(200, "POST", "runs/log-metric", `{"run_id":"`+run+`","key":"loss","value":0.25,"timestamp":1700000000002,"step":4}`)

	model := f.call(200, "POST", "logged-models", `{"experiment_id":"`+experiment+`","name":"model","model_type":"","source_run_id":"`+run+`",
		"params":[{"key":"lr","value":"0.1"}],"tags":[{"key":"detectd.licence","value":"MIT"},{"key":"detectd.contract.input.scale","value":"1/255"}]}`)
	id := text(t, model, "model", "info", "model_id")
	require.True(t, strings.HasPrefix(id, "m-"))
	root := text(t, model, "model", "info", "artifact_uri")
	require.Equal(t, "mlflow-artifacts:/"+experiment+"/models/"+id+"/artifacts", root)
	require.Equal(t, "LOGGED_MODEL_PENDING", at(t, model, "model", "info", "status"))
	f.call(200, "POST", "runs/outputs", `{"run_id":"`+run+`","models":[{"model_id":"`+id+`","step":"0"}]}`)

	folder := strings.TrimPrefix(root, "mlflow-artifacts:/")
	f.upload(folder+"/MLmodel", "flavors:\n  onnx:\n    data: model.onnx\n")
	f.upload(folder+"/model.onnx", "ONNX+model.onnx.data")
	f.upload(folder+"/model.onnx.data", "weights")
	f.upload(folder+"/conda.yaml", "name: x")
	ready := f.call(200, "PATCH", "logged-models/"+id, `{"model_id":"`+id+`","status":"LOGGED_MODEL_READY"}`)
	require.Equal(t, "LOGGED_MODEL_READY", at(t, ready, "model", "info", "status"))

	f.call(200, "POST", "registered-models/create", `{"name":"Yard Watch"}`)
	f.refused(400, "RESOURCE_ALREADY_EXISTS", "POST", "registered-models/create", `{"name":"Yard Watch"}`)
	create := `{"name":"Yard Watch","source":"models:/` + id + `","run_id":"` + run + `","model_id":"` + id + `","tags":[{"key":"k","value":"v"}]}`
	version := f.call(200, "POST", "model-versions/create", create)
	require.Equal(t, "1", at(t, version, "model_version", "version"))
	require.Equal(t, "READY", at(t, version, "model_version", "status"))
	require.Equal(t, id, at(t, version, "model_version", "model_id"))
	require.Equal(t, "None", at(t, version, "model_version", "current_stage"))
	require.IsType(t, 0.0, at(t, version, "model_version", "creation_timestamp"), "int64 are numbers")
	again := f.call(200, "POST", "model-versions/create", create)
	require.Equal(t, "1", at(t, again, "model_version", "version"), "the same file is the same version")
	require.Equal(t, "MIT", f.taken[0].Licence)
	require.Equal(t, map[string]string{"input.scale": "1/255"}, f.taken[0].Contract)
	require.Equal(t, "yard-watch", f.taken[0].Name, "detectd's own name")

	f.call(200, "POST", "registered-models/alias", `{"name":"Yard Watch","alias":"champion","version":"1"}`)
	named := f.call(200, "GET", "registered-models/alias?name=Yard+Watch&alias=champion", "")
	require.Equal(t, []any{"champion"}, at(t, named, "model_version", "aliases"))
	where := text(t, f.call(200, "GET", "model-versions/get-download-uri?name=Yard+Watch&version=1", ""), "artifact_uri")
	require.Equal(t, root, where)
	w := f.send("GET", "/api/2.0/mlflow-artifacts/artifacts?path="+folder, "")
	require.JSONEq(t, `{"files":[{"path":"MLmodel","is_dir":false,"file_size":38},{"path":"conda.yaml","is_dir":false,"file_size":7},
		{"path":"model.onnx","is_dir":false,"file_size":20},{"path":"model.onnx.data","is_dir":false,"file_size":7}]}`, w.Body.String())
	require.Equal(t, "weights", f.send("GET", "/ajax-api/2.0/mlflow-artifacts/artifacts/"+folder+"/model.onnx.data", "").Body.String())

	got = f.call(200, "GET", "runs/get?run_id="+run, "")
	require.Equal(t, id, at(t, got, "run", "outputs", "model_outputs", "0", "model_id"))
	require.Equal(t, 0.25, at(t, got, "run", "data", "metrics", "0", "value"), "the newest")
	history := f.call(200, "GET", "metrics/get-history?metric_key=loss&run_id="+run, "")
	require.Len(t, history["metrics"], 2)
	end := f.call(200, "POST", "runs/update", `{"run_id":"`+run+`","status":"FINISHED","end_time":1700000000009}`)
	require.Equal(t, 1700000000009.0, at(t, end, "run_info", "end_time"))

	// Without the logged model the version is still whole.
	f.call(200, "DELETE", "logged-models/"+id, `{"model_id":"`+id+`"}`)
	where = text(t, f.call(200, "GET", "model-versions/get-download-uri?name=Yard+Watch&version=1", ""), "artifact_uri")
	require.Equal(t, "mlflow-artifacts:/registry/yard-watch/1", where)
	require.Equal(t, "ONNXweights", f.send("GET", "/api/2.0/mlflow-artifacts/artifacts/registry/yard-watch/1/model.onnx", "").Body.String())
	require.Contains(t, f.send("GET", "/api/2.0/mlflow-artifacts/artifacts/registry/yard-watch/1/MLmodel", "").Body.String(), "data: model.onnx")
}

func TestWire(t *testing.T) {
	f := newFixture(t)
	require.JSONEq(t, `{"store_type":"SqlStore","workspaces_enabled":false,"multipart_uploads_enabled":false,"multipart_downloads_enabled":false}`,
		f.send("GET", "/api/3.0/mlflow/server-info", "").Body.String())
	require.Equal(t, mlflow.Version, f.send("GET", "/version", "").Body.String())
	require.Equal(t, "OK", f.send("GET", "/health", "").Body.String())
	require.Equal(t, "Default", at(t, f.call(200, "GET", "experiments/get?experiment_id=0", ""), "experiment", "name"))

	f.refused(404, "ENDPOINT_NOT_FOUND", "POST", "webhooks/create", "{}")
	f.refused(404, "ENDPOINT_NOT_FOUND", "POST", "registered-models/delete", "{}")
	f.refused(400, "INVALID_PARAMETER_VALUE", "POST", "registered-models/create", "no json")
	f.refused(400, "INVALID_PARAMETER_VALUE", "POST", "registered-models/create", "{}")
	f.refused(400, "INVALID_PARAMETER_VALUE", "POST", "registered-models/create", `{"name":"a/b"}`)
	f.refused(404, "RESOURCE_DOES_NOT_EXIST", "GET", "registered-models/get?name=nothing", "")
	f.refused(404, "RESOURCE_DOES_NOT_EXIST", "GET", "runs/get?run_id=nothing", "")
	f.refused(400, "INVALID_PARAMETER_VALUE", "GET", "registered-models/search?filter=name+~+1", "")
	f.refused(400, "INVALID_PARAMETER_VALUE", "GET", "registered-models/search?max_results=1001", "")
	f.refused(400, "INVALID_PARAMETER_VALUE", "GET", "registered-models/search?page_token=x", "")
	f.refused(404, "RESOURCE_DOES_NOT_EXIST", "GET", "logged-models/m-1", "")

	f.call(200, "POST", "registered-models/create", `{"name":"one","unknown":{"field":[1]}}`)
	for alias, status := range map[string]int{"latest": 400, "v3": 400, "V12": 400, "a b": 400, "champion": 404} {
		w := f.send("POST", "/api/2.0/mlflow/registered-models/alias", `{"name":"one","alias":"`+alias+`","version":"1"}`)
		require.Equal(t, status, w.Code, alias)
	}
	f.refused(400, "INVALID_PARAMETER_VALUE", "GET", "registered-models/alias?name=one&alias=champion", "")
}

func TestArtifactPaths(t *testing.T) {
	f := newFixture(t)
	f.upload("a/b/c.txt", "words")
	for _, path := range []string{"..", "../x", "a/../../x", "a/%2e%2e/x", "%2e%2e/x", "a%5cb", "%2fetc%2fpasswd", "registry/default/1/model.onnx", "a%00b"} {
		r := httptest.NewRequestWithContext(t.Context(), "PUT", "/api/2.0/mlflow-artifacts/artifacts/"+path, strings.NewReader("x"))
		w := httptest.NewRecorder()
		f.mux.ServeHTTP(w, r)
		require.NotEqual(t, 200, w.Code, path)
	}
	for _, path := range []string{"../x", "/etc", "a/../b", "..%2fx"} {
		w := f.send("GET", "/api/2.0/mlflow-artifacts/artifacts?path="+path, "")
		require.Equal(t, 400, w.Code, path)
		require.Contains(t, w.Body.String(), "INVALID_PARAMETER_VALUE")
	}
	all, err := f.records.ListArtifacts(t.Context(), "")
	require.NoError(t, err)
	require.Len(t, all, 1, "nothing else was written")
	require.JSONEq(t, `{"files":[{"path":"a","is_dir":true}]}`, f.send("GET", "/api/2.0/mlflow-artifacts/artifacts", "").Body.String())
	used, err := f.records.BlobInUse(t.Context(), all[0].SHA256)
	require.NoError(t, err)
	require.True(t, used, "garbage collection spares it")

	r := httptest.NewRequestWithContext(t.Context(), "GET", "/api/2.0/mlflow-artifacts/artifacts/a/b/c.txt", nil)
	r.Header.Set("Range", "bytes=1-2")
	w := httptest.NewRecorder()
	f.mux.ServeHTTP(w, r)
	require.Equal(t, 206, w.Code)
	require.Equal(t, "or", w.Body.String())
	require.Equal(t, 200, f.send("DELETE", "/api/2.0/mlflow-artifacts/artifacts/a", "").Code)
	require.Equal(t, 404, f.send("GET", "/api/2.0/mlflow-artifacts/artifacts/a/b/c.txt", "").Code)
	require.Equal(t, 501, f.send("POST", "/api/2.0/mlflow-artifacts/mpu/create/a", "{}").Code)
}

func TestWhatCannotBeRegistered(t *testing.T) {
	f := newFixture(t)
	f.call(200, "POST", "registered-models/create", `{"name":"one"}`)
	register := func(source string) string {
		return f.refused(400, "INVALID_PARAMETER_VALUE", "POST", "model-versions/create", `{"name":"one","source":"`+source+`"}`)
	}
	f.upload("bad/model.onnx", "GIF89a")
	require.Contains(t, register("mlflow-artifacts:/bad"), "begins with other letters")
	f.upload("two/a.onnx", "ONNXa")
	f.upload("two/b.onnx", "ONNXb")
	require.Contains(t, register("mlflow-artifacts:/two"), "there are 2")
	f.upload("pickle/model.pkl", "x")
	require.Contains(t, register("mlflow-artifacts:/pickle"), "mlflow.onnx.log_model")
	f.upload("out/MLmodel", "flavors:\n  onnx:\n    data: ../bad/model.onnx\n")
	require.Contains(t, register("mlflow-artifacts:/out"), "Invalid path")
	f.upload("lost/model.onnx", "ONNX+weights.bin")
	require.Contains(t, register("mlflow-artifacts:/lost"), `no "weights.bin" beside`)
	require.Contains(t, register("s3://bucket/x"), "detectd takes models from")
	require.Contains(t, register("mlflow-artifacts:/nothing"), "no files")
	require.Contains(t, register("mlflow-artifacts:/../x"), "Invalid path")
	out := f.call(200, "GET", "model-versions/search", "")
	require.Empty(t, out["model_versions"])
	f.call(200, "POST", "model-versions/create", `{"name":"one","source":"mlflow-artifacts:/two/a.onnx"}`)
}

func TestNamesAndDeletion(t *testing.T) {
	f := newFixture(t)
	f.upload("m/a.onnx", "ONNXa")
	for _, name := range []string{"Größe 1", "größe-1", "yard"} {
		f.call(200, "POST", "registered-models/create", `{"name":"`+name+`","tags":[{"key":"team","value":"zoo"}]}`)
		f.call(200, "POST", "model-versions/create", `{"name":"`+name+`","source":"mlflow-artifacts:/m"}`)
	}
	native := map[string]bool{}
	for _, m := range f.taken {
		native[m.Name] = true
	}
	require.Len(t, native, 3, "names stay apart: %v", native)
	out := f.call(200, "GET", "registered-models/search?max_results=2&filter=tags.team+%3D+%27zoo%27&order_by=name+DESC", "")
	require.Equal(t, "yard", at(t, out, "registered_models", "0", "name"))
	rest := f.call(200, "GET", "registered-models/search?max_results=2&filter=tags.team+%3D+%27zoo%27&order_by=name+DESC&page_token="+text(t, out, "next_page_token"), "")
	require.Len(t, rest["registered_models"], 1)
	require.NotContains(t, rest, "next_page_token")

	f.refused(400, "RESOURCE_ALREADY_EXISTS", "POST", "registered-models/rename", `{"name":"yard","new_name":"Größe 1"}`)
	f.call(200, "POST", "registered-models/rename", `{"name":"yard","new_name":"garden"}`)
	f.refused(404, "RESOURCE_DOES_NOT_EXIST", "GET", "registered-models/get?name=yard", "")
	f.call(200, "POST", "registered-models/alias", `{"name":"garden","alias":"champion","version":"1"}`)
	message := f.refused(409, "RESOURCE_CONFLICT", "DELETE", "model-versions/delete", `{"name":"garden","version":"1"}`)
	require.Contains(t, message, "champion")
	f.call(200, "DELETE", "registered-models/alias", `{"name":"garden","alias":"champion"}`)
	f.call(200, "DELETE", "model-versions/delete", `{"name":"garden","version":"1"}`)
	got := f.call(200, "GET", "registered-models/get?name=garden", "")
	require.NotContains(t, got["registered_model"], "latest_versions", "a model without versions is still there")
	f.call(200, "DELETE", "registered-models/delete", `{"name":"garden"}`)
	f.refused(404, "RESOURCE_DOES_NOT_EXIST", "GET", "registered-models/get?name=garden", "")
	f.call(200, "POST", "registered-models/create", `{"name":"garden"}`)
	f.call(200, "POST", "registered-models/create", `{"name":"yard"}`)
}

// TestAliasRules refuses what the rules of an alias do not allow, in words that
// clients show.
func TestAliasRules(t *testing.T) {
	f := newFixture(t)
	_, err := f.records.AddModelVersion(t.Context(), store.Model{Name: "yard"}, store.ModelVersion{SHA256: "a", Size: 10, Contract: []byte(`{}`)})
	require.NoError(t, err)
	_, err = f.records.PutGates(t.Context(), store.Gates{Model: "yard", Alias: "champion", Rules: store.GateRules{MaxBytes: 5_000}}, 0)
	require.NoError(t, err)
	f.call(200, "POST", "registered-models/alias", `{"name":"yard","alias":"champion","version":"1"}`)
	_, err = f.records.PutGates(t.Context(), store.Gates{Model: "yard", Alias: "champion", Rules: store.GateRules{SelfCheck: store.CheckPassed}}, 1)
	require.NoError(t, err)
	f.refused(409, "RESOURCE_CONFLICT", "POST", "registered-models/alias", `{"name":"yard","alias":"champion","version":"1"}`)
	w := f.send("POST", "/api/2.0/mlflow/registered-models/alias", `{"name":"yard","alias":"champion","version":"1"}`)
	require.Contains(t, w.Body.String(), "yard@1 may not become yard@champion: self-check: pass is wanted, it is not there: the version had none")
}
