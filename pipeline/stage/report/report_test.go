package report

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"detectd/pipeline/bus"
	"detectd/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// books is a store that adds up, and fails while err is set.
type books struct {
	mu         sync.Mutex // guards the fields below
	err        error
	inferences []store.Inference
	batches    int
	sums       sums
}

func (b *books) PutInferences(_ context.Context, ms []store.Inference) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.err != nil {
		return b.err
	}
	b.inferences = append(b.inferences, ms...)
	b.batches++
	return nil
}

func (b *books) MergeReport(_ context.Context, d store.ReportDelta) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.err != nil {
		return b.err
	}
	if d.CameraID == "gone" {
		return store.ErrNotFound
	}
	b.sums.add(&d)
	return nil
}

func (b *books) fail(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.err = err
}

func (b *books) stored() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.inferences)
}

func (b *books) at(camera string, hour time.Time) store.ReportDelta {
	return *b.sums.at(camera, "default", 1, hour)
}

func openBus(t *testing.T) *bus.Bus {
	t.Helper()
	b, err := bus.Open(t.Context(), bus.Config{Folder: t.TempDir()}, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, b.Close()) })
	return b
}

// start runs a stage; stop ends it and waits.
func start(t *testing.T, cfg Config, b *bus.Bus, to *books) (s *Stage, stop func()) {
	t.Helper()
	s = New(cfg, b, to, to, slog.New(slog.DiscardHandler))
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	<-s.Ready()
	return s, func() { cancel(); require.NoError(t, <-done) }
}

var nine = time.Date(2026, 11, 25, 9, 0, 0, 0, time.UTC)

func inference(camera string, at time.Time) bus.Inference {
	return bus.Inference{
		CameraID: camera, Time: at, Model: "default", Version: 1, Batch: 2,
		Queued: time.Millisecond, Ran: 20 * time.Millisecond, Latency: 40 * time.Millisecond,
		Detections: 3, Labels: map[string]int{"person": 2, "dog": 1}, ScoreSum: 2.1,
	}
}

// Longer than any test: only the flush at the end writes.
var never = Config{Write: time.Hour, Merge: time.Hour}

func TestNothingIsLostAtTheEnd(t *testing.T) {
	b, to := openBus(t), &books{sums: sums{}}
	s, stop := start(t, never, b, to)
	const n = 3000
	for i := range n {
		b.Publish(bus.Subject(bus.Inferences, "door"), inference("door", nine.Add(time.Duration(i)*time.Millisecond)))
	}
	b.Publish(bus.Health, bus.HealthReport{Time: nine, Cameras: []bus.CameraCounters{{
		CameraID: "door", Model: "default", Version: 1, Frames: 18000, Drops: map[string]uint64{"stale": 4, "decode": 0},
	}}})
	stop()

	require.Len(t, to.inferences, n)
	require.Equal(t, store.Inference{
		CameraID: "door", Time: nine, Model: "default", Version: 1, Batch: 2, Queued: time.Millisecond,
		Ran: 20 * time.Millisecond, Latency: 40 * time.Millisecond, Detections: 3,
	}, to.inferences[0])
	d := to.at("door", nine)
	require.EqualValues(t, n, d.Inferences)
	require.EqualValues(t, 18000, d.Frames)
	require.EqualValues(t, n, d.Latency.Count())
	require.Equal(t, map[string]int64{"person": 2 * n, "dog": n}, d.Classes)
	require.Equal(t, map[string]int64{"stale": 4}, d.Drops)
	require.InDelta(t, 2.1*n, d.ScoreSum, 1e-6)
	require.Equal(t, Stats{Stored: n, Merged: 1}, s.Stats())
}

func TestWritesInBatchesWhileRunning(t *testing.T) {
	b, to := openBus(t), &books{sums: sums{}}
	s, stop := start(t, Config{Write: 20 * time.Millisecond, Merge: 20 * time.Millisecond}, b, to)
	for range 500 {
		b.Publish(bus.Subject(bus.Inferences, "door"), inference("door", nine))
	}
	require.Eventually(t, func() bool { return to.stored() == 500 && s.Stats().Merged > 0 }, 10*time.Second, 5*time.Millisecond)
	stop()
	require.Less(t, to.batches, 500)
	require.EqualValues(t, 500, to.at("door", nine).Inferences)
}

func TestHoursByTheMessagesTime(t *testing.T) {
	b, to := openBus(t), &books{sums: sums{}}
	_, stop := start(t, never, b, to)
	berlin := time.FixedZone("CET", 3600)
	for _, at := range []time.Time{nine.Add(-time.Millisecond), nine, nine.Add(time.Hour - 1), nine.Add(time.Hour).In(berlin)} {
		b.Publish(bus.Subject(bus.Inferences, "door"), inference("door", at))
	}
	stop()
	require.EqualValues(t, 1, to.at("door", nine.Add(-time.Hour)).Inferences)
	require.EqualValues(t, 2, to.at("door", nine).Inferences)
	require.EqualValues(t, 1, to.at("door", nine.Add(time.Hour)).Inferences)
}

func TestFailedInferences(t *testing.T) {
	b, to := openBus(t), &books{sums: sums{}}
	_, stop := start(t, never, b, to)
	b.Publish(bus.Subject(bus.Inferences, "door"), bus.Inference{
		CameraID: "door", Time: nine, Model: "default", Version: 1, Latency: time.Hour, Error: "no memory",
	})
	stop()
	d := to.at("door", nine)
	require.EqualValues(t, 1, d.Errors)
	require.Zero(t, d.Inferences)
	require.Zero(t, d.Latency.Count())
	require.Equal(t, "no memory", to.inferences[0].Error)
}

func TestCounters(t *testing.T) {
	first, second := nine.Add(-time.Minute), nine.Add(-time.Second)
	count := func(started time.Time, frames, stale uint64) bus.CameraCounters {
		return bus.CameraCounters{
			CameraID: "door", Started: started, Model: "default", Version: 1,
			Frames: frames, Drops: map[string]uint64{"stale": stale},
		}
	}
	for _, c := range []struct {
		name          string
		messages      []bus.CameraCounters
		frames, stale int64
	}{
		{"growing", []bus.CameraCounters{count(first, 25, 0), count(first, 50, 2), count(first, 50, 2), count(first, 75, 3)}, 75, 3},
		{"new worker that counted further", []bus.CameraCounters{count(first, 25, 1), count(second, 30, 1)}, 55, 2},
		{"frames fell", []bus.CameraCounters{count(first, 25, 1), count(first, 5, 1)}, 30, 2},
		{"drops fell", []bus.CameraCounters{count(first, 25, 3), count(first, 30, 1)}, 55, 4},
		{"nothing", []bus.CameraCounters{count(first, 0, 0)}, 0, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			to := &books{sums: sums{}}
			s := New(never, nil, to, to, slog.New(slog.DiscardHandler))
			for _, m := range c.messages {
				s.health(bus.HealthReport{Time: nine, Cameras: []bus.CameraCounters{m}})
			}
			if c.frames == 0 {
				require.Empty(t, s.sums)
				return
			}
			d := s.sums.at("door", "default", 1, nine)
			require.Equal(t, c.frames, d.Frames)
			require.Equal(t, c.stale, d.Drops["stale"])
		})
	}
}

func TestStoreThatFailsForAWhile(t *testing.T) {
	b, to := openBus(t), &books{sums: sums{}, err: errors.New("disk is full")}
	s, stop := start(t, Config{Write: 5 * time.Millisecond, Merge: 5 * time.Millisecond}, b, to)
	for range 100 {
		b.Publish(bus.Subject(bus.Inferences, "door"), inference("door", nine))
	}
	require.Eventually(t, func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return len(s.pending) == 100
	}, 10*time.Second, time.Millisecond)
	to.fail(nil)
	require.Eventually(t, func() bool { return to.stored() == 100 }, 10*time.Second, time.Millisecond)
	stop()
	require.EqualValues(t, 100, to.at("door", nine).Inferences)
	require.Zero(t, s.Stats().Lost)
}

func TestWhatCannotBeStoredIsCounted(t *testing.T) {
	b, to := openBus(t), &books{sums: sums{}, err: errors.New("disk is full")}
	s, stop := start(t, Config{Write: time.Hour, Merge: time.Hour, MaxPending: 10}, b, to)
	for range 15 {
		b.Publish(bus.Subject(bus.Inferences, "door"), inference("door", nine))
	}
	require.NoError(t, b.Flush())
	stop()
	require.Equal(t, Stats{Lost: 15 + 1}, s.Stats(), "15 inferences and the sum of the hour")
}

func TestMessagesThatCannotBeUsed(t *testing.T) {
	b, to := openBus(t), &books{sums: sums{}}
	s, stop := start(t, never, b, to)
	b.Publish(bus.Subject(bus.Inferences, "door"), "what")
	b.Publish(bus.Health, 3)
	b.Publish(bus.Subject(bus.Inferences, "gone"), inference("gone", nine))
	b.Publish(bus.Subject(bus.Inferences, "door"), inference("door", nine))
	stop()
	require.Equal(t, Stats{Stored: 2, Merged: 1, Lost: 1, Malformed: 2}, s.Stats())
}
