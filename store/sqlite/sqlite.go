// Package sqlite keeps records in one SQLite database: what must survive a kill
// and a power cut once the caller was told it is stored.
//
// Writes go through one connection, each in a transaction that takes the write
// lock at its start, so that a check and the change based on it are one step.
// Reads have connections of their own and never wait for writes (WAL).
package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/mattn/go-sqlite3"

	"detectd/store"
)

// oldestSQLite is 3.51.3: all before have a WAL bug that can corrupt the file
// when two connections write and checkpoint at once.
const oldestSQLite = 3_051_003

const readers = 4

// Store implements store.Records. Safe for concurrent use.
type Store struct {
	w     *sql.DB // one connection, the only one that writes
	r     *sql.DB // query-only connections
	group group   // small changes that are committed together
	memo  memo    // what was read last of what runs where
	log   *slog.Logger
	now   func() time.Time
}

var _ store.Records = (*Store)(nil)

// Open opens the database file at path, creating it with mode 0600 when there is
// none, and brings its schema up to date. It returns store.ErrNewerSchema for
// the database of a newer detectd, untouched. One process at a time may open
// it; store/folder sees to that.
func Open(ctx context.Context, path string, log *slog.Logger) (*Store, error) {
	s, err := open(ctx, path, log)
	if err != nil {
		return nil, fmt.Errorf("open database %q: %w", path, err)
	}
	return s, nil
}

func open(ctx context.Context, path string, log *slog.Logger) (*Store, error) {
	version, number, _ := sqlite3.Version()
	if err := checkVersion(version, number); err != nil {
		return nil, err
	}
	if err := create(path); err != nil {
		return nil, err
	}
	w, err := pool(path, "_txlock=immediate&_journal_mode=WAL", 1)
	if err != nil {
		return nil, err
	}
	r, err := pool(path, "_txlock=deferred&_query_only=1", readers)
	if err != nil {
		return nil, errors.Join(err, w.Close())
	}
	s := &Store{w: w, r: r, log: log, now: time.Now}
	if err := s.migrate(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	if _, err := w.ExecContext(ctx, fmt.Sprintf(`PRAGMA busy_timeout = %d`, turn.Milliseconds())); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func checkVersion(version string, number int) error {
	if number < oldestSQLite {
		return fmt.Errorf("SQLite %s can corrupt databases; build detectd with 3.51.3 or newer", version)
	}
	return nil
}

// create makes the file, private and known to its folder. SQLite gives the WAL
// beside it the same mode.
func create(path string) error {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	if err := file.Close(); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// pool opens connections to the file. The driver's own defaults would lose
// acknowledged rows at a power cut: synchronous is NORMAL and foreign keys are off.
func pool(path, options string, connections int) (*sql.DB, error) {
	name := "file:" + (&url.URL{Path: path}).EscapedPath() +
		"?_synchronous=FULL&_foreign_keys=1&_busy_timeout=5000&" + options
	db, err := sql.Open("sqlite3", name)
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(connections)
	db.SetMaxIdleConns(connections)
	return db, nil
}

// Ping implements store.Records.
func (s *Store) Ping(ctx context.Context) error {
	return s.write(ctx, "ping database", func(tx *sql.Tx) error {
		return s.setMeta(ctx, tx, "ping", s.time().Format(time.RFC3339Nano))
	})
}

// BindFolder ties the database to the data folder with this id, the first time,
// and later refuses another one: rows of one folder describe files of no other.
func (s *Store) BindFolder(ctx context.Context, id string) error {
	return s.write(ctx, "bind database to its folder", func(tx *sql.Tx) error {
		var bound string
		err := tx.QueryRowContext(ctx, `SELECT value FROM meta WHERE key = 'folder'`).Scan(&bound)
		switch {
		case errors.Is(err, sql.ErrNoRows):
			return s.setMeta(ctx, tx, "folder", id)
		case err != nil:
			return err
		case bound != id:
			return fmt.Errorf("it belongs to data folder %s, this is %s", bound, id)
		}
		return nil
	})
}

// SetBlobs notes where the blobs of the records are, for Inspection.BlobsPlace.
func (s *Store) SetBlobs(ctx context.Context, place string) error {
	return s.write(ctx, "note place of blobs", func(tx *sql.Tx) error { return s.setMeta(ctx, tx, "blobs", place) })
}

// Start counts the uses of the folder in the database. before is the folder's own
// count, which is written after this one: a database that lags behind is an older
// copy that was put in place of the folder's own.
func (s *Store) Start(ctx context.Context, before int64) (count int64, err error) {
	err = s.write(ctx, "count starts", func(tx *sql.Tx) error {
		var have int64
		err := tx.QueryRowContext(ctx, `SELECT coalesce((SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'starts'), 0)`).Scan(&have)
		if err != nil {
			return err
		}
		if have < before {
			return fmt.Errorf("the database is an older copy: it has seen %d starts, its data folder %d; bring back the newer one, or use detectd backup and restore: %w",
				have, before, store.ErrOlderCopy)
		}
		count = max(have, before) + 1
		return s.setMeta(ctx, tx, "starts", strconv.FormatInt(count, 10))
	})
	return count, err
}

func (s *Store) setMeta(ctx context.Context, tx *sql.Tx, key, value string) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO meta (key, value) VALUES (?, ?)
		ON CONFLICT (key) DO UPDATE SET value = excluded.value`, key, value)
	return err
}

// BlobInUse implements store.Records.
func (s *Store) BlobInUse(ctx context.Context, sha256 string) (bool, error) {
	var used bool
	err := s.r.QueryRowContext(ctx, `SELECT ?1 <> '' AND (EXISTS (SELECT 1 FROM model_versions WHERE sha256 = ?1)
		OR EXISTS (SELECT 1 FROM model_versions WHERE overlay = ?1 AND overlay <> '')
		OR EXISTS (SELECT 1 FROM mlflow_artifacts WHERE sha256 = ?1)
		OR EXISTS (SELECT 1 FROM results WHERE sha256 = ?1) OR EXISTS (SELECT 1 FROM results WHERE input = ?1))`,
		sha256).Scan(&used)
	if err != nil {
		return false, fmt.Errorf("look for users of blob %s: %w", sha256, err)
	}
	return used, nil
}

// Close implements store.Records. The writer goes last: it folds the WAL into
// the database file.
func (s *Store) Close() error { return errors.Join(s.r.Close(), s.w.Close()) }

// write runs fn in a transaction. Its changes are durable when write returns nil.
// doing names the operation in errors that are not the caller's.
func (s *Store) write(ctx context.Context, doing string, fn func(tx *sql.Tx) error) error {
	tx, err := s.begin(ctx, time.Now().Add(patience))
	if err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	s.memo.begin()
	defer s.memo.end() // after tx.end
	defer tx.end()
	if err := fn(tx.Tx); err != nil {
		if known(err) {
			return err
		}
		return fmt.Errorf("%s: %w", doing, refused(err))
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("%s: %w", doing, refused(err))
	}
	return nil
}

// known says whether an error of the vocabulary explains itself already.
func known(err error) bool {
	for _, target := range []error{
		store.ErrNotFound, store.ErrExists, store.ErrInUse, store.ErrRevision, store.ErrCursor, store.ErrOlderCopy, store.ErrGate,
	} {
		if errors.Is(err, target) {
			return true
		}
	}
	return false
}

// time is the present as it can be stored.
func (s *Store) time() time.Time { return stored(s.now()) }
