package backup

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"detectd/store"
	"detectd/store/blob"
	"detectd/store/folder"
	"detectd/store/garbage"
	"detectd/store/sqlite"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is a data folder in use.
type world struct {
	folder  *folder.Folder
	records *sqlite.Store
	blobs   *garbage.Blobs
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

func open(t *testing.T, dir string) *world {
	t.Helper()
	f, err := folder.Open(dir)
	require.NoError(t, err)
	records, err := sqlite.Open(t.Context(), f.DB(), quiet())
	require.NoError(t, err)
	require.NoError(t, records.BindFolder(t.Context(), f.ID()))
	files, err := blob.Open(f.BlobsURL())
	require.NoError(t, err)
	// No lease at all: only the backup's hold keeps blobs.
	w := &world{f, records, garbage.New(garbage.Config{Lease: time.Nanosecond, Alone: f.Unheld}, files, records, quiet())}
	t.Cleanup(func() { require.NoError(t, w.close()) })
	return w
}

func (w *world) close() error {
	return errors.Join(w.blobs.Close(), w.records.Close(), w.folder.Close())
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := open(t, filepath.Join(t.TempDir(), "data"))
	_, err := w.records.CreateClient(t.Context(), store.Client{ID: "a"})
	require.NoError(t, err)
	_, err = w.records.CreateCamera(t.Context(), store.Camera{ID: "door", ClientID: "a", Password: "s3cret"})
	require.NoError(t, err)
	return w
}

func (w *world) addResult(ctx context.Context, id, text string) error {
	address, size, err := w.blobs.Put(ctx, strings.NewReader(text))
	if err != nil {
		return err
	}
	return w.records.PutResult(ctx, store.Result{ID: id, SHA256: address, Bytes: size, State: store.ResultDone})
}

func (w *world) addSegment(ctx context.Context, n int) error {
	path := fmt.Sprintf("door/2026-03-14/%d.mp4", n)
	file := filepath.Join(w.folder.Media(), path)
	if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o700), os.WriteFile(file, []byte(path), 0o600)); err != nil {
		return err
	}
	_, err := w.records.AddSegment(ctx, store.Segment{CameraID: "door", Path: path, Bytes: int64(len(path))})
	return err
}

// backUp makes a backup beside the owner, as the command does.
func backUp(t *testing.T, w *world, opts Options) (string, Summary) {
	t.Helper()
	f, _, err := folder.Beside(w.folder.Path())
	require.NoError(t, err)
	blobs, err := blob.Beside(f.BlobsURL())
	require.NoError(t, err)
	defer func() { require.NoError(t, blobs.Close()) }()
	out := filepath.Join(t.TempDir(), "out.tar")
	s, err := Write(t.Context(), f, blobs, out, opts)
	require.NoError(t, err)
	left, err := os.ReadDir(filepath.Dir(out))
	require.NoError(t, err)
	require.Len(t, left, 1, "nothing but the backup")
	return out, s
}

// requireWhole checks that every row has its file, and that there are no others.
func requireWhole(t *testing.T, w *world) {
	t.Helper()
	db, err := sqlite.Inspect(t.Context(), w.folder.DB())
	require.NoError(t, err)
	defer func() { require.NoError(t, db.Close()) }()
	named, err := db.Blobs(t.Context())
	require.NoError(t, err)
	want, got := map[string]bool{}, map[string]bool{}
	for _, f := range named {
		want[f.Name] = true
	}
	require.NoError(t, w.blobs.Each(t.Context(), func(address string, _ int64) error { got[address] = true; return nil }))
	require.Equal(t, want, got)
	segments, err := db.Segments(t.Context())
	require.NoError(t, err)
	for _, s := range segments {
		content, err := os.ReadFile(filepath.Join(w.folder.Media(), s.Name))
		require.NoError(t, err)
		require.Equal(t, s.Name, string(content))
	}
}

func TestThereAndBack(t *testing.T) {
	ctx, w := t.Context(), newWorld(t)
	require.NoError(t, w.addResult(ctx, "one", "same"))
	require.NoError(t, w.addResult(ctx, "two", "same"))
	for i := range 3 {
		require.NoError(t, w.addSegment(ctx, i))
	}
	config := filepath.Join(t.TempDir(), "settings")
	require.NoError(t, os.WriteFile(config, []byte("demo: false\n"), 0o600))

	for _, media := range []bool{true, false} {
		out, wrote := backUp(t, w, Options{Media: media, Config: config, Version: "1.2.3"})
		dir := filepath.Join(t.TempDir(), "a", "new")
		read, err := Restore(ctx, out, dir, Files{Place: "file"})
		require.NoError(t, err)
		require.Equal(t, wrote, read)
		require.Equal(t, w.folder.ID(), read.Folder)
		require.Equal(t, "1.2.3", read.Version)

		r := open(t, dir)
		require.NotEqual(t, w.folder.ID(), r.folder.ID())
		requireWhole(t, r)
		camera, err := r.records.Camera(ctx, "door")
		require.NoError(t, err)
		require.Equal(t, store.Secret("s3cret"), camera.Password)
		segments, _, err := r.records.ListSegments(ctx, "", store.Range{}, store.Page{})
		require.NoError(t, err)
		require.Len(t, segments, map[bool]int{true: 3, false: 0}[media])
		settings, err := os.ReadFile(filepath.Join(dir, "config.yaml"))
		require.NoError(t, err)
		require.Equal(t, "demo: false\n", string(settings))
		require.NoDirExists(t, filepath.Join(dir, stagingDir))
	}
}

// TestUnderLoad makes backups while results, recordings and events come and go:
// each is one moment, with all that was there before and nothing without its file.
func TestUnderLoad(t *testing.T) {
	w := newWorld(t)
	ctx, stop := context.WithCancel(t.Context())
	var events, kept atomic.Int64 // acknowledged: events are numbered from 1 without gaps
	var group sync.WaitGroup
	load := func(work func(i int) error) {
		group.Go(func() {
			for i := 1; ctx.Err() == nil; i++ {
				if err := work(i); err != nil && ctx.Err() == nil {
					t.Errorf("load: %v", err)
					return
				}
			}
		})
	}
	load(func(i int) error {
		_, err := w.records.AddEvent(t.Context(), store.Event{Kind: "n", Message: fmt.Sprint(i)})
		if err == nil {
			events.Store(int64(i))
		}
		return err
	})
	load(func(i int) error {
		err := errors.Join(w.addResult(t.Context(), fmt.Sprintf("kept-%06d", i), fmt.Sprint("kept", i)), w.addSegment(t.Context(), i))
		kept.Store(int64(i))
		return err
	})
	load(func(i int) error { // as users delete results, and their files with them
		id, text := fmt.Sprintf("brief-%d", i), fmt.Sprint("brief", i)
		if err := w.addResult(t.Context(), id, text); err != nil {
			return err
		}
		r, err := w.records.Result(t.Context(), id)
		if err != nil {
			return err
		}
		return errors.Join(w.records.DeleteResult(t.Context(), id), w.blobs.Delete(t.Context(), r.SHA256))
	})
	for range 3 {
		require.Eventually(t, func() bool { return kept.Load() > 20 }, 30*time.Second, time.Millisecond)
		sureEvents, sureKept := events.Load(), kept.Load()
		out, _ := backUp(t, w, Options{Media: true})
		dir := filepath.Join(t.TempDir(), "new")
		_, err := Restore(t.Context(), out, dir, Files{Place: "file"})
		require.NoError(t, err)
		r := open(t, dir)
		requireWhole(t, r)
		requireNumbered(t, r, sureEvents, sureKept)
	}
	stop()
	group.Wait()
}

func requireNumbered(t *testing.T, r *world, events, kept int64) {
	t.Helper()
	n := int64(0)
	for page := (store.Page{Limit: 1000}); ; {
		all, next, err := r.records.ListEvents(t.Context(), "", "n", store.Range{}, page)
		require.NoError(t, err)
		n += int64(len(all))
		if page.Cursor = next; next == "" {
			break
		}
	}
	require.GreaterOrEqual(t, n, events)
	for i := range kept {
		_, err := r.records.Result(t.Context(), fmt.Sprintf("kept-%06d", i+1))
		require.NoError(t, err)
	}
}

func TestWriteRefuses(t *testing.T) {
	w := newWorld(t)
	out := filepath.Join(t.TempDir(), "out.tar")
	require.NoError(t, os.WriteFile(out, []byte("mine"), 0o600))
	_, err := Write(t.Context(), w.folder, w.blobs, out, Options{})
	require.EqualError(t, err, fmt.Sprintf("write backup: %q exists already; name another file", out))

	require.NoError(t, w.records.PutResult(t.Context(), store.Result{ID: "r", SHA256: strings.Repeat("a", 64)}))
	out += "2"
	_, err = Write(t.Context(), w.folder, w.blobs, out, Options{})
	require.ErrorContains(t, err, "result r: blob")
	require.ErrorIs(t, err, store.ErrNotFound)
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = Write(cancelled, w.folder, w.blobs, out, Options{})
	require.ErrorIs(t, err, context.Canceled)
	left, err := filepath.Glob(out + "*")
	require.NoError(t, err)
	require.Empty(t, left)
}

func TestRecordingsThatGoMeanwhile(t *testing.T) {
	w := newWorld(t)
	for i := range 2 {
		require.NoError(t, w.addSegment(t.Context(), i))
	}
	require.NoError(t, os.Remove(filepath.Join(w.folder.Media(), "door/2026-03-14/0.mp4")))
	out, s := backUp(t, w, Options{Media: true})
	require.Equal(t, 1, s.Skipped)
	dir := filepath.Join(t.TempDir(), "new")
	_, err := Restore(t.Context(), out, dir, Files{Place: "file"})
	require.NoError(t, err)
	requireWhole(t, open(t, dir))
}

func TestRestoreRefusesFolders(t *testing.T) {
	out, _ := backUp(t, newWorld(t), Options{})
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "letter"), nil, 0o600))
	_, err := Restore(t.Context(), out, dir, Files{Place: "file"})
	require.EqualError(t, err, fmt.Sprintf("restore: %q holds %q; name an empty folder", dir, "letter"))
	require.NoDirExists(t, filepath.Join(dir, stagingDir))

	dir = t.TempDir() // what a restore that was killed leaves
	require.NoError(t, os.MkdirAll(filepath.Join(dir, stagingDir, "blobs"), 0o700))
	_, err = Restore(t.Context(), out, dir, Files{Place: "file"})
	require.NoError(t, err)
	open(t, dir)
}

// TestDamage cuts a backup short at many places and flips bytes all over it. It
// is refused, or what was hit does not matter and all of it is restored.
func TestDamage(t *testing.T) {
	w := newWorld(t)
	require.NoError(t, w.addResult(t.Context(), "r", strings.Repeat("picture", 300)))
	require.NoError(t, w.addSegment(t.Context(), 1))
	out, want := backUp(t, w, Options{Media: true})
	good, err := os.ReadFile(out)
	require.NoError(t, err)
	bad := filepath.Join(t.TempDir(), "bad.tar")
	refused := 0
	try := func(content []byte, what string) error {
		require.NoError(t, os.WriteFile(bad, content, 0o600))
		dir := filepath.Join(t.TempDir(), "new")
		s, err := Restore(t.Context(), bad, dir, Files{Place: "file"})
		if err == nil {
			require.Equal(t, want.Files, s.Files, what)
			require.Equal(t, want.Bytes, s.Bytes, what)
			requireWhole(t, open(t, dir))
			return nil
		}
		require.True(t, errors.Is(err, ErrDamaged) || errors.Is(err, store.ErrNewerSchema), "%s: %v", what, err)
		require.NotContains(t, err.Error(), "\n", what)
		require.NoDirExists(t, dir, what)
		refused++
		return err
	}
	end := len(good) - 1024 // of the list of files; behind it are zeros
	for at := 0; at < end; at += end/60 + 1 {
		require.Error(t, try(good[:at], fmt.Sprint("cut at ", at)))
	}
	for at := 100; at < end; at += end/120 + 1 {
		content := append([]byte{}, good...)
		content[at] ^= 0x55
		_ = try(content, fmt.Sprint("byte ", at))
	}
	require.Greater(t, refused, 120)
	require.Error(t, try([]byte("no archive"), "text"))
}

func TestRestoreRefusesArchives(t *testing.T) {
	head := `{"product":"detectd","format":1,"schema":1}`
	for name, c := range map[string]struct {
		files [][2]string
		want  string
	}{
		"other archive":  {[][2]string{{"README", "hello"}}, `"README" does not belong into a backup of detectd`},
		"outside":        {[][2]string{{headFile, head}, {"media/../../x", ""}}, `does not belong into a backup`},
		"absolute":       {[][2]string{{headFile, head}, {"/etc/passwd", ""}}, `does not belong into a backup`},
		"no head":        {[][2]string{{dbFile, ""}}, "it does not begin with backup.json"},
		"other product":  {[][2]string{{headFile, `{"product":"otherd"}`}}, "its backup.json is not detectd's"},
		"twice":          {[][2]string{{headFile, head}, {dbFile, "a"}, {dbFile, "b"}}, "detectd.db is in it twice"},
		"not listed":     {[][2]string{{headFile, head}, {manifestFile, `{}`}}, "backup.json is not in its list of files"},
		"newer format":   {[][2]string{{headFile, `{"product":"detectd","format":9,"version":"9.0"}`}}, "it is of detectd 9.0 (format 9, schema 0), this one knows format 1"},
		"newer database": {[][2]string{{headFile, `{"product":"detectd","format":1,"schema":99999}`}}, "written by a newer detectd"},
	} {
		t.Run(name, func(t *testing.T) {
			in, dir := filepath.Join(t.TempDir(), "in.tar"), filepath.Join(t.TempDir(), "new")
			file, err := os.Create(in)
			require.NoError(t, err)
			w := tar.NewWriter(file)
			for _, f := range c.files {
				require.NoError(t, w.WriteHeader(&tar.Header{Name: f[0], Size: int64(len(f[1])), Mode: 0o600}))
				_, err := io.WriteString(w, f[1])
				require.NoError(t, err)
			}
			require.NoError(t, errors.Join(w.Close(), file.Close()))
			_, err = Restore(t.Context(), in, dir, Files{Place: "file"})
			require.ErrorContains(t, err, c.want)
			require.NoDirExists(t, dir)
		})
	}
	_, err := Restore(t.Context(), filepath.Join(t.TempDir(), "none"), t.TempDir(), Files{Place: "file"})
	require.ErrorIs(t, err, fs.ErrNotExist)
}

// TestRecordingsLeftOutAreInTheLedger: without the recordings, the restored folder
// does not say that it had them.
func TestRecordingsLeftOutAreInTheLedger(t *testing.T) {
	ctx, w := t.Context(), newWorld(t)
	noon := time.Date(2026, 3, 15, 12, 0, 0, 0, time.UTC)
	_, err := w.records.OpenLedger(ctx, "door", noon)
	require.NoError(t, err)
	_, err = w.records.AddSegment(ctx, store.Segment{CameraID: "door", Path: "door/x.mp4", Start: noon, End: noon.Add(time.Minute)})
	require.NoError(t, err)
	_, _, err = w.records.AccountGaps(ctx, []store.Account{{CameraID: "door", To: noon.Add(time.Minute)}})
	require.NoError(t, err)
	out, _ := backUp(t, w, Options{})
	dir := filepath.Join(t.TempDir(), "new")
	_, err = Restore(ctx, out, dir, Files{Place: "file"})
	require.NoError(t, err)
	c, err := open(t, dir).records.Coverage(ctx, "door", store.Range{})
	require.NoError(t, err)
	require.Equal(t, map[store.GapReason]time.Duration{store.GapLost: time.Minute}, c.Reasons)
	require.Zero(t, c.Covered)
}
