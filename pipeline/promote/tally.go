package promote

import (
	"time"

	"detectd/pipeline/bus"
	"detectd/store"
)

const (
	// step is the length of time that is counted together.
	step = 5 * time.Second
	// remembered is how far back counts go.
	remembered = 5 * time.Minute
)

// Counts are what a model did on a camera, or on several.
type Counts struct {
	Inferences int64
	Errors     int64
	NotFinite  int64 // of the errors
	Dropped    int64 // frames that came too late for it
	Detections int64
	Latency    store.Histogram // arrival of a frame to its result
	Inference  store.Histogram // of a frame, without waiting
}

func (c *Counts) add(o *Counts) {
	c.Inferences += o.Inferences
	c.Errors += o.Errors
	c.NotFinite += o.NotFinite
	c.Dropped += o.Dropped
	c.Detections += o.Detections
	c.Latency.Merge(&o.Latency)
	c.Inference.Merge(&o.Inference)
}

// Ref names a model version.
type Ref struct {
	Model   string
	Version int
}

// bucket is what a camera did with one model in one step of time.
type bucket struct {
	at  time.Time
	ref Ref
	Counts
}

// tally remembers what all cameras did lately. It is used by one goroutine.
type tally struct {
	cameras map[string][]*bucket // the oldest first
	health  map[string]bus.CameraCounters
}

func newTally() *tally {
	return &tally{cameras: map[string][]*bucket{}, health: map[string]bus.CameraCounters{}}
}

// at returns the bucket of a camera and a model for a time, and forgets old ones.
func (t *tally) at(camera string, ref Ref, now time.Time) *bucket {
	list := t.cameras[camera]
	for len(list) > 0 && now.Sub(list[0].at) > remembered {
		list = list[1:]
	}
	start := now.Truncate(step)
	for i := len(list) - 1; i >= 0 && !list[i].at.Before(start); i-- {
		if list[i].ref == ref {
			t.cameras[camera] = list
			return list[i]
		}
	}
	b := &bucket{at: start, ref: ref}
	t.cameras[camera] = append(list, b)
	return b
}

// inference counts one answer.
func (t *tally) inference(i bus.Inference, now time.Time) {
	b := t.at(i.CameraID, Ref{i.Model, i.Version}, now)
	if i.Error != "" {
		b.Errors++
		if i.NotFinite {
			b.NotFinite++
		}
		return
	}
	b.Inferences++
	b.Detections += int64(i.Detections)
	b.Latency.Add(i.Latency)
	b.Inference.Add(i.Ran / time.Duration(max(1, i.Batch)))
}

// report counts frames that came too late.
func (t *tally) report(h bus.HealthReport, now time.Time) {
	for _, c := range h.Cameras {
		before, known := t.health[c.CameraID]
		t.health[c.CameraID] = c
		stale := c.Drops["stale"]
		if !known || !before.Started.Equal(c.Started) || stale <= before.Drops["stale"] {
			continue
		}
		t.at(c.CameraID, Ref{c.Model, c.Version}, now).Dropped += int64(stale - before.Drops["stale"]) //nolint:gosec // a difference of counters
	}
}

// sum adds up what a camera did with a model from a time on.
func (t *tally) sum(camera string, ref Ref, from time.Time) (c Counts) {
	for _, b := range t.cameras[camera] {
		if b.ref == ref && !b.at.Before(from) {
			c.add(&b.Counts)
		}
	}
	return c
}

// last is the newest bucket of a camera; nil for none.
func (t *tally) last(camera string) *bucket {
	if list := t.cameras[camera]; len(list) > 0 {
		return list[len(list)-1]
	}
	return nil
}

// running lists the cameras that a model has answered from a time on.
func (t *tally) running(ref Ref, from time.Time) (cameras []string) {
	for id, list := range t.cameras {
		for _, b := range list {
			if b.ref == ref && !b.at.Before(from) {
				cameras = append(cameras, id)
				break
			}
		}
	}
	return cameras
}
