package crash

import (
	"math/rand/v2"
	"path/filepath"
	"testing"
	"time"

	"detectd/store/crashtest"
)

// TestPowerCut has the writer work on a file system on a disk of the test's own, and
// takes what a power cut would leave of the disk while it does: what was flushed, and
// any part of what the disk had in its cache. What only the kernel had is lost.
func TestPowerCut(t *testing.T) {
	disk, dir := crashtest.MountDisk(t, 256<<20)
	p := startWriter(t, filepath.Join(dir, "data"), 0)
	defer p.Kill(t)
	chance := rand.New(rand.NewPCG(3, 4))
	for n := range crashtest.Points(t, 20) {
		p.Running(t, len(p.Told())+1+chance.IntN(40), time.Duration(chance.IntN(3000))*time.Microsecond)
		acks := told(t, p)
		left := disk.PowerCut(t, chance)
		p.Halted(t, func() {
			left.Look(t, func(dir string) { requireKept(t, filepath.Join(dir, "data"), acks, told(t, p)) })
		})
		t.Logf("cut %d: %d acknowledged records kept", n, len(acks))
	}
}
