package promote

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"detectd/detect"
	"detectd/store"
)

// Request asks for a promotion.
type Request struct {
	Model    string
	Version  int
	Alias    string // that names the version once it is promoted; "" for none
	ClientID string
	Cameras  []string // where the shadow looks and the canary runs; nil: all of the client
	Canary   bool     // begin with the canary, without a shadow
	Share    float64  // of the frames that are compared, 0 to 1
	Bands    store.Bands
	Period   time.Duration // how long it is watched after it was promoted
	Force    bool          // also when it does not meet the rules of the alias; needs a Reason
	By       string
	Reason   string
}

// eventData is the data of events about promotions.
type eventData struct {
	ID       string               `json:"promotion_id"`
	Model    string               `json:"model"`
	Version  int                  `json:"version"`
	Alias    string               `json:"alias,omitempty"`
	ClientID string               `json:"client_id"`
	Cameras  []string             `json:"cameras,omitempty"`
	State    string               `json:"state"`
	By       string               `json:"by,omitempty"`
	Reason   string               `json:"reason,omitempty"`
	Rules    []store.GateResult   `json:"rules,omitempty"`
	Figures  *store.PromotionLook `json:"figures,omitempty"`
	Kept     []string             `json:"kept,omitempty"`       // records that somebody else has changed since
	Unknown  []string             `json:"unmeasured,omitempty"` // cameras of which too little is known from before
}

// decided is a decision with what follows from it.
type decided struct {
	store.PromotionStep
	rules []store.GateResult
	kept  []string
}

// Start begins a promotion. A version that does not meet the rules of the alias, or
// without one those that hold by default, is refused with a *store.GateError.
func (m *Manager) Start(ctx context.Context, r Request) (store.Promotion, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	_, results, err := m.deps.Keeper.Check(ctx, r.Model, r.Alias, r.Version)
	if err != nil {
		return store.Promotion{}, err
	}
	if !Passed(results) && (!r.Force || r.Reason == "") {
		return store.Promotion{}, &store.GateError{Model: r.Model, Alias: r.Alias, Version: r.Version, Results: results}
	}
	p := store.Promotion{
		ID: strings.ToLower(rand.Text()[:12]), Model: r.Model, Version: r.Version, Alias: r.Alias, ClientID: r.ClientID,
		State: store.PromotionShadow, Share: r.Share, Bands: r.Bands, Period: r.Period, By: r.By, Reason: r.Reason, StageSince: m.cfg.Now(),
	}
	if p.Bands == (store.Bands{}) {
		p.Bands = store.DefaultBands()
	}
	if p.Cameras, err = m.cameras(ctx, r.ClientID, r.Cameras); err != nil {
		return store.Promotion{}, err
	}
	if err := m.champion(ctx, &p); err != nil {
		return store.Promotion{}, err
	}
	if p.Provider, err = m.provider(ctx, p); err != nil {
		return store.Promotion{}, err
	}
	d := decided{PromotionStep: store.PromotionStep{Promotion: p}, rules: results}
	if r.Canary {
		if d, err = m.canary(ctx, p, r.By, r.Reason); err != nil {
			return store.Promotion{}, err
		}
		d.rules = results
	}
	return m.write(ctx, d)
}

// cameras checks the wanted ones, or takes all of the client.
func (m *Manager) cameras(ctx context.Context, clientID string, wanted []string) ([]string, error) {
	if _, err := m.deps.Records.Client(ctx, clientID); err != nil {
		return nil, err
	}
	all, err := m.deps.Records.ListCameras(ctx, clientID)
	if err != nil {
		return nil, err
	}
	ids := make([]string, len(all))
	for i, c := range all {
		ids[i] = c.ID
	}
	for _, id := range wanted {
		if !slices.Contains(ids, id) {
			return nil, fmt.Errorf("camera %q of client %s: %w", id, clientID, store.ErrNotFound)
		}
	}
	if len(wanted) > 0 {
		ids = slices.Compact(slices.Sorted(slices.Values(wanted)))
	}
	if len(ids) == 0 {
		return nil, fmt.Errorf("client %s has no cameras: %w", clientID, ErrInvalid)
	}
	return ids, nil
}

// champion finds what the client runs now.
func (m *Manager) champion(ctx context.Context, p *store.Promotion) error {
	running, err := m.deps.Records.ListRunningModels(ctx)
	if err != nil {
		return err
	}
	r := store.Effective(running, p.ClientID, "", m.cfg.Default)
	v, err := m.version(ctx, r)
	if err != nil {
		return err
	}
	p.ChampionModel, p.ChampionVersion = v.Model, v.Version
	if v.Model == p.Model && v.Version == p.Version {
		return fmt.Errorf("client %s runs %s@%d already: %w", p.ClientID, v.Model, v.Version, ErrInvalid)
	}
	if p.Alias != "" {
		if holder, err := m.deps.Records.AliasVersion(ctx, p.Model, p.Alias); err == nil {
			p.AliasBefore = holder.Version
		} else if !errors.Is(err, store.ErrNotFound) {
			return err
		}
	}
	return nil
}

// provider is what the cameras of a promotion run their model on, for the shadow.
// One whose time is compared cannot run on several.
func (m *Manager) provider(ctx context.Context, p store.Promotion) (string, error) {
	if p.Share == 0 {
		return "", nil
	}
	running, err := m.deps.Records.ListRunningModels(ctx)
	if err != nil {
		return "", err
	}
	of := func(camera string) string {
		return store.Effective(running, p.ClientID, camera, m.cfg.Default).Provider
	}
	wanted := of(p.Cameras[0])
	for _, camera := range p.Cameras[1:] {
		if other := of(camera); other != wanted {
			return "", fmt.Errorf("camera %s runs on %s, camera %s on %s: a shadow runs on one of them, so choose cameras of one, or a share of 0 for none: %w",
				p.Cameras[0], cmp.Or(wanted, "the provider of the settings"), camera, cmp.Or(other, "that of the settings"), ErrInvalid)
		}
	}
	return wanted, nil
}

// Canary moves a shadow to the cameras; wanted nil takes those where it looked.
func (m *Manager) Canary(ctx context.Context, id string, wanted []string, by, reason string) (store.Promotion, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.commit(ctx, id, func(p store.Promotion) (decided, error) {
		if p.State != store.PromotionShadow {
			return decided{}, fmt.Errorf("promotion %s is in state %s, only a shadow becomes a canary: %w", id, p.State, ErrState)
		}
		if len(wanted) > 0 {
			cameras, err := m.cameras(ctx, p.ClientID, wanted)
			if err != nil {
				return decided{}, err
			}
			p.Cameras = cameras
		}
		var err error
		if p.Provider, err = m.provider(ctx, p); err != nil {
			return decided{}, err
		}
		return m.canary(ctx, p, by, reason)
	})
}

func (m *Manager) canary(ctx context.Context, p store.Promotion, by, reason string) (decided, error) {
	running, err := m.deps.Records.ListRunningModels(ctx)
	if err != nil {
		return decided{}, err
	}
	now := m.cfg.Now()
	p.State, p.By, p.Reason, p.StageSince = store.PromotionCanary, by, reason, now
	p.Baseline, p.Others = m.baseline(p, p.Cameras, now), m.others(p, p.Cameras, now)
	p.Before = nil
	steps := canarySteps(&p, running, m.cfg.Default)
	return decided{PromotionStep: store.PromotionStep{Promotion: p, Running: steps}}, nil
}

// Promote makes the candidate run everywhere, and watches it.
func (m *Manager) Promote(ctx context.Context, id, by, reason string, force bool) (store.Promotion, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.commit(ctx, id, func(p store.Promotion) (decided, error) {
		if p.State != store.PromotionShadow && p.State != store.PromotionCanary {
			return decided{}, fmt.Errorf("promotion %s is in state %s: %w", id, p.State, ErrState)
		}
		_, results, err := m.deps.Keeper.Check(ctx, p.Model, p.Alias, p.Version)
		if err != nil {
			return decided{}, err
		}
		if !Passed(results) && (!force || reason == "") {
			return decided{}, &store.GateError{Model: p.Model, Alias: p.Alias, Version: p.Version, Results: results}
		}
		return m.everywhere(ctx, p, by, reason, results)
	})
}

func (m *Manager) everywhere(ctx context.Context, p store.Promotion, by, reason string, results []store.GateResult) (decided, error) {
	running, err := m.deps.Records.ListRunningModels(ctx)
	if err != nil {
		return decided{}, err
	}
	all, err := m.cameras(ctx, p.ClientID, nil)
	if err != nil {
		return decided{}, err
	}
	now := m.cfg.Now()
	for _, b := range m.baseline(p, all, now) { // of the cameras that come to it now
		if !slices.ContainsFunc(p.Baseline, func(old store.CameraBaseline) bool { return old.CameraID == b.CameraID }) {
			p.Baseline = append(p.Baseline, b)
		}
	}
	p.Others = m.others(p, all, now)
	p.State, p.By, p.Reason, p.StageSince = store.PromotionWatch, by, reason, now
	steps := promoteSteps(&p, running, func(r store.RunningModel) int {
		v, err := m.version(ctx, r)
		if err != nil {
			return 0
		}
		return v.Version
	})
	d := decided{rules: results}
	if p.Alias != "" && p.AliasBefore != p.Version {
		d.Alias = &store.AliasStep{Model: p.Model, Alias: p.Alias, Version: p.Version, Expect: p.AliasBefore, Author: author(p)}
		p.AliasMoved = true
	}
	d.Promotion, d.Running = p, steps
	return d, nil
}

// RollBack brings back what ran before; a shadow just ends.
func (m *Manager) RollBack(ctx context.Context, id, by, reason string) (store.Promotion, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.commit(ctx, id, func(p store.Promotion) (decided, error) {
		if p.State == store.PromotionShadow {
			return finish(p, store.PromotionCancelled, by, reason), nil
		}
		return m.rollBack(ctx, p, by, reason)
	})
}

// Finish ends the watch early: the candidate stays.
func (m *Manager) Finish(ctx context.Context, id, by, reason string) (store.Promotion, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.commit(ctx, id, func(p store.Promotion) (decided, error) {
		if p.State != store.PromotionWatch {
			return decided{}, fmt.Errorf("promotion %s is in state %s, only what runs everywhere can stay: %w", id, p.State, ErrState)
		}
		return finish(p, store.PromotionDone, by, reason), nil
	})
}

func finish(p store.Promotion, state, by, reason string) decided {
	p.State, p.By, p.Reason = state, by, reason
	return decided{PromotionStep: store.PromotionStep{Promotion: p}}
}

func (m *Manager) rollBack(ctx context.Context, p store.Promotion, by, reason string) (decided, error) {
	running, err := m.deps.Records.ListRunningModels(ctx)
	if err != nil {
		return decided{}, err
	}
	cameras, err := m.deps.Records.ListCameras(ctx, p.ClientID)
	if err != nil {
		return decided{}, err
	}
	d := finish(p, store.PromotionRolledBack, by, reason)
	d.Running, d.kept = rollBackSteps(d.Promotion, running, cameras)
	if p.AliasMoved {
		holder, err := m.deps.Records.AliasVersion(ctx, p.Model, p.Alias)
		switch {
		case err == nil && holder.Version == p.Version && (p.AliasBefore > 0 || !followed(p, running)):
			d.Alias = &store.AliasStep{Model: p.Model, Alias: p.Alias, Version: p.AliasBefore, Expect: p.Version, Author: author(d.Promotion)}
		case err == nil || errors.Is(err, store.ErrNotFound):
			d.kept = append(d.kept, "alias "+p.Alias)
		default:
			return decided{}, err
		}
	}
	return d, nil
}

// followed says whether running models follow the alias of a promotion.
func followed(p store.Promotion, running []store.RunningModel) bool {
	return slices.ContainsFunc(running, func(r store.RunningModel) bool { return r.Model == p.Model && r.Alias == p.Alias })
}

// author is who a promotion is in the history of its alias.
func author(p store.Promotion) store.Author {
	return store.Author{By: signature(p.ID), Why: p.Reason}
}

// version is the one that a record stands for.
func (m *Manager) version(ctx context.Context, r store.RunningModel) (store.ModelVersion, error) {
	if r.Alias != "" {
		return m.deps.Records.AliasVersion(ctx, r.Model, r.Alias)
	}
	return m.deps.Records.ModelVersion(ctx, r.Model, r.Version)
}

// attempts are made when records change while a decision is taken.
const attempts = 4

// commit takes a decision on the stored promotion. mu is held.
func (m *Manager) commit(ctx context.Context, id string, decision func(store.Promotion) (decided, error)) (p store.Promotion, err error) {
	for range attempts {
		if p, err = m.deps.Records.Promotion(ctx, id); err != nil {
			return p, err
		}
		if !p.Active() {
			return p, fmt.Errorf("promotion %s has ended (%s): %w", id, p.State, ErrState)
		}
		var d decided
		if d, err = decision(m.live(p)); err != nil {
			return p, err
		}
		if p, err = m.write(ctx, d); !errors.Is(err, store.ErrRevision) {
			return p, err
		}
	}
	return p, err
}

// write makes a decision durable and tells everybody. mu is held.
func (m *Manager) write(ctx context.Context, d decided) (store.Promotion, error) {
	p := d.Promotion
	data := eventData{
		ID: p.ID, Model: p.Model, Version: p.Version, Alias: p.Alias, ClientID: p.ClientID, Cameras: p.Cameras, State: p.State,
		By: p.By, Reason: p.Reason, Rules: d.rules, Kept: d.kept,
	}
	if p.State != store.PromotionShadow {
		data.Figures = p.Figures
	}
	if p.State == store.PromotionCanary || p.State == store.PromotionWatch {
		data.Unknown = unmeasured(p)
	}
	text, err := json.Marshal(data)
	if err != nil {
		return p, fmt.Errorf("encode event: %w", err)
	}
	d.Events = []store.Event{{Kind: "promotion." + p.State, ClientID: p.ClientID, Message: words(p, d, data.Unknown), Data: text}}
	p, running, err := m.deps.Records.StepPromotion(ctx, d.PromotionStep)
	if err != nil {
		return p, err
	}
	m.active[p.ID] = p
	delete(m.strikes, p.ID)
	delete(m.besides, p.ID)
	delete(m.looks, p.ID)
	if !p.Active() {
		delete(m.active, p.ID)
	}
	m.setShadows()
	m.deps.Log.Info("promotion", "id", p.ID, "model", detect.Ref{Model: p.Model, Version: p.Version}, "client", p.ClientID, "state", p.State, "by", p.By, "reason", p.Reason)
	m.deps.Changed(p, running, d.Alias != nil)
	return p, nil
}

// words say what was decided.
func words(p store.Promotion, d decided, unknown []string) string {
	what := map[string]string{
		store.PromotionShadow:     "looks at frames of %s beside the running model",
		store.PromotionCanary:     "runs on %s first",
		store.PromotionWatch:      "runs everywhere at client " + p.ClientID + " and is watched",
		store.PromotionDone:       "stays at client " + p.ClientID,
		store.PromotionRolledBack: "was rolled back at client " + p.ClientID,
		store.PromotionCancelled:  "is not promoted at client " + p.ClientID,
	}[p.State]
	if strings.Contains(what, "%s") {
		what = fmt.Sprintf(what, "camera "+strings.Join(p.Cameras, ", "))
	}
	text := fmt.Sprintf("%s@%d %s", p.Model, p.Version, what)
	if p.Reason != "" {
		text += ": " + p.Reason
	}
	if !Passed(d.rules) {
		text += " (against the rules: " + (&store.GateError{Model: p.Model, Alias: p.Alias, Version: p.Version, Results: d.rules}).Error() + ")"
	}
	if len(unknown) > 0 {
		text += "; too little is known from before to compare with on camera " + strings.Join(unknown, ", ")
	}
	if len(d.kept) > 0 {
		text += "; changed by someone else since and left as it is: " + strings.Join(d.kept, ", ")
	}
	return text
}
