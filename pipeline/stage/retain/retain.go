// Package retain keeps recordings within what they may take: a total size, an age
// and a reserve of free disk space. The oldest of all cameras go first.
//
// Deleting is done so that a crash at any point leaves no row without its file
// for long and no file for ever: the row becomes a garbage entry, the file is
// unlinked, the folder synced, the entry forgotten.
package retain

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"detectd/store"
)

// Config says what recordings may take. A zero limit is no limit.
type Config struct {
	Root     string        // media folder
	MaxBytes int64         // of all segments together
	MaxAge   time.Duration // from the end of a segment
	EventAge time.Duration // of a segment that an event reaches, where it is more; needs Policy
	Reserve  int64         // bytes to keep free on the disk
	Interval time.Duration // between sweeps; 0 takes 10 s
	// Missing is how many bytes have to go, beside Reserve; nil: none.
	Missing func() int64
	// MissingFiles is how many files have to go; nil: none.
	MissingFiles func() int
	Wake         <-chan struct{} // a token asks for a sweep now; may be nil

	Policy  *Policy              // of single cameras; nil: only the limits above
	Elapsed func() time.Duration // a clock that never jumps; nil takes the machine's

	Free func(folder string) (int64, error) // bytes free on its disk; nil asks the system
	Now  func() time.Time                   // nil takes time.Now
}

// Index is the part of the store that retention needs.
type Index interface {
	OldestSegments(ctx context.Context, n int) ([]store.Segment, error)
	SegmentBytes(ctx context.Context) (int64, error)
	DropSegments(ctx context.Context, ids []int64) error
	Garbage(ctx context.Context, n int) ([]string, error)
	ForgetGarbage(ctx context.Context, paths []string) error
}

// Retention deletes old recordings.
type Retention struct {
	cfg     Config
	index   Index
	log     *slog.Logger
	deleted func(segments int, bytes int64)
	ages    map[ages]ageLimit
	spared  map[string]time.Time // by camera: those that began before were spared for their events
	decided map[string]time.Time // by camera: up to where it is known what is kept
	failing bool                 // the last sweep failed: its like is not told again
}

const (
	// batch is how many segments go in one step.
	batch = 64
	// staleTemp is the age at which a file that no recorder writes any more, since
	// its camera is gone, is removed. A recorder writes to its own every second.
	staleTemp = 24 * time.Hour
)

// New checks the configuration. deleted is told of every step; it may be nil.
func New(cfg Config, index Index, log *slog.Logger, deleted func(segments int, bytes int64)) (*Retention, error) {
	if cfg.Root == "" {
		return nil, errors.New("keep recordings: no media folder given")
	}
	if cfg.MaxBytes < 0 || cfg.MaxAge < 0 || cfg.EventAge < 0 || cfg.Reserve < 0 {
		return nil, errors.New("keep recordings: a limit must not be negative")
	}
	if cfg.Interval <= 0 {
		cfg.Interval = 10 * time.Second
	}
	if cfg.Free == nil {
		cfg.Free = free
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if began := time.Now(); cfg.Elapsed == nil {
		cfg.Elapsed = func() time.Duration { return time.Since(began) }
	}
	if deleted == nil {
		deleted = func(int, int64) {}
	}
	return &Retention{
		cfg: cfg, index: index, log: log, deleted: deleted,
		ages: map[ages]ageLimit{}, spared: map[string]time.Time{}, decided: map[string]time.Time{},
	}, nil
}

// Run sweeps at once and then in intervals, until ctx ends. What fails is tried
// again at the next sweep.
func (r *Retention) Run(ctx context.Context) error {
	r.removeStaleTemps()
	tick := time.NewTicker(r.cfg.Interval)
	defer tick.Stop()
	for {
		switch err := r.Sweep(ctx); {
		case ctx.Err() != nil:
			return nil
		case err == nil:
			r.failing = false
		case !r.failing:
			r.failing = true
			r.log.Error("old recordings are not deleted", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		case <-r.cfg.Wake:
		}
	}
}

// Sweep deletes what is over the limits now, after finishing what an earlier
// sweep began.
func (r *Retention) Sweep(ctx context.Context) error {
	if err := os.MkdirAll(r.cfg.Root, 0o750); err != nil {
		return fmt.Errorf("open media folder: %w", err)
	}
	root, err := os.OpenRoot(r.cfg.Root)
	if err != nil {
		return fmt.Errorf("open media folder: %w", err)
	}
	defer root.Close() //nolint:errcheck // nothing is written through it
	if err := r.empty(ctx, root); err != nil {
		return err
	}
	if p := r.cfg.Policy; p != nil {
		err := r.byCamera(ctx, func(ids []int64, bytes int64, reason store.GapReason) error {
			if err := p.Index.DiscardSegments(ctx, ids, reason); err != nil {
				return fmt.Errorf("drop segments: %w", err)
			}
			r.deleted(len(ids), bytes)
			return r.empty(ctx, root)
		})
		if err != nil {
			return err
		}
	}
	for {
		ids, bytes, err := r.surplus(ctx)
		if err != nil || len(ids) == 0 {
			return err
		}
		if err := r.index.DropSegments(ctx, ids); err != nil {
			return fmt.Errorf("drop segments: %w", err)
		}
		if err := r.empty(ctx, root); err != nil {
			return err // and no more rows are dropped for files that stay
		}
		r.deleted(len(ids), bytes)
		r.log.Debug("deleted old recordings", "segments", len(ids), "bytes", bytes)
	}
}

// surplus picks the next segments to go.
func (r *Retention) surplus(ctx context.Context) (ids []int64, bytes int64, err error) {
	oldest, err := r.oldest(ctx)
	if err != nil {
		return nil, 0, fmt.Errorf("list oldest segments: %w", err)
	}
	total, err := r.index.SegmentBytes(ctx)
	if err != nil {
		return nil, 0, fmt.Errorf("sum segments: %w", err)
	}
	missing := int64(0) // bytes to free for the reserve
	if r.cfg.Reserve > 0 {
		n, err := r.cfg.Free(r.cfg.Root)
		if err != nil {
			return nil, 0, fmt.Errorf("ask for free disk space: %w", err)
		}
		missing = r.cfg.Reserve - n
	}
	if r.cfg.Missing != nil {
		missing = max(missing, r.cfg.Missing())
	}
	files := 0
	if r.cfg.MissingFiles != nil {
		files = r.cfg.MissingFiles()
	}
	now := r.cfg.Now()
	for _, s := range oldest {
		old := r.cfg.Policy == nil && r.cfg.MaxAge > 0 && now.Sub(s.End) > r.cfg.MaxAge
		much := r.cfg.MaxBytes > 0 && total-bytes > r.cfg.MaxBytes
		if !old && !much && bytes >= missing && len(ids) >= files {
			break
		}
		ids = append(ids, s.ID)
		bytes += s.Bytes
	}
	return ids, bytes, nil
}

// oldest are the next segments that may go.
func (r *Retention) oldest(ctx context.Context) ([]store.Segment, error) {
	if r.cfg.Policy != nil {
		return r.next(ctx, store.Oldest{Limit: batch}, r.cfg.EventAge > 0)
	}
	return r.index.OldestSegments(ctx, batch)
}

// empty removes the files of all garbage entries and forgets these.
func (r *Retention) empty(ctx context.Context, root *os.Root) error {
	for {
		paths, err := r.index.Garbage(ctx, 4*batch)
		if err != nil {
			return fmt.Errorf("list garbage: %w", err)
		}
		if len(paths) == 0 {
			return nil
		}
		gone, failed := r.unlink(root, paths)
		if len(gone) > 0 {
			if err := r.index.ForgetGarbage(ctx, gone); err != nil {
				return fmt.Errorf("forget garbage: %w", err)
			}
		}
		if failed != nil {
			return failed
		}
	}
}

// unlink removes files and syncs their folders. It returns those that are gone
// and the first failure.
func (r *Retention) unlink(root *os.Root, paths []string) (gone []string, failed error) {
	byFolder := map[string][]string{}
	for _, p := range paths {
		err := root.Remove(filepath.FromSlash(p))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			if failed == nil {
				failed = fmt.Errorf("delete recording: %w", err)
			}
			continue
		}
		byFolder[path.Dir(p)] = append(byFolder[path.Dir(p)], p)
	}
	for folder, files := range byFolder {
		if err := syncFolder(root, folder); err != nil {
			if failed == nil {
				failed = fmt.Errorf("delete recording: %w", err)
			}
			continue
		}
		gone = append(gone, files...)
		r.removeFolder(root, folder)
	}
	return gone, failed
}

// removeFolder removes the folder of a day that has become empty. Today's and
// yesterday's stay: a recorder may be about to put a file there.
func (r *Retention) removeFolder(root *os.Root, folder string) {
	day, err := time.Parse(time.DateOnly, path.Base(folder))
	if err == nil && r.cfg.Now().Sub(day) > 48*time.Hour {
		_ = root.Remove(filepath.FromSlash(folder)) // not empty: stays
	}
}

// removeStaleTemps removes unfinished files of cameras that are gone.
func (r *Retention) removeStaleTemps() {
	temps, err := filepath.Glob(filepath.Join(r.cfg.Root, "*", "*.part"))
	if err != nil {
		return // only a pattern can be wrong, and it is not
	}
	for _, t := range temps {
		info, err := os.Lstat(t)
		if err != nil || r.cfg.Now().Sub(info.ModTime()) < staleTemp || !strings.HasSuffix(t, ".mp4.part") {
			continue
		}
		err = os.Remove(t)
		r.log.Info("removed an unfinished recording of a camera that is gone", "file", filepath.Base(t), "error", err)
	}
}

func syncFolder(root *os.Root, folder string) error {
	d, err := root.Open(filepath.FromSlash(folder))
	if errors.Is(err, fs.ErrNotExist) {
		return nil // the folder is gone, and the files with it
	}
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
