package folder

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestRefuseUnmounted(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "disk one"), 0o700))
	require.NoError(t, os.Symlink(filepath.Join(dir, "disk one"), filepath.Join(dir, "link")))
	fstab, mounts := filepath.Join(dir, "fstab"), filepath.Join(dir, "mounts")
	entry := "/dev/sdb1 " + dir + "/disk\\040one ext4 nofail 0 2\n"
	require.NoError(t, os.WriteFile(fstab, []byte("# disks\n\nUUID=1 / ext4 defaults 0 1\nUUID=2 none swap sw 0 0\n"+entry), 0o600))

	here := "/dev/sda1 / ext4 rw 0 0\n"
	for _, c := range []struct {
		path, mounted string
		refused       bool
	}{
		{"disk one/data", here, true},
		{"disk one", here, true},
		{"link/data", here, true},
		{"disk one/data", here + entry, false},
		{"link/data", here + entry, false},
		{"disk one more/data", here, false},
		{"data", here, false},
	} {
		require.NoError(t, os.WriteFile(mounts, []byte(c.mounted), 0o600))
		err := refuseUnmounted(filepath.Join(dir, c.path), fstab, mounts)
		if !c.refused {
			require.NoError(t, err, "%+v", c)
			continue
		}
		require.ErrorIs(t, err, ErrUnmounted, "%+v", c)
		require.ErrorContains(t, err, "mount it (mount "+dir+"/disk one)")
	}
	require.NoError(t, refuseUnmounted(dir, filepath.Join(dir, "none"), mounts), "a machine without the table")
}

func TestUnescape(t *testing.T) {
	for in, want := range map[string]string{`/a\040b\011`: "/a b\t", `/a\134`: `/a\`, `/a\04`: `/a\04`, `/a\999`: `/a\999`} {
		require.Equal(t, want, unescape(in))
	}
}
