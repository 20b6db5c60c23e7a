package daemon

import (
	"context"
	"time"
)

// forgetQueue is how many deleted cameras may wait; more than a page can delete
// while one is being forgotten.
const forgetQueue = 256

// runForget removes the series of deleted cameras once their workers have
// ended, since these still write.
func (d *Daemon) runForget(ctx context.Context) error {
	poll := time.NewTicker(100 * time.Millisecond)
	defer poll.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case id := <-d.forget:
			for running := true; running; {
				select {
				case <-ctx.Done():
					return nil // its series expire by themselves
				case <-poll.C:
					_, running = d.cameras.Status(id)
				}
			}
			d.mu.Lock()
			delete(d.lives, id)
			delete(d.recorders, id)
			d.mu.Unlock()
			d.latency.Forget(id)
			if err := d.series.DropCamera(ctx, id); err != nil && ctx.Err() == nil {
				d.log.Error("delete annotations of a deleted camera", "camera", id, "error", err)
			}
		}
	}
}
