package camera

import (
	"context"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"detectd/pipeline"
	"detectd/pipeline/activity"
	"detectd/pipeline/bus"
	"detectd/pipeline/frame"
	"detectd/pipeline/simulate"
	"detectd/store"
)

// TestIdleIsSetWhileItRuns: from each setting to each other, no picture is lost and
// none is annotated twice, and what is in force shows.
func TestIdleIsSetWhileItRuns(t *testing.T) {
	all := []string{"", store.IdleDecode, store.IdleOff}
	for _, from := range all {
		for _, to := range all {
			if from == to {
				continue
			}
			t.Run("from "+from+" to "+to, func(t *testing.T) {
				th := newTheatre(t, simulate.Spec{FPS: 25, Frames: 1300, GOP: 50, Scene: &simulate.Scene{
					Visits: []simulate.Visit{{From: 1150, To: 1200, Speed: 2}},
				}})
				var before pipeline.Status
				th.idle, th.half = from, func(w *Worker) {
					synctest.Wait()
					before = w.Status()
					w.SetIdle(store.Camera{ID: "door", Idle: to})
				}
				th.play(nil)
				th.check()
				inForce := map[string]string{"": store.IdleAuto, store.IdleDecode: store.IdleDecode, store.IdleOff: store.IdleOff}
				states := map[string]string{"": string(activity.Idle), store.IdleDecode: string(activity.Still)}
				require.Equal(t, inForce[from], before.Idle)
				require.Equal(t, states[from], before.Activity)
				require.Equal(t, inForce[to], th.status.Idle)
				require.Equal(t, to == store.IdleOff, th.status.Activity == "", "%q", th.status.Activity)
				if to == "" {
					require.Zero(t, before.IdleFrames)
					require.NotZero(t, th.status.IdleFrames)
				}
				if to == store.IdleOff {
					require.GreaterOrEqual(t, int(th.status.Inferences-before.Inferences), 129, "five a second for 26 s")
				}
			})
		}
	}
}

// TestIdleIsNoReasonToRestart: the worker goes on, and is told.
func TestIdleIsNoReasonToRestart(t *testing.T) {
	quiet := slog.New(slog.DiscardHandler)
	b, err := bus.Open(t.Context(), bus.Config{Folder: t.TempDir()}, quiet)
	require.NoError(t, err)
	defer func() { require.NoError(t, b.Close()) }()
	records := &cameraList{{ID: "door", URL: "one", Enabled: true}, {ID: "off", URL: "two"}}
	m := NewManager(records, b, Deps{
		Open: func(store.Camera) (pipeline.Source, error) {
			return source{func(ctx context.Context, _ pipeline.Sink) error { <-ctx.Done(); return nil }}, nil
		},
		Taps:      func(store.Camera, Hooks) ([]Tap, error) { return nil, nil },
		Decoder:   func(pipeline.Format, *frame.Pool) (Decoder, error) { return &decoder{}, nil },
		Annotator: func(store.Camera) Annotator { return &annotator{} },
		Gate: func(c store.Camera) *activity.Gate {
			if c.Idle == store.IdleDecode {
				return activity.NewDecoding()
			}
			return activity.New(nil)
		},
		Detector: &detectorFake{}, Retry: DefaultRetry(), Log: quiet,
	})
	defer m.stopAll()
	m.reconcile(t.Context())
	first := m.get("door").worker
	for _, idle := range []string{store.IdleDecode, "", store.IdleDecode} {
		(*records)[0].Idle, (*records)[1].Idle = idle, idle
		m.reconcile(t.Context())
		require.Same(t, first, m.get("door").worker)
		want := store.IdleAuto
		if idle != "" {
			want = idle
		}
		require.Eventually(t, func() bool { s, _ := m.Status("door"); return s.Idle == want }, 5*time.Second, time.Millisecond)
	}
}
