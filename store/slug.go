package store

import (
	"errors"
	"strconv"
	"strings"
)

// Slug makes an id of a name: lower-case letters, digits and dashes, short
// enough for a number behind it; fallback when nothing is left.
func Slug(name, fallback string) string {
	var b strings.Builder
	for _, r := range strings.ToLower(name) {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			b.WriteRune(r)
		case b.Len() > 0 && !strings.HasSuffix(b.String(), "-"):
			b.WriteByte('-')
		}
	}
	id := strings.Trim(b.String(), "-")
	if len(id) > 48 {
		id = strings.TrimRight(id[:48], "-")
	}
	if id == "" {
		return fallback
	}
	return id
}

// CreateUnique calls create with id, then with id-2, id-3 and so on while the
// record exists.
func CreateUnique[T any](id string, create func(id string) (T, error)) (T, error) {
	made, err := create(id)
	for n := 2; errors.Is(err, ErrExists) && n <= 1000; n++ {
		made, err = create(id + "-" + strconv.Itoa(n))
	}
	return made, err
}
