package camera

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"detectd/pipeline"
	"detectd/pipeline/frame"
)

// placed is a decoder that leaves its card with the 12th unit.
type placed struct {
	*decoder
	units int
}

func (d *placed) Decode(u pipeline.Unit, emit func(*frame.Frame)) error {
	d.units++
	return d.decoder.Decode(u, emit)
}

func (d *placed) Where() (decoder, why string) {
	switch {
	case d.units < 2:
		return "", ""
	case d.units < 12:
		return pipeline.OnCard, ""
	default:
		return pipeline.OnCPU, "the card failed"
	}
}

// TestStatusTellsTheDecoder shows what decodes, and counts once that the CPU took over.
func TestStatusTellsTheDecoder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t, func(ctx context.Context, sink pipeline.Sink) error {
			play(ctx, sink, 20)
			<-ctx.Done()
			return ctx.Err()
		})
		open := g.worker.deps.Decoder
		g.worker.deps.Decoder = func(f pipeline.Format, pool *frame.Pool) (Decoder, error) {
			_, err := open(f, pool)
			return &placed{decoder: g.decoder}, err
		}
		stop := g.run(t)
		defer stop()
		time.Sleep(5*tick + tick/2)
		synctest.Wait()
		status := g.worker.Status()
		require.Equal(t, pipeline.OnCard, status.Decoder)
		require.Zero(t, status.DecoderFallbacks)
		time.Sleep(time.Second)
		synctest.Wait()
		status = g.worker.Status()
		require.Equal(t, pipeline.OnCPU, status.Decoder)
		require.Equal(t, "the card failed", status.DecoderReason)
		require.EqualValues(t, 1, status.DecoderFallbacks)
	})
}
