package daemon

import (
	"context"
	"errors"
	"fmt"
	"sync"
)

// A layer is a group of stages that start and stop together. Layers stop from
// the top: those that feed others end before those they feed, so that what is
// on its way arrives.
type layer struct {
	ctx    context.Context //nolint:containedctx // the life of the layer's stages
	cancel context.CancelFunc
	fail   context.CancelCauseFunc
	wg     sync.WaitGroup
}

// newLayer makes a layer whose stages end only when stop is called; fail brings
// the whole daemon down.
func newLayer(ctx context.Context, fail context.CancelCauseFunc) *layer {
	l := &layer{fail: fail}
	l.ctx, l.cancel = context.WithCancel(context.WithoutCancel(ctx))
	return l
}

// run starts a stage. A stage that ends with an error, or before the layer is
// stopped, fails the daemon.
func (l *layer) run(name string, stage func(context.Context) error) {
	l.wg.Go(func() {
		err := stage(l.ctx)
		if err == nil && l.ctx.Err() == nil {
			err = errors.New("ended by itself")
		}
		if err != nil {
			l.fail(fmt.Errorf("%s: %w", name, err))
		}
	})
}

func (l *layer) stop() {
	l.cancel()
	l.wg.Wait()
}

// waitReady waits for a stage's ready signal or the end of ctx.
func waitReady(ctx context.Context, ready <-chan struct{}) error {
	select {
	case <-ready:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
