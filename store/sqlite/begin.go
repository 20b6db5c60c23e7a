package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/mattn/go-sqlite3"

	"detectd/store"
)

const (
	// patience is how long a change waits for the changes before it, and for the
	// write lock, which another program may hold.
	patience = 5 * time.Second
	// turn is how long one of those who wait asks for the lock before the next may.
	turn = 100 * time.Millisecond
)

// transaction is one that has the write lock. end has to be called.
type transaction struct {
	*sql.Tx
	cancel context.CancelFunc
}

// begin starts a transaction, at the latest at until: store.ErrBusy when it could
// not. All who wait take turns, so that each is answered in time.
func (s *Store) begin(ctx context.Context, until time.Time) (transaction, error) {
	ctx, cancel := context.WithCancelCause(ctx) // of the transaction, so it lasts longer than the wait
	late := time.AfterFunc(time.Until(until), func() { cancel(store.ErrBusy) })
	for {
		tx, err := s.w.BeginTx(ctx, nil)
		if err == nil && late.Stop() {
			return transaction{tx, func() { cancel(nil) }}, nil
		}
		if err == nil {
			_ = tx.Rollback()
		}
		if cause := context.Cause(ctx); cause != nil {
			late.Stop()
			return transaction{}, cause
		}
		if failed, is := errors.AsType[sqlite3.Error](err); !is || failed.Code != sqlite3.ErrBusy {
			late.Stop()
			cancel(nil)
			return transaction{}, refused(err)
		}
	}
}

// end takes back what was not committed.
func (t transaction) end() {
	_ = t.Rollback()
	t.cancel()
}

// refused is err, or store.ErrDisk with it when the disk is what has failed.
func refused(err error) error {
	failed, is := errors.AsType[sqlite3.Error](err)
	if !is {
		return err
	}
	switch failed.Code {
	case sqlite3.ErrFull, sqlite3.ErrIoErr, sqlite3.ErrReadonly, sqlite3.ErrCantOpen:
		return fmt.Errorf("%w: %w", store.ErrDisk, err)
	}
	return err
}
