package cli

import (
	"context"
	"fmt"
	"path/filepath"

	"detectd/detect/model"
	"detectd/detect/ort"
	"detectd/detect/provider"
	"detectd/pipeline/daemon"
)

// whereFlags say on what a one-shot command runs its model.
type whereFlags struct {
	Library  string `placeholder:"FILE" help:"libonnxruntime of your own (default: the one installed with detectd)."`
	Provider string `default:"auto" placeholder:"P" help:"auto, cpu, cuda, tensorrt, openvino, or several with commas (${default})."`
	Device   int    `default:"0" placeholder:"N" help:"Number of the GPU (${default})."`
}

// choice is what the flags ask for. One call runs at a time.
func (f whereFlags) choice(data string) (provider.Choice, error) {
	choice, err := daemon.DetectConfig{Provider: f.Provider, Device: f.Device}.Providers(data, 1)
	if err != nil {
		return choice, usageError{err}
	}
	return choice, nil
}

// check refuses what cannot be meant, before any work.
func (f whereFlags) check() error {
	if _, err := provider.Parse(f.Provider); err != nil {
		return usageError{fmt.Errorf("--provider: %w", err)}
	}
	return nil
}

func (f whereFlags) runtime() (*ort.Runtime, error) {
	library, err := ort.FindLibrary(f.Library)
	if err != nil {
		return nil, err
	}
	return ort.Open(library)
}

// tellProvider says on standard error when a model does not run on what was asked for.
func tellProvider(e *env, name string, s provider.State) {
	if s.Degraded {
		fmt.Fprintf(e.stderr, "detectd: model %s %s\n", name, s)
	}
}

// openOn opens a model file on the chosen provider and tells when it is another.
func openOn(ctx context.Context, e *env, rt *ort.Runtime, file string, read func() ([]byte, error), c provider.Choice) (*provider.Detector, error) {
	name := filepath.Base(file)
	d, err := provider.Open(ctx, provider.OpenOn(rt, read, model.Options{}, c), c,
		func(s provider.State) { tellProvider(e, name, s) })
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	tellProvider(e, name, d.State())
	return d, nil
}
