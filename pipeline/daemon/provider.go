package daemon

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"detectd/detect"
	"detectd/detect/ort"
	"detectd/detect/provider"
	"detectd/pipeline"
	"detectd/pipeline/bus"
	"detectd/pipeline/cores"
	"detectd/store"
	"detectd/web/health"
)

// Providers is what the section detect says about execution providers, with the data
// folder for what TensorRT compiles and the number of workers.
func (c DetectConfig) Providers(data string, workers int) (provider.Choice, error) {
	order, err := provider.Parse(c.Provider)
	if err != nil {
		return provider.Choice{}, err
	}
	choice := provider.Choice{Order: order, Device: c.Device, MaxBatch: c.MaxBatch, Callers: workers, Engines: c.Engines, Compile: c.Engines != ""}
	if choice.Engines == "" {
		choice.Engines = filepath.Join(data, "engines")
	}
	if choice.Compile || slices.Contains(order, ort.TensorRT) {
		if err := os.MkdirAll(choice.Engines, 0o700); err != nil {
			return choice, fmt.Errorf("make folder for compiled models: %w", err)
		}
	}
	return choice, nil
}

func (d *Daemon) choice() (provider.Choice, error) {
	return d.cfg.Detect.Providers(d.folder.Path(), d.workers())
}

// load opens a model version for the cameras, on the execution providers of their
// running model where that names some.
func (d *Daemon) load(ctx context.Context, v store.ModelVersion, name string) (detect.Detector, error) {
	if name == "" {
		return d.registry.Load(ctx, v)
	}
	cfg := d.cfg.Detect
	cfg.Provider = name
	choice, err := cfg.Providers(d.folder.Path(), d.workers())
	if err != nil {
		return nil, err
	}
	return d.registry.LoadOn(ctx, v, choice)
}

// degraded tells everybody that a model runs on another provider than it should.
func (d *Daemon) degraded(r pipeline.Running) {
	d.log.Warn("model runs on another provider than it should", "model", r.Model, "version", r.Version,
		"provider", r.Provider, "reason", r.Reason)
	d.bus.Publish(bus.Providers, r)
}

// detectorReady answers whether every camera has a model, and then whether one of them
// does not run where it should.
func (d *Daemon) detectorReady(ctx context.Context) error {
	if err := d.infer.Ready(ctx); err != nil {
		return err
	}
	for _, r := range d.registry.Running() {
		if r.Degraded {
			return health.Degraded(fmt.Sprintf("model %s@%d runs on %s: %s", r.Model, r.Version, r.Provider, r.Reason))
		}
	}
	return nil
}

// providerInUse is what the default model runs on, or would if it were loaded.
func (d *Daemon) providerInUse() string {
	list := d.registry.Running()
	if i := slices.IndexFunc(list, func(r pipeline.Running) bool { return r.Model == d.cfg.Detect.Model }); i >= 0 {
		return list[i].Provider
	}
	if len(list) > 0 {
		return list[0].Provider
	}
	return d.cfg.Detect.Provider
}

// turn has inference take turns with decoding for the processors. What runs on a
// GPU does not: it would hold a processor while it waits.
type turn struct {
	side    *cores.Side
	running func() []pipeline.Running
}

// Run implements the turn of detect/batch.
func (t turn) Run(work func()) {
	onGPU := func(r pipeline.Running) bool { return ort.Provider(r.Provider).GPU() }
	if slices.ContainsFunc(t.running(), onGPU) {
		work()
		return
	}
	t.side.Run(work)
}
