package store

import (
	"context"
	"time"
)

// The states of a promotion.
const (
	PromotionShadow     = "shadow"      // the version looks at frames beside the champion
	PromotionCanary     = "canary"      // it runs on the chosen cameras
	PromotionWatch      = "watch"       // it runs everywhere and is watched
	PromotionDone       = "done"        // it stays
	PromotionRolledBack = "rolled_back" // what ran before runs again
	PromotionCancelled  = "cancelled"   // ended before it ran on any camera
)

// Promotion is a version on its way to the cameras of a client.
type Promotion struct {
	ID       string
	Model    string
	Version  int    // the candidate
	Alias    string // that names it once it is promoted; "" for none
	ClientID string
	State    string // one of the Promotion constants

	Cameras  []string // where the shadow looks, then the canary runs
	Share    float64  // of the detected frames that the shadow takes, 0 to 1
	Provider string   // execution providers of those cameras, which the shadow takes too; "": the settings'
	Bands    Bands
	Period   time.Duration // how long it is watched after it was promoted

	ChampionModel   string // what the client runs before
	ChampionVersion int

	By         string    // who took the last decision
	Reason     string    // and why
	StageSince time.Time // of the present state

	Before      []RunningStep    // undoes what was changed of the running models
	AliasBefore int              // the version that the alias named; 0 for none
	AliasMoved  bool             // by this promotion
	Baseline    []CameraBaseline // of the cameras that come to run the candidate, before
	Others      []CameraBaseline // of those that go on with the champion, when the stage began
	Figures     *PromotionLook   // what the last look at the candidate came to
	Shadow      *ShadowReport    // of the candidate, while it was a shadow
	Beside      *ShadowReport    // of the champion, beside the candidate that runs

	Revision  int64 // counts decisions, from 1
	CreatedAt time.Time
	UpdatedAt time.Time
}

// Active says whether the promotion has not ended.
func (p Promotion) Active() bool {
	return p.State == PromotionShadow || p.State == PromotionCanary || p.State == PromotionWatch
}

// Bands say how far a candidate may be from the champion before it is rolled back.
type Bands struct {
	MinSamples   int           `json:"min_samples"`  // inferences before anything but errors is judged
	Window       time.Duration `json:"window_ns"`    // of time that is judged
	MaxErrors    float64       `json:"max_errors"`   // share of failed inferences above the champion's
	MaxNotFinite int           `json:"max_nan"`      // outputs that are no numbers
	MaxSlowdown  float64       `json:"max_slowdown"` // p95 of inference against the champion's: 1.5 is half as long again
	MaxDropped   float64       `json:"max_dropped"`  // share of frames that came too late for it, above the champion's
	MinFound     float64       `json:"min_found"`    // detections per frame against the champion's
	MaxFound     float64       `json:"max_found"`
}

// DefaultBands are wide enough for versions that differ, and catch those that are broken.
func DefaultBands() Bands {
	return Bands{
		MinSamples: 60, Window: time.Minute, MaxErrors: 0.02, MaxNotFinite: 2,
		MaxSlowdown: 1.5, MaxDropped: 0.25, MinFound: 0.5, MaxFound: 2,
	}
}

// CameraBaseline is what a camera's model did lately, such as before a candidate came.
type CameraBaseline struct {
	CameraID   string    `json:"camera_id"`
	Model      string    `json:"model,omitempty"`
	Version    int       `json:"version,omitempty"`
	Until      time.Time `json:"until,omitzero"` // when it was last counted
	Inferences int64     `json:"inferences"`
	Errors     int64     `json:"errors"`
	Dropped    int64     `json:"dropped"` // frames that came too late
	Detections int64     `json:"detections"`
	Latency    Histogram `json:"latency"`   // arrival of a frame to its result
	Inference  Histogram `json:"inference"` // of a frame, without waiting
}

// PromotionLook is what the candidate does, beside what it may do.
type PromotionLook struct {
	At         time.Time     `json:"at"`
	Cameras    int           `json:"cameras"` // that run the candidate
	Inferences int64         `json:"inferences"`
	Errors     int64         `json:"errors"`
	NotFinite  int64         `json:"nan"`
	Dropped    int64         `json:"dropped"`
	Detections int64         `json:"detections"`
	P95        time.Duration `json:"p95_ns"`           // arrival of a frame to its result
	Inference  time.Duration `json:"inference_p95_ns"` // p95 too, without waiting: what is judged
	Alone      bool          `json:"alone,omitempty"`  // no camera runs the champion beside it
	Rules      []GateResult  `json:"rules"`            // of each band
	Enough     bool          `json:"enough"`           // all bands could be judged, or need not be
	Fault      string        `json:"fault,omitempty"`
}

// ShadowReport is what came of running a model beside another on the same frames.
type ShadowReport struct {
	Model     string                    `json:"model"`
	Version   int                       `json:"version"`
	Since     time.Time                 `json:"since"`
	Active    time.Duration             `json:"active_ns"` // for how long it has run, over restarts
	Offered   int64                     `json:"offered"`   // frames that the running model has answered
	Chosen    int64                     `json:"chosen"`    // of these, by the share
	Busy      int64                     `json:"busy"`      // chosen while the one before was not done
	NoRoom    int64                     `json:"no_room"`   // chosen while the detector had no processor to spare
	Looked    int64                     `json:"looked"`    // chosen and compared
	Failed    int64                     `json:"failed"`
	NotFinite int64                     `json:"nan"`  // of those that failed
	Same      int64                     `json:"same"` // frames in which both have found the same objects
	Classes   map[string]ClassAgreement `json:"classes"`
	Took      Histogram                 `json:"took"`    // of each call
	Wall      time.Duration             `json:"wall_ns"` // of all calls
	CPU       time.Duration             `json:"cpu_ns"`
	Cores     int                       `json:"cores"`
	Error     string                    `json:"error,omitempty"` // why it does not run
}

// ClassAgreement is how two models agree on a label: boxes that overlap by half are
// the same object.
type ClassAgreement struct {
	Matched      int64   `json:"matched"` // found by both
	Extra        int64   `json:"extra"`   // found by the shadow only
	Missing      int64   `json:"missing"` // found by the running model only
	ScoreDiff    float64 `json:"score_diff"`
	AbsScoreDiff float64 `json:"abs_score_diff"`
}

// Total adds up all labels.
func (r *ShadowReport) Total() (t ClassAgreement) {
	for _, c := range r.Classes {
		t.Matched += c.Matched
		t.Extra += c.Extra
		t.Missing += c.Missing
		t.ScoreDiff += c.ScoreDiff
		t.AbsScoreDiff += c.AbsScoreDiff
	}
	return t
}

// Agreement is the part of what either has found that both have: 0 to 1, 1 when
// neither has found anything.
func (c ClassAgreement) Agreement() float64 {
	if all := 2*c.Matched + c.Extra + c.Missing; all > 0 {
		return 2 * float64(c.Matched) / float64(all)
	}
	return 1
}

// RunningStep is a change of a running-model record.
type RunningStep struct {
	Record RunningModel // Deleted removes the record
	Expect int64        // the revision it must have; 0: there is no record
}

// AliasStep is a move of an alias.
type AliasStep struct {
	Model, Alias string
	Version      int // 0 takes the alias away
	Expect       int // the version it must name; 0: there is no such alias
	Author
}

// PromotionStep is a decision about a promotion with all that follows from it.
type PromotionStep struct {
	Promotion Promotion // as it is to be; its Revision is the one it must have, 0 for a new one
	Running   []RunningStep
	Alias     *AliasStep
	Events    []Event
}

// Promotions are kept for ever: they are the history of what ran.
type Promotions interface {
	// StepPromotion makes a decision and all that follows from it durable in one
	// step, or nothing. Before is what undoes it: its records get as Expect what the
	// step has made of them. It returns the promotion and the running-model records at
	// their new revisions. ErrExists while the client or the alias has another
	// active one; ErrRevision when anything is not as expected.
	StepPromotion(ctx context.Context, s PromotionStep) (Promotion, []RunningModel, error)
	// NotePromotion keeps Figures, Shadow and Beside of an active promotion, at any
	// revision, where they are not nil.
	NotePromotion(ctx context.Context, p Promotion) error
	Promotion(ctx context.Context, id string) (Promotion, error)
	ActivePromotions(ctx context.Context) ([]Promotion, error) // the oldest first
	// KeepBaselines keeps what the models of cameras did lately, instead of what was
	// kept of these cameras before, so that it outlives a restart. Those of cameras
	// that are gone are passed over.
	KeepBaselines(ctx context.Context, list []CameraBaseline) error
	Baselines(ctx context.Context) ([]CameraBaseline, error) // by camera
	// ListPromotions lists those of a model ("" all), the newest first.
	ListPromotions(ctx context.Context, model string, p Page) ([]Promotion, string, error)
}
