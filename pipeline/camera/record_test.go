package camera

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"detectd/pipeline"
)

// TestStuckDetectionDoesNotHoldUpRecording: a decoder that never returns keeps
// neither units from the recorder, nor the camera from coming back, nor the
// recorder from completing its file at the end.
func TestStuckDetectionDoesNotHoldUpRecording(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		runs := 0
		g := newRig(t, func(ctx context.Context, sink pipeline.Sink) error {
			runs++
			play(ctx, sink, 2*queueUnits)
			if runs == 1 {
				return &pipeline.SourceError{State: pipeline.StateLost, Reason: "the camera closed the connection"}
			}
			<-ctx.Done()
			return nil
		})
		g.decoder.gate = make(chan struct{})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- g.worker.Run(ctx) }()
		time.Sleep(10 * time.Second)
		s := g.worker.Status()
		require.True(t, s.Recording, "which needs no picture")
		require.Equal(t, pipeline.StateConnecting, s.State)
		require.Equal(t, "video arrives, but no picture of it has been decoded", s.Reason)
		time.Sleep(11 * time.Second)
		require.False(t, g.worker.Status().Recording, "the camera is gone")
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		require.True(t, g.worker.Status().Recording)
		require.Equal(t, 2, runs)
		require.Len(t, g.tap.pts, 4*queueUnits, "every unit")
		cancel()
		synctest.Wait()
		require.True(t, g.tap.ended, "while the decoder is still stuck")
		close(g.decoder.gate)
		require.NoError(t, <-done)
		g.worker.pool.Close()
	})
}
