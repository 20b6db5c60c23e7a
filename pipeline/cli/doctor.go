package cli

import (
	"context"
	"runtime"

	"detectd/pipeline/daemon"
	"detectd/pipeline/doctor"
)

type doctorCommand struct {
	Config  string `placeholder:"FILE" help:"Settings; without it the defaults hold."`
	Data    string `placeholder:"DIR" help:"Data folder (default: that of the settings)."`
	Listen  string `placeholder:"ADDR" help:"Address of the page (default: that of the settings)."`
	Library string `placeholder:"FILE" help:"libonnxruntime to look at (default: that of the settings)."`
	JSON    bool   `name:"json" help:"Print JSON."`
}

// Help implements kong.HelpProvider.
func (doctorCommand) Help() string {
	return `Looks at the processor, memory and disk, at libav, ONNX Runtime and its execution
providers (each is tried), NVIDIA's driver, the page's address and the clock. Every
line is ok, a warning or a problem, with what to do about it. Exit code 0 when
detectd can run here, 1 when it cannot. --json prints
{"can_run":true,"lines":[{"group":"machine","name":"cores","level":"ok",
"text":"2 usable","hint":""},…]}.`
}

// Run examines the machine.
func (c doctorCommand) Run(ctx context.Context, e *env) error {
	cfg, err := loadConfig(c.Config)
	if err != nil {
		return err
	}
	for value, key := range map[*string]*string{&c.Data: &cfg.Data, &c.Listen: &cfg.Listen, &c.Library: &cfg.Runtime.Library} {
		if *value != "" {
			*key = *value
		}
	}
	workers := cfg.Detect.Workers
	if workers == 0 {
		workers = runtime.GOMAXPROCS(0)
	}
	choice, err := cfg.Detect.Providers(cfg.Data, workers)
	if err != nil {
		return err
	}
	report := doctor.Examine(ctx, doctor.Config{
		Data: cfg.Data, Listen: cfg.Listen, Library: cfg.Runtime.Library, Choice: choice, Workers: workers, Model: daemon.DefaultModelFile,
		Hardware: cfg.Decode.Hardware,
	})
	if c.JSON {
		err = printJSON(e.stdout, report)
	} else {
		err = report.Write(e.stdout)
	}
	if err == nil && !report.CanRun {
		err = errTold
	}
	return err
}
