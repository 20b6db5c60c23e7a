package crashtest

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

// Block is the unit in bytes that a disk writes whole or not at all.
const Block = 4096

// Disk is a block device for the kernel, behind a loop device: one file, of a file
// system of the test's own. It has a cache for writing, as disks do: what was written
// is on the disk for certain from the next flush on, and until then it may be, in any
// order. So it knows at any moment what a power cut would leave.
type Disk struct {
	path string // of the file
	size int64

	mu      sync.Mutex
	now     map[int64]*[Block]byte // what is read; blocks are never changed, but replaced
	durable map[int64]*[Block]byte // as of the last flush
	cached  []change               // since, in their order
	flushes int
}

type change struct {
	at    int64
	block *[Block]byte
}

// NewDisk makes a disk of size bytes, which lasts until the test ends. The test is
// skipped where there is no FUSE.
func NewDisk(t *testing.T, size int64) *Disk {
	t.Helper()
	d := &Disk{size: size, now: map[int64]*[Block]byte{}, durable: map[int64]*[Block]byte{}}
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

// Path is the file that is the disk.
func (d *Disk) Path() string { return d.path }

// PowerCut takes what a power cut would leave of the disk now: all that was flushed,
// and of what came later each block or not, as chance has it.
func (d *Disk) PowerCut(t *testing.T, chance *rand.Rand) Copy {
	t.Helper()
	d.mu.Lock()
	c := Copy{size: d.size, blocks: maps.Clone(d.durable), Cached: len(d.cached)}
	flushes := d.flushes
	for _, change := range d.cached {
		if chance.IntN(2) == 0 {
			c.blocks[change.at] = change.block
		} else {
			c.Lost++
		}
	}
	d.mu.Unlock()
	t.Logf("power cut after %d flushes; %d of the %d blocks in the cache lost", flushes, c.Lost, c.Cached)
	return c
}

// Copy is what is left of a disk after a power cut.
type Copy struct {
	Cached, Lost int // blocks that were in the cache, and those of them that are lost

	size   int64
	blocks map[int64]*[Block]byte
}

// Write makes a file of the copy.
func (c Copy) Write(t *testing.T, path string) {
	t.Helper()
	f, err := os.Create(path)
	require.NoError(t, err)
	require.NoError(t, f.Truncate(c.size))
	for at, b := range c.blocks {
		_, err := f.WriteAt(b[:], at)
		require.NoError(t, err)
	}
	require.NoError(t, f.Close())
}

func (d *Disk) read(p []byte, off int64) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	n := 0
	for n < len(p) && off < d.size {
		in := off % Block
		part := min(int64(len(p)-n), Block-in, d.size-off)
		if b := d.now[off-in]; b != nil {
			copy(p[n:], b[in:in+part])
		} else {
			clear(p[n : n+int(part)])
		}
		n, off = n+int(part), off+part
	}
	return n
}

func (d *Disk) write(p []byte, off int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for len(p) > 0 {
		in := off % Block
		b := new([Block]byte)
		if old := d.now[off-in]; old != nil {
			*b = *old
		}
		n := copy(b[in:], p)
		d.now[off-in] = b
		d.cached = append(d.cached, change{off - in, b})
		p, off = p[n:], off+int64(n)
	}
}

func (d *Disk) flush() {
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
	disk *Disk
}

var _ fs.NodeOnAdder = (*diskFolder)(nil)

func (f *diskFolder) OnAdd(ctx context.Context) {
	f.AddChild("disk", f.NewPersistentInode(ctx, &diskFile{disk: f.disk}, fs.StableAttr{Mode: syscall.S_IFREG}), false)
}

type diskFile struct {
	fs.Inode
	disk *Disk
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
