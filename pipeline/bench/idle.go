package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"detectd/pipeline/simulate"
)

// IdleConfig says what RunIdle measures.
type IdleConfig struct {
	Video   string        // shown by the cameras; "" paints a static scene of 1080p30 with some noise
	Noise   int           // of the painted scene, levels of luma
	Cameras int           // 0 takes 4
	Warm    time.Duration // before measuring: a camera learns for some seconds; 0 takes 40 s
	Measure time.Duration // 0 takes 60 s
}

// IdleLoad is what a daemon did during a measurement.
type IdleLoad struct {
	CPU, Wall  time.Duration
	Units      uint64 // pictures received
	Frames     uint64 // pictures decoded
	IdleFrames uint64 // pictures left undecoded
	Inferences uint64
	Audits     uint64
	Misses     uint64
	Activity   map[string]int // cameras by their state at the end
}

// IdleReport is the outcome: C9 with detect.idle at auto, and beside it the same
// with off. Ratios are of the CPU time over that of decoding every picture in a
// bare loop (F1). The bars of perf are 0.40 for C9 and 1.10 for C8.
type IdleReport struct {
	F1        time.Duration
	Auto, Off IdleLoad
	C9        float64
	OffRatio  float64
}

// RunIdle measures what cameras cost in front of which nothing happens. That no
// event is missed is for the tests of pipeline/camera to show.
func RunIdle(ctx context.Context, cfg IdleConfig, step func(string)) (r IdleReport, err error) {
	if cfg.Cameras == 0 {
		cfg.Cameras = 4
	}
	if cfg.Warm == 0 {
		cfg.Warm = 40 * time.Second
	}
	if cfg.Measure == 0 {
		cfg.Measure = time.Minute
	}
	dir, err := os.MkdirTemp("", "detectd-bench-*")
	if err != nil {
		return r, fmt.Errorf("make folder: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if cfg.Video == "" {
		step("painting a static scene")
		cfg.Video = filepath.Join(dir, "static.mp4")
		if err := simulate.Generate(cfg.Video, simulate.Spec{
			Width: 1920, Height: 1080, FPS: 30, GOP: 60, Frames: 1200, Scene: &simulate.Scene{Noise: cfg.Noise},
		}); err != nil {
			return r, err
		}
	}
	step("decoding floor")
	if r.F1, err = DecodeFloor(cfg.Video); err != nil {
		return r, err
	}
	for idle, load := range map[string]*IdleLoad{"auto": &r.Auto, "off": &r.Off} {
		step("daemon with detect.idle " + idle)
		if *load, err = runIdleDaemon(ctx, cfg, dir, idle); err != nil {
			return r, err
		}
	}
	ratio := func(l IdleLoad) float64 { return float64(l.CPU) / (float64(l.Units) * float64(r.F1)) }
	r.C9, r.OffRatio = ratio(r.Auto), ratio(r.Off)
	return r, nil
}

func runIdleDaemon(ctx context.Context, cfg IdleConfig, dir, idle string) (l IdleLoad, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	simulator, err := start(ctx, append([]string{"simulate", "--listen", "127.0.0.1:0"}, slices.Repeat([]string{cfg.Video}, cfg.Cameras)...)...)
	if err != nil {
		return l, err
	}
	defer simulator.stop()
	settings := filepath.Join(dir, idle+".yaml")
	if err := os.WriteFile(settings, []byte("detect:\n  idle: "+idle+"\n"), 0o600); err != nil {
		return l, fmt.Errorf("write settings: %w", err)
	}
	args := []string{"run", "--no-demo", "--config", settings, "--data", filepath.Join(dir, idle), "--listen", "127.0.0.1:0"}
	for range cfg.Cameras {
		url, err := simulator.line()
		if err != nil {
			return l, err
		}
		args = append(args, url)
	}
	daemon, err := start(ctx, args...)
	if err != nil {
		return l, err
	}
	defer daemon.stop()
	ready, err := daemon.line()
	if err != nil {
		return l, err
	}
	base := strings.TrimPrefix(ready, "ready ")
	if err := pause(ctx, cfg.Warm); err != nil {
		return l, err
	}
	before, err := sampleIdle(ctx, daemon, base)
	if err != nil {
		return l, err
	}
	if err := pause(ctx, cfg.Measure); err != nil {
		return l, err
	}
	after, err := sampleIdle(ctx, daemon, base)
	if err != nil {
		return l, err
	}
	after.CPU -= before.CPU
	after.Wall -= before.Wall
	after.Units -= before.Units
	after.Frames -= before.Frames
	after.IdleFrames -= before.IdleFrames
	after.Inferences -= before.Inferences
	return after, nil
}

// sampleIdle reads counters; Wall is the moment.
func sampleIdle(ctx context.Context, daemon *child, base string) (l IdleLoad, err error) {
	var answer struct {
		Items []struct {
			Status struct {
				State      string `json:"state"`
				Units      uint64 `json:"units"`
				Frames     uint64 `json:"frames"`
				IdleFrames uint64 `json:"idle_frames"`
				Inferences uint64 `json:"inferences"`
				Activity   string `json:"activity"`
				Audits     uint64 `json:"idle_audits"`
				Misses     uint64 `json:"idle_misses"`
			} `json:"status"`
		} `json:"items"`
	}
	if err := get(ctx, base+"api/v1/cameras", &answer); err != nil {
		return l, err
	}
	l.Wall, l.Activity = time.Duration(time.Now().UnixNano()), map[string]int{}
	for _, c := range answer.Items {
		if c.Status.State != "running" {
			return l, fmt.Errorf("a simulated camera is %s", c.Status.State)
		}
		l.Units += c.Status.Units
		l.Frames += c.Status.Frames
		l.IdleFrames += c.Status.IdleFrames
		l.Inferences += c.Status.Inferences
		l.Audits += c.Status.Audits
		l.Misses += c.Status.Misses
		l.Activity[c.Status.Activity]++
	}
	l.CPU, _, err = daemon.usage()
	return l, err
}
