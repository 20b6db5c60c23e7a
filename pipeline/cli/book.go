package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"detectd/detect"
	"detectd/detect/model"
	"detectd/detect/ort"
	"detectd/pipeline"
	"detectd/pipeline/daemon"
	"detectd/pipeline/registry"
	"detectd/store"
	"detectd/store/blob"
	"detectd/store/folder"
	"detectd/store/garbage"
	"detectd/store/sqlite"
)

// withBook opens the models of a data folder, or of the running daemon that
// owns it, for the time of use.
func withBook(ctx context.Context, e *env, c *modelsCommand, use func(modelBook) error) error {
	var book modelBook
	local, err := openFolderBook(ctx, e, c)
	switch {
	case errors.Is(err, store.ErrLocked):
		book, err = openDaemonBook(ctx, e, c.Data)
	case err == nil:
		book = local
	}
	if err != nil {
		return err
	}
	return errors.Join(use(book), book.Close())
}

// folderBook works on a data folder that no daemon has open.
type folderBook struct {
	*registry.Registry
	folder  *folder.Folder
	records *sqlite.Store
	blobs   *garbage.Blobs
	runtime *ort.Runtime
}

func openFolderBook(ctx context.Context, e *env, c *modelsCommand) (b *folderBook, err error) {
	b = &folderBook{}
	defer func() {
		if err != nil {
			err = errors.Join(err, b.Close())
		}
	}()
	log := e.logger("warn", "text")
	cfg, err := loadConfig(c.Config)
	if err != nil {
		return b, err
	}
	if b.folder, err = folder.Open(c.Data); err != nil {
		return b, err
	}
	if b.records, err = sqlite.Open(ctx, b.folder.DB(), log); err != nil {
		return b, err
	}
	if err := blobsAt(ctx, b.folder, cfg); err != nil {
		return b, fmt.Errorf("%w; name the settings that say so with --config, or do this while detectd runs", err)
	}
	if err := cfg.MayUseBlobs(b.folder); err != nil {
		return b, err
	}
	files, err := blob.Open(cfg.BlobsURL(b.folder))
	if err != nil {
		return b, err
	}
	files.SpoolTo(b.folder.Temp())
	err = files.Bind(ctx, b.folder.ID())
	if err == nil {
		err = b.records.SetBlobs(ctx, cfg.BlobsPlace())
	}
	if err != nil {
		return b, errors.Join(err, files.Close())
	}
	// A command adds one file after the other and ends before any sweep: what it
	// refuses goes at once.
	b.blobs = garbage.New(garbage.Config{Lease: time.Nanosecond}, files, b.records, log)
	library, err := ort.FindLibrary("")
	if err != nil {
		return b, err
	}
	if b.runtime, err = ort.Open(library); err != nil {
		return b, err
	}
	b.Registry = registry.Open(b.runtime, b.records, b.blobs)
	b.Isolate(e.trial(""))
	b.CheckWith(daemon.ModelCheck)
	return b, daemon.AddDefaultModel(ctx, b.Registry, log)
}

// List implements modelBook.
func (b *folderBook) List(ctx context.Context) ([]store.Model, error) {
	return b.records.ListModels(ctx)
}

// File implements modelBook.
func (b *folderBook) File(ctx context.Context, ref detect.Ref) (store.ModelVersion, []byte, error) {
	return modelFile(ctx, b.records, b.blobs, ref)
}

// Runtime implements modelBook.
func (b *folderBook) Runtime() (*ort.Runtime, error) { return b.runtime, nil }

// Recheck implements modelBook.
func (b *folderBook) Recheck(ctx context.Context, v store.ModelVersion, d detect.Detector) (model.Report, error) {
	_, r, err := b.Registry.Recheck(ctx, v, d)
	return r, err
}

// Keep implements modelBook.
func (b *folderBook) Keep(ctx context.Context, m store.Measurement) error {
	_, err := b.records.AddMeasurement(ctx, m)
	return err
}

// Measured implements modelBook.
func (b *folderBook) Measured(ctx context.Context, name string, version int) ([]store.Measurement, error) {
	return b.records.ListMeasurements(ctx, name, version)
}

// Close implements modelBook.
func (b *folderBook) Close() error {
	var errs []error
	if b.runtime != nil {
		errs = append(errs, b.runtime.Close())
	}
	if b.blobs != nil {
		errs = append(errs, b.blobs.Close())
	}
	if b.records != nil {
		errs = append(errs, b.records.Close())
	}
	if b.folder != nil {
		errs = append(errs, b.folder.Close())
	}
	return errors.Join(errs...)
}

// daemonBook reads beside the running daemon and asks it for changes.
type daemonBook struct {
	base    string
	folder  *folder.Folder
	records *sqlite.Store
	runtime *ort.Runtime // nil until asked for
}

func openDaemonBook(ctx context.Context, e *env, data string) (*daemonBook, error) {
	f, address, err := folder.Beside(data)
	if err != nil {
		return nil, err
	}
	if address == "" {
		return nil, fmt.Errorf("%s: %w, which does not answer yet", data, store.ErrLocked)
	}
	records, err := sqlite.Open(ctx, f.DB(), e.logger("warn", "text"))
	if err != nil {
		return nil, err
	}
	return &daemonBook{base: address + "api/v1", folder: f, records: records}, nil
}

// List implements modelBook. Reading beside the daemon is safe.
func (b *daemonBook) List(ctx context.Context) ([]store.Model, error) {
	return b.records.ListModels(ctx)
}

// Add implements modelBook.
func (b *daemonBook) Add(ctx context.Context, m registry.New, file io.Reader) (store.ModelVersion, error) {
	query := url.Values{"name": {m.Name}}
	for key, value := range m.Contract {
		query.Add("contract", key+"="+value)
	}
	for key, value := range map[string]string{"description": m.Description, "licence": m.Licence, "source": m.Source, "family": m.Family, "sha256": m.SHA256} {
		if value != "" {
			query.Set(key, value)
		}
	}
	var answer struct {
		Name     string      `json:"name"`
		Added    int         `json:"added"`
		Versions []modelJSON `json:"versions"`
	}
	status, err := b.do(ctx, http.MethodPost, "/models?"+query.Encode(), file, &answer)
	if err != nil {
		return store.ModelVersion{}, err
	}
	if len(answer.Versions) == 0 {
		return store.ModelVersion{}, errors.New("the daemon's answer names no version")
	}
	// The newest, unless the file was there already.
	i := slices.IndexFunc(answer.Versions, func(v modelJSON) bool { return v.Version == answer.Added })
	v := answer.Versions[max(i, 0)]
	added := store.ModelVersion{Model: answer.Name, Version: v.Version, SHA256: v.SHA256, Size: v.Bytes, Family: v.Family, Check: v.Check}
	if status == http.StatusOK {
		return added, store.ErrExists
	}
	return added, nil
}

// Remove implements modelBook.
func (b *daemonBook) Remove(ctx context.Context, name string, version int) error {
	return b.call(ctx, http.MethodDelete, "/models/"+url.PathEscape(name)+"/versions/"+strconv.Itoa(version), nil, nil)
}

// RemoveModel implements modelBook.
func (b *daemonBook) RemoveModel(ctx context.Context, name string) error {
	return b.call(ctx, http.MethodDelete, "/models/"+url.PathEscape(name), nil, nil)
}

// Measured implements modelBook. Reading beside the daemon is safe.
func (b *daemonBook) Measured(ctx context.Context, name string, version int) ([]store.Measurement, error) {
	return b.records.ListMeasurements(ctx, name, version)
}

// Recheck implements modelBook. The daemon makes the check itself: a verdict counts
// for the rules of aliases, so it is not taken from others.
func (b *daemonBook) Recheck(ctx context.Context, v store.ModelVersion, _ detect.Detector) (r model.Report, err error) {
	return r, b.call(ctx, http.MethodPost, "/models/"+url.PathEscape(v.Model)+"/versions/"+strconv.Itoa(v.Version)+"/check", nil, &r)
}

// File implements modelBook. Reading beside the daemon is safe.
func (b *daemonBook) File(ctx context.Context, ref detect.Ref) (store.ModelVersion, []byte, error) {
	blobs, err := blob.Open(b.folder.BlobsURL())
	if err != nil {
		return store.ModelVersion{}, nil, err
	}
	defer func() { _ = blobs.Close() }()
	return modelFile(ctx, b.records, blobs, ref)
}

// Runtime implements modelBook.
func (b *daemonBook) Runtime() (*ort.Runtime, error) {
	if b.runtime != nil {
		return b.runtime, nil
	}
	library, err := ort.FindLibrary("")
	if err == nil {
		b.runtime, err = ort.Open(library)
	}
	return b.runtime, err
}

// Close implements modelBook.
func (b *daemonBook) Close() error {
	err := b.records.Close()
	if b.runtime != nil {
		err = errors.Join(err, b.runtime.Close())
	}
	return err
}

// findVersion is the version that ref names.
func findVersion(ctx context.Context, records *sqlite.Store, ref detect.Ref) (store.ModelVersion, error) {
	if ref.Alias != "" {
		return records.AliasVersion(ctx, ref.Model, ref.Alias)
	}
	return records.ModelVersion(ctx, ref.Model, ref.Version)
}

// modelFile reads a version and its file.
func modelFile(ctx context.Context, records *sqlite.Store, blobs store.Blobs, ref detect.Ref) (store.ModelVersion, []byte, error) {
	v, err := findVersion(ctx, records, ref)
	if err != nil {
		return v, nil, err
	}
	file, size, err := blobs.Open(ctx, v.SHA256)
	if err != nil {
		return v, nil, fmt.Errorf("open file of model %s@%d: %w", v.Model, v.Version, err)
	}
	defer func() { _ = file.Close() }()
	data := make([]byte, size)
	if _, err := io.ReadFull(file, data); err != nil {
		return v, nil, fmt.Errorf("read file of model %s@%d: %w", v.Model, v.Version, err)
	}
	return v, data, nil
}

func (b *daemonBook) call(ctx context.Context, method, path string, body io.Reader, into any) error {
	_, err := b.do(ctx, method, path, body, into)
	return err
}

// do sends a request and reads the answer. A refusal becomes an error with the
// daemon's own words.
func (b *daemonBook) do(ctx context.Context, method, path string, body io.Reader, into any) (int, error) {
	request, err := http.NewRequestWithContext(ctx, method, b.base+path, body)
	if err != nil {
		return 0, fmt.Errorf("ask the running detectd: %w", err)
	}
	if body != nil {
		request.Header.Set("Content-Type", "application/octet-stream")
	}
	return answered(request, into)
}

// send sends JSON, with If-Match where a revision is given.
func (b *daemonBook) send(ctx context.Context, method, path, revision string, body, into any) error {
	text, err := json.Marshal(body)
	if err != nil {
		return fmt.Errorf("ask the running detectd: %w", err)
	}
	request, err := http.NewRequestWithContext(ctx, method, b.base+path, bytes.NewReader(text))
	if err != nil {
		return fmt.Errorf("ask the running detectd: %w", err)
	}
	request.Header.Set("Content-Type", "application/json")
	if revision != "" {
		request.Header.Set("If-Match", `"`+revision+`"`)
	}
	_, err = answered(request, into)
	return err
}

func answered(request *http.Request, into any) (int, error) {
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, fmt.Errorf("ask the running detectd: %w", err)
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode >= http.StatusBadRequest {
		no := &refusal{Status: response.StatusCode}
		if err := json.NewDecoder(response.Body).Decode(no); err != nil || no.Detail == "" {
			no.Detail = "it answered " + response.Status
		}
		return response.StatusCode, no
	}
	if into == nil || response.StatusCode == http.StatusNoContent {
		return response.StatusCode, nil
	}
	if err := json.NewDecoder(response.Body).Decode(into); err != nil {
		return response.StatusCode, fmt.Errorf("read the answer of the running detectd: %w", err)
	}
	return response.StatusCode, nil
}

// openModel opens the model that a one-shot command names: an ONNX file, the
// default model that came with the program, or a version in a data folder.
func openModel(ctx context.Context, e *env, rt *ort.Runtime, name, data string, where whereFlags) (detect.Detector, error) {
	choice, err := where.choice(data)
	if err != nil {
		return nil, err
	}
	file := name
	if name == "" || name == "default" {
		var err error
		if file, err = daemon.DefaultModelFile(); err != nil {
			return nil, err
		}
	}
	if isModelFile(file) {
		return openOn(ctx, e, rt, file, func() ([]byte, error) { return os.ReadFile(file) }, choice)
	}
	ref, err := detect.ParseRef(name)
	if err != nil {
		return nil, usageError{err}
	}
	f, _, err := folder.Beside(data)
	if err != nil {
		return nil, fmt.Errorf("model %s: %w", ref, err)
	}
	// Reading beside a running daemon is safe: SQLite and the blobs allow it.
	records, err := sqlite.Open(ctx, f.DB(), e.logger("warn", "text"))
	if err != nil {
		return nil, err
	}
	defer func() { _ = records.Close() }()
	v, err := findVersion(ctx, records, ref)
	if err != nil {
		return nil, err
	}
	blobs, err := blob.Beside(f.BlobsURL())
	if err != nil {
		return nil, err
	}
	defer func() { _ = blobs.Close() }()
	models := registry.Open(rt, records, blobs)
	models.Use(choice, func(r pipeline.Running) {
		fmt.Fprintf(e.stderr, "detectd: model %s@%d runs on %s: %s\n", r.Model, r.Version, r.Provider, r.Reason)
	})
	return models.Load(ctx, v)
}

// isModelFile tells the name of a file from that of a model.
func isModelFile(name string) bool {
	return strings.HasSuffix(name, ".onnx") || strings.ContainsRune(name, filepath.Separator)
}

// running asks the daemon what its models run on.
func (b *daemonBook) running(ctx context.Context) ([]pipeline.Running, error) {
	var system struct {
		Running []pipeline.Running `json:"running"`
	}
	err := b.call(ctx, http.MethodGet, "/system", nil, &system)
	return system.Running, err
}
