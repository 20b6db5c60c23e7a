package promote

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"detectd/detect"
	"detectd/pipeline/bus"
	"detectd/store"
)

// TestBaselineOutlivesARestart: a canary that begins right after a start is compared
// with what its cameras did before it.
func TestBaselineOutlivesARestart(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	w.siteRuns(1)
	w.pass(3*time.Minute, usual)
	w.keep(ctx)
	w.keep(ctx) // nothing is new
	w.now = w.now.Add(10 * time.Minute)
	w.restart()
	w.pass(20*time.Second, usual) // too little
	r := request()
	r.Canary = true
	p, err := w.Start(ctx, r)
	require.NoError(t, err)
	require.Equal(t, int64(200), p.Baseline[0].Inferences)
	require.Equal(t, Ref{"yard", 1}, Ref{p.Baseline[0].Model, p.Baseline[0].Version})
	_, message := w.lastEvent()
	require.NotContains(t, message, "too little")
	for range 30 {
		w.pass(5*time.Second, blindCandidate)
		w.Look(ctx)
	}
	p, err = w.View(ctx, p.ID)
	require.NoError(t, err)
	require.Equal(t, store.PromotionRolledBack, p.State)
	require.Contains(t, p.Reason, "detections per frame: 1.00 to 4.00 is wanted, it is 0.00")
}

func blindCandidate(camera string, ref detect.Ref) bus.Inference {
	i := usual(camera, ref)
	if ref.Version == 2 {
		i.Detections = 0
	}
	return i
}

// TestWithoutABaselineItIsSaid: nothing is judged by nothing in silence.
func TestWithoutABaselineItIsSaid(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	w.siteRuns(1)
	w.pass(3*time.Minute, usual)
	w.keep(ctx)
	w.now = w.now.Add(2 * time.Hour) // what was long ago says nothing
	w.restart()
	r := request()
	r.Canary, r.Cameras = true, nil
	p, err := w.Start(ctx, r)
	require.NoError(t, err)
	_, message := w.lastEvent()
	require.Contains(t, message, "; too little is known from before to compare with on camera site-a, site-b, site-c")
	w.pass(time.Minute, blindCandidate)
	w.Look(ctx)
	p, err = w.View(ctx, p.ID)
	require.NoError(t, err)
	require.False(t, p.Figures.Enough)
	require.True(t, p.Figures.Alone)
	p, err = w.Promote(ctx, p.ID, "ann", "", false)
	require.NoError(t, err)
	for range 25 {
		w.pass(5*time.Second, blindCandidate)
		w.Look(ctx)
	}
	p, err = w.View(ctx, p.ID)
	require.NoError(t, err)
	require.Equal(t, store.PromotionDone, p.State)
	require.Equal(t, "it stayed within its bands for 2m0s, but too little was known to judge p95 of inference, detections per frame", p.Reason)
}

// TestABusyMachineIsNotASlowModel: the whole machine takes five times as long from
// the moment of the canary on, and over a restart.
func TestABusyMachineIsNotASlowModel(t *testing.T) {
	busy := func(camera string, ref detect.Ref) bus.Inference {
		i := usual(camera, ref)
		i.Ran *= 5
		return i
	}
	slow := func(camera string, ref detect.Ref) bus.Inference {
		i := busy(camera, ref)
		if ref.Version == 2 {
			i.Ran *= 5
		}
		return i
	}
	begin := func(t *testing.T, cameras []string, share float64) (*world, store.Promotion) {
		w := newWorld(t)
		w.siteRuns(1)
		w.pass(3*time.Minute, usual)
		r := request()
		r.Canary, r.Cameras, r.Share = true, cameras, share
		p, err := w.Start(t.Context(), r)
		require.NoError(t, err)
		return w, p
	}
	after := func(w *world, p store.Promotion, looks int, answer func(string, detect.Ref) bus.Inference) store.Promotion {
		for n := range looks {
			if r, ok := w.reports[p.ID]; ok {
				for range 2 {
					i := answer("site-a", detect.Ref{Model: "yard", Version: 1})
					r.Took.Add(i.Ran)
				}
				w.reports[p.ID] = r
			}
			w.pass(5*time.Second, answer)
			w.Look(t.Context())
			if n == looks/2 {
				w.restart()
			}
		}
		p, err := w.View(t.Context(), p.ID)
		require.NoError(t, err)
		return p
	}
	t.Run("others tell", func(t *testing.T) {
		w, p := begin(t, []string{"site-a"}, 0)
		p = after(w, p, 100, busy) // longer than anything is remembered
		require.Equal(t, store.PromotionCanary, p.State, p.Reason)
		p = after(w, p, 30, slow)
		require.Equal(t, store.PromotionRolledBack, p.State)
	})
	t.Run("the champion beside it tells", func(t *testing.T) {
		w, p := begin(t, nil, 1)
		w.reports[p.ID] = store.ShadowReport{Model: "yard", Version: 1}
		p = after(w, p, 100, busy)
		require.Equal(t, store.PromotionCanary, p.State, p.Reason)
		require.True(t, p.Figures.Alone)
		p = after(w, p, 40, slow)
		require.Equal(t, store.PromotionRolledBack, p.State)
		require.Contains(t, p.Reason, "no camera runs the champion beside it; on its frames it took ")
	})
}

// TestShadowRunsWhereTheCamerasDo is about execution providers.
func TestShadowRunsWhereTheCamerasDo(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	w.siteRuns(1)
	_, err := w.records.PutRunningModel(ctx, store.RunningModel{ClientID: "site", CameraID: "site-b", Model: "yard", Version: 1, Provider: "openvino"}, 0)
	require.NoError(t, err)
	r := request()
	r.Cameras = nil
	_, err = w.Start(ctx, r)
	require.ErrorIs(t, err, ErrInvalid)
	require.ErrorContains(t, err, "camera site-a runs on the provider of the settings, camera site-b on openvino")
	r.Cameras = []string{"site-b"}
	p, err := w.Start(ctx, r)
	require.NoError(t, err)
	require.Equal(t, "openvino", w.tasks[0].Provider)
	_, err = w.Canary(ctx, p.ID, []string{"site-a", "site-b"}, "ann", "")
	require.ErrorIs(t, err, ErrInvalid)
	p, err = w.Canary(ctx, p.ID, []string{"site-a"}, "ann", "")
	require.NoError(t, err)
	require.Empty(t, w.tasks[0].Provider)
	require.Empty(t, p.Provider)
}
