package badger

import (
	"bytes"
	"context"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/dgraph-io/badger/v4"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"detectd/store"
	"detectd/store/storetest"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		os.Exit(child(dir))
	}
	if dir := os.Getenv(writerDir); dir != "" {
		os.Exit(keepWriting(dir))
	}
	goleak.VerifyTestMain(m)
}

func openTest(t *testing.T, dir string, ttl time.Duration, log *slog.Logger) *Store {
	t.Helper()
	s, err := Open(dir, ttl, log)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

func TestConformance(t *testing.T) {
	storetest.RunSeries(t, func(t *testing.T, dir string) store.Series { return openTest(t, dir, 24*time.Hour, quiet()) })
}

func TestKeysSort(t *testing.T) {
	var ascending []place
	for _, micros := range []int64{math.MinInt64, -dayMicros - 1, -1, 0, 1, dayMicros - 1, dayMicros, 1_770_000_000_000_000, math.MaxInt64} {
		for _, frame := range []uint64{0, 1, math.MaxUint64} {
			ascending = append(ascending, place{Time: micros, Camera: "door", Frame: frame})
		}
	}
	for i, p := range ascending {
		got, err := parse(key(annotations, p))
		require.NoError(t, err)
		require.Equal(t, p, got)
		require.Equal(t, dayOf(p.Time), dayIn(key(annotations, p)))
		if i > 0 {
			require.Negative(t, bytes.Compare(key(annotations, ascending[i-1]), key(annotations, p)), "%v", p)
			require.True(t, p.newer(ascending[i-1]))
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(key(annotations, place{Time: 1, Camera: "a", Frame: 2}))
	f.Add([]byte{})
	f.Add(bytes.Repeat([]byte{0}, 30))
	f.Fuzz(func(t *testing.T, k []byte) {
		p, err := parse(k)
		if err != nil || dayOf(p.Time) != dayIn(k) {
			return
		}
		require.Equal(t, k, key(k[0], p))
	})
}

func somewhen(day int) time.Time { return time.Date(2026, 3, day, 12, 0, 0, 0, time.UTC) }

func put(t *testing.T, s *Store, day, frames int) {
	t.Helper()
	var all []store.Annotation
	for n := range frames {
		all = append(all, store.Annotation{
			CameraID: "door", Time: somewhen(day).Add(time.Duration(n) * time.Millisecond), Kind: "detected",
			Objects: []store.Object{{Label: "person"}},
		})
	}
	require.NoError(t, s.PutAnnotations(t.Context(), all))
}

// allDays lists the days that have keys on disk, expired or not.
func allDays(t *testing.T, s *Store) (all []int64) {
	t.Helper()
	require.NoError(t, s.view(func(txn *badger.Txn) error {
		all = days(txn, annotations, everything())
		return nil
	}))
	return all
}

func TestExpiredDaysAreDropped(t *testing.T) {
	dir := t.TempDir()
	s := openTest(t, dir, time.Second, quiet())
	put(t, s, 14, 2000)
	require.NoError(t, s.Close())

	s = openTest(t, dir, time.Hour, quiet()) // what is written now stays
	put(t, s, 15, 10)
	require.Eventually(t, func() bool {
		got, err := s.Annotations(t.Context(), "door", store.Range{To: somewhen(15)}, 0)
		return err == nil && len(got) == 0
	}, 10*time.Second, 50*time.Millisecond, "entries expire")
	require.Len(t, allDays(t, s), 2, "and still take space")

	require.NoError(t, s.collect(t.Context()))
	require.Equal(t, []int64{dayOf(somewhen(15).UnixMicro())}, allDays(t, s))
	got, err := s.Annotations(t.Context(), "door", store.Range{}, 0)
	require.NoError(t, err)
	require.Len(t, got, 10)
	put(t, s, 14, 1)
	require.Len(t, allDays(t, s), 2, "a dropped day can be written again")
}

func TestScanIsBounded(t *testing.T) {
	page, err := newPager[int](store.Page{Limit: 10})
	require.NoError(t, err)
	none := func(int) bool { return false }
	n := 0
	for page.add(place{Time: int64(-n), Camera: "door"}, []int{1, 2}, none) {
		n++
	}
	require.Equal(t, mostScanned-1, n)
	rows, next := page.result()
	require.Empty(t, rows)
	require.NotEmpty(t, next)

	page, err = newPager[int](store.Page{Limit: 10, Cursor: next})
	require.NoError(t, err)
	all := func(int) bool { return true }
	require.True(t, page.add(place{Time: int64(-n), Camera: "door"}, []int{1, 2}, all), "looked at already")
	require.True(t, page.add(place{Time: int64(-n - 1), Camera: "door"}, []int{3}, all))
	rows, next = page.result()
	require.Equal(t, []int{3}, rows)
	require.Empty(t, next)
}

func TestRunEndsWithItsContext(t *testing.T) {
	s := openTest(t, t.TempDir(), time.Hour, quiet())
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- s.Run(ctx) }()
	cancel()
	require.NoError(t, <-done)
}

func TestSecondOpenerLeavesTheFirstAlone(t *testing.T) {
	dir := t.TempDir()
	s := openTest(t, dir, 0, quiet())
	put(t, s, 14, 10)
	_, err := Open(dir, 0, quiet())
	require.ErrorContains(t, err, "directory lock")
	got, err := s.Annotations(t.Context(), "door", store.Range{}, 0)
	require.NoError(t, err)
	require.Len(t, got, 10)
}

func TestLoggerLowersLevels(t *testing.T) {
	var log bytes.Buffer
	l := logger{slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelInfo}))}
	l.Errorf("bad %d\n", 1)
	l.Warningf("odd")
	l.Infof("chatter")
	l.Debugf("chatter")
	require.Equal(t, 2, strings.Count(log.String(), "level=WARN"))
	require.NotContains(t, log.String(), "chatter")
	require.Contains(t, log.String(), `msg="badger: bad 1"`)
}

func TestOpenRefuses(t *testing.T) {
	_, err := Open(t.TempDir(), -time.Second, quiet())
	require.ErrorContains(t, err, "negative")
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, []byte("mine"), 0o600))
	_, err = Open(file, 0, quiet())
	require.Error(t, err)
	require.FileExists(t, file)
}
