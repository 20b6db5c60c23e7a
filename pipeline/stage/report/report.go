// Package report keeps the books: every inference as a metric in the series
// store, and hourly sums per camera and model version in the record store.
//
// It lives from the bus alone (inferences and health), adds up in memory and
// writes in batches. On an orderly shutdown nothing is lost: when its context
// ends it still takes what was published before, and writes everything.
package report

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"detectd/pipeline/bus"
	"detectd/store"
)

// Config configures a Stage. The zero value is usable.
type Config struct {
	Write        time.Duration // how often metrics are written; 0 takes 1 s
	Merge        time.Duration // how often sums are merged into reports; 0 takes 5 s
	MaxPending   int           // metrics kept while the series store fails; 0 takes 100,000
	WriteTimeout time.Duration // for one round of writing, the last one too; 0 takes 10 s
}

// subscriber is the bus.
type subscriber interface {
	SubscribeAll(ctx context.Context, ready chan<- struct{}, handle func(bus.Message), subjects ...string) error
}

// reports is the part of store.Reports that is written.
type reports interface {
	MergeReport(ctx context.Context, d store.ReportDelta) error
}

// series is the part of store.Series that is written.
type series interface {
	PutInferences(ctx context.Context, ms []store.Inference) error
}

// Stats counts what became of the messages.
type Stats struct {
	Stored    uint64 // inferences written to the series
	Merged    uint64 // sums merged into reports
	Lost      uint64 // inferences and sums that could not be written
	Malformed uint64 // messages that could not be read
}

// Stage writes metrics and reports. Safe for concurrent use.
type Stage struct {
	cfg     Config
	bus     subscriber
	reports reports
	series  series
	log     *slog.Logger
	ready   chan struct{}

	mu      sync.Mutex // guards the fields below
	pending []store.Inference
	sums    sums
	seen    map[string]bus.CameraCounters
	stats   Stats
}

// New returns a stage that does nothing until Run.
func New(cfg Config, b subscriber, records reports, metrics series, log *slog.Logger) *Stage {
	if cfg.Write <= 0 {
		cfg.Write = time.Second
	}
	if cfg.Merge <= 0 {
		cfg.Merge = 5 * time.Second
	}
	if cfg.MaxPending <= 0 {
		cfg.MaxPending = 100_000
	}
	if cfg.WriteTimeout <= 0 {
		cfg.WriteTimeout = 10 * time.Second
	}
	return &Stage{
		cfg: cfg, bus: b, reports: records, series: metrics, log: log, ready: make(chan struct{}),
		sums: sums{}, seen: map[string]bus.CameraCounters{},
	}
}

// Ready is closed when no later message can be missed.
func (s *Stage) Ready() <-chan struct{} { return s.ready }

// Stats tells what has been done so far.
func (s *Stage) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stats
}

// Run works until ctx ends, then writes what is left. It is called once.
// Publishers should have stopped when ctx ends.
func (s *Stage) Run(ctx context.Context) error {
	ended := make(chan error, 1)
	go func() {
		ended <- s.bus.SubscribeAll(ctx, s.ready, s.take, bus.Under(bus.Inferences), bus.Health)
	}()
	write, merge := time.NewTicker(s.cfg.Write), time.NewTicker(s.cfg.Merge)
	defer write.Stop()
	defer merge.Stop()
	for {
		select {
		case <-write.C:
			s.write(ctx)
		case <-merge.C:
			s.merge(ctx)
		case err := <-ended:
			s.write(ctx)
			s.merge(ctx)
			s.giveUp()
			if err != nil {
				return fmt.Errorf("report: %w", err)
			}
			return nil
		}
	}
}

// write stores the pending metrics. What fails is tried again next time. Writes
// outlive ctx, so that none is cut off half done.
func (s *Stage) write(ctx context.Context) {
	s.mu.Lock()
	batch := s.pending
	s.pending = nil
	s.mu.Unlock()
	if len(batch) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.cfg.WriteTimeout)
	defer cancel()
	err := s.series.PutInferences(ctx, batch)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err == nil {
		s.stats.Stored += uint64(len(batch))
		return
	}
	if errors.Is(err, store.ErrPaused) { // they are expendable, and the pause may be long
		s.stats.Lost += uint64(len(batch))
		return
	}
	s.log.Warn("store inference metrics", "count", len(batch), "error", err)
	s.pending = append(batch, s.pending...)
	if over := len(s.pending) - s.cfg.MaxPending; over > 0 {
		s.pending = s.pending[over:]
		s.stats.Lost += uint64(over)
	}
}

// giveUp counts what could not be written at the end.
func (s *Stage) giveUp() {
	s.mu.Lock()
	defer s.mu.Unlock()
	left := uint64(len(s.pending) + len(s.sums))
	if left == 0 {
		return
	}
	s.stats.Lost += left
	s.log.Error("metrics lost at shutdown", "inferences", len(s.pending), "reports", len(s.sums))
}
