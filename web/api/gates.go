package api

import (
	"context"
	"errors"
	"net/http"
	"reflect"

	"github.com/danielgtaylor/huma/v2"

	"detectd/store"
)

// Aliases moves aliases by their rules.
type Aliases interface {
	// Check says what the rules of an alias make of a version.
	Check(ctx context.Context, model, alias string, version int) (store.Gates, []store.GateResult, error)
	// Move lets an alias name a version that meets its rules, or any with Force. A
	// *store.GateError else.
	Move(ctx context.Context, c store.AliasChange) error
	// SetRules replaces the rules of an alias when their revision is still expect.
	SetRules(ctx context.Context, g store.Gates, expect int64) (store.Gates, error)
}

// AliasRules are what a version must meet before an alias may name it.
type AliasRules struct {
	SelfCheck   string         `json:"self_check" enum:"pass,not_failed,any" doc:"What its self-check must have come to."`
	Accuracy    []AccuracyRule `json:"accuracy,omitempty" nullable:"false" maxItems:"20" doc:"What its AP must be."`
	MaxP95      float64        `json:"max_p95_ms,omitempty" minimum:"0" maximum:"3600000" example:"25" doc:"Longest p95 of a call, measured on this machine; absent: any."`
	MaxSlowdown *float64       `json:"max_slowdown,omitempty" minimum:"0" maximum:"100" example:"0.1" doc:"By what part its p95 may be above that of the version that the alias names; absent: any."`
	MaxBytes    int64          `json:"max_bytes,omitempty" minimum:"0" example:"20000000" doc:"Largest file; absent: any."`
}

// AccuracyRule is a rule about AP on a data set.
type AccuracyRule struct {
	Dataset string   `json:"dataset" minLength:"1" maxLength:"200" example:"street" doc:"Name of the data set."`
	MinAP   float64  `json:"min_ap,omitempty" minimum:"0" maximum:"1" example:"0.32" doc:"Least AP; absent: any."`
	MaxLoss *float64 `json:"max_loss,omitempty" minimum:"0" maximum:"1" example:"0.01" doc:"By how much AP may be below that of the version that the alias names, on the same pictures; absent: any."`
}

// AliasGates are the rules of an alias with what is known of them.
type AliasGates struct {
	Alias     string     `json:"alias" example:"champion" doc:"The alias."`
	Rules     AliasRules `json:"rules" doc:"All are to be met."`
	Revision  int64      `json:"revision" example:"2" doc:"Counts changes; 0: there are none, and these hold for all."`
	UpdatedAt Time       `json:"updated_at,omitzero" doc:"When they were last changed."`
	UpdatedBy string     `json:"updated_by,omitempty" doc:"Who changed them."`
	Reason    string     `json:"reason,omitempty" doc:"Why."`
}

// AliasGatesChange replaces the rules of an alias.
type AliasGatesChange struct {
	Rules  AliasRules `json:"rules" doc:"All are to be met."`
	Reason string     `json:"reason,omitempty" maxLength:"500" doc:"Why, for the log."`
}

// RuleResult is what one rule makes of a version.
type RuleResult struct {
	Rule     string `json:"rule" example:"AP on street" doc:"The rule."`
	Wanted   string `json:"wanted" example:"at least 0.320" doc:"What it asks for."`
	Measured string `json:"measured" example:"0.298" doc:"What is known of the version, or why nothing is."`
	Passed   bool   `json:"passed" doc:"Whether the rule is met."`
}

// RulesCheck is what the rules of an alias make of a version.
type RulesCheck struct {
	Passed  bool         `json:"passed" doc:"Whether all rules are met."`
	Results []RuleResult `json:"results" nullable:"false" doc:"Of each rule."`
}

// GateProblem is the answer to a version that does not meet the rules of an alias:
// a problem (RFC 9457) with what each rule makes of it.
type GateProblem struct {
	huma.ErrorModel
	Results []RuleResult `json:"results,omitempty" nullable:"false" doc:"Of each rule; absent for another conflict."`
}

func newRuleResults(list []store.GateResult) []RuleResult {
	out := make([]RuleResult, len(list))
	for i, r := range list {
		out[i] = RuleResult(r)
	}
	return out
}

func newAliasGates(g store.Gates) AliasGates {
	r := AliasRules{SelfCheck: g.Rules.SelfCheck, MaxP95: ms(g.Rules.MaxP95), MaxSlowdown: g.Rules.MaxSlowdown, MaxBytes: g.Rules.MaxBytes}
	for _, a := range g.Rules.Accuracy {
		r.Accuracy = append(r.Accuracy, AccuracyRule(a))
	}
	return AliasGates{Alias: g.Alias, Rules: r, Revision: g.Revision, UpdatedAt: Time{g.UpdatedAt}, UpdatedBy: g.UpdatedBy, Reason: g.Reason}
}

func (r AliasRules) record() store.GateRules {
	out := store.GateRules{SelfCheck: r.SelfCheck, MaxP95: duration(r.MaxP95), MaxSlowdown: r.MaxSlowdown, MaxBytes: r.MaxBytes}
	for _, a := range r.Accuracy {
		out.Accuracy = append(out.Accuracy, store.AccuracyGate(a))
	}
	return out
}

func (s *server) routeGates() {
	const tag, path = "Models", "/models/{model_name}/aliases/{alias}/rules"
	huma.Register(s.huma, operation(http.MethodGet, "/models/{model_name}/rules", "list-alias-rules", tag,
		"List the rules of a model's aliases", "Rules that were set, by alias. Other aliases take versions whose self-check has not failed.", 404), s.listGates)
	huma.Register(s.huma, operation(http.MethodGet, path, "get-alias-rules", tag,
		"Get the rules of an alias", "What a version must meet before the alias may name it, with the revision to base a change on.", 404), s.getGates)
	huma.Register(s.huma, s.revisable(operation(http.MethodPut, path, "set-alias-rules", tag,
		"Set the rules of an alias", "Sets what a version must meet before the alias may name it. The version that it names now stays. "+
			"412 when If-Match names another revision than the stored one; 428 without If-Match.", 400, 404, 413, 428)), s.putGates)
	huma.Register(s.huma, operation(http.MethodGet, path+"/check", "check-alias-rules", tag,
		"Try the rules of an alias on a version", "What each rule makes of a version. Nothing is moved.", 404), s.checkGates)
}

// gated describes an operation that rules may refuse with 409.
func (s *server) gated(op huma.Operation) huma.Operation {
	if op.Responses == nil {
		op.Responses = map[string]*huma.Response{}
	}
	schema := s.huma.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[GateProblem](), true, "")
	op.Responses["409"] = &huma.Response{
		Description: "The version does not meet the rules of the alias, or something else is in the way.",
		Content:     map[string]*huma.MediaType{"application/problem+json": {Schema: schema}},
	}
	return op
}

// failGate is fail for changes that rules may refuse.
func (s *server) failGate(ctx context.Context, err error) error {
	refused, ok := errors.AsType[*store.GateError](err)
	if !ok {
		return s.fail(ctx, err)
	}
	return &GateProblem{
		ErrorModel: huma.ErrorModel{Title: http.StatusText(http.StatusConflict), Status: http.StatusConflict, Detail: refused.Error()},
		Results:    newRuleResults(refused.Results),
	}
}

func (s *server) listGates(ctx context.Context, in *ModelPath) (*listed[AliasGates], error) {
	if _, err := s.Records.Model(ctx, in.ModelName, false); err != nil {
		return nil, s.fail(ctx, err)
	}
	list, err := s.Records.ListGates(ctx, in.ModelName)
	if err != nil {
		return nil, s.fail(ctx, err)
	}
	return newList(list, "", newAliasGates), nil
}

func (s *server) getGates(ctx context.Context, in *AliasPath) (*revised[AliasGates], error) {
	if _, err := s.Records.Model(ctx, in.ModelName, false); err != nil {
		return nil, s.fail(ctx, err)
	}
	g, err := s.Records.AliasGates(ctx, in.ModelName, in.Alias)
	if err != nil {
		return nil, s.fail(ctx, err)
	}
	return &revised[AliasGates]{ETag: etag(g.Revision), Body: newAliasGates(g)}, nil
}

func (s *server) putGates(ctx context.Context, in *struct {
	AliasPath
	RequiredPrecondition
	Signed
	Body AliasGatesChange
},
) (*revised[AliasGates], error) {
	if err := store.CheckAlias(in.Alias); err != nil {
		return nil, invalid("path.alias", err.Error())
	}
	expect, err := requireIfMatch(in.IfMatch)
	if err != nil {
		return nil, err
	}
	g, err := s.Aliases.SetRules(ctx, store.Gates{
		Model: in.ModelName, Alias: in.Alias, Rules: in.Body.Rules.record(), UpdatedBy: in.by("").By, Reason: in.Body.Reason,
	}, expect)
	if err != nil {
		return nil, s.failRevision(ctx, err, func() (any, error) {
			now, err := s.Records.AliasGates(ctx, in.ModelName, in.Alias)
			return newAliasGates(now), err
		})
	}
	s.Announcer.ModelsChanged()
	return &revised[AliasGates]{ETag: etag(g.Revision), Body: newAliasGates(g)}, nil
}

func (s *server) checkGates(ctx context.Context, in *struct {
	AliasPath
	Version int `query:"version" required:"true" minimum:"1" example:"4" doc:"The version."`
},
) (*answered[RulesCheck], error) {
	_, results, err := s.Aliases.Check(ctx, in.ModelName, in.Alias, in.Version)
	if err != nil {
		return nil, s.fail(ctx, err)
	}
	out := RulesCheck{Passed: true, Results: newRuleResults(results)}
	for _, r := range results {
		out.Passed = out.Passed && r.Passed
	}
	return &answered[RulesCheck]{Body: out}, nil
}
