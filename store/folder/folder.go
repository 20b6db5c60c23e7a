// Package folder is the data folder: one place on disk that holds everything a
// detectd keeps, used by one process at a time.
//
//	identity.json  what makes it a data folder: its uuid and format
//	lock           held by the process that uses it, with that process's id
//	hold           held while a backup relies on blobs staying
//	detectd.db     records (SQLite)
//	last-good.json a copy of what detection needs of them, see store/lastgood
//	series/        annotations and metrics; may be deleted while detectd is stopped
//	blobs/         model files, uploads and rendered results, by SHA-256
//	media/         recorded segments
//	quarantine/    what detectd check --repair moved aside
//	tmp/           emptied at every start
package folder

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sys/unix"

	"detectd/store"
)

// format is the version of the layout above. A folder with a higher one was
// written by a newer detectd.
const format = 1

const (
	identityFile = "identity.json"
	identityNew  = identityFile + ".new"
	lockFile     = "lock"
)

// ErrForeign is returned for a folder with something in it that is not detectd's.
var ErrForeign = errors.New("not a detectd data folder")

// Folder is an open data folder. The process has it to itself until Close.
type Folder struct {
	path     string // absolute
	id       string
	identity identity
	lock     *lock
}

type identity struct {
	Product string    `json:"product"`
	ID      string    `json:"id"`
	Format  int       `json:"format"`
	Created time.Time `json:"created"`
	Starts  int64     `json:"starts,omitempty"` // of daemons, see Count
	Place   string    `json:"place,omitempty"`  // where it is in use, see Moved
}

// Open takes the folder at path, creating it with mode 0700 when there is none.
// It returns store.ErrLocked when another process has it, ErrForeign for a
// non-empty folder that is something else, and store.ErrNewerSchema for the
// folder of a newer detectd, and ErrUnmounted where the disk of the folder is missing.
// A folder it refuses keeps what it holds.
func Open(path string) (*Folder, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("open data folder %q: %w", path, err)
	}
	f := &Folder{path: abs}
	if err := f.open(); err != nil {
		_ = f.Close()
		switch {
		case errors.Is(err, unix.EROFS):
			err = fmt.Errorf("it is read-only: %w", err)
		case errors.Is(err, fs.ErrPermission):
			err = fmt.Errorf("it cannot be written by this user: %w", err)
		}
		return nil, fmt.Errorf("open data folder %q: %w", abs, err)
	}
	return f, nil
}

func (f *Folder) open() error {
	if err := refuseUnmounted(f.path, fstab, mounts); err != nil {
		return err
	}
	if err := os.MkdirAll(f.path, 0o700); err != nil {
		return err
	}
	if err := f.refuseForeign(); err != nil {
		return err
	}
	var err error
	if f.lock, err = acquire(filepath.Join(f.path, lockFile)); err != nil {
		return err
	}
	if err := f.identify(); err != nil {
		return err
	}
	if err := errors.Join(os.RemoveAll(f.Temp()), os.RemoveAll(filepath.Join(f.path, addressFile))); err != nil {
		return err
	}
	for _, dir := range []string{f.Series(), f.Blobs(), f.Media(), f.Bus(), f.Temp()} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return err
		}
	}
	return syncDir(f.path)
}

// refuseForeign keeps detectd from spreading its files over somebody's home
// folder. What a start that was cut short may leave does not count.
func (f *Folder) refuseForeign() error {
	entries, err := os.ReadDir(f.path)
	if err != nil {
		return err
	}
	own := []string{lockFile, identityNew, "lost+found"}
	for _, e := range entries {
		if e.Name() == identityFile {
			return nil
		}
	}
	for _, e := range entries {
		if !slices.Contains(own, e.Name()) {
			return fmt.Errorf("it holds %q and is %w; name an empty folder", e.Name(), ErrForeign)
		}
	}
	return nil
}

// identify reads the identity, or gives the folder one.
func (f *Folder) identify() error {
	b, err := os.ReadFile(filepath.Join(f.path, identityFile))
	if errors.Is(err, fs.ErrNotExist) {
		return f.initialise()
	}
	if err != nil {
		return err
	}
	var id identity
	if err := json.Unmarshal(b, &id); err != nil || id.Product != "detectd" || uuid.Validate(id.ID) != nil {
		return fmt.Errorf("its %s is damaged or not detectd's: %w", identityFile, ErrForeign)
	}
	if id.Format > format {
		return fmt.Errorf("it has format %d, this detectd knows %d: %w", id.Format, format, store.ErrNewerSchema)
	}
	f.id, f.identity = id.ID, id
	return nil
}

func (f *Folder) initialise() error {
	return f.write(identity{Product: "detectd", ID: uuid.NewString(), Format: format, Created: time.Now().UTC().Truncate(time.Second)})
}

// Starts is how often Count was called for this folder.
func (f *Folder) Starts() int64 { return f.identity.Starts }

// Count sets how often the folder was taken into use, see sqlite.Store.Start.
func (f *Folder) Count(starts int64) error {
	id := f.identity
	id.Starts = starts
	if err := f.write(id); err != nil {
		return fmt.Errorf("write identity of data folder: %w", err)
	}
	return nil
}

func (f *Folder) write(id identity) error {
	b, err := json.MarshalIndent(id, "", "  ")
	if err != nil {
		return err
	}
	if err := writeSynced(filepath.Join(f.path, identityNew), append(b, '\n')); err != nil {
		return err
	}
	if err := os.Rename(filepath.Join(f.path, identityNew), filepath.Join(f.path, identityFile)); err != nil {
		return err
	}
	f.id, f.identity = id.ID, id
	return syncDir(f.path)
}

// Create makes the folder at path, which has to exist, a data folder with an
// identity of its own, and returns its id. What is in it is taken as it is.
func Create(path string) (id string, err error) {
	f := &Folder{path: path}
	if err := f.initialise(); err != nil {
		return "", fmt.Errorf("create data folder %q: %w", path, err)
	}
	return f.id, nil
}

// Path is the absolute path of the folder.
func (f *Folder) Path() string { return f.path }

// ID is the folder's uuid, given when it was created.
func (f *Folder) ID() string { return f.id }

// DB is the path of the database file.
func (f *Folder) DB() string { return filepath.Join(f.path, "detectd.db") }

// Series is the folder of annotations and metrics.
func (f *Folder) Series() string { return filepath.Join(f.path, "series") }

// Blobs is the folder of model files, uploads and results.
func (f *Folder) Blobs() string { return filepath.Join(f.path, "blobs") }

// BlobsURL is Blobs as the URL that store/blob opens.
func (f *Folder) BlobsURL() string {
	return (&url.URL{Scheme: "file", Path: filepath.ToSlash(f.Blobs())}).String()
}

// Media is the folder of recorded segments.
func (f *Folder) Media() string { return filepath.Join(f.path, "media") }

// Pulls is the folder of files that are being fetched from the network; what is
// there of one is kept for the next try.
func (f *Folder) Pulls() string { return filepath.Join(f.path, "pulls") }

// Temp is a folder for files that need not outlive the process. It is on the
// same file system as the others, so a file can be renamed from it into them.
func (f *Folder) Temp() string { return filepath.Join(f.path, "tmp") }

// Free returns the bytes this user may still write and the size of the file
// system; both are 0 when it does not say.
func (f *Folder) Free() (free, total uint64) {
	var st unix.Statfs_t
	if err := unix.Statfs(f.path, &st); err != nil {
		return 0, 0
	}
	size := uint64(st.Bsize)
	return st.Bavail * size, st.Blocks * size
}

// Close gives the folder up. Idempotent.
func (f *Folder) Close() error { return f.lock.release() }

func writeSynced(path string, b []byte) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(b)
	return errors.Join(err, file.Sync(), file.Close())
}

func syncDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
