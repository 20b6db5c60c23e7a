package store

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// What a self-check must have come to.
const (
	CheckPassed    = "pass"       // it has passed
	CheckNotFailed = "not_failed" // it has not failed: the picture need not have told
	CheckAny       = "any"        // no matter
)

// Gates are the rules that a version must meet before an alias may name it.
type Gates struct {
	Model     string
	Alias     string
	Rules     GateRules
	Revision  int64 // counts changes; 0: there are none, Rules are DefaultGates
	UpdatedAt time.Time
	UpdatedBy string
	Reason    string
}

// GateRules are all to be met. Zero values do not ask for anything.
type GateRules struct {
	SelfCheck string         `json:"self_check"` // one of the Check constants; "" is CheckNotFailed
	Accuracy  []AccuracyGate `json:"accuracy,omitempty"`
	// MaxP95 is the longest that 95 of 100 calls may take, measured on this machine.
	MaxP95 time.Duration `json:"max_p95_ns,omitempty"`
	// MaxSlowdown is by what part the p95 may be above that of the version that the
	// alias names now: 0.1 allows 10 % more.
	MaxSlowdown *float64 `json:"max_slowdown,omitempty"`
	MaxBytes    int64    `json:"max_bytes,omitempty"` // size of the file
}

// AccuracyGate is a rule about AP on a data set.
type AccuracyGate struct {
	Dataset string  `json:"dataset"`
	MinAP   float64 `json:"min_ap,omitempty"`
	// MaxLoss is by how much AP may be below that of the version that the alias
	// names now, on the same pictures: 0.01 is one point.
	MaxLoss *float64 `json:"max_loss,omitempty"`
}

// DefaultGates hold for aliases without rules of their own.
func DefaultGates() GateRules { return GateRules{SelfCheck: CheckNotFailed} }

// GateResult is what one rule makes of a version.
type GateResult struct {
	Rule     string `json:"rule"`     // as in "AP on street"
	Wanted   string `json:"wanted"`   // as in "at least 0.320"
	Measured string `json:"measured"` // as in "0.298", or why there is no value
	Passed   bool   `json:"passed"`
}

// String gives the rule with what is wanted and what was measured.
func (r GateResult) String() string {
	return fmt.Sprintf("%s: %s is wanted, it is %s", r.Rule, r.Wanted, r.Measured)
}

// GateError is returned for a version that an alias may not name, or may not run. It matches ErrGate.
type GateError struct {
	Model   string
	Alias   string
	Version int
	Run     bool         // it may not run, for a running model that names it by its number
	Results []GateResult // of all rules, those that passed too
}

// Error implements error.
func (e *GateError) Error() string {
	var failed []string
	for _, r := range e.Results {
		if !r.Passed {
			failed = append(failed, r.String())
		}
	}
	what := "be promoted"
	switch {
	case e.Run:
		what = "run unless that is forced, with a reason"
	case e.Alias != "":
		what = fmt.Sprintf("become %s@%s", e.Model, e.Alias)
	}
	return fmt.Sprintf("%s@%d may not %s: %s", e.Model, e.Version, what, strings.Join(failed, "; "))
}

// Is makes errors.Is(err, ErrGate) true.
func (e *GateError) Is(target error) bool { return target == ErrGate }

// CheckFailed says whether the version's self-check has failed.
func (v ModelVersion) CheckFailed() bool {
	var check struct {
		Verdict string `json:"verdict"`
	}
	return len(v.Check) > 0 && json.Unmarshal(v.Check, &check) == nil && check.Verdict == "fail"
}

// Gatekeeping keeps the rules of aliases.
type Gatekeeping interface {
	// PutGates replaces the rules of an alias when their revision is still expect
	// (0: there are none yet). ErrNotFound without the model.
	PutGates(ctx context.Context, g Gates, expect int64) (Gates, error)
	// AliasGates returns the rules of an alias; those that hold without any have
	// revision 0.
	AliasGates(ctx context.Context, model, alias string) (Gates, error)
	// ListGates lists the rules of a model by alias.
	ListGates(ctx context.Context, model string) ([]Gates, error)
}

// AliasChange is a wish to let an alias name a version.
type AliasChange struct {
	Model, Alias string
	Version      int
	Expect       int    // as in Registry.SetAlias
	By           string // who
	Reason       string // and why
	Force        bool   // also when the rules are not met; needs a Reason
}
