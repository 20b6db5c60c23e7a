package garbage

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"detectd/store"
	"detectd/store/blob"
	"detectd/store/sqlite"
	"detectd/store/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// nothing is an index without records.
type nothing struct{}

func (nothing) BlobInUse(context.Context, string) (bool, error) { return false, nil }

func open(t *testing.T, cfg Config, index Index, dir string) *Blobs {
	t.Helper()
	files, err := blob.Open("file://" + dir)
	require.NoError(t, err)
	b := New(cfg, files, index, slog.New(slog.DiscardHandler))
	t.Cleanup(func() { require.NoError(t, b.Close()) })
	return b
}

func records(t *testing.T) *sqlite.Store {
	t.Helper()
	s, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "detectd.db"), slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

func put(t *testing.T, b store.Blobs, text string) string {
	t.Helper()
	address, _, err := b.Put(t.Context(), strings.NewReader(text))
	require.NoError(t, err)
	return address
}

func has(t *testing.T, b store.Blobs, address string) bool {
	t.Helper()
	r, _, err := b.Open(t.Context(), address)
	if err != nil {
		require.ErrorIs(t, err, store.ErrNotFound)
		return false
	}
	require.NoError(t, r.Close())
	return true
}

func TestConformance(t *testing.T) {
	storetest.RunBlobs(t, func(t *testing.T, dir string) store.Blobs {
		return open(t, Config{Lease: time.Nanosecond}, nothing{}, dir)
	})
}

func TestSweep(t *testing.T) {
	ctx, dir, index := t.Context(), t.TempDir(), records(t)
	b := open(t, Config{}, index, dir)
	model, input, picture, left := put(t, b, "model"), put(t, b, "input"), put(t, b, "picture"), put(t, b, "left by a crash")
	_, err := index.AddModelVersion(ctx, store.Model{Name: "m"}, store.ModelVersion{SHA256: model})
	require.NoError(t, err)
	require.NoError(t, index.PutResult(ctx, store.Result{ID: "r", Input: input, SHA256: picture}))

	r, err := b.Sweep(ctx, false)
	require.NoError(t, err)
	require.Equal(t, Report{Blobs: 4, Bytes: 32, Skipped: 1}, r, "what was just put may be about to be named")

	var told []int64
	b = open(t, Config{Collected: func(n int, bytes int64) { told = append(told, int64(n), bytes) }}, index, dir) // leases end with the process
	r, err = b.Sweep(ctx, true)
	require.NoError(t, err)
	want := Report{Blobs: 4, Bytes: 32, Unused: 1, Freed: 15}
	require.Equal(t, want, r)
	require.True(t, has(t, b, left), "a dry run deletes nothing")
	r, err = b.Sweep(ctx, false)
	require.NoError(t, err)
	require.Equal(t, want, r)
	require.False(t, has(t, b, left))
	require.Equal(t, []int64{1, 15}, told)

	require.NoError(t, b.Delete(ctx, input))
	require.True(t, has(t, b, input), "a result names it")
	require.NoError(t, index.DeleteResult(ctx, "r"))
	require.NoError(t, b.Delete(ctx, input))
	require.False(t, has(t, b, input), "freed at once")
	blobs, bytes := b.Collected()
	require.Equal(t, []int64{2, 20}, []int64{blobs, bytes})
	r, err = b.Sweep(ctx, false)
	require.NoError(t, err)
	require.Equal(t, Report{Blobs: 2, Bytes: 12, Unused: 1, Freed: 7}, r)
	require.True(t, has(t, b, model))
}

func TestNothingGoesWhileSomebodyReliesOnIt(t *testing.T) {
	dir := t.TempDir()
	address := put(t, open(t, Config{}, nothing{}, dir), "x")
	busy := true
	b := open(t, Config{Alone: func(fn func() error) (bool, error) {
		if busy {
			return false, nil
		}
		return true, fn()
	}}, nothing{}, dir)
	r, err := b.Sweep(t.Context(), false)
	require.NoError(t, err)
	require.Equal(t, Report{Blobs: 1, Bytes: 1, Skipped: 1}, r)
	require.True(t, has(t, b, address))
	busy = false
	require.NoError(t, b.Delete(t.Context(), address))
	require.False(t, has(t, b, address))
}

func TestPutIsNotWaitedFor(t *testing.T) {
	dir := t.TempDir()
	address := put(t, open(t, Config{}, nothing{}, dir), "x")
	b := open(t, Config{}, nothing{}, dir)
	source, sink := io.Pipe()
	done := make(chan error)
	go func() {
		_, _, err := b.Put(t.Context(), source)
		done <- err
	}()
	_, err := sink.Write([]byte("x"))
	require.NoError(t, err)
	require.NoError(t, b.Delete(t.Context(), address), "the same blob is on its way")
	require.True(t, has(t, b, address))
	require.NoError(t, sink.Close())
	require.NoError(t, <-done)
	require.True(t, has(t, b, address))
}

func TestRunSweepsAtOnce(t *testing.T) {
	dir := t.TempDir()
	address := put(t, open(t, Config{}, nothing{}, dir), "x")
	ctx, cancel := context.WithCancel(t.Context())
	collected := make(chan struct{})
	b := open(t, Config{Collected: func(int, int64) { close(collected) }}, nothing{}, dir)
	done := make(chan error)
	go func() { done <- b.Run(ctx) }()
	<-collected
	cancel()
	require.NoError(t, <-done)
	require.False(t, has(t, b, address))
}

// TestNamedBlobsStay has many callers add and remove records of the same few
// blobs while sweeps run: every record has its blob for as long as it is there.
func TestNamedBlobsStay(t *testing.T) {
	ctx, index := t.Context(), records(t)
	b := open(t, Config{Lease: time.Second}, index, t.TempDir())
	over, stop := context.WithCancel(ctx)
	sweeps := make(chan struct{})
	go func() {
		defer close(sweeps)
		for over.Err() == nil {
			if _, err := b.Sweep(ctx, false); err != nil {
				t.Errorf("sweep: %v", err)
			}
		}
	}()
	var group sync.WaitGroup
	for worker := range 6 {
		group.Go(func() {
			for i := range 30 {
				if err := useOnce(ctx, b, index, fmt.Sprintf("%d-%d", worker, i), fmt.Sprint(i%2)); err != nil {
					t.Errorf("worker %d: %v", worker, err)
					return
				}
			}
		})
	}
	group.Wait()
	stop()
	<-sweeps
}

func useOnce(ctx context.Context, b *Blobs, index *sqlite.Store, id, text string) error {
	address, _, err := b.Put(ctx, strings.NewReader(text))
	if err != nil {
		return err
	}
	if err := index.PutResult(ctx, store.Result{ID: id, SHA256: address}); err != nil {
		return err
	}
	r, _, err := b.Open(ctx, address)
	if err != nil {
		return fmt.Errorf("a record names it: %w", err)
	}
	if err := r.Close(); err != nil {
		return err
	}
	if err := index.DeleteResult(ctx, id); err != nil {
		return err
	}
	return b.Delete(ctx, address)
}
