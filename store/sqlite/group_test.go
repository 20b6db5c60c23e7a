package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"detectd/store"
)

// hold keeps the first change of a group from being committed until release is
// called, so that others come together behind it.
func hold(t *testing.T, s *Store) (release func()) {
	t.Helper()
	started, goOn, done := make(chan struct{}), make(chan struct{}), make(chan error)
	go func() {
		done <- s.together(t.Context(), "hold", func(context.Context, *sql.Tx) error {
			close(started)
			<-goOn
			return nil
		})
	}()
	<-started
	return func() {
		close(goOn)
		require.NoError(t, <-done)
	}
}

func waiting(t *testing.T, s *Store, n int) {
	t.Helper()
	require.Eventually(t, func() bool {
		s.group.mu.Lock()
		defer s.group.mu.Unlock()
		return len(s.group.waiting) == n
	}, 10e9, 1e6)
}

func TestOneThatFailsLeavesTheOthers(t *testing.T) {
	s := openTest(t, filepath.Join(t.TempDir(), "detectd.db"))
	release := hold(t, s)
	cause := errors.New("will not")
	cancelled, cancel := context.WithCancel(t.Context())
	errs := make([]error, 6)
	var group sync.WaitGroup
	transactions := map[*sql.Tx]bool{}
	for i := range errs {
		group.Go(func() {
			ctx := t.Context()
			if i == 5 {
				ctx = cancelled
			}
			errs[i] = s.together(ctx, fmt.Sprintf("try %d", i), func(ctx context.Context, tx *sql.Tx) error {
				transactions[tx] = true // only ever called by one goroutine at a time
				if err := addEvent(ctx, tx, &store.Event{Kind: fmt.Sprint(i)}); err != nil {
					return err
				}
				if i == 2 {
					return cause
				}
				return nil
			})
		})
	}
	waiting(t, s, len(errs))
	cancel()
	release()
	group.Wait()
	for i, err := range errs {
		switch i {
		case 2:
			require.EqualError(t, err, "try 2: will not")
			require.ErrorIs(t, err, cause)
		case 5:
			require.ErrorIs(t, err, context.Canceled)
		default:
			require.NoError(t, err)
		}
	}
	require.Len(t, transactions, 1, "all were committed together")
	all, _, err := s.ListEvents(t.Context(), "", "", store.Range{}, store.Page{})
	require.NoError(t, err)
	require.Len(t, all, 4)
}

// TestBrokenTransaction takes the transaction away under the changes: nobody is
// told that a change is kept.
func TestBrokenTransaction(t *testing.T) {
	s := openTest(t, filepath.Join(t.TempDir(), "detectd.db"))
	release := hold(t, s)
	errs := make([]error, 3)
	var group sync.WaitGroup
	for i := range errs {
		group.Go(func() {
			errs[i] = s.together(t.Context(), "try", func(ctx context.Context, tx *sql.Tx) error {
				if err := addEvent(ctx, tx, &store.Event{Kind: "x"}); err != nil {
					return err
				}
				if i == 1 {
					_, err := tx.ExecContext(ctx, `ROLLBACK`)
					return errors.Join(errors.New("disk full"), err)
				}
				return nil
			})
		})
	}
	waiting(t, s, len(errs))
	release()
	group.Wait()
	require.ErrorContains(t, errs[1], "disk full")
	all, _, err := s.ListEvents(t.Context(), "", "", store.Range{}, store.Page{})
	require.NoError(t, err)
	kept := 0
	for _, err := range errs {
		if err == nil {
			kept++
		}
	}
	require.Len(t, all, kept, "%v", errs)
	_, err = s.AddEvent(t.Context(), store.Event{Kind: "after"})
	require.NoError(t, err)
}

// BenchmarkAddEvent has as many callers as -cpu says add events, each with a
// commit of its own or with a shared one.
func BenchmarkAddEvent(b *testing.B) {
	for _, callers := range []int{1, 16} {
		for _, shared := range []bool{false, true} {
			b.Run(fmt.Sprintf("callers=%d/shared=%v", callers, shared), func(b *testing.B) {
				s, err := Open(b.Context(), filepath.Join(b.TempDir(), "detectd.db"), slog.New(slog.DiscardHandler))
				if err != nil {
					b.Fatal(err)
				}
				defer func() { _ = s.Close() }()
				b.SetParallelism(callers)
				b.RunParallel(func(pb *testing.PB) {
					for pb.Next() {
						if err := addOne(b.Context(), s, shared); err != nil {
							b.Error(err)
						}
					}
				})
			})
		}
	}
}

func addOne(ctx context.Context, s *Store, shared bool) error {
	if shared {
		_, err := s.AddEvent(ctx, store.Event{Kind: "x"})
		return err
	}
	return s.write(ctx, "add", func(tx *sql.Tx) error { return addEvent(ctx, tx, &store.Event{Kind: "x"}) })
}
