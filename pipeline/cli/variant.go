package cli

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"iter"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"detectd/detect"
	"detectd/detect/eval"
	"detectd/detect/model"
	"detectd/detect/quantize"
	"detectd/pipeline/frame"
	"detectd/render/picture"
)

// What the truth of the check is, as quantized.Truth says it.
const (
	annotated = "annotations"
	agreement = "agreement"
)

// truth reads what is in the pictures, or takes what the model finds.
func (q *quantizer) truth(ctx context.Context, parent detect.Detector) (err error) {
	q.out.Truth = annotated
	if q.Annotations != "" {
		q.dataset, err = openJSON(q.Annotations, eval.ReadDataset)
		if err == nil {
			q.out.Images = len(q.dataset.Images)
		}
		return err
	}
	q.out.Truth, q.out.Images = agreement, len(q.files)
	q.dataset = &eval.Dataset{}
	ids := map[string]int64{}
	for i, label := range parent.Contract().Labels {
		if _, twice := ids[label]; !twice {
			ids[label] = int64(i + 1)
			q.dataset.Categories = append(q.dataset.Categories, eval.Category{ID: ids[label], Name: label})
		}
	}
	number := int64(0)
	for f, err := range q.frames(q.files) {
		if err != nil {
			return err
		}
		found, err := parent.Detect(ctx, []*frame.Frame{f}, []detect.Options{{}})
		if err != nil {
			return err
		}
		number++
		q.dataset.Images = append(q.dataset.Images, eval.Image{ID: number, FileName: filepath.Base(q.files[number-1])})
		for _, d := range found[0] {
			box := [4]float64{float64(d.Box.X), float64(d.Box.Y), float64(d.Box.W), float64(d.Box.H)}
			q.dataset.Annotations = append(q.dataset.Annotations, eval.Annotation{
				ID: int64(len(q.dataset.Annotations) + 1), ImageID: number, CategoryID: ids[d.Label], Box: box, Area: box[2] * box[3],
			})
		}
	}
	if len(q.dataset.Annotations) == 0 {
		return fmt.Errorf("%s finds nothing in %s: give pictures of what it is for, or --annotations", q.out.Parent, q.Images)
	}
	return nil
}

// leastScore is the one that detectd eval takes.
const leastScore = 0.001

// precision is the AP of a detector on the pictures of a data set. aloud tells on standard error
// what labels do not fit.
func (q *quantizer) precision(ctx context.Context, d detect.Detector, on *eval.Dataset, aloud bool) (float64, error) {
	e := *q.env
	if !aloud {
		e.stderr = io.Discard
	}
	run := &evalRun{
		evalCommand: evalCommand{Images: q.Images, Annotations: q.Annotations, Score: leastScore},
		env:         &e, dataset: on, evaluator: eval.New(on), detector: d,
	}
	files, err := run.files()
	if err == nil {
		err = run.labels()
	}
	if err == nil {
		err = run.over(ctx, files)
	}
	switch {
	case err != nil:
		return 0, err
	case run.broken > 0:
		return 0, fmt.Errorf("%d pictures of %s cannot be read: take them out", run.broken, q.Images)
	}
	ap := run.evaluator.Summary().Figures()[0]
	if ap < 0 {
		return 0, fmt.Errorf("%s: the annotations hold no object of a class that %s knows", cmp.Or(q.Annotations, q.Images), q.out.Parent)
	}
	return ap, nil
}

// feed runs models of the parent's input over pictures.
func (q *quantizer) feed(files []string) quantize.Feed {
	return func(ctx context.Context, data []byte, tensors []string, use func([][]float32)) error {
		return model.Feed(ctx, q.rt, data, q.contract, tensors, q.frames(files), use)
	}
}

// frames decodes pictures one by one. A frame is valid until the next.
func (q *quantizer) frames(files []string) iter.Seq2[*frame.Frame, error] {
	return func(yield func(*frame.Frame, error) bool) {
		for _, path := range files {
			f, err := openPicture(path, &q.pool)
			more := yield(f, err)
			if err == nil {
				f.Release()
			}
			if !more {
				return
			}
		}
	}
}

func openPicture(path string, pool *frame.Pool) (*frame.Frame, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open picture: %w", err)
	}
	defer func() { _ = file.Close() }()
	f, _, err := picture.Decode(file, picture.Limits{}, pool)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return f, nil
}

// digestFiles is the SHA-256 over the SHA-256 of each file.
func digestFiles(files []string) (string, error) {
	all := sha256.New()
	for _, path := range files {
		data, err := os.ReadFile(path)
		if err != nil {
			return "", fmt.Errorf("read picture: %w", err)
		}
		one := sha256.Sum256(data)
		all.Write(one[:])
	}
	return hex.EncodeToString(all.Sum(nil)), nil
}

// race measures the CPU time of parent and child, picture by picture in turns.
func (q *quantizer) race(ctx context.Context, parent detect.Detector, child []byte) error {
	const (
		pictures = 12
		rounds   = 3 // the first warms up
	)
	detector, err := model.Open(q.rt, child, model.Options{})
	if err != nil {
		return fmt.Errorf("open the quantized model: %w", err)
	}
	defer func() { _ = detector.Close() }()
	runtime.LockOSThread() // sessions have one thread, the caller's
	defer runtime.UnlockOSThread()
	var before, after, ratios []float64
	for f, err := range q.frames(spread(q.files, pictures)) {
		if err != nil {
			return err
		}
		for round := range rounds {
			var took [2]time.Duration
			for i, d := range [...]detect.Detector{parent, detector} {
				began := threadTime()
				if _, err := d.Detect(ctx, []*frame.Frame{f}, []detect.Options{{}}); err != nil {
					return err
				}
				took[i] = threadTime() - began
			}
			if round > 0 {
				before = append(before, took[0].Seconds()*1000)
				after = append(after, took[1].Seconds()*1000)
				ratios = append(ratios, float64(took[1])/math.Max(float64(took[0]), 1))
			}
		}
	}
	q.out.ParentMS, q.out.MS, q.out.Speed = median(before), median(after), median(ratios)
	return nil
}

// threadTime is the CPU time that this thread has used.
func threadTime() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t); err != nil {
		return 0 // every Linux has this clock
	}
	return time.Duration(t.Nano())
}

func median(list []float64) float64 {
	if len(list) == 0 {
		return 0
	}
	slices.Sort(list)
	return list[len(list)/2]
}
