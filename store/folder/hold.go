package folder

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// holdFile is locked by those who read the folder beside its owner and rely on
// files staying. Like the lock, it is never removed.
const holdFile = "hold"

// Hold keeps the owner of the folder, which may be another process, from deleting
// blobs until release is called or this process ends. Several may hold it.
func (f *Folder) Hold(ctx context.Context) (release func(), err error) {
	fd, err := f.openHold()
	if err != nil {
		return nil, err
	}
	for { // the owner locks it for moments
		if err = unix.Flock(fd, unix.LOCK_SH|unix.LOCK_NB); err == nil {
			return func() { _ = unix.Close(fd) }, nil
		}
		select {
		case <-ctx.Done():
			_ = unix.Close(fd)
			return nil, ctx.Err()
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// Unheld runs fn while nobody holds the folder; false says that somebody does.
func (f *Folder) Unheld(fn func() error) (bool, error) {
	fd, err := f.openHold()
	if err != nil {
		return false, err
	}
	defer func() { _ = unix.Close(fd) }()
	if err := unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return false, nil //nolint:nilerr // held: that is the answer
	}
	return true, fn()
}

func (f *Folder) openHold() (int, error) {
	path := filepath.Join(f.path, holdFile)
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_CREAT|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return -1, fmt.Errorf("open %q: %w", path, err)
	}
	return fd, nil
}
