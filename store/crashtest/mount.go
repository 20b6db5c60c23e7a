package crashtest

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Points is at how many points a test cuts: few unless it was told otherwise.
func Points(t *testing.T, few int) int {
	t.Helper()
	text := os.Getenv("DETECTD_TEST_POINTS")
	switch {
	case text == "" && testing.Short():
		return min(few, 4)
	case text == "":
		return few
	}
	n, err := strconv.Atoi(text)
	require.NoError(t, err)
	return n
}

// MountDisk makes a disk of size bytes with an ext4 file system, and mounts it at dir
// until the test ends. The test is skipped where it may not do that.
func MountDisk(t *testing.T, size int64) (d *Disk, dir string) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("NOT TESTED: power cuts need root, to mount file systems")
	}
	d, dir = NewDisk(t, size), t.TempDir()
	if out, err := exec.CommandContext(t.Context(), "mkfs.ext4", "-q", "-F", "-E", "nodiscard", d.path).CombinedOutput(); err != nil {
		t.Skipf("NOT TESTED: power cuts need mkfs.ext4: %v %s", err, out)
	}
	if out, err := exec.CommandContext(t.Context(), "mount", "-o", "loop", d.path, dir).CombinedOutput(); err != nil {
		t.Skipf("NOT TESTED: power cuts need loop devices: %v %s", err, out)
	}
	t.Cleanup(func() { unmount(t, dir) })
	return d, dir
}

// Look mounts the file system of the copy, which replays its journal, and lets look at
// it with its folder.
func (c Copy) Look(t *testing.T, look func(dir string)) {
	t.Helper()
	dir, file := t.TempDir(), filepath.Join(t.TempDir(), "disk")
	c.Write(t, file)
	out, err := exec.CommandContext(t.Context(), "mount", "-o", "loop", file, dir).CombinedOutput()
	require.NoError(t, err, "%s", out)
	defer func() {
		unmount(t, dir)
		require.NoError(t, os.Remove(file)) // they are large, and there may be hundreds
	}()
	look(dir)
}

func unmount(t *testing.T, dir string) {
	t.Helper()
	out, err := exec.Command("umount", dir).CombinedOutput() //nolint:noctx // the test's context has ended
	require.NoError(t, err, "%s", strings.TrimSpace(string(out)))
}
