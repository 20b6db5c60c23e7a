package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"detectd/detect"
	"detectd/web/api"
)

type modelsPromoteCommand struct {
	Model   string        `arg:"" help:"NAME@VERSION."`
	Client  string        `default:"default" placeholder:"ID" help:"Whose cameras (${default})."`
	Alias   string        `placeholder:"ALIAS" help:"The alias that names the version once it is promoted, and whose rules it has to meet."`
	Shadow  *float64      `xor:"stage" placeholder:"SHARE" help:"Begin beside what runs, on this part of the frames (0.1)."`
	Canary  []string      `xor:"stage" placeholder:"CAMERAS" help:"Begin with these cameras running it, with commas."`
	Cameras []string      `placeholder:"CAMERAS" help:"Where the shadow looks and the canary runs (default: all of the client)."`
	Watch   time.Duration `default:"10m" placeholder:"T" help:"How long it is watched once it runs everywhere (${default})."`
	Force   bool          `help:"Also when it does not meet the rules; needs --reason."`
	Reason  string        `placeholder:"TEXT" help:"Why, for the log."`
}

// Help implements kong.HelpProvider.
func (modelsPromoteCommand) Help() string {
	return `Asks the running detectd to begin. detectd promotions takes it on from there: show, canary,
all, keep, stop. What does not do well goes back by itself; docs/promotion.md.`
}

// Run starts a promotion.
func (c modelsPromoteCommand) Run(ctx context.Context, e *env, parent *modelsCommand) error {
	ref, err := detect.ParseRef(c.Model)
	if err == nil && ref.Version == 0 {
		err = fmt.Errorf("%q names no version: NAME@VERSION, as in yard@4", c.Model)
	}
	if err == nil && c.Force && c.Reason == "" {
		err = errors.New("--force needs --reason")
	}
	if err != nil {
		return usageError{err}
	}
	d, err := daemonFlags{parent.Data}.openAPI()
	if err != nil {
		return err
	}
	wanted := api.NewPromotion{
		Model: ref.Model, Version: ref.Version, Alias: c.Alias, ClientID: c.Client, Cameras: c.Cameras, Stage: "shadow",
		Share: c.Shadow, Period: c.Watch.Seconds(), Force: c.Force, Reason: c.Reason,
	}
	if len(c.Canary) > 0 {
		wanted.Stage, wanted.Cameras = "canary", c.Canary
	}
	var p api.Promotion
	if err := d.call(ctx, http.MethodPost, "/promotions", "", wanted, &p); err != nil {
		return err
	}
	_, err = fmt.Fprintf(e.stdout, "promotion %s: %s@%d is in state %s on camera %s\n", p.ID, p.Model, p.Version, p.State, strings.Join(p.Cameras, ", "))
	return err
}

type promotionsCommand struct {
	daemonFlags

	List   promotionsListCommand   `cmd:"" help:"List promotions, the newest first, also those that have ended."`
	Show   promotionsShowCommand   `cmd:"" help:"Show a promotion with its figures."`
	Canary promotionsCanaryCommand `cmd:"" help:"Let cameras run the version that was a shadow."`
	All    promotionsAllCommand    `cmd:"" help:"Let all cameras of the client run it, and watch it."`
	Keep   promotionsKeepCommand   `cmd:"" help:"End the watch early: the version stays."`
	Stop   promotionsStopCommand   `cmd:"" help:"End it: what ran before runs again."`
}

type promotionsListCommand struct {
	Model string `placeholder:"NAME" help:"Only of this model."`
	JSON  bool   `name:"json" help:"Print JSON."`
}

// Run lists promotions.
func (c promotionsListCommand) Run(ctx context.Context, e *env, parent *promotionsCommand) error {
	d, err := parent.openAPI()
	if err != nil {
		return err
	}
	list, err := all[api.Promotion](ctx, d, "/promotions", url.Values{"model": {c.Model}})
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(e.stdout, list)
	}
	w := tabwriter.NewWriter(e.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "ID\tVERSION\tALIAS\tCLIENT\tSTATE\tSINCE\tBY\tREASON")
	for _, p := range list {
		fmt.Fprintf(w, "%s\t%s@%d\t%s\t%s\t%s\t%s\t%s\t%s\n", p.ID, p.Model, p.Version, orDash(p.Alias), p.ClientID, p.State, at(p.UpdatedAt), p.By, p.Reason)
	}
	return w.Flush()
}

type promotionsShowCommand struct {
	ID   string `arg:"" help:"The promotion."`
	JSON bool   `name:"json" help:"Print JSON."`
}

// Run shows a promotion.
func (c promotionsShowCommand) Run(ctx context.Context, e *env, parent *promotionsCommand) error {
	d, err := parent.openAPI()
	if err != nil {
		return err
	}
	var p api.Promotion
	if err := d.call(ctx, http.MethodGet, "/promotions/"+url.PathEscape(c.ID), "", nil, &p); err != nil {
		return err
	}
	if c.JSON {
		return printJSON(e.stdout, p)
	}
	return showPromotion(e.stdout, p)
}

func showPromotion(to io.Writer, p api.Promotion) error {
	var text strings.Builder
	fmt.Fprintf(&text, "%s: %s@%d instead of %s@%d, client %s", p.ID, p.Model, p.Version, p.ChampionModel, p.ChampionVersion, p.ClientID)
	if p.Alias != "" {
		fmt.Fprintf(&text, ", for %s@%s", p.Model, p.Alias)
	}
	fmt.Fprintf(&text, "\n  state: %s since %s, by %s\n  cameras: %s\n", p.State, at(p.StageSince), p.By, strings.Join(p.Cameras, ", "))
	if p.Reason != "" {
		fmt.Fprintf(&text, "  reason: %s\n", p.Reason)
	}
	if f := p.Figures; f != nil {
		fmt.Fprintf(&text, "  on %d cameras: %d inferences, p95 %.1f ms (%.1f ms with waiting), %d errors, %d frames too late\n",
			f.Cameras, f.Inferences, f.Inference, f.P95, f.Errors, f.Dropped)
		for _, r := range f.Rules {
			mark := "ok"
			if !r.Passed {
				mark = "NO"
			}
			fmt.Fprintf(&text, "    %s  %s: %s is wanted, it is %s\n", mark, r.Rule, r.Wanted, r.Measured)
		}
	}
	for _, s := range []*api.ShadowFigures{p.Shadow, p.Beside} {
		if s == nil {
			continue
		}
		fmt.Fprintf(&text, "  %s@%d beside it: %d frames compared, agreement %.1f %%, p95 %.1f ms, %d skipped\n",
			s.Model, s.Version, s.Looked, 100*s.Agreement, s.P95, s.Busy+s.NoRoom)
		if s.Error != "" {
			fmt.Fprintf(&text, "    %s\n", s.Error)
		}
	}
	_, err := io.WriteString(to, text.String())
	return err
}

// stepFlags are those of every step.
type stepFlags struct {
	ID     string `arg:"" optional:"" help:"The promotion; left out: the only one that has not ended."`
	Reason string `placeholder:"TEXT" help:"Why, for the log."`
}

// step takes a promotion on, or back.
func (c stepFlags) step(ctx context.Context, e *env, parent *promotionsCommand, wanted api.PromotionStepInput) error {
	if wanted.Force && c.Reason == "" {
		return usageError{errors.New("--force needs --reason")}
	}
	d, err := parent.openAPI()
	if err != nil {
		return err
	}
	id, err := c.which(ctx, d)
	if err != nil {
		return err
	}
	wanted.Reason = c.Reason
	var p api.Promotion
	if err := d.call(ctx, http.MethodPost, "/promotions/"+url.PathEscape(id)+"/step", "", wanted, &p); err != nil {
		return err
	}
	_, err = fmt.Fprintf(e.stdout, "promotion %s: %s@%d is in state %s\n", p.ID, p.Model, p.Version, p.State)
	return err
}

// which promotion is meant.
func (c stepFlags) which(ctx context.Context, d daemonAPI) (string, error) {
	if c.ID != "" {
		return c.ID, nil
	}
	list, err := all[api.Promotion](ctx, d, "/promotions", url.Values{})
	if err != nil {
		return "", err
	}
	list = slices.DeleteFunc(list, func(p api.Promotion) bool { return !slices.Contains([]string{"shadow", "canary", "watch"}, p.State) })
	if len(list) != 1 {
		return "", usageError{fmt.Errorf("%s promotions are under way: name one; detectd promotions list shows them", cmp.Or(strings.TrimPrefix(fmt.Sprint(len(list)), "0"), "no"))}
	}
	return list[0].ID, nil
}

type promotionsCanaryCommand struct {
	stepFlags

	Cameras []string `placeholder:"CAMERAS" help:"With commas (default: where the shadow looked)."`
}

// Run starts the canary.
func (c promotionsCanaryCommand) Run(ctx context.Context, e *env, parent *promotionsCommand) error {
	return c.step(ctx, e, parent, api.PromotionStepInput{To: "canary", Cameras: c.Cameras})
}

type promotionsAllCommand struct {
	stepFlags

	Force bool `help:"Also when it does not meet the rules; needs --reason."`
}

// Run promotes to all cameras.
func (c promotionsAllCommand) Run(ctx context.Context, e *env, parent *promotionsCommand) error {
	return c.step(ctx, e, parent, api.PromotionStepInput{To: "watch", Force: c.Force})
}

type promotionsKeepCommand struct{ stepFlags }

// Run ends the watch.
func (c promotionsKeepCommand) Run(ctx context.Context, e *env, parent *promotionsCommand) error {
	return c.step(ctx, e, parent, api.PromotionStepInput{To: "done"})
}

type promotionsStopCommand struct{ stepFlags }

// Run brings back what ran before.
func (c promotionsStopCommand) Run(ctx context.Context, e *env, parent *promotionsCommand) error {
	return c.step(ctx, e, parent, api.PromotionStepInput{To: "rolled_back"})
}
