package folder

import (
	"errors"
	"fmt"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// ErrMoved is returned where a folder that was moved or copied could delete what
// another folder needs.
var ErrMoved = errors.New("the data folder was moved or copied since it was used last")

// Moved says whether the folder was moved to another file system, copied, or unpacked
// from an archive since Settle: its lock file, which is never replaced, was born at
// another time. It is false where the file system does not know when that was, for a
// folder that was never settled, and for one that was renamed.
func (f *Folder) Moved() bool {
	now := f.place()
	return now != "" && f.identity.Place != "" && now != f.identity.Place
}

// Settle makes the place where the folder is now its own.
func (f *Folder) Settle() error {
	now := f.place()
	if now == "" || now == f.identity.Place {
		return nil
	}
	id := f.identity
	id.Place = now
	if err := f.write(id); err != nil {
		return fmt.Errorf("write identity of data folder: %w", err)
	}
	return nil
}

// place is when the lock file was born, to the nanosecond: neither copying nor
// unpacking sets that. It is the same after a restart of the machine, also where the
// numbers of disks change.
func (f *Folder) place() string {
	var st unix.Statx_t
	err := unix.Statx(unix.AT_FDCWD, filepath.Join(f.path, lockFile), unix.AT_STATX_SYNC_AS_STAT, unix.STATX_BTIME, &st)
	if err != nil || st.Mask&unix.STATX_BTIME == 0 || st.Btime.Sec == 0 {
		return ""
	}
	return fmt.Sprintf("born %d.%09d", st.Btime.Sec, st.Btime.Nsec)
}
