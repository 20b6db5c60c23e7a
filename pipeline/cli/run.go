package cli

import (
	"context"
	"errors"
	"fmt"

	"detectd/pipeline/daemon"
	"detectd/web"
	"detectd/web/api"
)

type runCommand struct {
	Sources []string `arg:"" optional:"" name:"source" help:"Cameras to add: rtsp:// addresses, video files, pictures."`
	Config  string   `placeholder:"FILE" help:"Settings; without it the defaults hold."`
	Data    string   `placeholder:"DIR" help:"Folder of everything detectd keeps (default: data)."`
	Listen  string   `placeholder:"ADDR" help:"Address of the page and the API, loopback only (default: 127.0.0.1:8420)."`
	NoDemo  bool     `help:"Start a new data folder without the demo camera."`
}

// Help implements kong.HelpProvider.
func (runCommand) Help() string {
	return `Prints one line "ready http://…" when the page and the API answer. Cameras are
added, changed and removed on the page or by the API while it runs. Only loopback
addresses are accepted, because access control does not exist yet.`
}

// Run runs the daemon until a signal ends it.
func (c runCommand) Run(ctx context.Context, e *env) error {
	cfg, err := loadConfig(c.Config)
	if err != nil {
		return err
	}
	if c.Data != "" {
		cfg.Data = c.Data
	}
	if c.Listen != "" {
		cfg.Listen = c.Listen
	}
	if c.NoDemo {
		cfg.Demo = false
	}
	if err := web.CheckListen(cfg.Listen); err != nil {
		return usageError{err}
	}
	d, err := daemon.New(ctx, cfg, daemon.Options{
		Sources: c.Sources, Trial: e.trial(cfg.Runtime.Library), Version: e.version, Log: e.logger(cfg.Log.Level, cfg.Log.Format),
	})
	if errors.Is(err, api.ErrInvalid) {
		return usageError{err}
	}
	if err != nil {
		return err
	}
	err = d.Run(ctx, func() { fmt.Fprintln(e.stdout, "ready", d.URL()) })
	return errors.Join(err, d.Close())
}

// loadConfig reads the settings; mistakes in them are usage errors.
func loadConfig(file string) (daemon.Config, error) {
	cfg, err := daemon.LoadConfig(file)
	if err != nil {
		return cfg, usageError{err}
	}
	return cfg, nil
}

type checkConfigCommand struct {
	File string `arg:"" help:"Settings file."`
}

// Run checks a settings file.
func (c checkConfigCommand) Run(e *env) error {
	if _, err := loadConfig(c.File); err != nil {
		return err
	}
	_, err := fmt.Fprintln(e.stdout, c.File, "is valid")
	return err
}

type openapiCommand struct{}

// Run prints the description of the API.
func (openapiCommand) Run(e *env) error {
	spec, err := api.OpenAPI()
	if err == nil {
		_, err = e.stdout.Write(spec)
	}
	return err
}
