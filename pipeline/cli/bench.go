package cli

import (
	"context"
	"errors"
	"fmt"
	"text/tabwriter"
	"time"

	"detectd/detect/ort"
	"detectd/pipeline/bench"
	"detectd/pipeline/daemon"
	"detectd/pipeline/decode"
)

type benchCommand struct {
	Video   string        `arg:"" optional:"" type:"existingfile" help:"Video that the simulated cameras show (default: the demo video)."`
	Cameras int           `default:"4" placeholder:"N" help:"Simulated cameras (${default})."`
	Rounds  int           `default:"3" placeholder:"N" help:"Floors and daemon take turns this often (${default})."`
	Measure time.Duration `default:"20s" placeholder:"D" help:"How long the daemon is measured in each round (${default})."`
	JSON    bool          `name:"json" help:"Print JSON."`
}

// Help implements kong.HelpProvider.
func (benchCommand) Help() string {
	return `Runs detectd on simulated cameras, each in a process of its own, by turns with a bare
decoding loop and a bare inference loop on the same video and model. C1 is the CPU
time of detectd over that of its parts; the other ratios of docs/performance.md are
not measured by this version. Video that is not H.264, H.265 or MJPEG is converted
by the simulator, so give H.264 for a fair floor.`
}

// Run measures and prints.
func (c benchCommand) Run(ctx context.Context, e *env) error {
	if c.Cameras < 1 || c.Rounds < 1 || c.Measure < time.Second {
		return usageError{errors.New("--cameras and --rounds are from 1, --measure from 1s")}
	}
	decode.Quiet()
	library, err := ort.FindLibrary("")
	if err != nil {
		return err
	}
	model, err := daemon.DefaultModelFile()
	if err != nil {
		return err
	}
	if c.Video == "" {
		if c.Video, err = daemon.DemoVideoFile(); err != nil {
			return err
		}
	}
	report, err := bench.Run(ctx, bench.Config{
		Video: c.Video, Model: model, Library: library, Cameras: c.Cameras, Rounds: c.Rounds, Measure: c.Measure,
	}, func(step string) {
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
	w := tabwriter.NewWriter(e.stdout, 0, 0, 2, ' ', 0)
	for _, m := range report.Metrics {
		bar := ""
		if m.Pass != nil {
			bar = fmt.Sprintf("bar %g: %s", m.Bar, map[bool]string{true: "pass", false: "fail"}[*m.Pass])
		}
		fmt.Fprintf(w, "%s\t%.3g %s\t%s\t%s\t%.3g\n", m.ID, m.Value, m.Unit, m.Name, bar, m.Samples)
	}
	return w.Flush()
}
