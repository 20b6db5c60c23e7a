package folder

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"detectd/store"
)

// TestSameFolderByAnotherWay: a folder in use is refused whatever path leads to it.
func TestSameFolderByAnotherWay(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	f, err := Open(dir)
	require.NoError(t, err)
	defer func() { require.NoError(t, f.Close()) }()

	link := filepath.Join(t.TempDir(), "link")
	require.NoError(t, os.Symlink(dir, link))
	_, err = Open(link)
	require.ErrorIs(t, err, store.ErrLocked)

	bound := t.TempDir()
	if out, err := exec.CommandContext(t.Context(), "mount", "--bind", dir, bound).CombinedOutput(); err != nil {
		t.Skipf("SKIPPED: this user may not mount a folder at another place: %s", out)
	}
	defer func() { require.NoError(t, exec.Command("umount", bound).Run()) }() //nolint:noctx // the test's context may have ended
	_, err = Open(bound)
	require.ErrorIs(t, err, store.ErrLocked)
}
