package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"detectd/detect"
	"detectd/detect/model"
	"detectd/detect/ort"
	"detectd/detect/provider"
	"detectd/pipeline/daemon"
	"detectd/pipeline/modelcheck"
)

type modelsCheckCommand struct {
	Model   string `arg:"" help:"NAME, NAME@VERSION, or an ONNX file."`
	Picture string `placeholder:"FILE" help:"Picture or video with what the model is for (default: the demo video's first frame)."`
	Save    string `placeholder:"FILE" help:"Write the picture with the boxes there, as a JPEG."`
	JSON    bool   `name:"json" help:"Print JSON."`

	Family   string   `placeholder:"F" help:"ONNX file: how its outputs are laid out."`
	Contract []string `placeholder:"KEY=VALUE" sep:"none" help:"ONNX file: a part of its contract; may be repeated."`
}

// Help implements kong.HelpProvider.
func (modelsCheckCommand) Help() string {
	return `Runs a model on a picture and looks whether its contract can be right: boxes and
scores are what such numbers are, boxes go along when the picture is mirrored and
shifted, and no other contract (red and blue changed over, another scaling or box
format) finds clearly more. Says pass, unsure or fail with the reasons; the exit code
is 1 after fail. What is found in --save is for you to judge: nothing else tells
whether the labels are right.`
}

// Run checks a model.
func (c modelsCheckCommand) Run(ctx context.Context, e *env, parent *modelsCommand) error {
	overrides, err := model.ParseOverrides(c.Contract)
	if err != nil {
		return usageError{err}
	}
	library, err := ort.FindLibrary("")
	if err != nil {
		return err
	}
	rt, err := ort.Open(library)
	if err != nil {
		return err
	}
	defer func() { _ = rt.Close() }()
	d, err := c.open(ctx, e, rt, parent.Data, overrides)
	if err != nil {
		return err
	}
	defer func() { _ = d.Close() }()
	path := c.Picture
	if path == "" {
		if path, err = daemon.DemoVideoFile(); err != nil {
			fmt.Fprintln(e.stderr, "detectd: the demo video is missing, a generated picture is taken; --picture tells more")
			path = ""
		}
	}
	report, overlay, err := modelcheck.Run(ctx, d, path)
	if err != nil {
		return err
	}
	if c.Save != "" {
		if err := os.WriteFile(c.Save, overlay, 0o644); err != nil { //nolint:gosec // made to be looked at
			return fmt.Errorf("write picture: %w", err)
		}
	}
	if c.JSON {
		err = printJSON(e.stdout, report)
	} else {
		err = printReport(e.stdout, c.Model, report)
	}
	if err == nil && report.Verdict == model.Fail {
		return errTold
	}
	return err
}

func (c modelsCheckCommand) open(ctx context.Context, e *env, rt *ort.Runtime, data string, overrides map[string]string) (detect.Detector, error) {
	if c.Family == "" && len(overrides) == 0 {
		return openModel(ctx, e, rt, c.Model, data, whereFlags{Provider: provider.Auto})
	}
	if !isModelFile(c.Model) {
		return nil, usageError{errors.New("--family and --contract go with an ONNX file: a stored version has its contract")}
	}
	file, err := os.ReadFile(c.Model)
	if err != nil {
		return nil, fmt.Errorf("open model: %w", err)
	}
	d, err := model.Open(rt, file, model.Options{Family: c.Family, Overrides: overrides})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", c.Model, err)
	}
	return d, nil
}

// printReport writes a report for people.
func printReport(w io.Writer, name string, r model.Report) error {
	var text strings.Builder
	fmt.Fprintf(&text, "%s: %s\n", name, r.Verdict)
	for _, list := range [...][]string{r.Faults, r.Doubts, r.Notes} {
		for _, line := range list {
			fmt.Fprintf(&text, "  %s\n", line)
		}
	}
	found := make([]string, 0, len(r.Labels))
	for _, label := range slices.Sorted(maps.Keys(r.Labels)) {
		found = append(found, fmt.Sprintf("%d %s", r.Labels[label], label))
	}
	if len(found) > 0 {
		fmt.Fprintf(&text, "  found %s; best score %.2f; %.0f %% found again in changed pictures; %d other contracts tried\n",
			strings.Join(found, ", "), r.Best, 100*max(r.Followed, 0), r.Tried)
	}
	_, err := io.WriteString(w, text.String())
	return err
}
