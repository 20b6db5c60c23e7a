package space

import (
	"errors"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Cause is what the disk is short of.
type Cause string

// The causes.
const (
	None  Cause = ""      // it is not short of anything
	Bytes Cause = "bytes" // free bytes
	Files Cause = "files" // free inodes: no file can be made
	Quota Cause = "quota" // the system refuses more, although the disk has room
)

// mostFiles is how many free inodes Evict asks for at most. A recorder makes few
// files: on a disk with millions of them a share would be far too many.
const mostFiles = 10_000

// fileLimits are the free inodes at which Evict, Refuse and Stop begin. All are 0
// where the file system makes inodes as they are needed.
func (g *Guard) fileLimits(u Usage) [3]int64 {
	var out [3]int64
	for i, p := range []float64{g.cfg.Evict, g.cfg.Refuse, g.cfg.Stop} {
		out[i] = int64(min(p/100*float64(u.Files), p/g.cfg.Evict*mostFiles))
	}
	return out
}

// below is the level that follows from what is free and where the levels begin.
func below(was Level, free int64, limits [3]int64) Level {
	level := Normal
	for i, limit := range limits {
		l := Level(i + 1)
		if l <= was {
			limit += limit / 10 // a level that was taken is not left at once
		}
		if free < limit {
			level = l
		}
	}
	return level
}

// MissingFiles is how many files of old recordings have to go.
func (g *Guard) MissingFiles() int {
	g.Look()
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.cause != Files {
		return 0
	}
	limit := g.fileLimits(g.usage)[0]
	return int(max(0, limit+limit/10-g.usage.FilesFree))
}

// A quota shows in nothing but writes that are refused. It is asked with a file as
// large as the reserve.
const (
	askQuota = time.Second
	// oweEvery is the time between two steps of deleting for a quota, of oweBytes or a
	// hundredth of the disk each. It may be that nothing helps: then recordings must
	// not all go at once.
	oweEvery = 10 * time.Second
	oweBytes = 256 << 20
	probe    = ".probe"
)

// quota is a limit that was met.
type quota struct {
	met         bool
	asked, owed time.Time // when it was asked last, and something was to be deleted
}

// Met tells of a write that the system has refused. When it was for want of space,
// although the disk has some, there is a quota: the level is Stop until a file can
// be made again.
func (g *Guard) Met(err error) {
	if !errors.Is(err, unix.ENOSPC) && !errors.Is(err, unix.EDQUOT) {
		return
	}
	g.Look()
	if g.Level() == Stop {
		return
	}
	g.mu.Lock()
	g.quota = quota{met: true}
	g.mu.Unlock()
	g.Look()
}

// limited says whether a quota that was met still holds. g.mu is held.
func (g *Guard) limited(u Usage) bool {
	if !g.quota.met || time.Since(g.quota.asked) < askQuota {
		return g.quota.met
	}
	g.quota.asked = time.Now()
	path := g.cfg.Folder + "/" + probe
	f, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err == nil {
		err = errors.Join(allocate(f, g.reserveBytes(u)), f.Close(), os.Remove(path))
	}
	g.quota.met = errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT)
	return g.quota.met
}

// owes is how many bytes are to be deleted for a quota now. g.mu is held.
func (g *Guard) owes() int64 {
	if !g.quota.met || time.Since(g.quota.owed) < oweEvery {
		return 0
	}
	g.quota.owed = time.Now()
	return min(oweBytes, g.usage.Total/100)
}

// allocate gives a new file n bytes of the disk.
func allocate(f *os.File, n int64) error {
	err := unix.Fallocate(int(f.Fd()), 0, 0, n) //nolint:gosec // a file descriptor is small
	if errors.Is(err, unix.EOPNOTSUPP) {
		_, err = f.Write(make([]byte, min(n, 1<<20)))
	}
	return err
}
