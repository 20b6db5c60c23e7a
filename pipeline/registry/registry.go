// Package registry takes model files in, checked, and opens them for detection.
// Files are blobs named by their SHA-256; models, versions and contracts are
// records of the store.
package registry

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"sync"

	"detectd/detect"
	"detectd/detect/model"
	"detectd/detect/ort"
	"detectd/detect/provider"
	"detectd/pipeline"
	"detectd/store"
)

// MaxBytes is the largest model file taken: more does not fit a protobuf message,
// which an ONNX file is.
const MaxBytes = 1<<31 - 1

// maxInline is the largest model file that is joined from several, in memory.
const maxInline = 1 << 30

// ErrTooLarge is returned for a model file of more than MaxBytes.
var ErrTooLarge = errors.New("a model file may have 2 GiB at most, less a byte, and 1 GiB when it is joined from several")

// ErrChecksum is returned for a file that is not the one that was announced.
var ErrChecksum = errors.New("the file is not the one that was expected")

// New describes a model file that is being added.
type New struct {
	Name        string
	Description string
	Licence     string
	Source      string
	Family      string            // how the outputs are laid out; "" is found out
	Contract    map[string]string // keys of the contract that cannot be found out: docs/models.md

	SHA256 string // of the file, in hex, where the sender knows it; "" accepts any
	// Known is the contract of a version with this very file, which is copied; nil
	// for others. Family and Contract come on top of it.
	Known json.RawMessage

	VersionDescription string
	Tags               map[string]string // of the version
	RunID, LoggedModel string            // of MLflow
	// External opens files beside the model, whose values are taken in; nil
	// refuses a model that refers to others.
	External func(name string) (io.ReadSeekCloser, int64, error)
}

// Records is what the registry needs of the store.
type Records interface {
	store.Models
	store.Registry
	// BlobInUse tells whether any record refers to a blob.
	BlobInUse(ctx context.Context, sha256 string) (bool, error)
}

// Registry joins the records and the files of models. Safe for concurrent use.
type Registry struct {
	runtime *ort.Runtime
	records Records
	blobs   store.Blobs
	trial   func(context.Context) *exec.Cmd
	choice  provider.Choice
	notify  func(pipeline.Running) // nil tells nobody
	check   model.Check

	mu sync.Mutex // held while a record is added or removed, so that neither takes the other's file

	loading  sync.Mutex // held while a session is opened or given back
	list     sync.Mutex // guards sessions; also held by those that change it, who have loading
	sessions map[string]*session
}

// Open returns a registry on the stores.
func Open(rt *ort.Runtime, records Records, blobs store.Blobs) *Registry {
	return &Registry{runtime: rt, records: records, blobs: blobs, sessions: map[string]*session{}}
}

// Isolate has every new file tried in a process of its own before it is opened
// in this one: a file that crashes the runtime takes only that with it. The
// process calls model.ServeTrial. nil tries them here. Call it before Add.
func (r *Registry) Isolate(trial func(context.Context) *exec.Cmd) { r.trial = trial }

// Use chooses the execution providers that models are opened on, and has notify
// called when one that was asked for does not work or breaks; it must not block. Call
// it before Load.
func (r *Registry) Use(c provider.Choice, notify func(pipeline.Running)) {
	r.choice, r.notify = c, notify
}

// CheckWith has every new version go through a self-check, whose report and
// picture are stored with it. A failed one does not keep a version from being
// added: the pictures may show nothing of what the model is for. Call it before Add.
func (r *Registry) CheckWith(check model.Check) { r.check = check }

// Add takes an ONNX file in, finds out how to use it, runs it once, and stores it
// as a new version of the model. Memory does not grow with the file where Isolate
// was called. The same file again gives the version that has it, and
// store.ErrExists; the version has its file back then, if that was lost or damaged.
// Where Family or Contract ask for another contract than all versions with the file
// have, it is a new version. Errors: detect.ErrNotONNX, detect.ErrExternalData,
// detect.ErrNotDetector, ErrTooLarge. After an error no record is changed and no file
// is left.
func (r *Registry) Add(ctx context.Context, m New, file io.Reader) (store.ModelVersion, error) {
	if ref, err := detect.ParseRef(m.Name); err != nil {
		return store.ModelVersion{}, err
	} else if ref.Version != 0 || ref.Alias != "" {
		return store.ModelVersion{}, fmt.Errorf("model %q: versions are numbered by detectd, give the name alone", m.Name)
	}
	if m.External != nil {
		data, err := inline(file, m.External)
		if err != nil {
			return store.ModelVersion{}, err
		}
		file = bytes.NewReader(data)
	}
	sha, size, err := r.blobs.Put(ctx, io.LimitReader(file, MaxBytes+1))
	if err != nil {
		return store.ModelVersion{}, fmt.Errorf("read model: %w", err)
	}
	if m.SHA256 != "" && !strings.EqualFold(m.SHA256, sha) {
		err := fmt.Errorf("%w: its SHA-256 is %s, not %s; send it again, or look where it comes from", ErrChecksum, sha, m.SHA256)
		return store.ModelVersion{}, errors.Join(err, r.dropUnused(ctx, sha))
	}
	v, err := r.addFile(ctx, m, sha, size)
	if err != nil && !errors.Is(err, store.ErrExists) {
		err = errors.Join(err, r.dropUnused(ctx, sha))
	}
	return v, err
}

// dropUnused deletes a file that was not taken, also when the caller has gone.
func (r *Registry) dropUnused(ctx context.Context, sha string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.dropFile(context.WithoutCancel(ctx), sha)
}

// inline joins a model file and the files beside it.
func inline(file io.Reader, external func(string) (io.ReadSeekCloser, int64, error)) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(file, maxInline+1))
	if err != nil {
		return nil, fmt.Errorf("read model: %w", err)
	}
	if len(data) > maxInline {
		return nil, ErrTooLarge
	}
	return model.Inline(data, maxInline-int64(len(data)), external)
}

// addFile makes a version of a stored file.
func (r *Registry) addFile(ctx context.Context, m New, sha string, size int64) (store.ModelVersion, error) {
	if size > MaxBytes {
		return store.ModelVersion{}, ErrTooLarge
	}
	if v, err := r.same(ctx, m, sha); err != nil || v.Version > 0 {
		return v, err
	}
	options := model.Options{Family: m.Family, Overrides: m.Contract}
	if len(m.Known) > 0 {
		if err := json.Unmarshal(m.Known, &options.Contract); err != nil {
			return store.ModelVersion{}, fmt.Errorf("read contract of %s: %w", m.Source, err)
		}
	}
	found, err := r.examine(ctx, sha, options)
	if err != nil {
		return store.ModelVersion{}, err
	}
	text, err := json.Marshal(found.Contract)
	if err != nil {
		return store.ModelVersion{}, fmt.Errorf("encode contract: %w", err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	picture := ""
	if len(found.Overlay) > 0 {
		if picture, _, err = r.blobs.Put(ctx, bytes.NewReader(found.Overlay)); err != nil {
			return store.ModelVersion{}, fmt.Errorf("store picture of the self-check: %w", err)
		}
	}
	v, err := r.records.AddModelVersion(ctx,
		store.Model{Name: m.Name, Description: m.Description},
		store.ModelVersion{
			Model: m.Name, SHA256: sha, Size: size, Family: found.Contract.Family,
			Licence: m.Licence, Source: m.Source, Contract: text, Lineage: found.Lineage,
			Check: found.Check, Overlay: picture,
			Description: m.VersionDescription, Tags: m.Tags, RunID: m.RunID, LoggedModel: m.LoggedModel,
		})
	if err != nil && !errors.Is(err, store.ErrExists) {
		return v, errors.Join(err, r.dropFile(context.WithoutCancel(ctx), picture))
	}
	return v, err
}

// Recheck repeats the self-check of a version with a detector of it, and keeps
// what comes out in place of what was known. After an error nothing is changed.
func (r *Registry) Recheck(ctx context.Context, v store.ModelVersion, d detect.Detector) (store.ModelVersion, model.Report, error) {
	if r.check == nil {
		return v, model.Report{}, errors.New("check model: CheckWith was not called")
	}
	report, picture, err := r.check(ctx, d)
	if err != nil {
		return v, report, fmt.Errorf("%s@%d: %w", v.Model, v.Version, err)
	}
	text, err := json.Marshal(report)
	if err != nil {
		return v, report, fmt.Errorf("encode self-check: %w", err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	sha, _, err := r.blobs.Put(ctx, bytes.NewReader(picture))
	if err != nil {
		return v, report, fmt.Errorf("store picture of the self-check: %w", err)
	}
	v, before, err := r.records.SetModelCheck(ctx, v.Model, v.Version, text, sha)
	if err != nil {
		return v, report, errors.Join(err, r.dropFile(context.WithoutCancel(ctx), sha))
	}
	return v, report, r.dropFile(ctx, before)
}

// examine looks at a stored file: in a process of its own, else in memory.
func (r *Registry) examine(ctx context.Context, sha string, o model.Options) (e model.Examined, err error) {
	file, size, err := r.blobs.Open(ctx, sha)
	if err != nil {
		return e, fmt.Errorf("open model file: %w", err)
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	if r.trial != nil {
		return model.Try(ctx, r.trial(ctx), file, size, o)
	}
	data := make([]byte, size)
	if _, err := io.ReadFull(file, data); err != nil {
		return e, fmt.Errorf("read model file: %w", err)
	}
	return model.Examine(ctx, r.runtime, data, o, r.check)
}

// Remove deletes a version and, when no other version has it, its file.
func (r *Registry) Remove(ctx context.Context, name string, version int) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	v, err := r.records.ModelVersion(ctx, name, version)
	if err != nil {
		return err
	}
	if err := r.records.DeleteModelVersion(ctx, name, v.Version); err != nil {
		return err
	}
	return errors.Join(r.dropFile(ctx, v.SHA256), r.dropFile(ctx, v.Overlay))
}

// RemoveModel deletes a model with all its versions and their files.
func (r *Registry) RemoveModel(ctx context.Context, name string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	files, err := r.records.DeleteModel(ctx, name)
	if err != nil {
		return err
	}
	for _, sha := range files {
		if err := r.dropFile(ctx, sha); err != nil {
			return err
		}
	}
	return nil
}

// dropFile deletes a file that nothing refers to. mu is held.
func (r *Registry) dropFile(ctx context.Context, sha string) error {
	if sha == "" {
		return nil
	}
	used, err := r.records.BlobInUse(ctx, sha)
	if err != nil || used {
		return err
	}
	return r.blobs.Delete(ctx, sha)
}

// Find returns the stored version that ref names.
func (r *Registry) Find(ctx context.Context, ref detect.Ref) (store.ModelVersion, error) {
	if ref.Alias != "" {
		return r.records.AliasVersion(ctx, ref.Model, ref.Alias)
	}
	return r.records.ModelVersion(ctx, ref.Model, ref.Version)
}
