package crash

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"detectd/store"
	"detectd/store/blob"
	"detectd/store/folder"
	"detectd/store/garbage"
	"detectd/store/sqlite"
)

// In the environment these make the test binary the process that writes.
const (
	childDir   = "DETECTD_TEST_CRASH_DIR"
	childRound = "DETECTD_TEST_CRASH_ROUND" // makes the names of what it writes its own
)

// ack is one line of the child's output: the store has said that this is kept.
type ack struct {
	Kind string
	ID   string
	File string `json:",omitempty"` // blob or path
}

// stores is an open data folder.
type stores struct {
	folder  *folder.Folder
	records *sqlite.Store
	blobs   *garbage.Blobs
}

func openStores(ctx context.Context, dir string) (*stores, error) {
	log := slog.New(slog.DiscardHandler)
	f, err := folder.Open(dir)
	if err != nil {
		return nil, err
	}
	records, err := sqlite.Open(ctx, f.DB(), log)
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	files, err := blob.Open(f.BlobsURL())
	if err != nil {
		return nil, errors.Join(err, records.Close(), f.Close())
	}
	s := &stores{f, records, garbage.New(garbage.Config{Lease: time.Second, Interval: 10 * time.Millisecond, Alone: f.Unheld}, files, records, log)}
	starts, err := records.Start(ctx, f.Starts())
	if err == nil {
		err = errors.Join(records.BindFolder(ctx, f.ID()), f.Count(starts))
	}
	if err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

func (s *stores) close() error {
	return errors.Join(s.blobs.Close(), s.records.Close(), s.folder.Close())
}

// write stores records of every kind as fast as it can and names each on stdout
// once the store has said that it is kept. It never ends by itself.
func write(dir, round string) int {
	ctx := context.Background()
	s, err := openStores(ctx, dir)
	if err != nil {
		return complain(err)
	}
	if _, err := s.records.CreateClient(ctx, store.Client{ID: "a"}); err != nil && !errors.Is(err, store.ErrExists) {
		return complain(err)
	}
	camera := "door" + round
	if _, err := s.records.CreateCamera(ctx, store.Camera{ID: camera, ClientID: "a"}); err != nil {
		return complain(err)
	}
	tell("camera", camera, "")
	var group sync.WaitGroup
	w := writer{s, camera}
	for _, work := range []func(context.Context, string) error{w.camera, w.model, w.registry, w.result, w.brief, w.segment, w.old, w.events} {
		group.Go(func() {
			for i := 0; ; i++ {
				if err := work(ctx, fmt.Sprintf("%s-%d", round, i)); err != nil {
					complain(err)
					os.Exit(1)
				}
			}
		})
	}
	group.Go(func() { _ = s.blobs.Run(ctx) })
	group.Wait()
	return 1
}

func complain(err error) int {
	_, _ = fmt.Fprintln(os.Stderr, err)
	return 1
}

func tell(kind, id, file string) {
	line, _ := json.Marshal(ack{kind, id, file})
	_, _ = os.Stdout.Write(append(line, '\n')) // one write, so lines stay whole
}

// writer has a method for every kind of record.
type writer struct {
	*stores
	onCamera string
}

func (w writer) camera(ctx context.Context, id string) error {
	c, err := w.records.CreateCamera(ctx, store.Camera{ID: "c" + id, ClientID: "a"})
	if err != nil {
		return err
	}
	tell("camera", c.ID, "")
	c.Name = "renamed"
	if _, err := w.records.UpdateCamera(ctx, c, c.Revision); err != nil {
		return err
	}
	tell("renamed", c.ID, "")
	return nil
}

func (w writer) model(ctx context.Context, id string) error {
	sha, size, err := w.blobs.Put(ctx, strings.NewReader("model "+id))
	if err != nil {
		return err
	}
	if _, err := w.records.AddModelVersion(ctx, store.Model{Name: "m" + id}, store.ModelVersion{SHA256: sha, Size: size}); err != nil {
		return err
	}
	tell("model", "m"+id, sha)
	_, err = w.records.PutRunningModel(ctx, store.RunningModel{ClientID: "a", CameraID: w.onCamera, Model: "m" + id, Version: 1}, store.AnyRevision)
	if err != nil {
		return err
	}
	tell("running", "m"+id, "")
	return nil
}

// registry uploads versions of one model, promotes each, and deletes those that
// are two behind.
func (w writer) registry(ctx context.Context, id string) error {
	round, _, _ := strings.Cut(id, "-")
	sha, size, err := w.blobs.Put(ctx, strings.NewReader(strings.Repeat("version "+id, 1<<14)))
	if err != nil {
		return err
	}
	v, err := w.records.AddModelVersion(ctx, store.Model{Name: "reg" + round}, store.ModelVersion{SHA256: sha, Size: size})
	if err != nil {
		return err
	}
	name := func(version int) string { return fmt.Sprintf("%s-%d", v.Model, version) }
	tell("version", name(v.Version), sha)
	if err := w.records.SetAlias(ctx, v.Model, "champion", v.Version, v.Version-1, store.Author{}); err != nil {
		return err
	}
	tell("champion", name(v.Version), "")
	if v.Version < 3 {
		return nil
	}
	old, err := w.records.ModelVersion(ctx, v.Model, v.Version-2)
	if err != nil {
		return err
	}
	if err := w.records.DeleteModelVersion(ctx, v.Model, old.Version); err != nil {
		return err
	}
	tell("unversioned", name(old.Version), "")
	return w.blobs.Delete(ctx, old.SHA256)
}

func (w writer) result(ctx context.Context, id string) error {
	// Every other content is the same: blobs are shared while brief deletes them.
	sha, size, err := w.blobs.Put(ctx, strings.NewReader("result "+id[len(id)-1:]))
	if err != nil {
		return err
	}
	if err := w.records.PutResult(ctx, store.Result{ID: "r" + id, SHA256: sha, Bytes: size}); err != nil {
		return err
	}
	tell("result", "r"+id, sha)
	return nil
}

// brief makes a result and removes it, as users do.
func (w writer) brief(ctx context.Context, id string) error {
	sha, size, err := w.blobs.Put(ctx, strings.NewReader("result "+id[len(id)-1:]))
	if err != nil {
		return err
	}
	if err := w.records.PutResult(ctx, store.Result{ID: "b" + id, SHA256: sha, Bytes: size}); err != nil {
		return err
	}
	if err := w.records.DeleteResult(ctx, "b"+id); err != nil {
		return err
	}
	tell("removed", "b"+id, "")
	return w.blobs.Delete(ctx, sha)
}

// addSegment writes a recording in the order of the recorder.
func (w writer) addSegment(ctx context.Context, name string) (store.Segment, error) {
	path := w.onCamera + "/2026-03-14/" + name + ".mp4"
	file := filepath.Join(w.folder.Media(), filepath.FromSlash(path))
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return store.Segment{}, err
	}
	part, err := os.Create(file + ".part")
	if err != nil {
		return store.Segment{}, err
	}
	_, err = part.WriteString(path)
	err = errors.Join(err, part.Sync(), part.Close())
	if err == nil {
		err = os.Rename(part.Name(), file)
	}
	for dir := filepath.Dir(file); err == nil && len(dir) >= len(w.folder.Path()); dir = filepath.Dir(dir) {
		err = syncDir(dir)
	}
	if err != nil {
		return store.Segment{}, err
	}
	return w.records.AddSegment(ctx, store.Segment{CameraID: w.onCamera, Path: path, Bytes: int64(len(path))})
}

func (w writer) segment(ctx context.Context, id string) error {
	g, err := w.addSegment(ctx, "s"+id)
	if err == nil {
		tell("segment", fmt.Sprint(g.ID), g.Path)
	}
	return err
}

// old makes a recording and deletes it in the order of retention.
func (w writer) old(ctx context.Context, id string) error {
	g, err := w.addSegment(ctx, "o"+id)
	if err != nil {
		return err
	}
	if err := w.records.DropSegments(ctx, []int64{g.ID}); err != nil {
		return err
	}
	file := filepath.Join(w.folder.Media(), filepath.FromSlash(g.Path))
	if err := errors.Join(os.Remove(file), syncDir(filepath.Dir(file))); err != nil {
		return err
	}
	return w.records.ForgetGarbage(ctx, []string{g.Path})
}

func (w writer) events(ctx context.Context, id string) error {
	e, err := w.records.AddEvent(ctx, store.Event{Kind: "e" + id})
	if err != nil {
		return err
	}
	tell("event", e.Kind, "")
	if err := w.records.PutTracks(ctx, []store.Track{{ID: "t" + id, CameraID: w.onCamera}, {ID: "u" + id, CameraID: w.onCamera}}); err != nil {
		return err
	}
	tell("track", "t"+id, "")
	tell("track", "u"+id, "")
	return nil
}

func syncDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
