// Package backup writes what must last of a data folder into one file, while its
// owner works, and makes a data folder of such a file.
//
// A backup is a plain tar archive:
//
//	backup.json    what it is: version, schema, time
//	detectd.db     the database as it was at one moment
//	blobs/…        every blob that a row of it names
//	media/…        every recording that a row of it names, when asked for
//	config.yaml    the settings, when given
//	manifest.json  name, size and SHA-256 of each of the files above
//
// The manifest is last: an archive without it is cut short. Left out is what the
// daemon makes anew: series, queues, temporary files.
package backup

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"detectd/store"
	"detectd/store/folder"
	"detectd/store/sqlite"
)

// format is the version of the layout above.
const format = 1

const (
	headFile     = "backup.json"
	dbFile       = "detectd.db"
	configFile   = "config.yaml"
	manifestFile = "manifest.json"
	blobsDir     = "blobs/"
	mediaDir     = "media/"
)

// Head says what a backup is.
type Head struct {
	Product string    `json:"product"`
	Format  int       `json:"format"`
	Version string    `json:"version"` // of the detectd that wrote it
	Schema  int64     `json:"schema"`  // of its database
	Folder  string    `json:"folder"`  // uuid of the data folder it is from
	Created time.Time `json:"created"`
	Media   bool      `json:"media"` // recordings are included
}

type manifest struct {
	Files []entry `json:"files"`
}

type entry struct {
	Name   string `json:"name"`
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"`
}

// Summary is what a backup holds.
type Summary struct {
	Head
	Files   int
	Bytes   int64
	Blobs   string // where the blobs were, as sqlite.Store.SetBlobs was told; only of a restored one
	Skipped int    // recordings that retention deleted meanwhile; their rows are left out
}

// Options of Write.
type Options struct {
	Media   bool   // recordings, too
	Config  string // settings file to include; "" none
	Version string
}

// Write makes a backup of a data folder, which a running detectd may own, in the
// file out, which must not exist. It appears under its name when it is whole and
// synced. Blobs are kept from being deleted meanwhile; recordings are not, since
// that could fill the disk: those that go are left out with their rows.
func Write(ctx context.Context, f *folder.Folder, blobs store.Blobs, out string, opts Options) (s Summary, err error) {
	if _, err := os.Lstat(out); err == nil {
		return s, fmt.Errorf("write backup: %q exists already; name another file", out)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return s, fmt.Errorf("write backup: %w", err)
	}
	file, err := os.OpenFile(out+".part", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return s, fmt.Errorf("write backup: %w", err)
	}
	defer func() {
		if err != nil {
			_ = file.Close()
			_ = os.Remove(file.Name())
		}
	}()
	w := &writer{folder: f, blobs: blobs, opts: opts, tar: tar.NewWriter(file)}
	if err := w.write(ctx, out+".db.part"); err != nil {
		return s, fmt.Errorf("write backup: %w", err)
	}
	err = errors.Join(w.tar.Close(), file.Sync(), file.Close())
	if err == nil {
		err = os.Rename(file.Name(), out)
	}
	if err == nil {
		err = syncDir(filepath.Dir(out))
	}
	if err != nil {
		return s, fmt.Errorf("write backup: %w", err)
	}
	return w.summary, nil
}

type writer struct {
	folder   *folder.Folder
	blobs    store.Blobs
	opts     Options
	tar      *tar.Writer
	manifest manifest
	summary  Summary
}

// write fills the archive; snapshot names a file for the copy of the database.
func (w *writer) write(ctx context.Context, snapshot string) error {
	release, err := w.folder.Hold(ctx) // before the copy: what it names then stays
	if err != nil {
		return err
	}
	defer release()
	_ = os.Remove(snapshot)
	defer func() { _ = os.Remove(snapshot) }()
	db, err := w.copyDatabase(ctx, snapshot)
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	schema, err := db.Schema(ctx)
	if err != nil {
		return err
	}
	id, err := db.Folder(ctx)
	if err != nil {
		return err
	}
	w.summary.Head = Head{
		Product: "detectd", Format: format, Version: w.opts.Version, Schema: schema, Folder: id,
		Created: time.Now().UTC().Truncate(time.Second), Media: w.opts.Media,
	}
	if err := w.addJSON(headFile, w.summary.Head, false); err != nil {
		return err
	}
	if err := w.addBlobs(ctx, db); err != nil {
		return err
	}
	if err := w.addMedia(ctx, db); err != nil {
		return err
	}
	if err := db.Close(); err != nil { // its changes are in the file now
		return err
	}
	if err := w.addFile(ctx, dbFile, snapshot); err != nil {
		return err
	}
	if w.opts.Config != "" {
		if err := w.addFile(ctx, configFile, w.opts.Config); err != nil {
			return err
		}
	}
	return w.addJSON(manifestFile, w.manifest, true)
}

func (w *writer) copyDatabase(ctx context.Context, snapshot string) (*sqlite.Inspection, error) {
	live, err := sqlite.Inspect(ctx, w.folder.DB())
	if err != nil {
		return nil, err
	}
	// An empty file first: SQLite's own would be readable for all, and it has passwords.
	private, err := os.OpenFile(snapshot, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err == nil {
		err = private.Close()
	}
	if err == nil {
		err = live.Snapshot(ctx, snapshot)
	}
	if err := errors.Join(err, live.Close()); err != nil {
		return nil, err
	}
	return sqlite.Inspect(ctx, snapshot)
}

func (w *writer) addBlobs(ctx context.Context, db *sqlite.Inspection) error {
	named, err := db.Blobs(ctx)
	if err != nil {
		return err
	}
	done := map[string]bool{}
	for _, f := range named {
		if done[f.Name] {
			continue
		}
		done[f.Name] = true
		r, size, err := w.blobs.Open(ctx, f.Name)
		if err != nil {
			return fmt.Errorf("%s: %w; detectd check says more", f.Row(), err)
		}
		err = errors.Join(w.add(ctx, blobsDir+f.Name[:2]+"/"+f.Name, r, size), r.Close())
		if err != nil {
			return err
		}
	}
	return nil
}

// addMedia adds the recordings, and takes the rows of those that are not added
// out of the copy.
func (w *writer) addMedia(ctx context.Context, db *sqlite.Inspection) error {
	segments, err := db.Segments(ctx)
	if err != nil {
		return err
	}
	var absent []string
	for _, s := range segments {
		if !w.opts.Media {
			absent = append(absent, s.Name)
			continue
		}
		err := w.addFile(ctx, mediaDir+s.Name, filepath.Join(w.folder.Media(), filepath.FromSlash(s.Name)))
		if errors.Is(err, fs.ErrNotExist) {
			absent = append(absent, s.Name)
			w.summary.Skipped++
			continue
		}
		if err != nil {
			return err
		}
	}
	reason := store.GapLost
	if w.opts.Media {
		reason = store.GapExpired // retention took them meanwhile
	}
	return db.ForgetSegments(ctx, absent, reason, true)
}

func (w *writer) addFile(ctx context.Context, name, path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	return w.add(ctx, name, file, info.Size())
}

func (w *writer) addJSON(name string, v any, last bool) error {
	b, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		return err
	}
	if !last {
		sum := sha256.Sum256(b)
		w.list(name, int64(len(b)), sum[:])
	}
	if err := w.tar.WriteHeader(&tar.Header{Name: name, Mode: 0o600, Size: int64(len(b)), Format: tar.FormatPAX}); err != nil {
		return err
	}
	_, err = w.tar.Write(b)
	return err
}

func (w *writer) add(ctx context.Context, name string, r io.Reader, size int64) error {
	if err := w.tar.WriteHeader(&tar.Header{Name: name, Mode: 0o600, Size: size, Format: tar.FormatPAX}); err != nil {
		return err
	}
	hash := sha256.New()
	n, err := io.Copy(io.MultiWriter(w.tar, hash), io.LimitReader(reader{ctx, r}, size))
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if n < size {
		return fmt.Errorf("%s: it ends after %d bytes of %d", name, n, size)
	}
	w.list(name, size, hash.Sum(nil))
	return nil
}

func (w *writer) list(name string, size int64, sum []byte) {
	w.manifest.Files = append(w.manifest.Files, entry{name, size, hex.EncodeToString(sum)})
	w.summary.Files++
	w.summary.Bytes += size
}

// reader ends with its context.
type reader struct {
	ctx context.Context
	r   io.Reader
}

func (r reader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.r.Read(p)
}

func syncDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
