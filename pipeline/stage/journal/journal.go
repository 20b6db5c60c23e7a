// Package journal writes the log of events that people read: what happened to
// cameras, objects, models and results, in plain words.
//
// It lives from the bus alone. It writes in the background, in the order of the
// announcements; a camera whose state flaps is summed up instead of filling the
// log; user names and passwords in URLs never get into it.
package journal

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"detectd/pipeline/bus"
	"detectd/store"
)

// The kinds of events.
const (
	CameraState   = "camera.state"   // a camera is in another state; "connecting" is not logged
	CameraChanged = "camera.changed" // a camera was created, updated or deleted
	TrackStarted  = "track.started"  // an object appeared
	TrackEnded    = "track.ended"    // it is gone
	ModelChanged  = "model.changed"  // a client or a camera runs another model, or with other settings
	ModelsChanged = "models.changed" // the list of models changed
	ModelDegraded = "model.degraded" // a model runs on another execution provider than it should
	ResultDone    = "result.done"    // a picture or video is ready
	ResultFailed  = "result.failed"
	ZoneEntered   = "zone.entered"   // an object came into a zone, or appeared in it
	ZoneLeft      = "zone.left"      // it went out, or disappeared in it
	ZoneLoitering = "zone.loitering" // it has been in the zone for as long as the zone says
	LineCrossed   = "line.crossed"   // an object crossed a line
	RecordGap     = "recording.gap"  // for a long time nothing was recorded
	DiskSpace     = "disk.space"     // the disk is nearly full, or has space again
)

// Config configures a Stage. The zero value is usable.
type Config struct {
	// Window is how long the same state of the same camera is counted instead of
	// being logged again. 0 takes 10 s.
	Window       time.Duration
	Write        time.Duration // how often events are written; 0 takes 500 ms
	MaxPending   int           // events kept while the store fails; 0 takes 10,000
	WriteTimeout time.Duration // for one round of writing, the last one too; 0 takes 10 s
}

// subscriber is the bus.
type subscriber interface {
	SubscribeAll(ctx context.Context, ready chan<- struct{}, handle func(bus.Message), subjects ...string) error
}

// records is the part of store.Records that is used.
type records interface {
	AddEvent(ctx context.Context, e store.Event) (store.Event, error)
	Camera(ctx context.Context, id string) (store.Camera, error)
	Client(ctx context.Context, id string) (store.Client, error)
	RunningModel(ctx context.Context, clientID, cameraID string) (store.RunningModel, error)
}

// Stats counts what became of the announcements that are to be logged.
type Stats struct {
	Written   uint64
	Lost      uint64 // could not be written
	Malformed uint64 // could not be read
}

// Stage writes the log. Safe for concurrent use.
type Stage struct {
	cfg     Config
	bus     subscriber
	records records
	log     *slog.Logger
	names   *names // owned by Run's goroutine
	ready   chan struct{}

	mu      sync.Mutex // guards the fields below
	pending []note
	flaps   map[string]*flap // by camera
	stats   Stats
}

// note is an event whose words are still to be found.
type note struct {
	store.Event
	data any
	say  func(ctx context.Context, n *names) string
}

// New returns a stage that does nothing until Run.
func New(cfg Config, b subscriber, r records, log *slog.Logger) *Stage {
	if cfg.Window <= 0 {
		cfg.Window = 10 * time.Second
	}
	if cfg.Write <= 0 {
		cfg.Write = 500 * time.Millisecond
	}
	if cfg.MaxPending <= 0 {
		cfg.MaxPending = 10_000
	}
	if cfg.WriteTimeout <= 0 {
		cfg.WriteTimeout = 10 * time.Second
	}
	return &Stage{
		cfg: cfg, bus: b, records: r, log: log, ready: make(chan struct{}),
		names: &names{records: r, cameras: map[string]store.Camera{}}, flaps: map[string]*flap{},
	}
}

// Ready is closed when no later announcement can be missed.
func (s *Stage) Ready() <-chan struct{} { return s.ready }

// Stats tells what has been done so far.
func (s *Stage) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stats
}

// Run works until ctx ends, then writes what was announced before. It is called
// once. Publishers should have stopped when ctx ends.
func (s *Stage) Run(ctx context.Context) error {
	ended := make(chan error, 1)
	go func() {
		ended <- s.bus.SubscribeAll(ctx, s.ready, func(m bus.Message) { s.take(m, time.Now()) },
			bus.Under(bus.CameraState), bus.Under(bus.CameraChanged), bus.Under(bus.Tracks),
			bus.Under(bus.RunningModel), bus.ModelsChanged, bus.Providers, bus.Under(bus.Results), bus.Under(bus.ZoneEvents), bus.Under(bus.Gaps), bus.Space)
	}()
	tick := time.NewTicker(s.cfg.Write)
	defer tick.Stop()
	for {
		select {
		case now := <-tick.C:
			s.sumUp(now, s.cfg.Window)
			s.write(ctx)
		case err := <-ended:
			s.sumUp(time.Now(), 0)
			s.write(ctx)
			s.giveUp()
			if err != nil {
				return fmt.Errorf("journal: %w", err)
			}
			return nil
		}
	}
}

func (s *Stage) add(n note) {
	if len(s.pending) >= s.cfg.MaxPending {
		s.stats.Lost++
		return
	}
	s.pending = append(s.pending, n)
}

// write puts the notes into words and stores them, in order. After a failure
// the rest is tried again next time. Writes outlive ctx, so that none is cut off.
func (s *Stage) write(ctx context.Context) {
	s.mu.Lock()
	notes := s.pending
	s.pending = nil
	s.mu.Unlock()
	if len(notes) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.cfg.WriteTimeout)
	defer cancel()
	var written, lost uint64
	for len(notes) > 0 {
		err := s.writeOne(ctx, notes[0])
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			s.log.Warn("write events", "count", len(notes), "error", err)
			break
		}
		if err == nil {
			written++
		} else {
			lost++ // of a camera that is gone
		}
		notes = notes[1:]
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stats.Written += written
	s.stats.Lost += lost
	if len(notes) == 0 {
		return
	}
	s.pending = append(notes, s.pending...)
	if over := len(s.pending) - s.cfg.MaxPending; over > 0 {
		s.pending = s.pending[over:]
		s.stats.Lost += uint64(over)
	}
}

func (s *Stage) writeOne(ctx context.Context, n note) error {
	e := n.Event
	e.Message = withoutCredentials(n.say(ctx, s.names))
	if e.ClientID == "" && e.CameraID != "" {
		e.ClientID = s.names.camera(ctx, e.CameraID).ClientID
	}
	data, err := json.Marshal(n.data)
	if err != nil {
		return fmt.Errorf("encode event data: %w", err)
	}
	e.Data = data
	if _, err := s.records.AddEvent(ctx, e); err != nil {
		return err
	}
	if n.Kind == CameraChanged {
		s.names.forget(e.CameraID)
	}
	return nil
}

// giveUp counts what could not be written at the end.
func (s *Stage) giveUp() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if left := len(s.pending); left > 0 {
		s.stats.Lost += uint64(left)
		s.log.Error("events lost at shutdown", "count", left)
	}
}
