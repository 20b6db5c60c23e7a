package api

import (
	"encoding/base64"
	"net/http"
	"reflect"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"
)

// window cuts a page out of a list that the store gives whole, ordered by key.
// The cursor is the last key of the page before.
func window[T any](rows []T, p Page, key func(T) string) ([]T, string, error) {
	last, err := p.after()
	if err != nil {
		return nil, "", err
	}
	if last != "" {
		first := slices.IndexFunc(rows, func(r T) bool { return strings.Compare(key(r), last) > 0 })
		if first < 0 {
			return nil, "", nil
		}
		rows = rows[first:]
	}
	rows, next := firstOf(rows, p, key)
	return rows, next, nil
}

// after is the key that cursorAfter was given; "" at the beginning.
func (p Page) after() (string, error) {
	last, err := base64.RawURLEncoding.DecodeString(p.Cursor)
	if err != nil {
		return "", errCursor()
	}
	return string(last), nil
}

// firstOf cuts the first page of rows, with the cursor for what comes after it.
func firstOf[T any](rows []T, p Page, key func(T) string) ([]T, string) {
	if len(rows) <= p.Limit {
		return rows, ""
	}
	rows = rows[:p.Limit]
	return rows, cursorAfter(key(rows[len(rows)-1]))
}

// cursorAfter is the cursor for what comes after a key.
func cursorAfter(key string) string { return base64.RawURLEncoding.EncodeToString([]byte(key)) }

func errCursor() error {
	return invalid("query.cursor", "the cursor is not one this API has given")
}

// revisable documents the 412 of a change under a revision.
func (s *server) revisable(op huma.Operation) huma.Operation {
	schema := s.huma.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[RevisionProblem](), true, "")
	op.Responses = map[string]*huma.Response{"412": {
		Description: http.StatusText(http.StatusPreconditionFailed),
		Content:     map[string]*huma.MediaType{"application/problem+json": {Schema: schema}},
	}}
	return op
}
