package sqlite

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"detectd/store"
)

// BenchmarkTimeline reads the minutes of a day out of a month of 16 cameras: a
// file every 10 s, a track every 20 s, an event every 30 s.
func BenchmarkTimeline(b *testing.B) {
	s := monthOf16(b, filepath.Join(b.TempDir(), "detectd.db"))
	defer func() { require.NoError(b, s.Close()) }()
	b.ResetTimer()
	for range b.N {
		readDay(b, s)
	}
}

// BenchmarkTimelineFirst is the first such call after the database was opened, with
// nothing of its file in memory.
func BenchmarkTimelineFirst(b *testing.B) {
	path := filepath.Join(b.TempDir(), "detectd.db")
	require.NoError(b, monthOf16(b, path).Close())
	var slowest time.Duration
	b.ResetTimer()
	for range b.N {
		b.StopTimer()
		f, err := os.Open(path)
		require.NoError(b, err)
		require.NoError(b, unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED))
		require.NoError(b, f.Close())
		s, err := Open(b.Context(), path, slog.New(slog.DiscardHandler))
		require.NoError(b, err)
		began := time.Now()
		b.StartTimer()
		readDay(b, s)
		b.StopTimer()
		slowest = max(slowest, time.Since(began))
		require.NoError(b, s.Close())
		b.StartTimer()
	}
	b.ReportMetric(float64(slowest.Milliseconds()), "ms-slowest")
}

func readDay(b *testing.B, s *Store) {
	b.Helper()
	day := time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC)
	got, err := s.Timeline(b.Context(), "cam-7", store.Range{From: day, To: day.AddDate(0, 0, 1)}, time.Minute)
	require.NoError(b, err)
	require.Len(b, got, 1440)
}

func monthOf16(b *testing.B, path string) *Store {
	b.Helper()
	s, err := Open(b.Context(), path, slog.New(slog.DiscardHandler))
	require.NoError(b, err)
	_, err = s.CreateClient(b.Context(), store.Client{ID: "a", Name: "a"})
	require.NoError(b, err)
	const month = 30 * 86400
	begin := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	fill := func(query string, args ...any) {
		_, err := s.w.ExecContext(b.Context(), query, args...)
		require.NoError(b, err)
	}
	for i := range 16 {
		id := fmt.Sprintf("cam-%d", i)
		_, err = s.CreateCamera(b.Context(), store.Camera{ID: id, ClientID: "a", Name: id, URL: "rtsp://h/x", Transport: "auto", Record: "continuous"})
		require.NoError(b, err)
		const numbers = `WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < ?3 - 1) `
		fill(numbers+`INSERT INTO segments (camera_id, start_us, end_us, path, bytes, frames, codec, width, height, clock, time_error_us)
			SELECT ?1, ?2 + i * 10000000, ?2 + (i + 1) * 10000000, ?1 || '/' || i, 5000000, 300, 'h264', 1920, 1080, 'rtcp', 0 FROM n`, id, micros(begin), month/10)
		fill(numbers+`INSERT INTO tracks (`+trackColumns+`)
			SELECT ?1 || '-' || i, ?1, 0, 'person', ?2 + i * 20000000, ?2 + i * 20000000 + 15000000, 1, 30, 0.9, ?2, 0, 0, 1, 1, 'default', 1, 'rtcp', 0 FROM n`, id, micros(begin), month/20)
		fill(numbers+`INSERT INTO events (time_us, kind, camera_id, client_id, message, data)
			SELECT ?2 + i * 30000000, 'track.ended', ?1, 'a', 'x', 'null' FROM n`, id, micros(begin), month/30)
	}
	return s
}
