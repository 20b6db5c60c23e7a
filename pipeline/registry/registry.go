// Package registry takes model files in, checked, and opens them for detection.
// Files are blobs named by their SHA-256; models, versions and contracts are
// records of the store.
package registry

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"sync"

	"detectd/detect"
	"detectd/detect/model"
	"detectd/detect/ort"
	"detectd/detect/provider"
	"detectd/pipeline"
	"detectd/store"
)

// MaxBytes is the largest model file taken.
const MaxBytes = 1 << 30

// ErrTooLarge is returned for a model file of more than MaxBytes.
var ErrTooLarge = fmt.Errorf("a model file may have %d MiB at most", MaxBytes>>20)

// New describes a model file that is being added.
type New struct {
	Name        string
	Description string
	Licence     string
	Source      string
	Family      string            // how the outputs are laid out; "" is found out
	Contract    map[string]string // keys of the contract that cannot be found out: docs/models.md

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
	check   Check

	mu sync.Mutex // held while a file is added or removed, so that neither takes the other's file

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

// Check runs a detector's self-check. It returns the report and a JPEG of the
// picture with what was found.
type Check func(ctx context.Context, d detect.Detector) (report model.Report, overlay []byte, err error)

// CheckWith has every new version go through a self-check, whose report and
// picture are stored with it. A failed one does not keep a version from being
// added: the pictures may show nothing of what the model is for. Call it before Add.
func (r *Registry) CheckWith(check Check) { r.check = check }

// Add reads an ONNX file, finds out how to use it, runs it once, and stores it
// as a new version of the model. The same file again gives the version that has
// it, and store.ErrExists; when the version has lost its file, or that is damaged,
// it gets it back and there is no error. Errors: detect.ErrNotONNX, detect.ErrExternalData,
// detect.ErrNotDetector, ErrTooLarge. After an error nothing is stored.
func (r *Registry) Add(ctx context.Context, m New, file io.Reader) (store.ModelVersion, error) {
	if ref, err := detect.ParseRef(m.Name); err != nil {
		return store.ModelVersion{}, err
	} else if ref.Version != 0 || ref.Alias != "" {
		return store.ModelVersion{}, fmt.Errorf("model %q: versions are numbered by detectd, give the name alone", m.Name)
	}
	// Held in memory whole: ONNX Runtime takes the bytes, never the file, so that
	// a model cannot refer to other files.
	data, err := io.ReadAll(io.LimitReader(file, MaxBytes+1))
	if err != nil {
		return store.ModelVersion{}, fmt.Errorf("read model: %w", err)
	}
	if len(data) > MaxBytes {
		return store.ModelVersion{}, ErrTooLarge
	}
	if m.External != nil {
		if data, err = model.Inline(data, MaxBytes-int64(len(data)), m.External); err != nil {
			return store.ModelVersion{}, err
		}
	}
	sum := sha256.Sum256(data)
	if v, err := r.sameFile(ctx, m.Name, hex.EncodeToString(sum[:])); err != nil || v.Version > 0 {
		if err == nil {
			err = r.giveBack(ctx, v, data)
		}
		return v, err
	}
	opts := model.Options{Family: m.Family, Overrides: m.Contract}
	if r.trial != nil {
		if _, err := model.Try(ctx, r.trial(ctx), data, opts); err != nil {
			return store.ModelVersion{}, err
		}
	}
	detector, err := model.Open(r.runtime, data, opts)
	if err != nil {
		return store.ModelVersion{}, err
	}
	contract := detector.Contract()
	report, overlay, err := r.selfCheck(ctx, detector)
	if err := errors.Join(err, detector.Close()); err != nil {
		return store.ModelVersion{}, err
	}
	text, err := json.Marshal(contract)
	if err != nil {
		return store.ModelVersion{}, fmt.Errorf("encode contract: %w", err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	sha, size, err := r.blobs.Put(ctx, bytes.NewReader(data))
	if err != nil {
		return store.ModelVersion{}, fmt.Errorf("store model file: %w", err)
	}
	picture := ""
	if len(overlay) > 0 {
		if picture, _, err = r.blobs.Put(ctx, bytes.NewReader(overlay)); err != nil {
			return store.ModelVersion{}, errors.Join(fmt.Errorf("store picture of the self-check: %w", err), r.dropFile(context.WithoutCancel(ctx), sha))
		}
	}
	v, err := r.records.AddModelVersion(ctx,
		store.Model{Name: m.Name, Description: m.Description},
		store.ModelVersion{
			Model: m.Name, SHA256: sha, Size: size, Family: contract.Family,
			Licence: m.Licence, Source: m.Source, Contract: text, Lineage: model.Lineage(data),
			Check: report, Overlay: picture,
			Description: m.VersionDescription, Tags: m.Tags, RunID: m.RunID, LoggedModel: m.LoggedModel,
		})
	if err != nil && !errors.Is(err, store.ErrExists) {
		ctx = context.WithoutCancel(ctx)
		return v, errors.Join(err, r.dropFile(ctx, sha), r.dropFile(ctx, picture))
	}
	return v, err
}

// selfCheck returns the report as JSON and the picture; nothing without a check.
func (r *Registry) selfCheck(ctx context.Context, d detect.Detector) (json.RawMessage, []byte, error) {
	if r.check == nil {
		return nil, nil, nil
	}
	report, overlay, err := r.check(ctx, d)
	if err != nil {
		return nil, nil, err
	}
	text, err := json.Marshal(report)
	if err != nil {
		return nil, nil, fmt.Errorf("encode self-check: %w", err)
	}
	return text, overlay, nil
}

// sameFile finds the version of the model that has this file; version 0 when none has.
func (r *Registry) sameFile(ctx context.Context, name, sha string) (store.ModelVersion, error) {
	models, err := r.records.ListModels(ctx)
	if err != nil {
		return store.ModelVersion{}, err
	}
	for _, m := range models {
		for _, v := range m.Versions {
			if m.Name == name && v.SHA256 == sha {
				return v, nil
			}
		}
	}
	return store.ModelVersion{}, nil
}

// giveBack stores the file of a version again when it is not there any more as it
// was. It returns store.ErrExists when it is.
func (r *Registry) giveBack(ctx context.Context, v store.ModelVersion, data []byte) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.whole(ctx, v.SHA256) {
		return fmt.Errorf("this file is %s@%d: %w", v.Model, v.Version, store.ErrExists)
	}
	if _, err := r.records.ModelVersion(ctx, v.Model, v.Version); err != nil {
		return err // removed meanwhile
	}
	if _, _, err := r.blobs.Put(ctx, bytes.NewReader(data)); err != nil {
		return fmt.Errorf("store model file: %w", err)
	}
	return nil
}

// whole says whether a file can be read and is the one that was stored.
func (r *Registry) whole(ctx context.Context, sha string) bool {
	file, _, err := r.blobs.Open(ctx, sha)
	if err != nil {
		return false
	}
	hash := sha256.New()
	_, err = io.Copy(hash, file)
	return errors.Join(err, file.Close()) == nil && hex.EncodeToString(hash.Sum(nil)) == sha
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
