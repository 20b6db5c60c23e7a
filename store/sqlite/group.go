package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"detectd/store"
)

// mostTogether is the number of changes that one commit takes at most.
const mostTogether = 256

// group collects small changes of many callers, so that they share a commit and
// with it the wait for the disk. The first caller commits its change; those who
// come while it waits for the disk are committed by one of them, together.
type group struct {
	mu      sync.Mutex // guards what follows
	leading bool       // a caller is committing, or
	called  bool       // is about to: the first of those that wait
	waiting []*change
}

// change is what one caller wants done.
type change struct {
	ctx   context.Context //nolint:containedctx // of the caller, who waits for the answer
	doing string
	fn    func(ctx context.Context, tx *sql.Tx) error
	lead  chan struct{} // closed when the caller is to commit those that wait
	done  chan error
}

// together is write for small changes, which it commits together with those of
// other callers. fn has to use the context it is given: one that is not cancelled
// with its caller's, since SQLite takes back the changes of all with a statement
// that is interrupted.
func (s *Store) together(ctx context.Context, doing string, fn func(ctx context.Context, tx *sql.Tx) error) error {
	until := time.Now().Add(patience)
	c := &change{ctx: ctx, doing: doing, fn: fn, lead: make(chan struct{}), done: make(chan error, 1)}
	s.group.join(c)
	for late, leads := time.After(patience), false; !leads; {
		select {
		case err := <-c.done:
			return err
		case <-c.lead:
			leads = true
		case <-late:
			if s.group.leave(c) {
				return fmt.Errorf("%s: %w", doing, store.ErrBusy)
			}
		}
	}
	tx, err := s.begin(context.WithoutCancel(ctx), until)
	if err == nil {
		s.commit(tx, s.group.take(mostTogether))
	} else { // the others have waited for less long
		s.group.take(1)
		c.done <- fmt.Errorf("%s: %w", doing, err)
	}
	s.group.pass()
	return <-c.done
}

// commit makes changes in one transaction and answers their callers. One that
// fails is taken back without the others.
func (s *Store) commit(tx transaction, changes []*change) {
	defer tx.end()
	made, err := s.makeAll(tx.Tx, changes)
	for _, c := range made {
		if err != nil {
			c.done <- fmt.Errorf("%s: %w", c.doing, refused(err))
		} else {
			c.done <- nil
		}
	}
}

// makeAll returns the changes that wait for the outcome of the commit, which is
// err; the callers of all others have been answered.
func (s *Store) makeAll(tx *sql.Tx, changes []*change) (made []*change, err error) {
	for i, c := range changes {
		failed, err := s.makeOne(tx, c)
		switch {
		case err != nil: // the transaction is of no use any more
			return append(made, changes[i:]...), err
		case failed != nil:
			c.done <- failed
		default:
			made = append(made, c)
		}
	}
	return made, tx.Commit()
}

// makeOne makes a change, or nothing of it and returns why as failed. err ends
// the whole transaction.
func (s *Store) makeOne(tx *sql.Tx, c *change) (failed, err error) {
	if err := c.ctx.Err(); err != nil {
		return fmt.Errorf("%s: %w", c.doing, err), nil
	}
	ctx := context.WithoutCancel(c.ctx)
	if _, err := tx.ExecContext(ctx, `SAVEPOINT one`); err != nil {
		return nil, err
	}
	if failed = c.fn(ctx, tx); failed == nil {
		_, err := tx.ExecContext(ctx, `RELEASE one`)
		return nil, err
	}
	if _, err := tx.ExecContext(ctx, `ROLLBACK TO one; RELEASE one`); err != nil {
		return nil, errors.Join(failed, err)
	}
	if !known(failed) {
		failed = fmt.Errorf("%s: %w", c.doing, refused(failed))
	}
	return failed, nil
}

// join queues a change; the first one of a silence leads at once.
func (g *group) join(c *change) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.waiting = append(g.waiting, c)
	if !g.leading {
		g.leading, g.called = true, true
		close(c.lead)
	}
}

// take takes changes out of the queue, the leader's first.
func (g *group) take(most int) []*change {
	g.mu.Lock()
	defer g.mu.Unlock()
	n := min(len(g.waiting), most)
	g.called = false
	taken := g.waiting[:n:n]
	g.waiting = g.waiting[n:]
	return taken
}

// leave takes a change back that nobody has begun with; false when somebody has.
func (g *group) leave(c *change) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	i := slices.Index(g.waiting, c)
	if i < 0 || i == 0 && g.called {
		return false
	}
	g.waiting = slices.Delete(g.waiting, i, i+1)
	return true
}

// pass lets the first one that waits lead.
func (g *group) pass() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.leading = len(g.waiting) > 0
	if g.called = g.leading; g.leading {
		close(g.waiting[0].lead)
	}
}
