package literal_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"detectd/detect/literal"
)

func TestNames(t *testing.T) {
	for text, want := range map[string][]string{
		`{0: 'person', 1: "driver's seat", 2: 'a "b"'}`: {"person", "driver's seat", `a "b"`},
		`{1: 'b', 0: 'a',}`:                             {"a", "b"},
		`{"0": "a", "1": "b\u00e4\/\"'"}`:               {"a", `bä/"'`},
		`['a', 'it\'s', '\xe4\t\\']`:                    {"a", "it's", "ä\t\\"},
		` ( "x" , ) `:                                   {"x"},
		`[]`:                                            {},
		`{}`:                                            {},
		`['北京']`:                                        {"北京"},
	} {
		got, err := literal.Names(text)
		require.NoError(t, err, text)
		require.Equal(t, want, got, text)
	}
	for _, text := range []string{
		``, `x`, `'a'`, `{0: 'a'`, `{0 'a'}`, `{0: 'a' 1: 'b'}`, `{0: 'a', 2: 'b'}`, `{0: 'a', 0: 'b'}`, `{'x': 'a'}`,
		`{0: 1}`, `['a]`, `['a']x`, `["a"] + ["b"]`, `__import__('os').system('id')`, `[1.5]`, `{None: 'a'}`, `{[]: 'a'}`,
		`['\q']`, "['\xff']", "['a\nb']", `['a', ,]`, strings.Repeat("[", 100), `{0: 'a', '0': 'b'}`,
		`{0: open('x')}`, `[99999999999999999999]`, `[0x10]`, `[1_0]`,
	} {
		_, err := literal.Names(text)
		require.ErrorIs(t, err, literal.ErrSyntax, text)
	}
}

func TestInts(t *testing.T) {
	for text, want := range map[string][]int{`32`: {32}, `[640, 480]`: {640, 480}, `(-1,)`: {-1}, ` 7 `: {7}} {
		got, err := literal.Ints(text)
		require.NoError(t, err, text)
		require.Equal(t, want, got)
	}
	for _, text := range []string{``, `x`, `'1'`, `[None]`, `1 2`, `{0: 1}`, `-`} {
		_, err := literal.Ints(text)
		require.ErrorIs(t, err, literal.ErrSyntax, text)
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{`{0: 'a', 1: "b"}`, `[1, (2, None), True]`, `'\x41\u0042'`, `{"0": null}`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if v, err := literal.Parse(s); err != nil {
			require.Nil(t, v)
			require.ErrorIs(t, err, literal.ErrSyntax)
		}
	})
}
