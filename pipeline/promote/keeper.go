package promote

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"

	"detectd/store"
)

// The kinds of events about aliases.
const (
	EventAliasMoved   = "alias.moved"   // an alias names another version
	EventAliasRefused = "alias.refused" // it may not, by its rules
	EventAliasForced  = "alias.forced"  // it does, against its rules
	EventAliasRules   = "alias.rules"   // the rules are others
)

// keeperRecords is what a Keeper needs of the store.
type keeperRecords interface {
	store.Measurements
	store.Gatekeeping
	ModelVersion(ctx context.Context, model string, version int) (store.ModelVersion, error)
	AliasVersion(ctx context.Context, model, alias string) (store.ModelVersion, error)
	SetAlias(ctx context.Context, model, alias string, version, expect int, a store.Author) error
	AddEvent(ctx context.Context, e store.Event) (store.Event, error)
}

// Keeper moves aliases by their rules. Safe for concurrent use.
type Keeper struct {
	records keeperRecords
	machine string
	mu      sync.Mutex // held while an alias is judged and moved
}

// NewKeeper returns a keeper that counts the speeds measured on the named machine.
func NewKeeper(records keeperRecords, machine string) *Keeper {
	return &Keeper{records: records, machine: machine}
}

// decision is the data of events about aliases.
type decision struct {
	Model   string             `json:"model"`
	Alias   string             `json:"alias"`
	Version int                `json:"version,omitempty"`
	Before  int                `json:"before,omitempty"`
	By      string             `json:"by,omitempty"`
	Reason  string             `json:"reason,omitempty"`
	Rules   []store.GateResult `json:"rules,omitempty"`
}

// Check says what the rules of an alias make of a version.
func (k *Keeper) Check(ctx context.Context, model, alias string, version int) (store.Gates, []store.GateResult, error) {
	g, err := k.records.AliasGates(ctx, model, alias)
	if err != nil {
		return g, nil, err
	}
	s, err := k.subject(ctx, model, version)
	if err != nil {
		return g, nil, err
	}
	holder, err := k.holder(ctx, model, alias)
	if err != nil {
		return g, nil, err
	}
	if holder != nil && holder.Version.Version == version {
		holder = nil // it need not be better than itself
	}
	return g, CheckRules(g.Rules, s, holder, k.machine), nil
}

func (k *Keeper) subject(ctx context.Context, model string, version int) (Subject, error) {
	v, err := k.records.ModelVersion(ctx, model, version)
	if err != nil {
		return Subject{}, err
	}
	measured, err := k.records.ListMeasurements(ctx, v.Model, v.Version)
	return Subject{Version: v, Measured: measured}, err
}

// holder is the version that the alias names now; nil for none.
func (k *Keeper) holder(ctx context.Context, model, alias string) (*Subject, error) {
	v, err := k.records.AliasVersion(ctx, model, alias)
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	s, err := k.subject(ctx, model, v.Version)
	return &s, err
}

// Move lets an alias name a version that meets its rules, else it returns a
// *store.GateError. With Force it is moved all the same. Each decision is an event.
func (k *Keeper) Move(ctx context.Context, c store.AliasChange) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	_, results, err := k.Check(ctx, c.Model, c.Alias, c.Version)
	if err != nil {
		return err
	}
	d := decision{Model: c.Model, Alias: c.Alias, Version: c.Version, By: c.By, Reason: c.Reason, Rules: results}
	if holder, err := k.records.AliasVersion(ctx, c.Model, c.Alias); err == nil {
		d.Before = holder.Version
	}
	kind, refusal := EventAliasMoved, &store.GateError{Model: c.Model, Alias: c.Alias, Version: c.Version, Results: results}
	if !Passed(results) {
		kind = EventAliasForced
		if !c.Force {
			return errors.Join(refusal, k.tell(ctx, EventAliasRefused, refusal.Error(), d))
		}
	}
	if err := k.records.SetAlias(ctx, c.Model, c.Alias, c.Version, c.Expect, store.Author{By: c.By, Why: c.Reason}); err != nil || d.Before == c.Version {
		return err
	}
	return k.tell(ctx, kind, moved(d, kind, refusal), d)
}

// moved says what happened to an alias.
func moved(d decision, kind string, refusal *store.GateError) string {
	words := fmt.Sprintf("%s@%s names version %d", d.Model, d.Alias, d.Version)
	if d.Before > 0 {
		words += fmt.Sprintf(", before version %d", d.Before)
	}
	if d.Reason != "" {
		words += ": " + d.Reason
	}
	if kind == EventAliasForced {
		words += " (against its rules: " + refusal.Error() + ")"
	}
	return words
}

// SetRules replaces the rules of an alias when their revision is still expect.
func (k *Keeper) SetRules(ctx context.Context, g store.Gates, expect int64) (store.Gates, error) {
	g, err := k.records.PutGates(ctx, g, expect)
	if err != nil {
		return g, err
	}
	words := fmt.Sprintf("the rules of %s@%s were changed", g.Model, g.Alias)
	if g.Reason != "" {
		words += ": " + g.Reason
	}
	return g, k.tell(ctx, EventAliasRules, words, decision{Model: g.Model, Alias: g.Alias, By: g.UpdatedBy, Reason: g.Reason})
}

func (k *Keeper) tell(ctx context.Context, kind, message string, d decision) error {
	data, err := json.Marshal(d)
	if err == nil {
		_, err = k.records.AddEvent(ctx, store.Event{Kind: kind, Message: message, Data: data})
	}
	if err != nil {
		return fmt.Errorf("write event: %w", err)
	}
	return nil
}
