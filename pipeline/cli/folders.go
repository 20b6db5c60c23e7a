package cli

import (
	"context"
	"errors"
	"fmt"

	"detectd/pipeline/daemon"
	"detectd/store"
	"detectd/store/blob"
	"detectd/store/folder"
	"detectd/store/sqlite"
)

// openFolder takes a data folder that exists, or looks at it beside the running
// detectd that owns it.
func openFolder(data string) (f *folder.Folder, owned bool, err error) {
	if f, _, err = folder.Beside(data); err != nil {
		return nil, false, err // folder.Open would make one
	}
	own, err := folder.Open(data)
	if errors.Is(err, store.ErrLocked) {
		return f, false, nil
	}
	return own, err == nil, err
}

// withFolder lets use work with a data folder and its blobs.
func withFolder(ctx context.Context, data string, cfg daemon.Config, use func(f *folder.Folder, blobs *blob.Store, owned bool) error) (err error) {
	f, owned, err := openFolder(data)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if err := blobsAt(ctx, f, cfg); err != nil {
		return fmt.Errorf("%w; name the settings that say so with --config", err)
	}
	open := blob.Beside
	if owned {
		open = blob.Open
	}
	blobs, err := open(cfg.BlobsURL(f))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, blobs.Close()) }()
	return use(f, blobs, owned)
}

// blobsAt refuses settings with which the daemon would look for the files of
// models, uploads and results in another place than it put them last.
func blobsAt(ctx context.Context, f *folder.Folder, cfg daemon.Config) error {
	db, err := sqlite.Inspect(ctx, f.DB())
	if err != nil {
		return nil //nolint:nilerr // a new or damaged database is for others to judge
	}
	place, err := db.BlobsPlace(ctx)
	if err := errors.Join(err, db.Close()); err != nil {
		return err
	}
	if place != "" && place != cfg.BlobsPlace() {
		return fmt.Errorf("the files of this data folder are at %s, not at %s", place, cfg.BlobsPlace())
	}
	return nil
}

// inBytes writes a size for people.
func inBytes(n int64) string {
	for _, unit := range []struct {
		name string
		size int64
	}{{"GB", 1e9}, {"MB", 1e6}, {"kB", 1e3}} {
		if n >= unit.size {
			return fmt.Sprintf("%.1f %s", float64(n)/float64(unit.size), unit.name)
		}
	}
	return fmt.Sprintf("%d bytes", n)
}
