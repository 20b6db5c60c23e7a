package crash

import (
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestPowerCut has the writer work on a file system in a file, and copies that
// file while it does: what is in the copy is what had reached the disk, as after a
// power cut; what was only in memory is not. The writer stands still meanwhile,
// since a copy takes its time and a cut does not.
func TestPowerCut(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("NOT TESTED: power cuts need root, to mount file systems")
	}
	dir := t.TempDir()
	disk, mount := filepath.Join(dir, "disk"), filepath.Join(dir, "mount")
	require.NoError(t, os.Mkdir(mount, 0o700))
	file, err := os.Create(disk)
	require.NoError(t, err)
	require.NoError(t, file.Truncate(256<<20))
	require.NoError(t, file.Close())
	if out, err := exec.CommandContext(t.Context(), "mkfs.ext4", "-q", "-F", disk).CombinedOutput(); err != nil {
		t.Skipf("NOT TESTED: power cuts need mkfs.ext4: %v %s", err, out)
	}
	if out, err := exec.CommandContext(t.Context(), "mount", "-o", "loop", disk, mount).CombinedOutput(); err != nil {
		t.Skipf("NOT TESTED: power cuts need loop devices: %v %s", err, out)
	}
	t.Cleanup(func() { unmount(t, mount) })

	p := startWriter(t, filepath.Join(mount, "data"), 0)
	defer p.kill(t)
	chance := rand.New(rand.NewPCG(3, 4))
	for n := range points(t) {
		p.running(t, len(p.told())+1+chance.IntN(40), time.Duration(chance.IntN(3000))*time.Microsecond)
		require.NoError(t, p.cmd.Process.Signal(syscall.SIGSTOP))
		copied := filepath.Join(dir, "copy")
		out, err := exec.CommandContext(t.Context(), "cp", "--sparse=always", disk, copied).CombinedOutput()
		require.NoError(t, err, "%s", out)
		acks := p.told() // the pipe holds no more than this: lines are read as they come
		require.NoError(t, p.cmd.Process.Signal(syscall.SIGCONT))
		requireOnDisk(t, copied, acks)
		t.Logf("cut %d: %d acknowledged records kept", n, len(acks))
	}
}

// requireOnDisk mounts the copy, which replays its journal, and looks at it.
func requireOnDisk(t *testing.T, disk string, acks []ack) {
	t.Helper()
	mount := filepath.Join(filepath.Dir(disk), "copied")
	require.NoError(t, os.MkdirAll(mount, 0o700))
	out, err := exec.CommandContext(t.Context(), "mount", "-o", "loop", disk, mount).CombinedOutput()
	require.NoError(t, err, "%s", out)
	defer unmount(t, mount)
	requireKept(t, filepath.Join(mount, "data"), acks)
}

func unmount(t *testing.T, dir string) {
	t.Helper()
	out, err := exec.Command("umount", dir).CombinedOutput() //nolint:noctx // the test's context has ended
	require.NoError(t, err, "%s", strings.TrimSpace(string(out)))
}
