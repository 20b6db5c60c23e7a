package promote

import (
	"context"
	"maps"
	"slices"
	"time"

	"detectd/detect"
	"detectd/store"
)

const (
	// keepEvery is how often what cameras do is kept for the time after a restart.
	keepEvery = time.Minute
	// keepsFor is how long after it was counted it still stands for what a camera does.
	keepsFor = time.Hour
)

// baseline is what cameras did lately with the model that they run. mu is held.
func (m *Manager) baseline(p store.Promotion, cameras []string, now time.Time) (out []store.CameraBaseline) {
	for _, id := range cameras {
		ref, _ := m.deps.Assigned(id)
		if ref.Model == p.Model && ref.Version == p.Version {
			continue
		}
		out = append(out, m.lately(id, Ref{ref.Model, ref.Version}, p.Bands.MinSamples, now))
	}
	return out
}

// others are the cameras elsewhere that run the champion. mu is held.
func (m *Manager) others(p store.Promotion, cameras []string, now time.Time) (out []store.CameraBaseline) {
	champion := Ref{p.ChampionModel, p.ChampionVersion}
	for _, id := range slices.Sorted(slices.Values(m.tally.running(champion, now.Add(-remembered)))) {
		if ref, _ := m.deps.Assigned(id); ref == (detect.Ref{Model: champion.Model, Version: champion.Version}) && !slices.Contains(cameras, id) {
			out = append(out, m.lately(id, champion, p.Bands.MinSamples, now))
		}
	}
	return out
}

// lately is what a camera did with a model in the last minutes, and before the last
// restart where that is too little. mu is held.
func (m *Manager) lately(camera string, ref Ref, enough int, now time.Time) store.CameraBaseline {
	c := m.tally.sum(camera, ref, now.Add(-remembered))
	until := now
	if b, ok := m.earlier[camera]; ok && c.Inferences < int64(enough) && ref == (Ref{b.Model, b.Version}) && now.Sub(b.Until) <= keepsFor {
		if c.Inferences == 0 {
			until = b.Until
		}
		old := counts(b)
		c.add(&old)
	}
	return store.CameraBaseline{
		CameraID: camera, Model: ref.Model, Version: ref.Version, Until: until, Inferences: c.Inferences, Errors: c.Errors,
		Dropped: c.Dropped, Detections: c.Detections, Latency: c.Latency, Inference: c.Inference,
	}
}

func counts(b store.CameraBaseline) Counts {
	return Counts{
		Inferences: b.Inferences, Errors: b.Errors, Dropped: b.Dropped, Detections: b.Detections,
		Latency: b.Latency, Inference: b.Inference,
	}
}

// unmeasured are the cameras of which too little is known to compare with.
func unmeasured(p store.Promotion) (cameras []string) {
	for _, b := range p.Baseline {
		if b.Inferences < int64(p.Bands.MinSamples) {
			cameras = append(cameras, b.CameraID)
		}
	}
	return cameras
}

// keep has what cameras do outlive a restart.
func (m *Manager) keep(ctx context.Context) {
	m.mu.Lock()
	now := m.cfg.Now()
	var list []store.CameraBaseline
	at := map[string]time.Time{}
	for id := range m.tally.cameras {
		if b := m.tally.last(id); b != nil && b.at.After(m.kept[id]) && b.Inferences > 0 {
			list = append(list, m.lately(id, b.ref, store.DefaultBands().MinSamples, now))
			at[id] = b.at
		}
	}
	m.mu.Unlock()
	if len(list) == 0 {
		return
	}
	if err := m.deps.Records.KeepBaselines(ctx, list); err != nil {
		m.deps.Log.Error("keep what cameras do", "error", err)
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	maps.Copy(m.kept, at)
}

// snapshot is the times of a shadow's calls up to a moment.
type snapshot struct {
	at   time.Time
	took store.Histogram
}

// meanwhile are the times of the calls of a promotion's shadow in the window. mu is held.
func (m *Manager) meanwhile(p store.Promotion, r store.ShadowReport, now time.Time) store.Histogram {
	list := slices.Concat(m.besides[p.ID], []snapshot{{now, r.Took}})
	for len(list) > 1 && now.Sub(list[1].at) >= p.Bands.Window {
		list = list[1:]
	}
	m.besides[p.ID] = list
	return r.Took.Since(&list[0].took)
}
