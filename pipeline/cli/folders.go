package cli

import (
	"errors"
	"fmt"

	"detectd/pipeline/daemon"
	"detectd/store"
	"detectd/store/blob"
	"detectd/store/folder"
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
func withFolder(data string, cfg daemon.Config, use func(f *folder.Folder, blobs *blob.Store, owned bool) error) (err error) {
	f, owned, err := openFolder(data)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
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
