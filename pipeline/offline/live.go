package offline

import (
	"context"
	"fmt"

	"detectd/detect"
	"detectd/pipeline"
	"detectd/pipeline/frame"
)

// Live detects in a stream until ctx ends (its cause is returned), the source
// breaks, or a file that is its source is over (nil). Detection takes the newest
// frame; dropped counts those it had no time for. fn's error ends it.
func Live(ctx context.Context, source pipeline.Source, every int, det detect.Detector, opts detect.Options, pool *frame.Pool, fn func(Frame) error) (dropped int, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	newest := make(chan Frame, 1)
	var index int
	sink := &decoding{pool: pool, fail: cancel, emit: func(f *frame.Frame) {
		i := index
		index++
		if i%max(1, every) != 0 || ctx.Err() != nil {
			f.Release()
			return
		}
		select {
		case old := <-newest:
			dropped++
			old.Frame.Release()
		default:
		}
		newest <- Frame{Frame: f, Index: i, PTS: f.PTS}
	}}
	ended := make(chan error, 1)
	go func() {
		err := source.Run(ctx, sink)
		sink.end()
		close(newest)
		ended <- err
	}()
	var failed error
	for f := range newest {
		if failed == nil {
			failed = f.detect(ctx, det, opts, fn)
			if failed != nil {
				cancel(failed)
			}
		}
		f.Frame.Release()
	}
	err = <-ended
	switch cause := context.Cause(ctx); {
	case failed != nil:
		return dropped, failed
	case cause != nil:
		return dropped, cause
	default:
		return dropped, reason(err)
	}
}

func (f Frame) detect(ctx context.Context, det detect.Detector, opts detect.Options, fn func(Frame) error) error {
	found, err := det.Detect(ctx, []*frame.Frame{f.Frame}, []detect.Options{opts})
	if err != nil {
		return fmt.Errorf("detect in frame %d: %w", f.Index, err)
	}
	f.Detections, f.Detected = found[0], true
	return fn(f)
}
