package folder

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"detectd/store"
)

// lock is an exclusive flock on a file. The kernel drops it with the process,
// however that ends, so the file itself is never removed: removing it would let
// two processes lock two files of the same name.
//
// It holds a bare descriptor because an os.File closes itself, and would give
// the lock up, when its owner is collected as garbage.
type lock struct {
	mu sync.Mutex
	fd int // -1 when released
}

func acquire(path string) (*lock, error) {
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_CREAT|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	if err := unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB); err != nil {
		defer func() { _ = unix.Close(fd) }()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, fmt.Errorf("%w%s", store.ErrLocked, owner(fd))
		}
		return nil, &fs.PathError{Op: "lock", Path: path, Err: err}
	}
	l := &lock{fd: fd}
	if err := l.write(strconv.Itoa(os.Getpid()) + "\n"); err != nil {
		return nil, errors.Join(&fs.PathError{Op: "write", Path: path, Err: err}, l.release())
	}
	return l, nil
}

// owner says which process has the lock, when the file tells.
func owner(fd int) string {
	var b [32]byte
	n, err := unix.Pread(fd, b[:], 0)
	if err != nil {
		return ""
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(b[:n])))
	if err != nil {
		return ""
	}
	return fmt.Sprintf(" (process %d)", pid)
}

func (l *lock) write(text string) error {
	if err := unix.Ftruncate(l.fd, 0); err != nil {
		return err
	}
	_, err := unix.Pwrite(l.fd, []byte(text), 0)
	return err
}

func (l *lock) release() error {
	if l == nil {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.fd < 0 {
		return nil
	}
	err := errors.Join(l.write(""), unix.Close(l.fd))
	l.fd = -1
	return err
}
