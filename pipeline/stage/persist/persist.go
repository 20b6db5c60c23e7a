// Package persist writes the annotations and tracks of all cameras to the
// stores, in batches and apart from the cameras: a slow disk fills its queue,
// and what does not fit is dropped and counted, never waited for.
package persist

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"detectd/store"
)

// Config configures a Writer; zero values take the defaults.
type Config struct {
	Interval     time.Duration // between two writes; 200 ms
	MaxPending   int           // annotations held while the store is behind; 60,000
	FlushTimeout time.Duration // for the last write after ctx ended; 10 s
}

// Series is what the writer needs of the store of annotations.
type Series interface {
	PutAnnotations(ctx context.Context, as []store.Annotation) error
}

// Tracks is what the writer needs of the store of tracks.
type Tracks interface {
	PutTracks(ctx context.Context, ts []store.Track) error
}

// Writer collects and writes. Safe for concurrent use.
type Writer struct {
	cfg     Config
	series  Series
	tracks  Tracks
	dropped func(cameraID string, n int)
	log     *slog.Logger

	mu          sync.Mutex // guards what follows
	annotations []store.Annotation
	changed     map[string]store.Track // newest version by id
}

// New returns a writer. dropped is told how many annotations and tracks of a camera were
// lost.
func New(cfg Config, series Series, tracks Tracks, dropped func(cameraID string, n int), log *slog.Logger) *Writer {
	if cfg.Interval <= 0 {
		cfg.Interval = 200 * time.Millisecond
	}
	if cfg.MaxPending <= 0 {
		cfg.MaxPending = 60_000
	}
	if cfg.FlushTimeout <= 0 {
		cfg.FlushTimeout = 10 * time.Second
	}
	return &Writer{cfg: cfg, series: series, tracks: tracks, dropped: dropped, log: log, changed: map[string]store.Track{}}
}

// Annotations takes frames of one camera; they are copied.
func (w *Writer) Annotations(as []store.Annotation) {
	if len(as) == 0 {
		return
	}
	w.mu.Lock()
	room := max(0, min(len(as), w.cfg.MaxPending-len(w.annotations)))
	w.annotations = append(w.annotations, as[:room]...)
	w.mu.Unlock()
	if lost := len(as) - room; lost > 0 {
		w.dropped(as[0].CameraID, lost)
	}
}

// Track takes the newest version of a track.
func (w *Writer) Track(t store.Track) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.changed[t.ID] = t
}

// Run writes until ctx ends, and then once more.
func (w *Writer) Run(ctx context.Context) error {
	tick := time.NewTicker(w.cfg.Interval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), w.cfg.FlushTimeout)
			defer cancel()
			w.flush(last)
			return nil
		case <-tick.C:
			w.flush(context.WithoutCancel(ctx))
		}
	}
}

func (w *Writer) flush(ctx context.Context) {
	w.mu.Lock()
	as, ts := w.annotations, w.changed
	w.annotations, w.changed = nil, map[string]store.Track{}
	w.mu.Unlock()
	if len(as) > 0 {
		if err := w.series.PutAnnotations(ctx, as); err != nil {
			if !errors.Is(err, store.ErrPaused) { // which is told by whoever watches the disk
				w.log.Error("store annotations", "frames", len(as), "error", err)
			}
			lost := map[string]int{}
			for _, a := range as {
				lost[a.CameraID]++
			}
			for id, n := range lost {
				w.dropped(id, n)
			}
		}
	}
	if err := w.tracks.PutTracks(ctx, slices.Collect(maps.Values(ts))); err != nil {
		w.log.Error("store tracks", "tracks", len(ts), "error", err)
		for _, t := range ts {
			w.retry(t)
		}
	}
}

// retry keeps a track that could not be written, unless a newer version came.
func (w *Writer) retry(t store.Track) {
	w.mu.Lock()
	_, newer := w.changed[t.ID]
	full := len(w.changed) >= w.cfg.MaxPending
	if !newer && !full {
		w.changed[t.ID] = t
	}
	w.mu.Unlock()
	if !newer && full {
		w.dropped(t.CameraID, 1)
	}
}
