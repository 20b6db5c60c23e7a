package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"detectd/detect/ort"
	"detectd/pipeline/bench"
	"detectd/pipeline/bench/peer"
	"detectd/pipeline/daemon"
	"detectd/pipeline/decode"
)

type benchCommand struct {
	Video   string        `arg:"" optional:"" type:"existingfile" help:"Video that the simulated cameras show (default: a painted street, 1080p30 H.264 of 4 Mb/s)."`
	Cameras int           `default:"4" placeholder:"N" help:"Simulated cameras where a figure does not say how many (${default})."`
	Hz      float64       `name:"hz" default:"5" placeholder:"N" help:"Detections per second and camera (${default})."`
	Only    []string      `placeholder:"LIST" help:"Only these, with commas: C1 to C9, G2, G4, capacity."`
	Rounds  int           `placeholder:"N" help:"Floors, peer and daemon take turns this often (default: 5, short 1)."`
	Measure time.Duration `placeholder:"D" help:"How long each run is measured (default: 20s, short 5s)."`
	Memory  time.Duration `placeholder:"D" help:"How long the memory of an overloaded daemon is watched (default: 5m, short 15s)."`
	Library string        `type:"existingfile" placeholder:"FILE" help:"Another libonnxruntime, such as that of make gpu: for G2 to G4."`
	Short   bool          `help:"A few minutes instead of most of an hour; the figures are rough."`
	JSON    bool          `name:"json" help:"Print JSON."`
}

// Help implements kong.HelpProvider.
func (benchCommand) Help() string {
	return `Runs detectd on simulated cameras, each in a process of its own, by turns with a bare
decoding loop (F1), a bare inference loop (F2) and the way most systems are built (an
ffmpeg process per camera, OpenCV, ONNX Runtime as it comes), and prints the ratios
C1 to C9 that docs/performance.md explains, each with its bar, and how many such cameras
this machine can carry and why not more. G2 to G4 are the same of an NVIDIA GPU, where
--library has CUDA; elsewhere the table says why they were not measured. A missed bar is a FAIL in the table, not an
error. Keep the machine idle meanwhile. Video that is not H.264, H.265 or MJPEG is
converted by the simulator, so give H.264 for fair floors.`
}

// config is what to measure, with the defaults of the form.
func (c benchCommand) config() (bench.Config, error) {
	cfg := bench.Config{
		Video: c.Video, Cameras: c.Cameras, Hz: c.Hz, Only: c.Only, Rounds: 5, Measure: 20 * time.Second, Overload: 5 * time.Minute, Short: c.Short,
	}
	if c.Short {
		cfg.Rounds, cfg.Measure, cfg.Overload = 1, 5*time.Second, 15*time.Second
	}
	if c.Rounds != 0 {
		cfg.Rounds = c.Rounds
	}
	if c.Measure != 0 {
		cfg.Measure = c.Measure
	}
	if c.Memory != 0 {
		cfg.Overload = c.Memory
	}
	if cfg.Cameras < 1 || cfg.Rounds < 1 || cfg.Measure < time.Second {
		return cfg, usageError{errors.New("--cameras and --rounds are from 1, --measure from 1s")}
	}
	if cfg.Overload < time.Second {
		return cfg, usageError{errors.New("--memory is from 1s")}
	}
	if cfg.Hz < 0.1 || cfg.Hz > 60 {
		return cfg, usageError{errors.New("--hz is from 0.1 to 60")}
	}
	for _, name := range cfg.Only {
		if !slices.Contains(bench.Names(), name) {
			return cfg, usageError{fmt.Errorf("--only: there is no figure %q (choose of %s)", name, strings.Join(bench.Names(), ", "))}
		}
	}
	return cfg, nil
}

// Run measures and prints.
func (c benchCommand) Run(ctx context.Context, e *env) error {
	cfg, err := c.config()
	if err != nil {
		return err
	}
	decode.Quiet()
	cfg.Version = e.version
	if cfg.Library, err = ort.FindLibrary(c.Library); err != nil {
		return err
	}
	if cfg.Model, err = daemon.DefaultModelFile(); err != nil {
		return err
	}
	if cfg.Demo, err = daemon.DemoVideoFile(); err != nil {
		return err
	}
	report, err := bench.Run(ctx, cfg, func(step string) {
		if isTerminal(e.stderr) {
			fmt.Fprintf(e.stderr, "measuring: %s\n", step)
		}
	})
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(e.stdout, report)
	}
	return report.Write(e.stdout)
}

// benchPeerCommand is what C2 measures detectd against, in a process of its own.
type benchPeerCommand struct {
	URLs   []string `arg:"" name:"url" help:"Cameras."`
	Width  int      `required:"" help:"Of their pictures."`
	Height int      `required:"" help:"Of their pictures."`
	FPS    float64  `name:"fps" required:"" help:"Of the cameras."`
	Hz     float64  `required:"" help:"Detections per second and camera."`
}

// Run detects until a signal ends it, and answers each line with its counts.
func (c benchPeerCommand) Run(ctx context.Context, e *env) error {
	library, err := ort.FindLibrary("")
	if err != nil {
		return err
	}
	model, err := daemon.DefaultModelFile()
	if err != nil {
		return err
	}
	return peer.Run(ctx, peer.Config{
		URLs: c.URLs, Width: c.Width, Height: c.Height, FPS: c.FPS, DetectFPS: c.Hz, Library: library, Model: model,
	}, e.stdin, e.stdout)
}
