package promote

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"detectd/pipeline/bus"
	"detectd/store"
)

// did are the counts of n answers with so many detections each.
func did(n, perFrame int64, took time.Duration) Counts {
	c := Counts{Inferences: n, Detections: n * perFrame}
	for range n {
		c.Inference.Add(took)
	}
	return c
}

func TestJudge(t *testing.T) {
	const ms = time.Millisecond
	fine := Evidence{Bands: store.DefaultBands(), Candidate: did(100, 2, 40*ms), Before: did(300, 2, 40*ms)}
	with := func(change func(*Evidence)) Evidence { e := fine; change(&e); return e }
	for name, c := range map[string]struct {
		e      Evidence
		fault  string // "" for none
		enough bool
	}{
		"fine":             {fine, "", true},
		"nothing known":    {Evidence{Bands: store.DefaultBands()}, "", false},
		"does not load":    {with(func(e *Evidence) { e.Trouble = "load model yard@2: file is damaged" }), "loads: runs is wanted, it is load model yard@2: file is damaged", true},
		"NaN":              {with(func(e *Evidence) { e.Candidate = Counts{Errors: 3, NotFinite: 3} }), "outputs that are no numbers: at most 2 is wanted, it is 3", false},
		"two NaN":          {with(func(e *Evidence) { e.Candidate.Errors, e.Candidate.NotFinite = 2, 2 }), "", true},
		"errors":           {with(func(e *Evidence) { e.Candidate.Errors = 5 }), "failed inferences: at most 2.0 % is wanted, it is 4.8 % (5 of 105)", true},
		"errors as before": {with(func(e *Evidence) { e.Candidate.Errors, e.Before.Errors = 5, 15 }), "", true},
		"errors, too few":  {with(func(e *Evidence) { e.Candidate = Counts{Errors: 10, Inferences: 10} }), "", false},
		"all errors":       {with(func(e *Evidence) { e.Candidate = Counts{Errors: 30} }), "failed inferences: at most 2.0 % is wanted, it is 100.0 % (30 of 30)", false},
		"slow":             {with(func(e *Evidence) { e.Candidate = did(100, 2, 80*ms) }), "p95 of inference: at most 59.5 ms (no camera runs the champion beside it) is wanted, it is 79.0 ms", true},
		"slower, within":   {with(func(e *Evidence) { e.Candidate = did(100, 2, 50*ms) }), "", true},
		"slow machine": {with(func(e *Evidence) {
			e.Candidate = did(100, 2, 80*ms)
			e.OthersBefore = did(100, 2, 30*ms)
			e.OthersNow = did(100, 2, 60*ms)
		}), "", true},
		"slow, others better": {with(func(e *Evidence) {
			e.Candidate = did(100, 2, 80*ms)
			e.OthersBefore = did(100, 2, 60*ms)
			e.OthersNow = did(100, 2, 30*ms)
		}), "p95 of inference: at most 59.5 ms is wanted, it is 79.0 ms", true},
		"slow, no before": {with(func(e *Evidence) {
			e.Candidate = did(100, 2, 80*ms)
			e.Before = Counts{}
			e.OthersNow = did(100, 2, 40*ms)
		}), "p95 of inference: at most 59.5 ms is wanted, it is 79.0 ms", false},
		"little time":   {with(func(e *Evidence) { e.Candidate = did(100, 2, 18*ms); e.Before = did(100, 2, 3*ms) }), "", true},
		"slow, too few": {with(func(e *Evidence) { e.Candidate = did(20, 2, 800*ms) }), "", false},
		"too late": {with(func(e *Evidence) {
			e.Candidate, e.OthersNow = did(30, 2, 40*ms), did(60, 2, 40*ms)
			e.Candidate.Dropped = 70
		}), "frames that came too late: at most 25 % is wanted, it is 70 % (70 of 100)", false},
		"too late as before": {with(func(e *Evidence) {
			e.Candidate.Dropped, e.Before.Dropped, e.OthersNow = 100, 250, did(60, 2, 40*ms)
		}), "", true},
		"too late, alone": {with(func(e *Evidence) { e.Candidate.Dropped = 1000 }), "", true},
		"so slow that most come too late": {with(func(e *Evidence) {
			e.Candidate = did(10, 2, 5000*ms)
			e.Candidate.Dropped = 90
		}), "p95 of inference: at most 59.5 ms (no camera runs the champion beside it) is wanted, it is 5053.5 ms", false},
		"slow machine, alone, as the champion beside it shows": {with(func(e *Evidence) {
			e.Candidate = did(100, 2, 150*ms)
			e.Beside, e.Meanwhile = &store.ShadowReport{}, did(10, 0, 150*ms).Inference
		}), "", true},
		"slow alone, not the champion beside it": {with(func(e *Evidence) {
			e.Candidate = did(100, 2, 150*ms)
			e.Beside, e.Meanwhile = &store.ShadowReport{}, did(10, 0, 40*ms).Inference
		}), "p95 of inference: at most 59.5 ms (no camera runs the champion beside it; on its frames it took 39.5 ms) is wanted, it is 157.9 ms", true},
		"slow machine, nothing from before": {with(func(e *Evidence) {
			e.Candidate, e.Before = did(100, 2, 80*ms), Counts{}
		}), "", false},
		"finds nothing":  {with(func(e *Evidence) { e.Candidate = did(100, 0, 40*ms) }), "detections per frame: 1.00 to 4.00 is wanted, it is 0.00", true},
		"finds too much": {with(func(e *Evidence) { e.Candidate = did(100, 5, 40*ms) }), "detections per frame: 1.00 to 4.00 is wanted, it is 5.00", true},
		"all streets empty": {with(func(e *Evidence) {
			e.Candidate = did(100, 0, 40*ms)
			e.OthersBefore = did(100, 2, 40*ms)
			e.OthersNow = did(100, 0, 40*ms)
		}), "detections per frame: 0.25 to 1.00 is wanted, it is 0.00", true},
		"a rare thing": {with(func(e *Evidence) { e.Candidate = did(100, 0, 40*ms); e.Before.Detections = 30 }), "", true},
		"same frames": {with(func(e *Evidence) {
			e.Candidate = did(100, 0, 40*ms)
			e.Beside = &store.ShadowReport{Looked: 60, Classes: map[string]store.ClassAgreement{"person": {Extra: 2}}}
		}), "", true},
		"same frames, nothing": {with(func(e *Evidence) {
			e.Beside = &store.ShadowReport{Looked: 60, Classes: map[string]store.ClassAgreement{"person": {Extra: 60}}}
		}), "detections per frame, in the same frames: 0.50 to 2.00 is wanted, it is 0.00", true},
		"same frames, agree": {with(func(e *Evidence) {
			e.Candidate = did(100, 0, 40*ms)
			e.Beside = &store.ShadowReport{Looked: 60, Classes: map[string]store.ClassAgreement{"person": {Matched: 50, Extra: 9, Missing: 9}}}
		}), "", true},
	} {
		t.Run(name, func(t *testing.T) {
			rules, enough, fault := Judge(c.e)
			require.Equal(t, c.fault, fault)
			require.Equal(t, c.enough, enough, fmt.Sprint(rules))
			require.Len(t, rules, 6)
		})
	}
}

func TestTally(t *testing.T) {
	tl, ref, other := newTally(), Ref{"yard", 2}, Ref{"yard", 1}
	at := time.Date(2026, 11, 25, 9, 0, 0, 0, time.UTC)
	answer := func(camera string, r Ref, after time.Duration, err string, nan bool) {
		tl.inference(bus.Inference{CameraID: camera, Model: r.Model, Version: r.Version, Detections: 3, Latency: time.Second, Ran: 80 * time.Millisecond, Batch: 2, Error: err, NotFinite: nan}, at.Add(after))
	}
	answer("door", other, 0, "", false)
	answer("door", ref, time.Second, "", false)
	answer("door", ref, 6*time.Second, "", false)
	answer("door", ref, 7*time.Second, "no numbers", true)
	answer("door", ref, 8*time.Second, "broken", false)
	answer("gate", other, 8*time.Second, "", false)
	started := at.Add(-time.Hour)
	health := func(stale uint64, after time.Duration) {
		tl.report(bus.HealthReport{Cameras: []bus.CameraCounters{{
			CameraID: "door", Started: started, Model: "yard", Version: 2, Drops: map[string]uint64{"stale": stale},
		}}}, at.Add(after))
	}
	health(100, 0) // before anything was known
	health(104, 9*time.Second)

	c := tl.sum("door", ref, at)
	require.Equal(t, int64(2), c.Inferences)
	require.Equal(t, int64(2), c.Errors)
	require.Equal(t, int64(1), c.NotFinite)
	require.Equal(t, int64(4), c.Dropped)
	require.Equal(t, int64(6), c.Detections)
	require.Equal(t, uint64(2), c.Latency.Count())
	require.InDelta(t, 40*time.Millisecond, c.Inference.Quantile(0.95), float64(4*time.Millisecond), "of a frame")
	require.Equal(t, int64(1), tl.sum("door", ref, at.Add(5*time.Second)).Inferences)
	require.Equal(t, ref, tl.last("door").ref)
	require.Nil(t, tl.last("none"))
	require.Equal(t, []string{"door"}, tl.running(ref, at))
	require.Len(t, tl.running(other, at), 2)
	require.Empty(t, tl.running(other, at.Add(10*time.Second)))

	answer("door", ref, time.Hour, "", false)
	require.Len(t, tl.cameras["door"], 1, "old counts are forgotten")
	started = started.Add(time.Minute)
	health(3, time.Hour)
	require.Zero(t, tl.sum("door", ref, at.Add(time.Hour)).Dropped, "a new worker counts from zero")
}
