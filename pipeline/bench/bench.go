// Package bench measures this machine and this build against what cannot be done
// without: how much detectd adds to bare decoding and bare inference, how it
// compares with the way most systems are built, and how many cameras fit.
//
// docs/performance.md says what each figure means. Ratios are taken in one run in
// which floors, peer and daemon take turns. Nothing here knows what a figure is
// hoped to be: bars only mark what was measured.
package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"time"

	"gocv.io/x/gocv"

	"detectd/pipeline/bench/proc"
	"detectd/pipeline/decode"
)

// Config says what to measure.
type Config struct {
	Video   string // shown by the cameras; "" makes a scene of 1080p30 H.264, 4 Mb/s, with noise
	Demo    string // video with real people, on which peer and detectd must agree
	Model   string // ONNX file: the default model, as the daemon runs it
	Library string // ONNX Runtime
	Cameras int
	Hz      float64       // detections per second and camera
	Only    []string      // figures, as Names lists them; empty: all
	Rounds  int           // floors, peer and daemon take turns this many times
	Measure time.Duration // of each run
	// Overload is how long the memory of an overloaded daemon is watched.
	Overload time.Duration
	Short    bool // a short form: few scenes for the recall of events
	Version  string
}

// Names are the figures that can be chosen.
func Names() []string {
	all := figures()
	names := make([]string, 0, len(all))
	for _, f := range all {
		names = append(names, f.name)
	}
	return names
}

// figure is a group of metrics that are measured together.
type figure struct {
	name string
	// run measures once. round counts from 0.
	run func(l *lab, ctx context.Context, round int) error
}

// figures is the table of what is measured in each round, in this order.
func figures() []figure {
	return []figure{
		{"C1", (*lab).tax},
		{"C2", (*lab).peer},
		{"C3", (*lab).pool},
		{"C4", (*lab).leverage},
		{"C5", (*lab).scale},
		{"C6", (*lab).tail},
		{"C7", (*lab).overload},
		{"C8", (*lab).static},
		{"C9", (*lab).idle},
		{"G2", (*lab).gpuPool},
		{"G4", (*lab).gpuStreams},
		{"capacity", (*lab).capacity},
	}
}

// Run measures. step is told what is being done.
func Run(ctx context.Context, cfg Config, step func(string)) (r Report, err error) {
	for _, name := range cfg.Only {
		if !slices.Contains(Names(), name) {
			return r, fmt.Errorf("there is no figure %q: choose of %v", name, Names())
		}
	}
	dir, err := os.MkdirTemp("", "detectd-bench-*")
	if err != nil {
		return r, fmt.Errorf("make folder: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	l := &lab{cfg: cfg, dir: dir, step: step, samples: map[string][]float64{}, missing: map[string]string{}, notes: map[string]string{}, failed: map[string]bool{}}
	chosen := slices.DeleteFunc(figures(), func(f figure) bool {
		return len(cfg.Only) > 0 && !slices.Contains(cfg.Only, f.name)
	})
	for round := range cfg.Rounds {
		if err := l.floors(ctx); err != nil {
			return r, err
		}
		for _, f := range chosen {
			l.step(fmt.Sprintf("round %d of %d: %s", round+1, cfg.Rounds, f.name))
			if l.failed[f.name] {
				continue
			}
			if err := f.run(l, ctx, round); err != nil {
				if ctx.Err() != nil {
					return r, ctx.Err()
				}
				l.fail(f.name, round, err) // the others are still worth having
			}
		}
	}
	r = Report{
		Machine: Machine{
			Machine: proc.ThisMachine(), LibAV: decode.Version(), ONNXRuntime: l.runtime, OpenCV: gocv.OpenCVVersion(),
			Go: runtime.Version(), Detectd: cfg.Version,
		},
		Settings: Settings{
			Video: l.title(), Cameras: cfg.Cameras, Hz: cfg.Hz, Rounds: cfg.Rounds, MeasureSeconds: cfg.Measure.Seconds(), Short: cfg.Short,
		},
		Metrics:  l.metrics(),
		Capacity: l.answer,
	}
	return r, nil
}
