package crash

import (
	"context"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
	"github.com/stretchr/testify/require"
)

// block is the unit that a disk writes whole or not at all.
const block = 4096

// disk is a block device for the kernel, behind a loop device: one file, of a file
// system of the test's own. It has a cache for writing, as disks do: what was written
// is on the disk for certain from the next flush on, and until then it may be, in any
// order. So it knows at any moment what a power cut would leave.
type disk struct {
	path string // of the file
	size int64

	mu      sync.Mutex
	now     map[int64]*[block]byte // what is read; blocks are never changed, but replaced
	durable map[int64]*[block]byte // as of the last flush
	cached  []change               // since, in their order
	flushes int
}

type change struct {
	at    int64
	block *[block]byte
}

func newDisk(t *testing.T, size int64) *disk {
	t.Helper()
	d := &disk{size: size, now: map[int64]*[block]byte{}, durable: map[int64]*[block]byte{}}
	dir := filepath.Join(t.TempDir(), "disk")
	require.NoError(t, os.Mkdir(dir, 0o700))
	server, err := fs.Mount(dir, &diskFolder{disk: d}, &fs.Options{MountOptions: fuse.MountOptions{DirectMount: true, DisableXAttrs: true, MaxWrite: 1 << 20}})
	if err != nil {
		t.Skipf("NOT TESTED: power cuts need FUSE (/dev/fuse): %v", err)
	}
	t.Cleanup(func() { require.NoError(t, server.Unmount()) })
	d.path = filepath.Join(dir, "disk")
	return d
}

// cut writes what a power cut would leave now to a file: all that was flushed, and of
// what came later each block or not, as chance has it.
func (d *disk) cut(t *testing.T, path string, chance *rand.Rand) (flushes, cached, lost int) {
	t.Helper()
	d.mu.Lock()
	left := maps.Clone(d.durable)
	flushes, cached = d.flushes, len(d.cached)
	for _, c := range d.cached {
		if chance.IntN(2) == 0 {
			left[c.at] = c.block
		} else {
			lost++
		}
	}
	d.mu.Unlock()
	f, err := os.Create(path)
	require.NoError(t, err)
	require.NoError(t, f.Truncate(d.size))
	for at, b := range left {
		_, err := f.WriteAt(b[:], at)
		require.NoError(t, err)
	}
	require.NoError(t, f.Close())
	return flushes, cached, lost
}

func (d *disk) read(p []byte, off int64) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	n := 0
	for n < len(p) && off < d.size {
		in := off % block
		part := min(int64(len(p)-n), block-in, d.size-off)
		if b := d.now[off-in]; b != nil {
			copy(p[n:], b[in:in+part])
		} else {
			clear(p[n : n+int(part)])
		}
		n, off = n+int(part), off+part
	}
	return n
}

func (d *disk) write(p []byte, off int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for len(p) > 0 {
		in := off % block
		b := new([block]byte)
		if old := d.now[off-in]; old != nil {
			*b = *old
		}
		n := copy(b[in:], p)
		d.now[off-in] = b
		d.cached = append(d.cached, change{off - in, b})
		p, off = p[n:], off+int64(n)
	}
}

func (d *disk) flush() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, c := range d.cached {
		d.durable[c.at] = c.block
	}
	d.cached = nil
	d.flushes++
}

// diskFolder has the disk in it.
type diskFolder struct {
	fs.Inode
	disk *disk
}

var _ fs.NodeOnAdder = (*diskFolder)(nil)

func (f *diskFolder) OnAdd(ctx context.Context) {
	f.AddChild("disk", f.NewPersistentInode(ctx, &diskFile{disk: f.disk}, fs.StableAttr{Mode: syscall.S_IFREG}), false)
}

type diskFile struct {
	fs.Inode
	disk *disk
}

var (
	_ fs.NodeOpener    = (*diskFile)(nil)
	_ fs.NodeGetattrer = (*diskFile)(nil)
	_ fs.NodeSetattrer = (*diskFile)(nil)
	_ fs.NodeReader    = (*diskFile)(nil)
	_ fs.NodeWriter    = (*diskFile)(nil)
	_ fs.NodeFsyncer   = (*diskFile)(nil)
)

func (f *diskFile) Open(context.Context, uint32) (fs.FileHandle, uint32, syscall.Errno) {
	return nil, fuse.FOPEN_KEEP_CACHE, 0
}

func (f *diskFile) Getattr(_ context.Context, _ fs.FileHandle, out *fuse.AttrOut) syscall.Errno {
	out.Mode, out.Size = syscall.S_IFREG|0o600, uint64(f.disk.size)
	return 0
}

func (f *diskFile) Setattr(ctx context.Context, h fs.FileHandle, _ *fuse.SetAttrIn, out *fuse.AttrOut) syscall.Errno {
	return f.Getattr(ctx, h, out)
}

func (f *diskFile) Read(_ context.Context, _ fs.FileHandle, p []byte, off int64) (fuse.ReadResult, syscall.Errno) {
	return fuse.ReadResultData(p[:f.disk.read(p, off)]), 0
}

func (f *diskFile) Write(_ context.Context, _ fs.FileHandle, p []byte, off int64) (uint32, syscall.Errno) {
	f.disk.write(p, off)
	return uint32(len(p)), 0
}

func (f *diskFile) Fsync(context.Context, fs.FileHandle, uint32) syscall.Errno {
	f.disk.flush()
	return 0
}
