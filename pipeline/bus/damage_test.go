package bus

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestDamagedQueueNeverStopsTheStart: whatever happened to the files of the work
// queue, the bus opens and takes and hands out new work. What was queued may be
// lost with them; it is queued again from the records.
func TestDamagedQueueNeverStopsTheStart(t *testing.T) {
	folder := t.TempDir()
	b := open(t, folder)
	for _, id := range []string{"a", "b"} {
		require.NoError(t, b.Enqueue(t.Context(), RenderWork, id, RenderJob{ResultID: id}))
	}
	ctx, cancel := context.WithCancel(t.Context())
	require.NoError(t, b.Work(ctx, RenderWork, "render", func(ctx context.Context, _ Message) error { cancel(); return ctx.Err() }))
	require.NoError(t, b.Close())
	var files []string
	require.NoError(t, filepath.WalkDir(folder, func(path string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			rel, err := filepath.Rel(folder, path)
			files = append(files, rel)
			return err
		}
		return err
	}))
	require.NotEmpty(t, files)
	for _, file := range files {
		for name, damage := range map[string]func(content []byte) []byte{
			"gone":  nil,
			"empty": func([]byte) []byte { return nil },
			"cut":   func(c []byte) []byte { return c[:len(c)/2] },
			"flipped": func(c []byte) []byte {
				for i := range c {
					c[i] ^= 0x55
				}
				return c
			},
		} {
			t.Run(file+" "+name, func(t *testing.T) {
				dir := filepath.Join(t.TempDir(), "bus")
				require.NoError(t, os.CopyFS(dir, os.DirFS(folder)))
				path := filepath.Join(dir, file)
				if damage == nil {
					require.NoError(t, os.Remove(path))
				} else {
					content, err := os.ReadFile(path)
					require.NoError(t, err)
					require.NoError(t, os.WriteFile(path, damage(content), 0o600))
				}
				requireWorks(t, dir)
			})
		}
	}
}

// requireWorks opens a bus and has it hand out a new job.
func requireWorks(t *testing.T, dir string) {
	t.Helper()
	b := open(t, dir)
	require.NoError(t, b.Enqueue(t.Context(), RenderWork, "new", RenderJob{ResultID: "new"}))
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	got := false
	require.NoError(t, b.Work(ctx, RenderWork, "render", func(_ context.Context, m Message) error {
		var j RenderJob
		if err := m.Decode(&j); err == nil && j.ResultID == "new" {
			got = true
			cancel()
		}
		return nil
	}))
	require.True(t, got)
	require.NoError(t, b.Close())
}
