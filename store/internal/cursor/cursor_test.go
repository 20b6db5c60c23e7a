package cursor_test

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"detectd/store"
	"detectd/store/internal/cursor"
)

type position struct {
	Time int64  `json:"t"`
	ID   string `json:"i"`
}

func TestRoundTrip(t *testing.T) {
	for _, p := range []position{{}, {Time: -1, ID: "a"}, {Time: math.MaxInt64, ID: `"quoted" ü`}} {
		got, err := cursor.Decode[position](cursor.Encode(p))
		require.NoError(t, err)
		require.Equal(t, p, got)
	}
}

func TestDecodeRefuses(t *testing.T) {
	for name, text := range map[string]string{
		"empty":      "",
		"not base64": "!!!",
		"not json":   "AAAA",
		"other type": cursor.Encode(struct{ Frame int }{1}),
		"wrong value": cursor.Encode(struct {
			T string `json:"t"`
		}{"x"}),
	} {
		t.Run(name, func(t *testing.T) {
			_, err := cursor.Decode[position](text)
			require.ErrorIs(t, err, store.ErrCursor)
		})
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(cursor.Encode(position{Time: 1, ID: "a"}))
	f.Add("")
	f.Fuzz(func(t *testing.T, text string) {
		p, err := cursor.Decode[position](text)
		if err != nil {
			require.ErrorIs(t, err, store.ErrCursor)
			return
		}
		again, err := cursor.Decode[position](cursor.Encode(p))
		require.NoError(t, err)
		require.Equal(t, p, again)
	})
}
