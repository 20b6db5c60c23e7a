package infer

import (
	"context"
	"fmt"
	"time"

	"detectd/detect"
	"detectd/pipeline"
	"detectd/pipeline/bus"
	"detectd/store"
)

// wish is what the records want of a camera.
type wish struct {
	camera  store.Camera
	record  store.RunningModel // that decides
	version store.ModelVersion // that it means at present
	err     error              // why there is no such version
}

func (w wish) key() key {
	return key{detect.Ref{Model: w.version.Model, Version: w.version.Version}, w.record.Provider}
}

// ref is the wish in the words of the vocabulary.
func (w wish) ref() pipeline.RunningRef {
	from := "default"
	switch {
	case w.record.CameraID != "":
		from = "camera"
	case w.record.ClientID != "":
		from = "client"
	}
	return pipeline.RunningRef{
		From: from, Revision: w.record.Revision, Model: w.record.Model, Alias: w.record.Alias, Version: w.version.Version,
		Provider: w.record.Provider,
	}
}

// reload brings the engines and assignments in line with the records. A camera
// whose new model does not load keeps the one it has. Models that failed less than
// rest ago are not tried again.
func (s *Stage) reload(ctx context.Context, rest time.Duration) {
	wishes, err := s.read(ctx)
	if err != nil {
		if ctx.Err() == nil {
			s.log.Error("read running models", "error", err)
		}
		return
	}
	s.wishes = wishes
	wanted := map[key]store.ModelVersion{}
	for _, w := range wishes {
		if w.err == nil {
			wanted[w.key()] = w.version
		}
	}
	for k, f := range s.failed {
		v, still := wanted[k]
		switch {
		case !still:
			delete(s.failed, k)
		case time.Since(f.at) >= rest:
			s.load(ctx, k, v)
		}
	}
	s.apply(ctx)
}

// read returns what the records want of every camera, by camera.
func (s *Stage) read(ctx context.Context) (map[string]wish, error) {
	cameras, err := s.records.ListCameras(ctx, "")
	if err != nil {
		return nil, err
	}
	running, err := s.records.ListRunningModels(ctx)
	if err != nil {
		return nil, err
	}
	type found struct {
		version store.ModelVersion
		err     error
	}
	versions := map[detect.Ref]found{} // many cameras name the same
	wishes := make(map[string]wish, len(cameras))
	for _, c := range cameras {
		w := wish{camera: c, record: store.Effective(running, c.ClientID, c.ID, s.cfg.Default)}
		ref := detect.Ref{Model: w.record.Model, Version: w.record.Version, Alias: w.record.Alias}
		f, known := versions[ref]
		if !known {
			if ref.Alias != "" {
				f.version, f.err = s.records.AliasVersion(ctx, ref.Model, ref.Alias)
			} else {
				f.version, f.err = s.records.ModelVersion(ctx, ref.Model, ref.Version)
			}
			versions[ref] = f
		}
		if w.version = f.version; f.err != nil {
			w.err = fmt.Errorf("load model %s: %w", ref, f.err)
		}
		wishes[c.ID] = w
	}
	return wishes, ctx.Err()
}

// apply assigns to each camera the wanted model where it is loaded, has it loaded
// where it is not, and unloads what no camera runs.
func (s *Stage) apply(ctx context.Context) {
	s.mu.RLock()
	old := s.cameras // only this goroutine replaces it
	s.mu.RUnlock()
	next := make(map[string]*assignment, len(s.wishes))
	used := map[*engine]bool{}
	for id, w := range s.wishes {
		a := s.assign(ctx, w, old[id])
		next[id], used[a.engine] = a, true
	}
	s.mu.Lock()
	s.cameras = next
	s.mu.Unlock()
	for k, e := range s.engines {
		if !used[e] {
			delete(s.engines, k)
			s.work.Go(func() { s.stop(e) })
		}
	}
	for id, a := range next {
		if before := old[id]; before == nil || before.state != a.state {
			s.bus.Publish(bus.Subject(bus.RunningState, id), a.state)
		}
	}
}

// assign makes the assignment of one camera after its old one, which may be nil.
func (s *Stage) assign(ctx context.Context, w wish, old *assignment) *assignment {
	a := &assignment{
		state:  pipeline.RunningState{CameraID: w.camera.ID, ClientID: w.camera.ClientID, Wanted: w.ref()},
		weight: w.camera.Weight,
	}
	err := w.err
	if err == nil {
		k := w.key()
		if e := s.engines[k]; e != nil {
			a.run(e, w, s.cfg.DetectFPS)
			if old != nil && old.state.Running == a.state.Running {
				a.state.Since = old.state.Since
			}
			return a
		}
		if err = s.failed[k].err; err == nil {
			s.load(ctx, k, w.version)
		}
	}
	a.FPS = s.cfg.DetectFPS
	if old != nil && old.engine != nil {
		a.Assignment, a.engine, a.opts = old.Assignment, old.engine, old.opts
		a.state.Running, a.state.Since = old.state.Running, old.state.Since
	}
	a.state.State, a.Err = pipeline.RunningLoading, ""
	if err != nil {
		a.state.State, a.state.Reason, a.Err = pipeline.RunningFailed, err.Error(), err.Error()
	}
	return a
}

// run fills in what a camera runs when its wish has come true.
func (a *assignment) run(e *engine, w wish, fps float64) {
	a.engine = e
	a.Assignment = Assignment{
		Ref: e.ref, Revision: w.record.Revision, FPS: firstPositive(w.record.DetectFPS, w.camera.DetectFPS, fps),
		FastFPS: w.record.FastFPS, Zones: w.record.Zones,
	}
	a.opts = options(w.record)
	a.state.Running, a.state.State, a.state.Since = a.state.Wanted, pipeline.RunningApplied, time.Now()
}

// options are what a record says about the detections wanted.
func options(r store.RunningModel) detect.Options {
	o := detect.Options{
		MinScore: float32(r.MinScore), MinScores: narrow(r.MinScores), NMSIoU: float32(r.NMSIoU), NMSIoUs: narrow(r.NMSIoUs),
	}
	if len(r.Classes) > 0 {
		o.Classes = make(map[string]bool, len(r.Classes))
		for _, label := range r.Classes {
			o.Classes[label] = true
		}
	}
	return o
}

func narrow(m map[string]float64) map[string]float32 {
	if len(m) == 0 {
		return nil
	}
	out := make(map[string]float32, len(m))
	for label, v := range m {
		out[label] = float32(v)
	}
	return out
}

func firstPositive(values ...float64) float64 {
	for _, v := range values {
		if v > 0 {
			return v
		}
	}
	return 0
}
