// Package garbage deletes the blobs that no record names, and never one that is
// about to be named.
//
// A blob is stored first and named by a record afterwards, so for a moment every
// new blob looks like garbage, also one that was there already and whose last
// record goes away meanwhile. Every Put therefore leases its blob for a time that
// is long against that moment. Putting and deleting exclude each other, and
// whether a blob is named is asked after its lease and while nothing is put: what
// is found unnamed then stays so.
//
// Leases are held in memory. A process that ends ends what was on its way, too;
// the blobs that this leaves are found by the first sweep of the next.
package garbage

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"detectd/store"
)

// Config configures the collection; zero values take the defaults.
type Config struct {
	Lease    time.Duration // after a Put in which its blob is not deleted; 5 min
	Interval time.Duration // between two sweeps; 10 min
	// Alone runs fn when nobody outside of this process relies on blobs staying, as
	// a backup does, and otherwise says false; nil runs fn.
	Alone func(fn func() error) (bool, error)
	// Collected is told of every sweep that deleted something; it may be nil.
	Collected func(blobs int, bytes int64)
}

// Index knows which blobs records name.
type Index interface {
	BlobInUse(ctx context.Context, sha256 string) (bool, error)
}

// Blobs is a store of blobs whose Delete spares what is needed. Safe for
// concurrent use; all users of a store have to share one.
type Blobs struct {
	store.Blobs
	index Index
	cfg   Config
	log   *slog.Logger

	using  sync.RWMutex // held shared while a blob is put, alone while one is deleted
	mu     sync.Mutex   // guards leases
	leases map[string]time.Time

	blobs, bytes atomic.Int64
}

var _ store.Blobs = (*Blobs)(nil)

// New returns blobs of which those go that index does not know. Close closes them.
func New(cfg Config, blobs store.Blobs, index Index, log *slog.Logger) *Blobs {
	if cfg.Lease <= 0 {
		cfg.Lease = 5 * time.Minute
	}
	if cfg.Interval <= 0 {
		cfg.Interval = 10 * time.Minute
	}
	if cfg.Alone == nil {
		cfg.Alone = func(fn func() error) (bool, error) { return true, fn() }
	}
	if cfg.Collected == nil {
		cfg.Collected = func(int, int64) {}
	}
	return &Blobs{Blobs: blobs, index: index, cfg: cfg, log: log, leases: map[string]time.Time{}}
}

// Put implements store.Blobs. The blob stays for the time of a lease, in which a
// record has to name it.
func (b *Blobs) Put(ctx context.Context, r io.Reader) (string, int64, error) {
	b.using.RLock()
	defer b.using.RUnlock()
	address, size, err := b.Blobs.Put(ctx, r)
	if err == nil {
		b.mu.Lock()
		b.leases[address] = time.Now()
		b.mu.Unlock()
	}
	return address, size, err
}

// Delete implements store.Blobs. A blob that a record names stays; one that may
// be about to be named goes with a later sweep.
func (b *Blobs) Delete(ctx context.Context, address string) error {
	size := int64(0)
	if file, n, err := b.Open(ctx, address); err == nil {
		size = n
		if err := file.Close(); err != nil {
			return err
		}
	}
	_, err := b.remove(ctx, address, size)
	return err
}

// Run sweeps at once and then in intervals, until ctx ends. What fails is tried
// again at the next sweep.
func (b *Blobs) Run(ctx context.Context) error {
	tick := time.NewTicker(b.cfg.Interval)
	defer tick.Stop()
	for {
		if _, err := b.Sweep(ctx, false); err != nil && ctx.Err() == nil {
			b.log.Error("unused blobs are not deleted", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// Report says what a sweep found.
type Report struct {
	Blobs   int   // looked at
	Bytes   int64 // of these
	Unused  int   // deleted, or to be deleted in a dry run
	Freed   int64 // bytes of these
	Skipped int   // unused, but put a moment ago or needed by a backup
}

// Sweep deletes all blobs that no record names; a dry run only counts them.
func (b *Blobs) Sweep(ctx context.Context, dry bool) (r Report, err error) {
	b.expire()
	type unused struct {
		address string
		size    int64
	}
	var found []unused
	err = b.Each(ctx, func(address string, size int64) error {
		r.Blobs++
		r.Bytes += size
		used, err := b.index.BlobInUse(ctx, address)
		if err == nil && !used {
			found = append(found, unused{address, size})
		}
		return err
	})
	if err != nil {
		return r, fmt.Errorf("look for unused blobs: %w", err)
	}
	for _, u := range found {
		gone := dry && !b.leased(u.address)
		if !dry {
			if gone, err = b.remove(ctx, u.address, u.size); err != nil {
				break
			}
		}
		if !gone {
			r.Skipped++
			continue
		}
		r.Unused++
		r.Freed += u.size
	}
	if !dry && r.Unused > 0 {
		b.cfg.Collected(r.Unused, r.Freed)
		b.log.Info("unused blobs deleted", "blobs", r.Unused, "bytes", r.Freed)
	}
	return r, err
}

// Collected returns how many blobs were deleted, and their bytes.
func (b *Blobs) Collected() (blobs, bytes int64) { return b.blobs.Load(), b.bytes.Load() }

// remove deletes a blob unless somebody needs it.
func (b *Blobs) remove(ctx context.Context, address string, size int64) (gone bool, err error) {
	if !b.using.TryLock() {
		return false, nil // something is being put; waiting would hold up what comes behind it
	}
	defer b.using.Unlock()
	_, err = b.cfg.Alone(func() error {
		if b.leased(address) {
			return nil
		}
		used, err := b.index.BlobInUse(ctx, address)
		if err != nil || used {
			return err
		}
		err = b.Blobs.Delete(ctx, address)
		gone = err == nil
		return err
	})
	if err != nil {
		return false, fmt.Errorf("delete unused blob: %w", err)
	}
	if gone {
		b.blobs.Add(1)
		b.bytes.Add(size)
	}
	return gone, nil
}

func (b *Blobs) leased(address string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	at, ok := b.leases[address]
	return ok && time.Since(at) < b.cfg.Lease // on the monotonic clock: changes of the wall clock do not matter
}

// expire forgets the leases that are over.
func (b *Blobs) expire() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for address, at := range b.leases {
		if time.Since(at) >= b.cfg.Lease {
			delete(b.leases, address)
		}
	}
}
