package retain_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"detectd/pipeline/stage/retain"
	"detectd/store"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("database/sql.(*DB).connectionOpener"))
}

var now = time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)

// index is an index in memory. steps notes what is asked of it.
type index struct {
	t       *testing.T
	root    string
	rows    []store.Segment
	garbage []string
	steps   []string
}

func (x *index) OldestSegments(_ context.Context, n int) ([]store.Segment, error) {
	slices.SortFunc(x.rows, func(a, b store.Segment) int { return a.Start.Compare(b.Start) })
	return slices.Clone(x.rows[:min(n, len(x.rows))]), nil
}

func (x *index) SegmentBytes(context.Context) (n int64, err error) {
	for _, s := range x.rows {
		n += s.Bytes
	}
	return n, nil
}

func (x *index) DropSegments(_ context.Context, ids []int64) error {
	x.rows = slices.DeleteFunc(x.rows, func(s store.Segment) bool {
		if !slices.Contains(ids, s.ID) {
			return false
		}
		_, err := os.Lstat(filepath.Join(x.root, s.Path))
		require.NoError(x.t, err, "the row goes before the file")
		x.garbage = append(x.garbage, s.Path)
		return true
	})
	x.steps = append(x.steps, fmt.Sprint("drop ", ids))
	return nil
}

func (x *index) Garbage(_ context.Context, n int) ([]string, error) {
	return slices.Clone(x.garbage[:min(n, len(x.garbage))]), nil
}

func (x *index) ForgetGarbage(_ context.Context, paths []string) error {
	for _, p := range paths {
		require.NoFileExists(x.t, filepath.Join(x.root, p), "the file goes before the entry")
	}
	x.garbage = slices.DeleteFunc(x.garbage, func(p string) bool { return slices.Contains(paths, p) })
	x.steps = append(x.steps, fmt.Sprint("forget ", len(paths)))
	return nil
}

// recordings makes n segments of 100 bytes, one an hour up to now, oldest first.
func recordings(t *testing.T, n int) *index {
	t.Helper()
	x := &index{t: t, root: t.TempDir()}
	for i := range n {
		start := now.Add(time.Duration(i-n) * time.Hour)
		p := fmt.Sprintf("cam%d/%s/%d.mp4", i%2, start.Format(time.DateOnly), i)
		require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(x.root, p)), 0o750))
		require.NoError(t, os.WriteFile(filepath.Join(x.root, p), make([]byte, 100), 0o600))
		x.rows = append(x.rows, store.Segment{ID: int64(i), Path: p, Start: start, End: start.Add(time.Hour), Bytes: 100})
	}
	return x
}

func (x *index) left() (ids []int64) {
	for _, s := range x.rows {
		ids = append(ids, s.ID)
	}
	return ids
}

func TestOldestGoFirst(t *testing.T) {
	for _, tc := range []struct {
		name  string
		cfg   retain.Config
		first int64 // the oldest that stays, of 200
	}{
		{"no limits", retain.Config{}, 0},
		{"within the limits", retain.Config{MaxBytes: 20000, MaxAge: 400 * time.Hour, Reserve: 10000}, 0},
		{"size", retain.Config{MaxBytes: 2050}, 180},
		{"age", retain.Config{MaxAge: 24 * time.Hour}, 175},
		{"free space", retain.Config{Reserve: 15000}, 50},
		{"the strictest counts", retain.Config{MaxBytes: 5000, MaxAge: 10 * time.Hour, Reserve: 10500}, 189},
		{"nothing helps", retain.Config{Reserve: 1 << 40}, 200},
	} {
		t.Run(tc.name, func(t *testing.T) {
			x := recordings(t, 200)
			tc.cfg.Root, tc.cfg.Now = x.root, func() time.Time { return now }
			tc.cfg.Free = func(string) (int64, error) { // 30000 bytes, 20000 of them recorded
				n := int64(30000)
				return n - 100*int64(len(files(t, x.root))), nil
			}
			segments, bytes := 0, int64(0)
			r, err := retain.New(tc.cfg, x, slog.New(slog.DiscardHandler), func(n int, b int64) { segments, bytes = segments+n, bytes+b })
			require.NoError(t, err)
			require.NoError(t, r.Sweep(t.Context()))
			require.Len(t, x.left(), int(200-tc.first))
			if tc.first < 200 {
				require.Equal(t, tc.first, x.left()[0])
			}
			require.Len(t, files(t, x.root), len(x.rows))
			require.Empty(t, x.garbage)
			require.EqualValues(t, tc.first, segments)
			require.Equal(t, 100*tc.first, bytes)
		})
	}
}

func files(t *testing.T, root string) []string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(root, "*", "*", "*"))
	require.NoError(t, err)
	return found
}

func TestLeftoversAreFinished(t *testing.T) {
	x := recordings(t, 4)
	// The process died: a row is dropped and its file is there, another's is gone.
	x.garbage = []string{x.rows[0].Path, x.rows[1].Path, "cam9/2020-01-01/gone.mp4"}
	require.NoError(t, os.Remove(filepath.Join(x.root, x.rows[1].Path)))
	x.rows = x.rows[2:]
	r, err := retain.New(retain.Config{Root: x.root}, x, slog.New(slog.DiscardHandler), nil)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.NoError(t, r.Sweep(ctx))
	require.Empty(t, x.garbage)
	require.Equal(t, []string{"forget 3"}, x.steps)
	require.Len(t, files(t, x.root), 2)
}

func TestEmptyFoldersGo(t *testing.T) {
	x := recordings(t, 100)
	r, err := retain.New(retain.Config{Root: x.root, MaxBytes: 1, Now: func() time.Time { return now }}, x, slog.New(slog.DiscardHandler), nil)
	require.NoError(t, err)
	require.NoError(t, r.Sweep(t.Context()))
	days, err := filepath.Glob(filepath.Join(x.root, "*", "*"))
	require.NoError(t, err)
	require.Len(t, days, 4, "two cameras, today and yesterday")
}

func TestFileThatCannotGoStopsTheSweep(t *testing.T) {
	x := recordings(t, 200)
	stuck := filepath.Join(x.root, x.rows[0].Path)
	require.NoError(t, os.Remove(stuck))
	require.NoError(t, os.MkdirAll(filepath.Join(stuck, "not empty"), 0o750))
	r, err := retain.New(retain.Config{Root: x.root, MaxBytes: 1}, x, slog.New(slog.DiscardHandler), nil)
	require.NoError(t, err)
	require.ErrorContains(t, r.Sweep(t.Context()), "delete recording")
	require.Len(t, x.garbage, 1)
	require.Len(t, x.rows, 136, "one step and no more")
}

func TestPathsOutsideAreNotTouched(t *testing.T) {
	x := recordings(t, 1)
	outside := filepath.Join(filepath.Dir(x.root), "precious")
	require.NoError(t, os.WriteFile(outside, nil, 0o600))
	x.garbage = []string{"../precious"}
	r, err := retain.New(retain.Config{Root: x.root}, x, slog.New(slog.DiscardHandler), nil)
	require.NoError(t, err)
	require.Error(t, r.Sweep(t.Context()))
	require.FileExists(t, outside)
}

func TestRun(t *testing.T) {
	x := recordings(t, 10)
	old, young := filepath.Join(x.root, "gone", "a.mp4.part"), filepath.Join(x.root, "gone", "b.mp4.part")
	require.NoError(t, os.Mkdir(filepath.Dir(old), 0o750))
	for path, age := range map[string]time.Duration{old: 25 * time.Hour, young: time.Hour} {
		require.NoError(t, os.WriteFile(path, nil, 0o600))
		require.NoError(t, os.Chtimes(path, time.Time{}, now.Add(-age)))
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan error)
	fails := 0
	broken := &failing{index: x, until: 3, calls: &fails}
	r, err := retain.New(retain.Config{Root: x.root, MaxBytes: 300, Interval: time.Millisecond, Now: func() time.Time { return now }},
		broken, slog.New(slog.DiscardHandler), func(int, int64) { cancel() })
	require.NoError(t, err)
	go func() { done <- r.Run(ctx) }()
	require.NoError(t, <-done)
	require.Len(t, x.rows, 3)
	require.NoFileExists(t, old)
	require.FileExists(t, young)
}

// failing fails the first calls of SegmentBytes.
type failing struct {
	*index
	until int
	calls *int
}

func (f *failing) SegmentBytes(ctx context.Context) (int64, error) {
	if *f.calls++; *f.calls <= f.until {
		return 0, errors.New("busy")
	}
	return f.index.SegmentBytes(ctx)
}

func TestConfig(t *testing.T) {
	for _, cfg := range []retain.Config{{}, {Root: "x", MaxBytes: -1}, {Root: "x", MaxAge: -1}, {Root: "x", Reserve: -1}} {
		_, err := retain.New(cfg, &index{}, slog.New(slog.DiscardHandler), nil)
		require.Error(t, err)
	}
}

func TestFreeAsksTheSystem(t *testing.T) {
	x := recordings(t, 1)
	r, err := retain.New(retain.Config{Root: x.root, Reserve: 1}, x, slog.New(slog.DiscardHandler), nil)
	require.NoError(t, err)
	require.NoError(t, r.Sweep(t.Context()))
	require.Len(t, x.rows, 1, "a byte is free where tests run")
}
