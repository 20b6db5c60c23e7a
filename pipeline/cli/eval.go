package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"

	"detectd/detect"
	"detectd/detect/eval"
	"detectd/pipeline/frame"
	"detectd/pipeline/offline"
)

type evalCommand struct {
	Model       string  `default:"default" placeholder:"M" help:"ONNX file, or NAME[@VERSION] of the data folder (${default})."`
	Annotations string  `required:"" placeholder:"FILE" help:"What is in the pictures: COCO's instances JSON."`
	Images      string  `placeholder:"DIR" help:"Folder of the pictures."`
	Score       float32 `default:"0.001" placeholder:"S" help:"Least score, 0 to 1 (${default}; weak detections count too)."`
	JSON        bool    `name:"json" help:"Print JSON, with the figures of each class."`
	Results     string  `placeholder:"FILE" help:"Write the detections there, as a COCO results list."`
	Data        string  `default:"data" placeholder:"DIR" help:"Data folder for --model NAME (${default})."`
	Store       bool    `help:"Keep the figures with the version of the data folder that --model names."`
	Dataset     string  `placeholder:"NAME" help:"With --store: what the pictures are called (default: the folder's name)."`
	Detections  string  `hidden:"" placeholder:"FILE" help:"COCO results list to take instead of running a model."`
	whereFlags
}

// Help implements kong.HelpProvider.
func (evalCommand) Help() string {
	return `Runs a model over pictures whose objects are known and prints the twelve
figures of COCO, the same as pycocotools does; -1 stands for a figure without
any object. Labels and categories belong together by name. --json prints
{"model":"default","images":128,"ap":0.2,"ap50":…,"ap75":…,"ap_small":…,
"ap_medium":…,"ap_large":…,"ar_1":…,"ar_10":…,"ar_100":…,"ar_small":…,
"ar_medium":…,"ar_large":…,"per_class":[{"label":"person","ap":…,"ap50":…,
"instances":254},…],"images_per_second":60}.
A picture that cannot be read is told on standard error and counts as one in
which nothing was found; the exit code is 1 then.`
}

// evaluation is what the command prints as JSON.
type evaluation struct {
	Model  string `json:"model,omitempty"`
	Images int    `json:"images"`
	eval.Summary
	ImagesPerSecond float64 `json:"images_per_second,omitempty"`
}

// Run evaluates a model, or a list of detections.
func (c evalCommand) Run(ctx context.Context, e *env) error {
	switch {
	case c.Score <= 0 || c.Score > 1:
		return usageError{errors.New("--score is above 0, and 1 at most")}
	case c.Images == "" && c.Detections == "":
		return usageError{errors.New("--images DIR is missing: the folder of the pictures")}
	case c.Store && (c.Detections != "" || isModelFile(c.Model)):
		return usageError{errors.New("--store needs --model NAME[@VERSION] of the data folder")}
	}
	if err := c.check(); err != nil {
		return err
	}
	dataset, err := openJSON(c.Annotations, eval.ReadDataset)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(dataset.Annotations, func(a eval.Annotation) bool { return a.ID == 0 }) {
		fmt.Fprintf(e.stderr, "detectd: %s: an annotation has the id 0: COCO's rules count it as never found, number them from 1\n", c.Annotations)
	}
	out := evaluation{Images: len(dataset.Images)}
	if c.Detections != "" {
		results, err := openJSON(c.Detections, eval.ReadResults)
		if err != nil {
			return err
		}
		if out.Summary, err = eval.Evaluate(dataset, results); err != nil {
			return fmt.Errorf("%s: %w", c.Detections, err)
		}
		return c.print(e, out)
	}
	run := &evalRun{evalCommand: c, env: e, dataset: dataset, evaluator: eval.New(dataset)}
	if c.Store {
		return c.store(ctx, run, out)
	}
	return c.finish(ctx, run, out)
}

// finish runs the model over all pictures and prints what comes out.
func (c evalCommand) finish(ctx context.Context, run *evalRun, out evaluation) error {
	e := run.env
	start := time.Now()
	if err := run.all(ctx, &start); err != nil {
		return err
	}
	out.Model = c.Model
	out.ImagesPerSecond = float64(out.Images) / time.Since(start).Seconds()
	out.Summary = run.evaluator.Summary()
	if err := errors.Join(run.save(), c.print(e, out)); err != nil {
		return err
	}
	if run.broken > 0 {
		return errTold
	}
	return nil
}

// openJSON reads a file and puts its name before errors.
func openJSON[T any](path string, read func(io.Reader) (T, error)) (T, error) {
	f, err := os.Open(path)
	if err != nil {
		var none T
		return none, err
	}
	defer f.Close()
	v, err := read(f)
	if err != nil {
		return v, fmt.Errorf("%s: %w", path, err)
	}
	return v, nil
}

// print writes the figures as JSON or as a table for people.
func (c evalCommand) print(e *env, out evaluation) error {
	if c.JSON {
		return json.NewEncoder(e.stdout).Encode(out)
	}
	rows := [...]struct{ kind, overlap, area, most string }{
		{"Precision  (AP)", "0.50:0.95", "all", "100"},
		{"Precision  (AP)", "0.50", "all", "100"},
		{"Precision  (AP)", "0.75", "all", "100"},
		{"Precision  (AP)", "0.50:0.95", "small", "100"},
		{"Precision  (AP)", "0.50:0.95", "medium", "100"},
		{"Precision  (AP)", "0.50:0.95", "large", "100"},
		{"Recall     (AR)", "0.50:0.95", "all", "1"},
		{"Recall     (AR)", "0.50:0.95", "all", "10"},
		{"Recall     (AR)", "0.50:0.95", "all", "100"},
		{"Recall     (AR)", "0.50:0.95", "small", "100"},
		{"Recall     (AR)", "0.50:0.95", "medium", "100"},
		{"Recall     (AR)", "0.50:0.95", "large", "100"},
	}
	var text strings.Builder
	for i, figure := range out.Figures() {
		r := rows[i]
		fmt.Fprintf(&text, " Average %s @[ IoU=%-9s | area=%6s | maxDets=%3s ] = %0.3f\n", r.kind, r.overlap, r.area, r.most, figure)
	}
	fmt.Fprintf(&text, "%d pictures", out.Images)
	if out.ImagesPerSecond > 0 {
		fmt.Fprintf(&text, ", %.1f a second", out.ImagesPerSecond)
	}
	_, err := fmt.Fprintln(e.stdout, text.String())
	return err
}

// evalRun is a run of a model over the pictures.
type evalRun struct {
	evalCommand
	env       *env
	dataset   *eval.Dataset
	evaluator *eval.Evaluator
	detector  detect.Detector
	ids       map[string]int64 // categories by label
	pool      frame.Pool

	mu      sync.Mutex // guards what follows
	broken  int        // pictures that could not be read
	results []eval.Result
}

// all opens the model and runs it over all pictures. start is set to when the
// first one begins.
func (r *evalRun) all(ctx context.Context, start *time.Time) error {
	files, err := r.files()
	if err != nil {
		return err
	}
	if r.detector == nil {
		rt, err := r.runtime()
		if err != nil {
			return err
		}
		defer func() { _ = rt.Close() }()
		if r.detector, err = openModel(ctx, r.env, rt, r.Model, r.Data, r.whereFlags); err != nil {
			return err
		}
		defer func() { _ = r.detector.Close() }()
	}
	if err := r.labels(); err != nil {
		return err
	}
	*start = time.Now()
	return r.over(ctx, files)
}

// over runs the model over the pictures.
func (r *evalRun) over(ctx context.Context, files []string) error {
	defer r.pool.Close()
	bar := r.bar()
	defer bar.end()
	todo := make(chan int)
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for i := range todo {
				r.one(ctx, r.dataset.Images[i], files[i])
				bar.step()
			}
		})
	}
	for i := range files {
		if ctx.Err() != nil {
			break
		}
		todo <- i
	}
	close(todo)
	wg.Wait()
	return ctx.Err()
}

// files finds the pictures, before any is looked at.
func (r *evalRun) files() ([]string, error) {
	if info, err := os.Stat(r.Images); err != nil {
		return nil, err
	} else if !info.IsDir() {
		return nil, fmt.Errorf("%s is not a folder", r.Images)
	}
	files := make([]string, len(r.dataset.Images))
	var missing []string
	for i, image := range r.dataset.Images {
		if !filepath.IsLocal(image.FileName) {
			return nil, fmt.Errorf("%s: image %d: %q is not the name of a file in a folder", r.Annotations, image.ID, image.FileName)
		}
		files[i] = filepath.Join(r.Images, image.FileName)
		if _, err := os.Stat(files[i]); err != nil {
			missing = append(missing, image.FileName)
		}
	}
	if len(missing) > 0 {
		return nil, fmt.Errorf("%s lacks %d of the %d pictures, such as %s", r.Images, len(missing), len(files), missing[0])
	}
	return files, nil
}

// usualBoxes is how many boxes of a picture detectors are measured with at least,
// also those that keep fewer when they run on a camera.
const usualBoxes = 100

// labels finds the categories of the model's labels. It tells about those
// without, and what else makes the figures lower than they could be.
func (r *evalRun) labels() error {
	contract := r.detector.Contract()
	mapping, err := eval.Map(contract.Labels, r.dataset.Categories)
	if err != nil {
		return fmt.Errorf("%s: %w", r.Annotations, err)
	}
	if len(mapping.IDs) == 0 {
		return fmt.Errorf("%s: none of the model's labels (%s) is one of the categories (%s)",
			r.Annotations, some(mapping.Labels), some(mapping.Categories))
	}
	if len(mapping.Labels) > 0 {
		fmt.Fprintf(r.env.stderr, "detectd: labels of the model that are no category, left out: %s\n", some(mapping.Labels))
	}
	if len(mapping.Categories) > 0 {
		fmt.Fprintf(r.env.stderr, "detectd: categories that the model does not know, never found: %s\n", some(mapping.Categories))
	}
	r.ids = mapping.IDs
	return nil
}

// some shows the first of a list of names.
func some(names []string) string {
	const shown = 10
	if len(names) <= shown {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:shown], ", "), len(names)-shown)
}

// one detects in one picture. An error is told here, the others go on.
func (r *evalRun) one(ctx context.Context, image eval.Image, file string) {
	opts := detect.Options{MinScore: r.Score, MaxBoxes: max(usualBoxes, r.detector.Contract().MaxBoxes)}
	cfg := offline.Config{Path: file, Workers: 1}
	err := offline.File(ctx, cfg, r.detector, opts, &r.pool, func(f offline.Frame) error {
		w, h := f.Frame.Width(), f.Frame.Height()
		if image.Width > 0 && image.Height > 0 && (w != image.Width || h != image.Height) {
			return fmt.Errorf("it has %dx%d pixels, in the annotations it has %dx%d", w, h, image.Width, image.Height)
		}
		if f.Index > 0 {
			return errors.New("it is not a picture")
		}
		return r.add(image.ID, f.Detections)
	})
	if err != nil && ctx.Err() == nil {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.broken++
		fmt.Fprintf(r.env.stderr, "detectd: %s: %s\n", file, err)
	}
}

// add hands the detections of one picture to the evaluator.
func (r *evalRun) add(image int64, found []detect.Detection) error {
	results := make([]eval.Result, 0, len(found))
	for _, d := range found {
		if id, ok := r.ids[d.Label]; ok {
			results = append(results, eval.Result{
				ImageID: image, CategoryID: id, Score: float64(d.Score),
				Box: [4]float64{float64(d.Box.X), float64(d.Box.Y), float64(d.Box.W), float64(d.Box.H)},
			})
		}
	}
	if err := r.evaluator.Add(image, results); err != nil {
		return err
	}
	if r.Results != "" {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.results = append(r.results, results...)
	}
	return nil
}

// save writes the detections, if wanted, in the order of the pictures' ids.
func (r *evalRun) save() error {
	if r.Results == "" {
		return nil
	}
	slices.SortStableFunc(r.results, func(a, b eval.Result) int { return cmp.Compare(a.ImageID, b.ImageID) })
	text, err := json.Marshal(append([]eval.Result{}, r.results...))
	if err != nil {
		return fmt.Errorf("write results: %w", err)
	}
	return os.WriteFile(r.Results, append(text, '\n'), 0o644) //nolint:gosec // made to be read by others
}

// bar shows how far the pictures are, to a person.
func (r *evalRun) bar() progress {
	if !isTerminal(r.env.stderr) {
		return progress{}
	}
	return progress{progressbar.NewOptions(len(r.dataset.Images),
		progressbar.OptionSetDescription(filepath.Base(r.Images)),
		progressbar.OptionSetWriter(r.env.stderr), progressbar.OptionShowCount(),
		progressbar.OptionShowIts(), progressbar.OptionSetItsString("pictures"), progressbar.OptionClearOnFinish(),
	)}
}
