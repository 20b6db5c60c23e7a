// Package badger keeps series: what is written many times a second and may be
// lost without harm, per-frame annotations and per-inference metrics.
//
// A key is kind, day, camera, time, frame (see key). The day comes before the
// camera so that a day whose entries have all expired is dropped as one range
// of keys, files and all; Badger alone would keep expired entries until it
// happens to rewrite the tables they are in, which for keys that only ever grow
// is never.
//
// Badger maps its files into memory and dies by SIGBUS when the disk is full.
// Whoever watches the disk has to call Pause before that, which closes all that writes.
package badger

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/options"
	"golang.org/x/sys/unix"

	"detectd/store"
)

// collectEvery is the time between two collections of garbage.
const collectEvery = 5 * time.Minute

// openingFile exists while the database is being opened. Damage can make Badger
// end the process; finding the file at the next start says that it did.
const openingFile = "opening"

// Store implements store.Series. Safe for concurrent use.
type Store struct {
	path   string
	ttl    time.Duration
	log    *slog.Logger
	seq    atomic.Uint64 // tells apart metrics of one camera and microsecond
	paused atomic.Bool
	freed  atomic.Int64 // bytes that collecting has given back
	seen   seconds      // labels that are in the index already

	mu     sync.RWMutex // guards db: shared by its users, exclusive for drops and Close
	db     *badger.DB   // nil while the series are not open; for reading only while paused
	closed bool
}

var _ store.Series = (*Store)(nil)

var errClosed = errors.New("series are closed")

// Open opens the series in the folder at path, creating it when there is none.
// Entries live for ttl after they were written; 0 keeps them for ever. A folder
// that is damaged is emptied, with a warning: its data is expendable. Run must
// run for the space of expired entries to be given back.
func Open(path string, ttl time.Duration, log *slog.Logger) (*Store, error) {
	s, err := OpenPaused(path, ttl, log)
	if err != nil {
		return nil, err
	}
	return s, s.Pause(false)
}

// OpenPaused is Open for a disk that is nearly full: it does not touch it. The
// series are empty until Pause(false) opens them.
func OpenPaused(path string, ttl time.Duration, log *slog.Logger) (*Store, error) {
	if ttl < 0 {
		return nil, fmt.Errorf("open series %q: time to live %v is negative", path, ttl)
	}
	s := &Store{path: path, ttl: ttl, log: log}
	s.paused.Store(true)
	return s, nil
}

// Pause has every write refused with store.ErrPaused, and nothing written in the
// background either, or ends that. Whoever watches the disk calls it: Badger ends the
// process when it meets a full one. Meanwhile the series are open for reading only.
func (s *Store) Pause(paused bool) error {
	s.mu.Lock() // waits for the writes that have begun
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return errClosed
	case s.paused.Load() == paused:
		return nil
	case paused && s.db == nil:
		s.paused.Store(true)
		return nil
	}
	s.paused.Store(true)
	if s.db != nil {
		err := s.db.Close()
		s.db = nil
		s.seen.forget()
		if err != nil {
			s.log.Warn("series not closed in order", "path", s.path, "error", err)
		}
	}
	if paused {
		db, err := badger.Open(settings(s.path, s.log).WithReadOnly(true))
		if err != nil { // nothing is read then, until there is space
			s.log.Warn("series cannot be read while the disk is nearly full", "path", s.path, "error", err)
			return nil
		}
		s.db = db
		return nil
	}
	db, err := open(s.path, s.log)
	if err != nil {
		return fmt.Errorf("open series %q: %w", s.path, err)
	}
	s.db = db
	s.paused.Store(false)
	return nil
}

// Writable says whether writes are taken.
func (s *Store) Writable() bool { return !s.paused.Load() }

// Size is the space on disk that the series take, in bytes.
func (s *Store) Size() (bytes int64) {
	entries, err := os.ReadDir(s.path)
	if err != nil {
		return 0
	}
	for _, e := range entries {
		var st unix.Stat_t
		if unix.Stat(filepath.Join(s.path, e.Name()), &st) == nil {
			bytes += st.Blocks * 512 // files are sparse
		}
	}
	return bytes
}

// Freed is how many bytes collecting has given back since the series were opened.
func (s *Store) Freed() int64 { return s.freed.Load() }

func open(path string, log *slog.Logger) (*badger.DB, error) {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, err
	}
	opening := filepath.Join(path, openingFile)
	if _, err := os.Stat(opening); err == nil {
		log.Warn("the last start ended while opening the series; they are emptied", "path", path)
		if err := empty(path); err != nil {
			return nil, err
		}
	}
	// Writing the file also tells a folder that cannot be written from a damaged one.
	if err := os.WriteFile(opening, nil, 0o600); err != nil {
		return nil, err
	}
	db, err := tryOpen(path, log)
	switch {
	case err != nil && strings.Contains(err.Error(), "Cannot acquire directory lock"): // Badger hides the cause
		return nil, errors.Join(err, os.Remove(opening))
	case err != nil:
		log.Warn("the series are damaged; they are emptied", "path", path, "error", err)
		if err := empty(path); err != nil {
			return nil, err
		}
		if db, err = tryOpen(path, log); err != nil {
			return nil, err
		}
	}
	if err := os.Remove(opening); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

func tryOpen(path string, log *slog.Logger) (db *badger.DB, err error) {
	defer func() {
		if p := recover(); p != nil { // some damage makes Badger panic
			err = fmt.Errorf("badger: %v", p)
		}
	}()
	opt := settings(path, log)
	if err := checkTables(path, opt); err != nil {
		return nil, err
	}
	return badger.Open(opt)
}

// settings keep Badger small: a few tens of MB of memory, files of 64 MB at most.
func settings(path string, log *slog.Logger) badger.Options {
	return badger.DefaultOptions(path).
		WithLogger(logger{log}).
		WithMemTableSize(8 << 20). // it lies on the Go heap, whose garbage is as large again
		WithNumMemtables(2).
		WithNumLevelZeroTables(2).
		WithNumLevelZeroTablesStall(8).
		WithNumCompactors(2).
		WithNumGoroutines(2).
		WithValueLogFileSize(64 << 20).
		WithBlockCacheSize(16 << 20).
		WithIndexCacheSize(16 << 20).
		WithCompression(options.Snappy).
		WithChecksumVerificationMode(options.OnBlockRead).
		WithDetectConflicts(false). // nothing is read and changed in one step
		WithMetricsEnabled(false)
}

func empty(path string) error {
	entries, err := os.ReadDir(path)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := os.RemoveAll(filepath.Join(path, e.Name())); err != nil {
			return err
		}
	}
	return nil
}

// Run gives back the space of expired entries until ctx ends.
func (s *Store) Run(ctx context.Context) error {
	ticker := time.NewTicker(collectEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
			if !s.Writable() {
				continue // rewriting takes space before it gives some
			}
			before := s.Size()
			if err := s.collect(ctx); err != nil && ctx.Err() == nil {
				s.log.Warn("series not collected", "error", err)
			}
			if freed := before - s.Size(); freed > 0 {
				s.freed.Add(freed)
				s.log.Debug("series collected", "bytes", freed)
			}
		}
	}
}

// collect drops the days that have expired and rewrites half-empty value logs.
func (s *Store) collect(ctx context.Context) error {
	if err := s.dropExpired(ctx); err != nil {
		return err
	}
	for ctx.Err() == nil {
		err := s.use(func(db *badger.DB) error { return db.RunValueLogGC(0.5) })
		if errors.Is(err, badger.ErrNoRewrite) || errors.Is(err, errClosed) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("collect value log: %w", err)
		}
	}
	return nil
}

// dropExpired drops every day that has entries, but none that still lives.
func (s *Store) dropExpired(ctx context.Context) error {
	var dead [][]byte
	err := s.view(func(txn *badger.Txn) error {
		for _, kind := range []byte{annotations, inferences, labels} {
			for _, day := range days(txn, kind, everything()) {
				if err := ctx.Err(); err != nil {
					return err
				}
				if prefix := dayPrefix(kind, day); !alive(txn, prefix) {
					dead = append(dead, prefix)
				}
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("look for expired days: %w", err)
	}
	if len(dead) == 0 {
		return nil
	}
	// Badger drops nothing where it sees nothing alive, so each day gets one entry
	// to see. Should the drop not come to pass, that entry expires on its own.
	err = s.use(func(db *badger.DB) error {
		batch := db.NewWriteBatch()
		defer batch.Cancel()
		for _, prefix := range dead {
			if err := batch.SetEntry(badger.NewEntry(bait(prefix), nil).WithTTL(time.Minute)); err != nil {
				return err
			}
		}
		return batch.Flush()
	})
	if err != nil {
		return fmt.Errorf("mark expired days: %w", err)
	}
	return s.drop(dead)
}

// DropCamera implements store.Series.
func (s *Store) DropCamera(_ context.Context, cameraID string) error {
	var all [][]byte
	err := s.view(func(txn *badger.Txn) error {
		for _, kind := range []byte{annotations, inferences} {
			for _, day := range days(txn, kind, everything()) {
				all = append(all, cameraPrefix(kind, day, cameraID))
			}
		}
		for _, day := range days(txn, labels, everything()) {
			all = append(all, append(dayPrefix(labels, day), labelled(cameraID, "")...))
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("drop series of camera %q: %w", cameraID, err)
	}
	if err := s.drop(all); err != nil {
		return fmt.Errorf("drop series of camera %q: %w", cameraID, err)
	}
	return nil
}

// drop removes all keys with these prefixes. Badger refuses writes meanwhile,
// so they are made to wait.
func (s *Store) drop(prefixes [][]byte) error {
	if len(prefixes) == 0 {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return errClosed
	case s.paused.Load():
		return store.ErrPaused
	}
	s.seen.forget()
	return s.db.DropPrefix(prefixes...)
}

// Close implements store.Series. Idempotent.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	if s.db == nil {
		return nil
	}
	if err := s.db.Close(); err != nil {
		return fmt.Errorf("close series: %w", err)
	}
	return nil
}

// use lets fn write to the database, which neither closes nor drops anything meanwhile.
func (s *Store) use(fn func(db *badger.DB) error) error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	switch {
	case s.closed:
		return errClosed
	case s.paused.Load():
		return store.ErrPaused
	}
	return fn(s.db)
}

// view lets fn read, also while writing is paused.
func (s *Store) view(fn func(txn *badger.Txn) error) error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	switch {
	case s.closed:
		return errClosed
	case s.db == nil:
		return nil
	}
	return s.db.View(fn)
}

// logger passes Badger's messages on, one level lower than it means them: what
// troubles Badger is at most a warning to a process that can do without it.
type logger struct{ log *slog.Logger }

func (l logger) Errorf(format string, args ...any)   { l.say(slog.LevelWarn, format, args) }
func (l logger) Warningf(format string, args ...any) { l.say(slog.LevelWarn, format, args) }
func (l logger) Infof(format string, args ...any)    { l.say(slog.LevelDebug, format, args) }
func (l logger) Debugf(format string, args ...any)   { l.say(slog.LevelDebug, format, args) }

func (l logger) say(level slog.Level, format string, args []any) {
	if l.log.Enabled(context.Background(), level) {
		l.log.Log(context.Background(), level, "badger: "+strings.TrimSpace(fmt.Sprintf(format, args...)))
	}
}
