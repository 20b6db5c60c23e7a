package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"detectd/detect"
	"detectd/pipeline/bench/proc"
	"detectd/pipeline/promote"
	"detectd/store"
)

// aliasBook is the part of a modelBook that is about aliases.
type aliasBook interface {
	Rules(ctx context.Context, model, alias string) (store.Gates, error)
	SetRules(ctx context.Context, g store.Gates, expect int64) error
	Move(ctx context.Context, c store.AliasChange) error
	DropAlias(ctx context.Context, model, alias string, expect int, a store.Author) error
	Moves(ctx context.Context, model, alias string) ([]store.AliasMove, error)
}

type modelsAliasCommand struct {
	Alias   string `arg:"" help:"NAME@ALIAS."`
	Version int    `arg:"" optional:"" help:"The version it is to name. Without it, the moves of the alias are shown."`
	Delete  bool   `help:"Take the alias away."`
	Reason  string `placeholder:"TEXT" help:"Why, for the log."`
	Force   bool   `help:"Also when the version does not meet the alias's rules; needs --reason."`
}

// Help implements kong.HelpProvider.
func (modelsAliasCommand) Help() string {
	return `Lets an alias name a version that meets the alias's rules; else each rule that is not
met is told, with what was measured. --force moves it all the same, and the log says so.
Without a version the history of the alias is printed, the newest move first.`
}

// Run moves an alias.
func (c modelsAliasCommand) Run(ctx context.Context, e *env, parent *modelsCommand) error {
	ref, err := aliasRef(c.Alias)
	if err != nil {
		return err
	}
	if c.Force && c.Reason == "" {
		return usageError{errors.New("--force needs --reason")}
	}
	if c.Delete && (c.Version != 0 || c.Force) {
		return usageError{errors.New("--delete goes with NAME@ALIAS and --reason alone")}
	}
	return withBook(ctx, e, parent, func(b modelBook) error {
		if c.Version == 0 {
			return c.showOrDelete(ctx, e, b, ref)
		}
		models, err := b.List(ctx)
		if err != nil {
			return err
		}
		m, v, err := pick(models, detect.Ref{Model: ref.Model, Version: c.Version})
		if err != nil {
			return err
		}
		err = b.Move(ctx, store.AliasChange{
			Model: m.Name, Alias: ref.Alias, Version: v.Version, Expect: m.Aliases[ref.Alias], By: "cli", Reason: c.Reason, Force: c.Force,
		})
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(e.stdout, "%s is %s@%d\n", ref, v.Model, v.Version)
		return err
	})
}

// showOrDelete prints the moves of an alias, or takes it away.
func (c modelsAliasCommand) showOrDelete(ctx context.Context, e *env, b modelBook, ref detect.Ref) error {
	moves, err := b.Moves(ctx, ref.Model, ref.Alias)
	if err != nil {
		return err
	}
	if len(moves) == 0 || c.Delete && moves[0].To == 0 {
		return fmt.Errorf("alias %s: %w", ref, store.ErrNotFound)
	}
	if c.Delete {
		if err := b.DropAlias(ctx, ref.Model, ref.Alias, moves[0].To, store.Author{By: "cli", Why: c.Reason}); err != nil {
			return err
		}
		_, err = fmt.Fprintln(e.stdout, "removed", ref)
		return err
	}
	w := tabwriter.NewWriter(e.stdout, 0, 0, 2, ' ', 0)
	for _, m := range moves {
		to := fmt.Sprint("version ", m.To)
		if m.To == 0 {
			to = "deleted"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", m.At.Local().Format(time.DateTime), to, m.By, m.Why)
	}
	return w.Flush()
}

// aliasRef reads NAME@ALIAS.
func aliasRef(text string) (detect.Ref, error) {
	ref, err := detect.ParseRef(text)
	if err == nil && ref.Alias == "" {
		err = fmt.Errorf("%q names no alias: NAME@ALIAS, as in yard@champion", text)
	}
	if err == nil {
		err = store.CheckAlias(ref.Alias)
	}
	if err != nil {
		return ref, usageError{err}
	}
	return ref, nil
}

type modelsRulesCommand struct {
	Alias       string             `arg:"" help:"NAME@ALIAS."`
	SelfCheck   string             `placeholder:"V" enum:",pass,not_failed,any" default:"" help:"What the self-check must have come to: pass, not_failed or any."`
	MinAP       map[string]float64 `name:"min-ap" placeholder:"SET=AP" help:"Least AP on a data set, 0 to 1; may be repeated."`
	MaxLoss     map[string]float64 `placeholder:"SET=X" help:"By how much AP may be below that of the version that the alias names; may be repeated."`
	MaxP95      time.Duration      `name:"max-p95" placeholder:"T" help:"Longest p95 of a call on this machine, as in 25ms."`
	MaxSlowdown *float64           `placeholder:"X" help:"By what part p95 may be above that of the version that the alias names: 0.1 is 10 %."`
	MaxBytes    int64              `placeholder:"N" help:"Largest file, in bytes."`
	Clear       bool               `help:"Take the rules away that are not given here."`
	Reason      string             `placeholder:"TEXT" help:"Why, for the log."`
}

// Help implements kong.HelpProvider.
func (modelsRulesCommand) Help() string {
	return `Shows what a version must meet before the alias may name it, or changes the rules that
are given; the others stay, unless --clear is. detectd models measure measures what the
rules ask for. Rules hold for detectd models alias, the API, the page and MLflow alike.`
}

// Run shows or sets the rules of an alias.
func (c modelsRulesCommand) Run(ctx context.Context, e *env, parent *modelsCommand) error {
	ref, err := aliasRef(c.Alias)
	if err != nil {
		return err
	}
	return withBook(ctx, e, parent, func(b modelBook) error {
		g, err := b.Rules(ctx, ref.Model, ref.Alias)
		if err != nil {
			return err
		}
		rules := c.change(g.Rules)
		if c.changes() {
			expect := g.Revision
			g.Rules, g.UpdatedBy, g.Reason = rules, "cli", c.Reason
			if err := b.SetRules(ctx, g, expect); err != nil {
				return err
			}
		}
		return showRules(e.stdout, ref, rules)
	})
}

func (c modelsRulesCommand) changes() bool {
	return c.SelfCheck != "" || len(c.MinAP)+len(c.MaxLoss) > 0 || c.MaxP95 > 0 || c.MaxSlowdown != nil || c.MaxBytes > 0 || c.Clear
}

// change puts what is given over the rules that there are.
func (c modelsRulesCommand) change(r store.GateRules) store.GateRules {
	if c.Clear {
		r = store.DefaultGates()
	}
	if c.SelfCheck != "" {
		r.SelfCheck = c.SelfCheck
	}
	rule := func(dataset string) *store.AccuracyGate {
		for i := range r.Accuracy {
			if r.Accuracy[i].Dataset == dataset {
				return &r.Accuracy[i]
			}
		}
		r.Accuracy = append(r.Accuracy, store.AccuracyGate{Dataset: dataset})
		return &r.Accuracy[len(r.Accuracy)-1]
	}
	for dataset, ap := range c.MinAP {
		rule(dataset).MinAP = ap
	}
	for dataset, loss := range c.MaxLoss {
		rule(dataset).MaxLoss = &loss
	}
	if c.MaxP95 > 0 {
		r.MaxP95 = c.MaxP95
	}
	if c.MaxSlowdown != nil {
		r.MaxSlowdown = c.MaxSlowdown
	}
	if c.MaxBytes > 0 {
		r.MaxBytes = c.MaxBytes
	}
	return r
}

func showRules(w io.Writer, ref detect.Ref, r store.GateRules) error {
	var text strings.Builder
	fmt.Fprintf(&text, "%s\n  self-check: %s\n", ref, r.SelfCheck)
	for _, a := range r.Accuracy {
		if a.MinAP > 0 {
			fmt.Fprintf(&text, "  AP on %s: at least %.3f\n", a.Dataset, a.MinAP)
		}
		if a.MaxLoss != nil {
			fmt.Fprintf(&text, "  AP on %s: at most %.3f less than that of %s\n", a.Dataset, *a.MaxLoss, ref)
		}
	}
	if r.MaxP95 > 0 {
		fmt.Fprintf(&text, "  p95 of a call: at most %s\n", r.MaxP95)
	}
	if r.MaxSlowdown != nil {
		fmt.Fprintf(&text, "  p95: at most %.0f %% more than that of %s\n", 100**r.MaxSlowdown, ref)
	}
	if r.MaxBytes > 0 {
		fmt.Fprintf(&text, "  size: at most %d bytes\n", r.MaxBytes)
	}
	_, err := io.WriteString(w, text.String())
	return err
}

func (b *folderBook) keeper() *promote.Keeper {
	return promote.NewKeeper(b.records, proc.ThisMachine().String())
}

// Rules implements modelBook.
func (b *folderBook) Rules(ctx context.Context, model, alias string) (store.Gates, error) {
	if _, err := b.records.Model(ctx, model, false); err != nil {
		return store.Gates{}, err
	}
	return b.records.AliasGates(ctx, model, alias)
}

// SetRules implements modelBook.
func (b *folderBook) SetRules(ctx context.Context, g store.Gates, expect int64) error {
	_, err := b.keeper().SetRules(ctx, g, expect)
	return err
}

// Move implements modelBook.
func (b *folderBook) Move(ctx context.Context, c store.AliasChange) error {
	return b.keeper().Move(ctx, c)
}

// Rules implements modelBook. Reading beside the daemon is safe.
func (b *daemonBook) Rules(ctx context.Context, model, alias string) (store.Gates, error) {
	if _, err := b.records.Model(ctx, model, false); err != nil {
		return store.Gates{}, err
	}
	return b.records.AliasGates(ctx, model, alias)
}

// DropAlias implements aliasBook.
func (b *folderBook) DropAlias(ctx context.Context, model, alias string, expect int, a store.Author) error {
	return b.records.DeleteAlias(ctx, model, alias, expect, a)
}

// Moves implements aliasBook.
func (b *folderBook) Moves(ctx context.Context, model, alias string) ([]store.AliasMove, error) {
	return b.records.AliasHistory(ctx, model, alias)
}

// DropAlias implements aliasBook.
func (b *daemonBook) DropAlias(ctx context.Context, model, alias string, expect int, a store.Author) error {
	query := url.Values{"expect": {strconv.Itoa(expect)}, "reason": {a.Why}}
	return b.call(ctx, http.MethodDelete, aliasPath(model, alias)+"?"+query.Encode(), nil, nil)
}

// Moves implements aliasBook. Reading beside the daemon is safe.
func (b *daemonBook) Moves(ctx context.Context, model, alias string) ([]store.AliasMove, error) {
	return b.records.AliasHistory(ctx, model, alias)
}

// rulesJSON is how the API takes rules.
type rulesJSON struct {
	SelfCheck   string               `json:"self_check"`
	Accuracy    []store.AccuracyGate `json:"accuracy,omitempty"`
	MaxP95MS    float64              `json:"max_p95_ms,omitempty"`
	MaxSlowdown *float64             `json:"max_slowdown,omitempty"`
	MaxBytes    int64                `json:"max_bytes,omitempty"`
}

// SetRules implements modelBook.
func (b *daemonBook) SetRules(ctx context.Context, g store.Gates, expect int64) error {
	r := g.Rules
	return b.send(ctx, http.MethodPut, aliasPath(g.Model, g.Alias)+"/rules", strconv.FormatInt(expect, 10), map[string]any{
		"reason": g.Reason, "rules": rulesJSON{r.SelfCheck, r.Accuracy, r.MaxP95.Seconds() * 1000, r.MaxSlowdown, r.MaxBytes},
	}, nil)
}

// Move implements modelBook.
func (b *daemonBook) Move(ctx context.Context, c store.AliasChange) error {
	return b.send(ctx, http.MethodPut, aliasPath(c.Model, c.Alias), "", map[string]any{
		"version": c.Version, "expect": c.Expect, "reason": c.Reason, "force": c.Force,
	}, nil)
}

func aliasPath(model, alias string) string {
	return "/models/" + url.PathEscape(model) + "/aliases/" + url.PathEscape(alias)
}
