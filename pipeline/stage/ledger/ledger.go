// Package ledger accounts for every second of every camera: what lies in no
// recording is entered as a gap with its reason.
//
// It looks at the cameras every second and keeps what would explain a missing
// recording at each moment. From time to time it moves the ledgers in the store
// on, which find the gaps by what is in the index, so that no way of losing video
// has to be foreseen. Time before this start is that of a process that was down.
package ledger

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"detectd/pipeline"
	"detectd/store"
)

// Config says how often the ledgers move on. Zero values take the defaults.
type Config struct {
	Sample   time.Duration // between two looks at the cameras; 1 s
	Pass     time.Duration // between two accounts; 10 s
	Settle   time.Duration // time so young is not accounted for yet; 5 s
	Patience time.Duration // how long a missing recording may wait for its reason; 2 min
	Loud     time.Duration // gaps of this length are announced; 10 s
	// Now is the wall clock and Elapsed a clock that never jumps; nil takes the machine's.
	Now     func() time.Time
	Elapsed func() time.Duration
}

// records is the part of the store that is used.
type records interface {
	ListCameras(ctx context.Context, clientID string) ([]store.Camera, error)
	OpenLedger(ctx context.Context, cameraID string, at time.Time) (store.Ledger, error)
	AccountGaps(ctx context.Context, accounts []store.Account) ([]store.Ledger, []store.Gap, error)
}

// Watch is what is known of a camera now.
type Watch struct {
	Status  pipeline.Status
	Growing time.Time // start of the file that is being written, zero without one
}

// Deps is what the stage works with.
type Deps struct {
	Records records
	// Watch returns what is known of a camera; false when there is no worker yet.
	Watch func(cameraID string) (Watch, bool)
	// Announce tells of a gap that is long, when it is noticed (open) and when it
	// has ended. It must not block.
	Announce func(g store.Gap, open bool)
	Log      *slog.Logger
}

// Stage moves the ledgers on. Run it once.
type Stage struct {
	cfg  Config
	deps Deps

	cameras map[string]*camera
	started time.Time
	wall    time.Time     // at the last look
	mono    time.Duration // at the last look
	failing bool
}

// camera is what the stage knows of one camera.
type camera struct {
	ledger store.Ledger
	causes []store.Cause
	record uint64    // dropped units at the last look
	gap    store.Gap // the newest, while it may go on
	told   bool      // of gap
}

// jump is how far the wall clock may run away from time between two looks.
const jump = 2 * time.Second

// New returns a stage that does nothing until Run.
func New(cfg Config, deps Deps) *Stage {
	def := func(d *time.Duration, value time.Duration) {
		if *d <= 0 {
			*d = value
		}
	}
	def(&cfg.Sample, time.Second)
	def(&cfg.Pass, 10*time.Second)
	def(&cfg.Settle, 5*time.Second)
	def(&cfg.Patience, 2*time.Minute)
	def(&cfg.Loud, 10*time.Second)
	began := time.Now()
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Elapsed == nil {
		cfg.Elapsed = func() time.Duration { return time.Since(began) }
	}
	return &Stage{cfg: cfg, deps: deps, cameras: map[string]*camera{}}
}

// Run works until ctx ends. What fails is tried again at the next look.
func (s *Stage) Run(ctx context.Context) error {
	tick := time.NewTicker(s.cfg.Sample)
	defer tick.Stop()
	last := s.cfg.Elapsed()
	for {
		err := s.Look(ctx)
		if now := s.cfg.Elapsed(); err == nil && now-last >= s.cfg.Pass {
			last = now
			err = s.Account(ctx)
		}
		switch {
		case ctx.Err() != nil:
			return s.finish(ctx)
		case err == nil:
			s.failing = false
		case !s.failing:
			s.failing = true
			s.deps.Log.Error("missing recordings are not noted", "error", err)
		}
		select {
		case <-ctx.Done():
			return s.finish(ctx)
		case <-tick.C:
		}
	}
}

// finish accounts for the time up to now: all recorders have ended.
func (s *Stage) finish(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	s.cfg.Settle = 0
	if err := s.Account(ctx); err != nil {
		s.deps.Log.Warn("the last missing recordings are noted at the next start", "error", err)
	}
	return nil
}

// Look notes what every camera is doing.
func (s *Stage) Look(ctx context.Context) error {
	all, err := s.deps.Records.ListCameras(ctx, "")
	if err != nil {
		return fmt.Errorf("list cameras: %w", err)
	}
	now, mono := s.cfg.Now().Round(0), s.cfg.Elapsed()
	if s.started.IsZero() {
		s.started, s.wall, s.mono = now, now, mono
	}
	drift := now.Sub(s.wall) - (mono - s.mono)
	known := map[string]bool{}
	for _, c := range all {
		known[c.ID] = true
		k, err := s.camera(ctx, c)
		if err != nil {
			return err
		}
		switch {
		case drift > jump:
			k.note(store.Cause{From: s.wall, Reason: store.GapClock})
			k.causes = append(k.causes, store.Cause{From: now})
		case drift < -jump:
			k.cut(now)
		}
		k.look(now, c, s.deps.Watch)
	}
	for id := range s.cameras {
		if !known[id] {
			delete(s.cameras, id)
		}
	}
	s.wall, s.mono = now, mono
	return nil
}

// camera returns what is known of c, beginning or taking up its ledger.
func (s *Stage) camera(ctx context.Context, c store.Camera) (*camera, error) {
	if k := s.cameras[c.ID]; k != nil {
		return k, nil
	}
	at := s.started
	if c.CreatedAt.After(at) {
		at = c.CreatedAt
	}
	l, err := s.deps.Records.OpenLedger(ctx, c.ID, at)
	if err != nil {
		return nil, fmt.Errorf("open ledger: %w", err)
	}
	k := &camera{ledger: l}
	if l.Until.Before(s.started) { // nobody could change its settings since
		down := store.Cause{From: l.Until, Reason: store.GapDown}
		if off := switchedOff(c); off != "" {
			down.Reason = off
		}
		k.causes = []store.Cause{down} // until its worker is there
	}
	s.cameras[c.ID] = k
	return k, nil
}

// look notes what would explain a missing recording from now on.
func (k *camera) look(now time.Time, c store.Camera, watch func(string) (Watch, bool)) {
	cause := store.Cause{From: now}
	if off := switchedOff(c); off != "" {
		cause.Reason = off
		k.note(cause)
		return
	}
	w, ok := watch(c.ID)
	if !ok {
		return
	}
	st := w.Status
	switch {
	case st.RecordError == pipeline.DiskFull:
		cause.Reason = store.GapDiskFull
	case st.RecordError != "":
		cause.Reason = store.GapDisk
	case st.Drops.Record > k.record:
		cause.Reason = store.GapOverload
	case st.State == pipeline.StateEnded:
		cause.Reason = store.GapEnded
	case st.State == pipeline.StateConnecting && k.newest().Reason == store.GapCamera:
		cause = k.newest() // a try does not change why it is gone
	case st.State != pipeline.StateRunning && st.State != pipeline.StateDisabled:
		cause.Reason, cause.Detail = store.GapCamera, string(st.State)
	}
	k.record = st.Drops.Record
	k.note(cause)
}

// switchedOff says why nothing of a camera is to be recorded; "" when it is.
func switchedOff(c store.Camera) store.GapReason {
	switch {
	case !c.Enabled:
		return store.GapDisabled
	case c.Record == store.RecordOff:
		return store.GapOff
	}
	return ""
}

func (k *camera) newest() store.Cause {
	if n := len(k.causes); n > 0 {
		return k.causes[n-1]
	}
	return store.Cause{}
}

// note adds a cause unless it is the one that holds already.
func (k *camera) note(c store.Cause) {
	if last := k.newest(); len(k.causes) == 0 || last.Reason != c.Reason || last.Detail != c.Detail {
		k.causes = append(k.causes, c)
	}
}

// cut forgets the causes after a time: the clock was set back to it.
func (k *camera) cut(now time.Time) {
	for len(k.causes) > 0 && k.newest().From.After(now) {
		k.causes = k.causes[:len(k.causes)-1]
	}
}

// Account moves all ledgers on.
func (s *Stage) Account(ctx context.Context) error {
	now := s.cfg.Now().Round(0)
	accounts := make([]store.Account, 0, len(s.cameras))
	for id, k := range s.cameras {
		to := now.Add(-s.cfg.Settle)
		if w, ok := s.deps.Watch(id); ok && !w.Growing.IsZero() && w.Growing.Before(to) {
			to = w.Growing // what it holds is not in the index yet
		}
		accounts = append(accounts, store.Account{CameraID: id, To: to, Causes: k.causes, Patience: s.cfg.Patience})
	}
	ledgers, gaps, err := s.deps.Records.AccountGaps(ctx, accounts)
	if err != nil {
		return err
	}
	newest := map[string]store.Gap{}
	for _, g := range gaps {
		if k := s.cameras[g.CameraID]; k != nil {
			k.tell(g, s.cfg.Loud, s.deps.Announce)
			newest[g.CameraID] = g
		}
	}
	for _, l := range ledgers {
		k := s.cameras[l.CameraID]
		if k == nil {
			continue
		}
		k.ledger = l
		if g, ok := newest[l.CameraID]; (!ok || g.To.Before(l.Until)) && k.gap.ID != 0 && k.gap.To.Before(l.Until) {
			k.end(s.deps.Announce)
		}
		for len(k.causes) > 1 && !k.causes[1].From.After(l.Until) {
			k.causes = k.causes[1:]
		}
	}
	return nil
}

// tell announces a gap that became long.
func (k *camera) tell(g store.Gap, loud time.Duration, announce func(store.Gap, bool)) {
	if k.gap.ID != 0 && k.gap.ID != g.ID {
		k.end(announce)
	}
	k.gap = g
	if !k.told && g.Reason.Wanted() && g.To.Sub(g.From) >= loud {
		k.told = true
		announce(g, true)
	}
}

// end announces the end of a gap that was announced before.
func (k *camera) end(announce func(store.Gap, bool)) {
	if k.told {
		announce(k.gap, false)
	}
	k.gap, k.told = store.Gap{}, false
}
