package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/mattn/go-sqlite3"

	"detectd/store"
	"detectd/store/internal/cursor"
)

// querier is a pool or a transaction.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// row is one row of an answer.
type row interface{ Scan(dest ...any) error }

// one returns the only row of a query; what names the record when there is none.
func one[T any](ctx context.Context, q querier, scan func(row) (T, error), what, query string, args ...any) (T, error) {
	v, err := scan(q.QueryRowContext(ctx, query, args...))
	if errors.Is(err, sql.ErrNoRows) {
		return v, fmt.Errorf("%s: %w", what, store.ErrNotFound)
	}
	if err != nil {
		return v, fmt.Errorf("read %s: %w", what, err)
	}
	return v, nil
}

// list returns all rows of a query, never nil.
func list[T any](ctx context.Context, q querier, scan func(row) (T, error), what, query string, args ...any) ([]T, error) {
	rows, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", what, err)
	}
	defer func() { _ = rows.Close() }()
	all := []T{}
	for rows.Next() {
		v, err := scan(rows)
		if err != nil {
			return nil, fmt.Errorf("list %s: %w", what, err)
		}
		all = append(all, v)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("list %s: %w", what, err)
	}
	return all, nil
}

// filter collects the conditions of a query. Terms are constants of the
// program; what users say goes into args only.
type filter struct {
	terms []string
	args  []any
}

func (f *filter) add(term string, args ...any) {
	f.terms = append(f.terms, term)
	f.args = append(f.args, args...)
}

// equal adds a condition unless value is empty, which stands for all.
func (f *filter) equal(column, value string) {
	if value != "" {
		f.add(column+" = ?", value)
	}
}

// from and before add the bounds of a range, unless they are open.
func (f *filter) from(column string, t time.Time) {
	if !t.IsZero() {
		f.add(column+" >= ?", micros(t))
	}
}

func (f *filter) before(column string, t time.Time) {
	if !t.IsZero() {
		f.add(column+" < ?", micros(t))
	}
}

func (f *filter) where() string {
	if len(f.terms) == 0 {
		return ""
	}
	return " WHERE " + strings.Join(f.terms, " AND ")
}

// position is a place in a list ordered by time, then id.
type position[ID int64 | string] struct {
	Time int64 `json:"t"`
	ID   ID    `json:"i"`
}

// paged is a list read page by page in the order of two columns.
type paged[T any, ID int64 | string] struct {
	what      string
	query     string // up to the conditions
	timeIn    string // the columns of the order
	idIn      string
	ascending bool
	scan      func(row) (T, error)
	at        func(T) position[ID]
}

func (l paged[T, ID]) read(ctx context.Context, q querier, f filter, p store.Page) ([]T, string, error) {
	query, args, err := l.build(f, p)
	if err != nil {
		return nil, "", fmt.Errorf("list %s: %w", l.what, err)
	}
	all, err := list(ctx, q, l.scan, l.what, query, args...)
	size := p.Size()
	if err != nil || len(all) <= size {
		return all, "", err
	}
	return all[:size], cursor.Encode(l.at(all[size-1])), nil
}

// build asks for one row more than the page holds, to learn whether there is a next one.
func (l paged[T, ID]) build(f filter, p store.Page) (string, []any, error) {
	order, after := " DESC", "<"
	if l.ascending {
		order, after = "", ">"
	}
	if p.Cursor != "" {
		c, err := cursor.Decode[position[ID]](p.Cursor)
		if err != nil {
			return "", nil, err
		}
		f.add("("+l.timeIn+", "+l.idIn+") "+after+" (?, ?)", c.Time, c.ID)
	}
	query := l.query + f.where() + " ORDER BY " + l.timeIn + order + ", " + l.idIn + order + " LIMIT ?"
	return query, append(f.args, p.Size()+1), nil
}

// checkRevision compares the revision a change was based on with the stored one.
func checkRevision(what string, expect, current int64) error {
	if expect == store.AnyRevision || expect == current {
		return nil
	}
	return &store.RevisionError{What: what, Given: expect, Current: current}
}

// stored is t as a row keeps it: microseconds, UTC.
func stored(t time.Time) time.Time { return timeOf(micros(t)) }

func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

func timeOf(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(us).UTC()
}

// raw is stored JSON; empty text stands for none.
func raw(text string) json.RawMessage {
	if text == "" {
		return nil
	}
	return json.RawMessage(text)
}

func marshal(v any) (string, error) {
	b, err := json.Marshal(v)
	return string(b), err
}

// violates says whether err is the breach of a unique, primary key or foreign key rule.
func violates(err error, rules ...sqlite3.ErrNoExtended) bool {
	var se sqlite3.Error
	return errors.As(err, &se) && slices.Contains(rules, se.ExtendedCode)
}

func isDuplicate(err error) bool {
	return violates(err, sqlite3.ErrConstraintPrimaryKey, sqlite3.ErrConstraintUnique)
}

func isDangling(err error) bool { return violates(err, sqlite3.ErrConstraintForeignKey) }

func clientNamed(id string) string { return fmt.Sprintf("client %q", id) }
func cameraNamed(id string) string { return fmt.Sprintf("camera %q", id) }

func notFound(what string) error { return fmt.Errorf("%s: %w", what, store.ErrNotFound) }
func exists(what string) error   { return fmt.Errorf("%s: %w", what, store.ErrExists) }
