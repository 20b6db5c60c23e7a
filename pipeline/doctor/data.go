package doctor

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// kinds of file systems, by the magic number of statfs(2).
func kind(magic int64) string {
	name, ok := map[int64]string{
		0xef53: "ext4", 0x58465342: "xfs", 0x9123683e: "btrfs", 0x2fc12fc1: "zfs", 0xf2f52010: "f2fs",
		0x01021994: "tmpfs", 0x794c7630: "overlay", 0x6969: "nfs", 0xff534d42: "cifs", 0xfe534d42: "smb", 0x65735546: "fuse",
		0x4d44: "vfat", 0x2011bab0: "exfat",
	}[magic&0xffffffff]
	if !ok {
		return "unknown"
	}
	return name
}

// What is little space and a slow disk.
const (
	fewBytes  = 5 << 30
	slowFsync = 50 * time.Millisecond
	fsyncs    = 9
)

// data looks at the data folder, or at the folder that it will be made in.
func (d *doctor) data(context.Context) {
	folder, err := filepath.Abs(d.cfg.Data)
	if err != nil {
		d.add(Problem, "folder", "name another with --data", "%v", err)
		return
	}
	at, text := folder, folder
	for {
		if _, err = os.Stat(at); err == nil || !errors.Is(err, fs.ErrNotExist) || at == filepath.Dir(at) {
			break
		}
		at, text = filepath.Dir(at), folder+" (does not exist yet)"
	}
	f, err := os.CreateTemp(at, ".doctor-*")
	if err != nil {
		d.add(Problem, "folder", "make it writable for this user, or name another with --data", "%s: %v", folder, err)
		return
	}
	defer func() { _ = errors.Join(f.Close(), os.Remove(f.Name())) }() // nothing is kept in it
	d.ok("folder", "%s is writable", text)
	d.fileSystem(at)
	d.fsync(f)
}

func (d *doctor) fileSystem(at string) {
	var s unix.Statfs_t
	if err := unix.Statfs(at, &s); err != nil {
		d.add(Warning, "disk", "", "%v", err)
		return
	}
	free, total := s.Bavail*uint64(s.Bsize), s.Blocks*uint64(s.Bsize) //nolint:gosec // block sizes are positive
	name := kind(s.Type)
	switch name {
	case "tmpfs":
		d.add(Warning, "file system", "name a folder on a disk with --data", "tmpfs lies in memory: everything is lost at the next start of the machine")
	case "overlay":
		d.add(Warning, "file system", "mount a volume there", "overlay is the layer of a container: everything is lost with the container")
	case "nfs", "cifs", "smb", "fuse":
		d.add(Warning, "file system", "keep the data folder on a local disk", "%s is reached over a network: databases on it may be damaged", name)
	case "vfat", "exfat":
		d.add(Warning, "file system", "keep the data folder on ext4, xfs or btrfs", "%s does not survive a power cut", name)
	default:
		d.ok("file system", "%s", name)
	}
	if free < fewBytes {
		d.add(Warning, "disk", "free some, or name another folder with --data; recordings stop before it is full", "%s of %s free", size(free), size(total))
		return
	}
	d.ok("disk", "%s of %s free", size(free), size(total))
}

// fsync measures how long a small write takes to be safe: each acknowledged change
// waits for one.
func (d *doctor) fsync(f *os.File) {
	var took []time.Duration
	for range fsyncs {
		start := time.Now()
		_, err := f.Write(make([]byte, 4096))
		if err = errors.Join(err, f.Sync()); err != nil {
			d.add(Problem, "fsync", "the disk is full or failing: name another folder with --data", "%v", err)
			return
		}
		took = append(took, time.Since(start))
	}
	slices.Sort(took)
	median := took[len(took)/2].Round(10 * time.Microsecond)
	if median > slowFsync {
		d.add(Warning, "fsync", "changes on the page will feel slow; an SSD takes 1 to 5 ms", "%v for a safe write", median)
		return
	}
	d.ok("fsync", "%v for a safe write (worst of %d: %v)", median, fsyncs, took[len(took)-1].Round(10*time.Microsecond))
}
