package blob

import (
	"context"
	"errors"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"

	"gocloud.dev/blob/fileblob"
)

// spoolDir holds uploads until their address is known. No address looks like it.
const spoolDir = "incoming"

// folder keeps blobs as files.
type folder struct{ dir string }

var _ driver = (*folder)(nil)

func openFolder(u *url.URL) (*Store, error) {
	if u.Host != "" || !filepath.IsAbs(u.Path) || u.RawQuery != "" || u.Fragment != "" {
		return nil, errors.New("a file URL is file:// and an absolute path, nothing else")
	}
	dir := filepath.Clean(u.Path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	bucket, err := fileblob.OpenBucket(dir, &fileblob.Options{Metadata: fileblob.MetadataDontWrite})
	if err != nil {
		return nil, err
	}
	return &Store{bucket: bucket, driver: &folder{dir}}, nil
}

// clean removes what an interrupted Put left, and returns where to spool.
func (f *folder) clean() (spool string, err error) {
	spool = filepath.Join(f.dir, spoolDir)
	return spool, errors.Join(os.RemoveAll(spool), os.MkdirAll(spool, 0o700))
}

// place implements driver. A blob that is there already is replaced by its equal:
// that costs nothing, heals a damaged one, and spares telling apart a durable blob
// from one whose folder is about to be synced.
func (f *folder) place(_ context.Context, spooled *os.File, address string) error {
	if err := spooled.Sync(); err != nil {
		return err
	}
	path := filepath.Join(f.dir, filepath.FromSlash(key(address)))
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	if err := os.Rename(spooled.Name(), path); err != nil {
		return err
	}
	return errors.Join(syncDir(filepath.Dir(path)), syncDir(f.dir))
}

// each implements driver. It does not ask the bucket, whose walk fails on a file
// that goes meanwhile.
func (f *folder) each(ctx context.Context, show func(key string, size int64) error) error {
	folders, err := os.ReadDir(f.dir)
	if err != nil {
		return err
	}
	for _, d := range folders {
		if !d.IsDir() || d.Name() == spoolDir {
			continue
		}
		files, err := os.ReadDir(filepath.Join(f.dir, d.Name()))
		if err != nil {
			return err
		}
		for _, file := range files {
			info, err := file.Info()
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if err = errors.Join(err, ctx.Err()); err != nil {
				return err
			}
			if info.Mode().IsRegular() {
				if err := show(d.Name()+"/"+file.Name(), info.Size()); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// owner implements driver.
func (f *folder) owner(context.Context) (string, error) { return "", nil }

// bind implements driver: a folder of blobs is part of its data folder.
func (f *folder) bind(context.Context, string) error { return nil }

func syncDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
