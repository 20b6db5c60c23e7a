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

// TestPowerCut has the writer work on a file system on a disk of the test's own, and
// takes what a power cut would leave of the disk while it does: what was flushed, and
// any part of what the disk had in its cache. What only the kernel had is lost.
func TestPowerCut(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("NOT TESTED: power cuts need root, to mount file systems")
	}
	dir := t.TempDir()
	mount := filepath.Join(dir, "mount")
	require.NoError(t, os.Mkdir(mount, 0o700))
	d := newDisk(t, 256<<20)
	if out, err := exec.CommandContext(t.Context(), "mkfs.ext4", "-q", "-F", "-E", "nodiscard", d.path).CombinedOutput(); err != nil {
		t.Skipf("NOT TESTED: power cuts need mkfs.ext4: %v %s", err, out)
	}
	if out, err := exec.CommandContext(t.Context(), "mount", "-o", "loop", d.path, mount).CombinedOutput(); err != nil {
		t.Skipf("NOT TESTED: power cuts need loop devices: %v %s", err, out)
	}
	t.Cleanup(func() { unmount(t, mount) })

	p := startWriter(t, filepath.Join(mount, "data"), 0)
	defer p.kill(t)
	chance := rand.New(rand.NewPCG(3, 4))
	for n := range points(t) {
		p.running(t, len(p.told())+1+chance.IntN(40), time.Duration(chance.IntN(3000))*time.Microsecond)
		copied := filepath.Join(dir, "copy")
		acks := p.told()
		flushes, cached, lost := d.cut(t, copied, chance)
		require.NoError(t, p.cmd.Process.Signal(syscall.SIGSTOP)) // while what is left is looked at
		requireOnDisk(t, copied, acks, p)
		require.NoError(t, p.cmd.Process.Signal(syscall.SIGCONT))
		t.Logf("cut %d: %d acknowledged records kept, after %d flushes; %d of the %d blocks in the cache lost", n, len(acks), flushes, lost, cached)
	}
}

// TestPowerCutIsOne: what was synced is there after a cut, and what was not is not,
// else TestPowerCut would prove nothing.
func TestPowerCutIsOne(t *testing.T) {
	d := newDisk(t, 1<<20)
	f, err := os.OpenFile(d.path, os.O_RDWR, 0)
	require.NoError(t, err)
	_, err = f.WriteAt([]byte("synced"), 10)
	require.NoError(t, err)
	require.NoError(t, f.Sync())
	for i := range 100 {
		_, err = f.WriteAt([]byte("cached"), int64(10+(i+1)*block))
		require.NoError(t, err)
	}
	path := filepath.Join(t.TempDir(), "copy")
	_, cached, lost := d.cut(t, path, rand.New(rand.NewPCG(1, 1)))
	require.NoError(t, f.Close())
	require.Equal(t, 100, cached)
	require.Greater(t, lost, 20)
	require.Less(t, lost, 80)
	left, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Len(t, left, 1<<20)
	require.Equal(t, "synced", string(left[10:16]))
	require.Equal(t, 100-lost, strings.Count(string(left), "cached"))
}

// requireOnDisk mounts the copy, which replays its journal, and looks at it.
func requireOnDisk(t *testing.T, disk string, acks []ack, p *process) {
	t.Helper()
	mount := filepath.Join(filepath.Dir(disk), "copied")
	require.NoError(t, os.MkdirAll(mount, 0o700))
	out, err := exec.CommandContext(t.Context(), "mount", "-o", "loop", disk, mount).CombinedOutput()
	require.NoError(t, err, "%s", out)
	defer unmount(t, mount)
	requireKept(t, filepath.Join(mount, "data"), acks, p.told())
}

func unmount(t *testing.T, dir string) {
	t.Helper()
	out, err := exec.Command("umount", dir).CombinedOutput() //nolint:noctx // the test's context has ended
	require.NoError(t, err, "%s", strings.TrimSpace(string(out)))
}
