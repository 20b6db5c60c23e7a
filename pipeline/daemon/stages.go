package daemon

import (
	"cmp"
	"context"
	"errors"
	"math/rand/v2"
	"path/filepath"
	"runtime"
	"strconv"
	"sync/atomic"
	"time"

	"detectd/detect"
	"detectd/detect/batch"
	"detectd/pipeline"
	"detectd/pipeline/activity"
	"detectd/pipeline/bus"
	"detectd/pipeline/camera"
	"detectd/pipeline/cores"
	"detectd/pipeline/decode"
	"detectd/pipeline/frame"
	"detectd/pipeline/share"
	"detectd/pipeline/space"
	"detectd/pipeline/stage/annotate"
	"detectd/pipeline/stage/infer"
	"detectd/pipeline/stage/journal"
	"detectd/pipeline/stage/live"
	"detectd/pipeline/stage/persist"
	"detectd/pipeline/stage/publish"
	"detectd/pipeline/stage/record"
	"detectd/pipeline/stage/render"
	"detectd/pipeline/stage/report"
	"detectd/pipeline/stage/retain"
	"detectd/pipeline/stage/shadow"
	"detectd/pipeline/stage/track"
	"detectd/pipeline/stage/upload"
	"detectd/pipeline/stage/zone"
	"detectd/store"
)

// openStages builds the stages; a new one is a line here and one in start.
func (d *Daemon) openStages(context.Context) (err error) {
	d.sources = newSources(d.cfg.Sources, d.log)
	processors := cores.New(max(d.workers(), runtime.GOMAXPROCS(0)))
	d.infer = infer.New(infer.Config{
		Default: d.cfg.Detect.Model, DetectFPS: d.cfg.Detect.FPS,
		Batch: batch.Config{MaxBatch: d.cfg.Detect.MaxBatch, MaxWait: d.cfg.Detect.MaxWait, Workers: d.workers(), Turn: turn{processors.First(), d.registry.Running}},
	}, d.load, d.records, d.bus, d.log)
	d.openPromotions(processors.Spare)
	shares := share.New()
	d.cameras = camera.NewManager(d.records, d.bus, camera.Deps{
		Open: d.sources.Open, Taps: d.taps, Annotator: d.annotator, Detector: detector{d.infer, d.shadow},
		Decoder: func(f pipeline.Format, pool *frame.Pool) (camera.Decoder, error) {
			return decode.New(f, pool, decode.Options{Turn: processors.Second(), Card: d.card, NoCard: d.noCard})
		},
		Share: func(c store.Camera) camera.Share { return shares.Camera(c.Weight) },
		Gate:  d.gate, FastFPS: d.cfg.Detect.FastFPS, Retry: camera.DefaultRetry(), Log: d.log,
	})
	series := guardedSeries{d.series, d.space, d.cameras.DroppedByStore}
	d.persist = persist.New(persist.Config{}, series, d.records, d.cameras.DroppedByStore, d.log)
	d.publish = publish.New(d.bus)
	d.report = report.New(report.Config{}, d.bus, d.records, series, d.log)
	d.zones = zone.New(zone.Config{Only: func(id string) []string { return d.infer.Assignment(id).Zones }}, d.bus, d.records, d.log)
	d.journal = journal.New(journal.Config{}, d.bus, d.records, d.log)
	d.render = render.New(render.Config{
		Temp: d.folder.Temp(), Media: d.folder.Media(), MaxFrames: d.cfg.Upload.VideoFrames,
	}, render.Deps{
		Results: d.records, Segments: recordings{d.records, d.growing}, Series: d.series, Blobs: d.blobs, Bus: d.bus,
		Detector: d.borrow, Latest: d.cameras.Latest, Log: d.log,
		Tracker: func() render.Tracker {
			var n int
			return track.New(track.Config{}, func() string { n++; return strconv.Itoa(n) })
		},
	})
	d.upload = upload.New(upload.Config{
		Temp: d.folder.Temp(), PictureBytes: d.cfg.Upload.PictureBytes, PicturePixels: d.cfg.Upload.PicturePixels,
		VideoBytes: d.cfg.Upload.VideoBytes, VideoFrames: d.cfg.Upload.VideoFrames,
	}, upload.Deps{Results: d.records, Blobs: d.blobs, Bus: d.bus, Detector: d.borrow, Log: d.log})
	d.ledger = d.newLedger()
	d.retain, err = retain.New(retain.Config{
		Root: d.folder.Media(), MaxBytes: d.cfg.Record.MaxBytes, MaxAge: d.cfg.Record.MaxAge, EventAge: d.cfg.Record.EventAge,
		Missing: d.space.Missing, MissingFiles: d.space.MissingFiles, Wake: d.space.Evicting(), Policy: d.policy(),
	}, d.records, d.log, func(segments int, bytes int64) {
		d.log.Info("old recordings deleted", "segments", segments, "bytes", bytes)
	})
	return err
}

// gate decides for a camera what it is spared while nothing moves; nil: nothing.
func (d *Daemon) gate(c store.Camera) *activity.Gate {
	usual := d.cfg.Detect.Idle
	if d.card != nil && usual == store.IdleAuto {
		// A card decodes for next to nothing, and looks at single pictures cost it more
		// than that: libav sets its H.264 decoder up anew for each.
		usual = store.IdleDecode
	}
	switch cmp.Or(c.Idle, usual) {
	case store.IdleOff:
		return nil
	case store.IdleDecode:
		return activity.NewDecoding()
	default:
		return activity.New(rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64()))) //nolint:gosec // which moments are audited is no secret
	}
}

// borrow opens a model for one use; no name means the default model.
func (d *Daemon) borrow(ctx context.Context, ref detect.Ref) (detect.Detector, detect.Ref, error) {
	if ref.Model == "" {
		ref = detect.Ref{Model: d.cfg.Detect.Model}
	}
	v, err := d.registry.Find(ctx, ref)
	if err != nil {
		return nil, ref, err
	}
	det, err := d.registry.Load(ctx, v)
	return det, detect.Ref{Model: v.Model, Version: v.Version}, err
}

// taps are what receives a camera's video beside the decoder.
func (d *Daemon) taps(c store.Camera, h camera.Hooks) ([]camera.Tap, error) {
	l := live.New(c.ID, h.Unseen, d.log)
	d.mu.Lock()
	d.lives[c.ID] = l
	delete(d.recorders, c.ID)
	d.mu.Unlock()
	if c.Record == store.RecordOff {
		return []camera.Tap{l}, nil
	}
	recorder, err := record.New(record.Config{
		Root: d.folder.Media(), CameraID: c.ID, SegmentLength: d.cfg.Record.Segment,
		Space: func() error { return d.space.Check(space.Media) }, Full: d.space.Met,
	}, d.records, d.log, record.Hooks{
		Segment: func(s store.Segment) {
			d.bus.Publish(bus.Subject(bus.Segments, c.ID), bus.Segment{
				ID: s.ID, CameraID: s.CameraID, Start: s.Start, End: s.End, Bytes: s.Bytes, Frames: s.Frames,
			})
		},
		Status: h.Trouble, Dropped: h.Dropped,
		Salvaged: func(kept, removed int) {
			d.log.Warn("recordings that an earlier run left open", "camera", c.ID, "kept", kept, "removed", removed)
		},
	})
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	d.recorders[c.ID] = recorder
	d.mu.Unlock()
	return []camera.Tap{l, recorder}, nil
}

// annotator gives a camera its tracker, puts its masks in front, and sends what it
// finds to its zones, the store and the bus.
func (d *Daemon) annotator(c store.Camera) camera.Annotator {
	// Track ids are unique for ever: the time of this start makes them so.
	prefix := c.ID + "-" + strconv.FormatInt(time.Now().UnixMilli(), 36) + "-"
	var n atomic.Int64
	tracker := track.New(track.Config{}, func() string { return prefix + strconv.FormatInt(n.Add(1), 10) })
	zones := d.zones.Camera(c.ID)
	return zones.Mask(annotate.New(annotate.Config{}, tracker, findings{d, zones}))
}

// findings passes annotations and tracks on.
type findings struct {
	d     *Daemon
	zones *zone.Camera
}

// Annotations implements annotate.Out.
func (f findings) Annotations(as []store.Annotation) {
	f.zones.Annotations(as)
	f.d.persist.Annotations(as)
	f.d.publish.Annotations(as)
}

// Track implements annotate.Out.
func (f findings) Track(t store.Track) {
	f.zones.Track(t)
	f.d.persist.Track(t)
	f.d.publish.Track(t)
}

// detector lets cameras use the inference stage.
type detector struct {
	stage  *infer.Stage
	shadow *shadow.Stage
}

// Submit implements camera.Detector. What was answered is offered to the shadows.
func (a detector) Submit(cameraID string, f *frame.Frame, done func(camera.Result)) {
	a.stage.Submit(cameraID, f, func(r infer.Result) {
		err := r.Err
		if errors.Is(err, infer.ErrNoModel) {
			err = camera.ErrNoModel
		}
		done(camera.Result{Detections: r.Detections, Ref: r.Ref, Err: err})
		if err == nil {
			a.shadow.Offer(cameraID, f, r.Options, r.Detections)
		}
	})
}

// Assignment implements camera.Detector.
func (a detector) Assignment(cameraID string) camera.Assignment {
	now := a.stage.Assignment(cameraID)
	return camera.Assignment{Ref: now.Ref, Revision: now.Revision, FPS: now.FPS, FastFPS: now.FastFPS, Err: now.Err}
}

// mediaPath is the file of a segment.
func (d *Daemon) mediaPath(s store.Segment) string {
	return filepath.Join(d.folder.Media(), filepath.FromSlash(s.Path))
}
