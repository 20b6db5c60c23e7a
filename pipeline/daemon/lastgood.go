package daemon

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"reflect"
	"slices"
	"time"

	"detectd/pipeline"
	"detectd/pipeline/bus"
	"detectd/store"
	"detectd/store/lastgood"
	"detectd/store/sqlite"
	"detectd/web/api"
	"detectd/web/health"
)

const (
	lastGoodFile  = "last-good.json" // in the data folder
	emergencyFile = "emergency.db"   // in its folder for temporary files
	// settle is how long changes are waited for before the copy is written.
	settle = 300 * time.Millisecond
)

func (d *Daemon) lastGoodPath() string { return filepath.Join(d.folder.Path(), lastGoodFile) }

// openDatabase opens the records. Where the file is damaged or cannot be got at,
// detection starts from the last good copy of what it needs: in a database that
// lasts until the daemon stops, without recording, and nothing can be changed. The
// damaged file is left as it is.
func (d *Daemon) openDatabase(ctx context.Context) error {
	err := d.tryDatabase(ctx, d.folder.DB(), d.useDatabase)
	if err == nil || !sqlite.Unreadable(err) || ctx.Err() != nil {
		return err
	}
	e, missing := lastgood.Read(d.lastGoodPath())
	if missing != nil {
		return fmt.Errorf("%w; detection cannot start without it either: %w; detectd restore makes a data folder of a backup", err, missing)
	}
	d.emergency = fmt.Sprintf("the database cannot be read: cameras, detection and live video run as they were set at %s, but nothing is recorded and nothing can be changed. "+
		"What was recorded before is kept, and not shown. To mend it, stop detectd, repair the database or make a data folder of a backup with detectd restore, and start again. Cause: %v",
		e.Taken.Local().Format(time.DateTime), err)
	d.log.Error("database cannot be read, detection starts from the last good copy", "error", err, "copy", e.Taken)
	for i := range e.Cameras {
		e.Cameras[i].Record = store.RecordOff // the index of recordings is in the database
	}
	return d.tryDatabase(ctx, filepath.Join(d.folder.Temp(), emergencyFile), func(ctx context.Context) error {
		return d.records.Seed(ctx, e)
	})
}

// tryDatabase opens a database and keeps it open when use has no error.
func (d *Daemon) tryDatabase(ctx context.Context, path string, use func(context.Context) error) (err error) {
	if d.records, err = sqlite.Open(ctx, path, d.log); err != nil {
		return err
	}
	if err := use(ctx); err != nil {
		return errors.Join(err, d.records.Close())
	}
	d.onClose(d.records.Close)
	return nil
}

// useDatabase makes sure that the database is the folder's own and can be read.
func (d *Daemon) useDatabase(ctx context.Context) error {
	if err := d.records.BindFolder(ctx, d.folder.ID()); err != nil {
		return err
	}
	if _, err := store.ReadEssentials(ctx, d.records, d.cfg.Detect.Model); err != nil {
		return err
	}
	starts, err := d.records.Start(ctx, d.folder.Starts())
	if err != nil {
		return err
	}
	return d.folder.Count(starts)
}

// keepLastGood writes the copy each time when all that is wanted has been brought
// about, or has failed, and something is different.
func (d *Daemon) keepLastGood(ctx context.Context) error {
	changed, stop, err := d.bus.Watch(bus.Under(bus.RunningState), bus.Under(bus.RunningModel), bus.Under(bus.CameraChanged),
		bus.Under(bus.ZonesChanged), bus.ModelsChanged)
	if err != nil {
		return err
	}
	defer stop()
	var last store.Essentials
	for {
		e, settled, err := d.essentials(ctx)
		e.Taken = last.Taken
		if err == nil && settled && !reflect.DeepEqual(e, last) {
			e.Taken = time.Now()
			if err = lastgood.Write(d.lastGoodPath(), e); err == nil {
				last = e
			}
		}
		if err != nil && ctx.Err() == nil {
			d.log.Warn("last good copy of records not written", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(settle):
		}
	}
}

// essentials are the records as far as they work: a camera whose wanted model fails
// has a record of what it runs instead. settled is false while a model loads.
func (d *Daemon) essentials(ctx context.Context) (e store.Essentials, settled bool, err error) {
	if e, err = store.ReadEssentials(ctx, d.records, d.cfg.Detect.Model); err != nil {
		return e, false, err
	}
	for _, c := range e.Cameras {
		s, known := d.infer.State(c.ID)
		if !known || s.State == pipeline.RunningLoading {
			return e, false, nil
		}
		if s.State != pipeline.RunningFailed || s.Running.Model == "" {
			continue
		}
		runs, err := d.inForce(ctx, s)
		if err == nil {
			err = e.AddVersion(ctx, d.records, runs)
		}
		if err != nil {
			return e, false, err
		}
		e.Running = append(slices.DeleteFunc(e.Running, func(r store.RunningModel) bool { return r.CameraID == c.ID }), runs)
	}
	return e, true, nil
}

// inForce is what a camera runs, as a record of its own.
func (d *Daemon) inForce(ctx context.Context, s pipeline.RunningState) (store.RunningModel, error) {
	r := store.RunningModel{Revision: 1}
	of := ""
	if s.Running.From == "camera" {
		of = s.CameraID
	}
	if s.Running.From != "default" {
		all, err := d.records.RunningModelHistory(ctx, s.ClientID, of)
		if err != nil {
			return r, err
		}
		if i := slices.IndexFunc(all, func(r store.RunningModel) bool { return r.Revision == s.Running.Revision }); i >= 0 {
			r = all[i]
		}
	}
	r.ClientID, r.CameraID, r.Deleted = s.ClientID, s.CameraID, false
	r.Model, r.Version, r.Alias = s.Running.Model, s.Running.Version, ""
	return r, nil
}

// storeReady answers whether records can be kept.
func (d *Daemon) storeReady(ctx context.Context) error {
	if d.emergency != "" {
		return health.Degraded(d.emergency)
	}
	return d.records.Ping(ctx)
}

// refuseChanges lets requests only read while the records would not last.
func (d *Daemon) refuseChanges(next http.Handler) http.Handler {
	if d.emergency == "" {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			api.WriteProblem(w, http.StatusServiceUnavailable, "the database cannot be read, so nothing can be changed until that is mended")
			return
		}
		next.ServeHTTP(w, r)
	})
}
