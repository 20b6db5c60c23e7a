package badger

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"detectd/store"
	"detectd/store/crashtest"
)

// writerDir makes the test binary a process that writes series there.
const writerDir = "DETECTD_TEST_SERIES_WRITER_DIR"

// batch is how many annotations a write of keepWriting has. With their objects, a few
// hundred writes fill a table.
const batch = 10

// keepWriting writes annotations, and says each time that it has. It never ends by
// itself.
func keepWriting(dir string) int {
	s, err := Open(dir, 0, quiet())
	for n := 0; err == nil; n++ {
		frames := make([]store.Annotation, batch)
		for i := range frames {
			frames[i] = store.Annotation{CameraID: "door", Frame: uint64(n*batch + i), Time: somewhen(14).Add(time.Duration(n*batch+i) * time.Millisecond), Objects: noisy(40)}
		}
		if err = s.PutAnnotations(context.Background(), frames); err == nil {
			_, _ = fmt.Fprintln(os.Stdout, "written")
			time.Sleep(2 * time.Millisecond) // the disk is to last for hundreds of cuts
		}
	}
	_, _ = fmt.Fprintln(os.Stderr, err)
	return 1
}

// requireOpens opens the series in another process, which has to end well, and returns
// how many frames it has read and whether it has emptied them.
func requireOpens(t *testing.T, dir string) (frames int, emptied bool) {
	t.Helper()
	text, log, err := elsewhere(t, dir)
	require.NoError(t, err, log)
	frames, err = strconv.Atoi(text)
	require.NoError(t, err)
	return frames, strings.Contains(log, "they are emptied")
}

// TestCacheIsKilled kills a process that writes annotations: all that the store has
// taken is there. What is on its way to it is what may be lost.
func TestCacheIsKilled(t *testing.T) {
	chance := rand.New(rand.NewPCG(9, 10))
	for range crashtest.Points(t, 4) {
		dir := filepath.Join(t.TempDir(), "series")
		w := crashtest.Start(t, writerDir+"="+dir)
		w.Running(t, 1+chance.IntN(400), time.Duration(chance.IntN(3000))*time.Microsecond)
		w.Kill(t)
		frames, emptied := requireOpens(t, dir)
		require.False(t, emptied)
		require.GreaterOrEqual(t, frames, len(w.Told())*batch)
		t.Logf("%d frames taken, %d there", len(w.Told())*batch, frames)
	}
}

// TestCacheLosesItsPower takes the power from the disk of a process that writes
// annotations: the store opens, with what was on the disk or emptied, and takes more.
func TestCacheLosesItsPower(t *testing.T) {
	disk, dir := crashtest.MountDisk(t, 512<<20)
	w := crashtest.Start(t, writerDir+"="+filepath.Join(dir, "series"))
	defer w.Kill(t)
	chance := rand.New(rand.NewPCG(11, 12))
	for range crashtest.Points(t, 6) {
		w.Running(t, len(w.Told())+1+chance.IntN(120), time.Duration(chance.IntN(3000))*time.Microsecond)
		left := disk.PowerCut(t, chance)
		w.Halted(t, func() {
			left.Look(t, func(dir string) {
				series := filepath.Join(dir, "series")
				frames, emptied := requireOpens(t, series)
				require.LessOrEqual(t, frames, (len(w.Told())+1)*batch)
				again, _ := requireOpens(t, series) // which has another one by now
				require.Equal(t, frames+1, again)
				t.Logf("%d frames taken, %d there, emptied: %t", len(w.Told())*batch, frames, emptied)
			})
		})
	}
}
