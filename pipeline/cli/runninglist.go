package cli

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"detectd/web/api"
)

type runningListCommand struct {
	Client string `placeholder:"ID" help:"Only of this client."`
	JSON   bool   `name:"json" help:"Print JSON."`
}

// Run lists running models.
func (c runningListCommand) Run(ctx context.Context, e *env, parent *runningCommand) error {
	d, err := parent.openAPI()
	if err != nil {
		return err
	}
	list, err := all[api.RunningModel](ctx, d, "/running-models", url.Values{})
	if err != nil {
		return err
	}
	list = slices.DeleteFunc(list, func(r api.RunningModel) bool { return c.Client != "" && r.ClientID != c.Client })
	if c.JSON {
		return printJSON(e.stdout, list)
	}
	w := tabwriter.NewWriter(e.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "WHERE\tMODEL\tIS\tREVISION\tCHANGED\tBY\tREASON")
	for _, r := range list {
		fmt.Fprintf(w, "%s\t%s\t@%d\t%d\t%s\t%s\t%s\n", place{r.ClientID, r.CameraID}, namedBy(r), r.Effective.Version, r.Revision, at(r.UpdatedAt), r.UpdatedBy, r.Reason)
	}
	return w.Flush()
}

func at(t api.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.Local().Format(time.DateTime)
}

type runningShowCommand struct {
	Place place `arg:"" help:"CLIENT or CLIENT/CAMERA."`
	JSON  bool  `name:"json" help:"Print JSON."`
}

// shown is the JSON of running show.
type shown struct {
	api.RunningModel
	Cameras []api.RunningState `json:"cameras"`
}

// Run shows a running model and what its cameras run.
func (c runningShowCommand) Run(ctx context.Context, e *env, parent *runningCommand) error {
	d, err := parent.openAPI()
	if err != nil {
		return err
	}
	var out shown
	if err := d.call(ctx, http.MethodGet, c.Place.path(), "", nil, &out.RunningModel); err != nil {
		return err
	}
	if out.Cameras, err = all[api.RunningState](ctx, d, "/running-states", url.Values{"client_id": {c.Place.client}}); err != nil {
		return err
	}
	if c.Place.camera != "" {
		out.Cameras = slices.DeleteFunc(out.Cameras, func(s api.RunningState) bool { return s.CameraID != c.Place.camera })
	}
	if c.JSON {
		return printJSON(e.stdout, out)
	}
	return c.print(e.stdout, out)
}

func (c runningShowCommand) print(to io.Writer, r shown) error {
	var text strings.Builder
	if r.Model == "" {
		fmt.Fprintf(&text, "%s has no running model of its own; its %s decides: %s@%d\n", c.Place, r.Effective.From, r.Effective.Model, r.Effective.Version)
	} else {
		fmt.Fprintf(&text, "%s runs %s, which is %s@%d\n", c.Place, namedBy(r.RunningModel), r.Effective.Model, r.Effective.Version)
		fmt.Fprintf(&text, "  revision: %d, %s%s\n", r.Revision, at(r.UpdatedAt), by(r.RunningModel))
	}
	settings := settingsOf(r.RunningSettings)
	for _, field := range slices.Sorted(maps.Keys(settings)) {
		if field != "model" && field != "version" && field != "alias" {
			fmt.Fprintf(&text, "  %s: %s\n", field, settings[field])
		}
	}
	for _, s := range r.Cameras {
		runs := "nothing"
		if s.Running != nil {
			runs = fmt.Sprintf("%s@%d", s.Running.Model, s.Running.Version)
		}
		fmt.Fprintf(&text, "  camera %s: %s, runs %s", s.CameraID, s.State, runs)
		if s.State != "applied" {
			fmt.Fprintf(&text, ", wanted is %s@%d", s.Wanted.Model, s.Wanted.Version)
		}
		if s.Reason != "" {
			fmt.Fprintf(&text, ": %s", s.Reason)
		}
		text.WriteByte('\n')
	}
	_, err := io.WriteString(to, text.String())
	return err
}

type runningHistoryCommand struct {
	Place place `arg:"" help:"CLIENT or CLIENT/CAMERA."`
	JSON  bool  `name:"json" help:"Print JSON."`
}

// Run lists revisions.
func (c runningHistoryCommand) Run(ctx context.Context, e *env, parent *runningCommand) error {
	d, err := parent.openAPI()
	if err != nil {
		return err
	}
	list, err := all[api.RunningModel](ctx, d, c.Place.path()+"/revisions", url.Values{})
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(e.stdout, list)
	}
	w := tabwriter.NewWriter(e.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "REVISION\tMODEL\tCHANGED\tBY\tREASON")
	for _, r := range list {
		model := namedBy(r)
		if r.Deleted {
			model = "(removed)"
		}
		fmt.Fprintf(w, "%d\t%s\t%s\t%s\t%s\n", r.Revision, model, at(r.UpdatedAt), r.UpdatedBy, r.Reason)
	}
	return w.Flush()
}

type runningDiffCommand struct {
	Place place `arg:"" help:"CLIENT or CLIENT/CAMERA."`
	From  int64 `arg:"" help:"The first revision; 0 for no record."`
	To    int64 `arg:"" help:"The second revision; 0 for no record."`
	JSON  bool  `name:"json" help:"Print JSON."`
}

// Run compares two revisions.
func (c runningDiffCommand) Run(ctx context.Context, e *env, parent *runningCommand) error {
	d, err := parent.openAPI()
	if err != nil {
		return err
	}
	list, err := all[api.RunningDifference](ctx, d, c.Place.path()+"/diff", url.Values{"from": {fmt.Sprint(c.From)}, "to": {fmt.Sprint(c.To)}})
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(e.stdout, list)
	}
	w := tabwriter.NewWriter(e.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "SETTING\tREVISION %d\tREVISION %d\n", c.From, c.To)
	for _, x := range list {
		fmt.Fprintf(w, "%s\t%s\t%s\n", x.Field, orDash(x.From), orDash(x.To))
	}
	return w.Flush()
}
