package simulate

import (
	"context"
	"time"

	"detectd/pipeline"
)

// clip is a coded video in memory. It is played in real time, in a loop, on one
// continuous timeline.
type clip struct {
	format   pipeline.Format
	units    []pipeline.Unit
	interval time.Duration
}

var _ pipeline.Source = (*clip)(nil)

// Run implements pipeline.Source.
func (c *clip) Run(ctx context.Context, sink pipeline.Sink) error {
	sink.Format(c.format)
	began := time.Now()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for n := 0; ; n++ {
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
		}
		u := c.units[n%len(c.units)]
		u.PTS = time.Duration(n) * c.interval
		u.DTS = u.PTS
		sink.Unit(u)
		timer.Reset(time.Until(began.Add(u.PTS + c.interval)))
	}
}
