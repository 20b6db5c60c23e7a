package draw

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestPrintable(t *testing.T) {
	for in, want := range map[string]string{
		"person 91%":          "person 91%",
		"Fußgänger":           "Fussganger",
		"e\u0301tage":         "etage",
		"Čížek – „Šála“":      `Cizek - "Sala"`,
		"犬 dog":               "? dog",
		"a\tb\u00a0c\x00\xff": "a b c??",
	} {
		require.Equal(t, want, printable(in), in)
	}
}
