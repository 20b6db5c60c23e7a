package report

import (
	"context"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"detectd/pipeline/bus"
	"detectd/store"
	"detectd/store/badger"
	"detectd/store/sqlite"
)

// The whole way, from the bus to what the API reads.
func TestWithTheRealStores(t *testing.T) {
	b, quiet := openBus(t), slog.New(slog.DiscardHandler)
	records, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "detectd.db"), quiet)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, records.Close()) })
	metrics, err := badger.Open(t.TempDir(), 0, quiet)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, metrics.Close()) })

	s := New(Config{Write: 20 * time.Millisecond, Merge: 20 * time.Millisecond}, b, records, metrics, quiet)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	<-s.Ready()
	hour := time.Now().UTC().Truncate(time.Hour)
	for i := range 200 {
		at := hour.Add(time.Duration(i%2) * time.Hour).Add(time.Duration(i) * time.Millisecond)
		b.Publish(bus.Subject(bus.Inferences, "door"), inference("door", at))
		b.Publish(bus.Health, bus.HealthReport{Time: at, Cameras: []bus.CameraCounters{{
			CameraID: "door", Model: "default", Version: 1, Frames: uint64(6 * (i + 1)), Drops: map[string]uint64{"stale": uint64(i)},
		}}})
	}
	cancel()
	require.NoError(t, <-done)
	require.Zero(t, s.Stats().Lost)

	got, _, err := metrics.ListInferences(t.Context(), "door", store.Range{}, store.Page{Limit: 1000})
	require.NoError(t, err)
	require.Len(t, got, 200)
	list, err := records.ListReports(t.Context(), store.ReportQuery{Period: "hour", CameraID: "door"})
	require.NoError(t, err)
	require.Len(t, list, 2)
	for _, r := range list {
		require.EqualValues(t, 100, r.Inferences)
		require.EqualValues(t, 600, r.Frames)
		require.EqualValues(t, 300, r.Detections)
		require.InDelta(t, 0.7, r.MeanScore, 1e-6)
		require.InDelta(t, 40, r.P95.Seconds()*1000, 4)
	}
	require.EqualValues(t, 199, list[0].Drops["stale"]+list[1].Drops["stale"])
}
