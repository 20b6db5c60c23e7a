package sqlite

import (
	"context"
	"slices"
	"sync"

	"detectd/store"
)

// memo holds what says which model runs where, as it was read last, for reads that
// come again and again. Every change made by write empties it, whatever it changes,
// so that nobody has to say what a change touches; what is committed together
// (events, tracks, segments) does not concern it. While a change is being made all
// reads go to the database: who has made a change reads it.
type memo struct {
	mu       sync.Mutex // guards what follows
	changes  uint64     // begun and ended
	writing  int        // begun and not ended
	running  []store.RunningModel
	known    bool                          // running is
	versions map[wanted]store.ModelVersion // as asked for: version 0 is the newest
}

// wanted names a version by its number, 0 for the newest, or by an alias.
type wanted struct {
	model   string
	version int
	alias   string
}

// mostVersions bounds the versions that are held.
const mostVersions = 1000

// begin notes that a change is being made; the caller calls end after its commit.
func (m *memo) begin() { m.change(1) }
func (m *memo) end()   { m.change(-1) }

func (m *memo) change(by int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.changes++
	m.writing += by
	m.running, m.known, m.versions = nil, false, nil
}

// keep has put note what was read at the given number of changes, unless there has
// been one since or one is being made.
func (m *memo) keep(at uint64, put func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.writing == 0 && m.changes == at {
		put()
	}
}

// runningModels returns all records; the slice is the caller's, what it holds is not.
func (s *Store) runningModels(ctx context.Context) ([]store.RunningModel, error) {
	m := &s.memo
	m.mu.Lock()
	at, held, known := m.changes, m.running, m.known
	m.mu.Unlock()
	if known {
		return slices.Clone(held), nil
	}
	read, err := list(ctx, s.r, scanRunning, "running models", selectRunning+` ORDER BY client_id, camera_id`)
	if err == nil {
		m.keep(at, func() { m.running, m.known = slices.Clone(read), true })
	}
	return read, err
}

// version returns the version that ref names, by read when it is not held.
func (s *Store) version(ref wanted, read func() (store.ModelVersion, error)) (store.ModelVersion, error) {
	m := &s.memo
	m.mu.Lock()
	at := m.changes
	v, ok := m.versions[ref]
	m.mu.Unlock()
	if ok {
		return v, nil
	}
	v, err := read()
	if err == nil {
		m.keep(at, func() {
			if m.versions == nil || len(m.versions) >= mostVersions {
				m.versions = map[wanted]store.ModelVersion{}
			}
			m.versions[ref] = v
		})
	}
	return v, err
}
