package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"detectd/detect"
	"detectd/web/api"
)

type runningCommand struct {
	daemonFlags

	List    runningListCommand    `cmd:"" help:"List all running models, of clients and of cameras."`
	Show    runningShowCommand    `cmd:"" help:"Show what a client or a camera is to run, and what runs."`
	Set     runningSetCommand     `cmd:"" help:"Set what a client or a camera runs, and with which settings."`
	Unset   runningUnsetCommand   `cmd:"" help:"Remove the record, so that the level above decides."`
	History runningHistoryCommand `cmd:"" help:"List the revisions: who changed what, when and why."`
	Diff    runningDiffCommand    `cmd:"" help:"Say what differs between two revisions."`
	Restore runningRestoreCommand `cmd:"" help:"Take up an old revision again, as a new one."`
}

// changeFlags are those of every change of a running model.
type changeFlags struct {
	Reason   string `placeholder:"TEXT" help:"Why, for the history."`
	Revision *int64 `placeholder:"N" help:"The revision that the change is based on (default: the one there is now)."`
}

// based is the revision that a change is based on.
func (c changeFlags) based(now int64) string {
	if c.Revision != nil {
		now = *c.Revision
	}
	return strconv.FormatInt(now, 10)
}

type runningSetCommand struct {
	Place place  `arg:"" help:"CLIENT or CLIENT/CAMERA."`
	Model string `arg:"" optional:"" help:"NAME@VERSION, NAME@ALIAS, or NAME for the newest version; left out: the model that is set."`
	changeFlags

	MinScore  *float64           `placeholder:"X" help:"Least score; 0: the model's own."`
	MinScores map[string]float64 `placeholder:"LABEL=X" help:"Least score of a label; may be repeated."`
	NMSIoU    *float64           `name:"nms-iou" placeholder:"X" help:"Overlap above which the worse of two boxes is dropped; 0: the model's own."`
	NMSIoUs   map[string]float64 `name:"nms-ious" placeholder:"LABEL=X" help:"That overlap for a label; may be repeated."`
	Classes   *[]string          `placeholder:"LABELS" help:"Labels wanted, with commas; '': all."`
	Zones     *[]string          `placeholder:"IDS" help:"Zones that detections are wanted in, with commas; '': everywhere."`
	DetectFPS *float64           `name:"detect-fps" placeholder:"X" help:"Detections a second; 0: the camera's."`
	FastFPS   *float64           `name:"fast-fps" placeholder:"X" help:"Detections a second at most while objects move fast; 0: as in the settings of detectd."`
	Provider  *string            `placeholder:"P" help:"Execution providers, as in --provider of detectd detect; '': those of the settings."`
	Clear     bool               `help:"Take the settings away that are not given here."`
	Force     bool               `help:"Also a version whose self-check has failed; needs --reason."`
}

// Help implements kong.HelpProvider.
func (runningSetCommand) Help() string {
	return `Settings that are not given stay as they are, unless --clear is. When somebody else has
changed the record since --revision, or in the same moment, nothing is changed: what both
want is shown side by side. docs/running.md says what the settings mean.`
}

// Run changes a running model.
func (c runningSetCommand) Run(ctx context.Context, e *env, parent *runningCommand) error {
	if c.Force && c.Reason == "" {
		return usageError{errors.New("--force needs --reason")}
	}
	d, err := parent.openAPI()
	if err != nil {
		return err
	}
	var now, set api.RunningModel
	if err := d.call(ctx, http.MethodGet, c.Place.path(), "", nil, &now); err != nil {
		return err
	}
	change, err := c.change(now.RunningSettings)
	if err != nil {
		return err
	}
	err = d.call(ctx, http.MethodPut, c.Place.path(), c.based(now.Revision), change, &set)
	if err != nil {
		return bothSides(e.stdout, err, settingsOf(change))
	}
	_, err = fmt.Fprintf(e.stdout, "%s runs %s, revision %d\n", c.Place, namedBy(set), set.Revision)
	return err
}

// change is what is wanted: what is given over the settings that there are.
func (c runningSetCommand) change(s api.RunningSettings) (api.RunningModelChange, error) {
	if c.Clear {
		s = api.RunningSettings{Model: s.Model, Version: s.Version, Alias: s.Alias}
	}
	if c.Model != "" {
		ref, err := detect.ParseRef(c.Model)
		if err != nil {
			return api.RunningModelChange{}, usageError{err}
		}
		s.Model, s.Version, s.Alias = ref.Model, ref.Version, ref.Alias
	}
	if s.Model == "" {
		return api.RunningModelChange{}, usageError{fmt.Errorf("%s has no running model of its own yet: name the MODEL", c.Place)}
	}
	s.MinScores, s.NMSIoUs = over(s.MinScores, c.MinScores), over(s.NMSIoUs, c.NMSIoUs)
	give(&s.MinScore, c.MinScore)
	give(&s.NMSIoU, c.NMSIoU)
	give(&s.Classes, c.Classes)
	give(&s.Zones, c.Zones)
	give(&s.DetectFPS, c.DetectFPS)
	give(&s.FastFPS, c.FastFPS)
	give(&s.Provider, c.Provider)
	return api.RunningModelChange{
		Model: s.Model, Version: s.Version, Alias: s.Alias, MinScore: s.MinScore, MinScores: s.MinScores, NMSIoU: s.NMSIoU, NMSIoUs: s.NMSIoUs,
		Classes: s.Classes, Zones: s.Zones, DetectFPS: s.DetectFPS, FastFPS: s.FastFPS, Provider: s.Provider, Force: c.Force, Reason: c.Reason,
	}, nil
}

func give[T any](to *T, given *T) {
	if given != nil {
		*to = *given
	}
}

// over puts what is given over what there is; 0 takes a label's limit away.
func over(old, given map[string]float64) map[string]float64 {
	if len(given) == 0 {
		return old
	}
	out := map[string]float64{}
	maps.Copy(out, old)
	maps.Copy(out, given)
	maps.DeleteFunc(out, func(_ string, x float64) bool { return x == 0 })
	return out
}

// bothSides shows, when somebody else was first, what both want of each setting.
func bothSides(w io.Writer, err error, mine map[string]string) error {
	refused, ok := errors.AsType[*refusal](err)
	if !ok || refused.Status != http.StatusPreconditionFailed {
		return err
	}
	var now api.RunningModel
	if len(refused.Current) == 0 || json.Unmarshal(refused.Current, &now) != nil {
		return err
	}
	fmt.Fprintf(w, "Somebody else was first: revision %d%s.\n", now.Revision, by(now))
	theirs := settingsOf(now.RunningSettings)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "SETTING\tYOURS\tNOW\t")
	for _, field := range slices.Sorted(maps.Keys(merged(mine, theirs))) {
		mark := ""
		if mine[field] != theirs[field] {
			mark = "<"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", field, orDash(mine[field]), orDash(theirs[field]), mark)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	return fmt.Errorf("nothing was changed: the record is at revision %d; look at both sides and give the command again, with --revision %d", now.Revision, now.Revision)
}

func merged(a, b map[string]string) map[string]string {
	out := maps.Clone(a)
	maps.Copy(out, b)
	return out
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// settingsOf are the settings that say something, as texts.
func settingsOf(settings any) map[string]string {
	out := map[string]string{}
	text, err := json.Marshal(settings)
	var fields map[string]json.RawMessage
	if err != nil || json.Unmarshal(text, &fields) != nil {
		return out // never: these are our own types
	}
	for field, value := range fields {
		text := strings.Trim(string(value), `"`)
		if !slices.Contains([]string{"", "0", "[]", "{}", "null"}, text) && field != "reason" && field != "force" {
			out[field] = text
		}
	}
	return out
}

// by says who changed a record and why.
func by(r api.RunningModel) string {
	text := ""
	if r.Deleted {
		text = ", which removed the record"
	}
	if r.UpdatedBy != "" {
		text += ", by " + r.UpdatedBy
	}
	if r.Reason != "" {
		text += ": " + r.Reason
	}
	return text
}

// namedBy is the model as the record names it.
func namedBy(r api.RunningModel) string {
	return detect.Ref{Model: r.Model, Version: r.Version, Alias: r.Alias}.String()
}

type runningUnsetCommand struct {
	Place place `arg:"" help:"CLIENT or CLIENT/CAMERA."`
	changeFlags
}

// Run removes a running model.
func (c runningUnsetCommand) Run(ctx context.Context, e *env, parent *runningCommand) error {
	d, err := parent.openAPI()
	if err != nil {
		return err
	}
	var now api.RunningModel
	if err := d.call(ctx, http.MethodGet, c.Place.path(), "", nil, &now); err != nil {
		return err
	}
	if err := d.call(ctx, http.MethodDelete, c.Place.path()+"?reason="+url.QueryEscape(c.Reason), c.based(now.Revision), nil, nil); err != nil {
		return bothSides(e.stdout, err, map[string]string{})
	}
	var then api.RunningModel
	if err := d.call(ctx, http.MethodGet, c.Place.path(), "", nil, &then); err != nil {
		return err
	}
	_, err = fmt.Fprintf(e.stdout, "%s follows its %s: %s@%d\n", c.Place, then.Effective.From, then.Effective.Model, then.Effective.Version)
	return err
}

type runningRestoreCommand struct {
	Place place `arg:"" help:"CLIENT or CLIENT/CAMERA."`
	Old   int64 `arg:"" help:"The revision to take up again."`
	changeFlags

	Force bool `help:"Also a version whose self-check has failed; needs --reason."`
}

// Run takes up an old revision.
func (c runningRestoreCommand) Run(ctx context.Context, e *env, parent *runningCommand) error {
	if c.Force && c.Reason == "" {
		return usageError{errors.New("--force needs --reason")}
	}
	d, err := parent.openAPI()
	if err != nil {
		return err
	}
	var now, set api.RunningModel
	if err := d.call(ctx, http.MethodGet, c.Place.path(), "", nil, &now); err != nil {
		return err
	}
	old, err := c.old(ctx, d)
	if err != nil {
		return err
	}
	path := fmt.Sprintf("%s/revisions/%d/restore", c.Place.path(), c.Old)
	err = d.call(ctx, http.MethodPost, path, c.based(now.Revision), api.Restoring{Reason: c.Reason, Force: c.Force}, &set)
	if err != nil {
		return bothSides(e.stdout, err, settingsOf(old.RunningSettings))
	}
	if set.Deleted {
		_, err = fmt.Fprintf(e.stdout, "%s has no running model of its own, as at revision %d\n", c.Place, c.Old)
	} else {
		_, err = fmt.Fprintf(e.stdout, "%s runs %s as at revision %d, now revision %d\n", c.Place, namedBy(set), c.Old, set.Revision)
	}
	return err
}

// old is the revision that is to be taken up.
func (c runningRestoreCommand) old(ctx context.Context, d daemonAPI) (api.RunningModel, error) {
	list, err := all[api.RunningModel](ctx, d, c.Place.path()+"/revisions", url.Values{})
	if err != nil {
		return api.RunningModel{}, err
	}
	i := slices.IndexFunc(list, func(r api.RunningModel) bool { return r.Revision == c.Old })
	if i < 0 {
		return api.RunningModel{}, fmt.Errorf("%s has no revision %d; detectd running history %s lists them", c.Place, c.Old, c.Place)
	}
	return list[i], nil
}
