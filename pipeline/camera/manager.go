package camera

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"detectd/pipeline"
	"detectd/pipeline/bus"
	"detectd/pipeline/frame"
	"detectd/store"
)

// Records is what the manager reads of the store.
type Records interface {
	ListCameras(ctx context.Context, clientID string) ([]store.Camera, error)
}

// Manager keeps one worker per enabled camera. Safe for concurrent use.
type Manager struct {
	records Records
	bus     *bus.Bus
	deps    Deps
	resync  time.Duration
	log     *slog.Logger

	mu      sync.RWMutex // guards running
	running map[string]*running
}

// running is a camera with its worker; the worker is nil while it is disabled, or
// cannot be made.
type running struct {
	camera store.Camera
	worker *Worker
	failed string // why it cannot be made
	tries  int    // how often that was tried
	next   time.Time
	since  time.Time
	rates  rates // owned by Run's goroutine
	stop   func()
	ended  chan struct{} // closed when the worker has ended; nil without one
}

// resyncPeriod is how often the cameras are read again without an announcement.
const resyncPeriod = 30 * time.Second

// NewManager returns a manager that runs nothing yet. deps.State is set by it.
func NewManager(records Records, b *bus.Bus, deps Deps) *Manager {
	m := &Manager{
		records: records, bus: b, deps: deps, resync: resyncPeriod, log: deps.Log,
		running: map[string]*running{},
	}
	m.deps.State = func(s pipeline.Status) {
		b.Publish(bus.Subject(bus.CameraState, s.CameraID), bus.State{
			CameraID: s.CameraID, State: string(s.State), Reason: s.Reason, Since: s.Since,
		})
	}
	return m
}

// Run starts and stops workers as cameras come and go, and announces their
// health every second, until ctx ends and all workers have ended.
func (m *Manager) Run(ctx context.Context) error {
	changed, stop, err := m.bus.Watch(bus.Under(bus.CameraChanged))
	if err != nil {
		return err
	}
	zones, stopZones, err := m.bus.Watch(bus.Under(bus.ZonesChanged))
	if err != nil {
		stop()
		return err
	}
	defer m.stopAll()
	defer stop()
	defer stopZones()
	m.reconcile(ctx)
	second := time.NewTicker(time.Second)
	defer second.Stop()
	last := time.Now()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
			m.reconcile(ctx)
		case <-zones:
			m.zonesChanged()
		case now := <-second.C:
			m.health(now)
			if now.Sub(last) >= m.resync || m.anyDue(now) {
				last = now
				m.reconcile(ctx)
			}
		}
	}
}

// reconcile starts, restarts and stops workers.
func (m *Manager) reconcile(ctx context.Context) {
	cameras, err := m.records.ListCameras(ctx, "")
	if err != nil {
		if ctx.Err() == nil {
			m.log.Error("read cameras", "error", err)
		}
		return
	}
	wanted := make(map[string]bool, len(cameras))
	for _, c := range cameras {
		wanted[c.ID] = true
		old := m.get(c.ID)
		if old != nil && !needsRestart(old.camera, c) && !old.due(time.Now()) {
			old.idle(c)
			continue
		}
		if old != nil {
			m.end(old)
		}
		m.start(ctx, c)
	}
	for _, r := range m.all() {
		if !wanted[r.camera.ID] {
			m.end(r)
			m.forget(r.camera.ID)
		}
	}
}

// zonesChanged has every camera looked at: which one's zones changed, and so what
// counts of what stands before it, is not told.
func (m *Manager) zonesChanged() {
	for _, r := range m.all() {
		if r.worker != nil {
			r.worker.Changed()
		}
	}
}

func (m *Manager) forget(id string) {
	m.mu.Lock()
	delete(m.running, id)
	m.mu.Unlock()
}

// end stops a camera's worker and announces its last counts, for the reports.
func (m *Manager) end(r *running) {
	r.stop()
	if r.worker != nil {
		m.health(time.Now())
	}
}

// needsRestart tells whether a change touches what the worker was made from.
func needsRestart(a, b store.Camera) bool {
	for _, c := range []*store.Camera{&a, &b} {
		c.Name, c.Revision, c.DetectFPS, c.Weight, c.Idle = "", 0, 0, 0, ""
		c.RecordBefore, c.RecordAfter, c.Keep, c.KeepEvents, c.KeepBytes = 0, 0, 0, 0, 0 // retention reads them anew
		if c.Record != store.RecordOff {
			c.Record = store.RecordContinuous // what is kept of it is decided later
		}
		c.CreatedAt, c.UpdatedAt = time.Time{}, time.Time{}
	}
	return a != b
}

func (m *Manager) start(ctx context.Context, c store.Camera) {
	r := &running{camera: c, since: time.Now(), stop: func() {}}
	if c.Enabled {
		w, err := NewWorker(c, m.deps)
		if err != nil {
			m.failed(r, err)
			return
		}
		workerCtx, cancel := context.WithCancel(ctx)
		done := make(chan struct{})
		go func() {
			defer close(done)
			if err := w.Run(workerCtx); err != nil {
				m.log.Error("camera ended", "camera", c.ID, "error", err)
			}
		}()
		r.worker, r.ended, r.stop = w, done, func() { cancel(); <-done }
	}
	m.mu.Lock()
	m.running[c.ID] = r
	m.mu.Unlock()
	if r.worker == nil {
		m.deps.State(r.status())
	}
}

// failed takes r, whose worker cannot be made, in place of what ran before: the
// camera is tried again in a while, its record being as it may.
func (m *Manager) failed(r *running, err error) {
	r.failed, r.tries = err.Error(), 1
	old := m.get(r.camera.ID)
	if old != nil && old.failed != "" {
		r.since, r.tries = old.since, old.tries+1
	}
	wait := m.deps.Retry.upTo(m.deps.Retry.MaxSlow, r.tries)
	r.next = time.Now().Add(wait)
	m.log.Error("start camera", "camera", r.camera.ID, "error", err, "retry_in", wait)
	m.mu.Lock()
	m.running[r.camera.ID] = r
	m.mu.Unlock()
	if old == nil || old.failed != r.failed {
		m.deps.State(r.status())
	}
}

// due says that a camera that could not be started is to be tried again.
func (r *running) due(now time.Time) bool { return r.failed != "" && !now.Before(r.next) }

func (m *Manager) anyDue(now time.Time) bool {
	return slices.ContainsFunc(m.all(), func(r *running) bool { return r.due(now) })
}

func (m *Manager) stopAll() {
	var wg sync.WaitGroup
	for _, r := range m.all() {
		wg.Go(r.stop)
	}
	wg.Wait()
	m.health(time.Now()) // the last counts, for the reports
	m.mu.Lock()
	clear(m.running)
	m.mu.Unlock()
}

func (m *Manager) health(now time.Time) {
	h := bus.HealthReport{Time: now}
	for _, r := range m.all() {
		if r.worker == nil {
			continue
		}
		r.rates.measure(r.worker, now)
		s := r.worker.Status()
		h.Cameras = append(h.Cameras, bus.CameraCounters{
			CameraID: s.CameraID, Started: r.since, Model: s.Model, Version: s.ModelVersion,
			Frames: s.Frames, Inferences: s.Inferences,
			Drops: maps.Collect(s.Drops.All()),
		})
	}
	m.bus.Publish(bus.Health, h)
}

// Status returns the condition of a camera; false when it is not configured.
func (m *Manager) Status(cameraID string) (pipeline.Status, bool) {
	if r := m.get(cameraID); r != nil {
		return r.status(), true
	}
	return pipeline.Status{}, false
}

// Statuses returns the conditions of all cameras, by id.
func (m *Manager) Statuses() []pipeline.Status {
	all := m.all()
	out := make([]pipeline.Status, 0, len(all))
	for _, r := range all {
		out = append(out, r.status())
	}
	return out
}

// Latest returns a camera's newest frame with a reference for the caller, or nil.
func (m *Manager) Latest(cameraID string) *frame.Frame {
	if r := m.get(cameraID); r != nil && r.worker != nil {
		return r.worker.Latest()
	}
	return nil
}

// DroppedByStore counts annotations of a camera that could not be stored.
func (m *Manager) DroppedByStore(cameraID string, n int) {
	if r := m.get(cameraID); r != nil && r.worker != nil {
		r.worker.DroppedByStore(n)
	}
}

func (r *running) status() pipeline.Status {
	if r.failed != "" {
		return pipeline.Status{CameraID: r.camera.ID, State: pipeline.StateFailed, Reason: r.failed, Since: r.since, NextTry: r.next}
	}
	if r.worker == nil {
		return pipeline.Status{CameraID: r.camera.ID, State: pipeline.StateDisabled, Since: r.since}
	}
	return r.worker.Status()
}

func (m *Manager) get(id string) *running {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.running[id]
}

func (m *Manager) all() []*running {
	m.mu.RLock()
	defer m.mu.RUnlock()
	out := make([]*running, 0, len(m.running))
	for _, r := range m.running {
		out = append(out, r)
	}
	slices.SortFunc(out, func(a, b *running) int { return strings.Compare(a.camera.ID, b.camera.ID) })
	return out
}
