package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"detectd/detect"
	"detectd/detect/eval"
	"detectd/detect/model"
	"detectd/detect/ort"
	"detectd/detect/quantize"
	"detectd/pipeline/frame"
	"detectd/pipeline/registry"
	"detectd/store"
)

type modelsQuantizeCommand struct {
	Model       string  `arg:"" help:"NAME, or NAME@VERSION."`
	To          string  `required:"" enum:"fp16,int8" placeholder:"KIND" help:"fp16 or int8."`
	Images      string  `required:"" placeholder:"DIR" help:"Folder of pictures like those that the model will see: for calibration and for the check."`
	Annotations string  `placeholder:"FILE" help:"What is in the pictures, COCO's instances JSON (default: what the model itself finds)."`
	MaxLoss     float64 `default:"1.0" placeholder:"P" help:"Points of AP that may be lost (${default})."`
	Calibration string  `default:"percentile" enum:"minmax,percentile,mse" placeholder:"RULE" help:"int8: how ranges are chosen, minmax, percentile or mse (${default})."`
	Pictures    int     `default:"64" placeholder:"N" help:"int8: most pictures to calibrate with (${default})."`
	HeldOut     bool    `help:"Calibrate, and choose what stays in floats, with every second picture, and judge with the others only."`
	SevenBits   bool    `help:"int8: weights of 7 bits, for processors without VNNI."`
	HalfInput   bool    `help:"fp16: the model takes 16-bit floats too."`
	JSON        bool    `name:"json" help:"Print JSON."`
}

// Help implements kong.HelpProvider.
func (modelsQuantizeCommand) Help() string {
	return `Adds a smaller version of a model: with 16-bit floats, or with 8-bit integers
(QDQ, weights per channel, ranges calibrated on the pictures). The average
precision of both is measured on the pictures first. When more than --max-loss
points of it are lost, operators that lose most are put back to floats; when that
does not help, the command ends with an error and nothing is added.
Without --annotations what the model itself finds counts as the truth, and the
figure says how far the new version agrees with it, not how good it is.
With --held-out the figure comes from pictures that the new version was not made
with; both halves have to keep to --max-loss.`
}

// quantized is what the command prints as JSON.
type quantized struct {
	Model       string  `json:"model"`   // NAME@VERSION
	Existed     bool    `json:"existed"` // before: the same command made it already
	Parent      string  `json:"parent"`  // NAME@VERSION
	Method      string  `json:"method"`
	Truth       string  `json:"truth"`    // annotations or agreement
	Images      int     `json:"images"`   // that judged
	HeldOut     bool    `json:"held_out"` // and did nothing else
	ParentAP    float64 `json:"parent_ap"`
	AP          float64 `json:"ap"`
	Loss        float64 `json:"loss_points"`
	Floats      int     `json:"kept_in_floats"` // operators with weights
	ParentBytes int     `json:"parent_bytes"`
	Bytes       int     `json:"bytes"`
	ParentMS    float64 `json:"parent_cpu_ms"` // of one picture, one thread
	MS          float64 `json:"cpu_ms"`
	Speed       float64 `json:"time_ratio"` // median of MS/ParentMS
}

// Run makes a variant, checks it, and adds it.
func (c modelsQuantizeCommand) Run(ctx context.Context, e *env, parent *modelsCommand) error {
	ref, err := detect.ParseRef(c.Model)
	if err == nil && (c.MaxLoss < 0 || math.IsNaN(c.MaxLoss) || c.Pictures < 1) {
		err = errors.New("--max-loss is 0 or more, --pictures 1 or more")
	}
	if err != nil {
		return usageError{err}
	}
	return withBook(ctx, e, parent, func(b modelBook) error {
		v, data, err := b.File(ctx, ref)
		if err != nil {
			return err
		}
		rt, err := b.Runtime()
		if err != nil {
			return err
		}
		q := &quantizer{modelsQuantizeCommand: c, env: e, rt: rt, data: data}
		defer q.pool.Close()
		if err := json.Unmarshal(v.Contract, &q.contract); err != nil {
			return fmt.Errorf("read contract of %s@%d: %w", v.Model, v.Version, err)
		}
		q.out.Parent, q.out.ParentBytes = fmt.Sprintf("%s@%d", v.Model, v.Version), len(data)
		child, err := q.make(ctx, v)
		if errors.Is(err, quantize.ErrUnsuitable) {
			return fmt.Errorf("%s: %w%s", q.out.Parent, err, origin(v))
		}
		if err != nil {
			return err
		}
		added, err := b.Add(ctx, registry.New{
			Name: v.Model, Licence: v.Licence, Source: q.out.Method + " of " + q.out.Parent,
		}, strings.NewReader(string(child)))
		q.out.Existed = errors.Is(err, store.ErrExists)
		if err != nil && !q.out.Existed {
			return err
		}
		q.out.Model = fmt.Sprintf("%s@%d", added.Model, added.Version)
		return q.print()
	})
}

// origin names the version that a smaller one was made from, which whoever named
// no version most likely means; "" for others.
func origin(v store.ModelVersion) string {
	var l detect.Lineage
	if len(v.Lineage) == 0 || json.Unmarshal(v.Lineage, &l) != nil || l.Parent == "" {
		return ""
	}
	return ", " + l.Parent
}

// quantizer is a run of the command.
type quantizer struct {
	modelsQuantizeCommand
	env      *env
	rt       *ort.Runtime
	data     []byte // the parent's file
	contract detect.Contract
	pool     frame.Pool
	files    []string // of the pictures to calibrate with
	dataset  *eval.Dataset
	choice   *eval.Dataset // of the pictures to calibrate with; nil: the same
	choiceAP float64       // of the parent
	out      quantized
}

// make returns the file of a variant that loses no more than allowed.
func (q *quantizer) make(ctx context.Context, v store.ModelVersion) ([]byte, error) {
	var err error
	if q.files, err = pictureFiles(q.Images); err != nil {
		return nil, err
	}
	parent, err := model.Open(q.rt, q.data, model.Options{Contract: &q.contract})
	if err != nil {
		return nil, err
	}
	defer func() { _ = parent.Close() }()
	if err := q.truth(ctx, parent); err != nil {
		return nil, err
	}
	if q.HeldOut {
		if err := q.holdOut(); err != nil {
			return nil, err
		}
		if q.choiceAP, err = q.precision(ctx, parent, q.choice, false); err != nil {
			return nil, err
		}
	}
	if q.out.ParentAP, err = q.precision(ctx, parent, q.dataset, true); err != nil {
		return nil, err
	}
	lineage := detect.Lineage{Parent: q.out.Parent, ParentSHA256: v.SHA256, Method: q.To}
	var child []byte
	if q.To == "fp16" {
		child, err = quantize.Float16(q.data, q.HalfInput)
		if err == nil {
			child, err = q.try(ctx, child, lineage)
		}
	} else {
		child, err = q.int8(ctx, lineage)
	}
	if err != nil {
		return nil, err
	}
	q.out.Method = cmp.Or(q.out.Method, q.To)
	return child, q.race(ctx, parent, child)
}

// int8 quantizes, and puts operators back to floats while too much is lost.
func (q *quantizer) int8(ctx context.Context, lineage detect.Lineage) ([]byte, error) {
	chosen := spread(q.files, q.Pictures)
	digest, err := digestFiles(chosen)
	if err != nil {
		return nil, err
	}
	lineage.Calibration, lineage.Pictures = digest, len(chosen)
	plan, err := quantize.NewInt8(ctx, q.data, quantize.Int8Options{
		Calibration: quantize.Calibration(q.Calibration), SevenBits: q.SevenBits,
	}, q.feed(chosen))
	if err != nil {
		return nil, err
	}
	const sample = 4 // pictures are enough to tell which operators lose most
	nodes := plan.Nodes()
	var order []string
	for _, part := range [...]int{0, 16, 8, 4, 2} {
		q.out.Floats = 0
		if part > 0 {
			if order == nil {
				fmt.Fprintf(q.env.stderr, "detectd: %.1f points of AP are lost, looking for the operators that lose most\n", q.out.Loss)
				if order, err = plan.Sensitive(ctx, q.feed(spread(chosen, sample))); err != nil {
					return nil, err
				}
			}
			q.out.Floats = (len(nodes) + part - 1) / part
		}
		child, err := plan.Model(order[:q.out.Floats])
		if err != nil {
			return nil, err
		}
		bits := 8
		if q.SevenBits {
			bits = 7
		}
		lineage.Method = fmt.Sprintf("int8 (%s, weights of %d bits, %d of %d operators in floats)", q.Calibration, bits, q.out.Floats, len(nodes))
		q.out.Method = lineage.Method
		child, err = q.try(ctx, child, lineage)
		if !errors.Is(err, errLoss) || part == 2 {
			return child, err
		}
	}
	return nil, errLoss
}

// errLoss is returned for a variant that is too inaccurate.
var errLoss = errors.New("too much accuracy is lost, nothing was added")

// try seals a variant and measures it.
func (q *quantizer) try(ctx context.Context, child []byte, lineage detect.Lineage) ([]byte, error) {
	contract := q.contract
	if q.HalfInput && q.To == "fp16" {
		contract.Input.Type = detect.Float16
	}
	child, err := model.Seal(child, contract, lineage)
	if err != nil {
		return nil, err
	}
	q.out.Bytes = len(child)
	detector, err := model.Open(q.rt, child, model.Options{})
	if err != nil {
		return nil, fmt.Errorf("open the quantized model: %w", err)
	}
	defer func() { _ = detector.Close() }()
	if q.choice != nil {
		ap, err := q.precision(ctx, detector, q.choice, false)
		if err != nil {
			return nil, err
		}
		if err := q.allow(q.choiceAP, ap); err != nil {
			return nil, fmt.Errorf("%w on the pictures to calibrate with", err)
		}
	}
	if q.out.AP, err = q.precision(ctx, detector, q.dataset, false); err != nil {
		return nil, err
	}
	return child, q.allow(q.out.ParentAP, q.out.AP)
}

// allow refuses a loss that is too large.
func (q *quantizer) allow(before, after float64) error {
	q.out.Loss = 100 * (before - after)
	if q.out.Loss > q.MaxLoss {
		return fmt.Errorf("%w: AP falls from %.3f to %.3f, by %.2f points (--max-loss %g)",
			errLoss, before, after, q.out.Loss, q.MaxLoss)
	}
	return nil
}

// print writes what was done, as JSON or for people.
func (q *quantizer) print() error {
	if q.JSON {
		return json.NewEncoder(q.env.stdout).Encode(q.out)
	}
	o := &q.out
	truth := "on the annotations"
	if o.Truth == agreement {
		truth = "against what " + o.Parent + " finds itself (agreement, not accuracy)"
	}
	apart := ""
	if o.HeldOut {
		apart = " held out"
	}
	head, change := "added "+o.Model, fmt.Sprintf("%.2f points lost", o.Loss)
	if o.Existed {
		head = "nothing to add, this is " + o.Model + " already"
	}
	if o.Loss < 0 {
		change = fmt.Sprintf("%.2f points gained", -o.Loss)
	}
	_, err := fmt.Fprintf(q.env.stdout, "%s: %s of %s\n"+
		"  AP %.3f, before %.3f: %s, %s, %d pictures%s\n"+
		"  size %.1f MB, before %.1f MB\n"+
		"  time %.1f ms of CPU a picture, before %.1f ms: x%.2f\n",
		head, o.Method, o.Parent, o.AP, o.ParentAP, change, truth, o.Images, apart,
		float64(o.Bytes)/1e6, float64(o.ParentBytes)/1e6, o.MS, o.ParentMS, o.Speed)
	if o.Speed > 1 {
		fmt.Fprintf(q.env.stderr, "detectd: warning: %s is slower than %s on this machine's CPU (x%.2f): run it where the hardware computes with %s\n",
			o.Model, o.Parent, o.Speed, q.To)
	}
	return err
}

// spread takes at most n items, evenly.
func spread(list []string, n int) []string {
	if len(list) <= n {
		return list
	}
	out := make([]string, n)
	for i := range out {
		out[i] = list[i*len(list)/n]
	}
	return out
}

// pictureFiles lists the pictures of a folder by name.
func pictureFiles(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("--images %s: there is no such folder", dir)
	case errors.Is(err, unix.ENOTDIR):
		return nil, fmt.Errorf("--images %s: this is not a folder", dir)
	case err != nil:
		return nil, fmt.Errorf("--images: %w", err)
	}
	var files []string
	for _, entry := range entries {
		switch strings.ToLower(filepath.Ext(entry.Name())) {
		case ".jpg", ".jpeg", ".png", ".webp", ".bmp":
			if !entry.IsDir() {
				files = append(files, filepath.Join(dir, entry.Name()))
			}
		}
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("%s: there is no picture in this folder (JPEG, PNG, WebP or BMP)", dir)
	}
	return files, nil
}

// escapeGlob makes a path match itself only.
func escapeGlob(path string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(path)
}
