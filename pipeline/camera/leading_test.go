package camera

import (
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"detectd/pipeline"
	"detectd/pipeline/simulate"
	"detectd/store"
)

// TestLeadingPictureOfALook: a picture that is coded after a look at an idle camera and
// shown before it comes too late, since the look has gone out. It is counted.
func TestLeadingPictureOfALook(t *testing.T) {
	th := newTheatre(t, simulate.Spec{FPS: 25, Frames: 700, GOP: 50, BFrames: 3, Scene: &simulate.Scene{}})
	th.play(nil)
	th.check()
	require.Greater(t, th.status.IdleFrames, uint64(200))

	at := 0
	for i, u := range th.units {
		if u.Key && i > 550 && at == 0 {
			at = i
		}
	}
	key, b := th.units[at], th.units[at-1]
	for i := at - 1; !weigh(pipeline.H264, b).Disposable; i-- {
		b = th.units[i]
	}
	leading := pipeline.Unit{
		PTS: key.PTS - 20*time.Millisecond, DTS: key.DTS + time.Millisecond, Time: key.Time.Add(-20 * time.Millisecond), NALs: b.NALs,
	}
	th.units = slices.Insert(th.units, at+1, leading)
	th.as = nil
	th.play(nil)
	require.Equal(t, pipeline.Drops{Late: 1}, th.status.Drops)
	require.EqualValues(t, len(th.units), th.status.Units)
	require.Equal(t, th.status.Units, th.status.Frames+th.status.IdleFrames+1)
	require.Len(t, th.as, len(th.units)-1)
}

// TestPassCountsLeadingPictures: nor are those announced that were not decoded.
func TestPassCountsLeadingPictures(t *testing.T) {
	w, err := NewWorker(store.Camera{ID: "door"}, Deps{
		Taps:      func(store.Camera, Hooks) ([]Tap, error) { return nil, nil },
		Annotator: func(store.Camera) Annotator { return &annotator{} }, Retry: DefaultRetry(),
		Log: slog.New(slog.DiscardHandler), State: func(pipeline.Status) {},
	})
	require.NoError(t, err)
	defer w.pool.Close()
	v := newVideo(t.Context(), w)
	v.known = 10 * tick
	var units []pipeline.Unit
	for _, n := range []int{10, 8, 9, 11, 12} { // in decoding order, from the look on
		units = append(units, pipeline.Unit{PTS: time.Duration(n) * tick, Key: n == 10})
	}
	like := w.pool.Get()
	defer like.Release()
	v.pass(units, like, time.Second)
	require.EqualValues(t, 2, w.idleFrames.Load())
	require.EqualValues(t, 2, w.drops.late.Load())
	require.Equal(t, 11*tick, (<-w.events).meta.PTS)
	require.Equal(t, 12*tick, (<-w.events).meta.PTS)
}
