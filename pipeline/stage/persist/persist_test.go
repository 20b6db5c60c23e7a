package persist

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"detectd/store"
)

// fake is read by a test while the writer runs.
type fake struct {
	mu          sync.Mutex
	fail        bool
	annotations []store.Annotation
	tracks      []store.Track
}

func (f *fake) PutAnnotations(_ context.Context, as []store.Annotation) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.fail {
		return errors.New("disk full")
	}
	f.annotations = append(f.annotations, as...)
	return nil
}

func (f *fake) PutTracks(ctx context.Context, ts []store.Track) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.fail {
		return errors.New("disk full")
	}
	f.tracks = append(f.tracks, ts...)
	return ctx.Err()
}

func TestWriterBatchesAndFlushesAtTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, lost := &fake{}, map[string]int{}
		w := New(Config{}, f, f, func(id string, n int) { lost[id] += n }, slog.New(slog.DiscardHandler))
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- w.Run(ctx) }()

		w.Annotations([]store.Annotation{{CameraID: "a", Frame: 1}, {CameraID: "a", Frame: 2}})
		w.Track(store.Track{ID: "a-1", Frames: 1})
		w.Track(store.Track{ID: "a-1", Frames: 2})
		time.Sleep(time.Second)
		f.mu.Lock()
		require.Len(t, f.annotations, 2)
		require.Equal(t, []store.Track{{ID: "a-1", Frames: 2}}, f.tracks, "only the newest version is written")
		f.mu.Unlock()

		w.Annotations([]store.Annotation{{CameraID: "a", Frame: 3}})
		w.Track(store.Track{ID: "a-1", Frames: 3, Ended: true})
		cancel()
		require.NoError(t, <-done)
		require.Len(t, f.annotations, 3, "what was pending is written after ctx ended")
		require.True(t, f.tracks[1].Ended)
		require.Empty(t, lost)
	})
}

// TestWriterCountsTracksThatOverflow: of more tracks than are kept for another try, the
// rest is lost; an older version of one that has changed is no loss.
func TestWriterCountsTracksThatOverflow(t *testing.T) {
	f, lost := &fake{fail: true}, map[string]int{}
	w := New(Config{MaxPending: 3}, f, f, func(id string, n int) { lost[id] += n }, slog.New(slog.DiscardHandler))
	for _, id := range []string{"1", "2", "3", "4", "5"} {
		w.Track(store.Track{ID: id, CameraID: "a"})
	}
	w.flush(t.Context())
	require.Equal(t, map[string]int{"a": 2}, lost, "two of five are not kept")
	w.flush(t.Context())
	require.Equal(t, map[string]int{"a": 2}, lost, "the other three are tried again")
	f.fail = false
	w.flush(t.Context())
	require.Len(t, f.tracks, 3)
	for _, id := range []string{"1", "2", "3"} {
		w.Track(store.Track{ID: id, CameraID: "a", Frames: 2})
	}
	w.retry(store.Track{ID: "1", CameraID: "a", Frames: 1})
	require.Equal(t, map[string]int{"a": 2}, lost)
}

func TestWriterCountsWhatItLoses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, lost := &fake{fail: true}, atomic.Int64{}
		w := New(Config{MaxPending: 3}, f, f, func(_ string, n int) { lost.Add(int64(n)) }, slog.New(slog.DiscardHandler))
		for i := range 5 {
			w.Annotations([]store.Annotation{{CameraID: "a", Frame: uint64(i)}})
		}
		require.EqualValues(t, 2, lost.Load(), "two did not fit")
		w.Track(store.Track{ID: "a-1", Frames: 1})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- w.Run(ctx) }()
		time.Sleep(time.Second)
		require.EqualValues(t, 5, lost.Load(), "three could not be written")
		f.mu.Lock()
		f.fail = false
		f.mu.Unlock()
		time.Sleep(time.Second)
		f.mu.Lock()
		require.Equal(t, []store.Track{{ID: "a-1", Frames: 1}}, f.tracks, "a track is tried again")
		f.mu.Unlock()
		cancel()
		require.NoError(t, <-done)
	})
}
