package camera

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"detectd/pipeline"
	"detectd/pipeline/bus"
	"detectd/pipeline/frame"
	"detectd/store"
)

// cameraList is the records of a manager.
type cameraList []store.Camera

func (l *cameraList) ListCameras(context.Context, string) ([]store.Camera, error) { return *l, nil }

// TestCameraThatCannotStartIsTriedAgain: at first, after a change that does not
// work, and when that change is taken back.
func TestCameraThatCannotStartIsTriedAgain(t *testing.T) {
	quiet := slog.New(slog.DiscardHandler)
	b, err := bus.Open(t.Context(), bus.Config{Folder: t.TempDir()}, quiet)
	require.NoError(t, err)
	defer func() { require.NoError(t, b.Close()) }()
	broken := map[string]bool{"one": true}
	records := &cameraList{{ID: "door", URL: "one", Enabled: true}}
	m := NewManager(records, b, Deps{
		Open: func(store.Camera) (pipeline.Source, error) {
			return source{func(ctx context.Context, _ pipeline.Sink) error { <-ctx.Done(); return nil }}, nil
		},
		Taps: func(c store.Camera, _ Hooks) ([]Tap, error) {
			if broken[c.URL] {
				return nil, errors.New("its folder cannot be made")
			}
			return nil, nil
		},
		Decoder:   func(pipeline.Format, *frame.Pool) (Decoder, error) { return &decoder{}, nil },
		Annotator: func(store.Camera) Annotator { return &annotator{} },
		Detector:  &detectorFake{}, Retry: DefaultRetry(), Log: quiet,
	})
	defer m.stopAll()
	works := func() bool {
		m.reconcile(t.Context())
		r := m.get("door")
		if r.worker == nil {
			return false
		}
		select {
		case <-r.ended:
			return false
		default:
			return true
		}
	}
	require.False(t, works())
	first, ok := m.Status("door")
	require.True(t, ok)
	require.Equal(t, pipeline.StateFailed, first.State)
	require.Contains(t, first.Reason, "its folder cannot be made")
	require.False(t, works())
	require.Equal(t, first.NextTry, m.get("door").next, "not before its time")
	again := func() { m.get("door").next = time.Now() }
	again()
	require.True(t, m.anyDue(time.Now()))
	require.False(t, works())
	second, _ := m.Status("door")
	require.Equal(t, first.Since, second.Since)
	require.Equal(t, 2, m.get("door").tries)
	broken["one"] = false
	again()
	require.True(t, works(), "with the record as it was")
	require.False(t, m.anyDue(time.Now()))

	broken["two"] = true
	(*records)[0].URL = "two"
	require.False(t, works())
	(*records)[0].URL = "one"
	require.True(t, works(), "the change was taken back")
}
