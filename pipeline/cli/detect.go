package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/schollz/progressbar/v3"

	"detectd/detect"
	"detectd/pipeline/decode"
	"detectd/pipeline/frame"
	"detectd/pipeline/offline"
	"detectd/pipeline/source/rtsp"
)

type detectCommand struct {
	Inputs []string `arg:"" name:"input" help:"Pictures, videos, folders of them, rtsp:// addresses."`
	Model  string   `default:"default" placeholder:"M" help:"ONNX file, or NAME[@VERSION] of the data folder (${default})."`
	Score  float32  `placeholder:"S" help:"Least score, 0 to 1 (default: the model's)."`
	Every  int      `default:"1" placeholder:"N" help:"Look at every Nth frame (${default})."`
	Limit  int      `placeholder:"N" help:"Stop a stream after N frames."`
	JSON   bool     `name:"json" help:"Print JSON lines also on a terminal."`
	Save   string   `placeholder:"DIR" help:"Write annotated pictures and videos there."`
	Data   string   `default:"data" placeholder:"DIR" help:"Data folder for --model NAME (${default})."`
	whereFlags
}

// Help implements kong.HelpProvider.
func (detectCommand) Help() string {
	return `Prints one JSON line per frame:
{"source":"a.jpg","frame":0,"pts":0.0,"width":640,"height":480,"detections":[
{"label":"person","class_id":0,"score":0.91,"box":[x,y,w,h]}]}
box is in pixels of the source, from its top left corner; class_id counts the
model's labels from 0; pts is in seconds. On a terminal, a short text instead.
An input that cannot be read is told on standard error, the others go on, and
the exit code is 1. Of a video that was cut off, what is there is looked at, which
standard error says; the exit code is 0 when there is a picture in it.`
}

// line is one printed frame.
type line struct {
	Source     string          `json:"source"`
	Frame      int             `json:"frame"`
	PTS        float64         `json:"pts"` // seconds
	Width      int             `json:"width"`
	Height     int             `json:"height"`
	Detections []lineDetection `json:"detections"`
}

type lineDetection struct {
	Label   string     `json:"label"`
	ClassID int        `json:"class_id"`
	Score   float32    `json:"score"`
	Box     [4]float32 `json:"box"` // x, y, width, height
}

func newLine(source string, f offline.Frame) line {
	l := line{
		Source: source, Frame: f.Index, PTS: f.PTS.Seconds(),
		Width: f.Frame.Width(), Height: f.Frame.Height(), Detections: []lineDetection{},
	}
	for _, d := range f.Detections {
		l.Detections = append(l.Detections, lineDetection{
			Label: d.Label, ClassID: d.ClassID, Score: d.Score, Box: [4]float32{d.Box.X, d.Box.Y, d.Box.W, d.Box.H},
		})
	}
	return l
}

// errLimit ends a stream that has given enough.
var errLimit = errors.New("limit reached")

// Run detects in all inputs, one after the other.
func (c detectCommand) Run(ctx context.Context, e *env) error {
	if c.Score < 0 || c.Score > 1 || c.Every < 1 {
		return usageError{errors.New("--score is from 0 to 1, --every from 1")}
	}
	if err := c.check(); err != nil {
		return err
	}
	decode.Quiet()
	inputs, failed := c.expand(e)
	if len(inputs) == 0 {
		return errTold
	}
	rt, err := c.runtime()
	if err != nil {
		return err
	}
	defer func() { _ = rt.Close() }()
	detector, err := openModel(ctx, e, rt, c.Model, c.Data, c.whereFlags)
	if err != nil {
		return err
	}
	defer func() { _ = detector.Close() }()
	if c.Save != "" {
		if err := os.MkdirAll(c.Save, 0o755); err != nil {
			return fmt.Errorf("make folder for results: %w", err)
		}
	}
	run := &detectRun{detectCommand: c, env: e, detector: detector, opts: detect.Options{MinScore: c.Score}}
	defer run.pool.Close()
	names := uniqueNames(inputs)
	for i, input := range inputs {
		if err := run.one(ctx, input, names[i]); err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			fmt.Fprintf(e.stderr, "detectd: %s: %s\n", masked(input), err)
			failed = true
		}
	}
	if failed {
		return errTold
	}
	return nil
}

// expand turns the arguments into files and addresses. What is missing is told,
// the others go on.
func (c detectCommand) expand(e *env) (inputs []string, failed bool) {
	for _, arg := range c.Inputs {
		found, err := offline.Expand([]string{arg})
		if err != nil {
			fmt.Fprintf(e.stderr, "detectd: %s\n", err)
			failed = true
		}
		inputs = append(inputs, found...)
	}
	return inputs, failed
}

// detectRun is one run of the command.
type detectRun struct {
	detectCommand
	env      *env
	detector detect.Detector
	opts     detect.Options
	pool     frame.Pool
}

// one detects in one input and prints what it finds.
func (r *detectRun) one(ctx context.Context, input, name string) (err error) {
	save, err := r.saver(input, name)
	if err != nil {
		return err
	}
	bar := r.progress(input)
	defer func() {
		bar.end()
		err = errors.Join(err, save.close(err == nil))
	}()
	source := masked(input)
	shown := 0
	show := func(f offline.Frame) error {
		bar.step()
		shown++
		if f.Detected {
			if err := r.print(newLine(source, f)); err != nil {
				return err
			}
		}
		return save.frame(f)
	}
	if offline.IsURL(input) && !strings.HasPrefix(input, "file://") {
		return r.stream(ctx, input, show)
	}
	path := strings.TrimPrefix(input, "file://")
	err = offline.File(ctx, offline.Config{Path: path, Every: r.Every, All: r.Save != ""}, r.detector, r.opts, &r.pool, show)
	if missing := offline.Missing(path); missing > 0 && shown > 0 && err == nil {
		fmt.Fprintf(r.env.stderr, "detectd: %s: the file ends early, %d bytes of it are missing; %d pictures of it were looked at\n", source, missing, shown)
	} else if missing > 0 && err != nil {
		return fmt.Errorf("%w; the file ends early, %d bytes of it are missing", err, missing)
	}
	return err
}

func (r *detectRun) stream(ctx context.Context, input string, show func(offline.Frame) error) error {
	clean, user, password, err := rtsp.ParseURL(input)
	if err != nil {
		return err
	}
	source, err := rtsp.New(rtsp.Config{
		URL: clean, Username: user, Password: password, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return err
	}
	shown := 0
	dropped, err := offline.Live(ctx, source, r.Every, r.detector, r.opts, &r.pool, func(f offline.Frame) error {
		err := show(f)
		if shown++; err == nil && shown == r.Limit {
			return errLimit
		}
		return err
	})
	if dropped > 0 {
		fmt.Fprintf(r.env.stderr, "detectd: %s: %d frames came faster than they could be looked at and were left out\n", clean, dropped)
	}
	if errors.Is(err, errLimit) {
		return nil
	}
	return err
}

func (r *detectRun) print(l line) error {
	if r.JSON || !isTerminal(r.env.stdout) {
		return json.NewEncoder(r.env.stdout).Encode(l)
	}
	counts, order := map[string]int{}, []string{}
	for _, d := range l.Detections {
		if counts[d.Label]++; counts[d.Label] == 1 {
			order = append(order, d.Label)
		}
	}
	text := "nothing"
	for i, label := range order {
		if order[i] = label; counts[label] > 1 {
			order[i] = fmt.Sprintf("%s x%d", label, counts[label])
		}
	}
	if len(order) > 0 {
		text = strings.Join(order, ", ")
	}
	_, err := fmt.Fprintf(r.env.stdout, "%s %d (%.2f s): %s\n", l.Source, l.Frame, l.PTS, text)
	return err
}

// progress is a bar on standard error, when a person looks at it and results go
// elsewhere.
type progress struct{ bar *progressbar.ProgressBar }

func (r *detectRun) progress(input string) progress {
	if !isTerminal(r.env.stderr) || isTerminal(r.env.stdout) {
		return progress{}
	}
	total := -1
	if !offline.IsURL(input) {
		if n := offline.Measure(input).Frames; n > 0 {
			total = n
			if r.Save == "" {
				total = (n + r.Every - 1) / r.Every
			}
		}
	}
	return progress{progressbar.NewOptions(total,
		progressbar.OptionSetDescription(filepath.Base(masked(input))),
		progressbar.OptionSetWriter(r.env.stderr), progressbar.OptionShowCount(),
		progressbar.OptionShowIts(), progressbar.OptionSetItsString("frames"), progressbar.OptionClearOnFinish(),
	)}
}

func (p progress) step() {
	if p.bar != nil {
		_ = p.bar.Add(1)
	}
}

func (p progress) end() {
	if p.bar != nil {
		_ = p.bar.Finish()
	}
}

// masked is an input as it may be shown: an address without credentials.
func masked(input string) string {
	if !offline.IsURL(input) {
		return input
	}
	u, err := url.Parse(input)
	if err != nil {
		scheme, _, _ := strings.Cut(input, "://")
		return scheme + "://…"
	}
	u.User = nil
	return u.String()
}

// uniqueNames gives every input a file name for its result, without extension.
func uniqueNames(inputs []string) []string {
	seen := map[string]bool{}
	out := make([]string, len(inputs))
	for i, input := range inputs {
		base := filepath.Base(masked(input))
		base = strings.TrimSuffix(base, filepath.Ext(base))
		name := base
		for n := 2; seen[name]; n++ {
			name = fmt.Sprintf("%s-%d", base, n)
		}
		seen[name] = true
		out[i] = name
	}
	return out
}
