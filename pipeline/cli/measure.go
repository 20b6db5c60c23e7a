package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"detectd/detect"
	"detectd/detect/eval"
	"detectd/detect/model"
	"detectd/detect/provider"
	"detectd/pipeline/bench/proc"
	"detectd/pipeline/daemon"
	"detectd/store"
)

type modelsMeasureCommand struct {
	Model    string `arg:"" help:"NAME, NAME@VERSION or NAME@ALIAS."`
	Coco     string `placeholder:"PATH" help:"Pictures whose objects are known: COCO's instances JSON, or a folder with it."`
	Images   string `placeholder:"DIR" help:"Folder of the pictures, where it is not the one of --coco, or images/ in it."`
	Dataset  string `placeholder:"NAME" help:"What the pictures are called (default: the folder's name)."`
	Calls    int    `default:"60" placeholder:"N" help:"Calls that are timed (${default})."`
	Provider string `default:"auto" placeholder:"P" help:"auto, cpu, cuda, tensorrt, openvino, or several with commas (${default})."`
	Device   int    `default:"0" placeholder:"N" help:"Number of the GPU (${default})."`
	JSON     bool   `name:"json" help:"Print JSON."`
}

// Help implements kong.HelpProvider.
func (modelsMeasureCommand) Help() string {
	return `Repeats the self-check of a version, measures the time of one call with one picture
(median, p95, p99) and, with --coco, the twelve figures of COCO. All three are kept with
the version, the self-check with its picture in place of the one before: detectd models show, the page, and the rules of aliases have them.
Let the machine do nothing else meanwhile.`
}

// Run measures a version.
func (c modelsMeasureCommand) Run(ctx context.Context, e *env, parent *modelsCommand) error {
	ref, err := detect.ParseRef(c.Model)
	if err != nil {
		return usageError{err}
	}
	if c.Calls < 1 {
		return usageError{errors.New("--calls is from 1")}
	}
	where := whereFlags{Provider: c.Provider, Device: c.Device}
	if err := where.check(); err != nil {
		return err
	}
	var data set
	if c.Coco != "" {
		if data, err = findSet(c.Coco, c.Images); err != nil {
			return err
		}
		if c.Dataset != "" {
			data.name = c.Dataset
		}
	}
	return withBook(ctx, e, parent, func(b modelBook) error {
		v, d, err := openOfBook(ctx, e, b, ref, parent.Data, where)
		if err != nil {
			return err
		}
		defer func() { _ = d.Close() }()
		if err := c.check(ctx, e, b, v, d); err != nil {
			return err
		}
		list := []store.Measurement{}
		speed, err := c.speed(ctx, d)
		if err != nil {
			return err
		}
		list = append(list, speed)
		if c.Coco != "" {
			accuracy, err := c.accuracy(ctx, e, data, d)
			if err != nil {
				return err
			}
			list = append(list, accuracy)
		}
		for i := range list {
			sign(&list[i], v, d)
			if err := b.Keep(ctx, list[i]); err != nil {
				return err
			}
		}
		if c.JSON {
			return printJSON(e.stdout, describeMeasured(list))
		}
		_, err = fmt.Fprintf(e.stdout, "%s@%d\n", v.Model, v.Version)
		return errors.Join(err, showMeasured(e.stdout, list))
	})
}

// sign fills in what a measurement is of and where it was made.
func sign(m *store.Measurement, v store.ModelVersion, d detect.Detector) {
	m.Model, m.Version, m.Time, m.By = v.Model, v.Version, time.Now(), "detectd"
	m.Machine = proc.ThisMachine().String()
	if on, ok := d.(interface{ State() provider.State }); ok {
		m.Provider = string(on.State().Provider)
	}
}

// check repeats the self-check and tells what it comes to.
func (modelsMeasureCommand) check(ctx context.Context, e *env, b modelBook, v store.ModelVersion, d detect.Detector) error {
	r, err := b.Recheck(ctx, v, d)
	if err != nil {
		return err
	}
	fmt.Fprintf(e.stderr, "detectd: self-check of %s@%d: %s\n", v.Model, v.Version,
		strings.Join(append([]string{string(r.Verdict)}, append(r.Faults, r.Doubts...)...), "; "))
	return nil
}

// speed times calls with pictures of the demo video.
func (c modelsMeasureCommand) speed(ctx context.Context, d detect.Detector) (store.Measurement, error) {
	t, err := daemon.MeasureSpeed(ctx, d, c.Calls)
	return store.Measurement{Kind: store.Speed, Samples: t.Samples, P50: t.P50, P95: t.P95, P99: t.P99}, err
}

// accuracy runs the model over a data set.
func (c modelsMeasureCommand) accuracy(ctx context.Context, e *env, data set, d detect.Detector) (store.Measurement, error) {
	dataset, err := openJSON(data.annotations, eval.ReadDataset)
	if err != nil {
		return store.Measurement{}, err
	}
	run := &evalRun{
		evalCommand: evalCommand{Images: data.images, Annotations: data.annotations, Score: leastScore},
		env:         e, dataset: dataset, evaluator: eval.New(dataset), detector: d,
	}
	var start time.Time
	if err := run.all(ctx, &start); err != nil {
		return store.Measurement{}, err
	}
	return run.measurement(data.name)
}

// measurement is what has come out of a run, for keeping.
func (r *evalRun) measurement(name string) (store.Measurement, error) {
	if r.broken > 0 {
		return store.Measurement{}, fmt.Errorf("%d pictures of %s cannot be read: figures of the others are not kept", r.broken, r.Images)
	}
	files, err := r.files()
	if err != nil {
		return store.Measurement{}, err
	}
	digest, err := digestFiles(append([]string{r.Annotations}, files...))
	return store.Measurement{
		Kind: store.Accuracy, Dataset: name, Digest: digest, Pictures: len(r.dataset.Images), Figures: r.evaluator.Summary().Figures(),
	}, err
}

// store runs a version of the data folder and keeps its figures.
func (c evalCommand) store(ctx context.Context, run *evalRun, out evaluation) error {
	ref, err := detect.ParseRef(c.Model)
	if err != nil {
		return usageError{err}
	}
	return withBook(ctx, run.env, &modelsCommand{Data: c.Data}, func(b modelBook) error {
		v, d, err := openOfBook(ctx, run.env, b, ref, c.Data, c.whereFlags)
		if err != nil {
			return err
		}
		defer func() { _ = d.Close() }()
		run.detector = d
		if err := c.finish(ctx, run, out); err != nil {
			return err
		}
		name := c.Dataset
		if name == "" {
			name = setName(c.Annotations)
		}
		m, err := run.measurement(name)
		if err != nil {
			return err
		}
		sign(&m, v, d)
		if err := b.Keep(ctx, m); err != nil {
			return err
		}
		fmt.Fprintf(run.env.stderr, "detectd: kept with %s@%d as data set %q\n", v.Model, v.Version, name)
		return nil
	})
}

// openOfBook opens the version that ref names.
func openOfBook(ctx context.Context, e *env, b modelBook, ref detect.Ref, data string, where whereFlags) (store.ModelVersion, *provider.Detector, error) {
	v, file, err := b.File(ctx, ref)
	if err != nil {
		return v, nil, err
	}
	var contract detect.Contract
	if err := json.Unmarshal(v.Contract, &contract); err != nil {
		return v, nil, fmt.Errorf("read contract of %s@%d: %w", v.Model, v.Version, err)
	}
	choice, err := where.choice(data)
	if err != nil {
		return v, nil, err
	}
	rt, err := b.Runtime()
	if err != nil {
		return v, nil, err
	}
	name := fmt.Sprintf("%s@%d", v.Model, v.Version)
	read := func() ([]byte, error) { return file, nil }
	d, err := provider.Open(ctx, provider.OpenOn(rt, read, model.Options{Contract: &contract}, choice), choice,
		func(s provider.State) { tellProvider(e, name, s) })
	if err != nil {
		return v, nil, fmt.Errorf("%s: %w", name, err)
	}
	tellProvider(e, name, d.State())
	return v, d, nil
}

// set is a folder of pictures with what is in them.
type set struct{ name, annotations, images string }

// findSet finds the annotations and the pictures that --coco and --images name.
func findSet(path, images string) (set, error) {
	info, err := os.Stat(path)
	if err != nil {
		return set{}, err
	}
	s := set{annotations: path, images: images}
	folder := filepath.Dir(path)
	if info.IsDir() {
		folder = path
		var found []string
		for _, pattern := range []string{"*.json", "annotations/*.json"} {
			more, err := filepath.Glob(filepath.Join(escapeGlob(path), pattern))
			if err != nil {
				return set{}, fmt.Errorf("list %s: %w", path, err)
			}
			found = append(found, more...)
		}
		if len(found) != 1 {
			return set{}, fmt.Errorf("%s has %d JSON files of annotations: name the file itself and --images", path, len(found))
		}
		s.annotations = found[0]
	}
	s.name = setName(s.annotations)
	if s.images == "" {
		s.images = folder
		if info, err := os.Stat(filepath.Join(folder, "images")); err == nil && info.IsDir() {
			s.images = filepath.Join(folder, "images")
		}
	}
	return s, nil
}

// setName is what a data set is called where nobody says: its folder, but for one
// that is only called annotations.
func setName(annotations string) string {
	full, err := filepath.Abs(annotations)
	if err != nil {
		return filepath.Base(annotations)
	}
	folder := filepath.Dir(full)
	if filepath.Base(folder) == "annotations" {
		folder = filepath.Dir(folder)
	}
	return filepath.Base(folder)
}

// measuredJSON is how measurements are printed and sent.
type measuredJSON struct {
	Kind     string    `json:"kind"`
	Time     time.Time `json:"time,omitzero"`
	Machine  string    `json:"machine"`
	Provider string    `json:"provider"`
	Dataset  string    `json:"dataset,omitempty"`
	Digest   string    `json:"digest,omitempty"`
	Pictures int       `json:"pictures,omitempty"`
	Figures  []float64 `json:"figures,omitempty"` // COCO's twelve
	Samples  int       `json:"samples,omitempty"`
	P50MS    float64   `json:"p50_ms,omitempty"`
	P95MS    float64   `json:"p95_ms,omitempty"`
	P99MS    float64   `json:"p99_ms,omitempty"`
}

func describeMeasured(list []store.Measurement) []measuredJSON {
	ms := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
	out := make([]measuredJSON, len(list))
	for i, m := range list {
		out[i] = measuredJSON{
			Kind: m.Kind, Time: m.Time, Machine: m.Machine, Provider: m.Provider, Dataset: m.Dataset, Digest: m.Digest, Pictures: m.Pictures,
			Samples: m.Samples, P50MS: ms(m.P50), P95MS: ms(m.P95), P99MS: ms(m.P99),
		}
		if m.Kind == store.Accuracy {
			out[i].Figures = m.Figures[:]
		}
	}
	return out
}

// showMeasured prints measurements for people.
func showMeasured(out io.Writer, list []store.Measurement) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, m := range list {
		what := fmt.Sprintf("speed\tp50 %.1f ms, p95 %.1f ms (%d calls)", m.P50.Seconds()*1000, m.P95.Seconds()*1000, m.Samples)
		if m.Kind == store.Accuracy {
			what = fmt.Sprintf("accuracy\tAP %.3f, AP50 %.3f on %s (%d pictures, %.12s)", m.Figures[0], m.Figures[1], m.Dataset, m.Pictures, m.Digest)
		}
		fmt.Fprintf(w, "%s\t%s, %s\t%s\n", what, m.Provider, m.Machine, m.Time.Local().Format(time.DateTime))
	}
	return w.Flush()
}

// Keep implements modelBook.
func (b *daemonBook) Keep(ctx context.Context, m store.Measurement) error {
	body := describeMeasured([]store.Measurement{m})[0]
	body.Time = time.Time{} // the daemon's
	return b.send(ctx, http.MethodPost, "/models/"+url.PathEscape(m.Model)+"/versions/"+strconv.Itoa(m.Version)+"/measurements", "", body, nil)
}
