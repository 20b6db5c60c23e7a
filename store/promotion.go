package store

import (
	"context"
	"encoding/json"
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

	Cameras []string // where the shadow looks, then the canary runs
	Share   float64  // of the detected frames that the shadow takes, 0 to 1
	Bands   Bands
	Period  time.Duration // how long it is watched after it was promoted

	ChampionModel   string // what the client runs before
	ChampionVersion int

	By         string    // who took the last decision
	Reason     string    // and why
	StageSince time.Time // of the present state

	Before      []RunningStep    // undoes what was changed of the running models
	AliasBefore int              // the version that the alias named; 0 for none
	AliasMoved  bool             // by this promotion
	Baseline    []CameraBaseline // of the canary's cameras, before
	Figures     json.RawMessage  // what the last look at the candidate has found
	Shadow      json.RawMessage  // what the shadow has found

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
	MaxSlowdown  float64       `json:"max_slowdown"` // p95 against the champion's: 1.5 is half as long again
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

// CameraBaseline is what a camera's model did before the candidate came.
type CameraBaseline struct {
	CameraID   string        `json:"camera_id"`
	Inferences int64         `json:"inferences"`
	Errors     int64         `json:"errors"`
	Dropped    int64         `json:"dropped"` // frames that came too late
	Detections int64         `json:"detections"`
	P95        time.Duration `json:"p95_ns"`
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
	// step, or nothing. It returns the promotion and the running-model records at
	// their new revisions. ErrExists while the client or the alias has another
	// active one; ErrRevision when anything is not as expected.
	StepPromotion(ctx context.Context, s PromotionStep) (Promotion, []RunningModel, error)
	// NotePromotion keeps Figures and Shadow of an active promotion, at any revision.
	NotePromotion(ctx context.Context, id string, figures, shadow json.RawMessage) error
	Promotion(ctx context.Context, id string) (Promotion, error)
	ActivePromotions(ctx context.Context) ([]Promotion, error) // the oldest first
	// ListPromotions lists those of a model ("" all), the newest first.
	ListPromotions(ctx context.Context, model string, p Page) ([]Promotion, string, error)
}
