package render_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"detectd/pipeline/bus"
	"detectd/pipeline/stage/render"
	"detectd/store"
)

// stuck makes the detector wait at frame 10 until its job is stopped. The
// channel tells when it has got there.
func (r *rig) stuck() <-chan struct{} {
	there := make(chan struct{}, 100)
	r.model.before = func(ctx context.Context, n int) error {
		if n < 10 {
			return nil
		}
		there <- struct{}{}
		<-ctx.Done()
		return ctx.Err()
	}
	return there
}

func TestRestartInTheMiddleOfAJob(t *testing.T) {
	r := newRig(t)
	there := r.stuck()
	r.submit(t, "v", video(t, 30))
	_, stop := r.run(t)
	<-there
	stop()
	res, err := r.records.Result(t.Context(), "v")
	require.NoError(t, err)
	require.Equal(t, []any{store.ResultQueued, ""}, []any{res.State, res.Error})
	r.tidy(t)

	r.model = &reader{}
	_, stop = r.run(t)
	require.Equal(t, store.ResultDone, r.wait(t, "v").State)
	require.Len(t, watch(t, r.content(t, r.wait(t, "v").SHA256)), 30)
	stop()
	done := r.wait(t, "v")

	// Handed out again, it is not done again.
	require.NoError(t, r.deps.Bus.Enqueue(t.Context(), bus.RenderWork, "again", bus.RenderJob{ResultID: "v"}))
	r.submit(t, "after", video(t, 3))
	r.run(t)
	r.wait(t, "after")
	require.Equal(t, done, r.wait(t, "v"))
}

func TestBreakdownInTheMiddleOfAJob(t *testing.T) {
	r := newRig(t)
	broken := func(id, note string) {
		r.submit(t, id, video(t, 5))
		res, err := r.records.Result(t.Context(), id)
		require.NoError(t, err)
		res.State, res.Error = store.ResultRunning, note
		require.NoError(t, r.records.PutResult(t.Context(), res))
	}
	broken("once", "")
	broken("three-times", "interrupted twice, tried again")
	// The queue does not have this one.
	require.NoError(t, r.records.PutResult(t.Context(), store.Result{ID: "lost", Kind: "film", State: store.ResultQueued}))
	r.run(t)
	res := r.wait(t, "once")
	require.Equal(t, []any{store.ResultDone, ""}, []any{res.State, res.Error})
	res = r.wait(t, "three-times")
	require.Equal(t, store.ResultFailed, res.State)
	require.Contains(t, res.Error, "broke down")
	require.Contains(t, r.wait(t, "lost").Error, "film")
}

func TestRemove(t *testing.T) {
	r := newRig(t)
	there := r.stuck()
	r.submit(t, "v", video(t, 30))
	r.submit(t, "waiting", video(t, 29))
	r.submit(t, "after", video(t, 9))
	s, _ := r.run(t)
	<-there
	for _, id := range []string{"v", "waiting"} {
		res, err := r.records.Result(t.Context(), id)
		require.NoError(t, err)
		require.NoError(t, s.Remove(t.Context(), id))
		_, err = r.records.Result(t.Context(), id)
		require.ErrorIs(t, err, store.ErrNotFound)
		_, _, err = r.blobs.Open(t.Context(), res.Input)
		require.ErrorIs(t, err, store.ErrNotFound)
	}
	require.ErrorIs(t, s.Remove(t.Context(), "v"), store.ErrNotFound)
	res := r.wait(t, "after")
	require.Equal(t, store.ResultDone, res.State)
	r.tidy(t)

	_, err := r.records.Result(t.Context(), "v")
	require.ErrorIs(t, err, store.ErrNotFound, "the stopped job does not write it again")
	require.NoError(t, s.Remove(t.Context(), "after"))
	_, _, err = r.blobs.Open(t.Context(), res.SHA256)
	require.ErrorIs(t, err, store.ErrNotFound)
}

func TestRemoveKeepsSharedFiles(t *testing.T) {
	r := newRig(t)
	s := render.New(r.cfg, r.deps)
	data := video(t, 5)
	r.submit(t, "one", data)
	r.submit(t, "two", data)
	require.NoError(t, s.Remove(t.Context(), "one"))
	r.run(t)
	require.Equal(t, store.ResultDone, r.wait(t, "two").State)
}

func TestProgress(t *testing.T) {
	r := newRig(t)
	r.submit(t, "v", video(t, 50))
	gate := make(chan struct{})
	r.model.before = func(ctx context.Context, n int) error {
		if n == 40 {
			select {
			case <-gate:
			case <-ctx.Done():
			}
		}
		return nil
	}
	r.run(t)
	require.Eventually(t, func() bool {
		res, err := r.records.Result(context.Background(), "v")
		return err == nil && res.State == store.ResultRunning && res.Progress > 0 && res.Progress < 1
	}, time.Minute, time.Millisecond)
	close(gate)
	require.Equal(t, store.ResultDone, r.wait(t, "v").State)
}
