// Package recall measures whether a camera that is left undecoded while nothing
// moves misses anything: scenes whose visitors are known are played, faster than
// in life, to a camera worker with its decoder, gate, tracker and annotator, and
// the annotations are held against the truth. Only the detector is a stand-in: it
// finds the bright figures of the scenes, in whatever picture it is given.
package recall

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"

	"golang.org/x/sync/errgroup"

	"detectd/pipeline"
	"detectd/pipeline/simulate"
)

// Config says what is played.
type Config struct {
	Visits int // per scene; a visit every eight seconds
	Seed   uint64
}

// Result is what was found.
type Result struct {
	Scenes  int
	Events  int // visits
	Found   int // of these, those with an annotation where the visitor is
	Started int // of these, those whose first picture was decoded and that were found within a detection's period
	Units   int
	Decoded int // units, each time that they were
	// Late says which events were not found, or not from their start.
	Late []string
}

const (
	fps    = 25 // of the scenes
	first  = 300
	period = 200 // pictures from one visit to the next, about
)

// kind is a way a camera may see and code what is in front of it.
type kind struct {
	name  string
	spec  simulate.Spec
	scene simulate.Scene
}

// kinds are the cameras: with all that may hide a visitor from the sizes of the
// coded pictures, or look like one.
func kinds() []kind {
	const bits = 600_000
	return []kind{
		{name: "clean"},
		{name: "noise", scene: simulate.Scene{Noise: 4}},
		{name: "much noise", scene: simulate.Scene{Noise: 10}},
		{name: "flicker", scene: simulate.Scene{Noise: 3, Flicker: 6}},
		{name: "leaves", scene: simulate.Scene{Noise: 3, Leaves: 12}},
		{name: "light switched", scene: simulate.Scene{Noise: 3, Step: first + period}},
		{name: "short groups", spec: simulate.Spec{GOP: 13}, scene: simulate.Scene{Noise: 3}},
		{name: "long groups", spec: simulate.Spec{GOP: 100}},
		{name: "B-frames", spec: simulate.Spec{BFrames: 3}},
		{name: "constant rate", spec: simulate.Spec{Bitrate: bits}, scene: simulate.Scene{Noise: 4}},
		{name: "padded rate", spec: simulate.Spec{Bitrate: bits, Padded: true}, scene: simulate.Scene{Noise: 4}},
		{name: "H.265", spec: simulate.Spec{Codec: pipeline.H265}, scene: simulate.Scene{Noise: 4}},
	}
}

// visits are figures of different sizes that come at different moments, for 0.6 to
// 4 s, and walk or stand.
func visits(rng *rand.Rand, n int) []simulate.Visit {
	all := make([]simulate.Visit, n)
	for i := range all {
		from := first + period*i + rng.IntN(60)
		all[i] = simulate.Visit{From: from, To: from + 15 + rng.IntN(85), Width: 20 + rng.IntN(20), Speed: rng.IntN(5)}
	}
	return all
}

// Measure plays all scenes.
func Measure(ctx context.Context, cfg Config) (Result, error) { return measure(ctx, cfg, kinds()) }

func measure(ctx context.Context, cfg Config, all []kind) (sum Result, err error) {
	dir, err := os.MkdirTemp("", "detectd-recall-*")
	if err != nil {
		return sum, fmt.Errorf("make folder: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	results := make([]Result, len(all))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(runtime.GOMAXPROCS(0))
	for i, k := range all {
		g.Go(func() error {
			spec, scene := k.spec, k.scene
			scene.Visits = visits(rand.New(rand.NewPCG(cfg.Seed, uint64(i))), cfg.Visits) //nolint:gosec // scenes, not secrets
			spec.FPS, spec.Frames, spec.Scene = fps, first+period*cfg.Visits+50, &scene
			if spec.GOP == 0 {
				spec.GOP = 2 * fps
			}
			th, err := newTheatre(ctx, filepath.Join(dir, fmt.Sprintf("%d.mkv", i)), spec)
			if err != nil {
				return err
			}
			if err := th.play(ctx, rand.New(rand.NewPCG(cfg.Seed, 1000+uint64(i)))); err != nil { //nolint:gosec // audits need no secret
				return fmt.Errorf("play scene %q: %w", k.name, err)
			}
			results[i] = th.judge(k.name)
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return sum, err
	}
	for _, r := range results {
		sum.Scenes += r.Scenes
		sum.Events += r.Events
		sum.Found += r.Found
		sum.Started += r.Started
		sum.Units += r.Units
		sum.Decoded += r.Decoded
		sum.Late = append(sum.Late, r.Late...)
	}
	return sum, nil
}
