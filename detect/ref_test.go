package detect

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestParseRef(t *testing.T) {
	for in, want := range map[string]Ref{
		"default":        {Model: "default"},
		"yolox.nano-1@3": {Model: "yolox.nano-1", Version: 3},
		"yard@champion":  {Model: "yard", Alias: "champion"},
	} {
		got, err := ParseRef(in)
		require.NoError(t, err)
		require.Equal(t, want, got)
		require.Equal(t, in, got.String())
	}
	for _, in := range []string{"", "@1", "Default", "a@", "a@0", "a@-1", "a@x y", "a@3x", "a@1@2", "../a"} {
		_, err := ParseRef(in)
		require.Error(t, err, in)
	}
}
