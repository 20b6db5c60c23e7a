package folder_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"detectd/store"
	"detectd/store/folder"
)

func open(t *testing.T, path string) *folder.Folder {
	t.Helper()
	f, err := folder.Open(path)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, f.Close()) })
	return f
}

func names(t *testing.T, path string) (all []string) {
	t.Helper()
	entries, err := os.ReadDir(path)
	require.NoError(t, err)
	for _, e := range entries {
		all = append(all, e.Name())
	}
	return all
}

func TestOpenCreates(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a", "data")
	f := open(t, path)

	require.Equal(t, path, f.Path())
	require.NoError(t, uuid.Validate(f.ID()))
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o700), info.Mode().Perm())
	for _, dir := range []string{f.Series(), f.Blobs(), f.Media(), f.Temp()} {
		require.DirExists(t, dir)
		require.Equal(t, path, filepath.Dir(dir))
	}
	require.NoFileExists(t, f.DB())
	require.Equal(t, "file://"+f.Blobs(), f.BlobsURL())

	free, total := f.Free()
	require.Positive(t, free)
	require.GreaterOrEqual(t, total, free)
}

func TestReopenKeepsIdentityAndData(t *testing.T) {
	path := t.TempDir()
	f := open(t, path)
	id := f.ID()
	require.NoError(t, os.WriteFile(filepath.Join(f.Media(), "a.mp4"), []byte("x"), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(f.Temp(), "left"), []byte("x"), 0o600))
	require.NoError(t, f.Close())
	require.NoError(t, f.Close(), "closing twice")

	again := open(t, path)
	require.Equal(t, id, again.ID())
	require.FileExists(t, filepath.Join(again.Media(), "a.mp4"))
	require.Empty(t, names(t, again.Temp()), "leftovers go")
}

func TestOneOwnerAtATime(t *testing.T) {
	path := t.TempDir()
	f := open(t, path)
	keep := filepath.Join(f.Temp(), "in-use")
	require.NoError(t, os.WriteFile(keep, nil, 0o600))

	_, err := folder.Open(path)
	require.ErrorIs(t, err, store.ErrLocked)
	require.EqualError(t, err, fmt.Sprintf("open data folder %q: data folder is in use by another detectd (process %d)", path, os.Getpid()))
	require.FileExists(t, keep, "a refused start changes nothing")

	require.NoError(t, f.Close())
	open(t, path)
}

func TestLockOutlivesTheLastReference(t *testing.T) {
	path := t.TempDir()
	_, err := folder.Open(path) // forgotten, never closed: the process keeps the folder
	require.NoError(t, err)
	runtime.GC()
	runtime.GC()
	_, err = folder.Open(path)
	require.ErrorIs(t, err, store.ErrLocked)
}

func TestRefusesForeignFolder(t *testing.T) {
	path := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(path, "holiday.jpg"), nil, 0o600))
	_, err := folder.Open(path)
	require.ErrorIs(t, err, folder.ErrForeign)
	require.ErrorContains(t, err, `it holds "holiday.jpg" and is not a detectd data folder`)
	require.Equal(t, []string{"holiday.jpg"}, names(t, path))
}

func TestRefusesDamagedAndNewerIdentity(t *testing.T) {
	path := t.TempDir()
	open(t, path)
	file := filepath.Join(path, "identity.json")
	good, err := os.ReadFile(file)
	require.NoError(t, err)
	newer := map[string]any{}
	require.NoError(t, json.Unmarshal(good, &newer))
	newer["format"] = 99
	future, err := json.Marshal(newer)
	require.NoError(t, err)

	for name, c := range map[string]struct {
		content string
		want    error
	}{
		"empty":         {"", folder.ErrForeign},
		"half written":  {string(good[:len(good)/2]), folder.ErrForeign},
		"other product": {`{"product":"otherd","id":"` + uuid.NewString() + `","format":1}`, folder.ErrForeign},
		"no id":         {`{"product":"detectd","format":1}`, folder.ErrForeign},
		"newer":         {string(future), store.ErrNewerSchema},
	} {
		t.Run(name, func(t *testing.T) {
			path := t.TempDir()
			require.NoError(t, os.WriteFile(filepath.Join(path, "identity.json"), []byte(c.content), 0o600))
			_, err := folder.Open(path)
			require.ErrorIs(t, err, c.want)
		})
	}
}

func TestStartCutShort(t *testing.T) {
	path := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(path, "lock"), []byte("4711\n"), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(path, "identity.json.new"), []byte("{"), 0o600))
	open(t, path)
}

func TestPathIsAFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(path, nil, 0o600))
	_, err := folder.Open(path)
	require.ErrorContains(t, err, "not a directory")
}

func TestNotWritable(t *testing.T) {
	parent := t.TempDir()
	path := filepath.Join(parent, "data")
	open(t, path)
	require.NoError(t, os.Chmod(path, 0o555))
	t.Cleanup(func() { _ = os.Chmod(path, 0o700) })
	require.NoError(t, os.Chmod(parent, 0o755))
	require.NoError(t, os.Chmod(filepath.Dir(parent), 0o755)) // made 0700 by the test framework
	require.NoError(t, os.Remove(filepath.Join(path, "lock")))

	err := asUnprivileged(func() error {
		f, err := folder.Open(path)
		if err == nil {
			_ = f.Close()
		}
		return err
	})
	require.ErrorIs(t, err, os.ErrPermission)
	require.ErrorContains(t, err, fmt.Sprintf("open data folder %q: it cannot be written by this user", path))
}

// asUnprivileged runs fn with the file rights of nobody when the test runs as
// root, to whom permissions mean nothing. Linux keeps them per thread.
func asUnprivileged(fn func() error) error {
	if os.Getuid() != 0 {
		return fn()
	}
	result := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		const nobody = 65534
		if err := unix.Setfsuid(nobody); err != nil {
			result <- err
			return
		}
		result <- fn()
	}()
	return <-result
}
