package bus

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

// works runs a worker for the test; the ids of the jobs it has done are added up.
type works struct {
	mu   sync.Mutex
	done []string
}

func (w *works) has(ids ...string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, id := range ids {
		found := false
		for _, d := range w.done {
			found = found || d == id
		}
		if !found {
			return false
		}
	}
	return true
}

func startWorker(t *testing.T, b *Bus) *works {
	t.Helper()
	w := &works{}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- b.Work(ctx, RenderWork, "render", func(_ context.Context, m Message) error {
			var j RenderJob
			err := m.Decode(&j)
			w.mu.Lock()
			w.done = append(w.done, j.ResultID)
			w.mu.Unlock()
			return err
		})
	}()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-ended)
	})
	return w
}

func enqueue(t *testing.T, b *Bus, id string) error {
	t.Helper()
	return b.Enqueue(t.Context(), RenderWork, id, RenderJob{ResultID: id})
}

// TestPausedQueues: work is refused, workers wait, announcements go on; what was
// queued before is done when the queues are opened.
func TestPausedQueues(t *testing.T) {
	folder := t.TempDir()
	b := open(t, folder)
	require.True(t, b.Writable())
	for i := range 20 {
		require.NoError(t, enqueue(t, b, fmt.Sprint("before", i)))
	}
	require.NoError(t, b.Pause(true))
	require.NoError(t, b.Pause(true), "paused already")
	require.False(t, b.Writable())
	require.ErrorIs(t, enqueue(t, b, "refused"), ErrPaused)
	require.NoError(t, b.Ping(t.Context()), "that is no fault")
	w := startWorker(t, b)
	changed, stop, err := b.Watch(Under(CameraChanged))
	require.NoError(t, err)
	defer stop()
	b.Publish(Subject(CameraChanged, "door"), Change{CameraID: "door"})
	<-changed
	require.False(t, w.has("before0"))
	for round := range 3 {
		require.NoError(t, b.Pause(false))
		require.NoError(t, b.Opened(t.Context()))
		after := fmt.Sprint("after", round)
		require.NoError(t, enqueue(t, b, after))
		require.Eventually(t, func() bool { return w.has("before0", "before19", after) }, time.Minute, time.Millisecond)
		require.NoError(t, b.Pause(true))
	}
	require.False(t, w.has("refused"))
}

// TestOpenedPaused: a bus that is opened on a full disk writes nothing, and has its
// queues as they were.
func TestOpenedPaused(t *testing.T) {
	folder := t.TempDir()
	b := open(t, folder)
	require.NoError(t, enqueue(t, b, "a"))
	require.NoError(t, b.Close())
	before := content(t, folder)
	b, err := Open(t.Context(), Config{Folder: folder, Paused: true}, b.log)
	require.NoError(t, err)
	defer func() { require.NoError(t, b.Close()) }()
	require.ErrorIs(t, enqueue(t, b, "refused"), ErrPaused)
	require.Equal(t, before, content(t, folder))
	w := startWorker(t, b)
	require.NoError(t, b.Pause(false))
	require.Eventually(t, func() bool { return w.has("a") }, time.Minute, time.Millisecond)
}

// content is every file below a folder.
func content(t *testing.T, folder string) map[string]string {
	t.Helper()
	all := map[string]string{}
	require.NoError(t, filepath.WalkDir(folder, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		all[path] = string(data)
		return err
	}))
	return all
}

// fullDisk is a file system of its own, and what fills it to the last byte and
// frees it.
func fullDisk(t *testing.T) (dir string, fill, free func()) {
	t.Helper()
	dir = t.TempDir()
	if out, err := exec.CommandContext(t.Context(), "mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", dir).CombinedOutput(); err != nil {
		t.Skipf("SKIPPED: this user may not mount a file system of its own: %s", out)
	}
	t.Cleanup(func() { require.NoError(t, exec.Command("umount", "-l", dir).Run()) }) //nolint:noctx // the test's context has ended
	path := filepath.Join(dir, "ballast")
	fill = func() {
		ballast, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		require.NoError(t, err)
		for block := make([]byte, 4<<10); err == nil; {
			_, err = ballast.Write(block)
		}
		require.ErrorIs(t, err, syscall.ENOSPC)
		require.NoError(t, ballast.Close())
	}
	return dir, fill, func() { require.NoError(t, os.Remove(path)) }
}

// TestFullDisk: on a disk without a free byte, paused queues write nothing, not even
// in the background; all that was acknowledged is done when there is space again.
func TestFullDisk(t *testing.T) {
	disk, fill, free := fullDisk(t)
	folder := filepath.Join(disk, "bus")
	b := open(t, folder)
	for i := range 100 {
		require.NoError(t, enqueue(t, b, fmt.Sprint("before", i)))
	}
	require.NoError(t, b.Pause(true))
	before := content(t, folder)
	fill()
	require.ErrorIs(t, enqueue(t, b, "refused"), ErrPaused)
	w := startWorker(t, b)
	require.NoError(t, b.Ping(t.Context()))
	require.Equal(t, before, content(t, folder))
	free()
	require.NoError(t, b.Pause(false))
	require.NoError(t, enqueue(t, b, "after"))
	require.Eventually(t, func() bool { return w.has("before0", "before99", "after") }, time.Minute, time.Millisecond)
}

// TestFailedQueuesAreOpenedAnew: when the disk is full before anybody has paused the
// queues, what they cannot store is refused; they say so, and take work again once
// they are opened anew.
func TestFailedQueuesAreOpenedAnew(t *testing.T) {
	disk, fill, free := fullDisk(t)
	b := open(t, filepath.Join(disk, "bus"))
	require.NoError(t, enqueue(t, b, "before"))
	fill()
	var acknowledged []string
	var err error
	for i := range 10000 {
		id := fmt.Sprint("full", i)
		if err = enqueue(t, b, id); err != nil {
			break
		}
		acknowledged = append(acknowledged, id)
	}
	require.ErrorIs(t, err, ErrPaused)
	require.False(t, b.Writable())
	require.Error(t, b.Ping(t.Context()))
	_ = b.Pause(false) // opened anew while the disk is full: nothing is lost
	free()
	require.NoError(t, b.Pause(false))
	require.True(t, b.Writable())
	require.NoError(t, b.Ping(t.Context()))
	require.NoError(t, enqueue(t, b, "after"))
	w := startWorker(t, b)
	require.Eventually(t, func() bool { return w.has(append(acknowledged, "before", "after")...) }, time.Minute, time.Millisecond)
}

// TestDiskFullWhileWorking: a worker whose jobs cannot be marked as done goes on when
// there is space again.
func TestDiskFullWhileWorking(t *testing.T) {
	disk, fill, free := fullDisk(t)
	b := open(t, filepath.Join(disk, "bus"))
	w := startWorker(t, b)
	for i := range 20 {
		require.NoError(t, enqueue(t, b, fmt.Sprint("before", i)))
	}
	fill()
	for i := range 10000 {
		if err := enqueue(t, b, fmt.Sprint("full", i)); errors.Is(err, ErrPaused) {
			break
		}
	}
	require.False(t, b.Writable())
	free()
	require.NoError(t, b.Pause(false))
	require.NoError(t, enqueue(t, b, "after"))
	require.Eventually(t, func() bool { return w.has("before0", "before19", "after") }, time.Minute, time.Millisecond)
}

// TestPausingLeavesNothingBehind: however often the queues are closed and opened.
func TestPausingLeavesNothingBehind(t *testing.T) {
	b := open(t, t.TempDir())
	defer func() { require.NoError(t, b.Close()) }()
	before := goleak.IgnoreCurrent()
	for range 5 {
		require.NoError(t, b.Pause(true))
		require.NoError(t, b.Pause(false))
	}
	require.NoError(t, b.Pause(true))
	require.NoError(t, goleak.Find(before))
}
