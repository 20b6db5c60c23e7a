package api

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"detectd/store"
)

// Promotions takes versions to the cameras step by step.
type Promotions interface {
	// Start begins a promotion. Errors: *store.GateError, store.ErrExists while the
	// client or the alias has another, store.ErrNotFound, ErrInvalid.
	Start(ctx context.Context, r PromotionRequest) (store.Promotion, error)
	// View returns a promotion with its live figures.
	View(ctx context.Context, id string) (store.Promotion, error)
	// Step takes a promotion on, or back. ErrConflict when that is not possible in
	// its state; *store.GateError.
	Step(ctx context.Context, id string, s PromotionStep) (store.Promotion, error)
}

// PromotionRequest asks for a promotion.
type PromotionRequest struct {
	Model    string
	Version  int
	Alias    string
	ClientID string
	Cameras  []string // nil: all of the client
	Canary   bool     // begin with the canary
	Share    float64
	Bands    store.Bands
	Period   time.Duration
	Force    bool
	By       string
	Reason   string
}

// PromotionStep asks for the next state.
type PromotionStep struct {
	To      string   // store.PromotionCanary, PromotionWatch, PromotionDone or PromotionRolledBack
	Cameras []string // of the canary; nil: where the shadow looked
	Force   bool
	By      string
	Reason  string
}

// PromotionChange is the data of the event "promotions.changed".
type PromotionChange struct {
	ID string `json:"id"`
}

// Promotion is a version on its way to the cameras of a client.
type Promotion struct {
	ID       string   `json:"id" example:"k3f9x2m1a7bq" doc:"Identifies it."`
	Model    string   `json:"model" example:"yard" doc:"The candidate's model."`
	Version  int      `json:"version" example:"4" doc:"The candidate's version."`
	Alias    string   `json:"alias,omitempty" example:"champion" doc:"The alias that names it once it is promoted."`
	ClientID string   `json:"client_id" example:"harbour" doc:"Whose cameras."`
	Cameras  []string `json:"cameras" nullable:"false" doc:"Where the shadow looks, then the canary runs."`
	State    string   `json:"state" enum:"shadow,canary,watch,done,rolled_back,cancelled" doc:"shadow: looks at frames beside the champion; canary: runs on some cameras; watch: runs everywhere and is watched; done, rolled_back, cancelled: ended."`
	Share    float64  `json:"share" example:"0.1" doc:"Part of the frames that are looked at by both."`
	Provider string   `json:"provider,omitempty" example:"openvino" doc:"Execution providers of the shadow: those of the cameras' running model; absent for those of the settings."`
	Period   float64  `json:"period_s" example:"600" doc:"How long it is watched after it was promoted."`

	ChampionModel   string `json:"champion_model" example:"yard" doc:"What the client ran before: model."`
	ChampionVersion int    `json:"champion_version" example:"3" doc:"What the client ran before: version."`

	By         string `json:"by" doc:"Who took the last decision; detectd itself when it left its bands."`
	Reason     string `json:"reason" doc:"Why."`
	StageSince Time   `json:"stage_since" doc:"When the present stage began."`
	CreatedAt  Time   `json:"created_at" doc:"When it began."`
	UpdatedAt  Time   `json:"updated_at" doc:"When it was last decided on."`
	Revision   int64  `json:"revision" doc:"Counts decisions."`

	Bands   PromotionBands `json:"bands" doc:"How far the candidate may be from the champion."`
	Figures *PromotionLook `json:"figures,omitempty" doc:"What the running candidate does; absent until it runs."`
	Shadow  *ShadowFigures `json:"shadow,omitempty" doc:"The candidate beside the champion, on the same frames."`
	Beside  *ShadowFigures `json:"beside,omitempty" doc:"The champion beside the candidate that runs, on the same frames."`
}

// PromotionBands say how far a candidate may be from the champion before it is rolled back.
type PromotionBands struct {
	MinSamples  int     `json:"min_samples,omitempty" minimum:"1" maximum:"1000000" example:"60" doc:"Inferences before anything but errors is judged."`
	Window      float64 `json:"window_s,omitempty" minimum:"10" maximum:"300" example:"60" doc:"Seconds that are judged together."`
	MaxErrors   float64 `json:"max_errors,omitempty" minimum:"0" maximum:"1" example:"0.02" doc:"Share of failed inferences above the champion's."`
	MaxNaN      int     `json:"max_nan,omitempty" minimum:"0" maximum:"1000000" example:"2" doc:"Outputs that are no numbers."`
	MaxSlowdown float64 `json:"max_slowdown,omitempty" minimum:"1" maximum:"100" example:"1.5" doc:"p95 of inference, without waiting, as a multiple of the champion's."`
	MaxDropped  float64 `json:"max_dropped,omitempty" minimum:"0" maximum:"1" example:"0.25" doc:"Share of frames that come too late, above the champion's."`
	MinFound    float64 `json:"min_found,omitempty" minimum:"0" maximum:"1" example:"0.5" doc:"Detections per frame, as a multiple of the champion's: least."`
	MaxFound    float64 `json:"max_found,omitempty" minimum:"1" maximum:"1000" example:"2" doc:"Detections per frame, as a multiple of the champion's: most."`
}

// PromotionLook is what a running candidate does.
type PromotionLook struct {
	At         Time         `json:"at" doc:"When it was looked at."`
	Cameras    int          `json:"cameras" doc:"Cameras that run it."`
	Inferences int64        `json:"inferences" doc:"In the window."`
	Errors     int64        `json:"errors" doc:"Failed ones."`
	NaN        int64        `json:"nan" doc:"Of these, with outputs that are no numbers."`
	Dropped    int64        `json:"dropped" doc:"Frames that came too late."`
	Detections int64        `json:"detections" doc:"Objects found."`
	P95        float64      `json:"p95_ms" doc:"Arrival of a frame to its result."`
	Inference  float64      `json:"inference_p95_ms" doc:"p95 of inference, per frame and without waiting: what is judged."`
	Alone      bool         `json:"alone" doc:"No other camera runs the champion at the same time, so that less can be told from a busy machine."`
	Rules      []RuleResult `json:"rules" nullable:"false" doc:"Each band with what was measured."`
	Enough     bool         `json:"enough" doc:"Whether all bands could be judged."`
	Fault      string       `json:"fault,omitempty" doc:"The band that it is outside of."`
}

// ShadowFigures are what came of running a model beside another on the same frames.
type ShadowFigures struct {
	Model     string           `json:"model" example:"yard" doc:"The model beside."`
	Version   int              `json:"version" example:"4" doc:"Its version."`
	Since     Time             `json:"since" doc:"Since when."`
	Offered   int64            `json:"offered" doc:"Frames that the running model has answered."`
	Chosen    int64            `json:"chosen" doc:"Of these, by the share."`
	Busy      int64            `json:"busy" doc:"Chosen and skipped: the one before was not done."`
	NoRoom    int64            `json:"no_room" doc:"Chosen and skipped: the detector had no processor to spare."`
	Looked    int64            `json:"looked" doc:"Compared."`
	Failed    int64            `json:"failed" doc:"Inferences that failed."`
	NaN       int64            `json:"nan" doc:"Of these, with outputs that are no numbers."`
	Same      float64          `json:"same" doc:"Part of the compared frames in which both find the same objects."`
	Agreement float64          `json:"agreement" doc:"Part of what either finds that both find: boxes of one label that overlap by half."`
	Classes   []ClassAgreement `json:"classes" nullable:"false" doc:"By label, the most frequent first."`
	Mean      float64          `json:"mean_ms" doc:"Mean time of a call, at the lowest priority."`
	P50       float64          `json:"p50_ms" doc:"Half of the calls took no longer."`
	P95       float64          `json:"p95_ms" doc:"95 of 100 calls took no longer."`
	CPU       float64          `json:"cpu_ms" doc:"Mean CPU time of a call."`
	CPUShare  float64          `json:"cpu_share" doc:"Part of the machine's processors that the shadow has used."`
	Error     string           `json:"error,omitempty" doc:"Why it does not run."`
}

// ClassAgreement is how two models agree on a label.
type ClassAgreement struct {
	Label     string  `json:"label" example:"person" doc:"The label."`
	Matched   int64   `json:"matched" doc:"Found by both."`
	Extra     int64   `json:"extra" doc:"Found by the model beside only."`
	Missing   int64   `json:"missing" doc:"Found by the running model only."`
	Agreement float64 `json:"agreement" doc:"Part of what either finds that both find."`
	ScoreDiff float64 `json:"score_diff" doc:"Mean score of the model beside less that of the running one, over what both find."`
	AbsDiff   float64 `json:"score_abs_diff" doc:"Mean size of that difference."`
}

// NewPromotion begins a promotion.
type NewPromotion struct {
	Model    string         `json:"model" pattern:"^[a-z0-9][a-z0-9._-]{0,62}$" example:"yard" doc:"The candidate's model."`
	Version  int            `json:"version" minimum:"1" example:"4" doc:"The candidate's version."`
	Alias    string         `json:"alias,omitempty" maxLength:"255" example:"champion" doc:"The alias that is to name it once it is promoted; its rules are to be met."`
	ClientID string         `json:"client_id" pattern:"^[a-z0-9][a-z0-9_-]{0,62}$" example:"harbour" doc:"Whose cameras."`
	Cameras  []string       `json:"cameras,omitempty" nullable:"false" maxItems:"1000" doc:"Where the shadow looks and the canary runs; absent: all of the client."`
	Stage    string         `json:"stage,omitempty" enum:"shadow,canary" default:"shadow" doc:"How it begins."`
	Share    *float64       `json:"share,omitempty" minimum:"0" maximum:"1" example:"0.1" doc:"Part of the frames that both models look at, when there is room; 0.1 when absent."`
	Period   float64        `json:"period_s,omitempty" minimum:"0" maximum:"2592000" example:"600" doc:"How long it is watched after it was promoted; 600 when absent."`
	Bands    PromotionBands `json:"bands,omitzero" doc:"How far it may be from the champion; what is absent has a default."`
	Force    bool           `json:"force,omitempty" doc:"Also when it does not meet the rules; needs a reason."`
	Reason   string         `json:"reason,omitempty" maxLength:"500" doc:"Why, for the log."`
}

// PromotionStepInput takes a promotion on, or back.
type PromotionStepInput struct {
	To      string   `json:"to" enum:"canary,watch,done,rolled_back" doc:"canary: on its cameras; watch: everywhere; done: end the watch, it stays; rolled_back: what ran before."`
	Cameras []string `json:"cameras,omitempty" nullable:"false" maxItems:"1000" doc:"Of the canary; absent: where the shadow looked."`
	Force   bool     `json:"force,omitempty" doc:"Also when it does not meet the rules; needs a reason."`
	Reason  string   `json:"reason,omitempty" maxLength:"500" doc:"Why, for the log."`
}

// PromotionPath is a promotion in a path.
type PromotionPath struct {
	PromotionID string `path:"promotion_id" pattern:"^[a-z0-9]{1,40}$" example:"k3f9x2m1a7bq" doc:"The promotion."`
}

func (s *server) routePromotions() {
	const tag, path = "Promotions", "/promotions"
	huma.Register(s.huma, operation(http.MethodGet, path, "list-promotions", tag,
		"List promotions", "The newest first, also those that have ended: the history of what ran."), s.listPromotions)
	start := s.gated(operation(http.MethodPost, path, "start-promotion", tag,
		"Start a promotion", "Begins with a shadow or a canary. 409 when the version does not meet the rules, or the client or the alias has a promotion that has not ended.", 400, 404, 413))
	start.DefaultStatus = http.StatusCreated
	huma.Register(s.huma, start, s.startPromotion)
	huma.Register(s.huma, operation(http.MethodGet, path+"/{promotion_id}", "get-promotion", tag,
		"Get a promotion", "With its live figures: agreement, cost, and what the bands make of the candidate.", 404), s.getPromotion)
	huma.Register(s.huma, s.gated(operation(http.MethodPost, path+"/{promotion_id}/step", "step-promotion", tag,
		"Take a promotion on, or back", "409 when that is not possible in its state, or the version does not meet the rules.", 400, 404, 412, 413)), s.stepPromotion)
}

func (s *server) listPromotions(ctx context.Context, in *struct {
	Page
	Model string `query:"model" maxLength:"63" doc:"Only of this model."`
},
) (*listed[Promotion], error) {
	list, next, err := s.Records.ListPromotions(ctx, in.Model, in.store())
	if err != nil {
		return nil, s.fail(ctx, err)
	}
	for i, p := range list {
		if !p.Active() {
			continue
		}
		if list[i], err = s.Promotions.View(ctx, p.ID); err != nil {
			return nil, s.fail(ctx, err)
		}
	}
	return newList(list, next, newPromotion), nil
}

func (s *server) getPromotion(ctx context.Context, in *PromotionPath) (*answered[Promotion], error) {
	p, err := s.Promotions.View(ctx, in.PromotionID)
	if err != nil {
		return nil, s.fail(ctx, err)
	}
	return &answered[Promotion]{Body: newPromotion(p)}, nil
}

func (s *server) startPromotion(ctx context.Context, in *struct {
	Signed
	Body NewPromotion
},
) (*accepted[Promotion], error) {
	b := in.Body
	if b.Alias != "" {
		if err := store.CheckAlias(b.Alias); err != nil {
			return nil, invalid("body.alias", err.Error())
		}
	}
	if b.Force && b.Reason == "" {
		return nil, invalid("body.reason", "force needs a reason")
	}
	r := PromotionRequest{
		Model: b.Model, Version: b.Version, Alias: b.Alias, ClientID: b.ClientID, Cameras: b.Cameras, Canary: b.Stage == store.PromotionCanary,
		Share: 0.1, Bands: b.Bands.record(), Period: 10 * time.Minute, Force: b.Force, By: in.by("").By, Reason: b.Reason,
	}
	if b.Share != nil {
		r.Share = *b.Share
	}
	if b.Period > 0 {
		r.Period = time.Duration(b.Period * float64(time.Second))
	}
	p, err := s.Promotions.Start(ctx, r)
	if err != nil {
		return nil, s.failGate(ctx, err)
	}
	return &accepted[Promotion]{Location: base + "/promotions/" + p.ID, Body: newPromotion(p)}, nil
}

func (s *server) stepPromotion(ctx context.Context, in *struct {
	PromotionPath
	Signed
	Body PromotionStepInput
},
) (*answered[Promotion], error) {
	if in.Body.Force && in.Body.Reason == "" {
		return nil, invalid("body.reason", "force needs a reason")
	}
	p, err := s.Promotions.Step(ctx, in.PromotionID, PromotionStep{
		To: in.Body.To, Cameras: in.Body.Cameras, Force: in.Body.Force, By: in.by("").By, Reason: in.Body.Reason,
	})
	if errors.Is(err, store.ErrGate) {
		return nil, s.failGate(ctx, err)
	}
	if err != nil {
		return nil, s.fail(ctx, err)
	}
	return &answered[Promotion]{Body: newPromotion(p)}, nil
}
