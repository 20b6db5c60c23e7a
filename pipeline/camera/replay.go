package camera

import (
	"context"
	"iter"
	"time"

	"golang.org/x/sync/errgroup"

	"detectd/pipeline"
)

// Replay takes recorded video through the worker's gate, decoder, detector and
// annotator as fast as they go, without dropping anything, and leaves out the
// source and the taps. It is for measuring what the worker makes of a video, and
// is used instead of Run. With a detector that answers at once, the same video
// always gives the same result.
func (w *Worker) Replay(ctx context.Context, f pipeline.Format, units iter.Seq[pipeline.Unit]) error {
	defer w.setLatest(nil)
	var g errgroup.Group
	g.Go(func() error { w.annotate(); return nil })
	w.replay(ctx, f, units)
	return g.Wait()
}

func (w *Worker) replay(ctx context.Context, f pipeline.Format, units iter.Seq[pipeline.Unit]) {
	defer close(w.events)
	v := newVideo(ctx, w)
	c := coded{format: &f}
	for u := range units {
		if ctx.Err() != nil {
			break
		}
		w.units.Add(1)
		w.bytes.Add(uint64(u.Bytes())) //nolint:gosec // lengths are not negative
		u.Arrived = time.Time{}        // it cannot be late
		c.unit = u
		v.take(c)
		c.format = nil
		w.pending.Wait()
		for len(w.answers) > 0 {
			v.answered(<-w.answers)
		}
	}
	v.close()
	w.pending.Wait()
}
