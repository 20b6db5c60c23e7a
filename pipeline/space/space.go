// Package space watches how full the disk is and says what may still be written,
// so that nothing ever meets a full disk: SQLite would refuse, Badger would take
// the process down with it, JetStream would take nothing more. A disk is full when
// it has no bytes left, no inodes, or when a quota refuses what it has.
//
// There are four levels. At evict the oldest recordings go, which is an ordinary
// day of a recorder. At refuse, uploads, renders and series are refused. At stop
// only records are written; a reserve file that was kept until then makes room
// for them. A level is left when there is a tenth more space than it begins at,
// and everything resumes by itself.
package space

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// Level is how full the disk is.
type Level int32

// The levels, from plenty of space to none.
const (
	Normal Level = iota
	Evict        // the oldest recordings make room
	Refuse       // what is expendable or can be sent again is refused
	Stop         // only records are written
)

// String is the level's name in the API, in metrics and in events.
func (l Level) String() string {
	return [...]string{"normal", "evict", "refuse", "stop"}[l]
}

// Class is a kind of writing.
type Class int

// The classes that can be refused. Records never are.
const (
	Media      Class = iota // recordings: refused at Stop
	Upload                  // uploads, models, renders: refused at Refuse
	Expendable              // series: dropped at Refuse
)

// ErrFull is returned for what may not be written now.
var ErrFull = errors.New("the disk is nearly full")

// Usage is the space of a file system.
type Usage struct {
	Free  int64 // bytes an ordinary user may still write
	Total int64
	// FilesFree and Files are inodes; Files is 0 where they are made as needed.
	FilesFree, Files int64
}

// Config says where the levels begin: a share of the file system, but no more
// than Most for Evict and in proportion for the others.
type Config struct {
	Folder  string  // on the file system that is watched
	Evict   float64 // percent free; 10
	Refuse  float64 // percent free; 5
	Stop    float64 // percent free; 2
	Most    int64   // bytes free that Evict asks for at most; 0 is no limit
	AtLeast int64   // bytes free that Evict asks for in any case
	Reserve string  // path of the reserve file; "" keeps none
	// ReserveBytes is its size; 64 MiB, at most a hundredth of the file system.
	ReserveBytes int64
	Interval     time.Duration // between two looks; 100 ms

	Usage func(folder string) (Usage, error) // nil asks the system
}

// Change is a new level.
type Change struct {
	Level, Was Level
	Cause      Cause // of the worse one of the two levels
	Usage      Usage
}

// State is the present condition.
type State struct {
	Level          Level
	Cause          Cause // of the level, None when it is Normal
	Usage          Usage
	Thresholds     [3]int64 // bytes free at which Evict, Refuse and Stop begin
	Reserve        int64    // bytes in the reserve file, 0 when it was given up
	RefusedUploads uint64
	DroppedWrites  uint64 // expendable ones
	Failing        string // why the disk cannot be asked, "" when it can
}

// Guard watches one file system. Safe for concurrent use.
type Guard struct {
	cfg     Config
	log     *slog.Logger
	changed func(Change)
	wake    chan struct{}

	level   atomic.Int32
	refused [3]atomic.Uint64

	mu      sync.Mutex // guards what follows, and is held while looking
	usage   Usage
	failing string
	held    int64 // bytes in the reserve file
	cause   Cause
	quota   quota
	later   time.Time // the reserve is not tried before
}

// New looks at the disk once and sets the reserve aside when there is room.
// changed is told of every new level from Run's goroutine or a writer's; it must
// not block, and may be nil.
func New(cfg Config, log *slog.Logger, changed func(Change)) (*Guard, error) {
	if cfg.Folder == "" {
		return nil, errors.New("watch the disk: no folder given")
	}
	for p, value := range map[*float64]float64{&cfg.Evict: 10, &cfg.Refuse: 5, &cfg.Stop: 2} {
		if *p <= 0 {
			*p = value
		}
	}
	if cfg.Evict < cfg.Refuse || cfg.Refuse < cfg.Stop || cfg.Evict >= 100 {
		return nil, fmt.Errorf("watch the disk: the levels %g, %g and %g %% are not in order", cfg.Evict, cfg.Refuse, cfg.Stop)
	}
	if cfg.ReserveBytes <= 0 {
		cfg.ReserveBytes = 64 << 20
	}
	if cfg.Interval <= 0 {
		cfg.Interval = 100 * time.Millisecond
	}
	if cfg.Usage == nil {
		cfg.Usage = usage
	}
	if changed == nil {
		changed = func(Change) {}
	}
	g := &Guard{cfg: cfg, log: log, changed: changed, wake: make(chan struct{}, 1)}
	if info, err := os.Stat(cfg.Reserve); cfg.Reserve != "" && err == nil {
		g.held = info.Size()
	}
	g.Look()
	return g, nil
}

// Run looks at the disk until ctx ends.
func (g *Guard) Run(ctx context.Context) error {
	tick := time.NewTicker(g.cfg.Interval)
	defer tick.Stop()
	for {
		g.Look()
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// Level is the present level.
func (g *Guard) Level() Level { return Level(g.level.Load()) }

// Evicting has a token when the level became worse: old recordings should go now.
func (g *Guard) Evicting() <-chan struct{} { return g.wake }

// Check returns nil when something of the class may be written now, else an
// error that wraps ErrFull. Expendable asks the disk anew: what is written there
// must not meet a full one.
func (g *Guard) Check(c Class) error {
	if c == Expendable {
		g.Look()
	}
	limit := Refuse
	if c == Media {
		limit = Stop
	}
	if g.Level() < limit {
		return nil
	}
	if c != Media { // asked for every picture
		g.refused[c].Add(1)
	}
	return fmt.Errorf("%w: try again when there is space", ErrFull)
}

// Look asks the disk and takes the level that follows.
func (g *Guard) Look() {
	g.mu.Lock()
	defer g.mu.Unlock()
	u, err := g.cfg.Usage(g.cfg.Folder)
	if err != nil { // what is unknown changes nothing
		if g.failing == "" {
			g.log.Error("the disk does not say how full it is", "error", err)
		}
		g.failing = err.Error()
		return
	}
	g.failing, g.usage = "", u
	was, wasOf := g.Level(), g.cause
	var now Level
	now, g.cause = g.next(was, u)
	if now == Stop {
		g.release()
	}
	if now < Refuse {
		g.setAside()
	}
	if now == was {
		return
	}
	g.level.Store(int32(now))
	if now > was {
		select {
		case g.wake <- struct{}{}:
		default:
		}
	}
	of := g.cause
	if now < was && was >= Refuse && now < Refuse {
		of = wasOf
	}
	if now >= Refuse || was >= Refuse {
		g.log.Warn("space on the disk", "level", now.String(), "was", was.String(), "short_of", string(of),
			"free", u.Free, "total", u.Total, "files_free", u.FilesFree, "files", u.Files)
	}
	g.changed(Change{Level: now, Was: was, Cause: of, Usage: u})
}

// next is the level that follows from u, and what it is about. The reserve counts as
// used.
func (g *Guard) next(was Level, u Usage) (Level, Cause) {
	if g.limited(u) {
		return Stop, Quota
	}
	level := below(was, u.Free-g.given(), g.limits(u))
	if files := below(was, u.FilesFree, g.fileLimits(u)); files > level {
		return files, Files
	}
	if level == Normal {
		return Normal, None
	}
	return level, Bytes
}

// given are the bytes of the reserve that were given up and count as free now.
func (g *Guard) given() int64 {
	if g.cfg.Reserve == "" {
		return 0
	}
	return max(0, g.reserveBytes(g.usage)-g.held)
}

func (g *Guard) limits(u Usage) [3]int64 {
	evict := max(int64(g.cfg.Evict/100*float64(u.Total)), g.cfg.AtLeast)
	shares := [3]float64{1, g.cfg.Refuse / g.cfg.Evict, g.cfg.Stop / g.cfg.Evict}
	most := g.cfg.Most
	var out [3]int64
	for i, p := range []float64{g.cfg.Evict, g.cfg.Refuse, g.cfg.Stop} {
		out[i] = int64(p / 100 * float64(u.Total))
		if most > 0 {
			out[i] = min(out[i], int64(shares[i]*float64(most)))
		}
	}
	if most > 0 {
		evict = max(min(evict, most), g.cfg.AtLeast)
	}
	out[0] = min(max(out[0], evict), u.Total/2)
	return out
}

// Missing is how many bytes of old recordings have to go.
func (g *Guard) Missing() int64 {
	g.Look()
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.cause == Quota {
		return g.owes()
	}
	limit := g.limits(g.usage)[0]
	if g.Level() >= Evict && g.cause == Bytes {
		limit += limit / 10
	}
	return max(0, limit-(g.usage.Free-g.given()))
}

// State is the present condition.
func (g *Guard) State() State {
	g.mu.Lock()
	defer g.mu.Unlock()
	return State{
		Level: g.Level(), Cause: g.cause, Usage: g.usage, Thresholds: g.limits(g.usage), Reserve: g.held, Failing: g.failing,
		RefusedUploads: g.refused[Upload].Load(), DroppedWrites: g.refused[Expendable].Load(),
	}
}

func (g *Guard) reserveBytes(u Usage) int64 { return min(g.cfg.ReserveBytes, u.Total/100) }

// setAside makes the reserve file, which holds its space.
func (g *Guard) setAside() {
	want := g.reserveBytes(g.usage)
	if g.cfg.Reserve == "" || g.held >= want || time.Now().Before(g.later) {
		return
	}
	f, err := os.OpenFile(g.cfg.Reserve, os.O_CREATE|os.O_RDWR, 0o600)
	if err == nil {
		err = errors.Join(unix.Fallocate(int(f.Fd()), 0, 0, want), f.Close()) //nolint:gosec // a file descriptor is small
	}
	switch {
	case errors.Is(err, unix.ENOSPC), errors.Is(err, unix.EDQUOT): // a quota leaves no room now
		_ = os.Remove(g.cfg.Reserve)
		g.held, g.later = 0, time.Now().Add(time.Minute)
		return
	case err != nil:
		g.log.Warn("no reserve is kept on the disk", "error", err)
		_ = os.Remove(g.cfg.Reserve)
		g.cfg.Reserve = "" // not tried again
		return
	}
	g.held = want
}

// release gives the reserve up.
func (g *Guard) release() {
	if g.cfg.Reserve == "" || g.held == 0 {
		return
	}
	if err := os.Remove(g.cfg.Reserve); err != nil && !errors.Is(err, os.ErrNotExist) {
		g.log.Error("the reserve cannot be given up", "error", err)
		return
	}
	g.held = 0
}

// usage asks the system.
func usage(folder string) (Usage, error) {
	var s unix.Statfs_t
	if err := unix.Statfs(folder, &s); err != nil {
		return Usage{}, fmt.Errorf("ask for free disk space: %w", err)
	}
	size := int64(s.Bsize) //nolint:unconvert // its type differs between systems
	return Usage{
		Free: int64(s.Bavail) * size, Total: int64(s.Blocks) * size, //nolint:gosec // disks are smaller than 8 EiB
		FilesFree: int64(s.Ffree), Files: int64(s.Files), //nolint:gosec // and have fewer files
	}, nil
}
