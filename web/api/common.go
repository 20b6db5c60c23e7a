package api

import (
	"crypto/rand"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"detectd/store"
)

// Time is an instant as the API writes it: RFC 3339, UTC, milliseconds.
type Time struct{ time.Time }

const timeFormat = "2006-01-02T15:04:05.000Z"

// MarshalJSON implements json.Marshaler.
func (t Time) MarshalJSON() ([]byte, error) {
	return []byte(`"` + t.UTC().Format(timeFormat) + `"`), nil
}

// Schema implements huma.SchemaProvider.
func (Time) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{Type: huma.TypeString, Format: "date-time", Examples: []any{"2026-11-25T09:30:18.123Z"}}
}

// ms is a duration in milliseconds, to the microsecond.
func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// duration is what ms has written.
func duration(ms float64) time.Duration { return time.Duration(ms * float64(time.Millisecond)) }

// Page selects a part of a list.
type Page struct {
	Limit  int    `query:"limit" minimum:"1" maximum:"1000" default:"100" doc:"Most items in the answer."`
	Cursor string `query:"cursor" maxLength:"512" doc:"Where to go on: next of the answer before."`
}

func (p Page) store() store.Page { return store.Page{Limit: p.Limit, Cursor: p.Cursor} }

// Span selects a half-open span of time.
type Span struct {
	From Time `query:"from" doc:"Only from this time on."`
	To   Time `query:"to" doc:"Only before this time."`
}

func (r Span) store() store.Range { return store.Range{From: r.From.Time, To: r.To.Time} }

// List is a part of a list.
type List[T any] struct {
	Items []T    `json:"items" nullable:"false" doc:"The items of this page."`
	Next  string `json:"next,omitempty" doc:"Cursor of the next page; absent on the last."`
}

// listed is the answer with a list.
type listed[T any] struct {
	Body List[T]
}

// newList converts rows and wraps them; items is never null in JSON.
func newList[S, T any](rows []S, next string, convert func(S) T) *listed[T] {
	out := &listed[T]{Body: List[T]{Items: make([]T, 0, len(rows)), Next: next}}
	for _, r := range rows {
		out.Body.Items = append(out.Body.Items, convert(r))
	}
	return out
}

// answered is the answer with one thing that has no revision.
type answered[T any] struct {
	Body T
}

// accepted is the answer with a thing that has its own address.
type accepted[T any] struct {
	Location string `header:"Location" doc:"Address of the result."`
	Body     T
}

// revised is the answer with a record under revision.
type revised[T any] struct {
	ETag string `header:"ETag" doc:"Revision of the record, quoted, for If-Match."`
	Body T
}

// created is the answer with a new record under revision.
type created[T any] struct {
	Location string `header:"Location" doc:"Address of the new record."`
	ETag     string `header:"ETag" doc:"Revision of the record, quoted, for If-Match."`
	Body     T
}

func etag(revision int64) string { return `"` + strconv.FormatInt(revision, 10) + `"` }

// parseIfMatch returns the revision that a change is based on. Without the
// header, or with *, any stored revision will do.
func parseIfMatch(header string) (int64, error) {
	header = strings.TrimSpace(header)
	if header == "" || header == "*" {
		return store.AnyRevision, nil
	}
	n, err := strconv.ParseInt(strings.Trim(header, `"`), 10, 64)
	if err != nil || n < 0 {
		return 0, invalid("header.If-Match", `If-Match takes one revision in quotes, as in "7"`)
	}
	return n, nil
}

// requireIfMatch is parseIfMatch for records that are never overwritten unseen.
func requireIfMatch(header string) (int64, error) {
	n, err := parseIfMatch(header)
	if err == nil && n == store.AnyRevision {
		return 0, huma.NewError(http.StatusPreconditionRequired,
			`this record is only changed with If-Match, which holds the revision you have seen ("0" when there is none yet)`)
	}
	return n, err
}

// createUnique calls create with the given id, or else with one made of the name.
func createUnique[T any](given, name, fallback string, create func(id string) (T, error)) (T, error) {
	if given != "" {
		return create(given)
	}
	return store.CreateUnique(store.Slug(name, fallback), create)
}

// newID returns an id that nobody guesses, for results.
func newID() string { return strings.ToLower(rand.Text()) }

// binary describes an answer that is not JSON.
func binary(description, mime string) *huma.Response {
	return &huma.Response{
		Description: description,
		Content:     map[string]*huma.MediaType{mime: {Schema: &huma.Schema{Type: huma.TypeString, Format: "binary"}}},
	}
}
