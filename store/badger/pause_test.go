package badger

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"detectd/store"
)

func TestPause(t *testing.T) {
	s := openTest(t, t.TempDir(), time.Hour, quiet())
	put(t, s, 14, 10)
	require.True(t, s.Writable())
	require.NoError(t, s.Pause(true))
	require.False(t, s.Writable())
	require.ErrorIs(t, s.PutAnnotations(t.Context(), []store.Annotation{{CameraID: "door", Time: somewhen(15)}}), store.ErrPaused)
	require.ErrorIs(t, s.PutInferences(t.Context(), []store.Inference{{CameraID: "door", Time: somewhen(15)}}), store.ErrPaused)
	require.ErrorIs(t, s.DropCamera(t.Context(), "door"), store.ErrPaused)
	got, err := s.Annotations(t.Context(), "door", store.Range{}, 0)
	require.NoError(t, err)
	require.Len(t, got, 10, "reading goes on")
	require.NoError(t, s.Pause(true), "paused already")
	require.NoError(t, s.Pause(false))
	put(t, s, 15, 1)
	require.Positive(t, s.Size())
}

// TestFullDisk: on a real disk without a free byte, after Pause, nothing writes any
// more, not even in the background, so nothing meets the full disk; what was stored
// can be read, and is still there when there is space again.
func TestFullDisk(t *testing.T) {
	disk := t.TempDir()
	if out, err := exec.CommandContext(t.Context(), "mount", "-t", "tmpfs", "-o", "size=192m", "tmpfs", disk).CombinedOutput(); err != nil {
		t.Skipf("SKIPPED: this user may not mount a file system of its own: %s", out)
	}
	t.Cleanup(func() { require.NoError(t, exec.Command("umount", "-l", disk).Run()) }) //nolint:noctx // the test's context has ended
	dir := filepath.Join(disk, "series")
	s, err := Open(dir, 0, quiet())
	require.NoError(t, err)
	defer func() { require.NoError(t, s.Close()) }()
	stored := 0
	for s.Size() < 60<<20 { // several tables, with merging to do
		var all []store.Annotation
		for range 500 {
			at := somewhen(14).Add(time.Duration(stored) * 40 * time.Millisecond)
			all = append(all, store.Annotation{CameraID: "door", Time: at, Frame: uint64(stored), Objects: noisy(30)})
			stored++
		}
		require.NoError(t, s.PutAnnotations(t.Context(), all))
	}
	read := func() int {
		n := 0
		for from := somewhen(14); ; n++ {
			a, err := s.Annotations(t.Context(), "door", store.Range{From: from}, 1000)
			require.NoError(t, err)
			if len(a) == 0 {
				return n
			}
			n += len(a) - 1
			from = a[len(a)-1].Time.Add(time.Microsecond)
		}
	}
	began := time.Now()
	require.NoError(t, s.Pause(true))
	t.Logf("%d frames, %d MiB: closed and opened for reading in %v", stored, s.Size()>>20, time.Since(began))

	ballast, err := os.Create(filepath.Join(disk, "ballast"))
	require.NoError(t, err)
	for block := make([]byte, 1<<12); err == nil; {
		_, err = ballast.Write(block)
	}
	require.ErrorIs(t, err, syscall.ENOSPC)
	require.NoError(t, ballast.Close())
	before := contents(t, dir)
	require.Equal(t, stored, read())
	require.ErrorIs(t, s.PutInferences(t.Context(), []store.Inference{{CameraID: "door", Time: somewhen(15)}}), store.ErrPaused)
	require.Equal(t, before, contents(t, dir), "something wrote to the full disk")

	require.NoError(t, os.Remove(ballast.Name()))
	require.NoError(t, s.Pause(false))
	put(t, s, 15, 10)
	require.Equal(t, stored+10, read())
}

// contents are the files of a folder with their sizes and times.
func contents(t *testing.T, dir string) (all []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	for _, e := range entries {
		info, err := e.Info()
		require.NoError(t, err)
		all = append(all, fmt.Sprint(e.Name(), info.Size(), info.ModTime()))
	}
	return all
}

// noisy are objects that hardly compress.
func noisy(n int) []store.Object {
	all := make([]store.Object, n)
	for i := range all {
		all[i] = store.Object{Label: "person", Score: rand.Float32()}
		for j := range all[i].Box {
			all[i].Box[j] = rand.Float32()
		}
	}
	return all
}

func TestOpenPaused(t *testing.T) {
	dir := t.TempDir()
	s, err := OpenPaused(dir, time.Hour, quiet())
	require.NoError(t, err)
	require.ErrorIs(t, s.PutInferences(t.Context(), []store.Inference{{CameraID: "door", Time: somewhen(15)}}), store.ErrPaused)
	got, err := s.Annotations(t.Context(), "door", store.Range{}, 0)
	require.NoError(t, err)
	require.Empty(t, got)
	_, err = s.AnnotationAt(t.Context(), "door", somewhen(15), time.Hour)
	require.ErrorIs(t, err, store.ErrNotFound)
	rows, next, err := s.ListDetections(t.Context(), store.DetectionQuery{Label: "person"}, store.Page{})
	require.NoError(t, err)
	require.Empty(t, rows)
	require.Empty(t, next)
	require.Zero(t, s.Size(), "the disk was not touched")

	require.NoError(t, s.Pause(false))
	put(t, s, 15, 1)
	require.NoError(t, s.Close())
	require.ErrorIs(t, s.Pause(false), errClosed)

	s, err = OpenPaused(dir, time.Hour, quiet())
	require.NoError(t, err)
	require.NoError(t, s.Close(), "never opened")
}
