// Package zone watches areas and lines in the pictures of cameras: who enters,
// leaves, stays and crosses, and how many there were in each minute. Masks keep
// detections in some areas from being followed at all.
//
// It works on completed annotations in their order, so it looks at every frame,
// and its events have the time of the very frame. An object is where its anchor
// is, the middle of the lower side of its box. Only followed objects count.
//
// Polygons and lines are drawn on the picture, in shares of its sides, so they
// hold for any resolution of the camera.
package zone

import (
	"context"
	"log/slog"
	"reflect"
	"sync"
	"time"

	"detectd/pipeline/bus"
	"detectd/store"
)

// Config configures a Stage; zero values take the defaults.
type Config struct {
	Write        time.Duration // how often counts are written; 10 s
	Resync       time.Duration // how often maps are read again without an announcement; 30 s
	Keep         time.Duration // how long counts are kept; 31 days
	MaxPending   int           // counts held while the store fails; 100,000
	WriteTimeout time.Duration // of the last write after ctx ended; 10 s
	// Only names the zones of a camera that detections are wanted in, by id; none
	// means everywhere. nil: everywhere.
	Only func(cameraID string) []string
}

// announcer is the bus.
type announcer interface {
	Publish(subject string, v any)
	Watch(subjects ...string) (changed <-chan struct{}, stop func(), err error)
}

// records is the part of store.Records that is used.
type records interface {
	ListZoneMaps(ctx context.Context) ([]store.ZoneMap, error)
	AddZoneCounts(ctx context.Context, counts []store.ZoneCount) error
	DropZoneCounts(ctx context.Context, before time.Time) error
}

// Stage watches the zones of all cameras. Safe for concurrent use.
type Stage struct {
	cfg     Config
	bus     announcer
	records records
	log     *slog.Logger
	ready   chan struct{}
	now     func() time.Time
	dropped time.Time // when old counts were last deleted; owned by Run's goroutine

	mu      sync.Mutex // guards the fields below
	maps    map[string]*store.ZoneMap
	cameras map[string]*Camera
	pending []store.ZoneCount
}

// New returns a stage that knows no maps until Run.
func New(cfg Config, b announcer, r records, log *slog.Logger) *Stage {
	for _, d := range []struct {
		value    *time.Duration
		standard time.Duration
	}{
		{&cfg.Write, 10 * time.Second}, {&cfg.Resync, 30 * time.Second}, {&cfg.Keep, 31 * 24 * time.Hour}, {&cfg.WriteTimeout, 10 * time.Second},
	} {
		if *d.value <= 0 {
			*d.value = d.standard
		}
	}
	if cfg.MaxPending <= 0 {
		cfg.MaxPending = 100_000
	}
	return &Stage{
		cfg: cfg, bus: b, records: r, log: log, ready: make(chan struct{}), now: time.Now,
		maps: map[string]*store.ZoneMap{}, cameras: map[string]*Camera{},
	}
}

// Ready is closed when the maps have been read for the first time.
func (s *Stage) Ready() <-chan struct{} { return s.ready }

// Camera returns what watches a camera from now on. One is made for each run of
// the camera; the one before it is no longer used.
func (s *Stage) Camera(id string) *Camera {
	s.mu.Lock()
	defer s.mu.Unlock()
	if old := s.cameras[id]; old != nil {
		s.pending = append(s.pending, old.tally.take()...)
	}
	m := s.maps[id]
	if m == nil {
		m = &store.ZoneMap{CameraID: id}
	}
	c := newCamera(id, m, func(e bus.ZoneEvent) { s.bus.Publish(bus.Subject(bus.ZoneEvents, id), e) })
	if s.cfg.Only != nil {
		c.only = func() []string { return s.cfg.Only(id) }
	}
	s.cameras[id] = c
	return c
}

// Run follows changes of the maps and writes counts until ctx ends, then writes
// what is left. Cameras should have stopped by then.
func (s *Stage) Run(ctx context.Context) error {
	changed, stop, err := s.bus.Watch(bus.Under(bus.ZonesChanged))
	if err != nil {
		return err
	}
	defer stop()
	s.read(ctx)
	close(s.ready)
	write, resync := time.NewTicker(s.cfg.Write), time.NewTicker(s.cfg.Resync)
	defer write.Stop()
	defer resync.Stop()
	for {
		select {
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.cfg.WriteTimeout)
			defer cancel()
			s.write(last)
			return nil
		case <-changed:
			s.read(ctx)
		case <-resync.C:
			s.read(ctx)
			s.drop(ctx)
		case <-write.C:
			s.write(context.WithoutCancel(ctx))
		}
	}
}

// read brings the cameras' maps up to date.
func (s *Stage) read(ctx context.Context) {
	all, err := s.records.ListZoneMaps(ctx)
	if err != nil {
		if ctx.Err() == nil {
			s.log.Error("read zones", "error", err)
		}
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	known := s.maps
	s.maps = make(map[string]*store.ZoneMap, len(all))
	for i := range all {
		m := &all[i]
		if old := known[m.CameraID]; old != nil && reflect.DeepEqual(old, m) {
			m = old
		}
		s.maps[m.CameraID] = m
	}
	for id, c := range s.cameras {
		m := s.maps[id]
		if m == nil {
			if old := c.current.Load(); old.Revision == 0 {
				continue
			}
			m = &store.ZoneMap{CameraID: id}
		}
		c.current.Store(m)
	}
}

// write stores what was counted. After a failure it is tried again next time.
func (s *Stage) write(ctx context.Context) {
	s.mu.Lock()
	counts := s.pending
	s.pending = nil
	for _, c := range s.cameras {
		counts = append(counts, c.tally.take()...)
	}
	s.mu.Unlock()
	if len(counts) == 0 {
		return
	}
	err := s.records.AddZoneCounts(ctx, counts)
	if err == nil {
		return
	}
	s.log.Error("store zone counts", "counts", len(counts), "error", err)
	s.mu.Lock()
	defer s.mu.Unlock()
	if over := len(counts) + len(s.pending) - s.cfg.MaxPending; over > 0 {
		s.log.Error("zone counts lost", "counts", min(over, len(counts)))
		counts = counts[min(over, len(counts)):]
	}
	s.pending = append(counts, s.pending...)
}

// drop deletes old counts, once an hour.
func (s *Stage) drop(ctx context.Context) {
	now := s.now()
	if now.Sub(s.dropped) < time.Hour {
		return
	}
	if err := s.records.DropZoneCounts(ctx, now.Add(-s.cfg.Keep)); err != nil {
		if ctx.Err() == nil {
			s.log.Error("delete old zone counts", "error", err)
		}
		return
	}
	s.dropped = now
}
