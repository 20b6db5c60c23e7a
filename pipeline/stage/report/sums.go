package report

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"detectd/pipeline/bus"
	"detectd/store"
)

// key names the record that a sum belongs to.
type key struct {
	camera  string
	model   string
	version int
	hour    time.Time
}

// sums are the counts that have not been merged yet.
type sums map[key]*store.ReportDelta

// at returns the sum of a camera and model version for the hour that t lies in.
func (s sums) at(camera, model string, version int, t time.Time) *store.ReportDelta {
	k := key{camera, model, version, t.UTC().Truncate(time.Hour)}
	d := s[k]
	if d == nil {
		d = &store.ReportDelta{
			CameraID: camera, Model: model, Version: version, Hour: k.hour,
			Drops: map[string]int64{}, Classes: map[string]int64{},
		}
		s[k] = d
	}
	return d
}

// add merges a sum that could not be written back in.
func (s sums) add(d *store.ReportDelta) {
	to := s.at(d.CameraID, d.Model, d.Version, d.Hour)
	to.Frames += d.Frames
	to.Inferences += d.Inferences
	to.Errors += d.Errors
	to.ScoreSum += d.ScoreSum
	to.Latency.Merge(&d.Latency)
	for reason, n := range d.Drops {
		to.Drops[reason] += n
	}
	for label, n := range d.Classes {
		to.Classes[label] += n
	}
}

// take adds up one message.
func (s *Stage) take(m bus.Message) {
	var err error
	if m.Subject == bus.Health {
		var h bus.HealthReport
		if err = m.Decode(&h); err == nil {
			s.health(h)
		}
	} else {
		var i bus.Inference
		if err = m.Decode(&i); err == nil {
			s.inference(i)
		}
	}
	if err != nil {
		s.log.Warn("read message", "subject", m.Subject, "error", err)
		s.mu.Lock()
		s.stats.Malformed++
		s.mu.Unlock()
	}
}

// inference counts one frame that went through a model, in the hour of its own
// time. A failed one is an error, not an inference, and says nothing of latency.
func (s *Stage) inference(i bus.Inference) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.sums.at(i.CameraID, i.Model, i.Version, i.Time)
	if i.Error != "" {
		d.Errors++
	} else {
		d.Inferences++
		d.Latency.Add(i.Latency)
		d.ScoreSum += i.ScoreSum
		for label, n := range i.Labels {
			d.Classes[label] += int64(n)
		}
	}
	if len(s.pending) >= s.cfg.MaxPending {
		s.stats.Lost++
		return
	}
	s.pending = append(s.pending, store.Inference{
		CameraID: i.CameraID, Time: i.Time, Model: i.Model, Version: i.Version, Batch: i.Batch,
		Queued: i.Queued, Ran: i.Ran, Latency: i.Latency, Detections: i.Detections, Error: i.Error,
	})
}

// health turns counters since a worker's start into what was added since the
// message before. A new worker, or a counter that fell, starts from zero.
func (s *Stage) health(h bus.HealthReport) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range h.Cameras {
		before := s.seen[c.CameraID]
		s.seen[c.CameraID] = c
		if restarted(before, c) {
			before = bus.CameraCounters{}
		}
		drops := map[string]int64{}
		for reason, n := range c.Drops {
			if n > before.Drops[reason] {
				drops[reason] = int64(n - before.Drops[reason])
			}
		}
		frames := int64(c.Frames - before.Frames)
		if frames == 0 && len(drops) == 0 {
			continue
		}
		d := s.sums.at(c.CameraID, c.Model, c.Version, h.Time)
		d.Frames += frames
		for reason, n := range drops {
			d.Drops[reason] += n
		}
	}
}

func restarted(before, now bus.CameraCounters) bool {
	if !now.Started.Equal(before.Started) || now.Frames < before.Frames || now.Inferences < before.Inferences {
		return true
	}
	for reason, n := range before.Drops {
		if now.Drops[reason] < n {
			return true
		}
	}
	return false
}

// merge writes the sums into the reports. What fails is kept for the next time,
// except sums of a camera that no longer exists.
func (s *Stage) merge(ctx context.Context) {
	s.mu.Lock()
	taken := s.sums
	s.sums = sums{}
	s.mu.Unlock()
	if len(taken) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.cfg.WriteTimeout)
	defer cancel()
	var merged, lost uint64
	var failed []*store.ReportDelta
	var reason error
	for _, d := range taken.sorted() {
		switch err := s.reports.MergeReport(ctx, *d); {
		case err == nil:
			merged++
		case errors.Is(err, store.ErrNotFound):
			lost++
		default:
			reason = err
			failed = append(failed, d)
		}
	}
	if reason != nil {
		s.log.Warn("merge reports", "count", len(failed), "error", reason)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stats.Merged += merged
	s.stats.Lost += lost
	for _, d := range failed {
		s.sums.add(d)
	}
}

// sorted lists the sums in a fixed order, the oldest hour first.
func (s sums) sorted() []*store.ReportDelta {
	list := make([]*store.ReportDelta, 0, len(s))
	for _, d := range s {
		list = append(list, d)
	}
	slices.SortFunc(list, func(a, b *store.ReportDelta) int {
		return cmp.Or(a.Hour.Compare(b.Hour), cmp.Compare(a.CameraID, b.CameraID),
			cmp.Compare(a.Model, b.Model), cmp.Compare(a.Version, b.Version))
	})
	return list
}
