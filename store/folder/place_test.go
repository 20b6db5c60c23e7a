package folder

import (
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestMoved: a copy of a folder is told from the folder itself, once; a folder that was
// renamed is the same.
func TestMoved(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	opened := func(dir string, moved bool) *Folder {
		f, err := Open(dir)
		require.NoError(t, err)
		require.Equal(t, moved, f.Moved(), dir)
		return f
	}
	f := opened(dir, false)
	if f.place() == "" {
		require.NoError(t, f.Close())
		t.Skip("SKIPPED: this file system does not know when files were made")
	}
	require.NoError(t, f.Count(1))
	require.NoError(t, f.Close())
	f = opened(dir, false) // not settled
	require.NoError(t, f.Settle())
	require.NoError(t, f.Count(2))
	require.NoError(t, f.Close())

	other := dir + "-copy"
	require.NoError(t, exec.CommandContext(t.Context(), "cp", "-a", dir, other).Run())
	c := opened(other, true)
	require.NoError(t, c.Count(3))
	require.NoError(t, c.Close())
	c = opened(other, true) // until it is settled
	f = opened(dir, false)
	require.Equal(t, f.ID(), c.ID())
	require.NoError(t, c.Settle())
	require.False(t, c.Moved())
	require.NoError(t, c.Close())
	require.NoError(t, f.Close())
	require.NoError(t, opened(other, false).Close())

	renamed := dir + "-renamed"
	require.NoError(t, exec.CommandContext(t.Context(), "mv", dir, renamed).Run())
	require.NoError(t, opened(renamed, false).Close())
}
