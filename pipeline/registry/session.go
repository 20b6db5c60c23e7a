package registry

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"sync"

	"detectd/detect"
	"detectd/detect/model"
	"detectd/detect/provider"
	"detectd/pipeline"
	"detectd/store"
)

// session is an open model that several users share.
type session struct {
	*provider.Detector
	ref   detect.Ref
	users int
}

// handle is one user's share of a session. Its Close gives the share back.
type handle struct {
	detect.Detector
	release func() error
	once    sync.Once
}

// Close implements detect.Detector. Only the first call has an effect.
func (h *handle) Close() (err error) {
	h.once.Do(func() { err = h.release() })
	return err
}

// Load opens a stored version for detection; the caller closes it. All who have
// a version open at the same time share one session.
func (r *Registry) Load(ctx context.Context, v store.ModelVersion) (detect.Detector, error) {
	return r.LoadOn(ctx, v, r.choice)
}

// LoadOn is Load on other execution providers than those of Use. Only who asks for
// the same ones in the same order shares a session.
func (r *Registry) LoadOn(ctx context.Context, v store.ModelVersion, c provider.Choice) (detect.Detector, error) {
	r.loading.Lock()
	defer r.loading.Unlock()
	key := fmt.Sprint(v.SHA256, string(v.Contract), c.Order)
	s := r.sessions[key]
	if s == nil {
		detector, err := r.open(ctx, v, c)
		if err != nil {
			return nil, err
		}
		s = &session{Detector: detector, ref: detect.Ref{Model: v.Model, Version: v.Version}}
		r.list.Lock()
		r.sessions[key] = s
		r.list.Unlock()
	}
	s.users++
	return &handle{Detector: s.Detector, release: func() error {
		r.loading.Lock()
		defer r.loading.Unlock()
		if s.users--; s.users > 0 {
			return nil
		}
		r.list.Lock()
		delete(r.sessions, key)
		r.list.Unlock()
		return s.Detector.Close()
	}}, nil
}

// Unwrap is the detector that is shared.
func (h *handle) Unwrap() detect.Detector { return h.Detector }

func (r *Registry) open(ctx context.Context, v store.ModelVersion, c provider.Choice) (*provider.Detector, error) {
	var contract detect.Contract
	if err := json.Unmarshal(v.Contract, &contract); err != nil {
		return nil, fmt.Errorf("read contract of %s@%d: %w", v.Model, v.Version, err)
	}
	ref := detect.Ref{Model: v.Model, Version: v.Version}
	later := context.WithoutCancel(ctx) // the file is read again when a provider breaks
	read := func() ([]byte, error) { return r.read(later, v) }
	tell := func(s provider.State) {
		if r.notify != nil {
			r.notify(running(ref, s))
		}
	}
	d, err := provider.Open(ctx, provider.OpenOn(r.runtime, read, model.Options{Contract: &contract}, c), c, tell)
	if err == nil && d.State().Degraded {
		tell(d.State())
	}
	return d, err
}

func (r *Registry) read(ctx context.Context, v store.ModelVersion) ([]byte, error) {
	file, size, err := r.blobs.Open(ctx, v.SHA256)
	if err != nil {
		return nil, fmt.Errorf("open file of model %s@%d: %w", v.Model, v.Version, err)
	}
	defer func() { _ = file.Close() }()
	data := make([]byte, size)
	if _, err := io.ReadFull(file, data); err != nil {
		return nil, fmt.Errorf("read file of model %s@%d: %w", v.Model, v.Version, err)
	}
	return data, nil
}

// Running tells what the open models run on, by name and version.
func (r *Registry) Running() []pipeline.Running {
	r.list.Lock()
	list := make([]pipeline.Running, 0, len(r.sessions))
	for _, s := range r.sessions {
		list = append(list, running(s.ref, s.State()))
	}
	r.list.Unlock()
	slices.SortFunc(list, func(a, b pipeline.Running) int {
		return cmp.Or(cmp.Compare(a.Model, b.Model), cmp.Compare(a.Version, b.Version))
	})
	return list
}

func running(ref detect.Ref, s provider.State) pipeline.Running {
	out := pipeline.Running{
		Model: ref.Model, Version: ref.Version, Provider: string(s.Provider), Degraded: s.Degraded, Reason: s.Reason,
		Failures: s.Failures, Moves: s.Moves, Trial: s.Trial,
	}
	for _, x := range s.Refused {
		out.Refused = append(out.Refused, fmt.Sprintf("%s: %s", x.Provider, x.Reason))
	}
	return out
}
