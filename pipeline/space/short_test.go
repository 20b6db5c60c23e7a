package space_test

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"detectd/pipeline/space"
)

func TestFewFiles(t *testing.T) {
	u := space.Usage{Free: 500, Total: 1000, FilesFree: 1_000_000, Files: 5_000_000}
	var changes []space.Change
	g, err := space.New(space.Config{Folder: "x", Usage: func(string) (space.Usage, error) { return u, nil }},
		slog.New(slog.DiscardHandler), func(c space.Change) { changes = append(changes, c) })
	require.NoError(t, err)
	for _, step := range []struct {
		free, files int64
		level       space.Level
		cause       space.Cause
		missing     int
	}{
		{500, 10_000, space.Normal, space.None, 0}, // a share of five million would be far more
		{500, 9_999, space.Evict, space.Files, 1001},
		{500, 10_999, space.Evict, space.Files, 1},
		{500, 11_000, space.Normal, space.None, 0},
		{500, 4_999, space.Refuse, space.Files, 6001},
		{500, 0, space.Stop, space.Files, 11_000},
		{10, 0, space.Stop, space.Bytes, 0},
		{60, 0, space.Stop, space.Files, 11_000},
		{500, 20_000, space.Normal, space.None, 0},
	} {
		u.Free, u.FilesFree = step.free, step.files
		g.Look()
		s := g.State()
		require.Equal(t, step.level, s.Level, "%+v", step)
		require.Equal(t, step.cause, s.Cause, "%+v", step)
		require.Equal(t, step.missing, g.MissingFiles(), "%+v", step)
	}
	last := changes[len(changes)-1]
	require.Equal(t, space.Change{Level: space.Normal, Was: space.Stop, Cause: space.Files, Usage: u}, last, "it says what there was too little of")
}

// TestNoInodesByNature: a file system that makes inodes as needed says it has none.
func TestNoInodesByNature(t *testing.T) {
	g, _ := guard(t, space.Config{}, &disk{free: 500})
	require.Equal(t, space.Normal, g.Level())
	require.Zero(t, g.MissingFiles())
}

// TestRealDiskWithoutInodes makes files until the file system has no inode left.
func TestRealDiskWithoutInodes(t *testing.T) {
	dir := tmpfs(t, "size=64m,nr_inodes=2000")
	g, err := space.New(space.Config{Folder: dir, Reserve: filepath.Join(dir, "reserve")}, slog.New(slog.DiscardHandler), nil)
	require.NoError(t, err)
	require.Equal(t, space.Normal, g.Level())
	seen := []space.Level{space.Normal}
	for i := 0; err == nil; i++ {
		err = os.WriteFile(filepath.Join(dir, fmt.Sprint(i)), nil, 0o600)
		g.Look()
		if l := g.Level(); l != seen[len(seen)-1] {
			seen = append(seen, l)
		}
	}
	require.ErrorIs(t, err, syscall.ENOSPC)
	require.Equal(t, []space.Level{space.Normal, space.Evict, space.Refuse, space.Stop}, seen)
	require.Equal(t, space.Files, g.State().Cause)
	require.Greater(t, g.State().Usage.Free, int64(50<<20), "there are bytes")
	missing := g.MissingFiles()
	require.Greater(t, missing, 200)
	for i := range missing {
		require.NoError(t, os.Remove(filepath.Join(dir, fmt.Sprint(i))))
	}
	g.Look()
	require.Equal(t, space.Normal, g.Level())
	require.FileExists(t, filepath.Join(dir, "reserve"))
}

// TestQuota: the disk has room, and the system refuses more all the same. The folder
// for the question is a disk that is full; what is said of it is not.
func TestQuota(t *testing.T) {
	dir := tmpfs(t, "size=8m")
	ballast := filepath.Join(dir, "ballast")
	require.Error(t, os.WriteFile(ballast, make([]byte, 16<<20), 0o600))
	g, err := space.New(space.Config{Folder: dir, ReserveBytes: 4 << 20, Usage: func(string) (space.Usage, error) {
		return space.Usage{Free: 900 << 20, Total: 1000 << 20}, nil
	}}, slog.New(slog.DiscardHandler), nil)
	require.NoError(t, err)
	g.Met(errors.New("no such file"))
	require.Equal(t, space.Normal, g.Level())
	for range 2 {
		g.Met(fmt.Errorf("write segment: %w", syscall.EDQUOT))
		require.Equal(t, space.Stop, g.Level())
		require.Equal(t, space.Quota, g.State().Cause)
		require.Error(t, g.Check(space.Media))
		require.EqualValues(t, 10<<20, g.Missing(), "something has to go")
		require.Zero(t, g.Missing(), "but not all at once")

		require.NoError(t, os.Truncate(ballast, 0))
		require.Eventually(t, func() bool { g.Look(); return g.Level() == space.Normal }, time.Minute, 10*time.Millisecond)
		require.Equal(t, space.None, g.State().Cause)
		require.Zero(t, g.Missing())
		require.NoFileExists(t, filepath.Join(dir, ".probe"))
		require.Error(t, os.WriteFile(ballast, make([]byte, 16<<20), 0o600))
	}
}
