package promote

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"detectd/detect"
	"detectd/pipeline/bus"
	"detectd/store"
)

// ErrInvalid is returned for a promotion that cannot be made.
var ErrInvalid = errors.New("invalid")

// ErrState is returned for a step that a promotion in its state does not take.
var ErrState = errors.New("not possible now")

// Records is what a Manager needs of the store.
type Records interface {
	store.Promotions
	keeperRecords
	ListCameras(ctx context.Context, clientID string) ([]store.Camera, error)
	ListRunningModels(ctx context.Context) ([]store.RunningModel, error)
	Client(ctx context.Context, id string) (store.Client, error)
}

// Shadows run models beside others.
type Shadows interface {
	Set(tasks []ShadowTask)
	Report(id string) (store.ShadowReport, bool)
}

// ShadowTask is a model that is to run beside those that answer some cameras.
type ShadowTask struct {
	ID       string
	Ref      detect.Ref
	Cameras  []string
	Share    float64
	Provider string // execution providers, as of the cameras; "": the settings'
	Before   *store.ShadowReport
}

// Assigned tells what a camera runs, and why it does not run what it should.
type Assigned func(cameraID string) (ref detect.Ref, trouble string)

// subscriber is the bus.
type subscriber interface {
	SubscribeAll(ctx context.Context, ready chan<- struct{}, handle func(bus.Message), subjects ...string) error
}

// Deps are what a Manager works with. All fields are required.
type Deps struct {
	Records  Records
	Keeper   *Keeper
	Bus      subscriber
	Shadows  Shadows
	Assigned Assigned
	// Changed is told of each decision, what it changed of the running models, and
	// whether an alias moved. It must not block.
	Changed func(p store.Promotion, running []store.RunningModel, alias bool)
	Log     *slog.Logger
}

// Config tunes a Manager. The zero value is usable.
type Config struct {
	Default string           // model that runs where no record names one
	Look    time.Duration    // how often candidates are judged; 0 takes 5 s
	Note    time.Duration    // how often figures are kept; 0 takes 10 s
	Now     func() time.Time // nil takes time.Now
}

// strikesOut is how many looks in a row find a candidate outside of a band that a
// busy moment may cross, before it is rolled back. Without other cameras to tell
// whether the machine or the street are busier, it is the looks of a whole window.
const strikesOut = 2

// settle is how long a candidate may take to load on a camera.
const settle = time.Minute

// Manager takes promotions from step to step, and back. Safe for concurrent use.
type Manager struct {
	cfg   Config
	deps  Deps
	ready chan struct{}

	mu      sync.Mutex // held while a decision is taken; guards what follows
	tally   *tally
	active  map[string]store.Promotion
	looks   map[string]store.PromotionLook
	strikes map[string]int
	earlier map[string]store.CameraBaseline // by camera, from before the last restart
	kept    map[string]time.Time            // by camera: the newest counts that were kept
	besides map[string][]snapshot           // by promotion, the oldest first
}

// New returns a manager that does nothing until Run.
func New(cfg Config, deps Deps) *Manager {
	if cfg.Look <= 0 {
		cfg.Look = 5 * time.Second
	}
	if cfg.Note <= 0 {
		cfg.Note = 10 * time.Second
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Manager{
		cfg: cfg, deps: deps, ready: make(chan struct{}), tally: newTally(), active: map[string]store.Promotion{},
		looks: map[string]store.PromotionLook{}, strikes: map[string]int{},
		earlier: map[string]store.CameraBaseline{}, kept: map[string]time.Time{}, besides: map[string][]snapshot{},
	}
}

// Ready is closed when nothing that cameras do later can be missed.
func (m *Manager) Ready() <-chan struct{} { return m.ready }

// Run takes up the promotions that have not ended, and watches them until ctx ends.
func (m *Manager) Run(ctx context.Context) error {
	if err := m.load(ctx); err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() {
		ended <- m.deps.Bus.SubscribeAll(ctx, m.ready, m.take, bus.Under(bus.Inferences), bus.Health)
	}()
	look, note, keep := time.NewTicker(m.cfg.Look), time.NewTicker(m.cfg.Note), time.NewTicker(keepEvery)
	defer look.Stop()
	defer note.Stop()
	defer keep.Stop()
	for {
		select {
		case <-look.C:
			m.Look(ctx)
		case <-note.C:
			m.note(ctx)
		case <-keep.C:
			m.keep(ctx)
		case err := <-ended:
			m.note(context.WithoutCancel(ctx))
			m.keep(context.WithoutCancel(ctx))
			if err != nil {
				return fmt.Errorf("promote: %w", err)
			}
			return nil
		}
	}
}

// load takes up what an earlier run left.
func (m *Manager) load(ctx context.Context) error {
	list, err := m.deps.Records.ActivePromotions(ctx)
	if err != nil {
		return err
	}
	earlier, err := m.deps.Records.Baselines(ctx)
	if err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, b := range earlier {
		m.earlier[b.CameraID] = b
	}
	for _, p := range list {
		m.active[p.ID] = p
	}
	m.setShadows()
	return nil
}

// take counts one message.
func (m *Manager) take(msg bus.Message) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.cfg.Now()
	var err error
	if msg.Subject == bus.Health {
		var h bus.HealthReport
		if err = msg.Decode(&h); err == nil {
			m.tally.report(h, now)
		}
	} else {
		var i bus.Inference
		if err = msg.Decode(&i); err == nil {
			m.tally.inference(i, now)
		}
	}
	if err != nil {
		m.deps.Log.Warn("read message", "subject", msg.Subject, "error", err)
	}
}

// setShadows has the shadows of the active promotions run: the candidate beside the
// champion, then the champion beside the candidate. mu is held.
func (m *Manager) setShadows() {
	var tasks []ShadowTask
	for _, p := range m.active {
		t := ShadowTask{ID: p.ID, Cameras: p.Cameras, Share: p.Share, Provider: p.Provider}
		if p.State == store.PromotionShadow {
			t.Ref, t.Before = detect.Ref{Model: p.Model, Version: p.Version}, p.Shadow
		} else {
			t.Ref, t.Before = detect.Ref{Model: p.ChampionModel, Version: p.ChampionVersion}, p.Beside
		}
		if p.Share > 0 && (t.Ref != detect.Ref{}) {
			tasks = append(tasks, t)
		}
	}
	slices.SortFunc(tasks, func(a, b ShadowTask) int { return cmp.Compare(a.ID, b.ID) })
	m.deps.Shadows.Set(tasks)
}

// View returns a promotion with its live figures.
func (m *Manager) View(ctx context.Context, id string) (store.Promotion, error) {
	p, err := m.deps.Records.Promotion(ctx, id)
	if err != nil {
		return p, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.live(p), nil
}

// live puts the newest figures into an active promotion. mu is held.
func (m *Manager) live(p store.Promotion) store.Promotion {
	if !p.Active() {
		return p
	}
	if look, ok := m.looks[p.ID]; ok {
		p.Figures = &look
	}
	if r, ok := m.deps.Shadows.Report(p.ID); ok {
		if p.State == store.PromotionShadow {
			p.Shadow = &r
		} else {
			p.Beside = &r
		}
	}
	return p
}

// note keeps the figures of active promotions.
func (m *Manager) note(ctx context.Context) {
	m.mu.Lock()
	list := make([]store.Promotion, 0, len(m.active))
	for _, p := range m.active {
		list = append(list, m.live(p))
	}
	m.mu.Unlock()
	for _, p := range list {
		if err := m.deps.Records.NotePromotion(ctx, p); err != nil && !errors.Is(err, store.ErrNotFound) {
			m.deps.Log.Error("keep figures of promotion", "promotion", p.ID, "error", err)
		}
	}
}

// Look judges all candidates that run, rolls back those outside of their bands, and
// ends the watch of those that have stayed inside. Run calls it from time to time.
func (m *Manager) Look(ctx context.Context) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for id, p := range m.active {
		if p.State == store.PromotionShadow {
			m.lookAtShadow(ctx, p)
			continue
		}
		e, cameras := m.evidence(p)
		rules, enough, fault := Judge(e)
		c := e.Candidate
		look := store.PromotionLook{
			At: m.cfg.Now(), Cameras: cameras, Inferences: c.Inferences, Errors: c.Errors, NotFinite: c.NotFinite, Dropped: c.Dropped,
			Detections: c.Detections, P95: c.Latency.Quantile(0.95), Inference: c.Inference.Quantile(0.95), Alone: e.alone(),
			Rules: rules, Enough: enough, Fault: fault,
		}
		m.looks[id] = look
		patience := strikesOut
		if e.alone() {
			patience = max(patience, int(p.Bands.Window/m.cfg.Look)+1)
		}
		switch {
		case fault == "":
			m.strikes[id] = 0
		case urgent(rules):
			m.strikes[id] = patience
		default:
			m.strikes[id]++
		}
		over := m.cfg.Now().Sub(p.StageSince) >= p.Period
		switch {
		case m.strikes[id] >= patience:
			m.decide(ctx, p, func(p store.Promotion) (decided, error) { return m.rollBack(ctx, p, "detectd", fault) })
		case p.State == store.PromotionWatch && over && c.Inferences >= int64(p.Bands.MinSamples):
			m.decide(ctx, p, func(p store.Promotion) (decided, error) {
				return finish(p, store.PromotionDone, "detectd", stayed(p, rules)), nil
			})
		}
	}
}

// stayed says why a watch ends well, and what could not be looked at.
func stayed(p store.Promotion, rules []store.GateResult) string {
	text := "it stayed within its bands for " + p.Period.String()
	var unknown []string
	for _, r := range rules {
		if strings.HasSuffix(r.Measured, tooLittle) {
			unknown = append(unknown, r.Rule)
		}
	}
	if len(unknown) > 0 {
		text += ", but too little was known to judge " + strings.Join(unknown, ", ")
	}
	return text
}

// urgent says whether a rule is broken that no busy moment breaks.
func urgent(rules []store.GateResult) bool {
	for i, r := range rules {
		if !r.Passed && i < 3 { // loads, is finite, fails
			return true
		}
	}
	return false
}

// lookAtShadow ends a promotion whose candidate cannot be looked at. mu is held.
func (m *Manager) lookAtShadow(ctx context.Context, p store.Promotion) {
	r, ok := m.deps.Shadows.Report(p.ID)
	fault := ""
	switch {
	case !ok:
		return
	case r.Error != "":
		fault = r.Error
	case r.NotFinite > int64(p.Bands.MaxNotFinite):
		fault = fmt.Sprintf("%d of its outputs are no numbers", r.NotFinite)
	default:
		return
	}
	m.decide(ctx, p, func(p store.Promotion) (decided, error) {
		return finish(p, store.PromotionCancelled, "detectd", fault), nil
	})
}

// decide makes an automatic decision. mu is held.
func (m *Manager) decide(ctx context.Context, p store.Promotion, decision func(store.Promotion) (decided, error)) {
	if _, err := m.commit(ctx, p.ID, decision); err != nil && ctx.Err() == nil {
		m.deps.Log.Error("decide on promotion", "promotion", p.ID, "error", err)
	}
}

// evidence gathers what a running candidate is judged by. mu is held.
func (m *Manager) evidence(p store.Promotion) (e Evidence, cameras int) {
	now := m.cfg.Now()
	from := p.StageSince
	if w := now.Add(-p.Bands.Window); w.After(from) {
		from = w
	}
	e.Bands = p.Bands
	candidate, champion := Ref{p.Model, p.Version}, Ref{p.ChampionModel, p.ChampionVersion}
	runs := m.tally.running(candidate, from)
	if p.State == store.PromotionCanary {
		runs = slices.DeleteFunc(runs, func(id string) bool { return !slices.Contains(p.Cameras, id) })
	}
	for _, id := range runs {
		c := m.tally.sum(id, candidate, from)
		e.Candidate.add(&c)
	}
	for _, b := range p.Baseline {
		if slices.Contains(runs, b.CameraID) || len(runs) == 0 {
			c := counts(b)
			e.Before.add(&c)
		}
	}
	if p.ChampionModel != "" {
		for _, id := range m.tally.running(champion, from) {
			if slices.Contains(runs, id) {
				continue
			}
			after := m.tally.sum(id, champion, from)
			e.OthersNow.add(&after)
			if i := slices.IndexFunc(p.Others, func(b store.CameraBaseline) bool { return b.CameraID == id }); i >= 0 {
				before := counts(p.Others[i])
				e.OthersBefore.add(&before)
			}
		}
	}
	if r, ok := m.deps.Shadows.Report(p.ID); ok && r.Model == p.ChampionModel && r.Version == p.ChampionVersion {
		e.Beside, e.Meanwhile = &r, m.meanwhile(p, r, now)
	}
	e.Trouble = m.trouble(p, now)
	return e, len(runs)
}

// trouble says why a camera of the canary does not run the candidate.
func (m *Manager) trouble(p store.Promotion, now time.Time) string {
	want := detect.Ref{Model: p.Model, Version: p.Version}
	for _, id := range p.Cameras {
		ref, trouble := m.deps.Assigned(id)
		if ref == want || trouble == "" && now.Sub(p.StageSince) < settle {
			continue
		}
		if trouble != "" {
			return fmt.Sprintf("on camera %s: %s", id, trouble)
		}
	}
	return ""
}
