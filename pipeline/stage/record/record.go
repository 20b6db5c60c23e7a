// Package record writes what a camera sends to disk as it came: fragmented MP4
// files of about ten seconds that begin with a key frame, and a row in the index
// for each.
//
// A file grows under a temporary name in fragments of about a second. Complete,
// it is synced, renamed, its folder synced, and only then its row is added, so a
// row never points at nothing. What a crash leaves behind is salvaged when the
// camera's recorder starts again.
package record

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"time"

	"detectd/pipeline"
	"detectd/store"
)

// Config says where and how one camera is recorded. Zero sizes take the defaults.
type Config struct {
	Root          string // media folder
	CameraID      string
	SegmentLength time.Duration // a file ends at the first key frame after it; 10 s
	QueueBytes    int           // coded bytes that may wait for the disk; 64 MiB
	QueueUnits    int           // units that may wait for the disk; 2048
	// Space returns an error while nothing may be written since the disk is nearly
	// full. nil: it never is.
	Space func() error
	// Full is told of what the disk has refused, which may be for want of space. It
	// may be nil.
	Full func(err error)
}

// Index is the part of the store that the recorder needs.
type Index interface {
	AddSegment(ctx context.Context, s store.Segment) (store.Segment, error)
	ListSegments(ctx context.Context, cameraID string, r store.Range, p store.Page) ([]store.Segment, string, error)
}

// Hooks tell others what happens. Each may be nil. They are called one at a time
// from the recorder's goroutine, Dropped also from the source's; they must not block.
type Hooks struct {
	Segment  func(store.Segment)     // a file is complete and in the index
	Status   func(text string)       // recording fails because of this; "" when it works again
	Dropped  func(units int)         // units that are not recorded
	Salvaged func(kept, removed int) // files of an earlier run: put in the index, deleted
}

// Recorder records one camera. Format and Unit never block.
type Recorder struct {
	cfg   Config
	index Index
	log   *slog.Logger
	hooks Hooks
	queue queue

	format   pipeline.Format
	next     *pipeline.Format // from the next unit on
	segment  *segment         // nil while no file is open
	sound    pipeline.SoundFormat
	parted   *segment      // has all its units and waits for the rest of its sound; nil: none
	partedAt time.Duration // where it ends, on the timeline
	begun    bool          // a file was tried: units that wait for a key frame are losses
	cut      bool          // the next key frame starts a new file
	last     pipeline.Unit
	lastStep time.Duration // from the unit before to last
	lastSeen time.Time
	rows     []store.Segment // complete files whose rows are not yet added
	disk     trouble
	rowsDown trouble
	status   string

	growing atomic.Pointer[store.Segment] // the open file as of its last whole fragment
}

var _ pipeline.Sink = (*Recorder)(nil)

// trouble is a failing helper: the disk, the index.
type trouble struct {
	text  string
	pause time.Duration
	until time.Time // do not try before
}

func (t *trouble) fail(text string) {
	t.text = text
	t.pause = min(max(2*t.pause, minPause), maxPause)
	t.until = time.Now().Add(t.pause)
}

const (
	minPause = 250 * time.Millisecond
	maxPause = 5 * time.Second // what comes back is recorded within ten seconds
	// jump is the step in time that ends a file: times inside a file are counted
	// from its start.
	jump = time.Second
	// slip is how far the times inside a file may be from the capture times of its
	// frames. Cameras' clocks that drift stay far below it in one file.
	slip = 100 * time.Millisecond
	// longest is where a file ends without a key frame to end before. The index
	// refuses files longer than store.MaxSegment.
	longest = store.MaxSegment / 2
	// silence is how long a file stays open when nothing arrives.
	silence = 5 * time.Second
	// stopTime bounds adding the last rows when the recorder ends.
	stopTime = 5 * time.Second
	// maxRows bounds the rows that wait for the index. Files beyond it are found
	// again at the next start.
	maxRows = 4096
)

// New checks the configuration. It starts nothing.
func New(cfg Config, index Index, log *slog.Logger, hooks Hooks) (*Recorder, error) {
	if cfg.Root == "" {
		return nil, errors.New("record camera: no media folder given")
	}
	if id := cfg.CameraID; id == "" || id[0] == '.' || id != filepath.Base(id) {
		return nil, fmt.Errorf("record camera: %q is no name for a folder", id)
	}
	if cfg.SegmentLength <= 0 {
		cfg.SegmentLength = 10 * time.Second
	}
	if cfg.QueueBytes <= 0 {
		cfg.QueueBytes = 64 << 20
	}
	if cfg.QueueUnits <= 0 {
		cfg.QueueUnits = 2048
	}
	r := &Recorder{cfg: cfg, index: index, log: log.With("camera", cfg.CameraID), hooks: hooks}
	r.queue.init(cfg.QueueBytes, cfg.QueueUnits)
	return r, nil
}

// Format implements pipeline.Sink.
func (r *Recorder) Format(f pipeline.Format) { r.queue.format(f) }

// Unit implements pipeline.Sink.
func (r *Recorder) Unit(u pipeline.Unit) {
	if !r.queue.unit(u) {
		r.dropped(1)
	}
}

// Run records until ctx ends, and then completes the open file. It ends for no
// other reason: a failing disk or index is reported and tried again.
func (r *Recorder) Run(ctx context.Context) error {
	r.recover(ctx)
	tick := time.NewTicker(minPause)
	defer tick.Stop()
	for {
		for _, it := range r.queue.take() {
			r.handle(it)
		}
		r.addRows(ctx)
		r.report()
		select {
		case <-ctx.Done():
			r.stop(ctx)
			return nil
		case <-r.queue.wake:
		case now := <-tick.C:
			if r.segment != nil && now.Sub(r.lastSeen) > silence {
				r.finish(0)
			}
		}
	}
}

// stop records what is still queued and completes the file.
func (r *Recorder) stop(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTime)
	defer cancel()
	for _, it := range r.queue.take() {
		r.handle(it)
	}
	r.finish(0)
	r.rowsDown.until = time.Time{}
	r.addRows(ctx)
	r.report()
	if n := len(r.rows); n > 0 {
		r.log.Warn("segments are not in the index yet; the next start adds them", "segments", n)
	}
}

func (r *Recorder) handle(it item) {
	if it.format != nil {
		r.next = it.format
		return
	}
	if it.soundFormat != nil || it.sound != nil {
		r.handleSound(it)
		return
	}
	u := it.unit
	r.lastSeen = time.Now()
	if r.parted != nil && u.PTS-r.partedAt > soundPatience {
		r.finishParted()
	}
	step := u.DTS - r.last.DTS
	if r.next != nil {
		r.finishBefore(u, step)
		r.format, r.next = *r.next, nil
	}
	if r.segment != nil {
		r.follow(u, step)
	}
	r.last, r.lastStep = u, step
	if r.held() {
		r.dropped(1)
		return
	}
	if r.segment == nil && !r.start(u) {
		return
	}
	if err := r.segment.add(u); err != nil {
		r.diskFailed(err)
		r.dropped(1)
		return
	}
	if r.segment.flushed > 0 {
		r.disk = trouble{}
		if known := r.growing.Load(); known == nil || known.Frames != r.segment.frames {
			r.growing.Store(r.segment.soFar())
		}
	}
}

// held says whether recording waits for space on the disk, and completes the
// open file then.
func (r *Recorder) held() bool {
	if r.cfg.Space == nil || r.cfg.Space() == nil {
		return false
	}
	r.finish(0)
	r.begun, r.disk = true, trouble{text: pipeline.DiskFull}
	return true
}

// Growing describes the file that is being written, as far as it can be read:
// all but its last second. It has no ID, and another path once it is complete.
func (r *Recorder) Growing() (store.Segment, bool) {
	if s := r.growing.Load(); s != nil {
		return *s, true
	}
	return store.Segment{}, false
}

// follow decides whether u still belongs to the open file.
func (r *Recorder) follow(u pipeline.Unit, step time.Duration) {
	drift := u.Time.Sub(r.segment.first.Time) - (u.PTS - r.segment.first.PTS)
	if step > jump && step > 4*r.lastStep || drift.Abs() > slip { // cameras may be slow
		r.cut = true
		if step > jump && drift.Abs() <= jump && !u.Key { // within the file
			r.segment.row.Holes = append(r.segment.row.Holes, store.Range{From: r.last.Time.Add(r.lastStep), To: u.Time})
		}
	}
	full := u.PTS-r.segment.first.PTS >= r.cfg.SegmentLength
	switch {
	case step < -jump, u.DTS-r.segment.first.DTS > longest:
		// The timeline began anew, or no key frame comes: what follows does not fit in.
		r.finish(0)
	case u.Key && (r.cut || full || r.soundChanged()):
		r.part(u, step)
	}
}

// finishBefore completes the open file before u, which comes step later than its
// last unit. No file reaches into the next.
func (r *Recorder) finishBefore(u pipeline.Unit, step time.Duration) {
	if r.segment == nil {
		return
	}
	r.segment.until = u.Time.Truncate(time.Microsecond)
	r.finish(step)
}

// start opens a file that begins with u. False when it has to wait.
func (r *Recorder) start(u pipeline.Unit) bool {
	if !u.Key {
		if r.begun {
			r.dropped(1)
		}
		return false
	}
	if time.Now().Before(r.disk.until) {
		r.dropped(1)
		return false
	}
	s, err := create(r.cfg.Root, r.cfg.CameraID, r.format, r.sound, u)
	if err != nil {
		r.diskFailed(err)
		r.dropped(1)
		return false
	}
	r.segment, r.begun, r.cut = s, true, false
	return true
}

// finish completes the open file; next is the time from its last unit to the
// first of the file after it, 0 when there is none.
func (r *Recorder) finish(next time.Duration) {
	r.finishParted()
	if r.segment == nil {
		return
	}
	s := r.segment
	r.segment, r.cut = nil, false
	r.growing.Store(nil)
	r.complete(s, next)
}

func (r *Recorder) complete(s *segment, next time.Duration) {
	row, err := s.finish(next)
	if err != nil {
		r.dropped(s.missing())
		r.diskFailed(err)
	} else {
		r.disk = trouble{}
	}
	if row.Frames > 0 {
		r.rows = append(r.rows, row)
	}
}

// diskFailed gives the open file up, keeping what is whole of it.
func (r *Recorder) diskFailed(err error) {
	r.finishParted()
	text := err.Error()
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		text = pipeline.DiskFull
	}
	if r.disk.text == "" {
		r.log.Error("recording stopped", "error", err)
	}
	if r.cfg.Full != nil {
		r.cfg.Full(err)
	}
	r.disk.fail(text)
	r.begun = true
	if s := r.segment; s != nil {
		r.segment, r.cut = nil, false
		r.growing.Store(nil)
		if row, err := s.rescue(); err == nil && row.Frames > 0 {
			r.rows = append(r.rows, row)
		}
		r.dropped(s.missing())
	}
}

// addRows puts complete files into the index, oldest first.
func (r *Recorder) addRows(ctx context.Context) {
	for len(r.rows) > 0 && !time.Now().Before(r.rowsDown.until) {
		row, err := r.index.AddSegment(ctx, r.rows[0])
		switch {
		case err == nil:
			r.rowsDown = trouble{}
			if r.hooks.Segment != nil {
				r.hooks.Segment(row)
			}
		case errors.Is(err, store.ErrNotFound): // the camera was deleted, and nobody else knows the file
			err := os.Remove(filepath.Join(r.cfg.Root, filepath.FromSlash(r.rows[0].Path)))
			r.log.Info("removed a file of a camera that is gone", "path", r.rows[0].Path, "error", err)
		case errors.Is(err, store.ErrExists): // it is in the index, or retention has dropped it already
			r.log.Debug("a segment is in the index already", "path", r.rows[0].Path)
		case ctx.Err() != nil:
			return
		default:
			if r.rowsDown.text == "" {
				r.log.Error("segments cannot be put into the index", "error", err)
			}
			r.rowsDown.fail("the index of recordings: " + err.Error())
			if n := len(r.rows) - maxRows; n > 0 {
				r.rows = r.rows[n:]
			}
			return
		}
		r.rows = r.rows[1:]
	}
}

// report tells the status when it has changed.
func (r *Recorder) report() {
	text := r.disk.text
	if text == "" {
		text = r.rowsDown.text
	}
	if text == r.status {
		return
	}
	r.status = text
	if text == "" {
		r.log.Info("recording works again")
	}
	if r.hooks.Status != nil {
		r.hooks.Status(text)
	}
}

func (r *Recorder) dropped(n int) {
	if n > 0 && r.hooks.Dropped != nil {
		r.hooks.Dropped(n)
	}
}
