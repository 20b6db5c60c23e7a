package persist

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"detectd/store"
)

type fake struct {
	fail        bool
	annotations []store.Annotation
	tracks      []store.Track
}

func (f *fake) PutAnnotations(_ context.Context, as []store.Annotation) error {
	if f.fail {
		return errors.New("disk full")
	}
	f.annotations = append(f.annotations, as...)
	return nil
}

func (f *fake) PutTrack(ctx context.Context, t store.Track) error {
	if f.fail {
		return errors.New("disk full")
	}
	f.tracks = append(f.tracks, t)
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
		synctest.Wait()
		require.Len(t, f.annotations, 2)
		require.Equal(t, []store.Track{{ID: "a-1", Frames: 2}}, f.tracks, "only the newest version is written")

		w.Annotations([]store.Annotation{{CameraID: "a", Frame: 3}})
		w.Track(store.Track{ID: "a-1", Frames: 3, Ended: true})
		cancel()
		require.NoError(t, <-done)
		require.Len(t, f.annotations, 3, "what was pending is written after ctx ended")
		require.True(t, f.tracks[1].Ended)
		require.Empty(t, lost)
	})
}

func TestWriterCountsWhatItLoses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, lost := &fake{fail: true}, map[string]int{}
		w := New(Config{MaxPending: 3}, f, f, func(id string, n int) { lost[id] += n }, slog.New(slog.DiscardHandler))
		for i := range 5 {
			w.Annotations([]store.Annotation{{CameraID: "a", Frame: uint64(i)}})
		}
		require.Equal(t, 2, lost["a"], "two did not fit")
		w.Track(store.Track{ID: "a-1", Frames: 1})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- w.Run(ctx) }()
		time.Sleep(time.Second)
		synctest.Wait()
		require.Equal(t, 5, lost["a"], "three could not be written")
		f.fail = false
		time.Sleep(time.Second)
		synctest.Wait()
		require.Equal(t, []store.Track{{ID: "a-1", Frames: 1}}, f.tracks, "a track is tried again")
		cancel()
		require.NoError(t, <-done)
	})
}
