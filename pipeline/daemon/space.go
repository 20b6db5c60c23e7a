package daemon

import (
	"context"
	"io"
	"path/filepath"
	"time"

	"detectd/pipeline/bus"
	"detectd/pipeline/space"
	"detectd/store"
	"detectd/store/badger"
	"detectd/web/api"
	"detectd/web/health"
)

// reserveFile holds space for records, below the data folder.
const reserveFile = "reserve"

// openSpace comes before the stores: it makes room for them on a full disk.
func (d *Daemon) openSpace(context.Context) (err error) {
	d.space, err = space.New(space.Config{
		Folder: d.folder.Path(), Evict: d.cfg.Space.Evict, Refuse: d.cfg.Space.Refuse, Stop: d.cfg.Space.Stop,
		Most: d.cfg.Space.Most, AtLeast: d.cfg.Record.Reserve, Reserve: filepath.Join(d.folder.Path(), reserveFile),
	}, d.log, func(c space.Change) {
		if d.bus != nil {
			d.bus.Publish(bus.Space, bus.SpaceState{
				Level: c.Level.String(), Was: c.Was.String(), ShortOf: string(c.Cause),
				FreeBytes: c.Usage.Free, TotalBytes: c.Usage.Total, FreeFiles: c.Usage.FilesFree, TotalFiles: c.Usage.Files,
			})
		}
	})
	return err
}

// openSeries opens the series, which a nearly full disk leaves closed.
func (d *Daemon) openSeries() (err error) {
	open := badger.Open
	if d.space.Level() >= space.Refuse {
		open = badger.OpenPaused
	}
	d.series, err = open(d.folder.Series(), d.cfg.Keep.Annotations, d.log)
	return err
}

const (
	// pauseWithin is how soon series and work queues are closed when the disk is nearly full.
	pauseWithin = 50 * time.Millisecond
	// reopenAfter is the time between two tries to open what cannot be opened.
	reopenAfter = 5 * time.Second
)

// pausable is what must not write to a disk that is nearly full: Badger ends the
// process when it meets a full one, JetStream takes nothing more.
type pausable interface {
	Writable() bool
	Pause(pause bool) error
}

// pauses keeps all that something does away from a disk that is nearly full, its
// work in the background too, and opens it anew when it has failed.
func (d *Daemon) pauses(name string, p pausable) func(context.Context) error {
	return func(ctx context.Context) error {
		tick := time.NewTicker(pauseWithin)
		defer tick.Stop()
		var tried time.Time
		for {
			full := d.space.Level() >= space.Refuse
			if full == p.Writable() && (full || time.Since(tried) > reopenAfter) {
				tried = time.Now()
				if err := p.Pause(full); err != nil {
					d.log.Error(name+" not opened", "error", err)
				}
				d.log.Debug(name, "writable", p.Writable(), "took", time.Since(tried))
			}
			select {
			case <-ctx.Done():
				return nil
			case <-tick.C:
			}
		}
	}
}

// guardedSeries drops what would meet a full disk, and counts it.
type guardedSeries struct {
	*badger.Store
	space   *space.Guard
	dropped func(cameraID string, n int)
}

// PutAnnotations implements store.Series.
func (g guardedSeries) PutAnnotations(ctx context.Context, as []store.Annotation) error {
	if g.space.Check(space.Expendable) == nil {
		return g.Store.PutAnnotations(ctx, as)
	}
	for _, a := range as {
		g.dropped(a.CameraID, 1)
	}
	return nil
}

// PutInferences implements store.Series.
func (g guardedSeries) PutInferences(ctx context.Context, ms []store.Inference) error {
	if g.space.Check(space.Expendable) == nil {
		return g.Store.PutInferences(ctx, ms)
	}
	for _, m := range ms {
		g.dropped(m.CameraID, 1)
	}
	return nil
}

// room returns an error of the API's kind while nothing large may be taken in.
func (d *Daemon) room() error {
	if err := d.space.Check(space.Upload); err != nil {
		return ofKind(api.ErrNoSpace, err)
	}
	return nil
}

// roomyReader ends an upload that the disk has become too full for.
type roomyReader struct {
	io.Reader
	d     *Daemon
	since int // bytes read since the disk was asked
}

const askEvery = 1 << 20

// Read implements io.Reader.
func (r *roomyReader) Read(p []byte) (int, error) {
	if r.since >= askEvery {
		r.since = 0
		if err := r.d.room(); err != nil {
			return 0, err
		}
	}
	n, err := r.Reader.Read(p)
	r.since += n
	return n, err
}

// diskReady is a check of readiness that tells of a disk that is nearly full.
func (d *Daemon) diskReady(context.Context) error {
	s := d.space.State()
	of := map[space.Cause]string{space.Files: " of files (no inodes are free)", space.Quota: " for this user (a quota)"}[s.Cause]
	switch s.Level {
	case space.Refuse:
		return health.Degraded("the disk is nearly full" + of + ": uploads, renders and series are refused")
	case space.Stop:
		return health.Degraded("the disk is full" + of + ": nothing but records is written, uploads, renders and series are refused")
	case space.Normal, space.Evict:
	}
	return nil
}

// Space implements health's view of the disk.
func (d *Daemon) spaceFigures() health.SpaceFigures {
	s := d.space.State()
	return health.SpaceFigures{
		Level: int(s.Level), Free: s.Usage.Free, Total: s.Usage.Total, Refused: s.RefusedUploads, Dropped: s.DroppedWrites,
		FreeFiles: s.Usage.FilesFree, Files: s.Usage.Files, ShortOf: string(s.Cause), Queue: d.bus.Writable(),
	}
}

func (d *Daemon) spaceInfo() api.SpaceInfo {
	s := d.space.State()
	return api.SpaceInfo{
		Level: s.Level.String(), ShortOf: string(s.Cause), FreeFiles: s.Usage.FilesFree, TotalFiles: s.Usage.Files, Queue: d.bus.Writable(),
		EvictBelow: s.Thresholds[0], RefuseBelow: s.Thresholds[1], StopBelow: s.Thresholds[2],
		ReserveBytes: s.Reserve, Refused: s.RefusedUploads, Dropped: s.DroppedWrites,
	}
}
