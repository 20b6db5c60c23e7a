package daemon

import (
	"context"
	"fmt"
	"time"

	"detectd/detect"
	"detectd/detect/provider"
	"detectd/pipeline/bench/proc"
	"detectd/pipeline/frame"
	"detectd/pipeline/measure"
	"detectd/pipeline/modelcheck"
	"detectd/store"
)

// measurePictures of the demo video are looked at in turns.
const measurePictures = 8

// MeasureSpeed times calls of a detector with pictures of the demo video; without
// that one, with a generated picture.
func MeasureSpeed(ctx context.Context, d detect.Detector, calls int) (measure.Times, error) {
	pool := &frame.Pool{}
	defer pool.Close()
	var pictures []*frame.Frame
	video, err := DemoVideoFile()
	if err == nil {
		pictures, err = measure.Pictures(ctx, video, measurePictures, pool)
	} else {
		pictures = make([]*frame.Frame, 1)
		pictures[0], err = modelcheck.Generated(pool)
	}
	if err != nil {
		return measure.Times{}, err
	}
	defer func() {
		for _, f := range pictures {
			f.Release()
		}
	}()
	return measure.Speed(ctx, d, pictures, calls)
}

// MeasureSpeed implements api.Models. One measurement runs at a time.
func (p modelPort) MeasureSpeed(ctx context.Context, name string, version int) (store.Measurement, error) {
	p.d.measuring.Lock()
	defer p.d.measuring.Unlock()
	v, err := p.d.records.ModelVersion(ctx, name, version)
	if err != nil {
		return store.Measurement{}, err
	}
	d, err := p.d.registry.Load(ctx, v)
	if err != nil {
		return store.Measurement{}, fmt.Errorf("load model %s@%d: %w", v.Model, v.Version, err)
	}
	defer func() { _ = d.Close() }()
	t, err := MeasureSpeed(ctx, d, 0)
	if err != nil {
		return store.Measurement{}, err
	}
	m := store.Measurement{
		Model: v.Model, Version: v.Version, Kind: store.Speed, Time: time.Now(), By: "api", Machine: p.d.machine,
		Samples: t.Samples, P50: t.P50, P95: t.P95, P99: t.P99, Provider: providerOf(d),
	}
	return p.d.records.AddMeasurement(ctx, m)
}

// Recheck implements api.Models.
func (p modelPort) Recheck(ctx context.Context, name string, version int) (store.ModelVersion, error) {
	p.d.measuring.Lock()
	defer p.d.measuring.Unlock()
	v, err := p.d.records.ModelVersion(ctx, name, version)
	if err != nil {
		return v, err
	}
	d, err := p.d.registry.Load(ctx, v)
	if err != nil {
		return v, fmt.Errorf("load model %s@%d: %w", v.Model, v.Version, err)
	}
	defer func() { _ = d.Close() }()
	v, _, err = p.d.registry.Recheck(ctx, v, d)
	return v, err
}

// providerOf is what a loaded model runs on.
func providerOf(d detect.Detector) string {
	for {
		switch x := d.(type) {
		case interface{ State() provider.State }:
			return string(x.State().Provider)
		case interface{ Unwrap() detect.Detector }:
			d = x.Unwrap()
		default:
			return ""
		}
	}
}

// thisMachine is the name that measurements of this machine are kept under.
func thisMachine() string { return proc.ThisMachine().String() }
