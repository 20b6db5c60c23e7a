// Package cursor turns a position in a list into the opaque text that clients
// hand back for the next page, and that text into the position again.
package cursor

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"

	"detectd/store"
)

// Encode returns the text for a position, which must be a plain struct.
func Encode[T any](position T) string {
	b, err := json.Marshal(position)
	if err != nil {
		panic(fmt.Sprintf("cursor: position of type %T: %v", position, err)) // a programming error
	}
	return base64.RawURLEncoding.EncodeToString(b)
}

// Decode reads a position back. It returns store.ErrCursor for any text that
// Encode has not made of the same type.
func Decode[T any](text string) (position T, err error) {
	b, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		return position, fmt.Errorf("%q: %w", clip(text), store.ErrCursor)
	}
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&position); err != nil || dec.More() {
		var zero T
		return zero, fmt.Errorf("%q: %w", clip(text), store.ErrCursor)
	}
	return position, nil
}

func clip(s string) string {
	const most = 40
	if len(s) > most {
		return s[:most] + "…"
	}
	return s
}
