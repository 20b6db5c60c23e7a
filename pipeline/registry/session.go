package registry

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"sync"

	"detectd/detect"
	"detectd/detect/model"
	"detectd/store"
)

// session is an open model that several users share.
type session struct {
	detect.Detector
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
	r.loading.Lock()
	defer r.loading.Unlock()
	key := v.SHA256 + string(v.Contract)
	s := r.sessions[key]
	if s == nil {
		detector, err := r.open(ctx, v)
		if err != nil {
			return nil, err
		}
		s = &session{Detector: detector}
		r.sessions[key] = s
	}
	s.users++
	return &handle{Detector: s.Detector, release: func() error {
		r.loading.Lock()
		defer r.loading.Unlock()
		if s.users--; s.users > 0 {
			return nil
		}
		delete(r.sessions, key)
		return s.Detector.Close()
	}}, nil
}

func (r *Registry) open(ctx context.Context, v store.ModelVersion) (detect.Detector, error) {
	var contract detect.Contract
	if err := json.Unmarshal(v.Contract, &contract); err != nil {
		return nil, fmt.Errorf("read contract of %s@%d: %w", v.Model, v.Version, err)
	}
	file, size, err := r.blobs.Open(ctx, v.SHA256)
	if err != nil {
		return nil, fmt.Errorf("open file of model %s@%d: %w", v.Model, v.Version, err)
	}
	defer func() { _ = file.Close() }()
	data := make([]byte, size)
	if _, err := io.ReadFull(file, data); err != nil {
		return nil, fmt.Errorf("read file of model %s@%d: %w", v.Model, v.Version, err)
	}
	return model.Open(r.runtime, data, model.Options{Contract: &contract})
}
