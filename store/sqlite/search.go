package sqlite

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"detectd/store"
)

// fields are the expressions of what can be searched. One with a ? takes the
// key of the term, one with a %s takes the comparison.
type fields map[string]string

// search runs a query with the terms and the order of q; then orders rows that are equal.
func search[T any](ctx context.Context, r querier, scan func(row) (T, error), what, query, then string, known fields, f filter, q store.Search) ([]T, error) {
	for _, t := range q.Terms {
		if err := known.term(&f, t); err != nil {
			return nil, fmt.Errorf("search %s: %w", what, err)
		}
	}
	order := make([]string, 0, len(q.Order)+1)
	args := slices.Clone(f.args)
	for _, o := range q.Order {
		column, ok := known[o.Field]
		if !ok || strings.Contains(column, "%s") {
			return nil, fmt.Errorf("search %s: they cannot be sorted by %q", what, o.Field)
		}
		if strings.Contains(column, "?") {
			args = append(args, o.Key)
		}
		column = strings.TrimSuffix(column, " / 1000") // the order is the same, and an index has it
		if o.Desc {
			column += " DESC"
		}
		order = append(order, column)
	}
	query += f.where() + " ORDER BY " + strings.Join(append(order, then), ", ")
	if q.Limit > 0 || q.Offset > 0 {
		limit := q.Limit
		if limit <= 0 {
			limit = -1 // SQLite's word for none
		}
		query, args = query+" LIMIT ? OFFSET ?", append(args, limit, q.Offset)
	}
	return list(ctx, r, scan, what, query, args...)
}

func (known fields) term(f *filter, t store.Term) error {
	column, ok := known[t.Field]
	if !ok {
		return fmt.Errorf("there is no field %q", t.Field)
	}
	var args []any
	if strings.Contains(column, "?") {
		args = append(args, t.Key)
	}
	compare, value := t.Op+" ?", t.Value
	switch t.Op {
	case "=", "!=", "<", "<=", ">", ">=":
	case "LIKE": // with case, which SQLite's own does not look at
		compare, value = "GLOB ?", globOf(fmt.Sprint(t.Value))
	case "ILIKE":
		compare = "LIKE ?"
	case "IN", "NOT IN":
		all, err := marshal(t.Value)
		if err != nil {
			return err
		}
		compare, value = t.Op+" (SELECT value FROM json_each(?))", all
	default:
		return fmt.Errorf("there is no comparison %q", t.Op)
	}
	if strings.Contains(column, "%s") {
		f.add(fmt.Sprintf(column, compare), value)
		return nil
	}
	f.add(column+" "+compare, append(args, value)...)
	return nil
}

// globOf turns a pattern of LIKE into one of GLOB.
func globOf(like string) string {
	return strings.NewReplacer("%", "*", "_", "?", "*", "[*]", "?", "[?]", "[", "[[]").Replace(like)
}
