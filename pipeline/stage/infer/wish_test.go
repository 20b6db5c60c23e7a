package infer

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"detectd/detect"
	"detectd/pipeline"
	"detectd/pipeline/bus"
	"detectd/store"
)

func (g *rig) state(t require.TestingT, camera string) pipeline.RunningState {
	s, ok := g.State(camera)
	require.True(t, ok)
	return s
}

// becomes waits until a camera is in a state.
func (g *rig) becomes(t *testing.T, camera string, want func(pipeline.RunningState) bool) pipeline.RunningState {
	t.Helper()
	require.Eventually(t, func() bool { return want(g.state(t, camera)) }, 10*time.Second, time.Millisecond)
	return g.state(t, camera)
}

func TestFollowsAliases(t *testing.T) {
	champion := store.RunningModel{ClientID: "site", Model: "yard", Alias: "champion", Revision: 4}
	g := start(t, &records{
		cameras: cameras("a", "b"), newest: map[string]int{"default": 1, "yard": 3}, aliases: map[string]int{"yard@champion": 1},
		running: []store.RunningModel{champion, {ClientID: "site", CameraID: "b", Model: "yard", Version: 2, Revision: 1}},
	})
	require.Equal(t, detect.Ref{Model: "yard", Version: 1}, g.submit("a").Ref)
	s := g.state(t, "a")
	want := pipeline.RunningRef{From: "client", Revision: 4, Model: "yard", Alias: "champion", Version: 1}
	require.Equal(t, []any{want, want, pipeline.RunningApplied, "a", "site"}, []any{s.Wanted, s.Running, s.State, s.CameraID, s.ClientID})

	g.records.set(func(r *records) { r.aliases["yard@champion"] = 3 })
	g.bus.Publish(bus.ModelsChanged, bus.Change{})
	later := g.becomes(t, "a", func(s pipeline.RunningState) bool { return s.Running.Version == 3 })
	require.Equal(t, pipeline.RunningApplied, later.State)
	require.EqualValues(t, 4, later.Running.Revision, "the record is the same")
	require.True(t, later.Since.After(s.Since))
	require.Equal(t, detect.Ref{Model: "yard", Version: 3}, g.submit("a").Ref)
	require.Equal(t, detect.Ref{Model: "yard", Version: 2}, g.submit("b").Ref, "which follows nothing")

	// An alias that is gone keeps what runs.
	g.records.set(func(r *records) { clear(r.aliases) })
	g.bus.Publish(bus.ModelsChanged, bus.Change{})
	lost := g.becomes(t, "a", func(s pipeline.RunningState) bool { return s.State == pipeline.RunningFailed })
	require.Contains(t, lost.Reason, "champion")
	require.Equal(t, []int{0, 3}, []int{lost.Wanted.Version, lost.Running.Version})
	require.Equal(t, later.Since, lost.Since)
	require.NoError(t, g.submit("a").Err)
}

func TestMissedMessageHeals(t *testing.T) {
	g := start(t, &records{
		cameras: cameras("a"), newest: map[string]int{"default": 1, "yard": 2}, aliases: map[string]int{"yard@champion": 1},
		running: []store.RunningModel{{ClientID: "site", Model: "yard", Alias: "champion", Revision: 1}},
	}, func(c *Config) { c.Resync = time.Millisecond })
	g.records.set(func(r *records) { r.aliases["yard@champion"] = 2 })
	g.becomes(t, "a", func(s pipeline.RunningState) bool { return s.Running.Version == 2 })
	g.records.set(func(r *records) {
		r.running = []store.RunningModel{{ClientID: "site", Model: "default", Revision: 2}}
	})
	g.becomes(t, "a", func(s pipeline.RunningState) bool { return s.Running.Revision == 2 && s.Running.Model == "default" })
}

// TestSlowModelHoldsNobodyUp: while one camera's model loads, it goes on with the
// old one, and the others' changes come into force.
func TestSlowModelHoldsNobodyUp(t *testing.T) {
	g := start(t, &records{cameras: cameras("a", "b"), newest: map[string]int{"default": 1, "slow": 1, "other": 1}})
	set := func(running ...store.RunningModel) {
		g.records.set(func(r *records) { r.running = running })
		g.bus.Publish(bus.Subject(bus.RunningModel, "site"), bus.Change{})
	}
	slow := store.RunningModel{ClientID: "site", CameraID: "a", Model: "slow", Revision: 1}
	set(slow)
	s := g.becomes(t, "a", func(s pipeline.RunningState) bool { return s.State == pipeline.RunningLoading })
	require.Equal(t, []any{"slow", "default", "camera", "default"}, []any{s.Wanted.Model, s.Running.Model, s.Wanted.From, s.Running.From})
	require.Equal(t, "default", g.submit("a").Ref.Model)
	set(slow, store.RunningModel{ClientID: "site", CameraID: "b", Model: "other", Revision: 1})
	g.becomes(t, "b", func(s pipeline.RunningState) bool { return s.Running.Model == "other" })
	require.Equal(t, pipeline.RunningLoading, g.state(t, "a").State)

	close(g.slow["slow"])
	g.becomes(t, "a", func(s pipeline.RunningState) bool { return s.State == pipeline.RunningApplied })
	require.Equal(t, "slow", g.submit("a").Ref.Model)
}

func TestEverySettingComesIntoForce(t *testing.T) {
	g := start(t, &records{
		cameras: cameras("a", "b"), newest: map[string]int{"default": 1},
		running: []store.RunningModel{{
			ClientID: "site", CameraID: "a", Model: "default", MinScore: 0.5, MinScores: map[string]float64{"car": 0.25},
			NMSIoU: 0.5, NMSIoUs: map[string]float64{"person": 0.75}, Classes: []string{"car"}, Zones: []string{"yard"},
			DetectFPS: 3, FastFPS: 9, Provider: "cuda,cpu", Revision: 1,
		}},
	})
	require.NoError(t, g.submit("a").Err)
	require.Equal(t, detect.Options{
		MinScore: 0.5, MinScores: map[string]float32{"car": 0.25}, NMSIoU: 0.5, NMSIoUs: map[string]float32{"person": 0.75},
		Classes: map[string]bool{"car": true},
	}, *g.detector("default@1cuda,cpu").asked.Load())
	require.Equal(t, Assignment{
		Ref: detect.Ref{Model: "default", Version: 1}, Revision: 1, FPS: 3, FastFPS: 9, Zones: []string{"yard"},
	}, g.Assignment("a"))
	require.NoError(t, g.submit("b").Err)
	require.NotNil(t, g.detector("default@1").asked.Load(), "another provider is another session")
	require.Equal(t, "cuda,cpu", g.state(t, "a").Running.Provider)
}

func TestFailedModelIsTriedAgain(t *testing.T) {
	g := start(t, &records{
		cameras: cameras("a"), newest: map[string]int{"default": 1},
		running: []store.RunningModel{{ClientID: "site", Model: "late", Revision: 1}},
	}, func(c *Config) { c.Resync = time.Millisecond })
	require.Equal(t, pipeline.RunningFailed, g.state(t, "a").State)
	require.Empty(t, g.state(t, "a").Running)
	g.records.set(func(r *records) { r.newest["late"] = 1 })
	g.becomes(t, "a", func(s pipeline.RunningState) bool { return s.State == pipeline.RunningApplied })
}

func TestStatesAreAnnounced(t *testing.T) {
	g := start(t, &records{cameras: cameras("a"), newest: map[string]int{"default": 1, "other": 1}})
	got, stop := make(chan pipeline.RunningState, 16), make(chan error, 1)
	ready := make(chan struct{})
	ctx := t.Context()
	go func() {
		stop <- g.bus.Subscribe(ctx, ready, func(m bus.Message) {
			var s pipeline.RunningState
			if m.Decode(&s) == nil {
				got <- s
			}
		}, bus.Under(bus.RunningState))
	}()
	<-ready
	g.records.set(func(r *records) {
		r.running = []store.RunningModel{{ClientID: "site", Model: "other", Revision: 1}}
	})
	g.bus.Publish(bus.Subject(bus.RunningModel, "site"), bus.Change{})
	for s := range got {
		if s.State == pipeline.RunningApplied {
			require.Equal(t, "other", s.Running.Model)
			return
		}
		require.Equal(t, pipeline.RunningLoading, s.State)
	}
}

func BenchmarkLookup(b *testing.B) {
	s := &Stage{cameras: map[string]*assignment{}}
	ids := make([]string, 1000)
	for i := range ids {
		ids[i] = "camera-" + string(rune('a'+i%26)) + time.Duration(i).String()
		s.cameras[ids[i]] = &assignment{state: pipeline.RunningState{CameraID: ids[i]}}
	}
	b.RunParallel(func(pb *testing.PB) {
		for i := 0; pb.Next(); i++ {
			if _, ok := s.State(ids[i%len(ids)]); !ok {
				b.Error("unknown camera")
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "lookups/s")
}
