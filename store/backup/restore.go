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
	"path"
	"path/filepath"
	"slices"
	"strings"

	"detectd/store"
	"detectd/store/blob"
	"detectd/store/folder"
	"detectd/store/sqlite"
)

// ErrDamaged is returned for a file that is no whole backup.
var ErrDamaged = errors.New("the backup is damaged")

// stagingDir takes the files until all have been checked.
const stagingDir = ".restoring"

// maxJSON bounds what is read into memory.
const maxJSON = 1 << 30

// Files says where a restored data folder has its blobs.
type Files struct {
	Bucket *blob.Store // nil: in the folder
	Place  string      // what the database is told of it, see sqlite.Store.SetBlobs
}

// Restore makes the folder dir, which must be missing or empty, the data folder
// that the backup in was made of. Every file is checked against the manifest, and
// the database by itself, before any is put in place; after an error the folder
// is as it was. The new data folder has an id of its own. A bucket that is to take
// the blobs must belong to no data folder; after an error it may hold some of them.
func Restore(ctx context.Context, in, dir string, files Files) (s Summary, err error) {
	file, err := os.Open(in)
	if err != nil {
		return s, fmt.Errorf("restore: %w", err)
	}
	defer func() { _ = file.Close() }()
	existed, err := requireEmpty(dir)
	if err != nil {
		return s, fmt.Errorf("restore: %w", err)
	}
	staging := filepath.Join(dir, stagingDir)
	defer func() {
		if err == nil {
			return
		}
		_ = os.RemoveAll(staging)
		if !existed {
			_ = os.Remove(dir)
		}
	}()
	if err := errors.Join(os.RemoveAll(staging), os.MkdirAll(staging, 0o700)); err != nil {
		return s, fmt.Errorf("restore: %w", err)
	}
	r := &restorer{staging: staging, files: files, found: map[string]entry{}}
	if err := r.read(ctx, file); err != nil {
		return s, fmt.Errorf("restore %q: %w", in, err)
	}
	if err := r.place(ctx, dir); err != nil {
		return s, fmt.Errorf("restore %q: %w", in, err)
	}
	return r.summary, nil
}

// requireEmpty refuses a folder that holds something.
func requireEmpty(dir string) (exists bool, err error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	for _, e := range entries {
		if e.Name() != stagingDir && e.Name() != "lost+found" {
			return true, fmt.Errorf("%q holds %q; name an empty folder", dir, e.Name())
		}
	}
	return true, nil
}

type restorer struct {
	staging string
	files   Files
	found   map[string]entry // files read so far
	folders []string         // made in staging, to be synced
	summary Summary
}

// read unpacks the archive into the staging folder and checks all of it.
func (r *restorer) read(ctx context.Context, file io.Reader) error {
	archive := tar.NewReader(reader{ctx, file})
	for {
		h, err := archive.Next()
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, io.EOF):
			return fmt.Errorf("%w: it ends before its list of files", ErrDamaged)
		case err != nil:
			return fmt.Errorf("%w: %w", ErrDamaged, err)
		case !wanted(h):
			return fmt.Errorf("%w: %q does not belong into a backup of detectd", ErrDamaged, h.Name)
		case h.Name == manifestFile:
			return r.check(archive)
		}
		if _, twice := r.found[h.Name]; twice {
			return fmt.Errorf("%w: %s is in it twice", ErrDamaged, h.Name)
		}
		if len(r.found) == 0 {
			err = r.readHead(h.Name, archive)
		} else {
			err = r.unpack(ctx, h, archive)
		}
		if err != nil {
			return err
		}
	}
}

// wanted says whether an entry is one that Write makes: nothing in an archive
// decides where files go.
func wanted(h *tar.Header) bool {
	if h.Typeflag != tar.TypeReg || !filepath.IsLocal(h.Name) || path.Clean(h.Name) != h.Name {
		return false
	}
	switch h.Name {
	case headFile, dbFile, configFile, manifestFile:
		return true
	}
	return strings.HasPrefix(h.Name, mediaDir) || strings.HasPrefix(h.Name, blobsDir)
}

// readHead reads the first file, which says what the others are.
func (r *restorer) readHead(name string, archive io.Reader) error {
	if name != headFile {
		return fmt.Errorf("%w: it does not begin with %s", ErrDamaged, headFile)
	}
	b, err := io.ReadAll(io.LimitReader(archive, maxJSON))
	if err != nil {
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	h := &r.summary.Head
	if err := json.Unmarshal(b, h); err != nil || h.Product != "detectd" {
		return fmt.Errorf("%w: its %s is not detectd's", ErrDamaged, headFile)
	}
	newest, err := sqlite.Newest()
	if err != nil {
		return err
	}
	if h.Format > format || h.Schema > newest {
		return fmt.Errorf("it is of detectd %s (format %d, schema %d), this one knows format %d and schema %d: %w",
			h.Version, h.Format, h.Schema, format, newest, store.ErrNewerSchema)
	}
	sum := sha256.Sum256(b)
	r.found[headFile] = entry{headFile, int64(len(b)), hex.EncodeToString(sum[:])}
	return nil
}

func (r *restorer) unpack(ctx context.Context, h *tar.Header, archive io.Reader) error {
	to := filepath.Join(r.staging, filepath.FromSlash(h.Name))
	if err := r.makeFolder(filepath.Dir(to)); err != nil {
		return err
	}
	file, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	hash := sha256.New()
	source := &faulty{r: archive}
	n, err := io.Copy(io.MultiWriter(file, hash), source)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case source.err != nil:
		return fmt.Errorf("%w: %s: %w", ErrDamaged, h.Name, source.err)
	case err != nil:
		return err
	}
	r.found[h.Name] = entry{h.Name, n, hex.EncodeToString(hash.Sum(nil))}
	return errors.Join(file.Sync(), file.Close())
}

// faulty keeps the error of a reader apart from that of the disk written to.
type faulty struct {
	r   io.Reader
	err error
}

func (f *faulty) Read(p []byte) (int, error) {
	n, err := f.r.Read(p)
	if err != nil && !errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		f.err = err
	}
	return n, err
}

func (r *restorer) makeFolder(dir string) error {
	if _, err := os.Stat(dir); err == nil {
		return nil
	}
	if err := r.makeFolder(filepath.Dir(dir)); err != nil {
		return err
	}
	r.folders = append(r.folders, dir)
	return os.Mkdir(dir, 0o700)
}

// check compares what was unpacked with the manifest.
func (r *restorer) check(archive io.Reader) error {
	var m manifest
	if err := json.NewDecoder(io.LimitReader(archive, maxJSON)).Decode(&m); err != nil {
		return fmt.Errorf("%w: its list of files cannot be read: %w", ErrDamaged, err)
	}
	for _, want := range m.Files {
		got, ok := r.found[want.Name]
		if !ok {
			return fmt.Errorf("%w: %s is missing", ErrDamaged, want.Name)
		}
		if got != want {
			return fmt.Errorf("%w: %s is not what was written", ErrDamaged, want.Name)
		}
		delete(r.found, want.Name)
		r.summary.Files++
		r.summary.Bytes += want.Bytes
	}
	for name := range r.found {
		return fmt.Errorf("%w: %s is not in its list of files", ErrDamaged, name)
	}
	return nil
}

// place makes the staging folder the data folder. Its identity is what makes it
// one, so that comes last.
func (r *restorer) place(ctx context.Context, dir string) error {
	db, err := sqlite.Inspect(ctx, filepath.Join(r.staging, dbFile))
	if err != nil {
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	defer func() { _ = db.Close() }()
	wrong, err := db.Integrity(ctx, false)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	if len(wrong) > 0 {
		return fmt.Errorf("%w: its database: %s", ErrDamaged, wrong[0])
	}
	id, err := folder.Create(r.staging)
	if err != nil {
		return err
	}
	if r.summary.Blobs, err = db.BlobsPlace(ctx); err != nil {
		return err
	}
	if err := errors.Join(db.Rebind(ctx, id), db.SetBlobs(ctx, r.files.Place), db.Close()); err != nil {
		return err
	}
	if r.files.Bucket != nil {
		if err := r.fill(ctx, id); err != nil {
			return err
		}
	}
	for _, f := range append(r.folders, r.staging) {
		if err := syncDir(f); err != nil {
			return err
		}
	}
	entries, err := os.ReadDir(r.staging)
	if err != nil {
		return err
	}
	const last = "identity.json"
	for _, e := range entries {
		if e.Name() != last {
			if err := os.Rename(filepath.Join(r.staging, e.Name()), filepath.Join(dir, e.Name())); err != nil {
				return err
			}
		}
	}
	if err := syncDir(dir); err != nil {
		return err
	}
	if err := os.Rename(filepath.Join(r.staging, last), filepath.Join(dir, last)); err != nil {
		return err
	}
	return errors.Join(os.Remove(r.staging), syncDir(dir))
}

// fill moves the blobs into the bucket, which belongs to the new data folder then.
func (r *restorer) fill(ctx context.Context, id string) error {
	bucket := r.files.Bucket
	owner, err := bucket.Owner(ctx)
	if err != nil {
		return err
	}
	if owner != "" {
		return fmt.Errorf("the bucket for its files belongs to data folder %.36q already; name an empty bucket or prefix", owner)
	}
	bucket.SpoolTo(r.staging)
	blobs := filepath.Join(r.staging, filepath.FromSlash(blobsDir))
	err = filepath.WalkDir(blobs, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		file, err := os.Open(path)
		if err != nil {
			return err
		}
		defer func() { _ = file.Close() }()
		address, _, err := bucket.Put(ctx, file)
		if err == nil && address != e.Name() {
			err = fmt.Errorf("%w: %s is not what its name says", ErrDamaged, e.Name())
		}
		return err
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	r.folders = slices.DeleteFunc(r.folders, func(dir string) bool { return strings.HasPrefix(dir+"/", blobs+"/") })
	return errors.Join(bucket.Bind(ctx, id), os.RemoveAll(blobs))
}
