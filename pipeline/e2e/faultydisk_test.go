package e2e

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
	"github.com/stretchr/testify/require"
)

// faultyDisk is a file system that passes everything on to a folder, until it is
// told to have a fault.
type faultyDisk struct {
	dir string // where it is mounted

	mu       sync.Mutex // guards what follows
	fault    diskFault
	refused  int             // what the fault has made fail
	unsynced map[string]bool // files of which a sync has failed, and that were not written since
	believed []string        // files that were synced in this state: their user takes them for safe
}

// diskFault is what a disk does wrong; the zero value is a good disk.
type diskFault struct {
	sync   syscall.Errno // of every fsync
	only   string        // the fsyncs of what lies below it alone; "": of all
	slow   time.Duration // every fsync takes as long
	write  syscall.Errno // whatever needs more space
	create syscall.Errno // whatever makes a name
	change syscall.Errno // every change at all
}

// mountFaulty mounts a disk for the test. It is let go at the end of the test, after
// the daemons on it have ended.
func mountFaulty(t *testing.T) *faultyDisk {
	t.Helper()
	d := &faultyDisk{dir: t.TempDir(), unsynced: map[string]bool{}}
	behind := t.TempDir()
	var device syscall.Stat_t
	require.NoError(t, syscall.Stat(behind, &device))
	root := &fs.LoopbackRoot{Path: behind, Dev: device.Dev}
	root.RootNode = &diskNode{LoopbackNode: fs.LoopbackNode{RootData: root}, disk: d}
	server, err := fs.Mount(d.dir, root.RootNode, &fs.Options{MountOptions: fuse.MountOptions{DirectMount: true, DisableXAttrs: true}})
	if err != nil {
		t.Skipf("SKIPPED: faults of disks need FUSE (/dev/fuse): %v", err)
	}
	t.Cleanup(func() { require.NoError(t, server.Unmount()) })
	return d
}

// has gives the disk a fault, and a good one ends it.
func (d *faultyDisk) has(f diskFault) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.fault, d.refused = f, 0
}

// refusals is how many changes the present fault has made fail.
func (d *faultyDisk) refusals() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.refused
}

// allows is the error for an operation of which one of the kinds may fail.
func (d *faultyDisk) allows(kinds ...func(f diskFault) syscall.Errno) syscall.Errno {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, kind := range append(kinds, anyChange) {
		if errno := kind(d.fault); errno != 0 {
			d.refused++
			return errno
		}
	}
	return 0
}

func anyChange(f diskFault) syscall.Errno { return f.change }
func newName(f diskFault) syscall.Errno   { return f.create }
func moreSpace(f diskFault) syscall.Errno { return f.write }
func syncing(f diskFault) syscall.Errno   { return f.sync }

// sync is an fsync of a file. A file that is synced anew after a failure without
// having been written anew is believed in: what failed is not on a real disk.
func (d *faultyDisk) sync(path string) syscall.Errno {
	errno := d.syncs(path)
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case errno != 0:
		d.unsynced[path] = true
	case d.unsynced[path]:
		d.believed = append(d.believed, path)
	}
	return errno
}

func (d *faultyDisk) written(path string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.unsynced, path)
}

type diskNode struct {
	fs.LoopbackNode
	disk *faultyDisk
}

// WrapChild implements fs.NodeWrapChilder.
func (n *diskNode) WrapChild(context.Context, fs.InodeEmbedder) fs.InodeEmbedder {
	return &diskNode{LoopbackNode: fs.LoopbackNode{RootData: n.RootData}, disk: n.disk}
}

func (n *diskNode) name() string { return n.Path(n.Root()) }

func (n *diskNode) file(h fs.FileHandle) fs.FileHandle {
	if f, ok := h.(*fs.LoopbackFile); ok {
		return &diskFile{LoopbackFile: f, node: n}
	}
	return h
}

func (n *diskNode) Open(ctx context.Context, flags uint32) (fs.FileHandle, uint32, syscall.Errno) {
	if flags&(syscall.O_WRONLY|syscall.O_RDWR|syscall.O_TRUNC) != 0 {
		if errno := n.disk.allows(); errno != 0 {
			return nil, 0, errno
		}
	}
	h, more, errno := n.LoopbackNode.Open(ctx, flags)
	return n.file(h), more, errno
}

func (n *diskNode) Create(ctx context.Context, name string, flags, mode uint32, out *fuse.EntryOut) (*fs.Inode, fs.FileHandle, uint32, syscall.Errno) {
	if errno := n.disk.allows(newName); errno != 0 {
		return nil, nil, 0, errno
	}
	inode, h, more, errno := n.LoopbackNode.Create(ctx, name, flags, mode, out)
	if errno != 0 {
		return inode, h, more, errno
	}
	made, ok := inode.Operations().(*diskNode)
	if !ok {
		return nil, nil, 0, syscall.EIO
	}
	return inode, made.file(h), more, 0
}

func (n *diskNode) Mkdir(ctx context.Context, name string, mode uint32, out *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	if errno := n.disk.allows(newName); errno != 0 {
		return nil, errno
	}
	return n.LoopbackNode.Mkdir(ctx, name, mode, out)
}

func (n *diskNode) Rename(ctx context.Context, name string, parent fs.InodeEmbedder, newName string, flags uint32) syscall.Errno {
	if errno := n.disk.allows(); errno != 0 {
		return errno
	}
	return n.LoopbackNode.Rename(ctx, name, parent, newName, flags)
}

func (n *diskNode) Unlink(ctx context.Context, name string) syscall.Errno {
	errno := n.disk.allows()
	if errno == 0 {
		errno = n.LoopbackNode.Unlink(ctx, name)
	}
	if errno == 0 {
		n.disk.written(filepath.Join(n.name(), name)) // nobody can believe in it
	}
	return errno
}

func (n *diskNode) Rmdir(ctx context.Context, name string) syscall.Errno {
	if errno := n.disk.allows(); errno != 0 {
		return errno
	}
	return n.LoopbackNode.Rmdir(ctx, name)
}

func (n *diskNode) Setattr(ctx context.Context, h fs.FileHandle, in *fuse.SetAttrIn, out *fuse.AttrOut) syscall.Errno {
	if errno := n.disk.allows(); errno != 0 {
		return errno
	}
	if f, ok := h.(*diskFile); ok {
		h = f.LoopbackFile
	}
	return n.LoopbackNode.Setattr(ctx, h, in, out)
}

func (n *diskNode) Getattr(ctx context.Context, h fs.FileHandle, out *fuse.AttrOut) syscall.Errno {
	if f, ok := h.(*diskFile); ok {
		h = f.LoopbackFile
	}
	return n.LoopbackNode.Getattr(ctx, h, out)
}

// Fsync implements fs.NodeFsyncer, for files and folders.
func (n *diskNode) Fsync(_ context.Context, h fs.FileHandle, _ uint32) syscall.Errno {
	if _, isFile := h.(*diskFile); isFile {
		return n.disk.sync(n.name())
	}
	return n.disk.syncs(n.name())
}

// syncs takes as long as an fsync does, and says how it ends.
func (d *faultyDisk) syncs(path string) syscall.Errno {
	d.mu.Lock()
	fault := d.fault
	d.mu.Unlock()
	if !strings.HasPrefix(path, fault.only) {
		return d.allows()
	}
	time.Sleep(fault.slow)
	return d.allows(syncing)
}

type diskFile struct {
	*fs.LoopbackFile
	node *diskNode
}

func (f *diskFile) Write(ctx context.Context, data []byte, off int64) (uint32, syscall.Errno) {
	if errno := f.node.disk.allows(moreSpace); errno != 0 {
		return 0, errno
	}
	n, errno := f.LoopbackFile.Write(ctx, data, off)
	if errno == 0 {
		f.node.disk.written(f.node.name())
	}
	return n, errno
}

func (f *diskFile) Allocate(ctx context.Context, off, size uint64, mode uint32) syscall.Errno {
	if errno := f.node.disk.allows(moreSpace); errno != 0 {
		return errno
	}
	return f.LoopbackFile.Allocate(ctx, off, size, mode)
}

// PassthroughFd keeps the kernel from going past the faults.
func (f *diskFile) PassthroughFd() (int, bool) { return 0, false }

// TestFaultyDisk: the disk for the other tests does what it is told.
func TestFaultyDisk(t *testing.T) {
	t.Parallel()
	d := mountFaulty(t)
	path := filepath.Join(d.dir, "a", "f")
	require.NoError(t, os.Mkdir(filepath.Dir(path), 0o700))
	f, err := os.Create(path)
	require.NoError(t, err)
	defer f.Close()
	_, err = f.WriteString("x")
	require.NoError(t, err)
	d.has(diskFault{sync: syscall.EIO})
	require.ErrorIs(t, f.Sync(), syscall.EIO)
	d.has(diskFault{})
	require.NoError(t, f.Sync())
	require.Equal(t, []string{"a/f"}, d.believed, "it was not written anew")
	d.has(diskFault{write: syscall.EDQUOT})
	_, err = f.WriteString("x")
	require.ErrorIs(t, err, syscall.EDQUOT)
	d.has(diskFault{create: syscall.ENOSPC})
	_, err = os.Create(path + "2")
	require.ErrorIs(t, err, syscall.ENOSPC)
	d.has(diskFault{change: syscall.EROFS})
	require.ErrorIs(t, os.Remove(path), syscall.EROFS)
	require.Equal(t, 1, d.refusals())
}
