package folder_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"detectd/store/folder"
)

func TestHold(t *testing.T) {
	path := t.TempDir()
	owner := open(t, path)
	beside, _, err := folder.Beside(path)
	require.NoError(t, err)

	ran := 0
	try := func() bool {
		unheld, err := owner.Unheld(func() error {
			ran++
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			_, err := beside.Hold(ctx)
			require.ErrorIs(t, err, context.Canceled, "not while something is deleted")
			return nil
		})
		require.NoError(t, err)
		return unheld
	}
	require.True(t, try())
	first, err := beside.Hold(t.Context())
	require.NoError(t, err)
	second, err := beside.Hold(t.Context())
	require.NoError(t, err)
	require.False(t, try())
	first()
	require.False(t, try(), "two held it")
	second()
	require.True(t, try())
	require.Equal(t, 2, ran)
}
