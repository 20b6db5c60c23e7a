package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"runtime/metrics"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"gocv.io/x/gocv"

	"detectd/detect"
	"detectd/detect/provider"
	"detectd/pipeline"
	"detectd/pipeline/bus"
	"detectd/pipeline/decode"
	"detectd/pipeline/registry"
	"detectd/pipeline/stage/render"
	"detectd/pipeline/stage/upload"
	"detectd/store"
	"detectd/web"
	"detectd/web/api"
	"detectd/web/health"
	"detectd/web/mlflow"
	"detectd/web/ui"
)

// openWeb builds the API on what was opened before, and binds the address.
func (d *Daemon) openWeb(context.Context) error {
	cameras := cameraPort{d}
	d.feed = newFeed(d.bus, cameras, d.records, d.log)
	handler, err := api.New(api.Deps{
		Log: d.log, Records: d.records, Series: d.series, Blobs: d.blobs,
		Cameras: cameras, Detector: uploadPort{d}, Models: modelPort{d}, Aliases: d.keeper, Promotions: promotionPort{d.promotions}, Catalogue: cataloguePort{d}, Renders: renderPort{d},
		Frames: framePort{d}, Live: livePort{d}, Media: mediaPort{d}, Announcer: announcer{d}, Feed: d.feed, System: systemPort{d},
	})
	if err != nil {
		return err
	}
	d.metrics.MustRegister(health.CameraCollector(cameras), health.ProviderCollector(d.registry), goMetrics())
	if err := health.RegisterSpace(d.metrics, d.spaceFigures); err != nil {
		return err
	}
	err = health.RegisterLost(d.metrics, map[string]func() uint64{
		"publish": d.bus.Dropped, "subscriber": d.bus.Missed, "page": d.feed.behind.Load,
		"report": func() uint64 { return d.report.Stats().Lost },
	})
	if err != nil {
		return err
	}
	if d.latency, err = health.NewLatency(d.metrics); err != nil {
		return err
	}
	checks := []health.Check{
		{Name: "store", Run: d.storeReady},
		{Name: "bus", Run: d.bus.Ping},
		{Name: "detector", Run: d.detectorReady},
		{Name: "decoder", Run: d.cardReady},
		{Name: "space", Run: d.diskReady},
	}
	clients := mlflow.New(mlflow.Deps{Log: d.log, Records: d.records, Blobs: d.blobs, Models: modelPort{d}, Aliases: d.keeper, Changed: announcer{d}.ModelsChanged, Auth: d.cfg.MLflow.auth()})
	for path, client := range clients {
		clients[path] = d.refuseChanges(client)
	}
	d.server, err = web.New(web.Config{Listen: d.cfg.Listen, Listener: d.listener, AllowedHosts: d.cfg.AllowedHosts, Handlers: clients},
		d.refuseChanges(handler), health.New(d.metrics, checks, d.log), ui.FS(), d.log)
	return err
}

// cameraPort lets the API see the camera workers.
type cameraPort struct{ d *Daemon }

// Status implements api.Cameras.
func (p cameraPort) Status(id string) (pipeline.Status, bool) { return p.d.cameras.Status(id) }

// Statuses implements api.Cameras.
func (p cameraPort) Statuses() []pipeline.Status { return p.d.cameras.Statuses() }

// RunningState implements api.Cameras.
func (p cameraPort) RunningState(id string) (pipeline.RunningState, bool) { return p.d.infer.State(id) }

// ValidateURL implements api.Cameras.
func (p cameraPort) ValidateURL(raw string) (api.CameraURL, error) {
	return p.d.sources.ValidateURL(raw)
}

// uploadPort lets the API detect in uploads.
type uploadPort struct{ d *Daemon }

// DetectImage implements api.Detector.
func (p uploadPort) DetectImage(ctx context.Context, up api.Upload) (api.ImageResult, error) {
	if err := p.d.room(); err != nil {
		return api.ImageResult{}, err
	}
	r, err := p.d.upload.Image(ctx, toUpload(up))
	return api.ImageResult(r), apiError(err)
}

// SubmitVideo implements api.Detector.
func (p uploadPort) SubmitVideo(ctx context.Context, up api.Upload) (store.Result, error) {
	if err := p.d.room(); err != nil {
		return store.Result{}, err
	}
	up.Body = &roomyReader{Reader: up.Body, d: p.d}
	r, err := p.d.upload.Video(ctx, toUpload(up))
	return r, apiError(err)
}

func toUpload(up api.Upload) upload.Upload {
	return upload.Upload{
		Body: up.Body, Name: up.Name, MIME: up.MIME, MinScore: up.MinScore,
		Ref: detect.Ref{Model: up.Model, Version: up.Version},
	}
}

// apiError gives errors of the stages the kind that the API answers with.
func apiError(err error) error {
	for from, to := range map[error]error{
		upload.ErrTooLarge: api.ErrTooLarge, upload.ErrUnsupported: api.ErrUnsupported,
		upload.ErrUnprocessable: api.ErrUnprocessable, render.ErrInvalid: api.ErrInvalid, registry.ErrTooLarge: api.ErrTooLarge,
		bus.ErrPaused:        api.ErrNoSpace,
		registry.ErrChecksum: api.ErrUnprocessable,
	} {
		if errors.Is(err, from) {
			return ofKind(to, err)
		}
	}
	return err
}

// ofKind is err, in its own words, that also is kind.
func ofKind(kind, err error) error { return kinded{err, kind} }

type kinded struct {
	error
	kind error
}

// Unwrap returns the kind and the error itself.
func (k kinded) Unwrap() []error { return []error{k.kind, k.error} }

// modelPort lets the API add and remove models.
type modelPort struct{ d *Daemon }

// Add implements api.Models.
func (p modelPort) Add(ctx context.Context, m api.NewModel, r io.Reader) (store.ModelVersion, error) {
	if err := p.d.room(); err != nil {
		return store.ModelVersion{}, err
	}
	v, err := p.d.registry.Add(ctx, registry.New(m), &roomyReader{Reader: r, d: p.d})
	return v, apiError(err)
}

// Remove implements api.Models. The default model stays: it runs where nothing is set.
func (p modelPort) Remove(ctx context.Context, name string, version int) error {
	if name == p.d.cfg.Detect.Model {
		newest, err := p.d.records.ModelVersion(ctx, name, 0)
		if err == nil && newest.Version == version {
			return fmt.Errorf("model %s@%d is the default model: %w", name, version, store.ErrInUse)
		}
	}
	return p.d.registry.Remove(ctx, name, version)
}

// RemoveModel implements api.Models and mlflow.Models.
func (p modelPort) RemoveModel(ctx context.Context, name string) error {
	if name == p.d.cfg.Detect.Model {
		return fmt.Errorf("model %s is the default model: %w", name, store.ErrInUse)
	}
	return p.d.registry.RemoveModel(ctx, name)
}

// CheckProvider implements api.Models.
func (p modelPort) CheckProvider(list string) error {
	_, err := provider.Parse(list)
	return err
}

// Default implements api.Models.
func (p modelPort) Default() (name string, version int) { return p.d.cfg.Detect.Model, 0 }

// renderPort lets the API ask for stills and clips.
type renderPort struct{ d *Daemon }

// Request implements api.Renders.
func (p renderPort) Request(ctx context.Context, r store.Result) error {
	if err := p.d.room(); err != nil {
		return err
	}
	return apiError(p.d.render.Request(ctx, r))
}

// Remove implements api.Renders.
func (p renderPort) Remove(ctx context.Context, id string) error { return p.d.render.Remove(ctx, id) }

// framePort gives the API single pictures.
type framePort struct{ d *Daemon }

// JPEG implements api.Frames.
func (p framePort) JPEG(ctx context.Context, cameraID string, at time.Time, boxes bool) (api.Frame, error) {
	jpeg, captured, clock, err := p.d.render.JPEG(ctx, cameraID, at, boxes)
	return api.Frame{JPEG: jpeg, Time: captured, Clock: clock}, err
}

// announcer tells the stages what the API changed.
type announcer struct{ d *Daemon }

// CameraChanged implements api.Announcer.
func (a announcer) CameraChanged(id string, action api.Action) {
	a.d.bus.Publish(bus.Subject(bus.CameraChanged, id), bus.Change{CameraID: id, Action: string(action)})
	if action == api.Deleted {
		select {
		case a.d.forget <- id: // slow, and the answer need not wait
		default: // its series expire by themselves
		}
	}
}

// ClientChanged implements api.Announcer.
func (a announcer) ClientChanged(string, api.Action) {}

// RunningModelChanged implements api.Announcer.
func (a announcer) RunningModelChanged(clientID, cameraID string, revision int64) {
	a.d.bus.Publish(bus.Subject(bus.RunningModel, clientID), bus.Change{
		ClientID: clientID, CameraID: cameraID, Action: string(api.Updated), Revision: revision,
	})
}

// ModelsChanged implements api.Announcer.
func (a announcer) ModelsChanged() {
	a.d.bus.Publish(bus.ModelsChanged, bus.Change{Action: string(api.Updated)})
}

// systemPort describes the daemon.
type systemPort struct{ d *Daemon }

// Info implements api.System.
func (p systemPort) Info(ctx context.Context) api.SystemInfo {
	d := p.d
	free, total := d.folder.Free()
	media, err := d.records.SegmentBytes(ctx)
	if err != nil {
		d.log.Error("sum recordings", "error", err)
	}
	model := d.cfg.Detect.Model
	if v, err := d.records.ModelVersion(ctx, model, 0); err == nil {
		model = detect.Ref{Model: v.Model, Version: v.Version}.String()
	}
	return api.SystemInfo{
		Version: d.opts.Version, StartedAt: d.started, Listen: d.server.Addr(),
		DataPath: d.folder.Path(), FreeBytes: int64(free), TotalBytes: int64(total), MediaBytes: media, //nolint:gosec // disks are smaller than 8 EiB
		Space: d.spaceInfo(), Degraded: d.emergency,
		MemoryBytes: residentBytes(), ONNXRuntime: d.runtime.Version(), Provider: d.providerInUse(), Running: d.registry.Running(),
		LibAV: decode.Version(), OpenCV: gocv.OpenCVVersion(), DefaultModel: model,
	}
}

// residentBytes is the process's memory as the system counts it; without /proc,
// as the Go runtime does.
func residentBytes() int64 {
	if data, err := os.ReadFile("/proc/self/statm"); err == nil {
		if fields := strings.Fields(string(data)); len(fields) > 1 {
			if pages, err := strconv.ParseInt(fields[1], 10, 64); err == nil {
				return pages * int64(os.Getpagesize())
			}
		}
	}
	sample := []metrics.Sample{{Name: "/memory/classes/total:bytes"}}
	metrics.Read(sample)
	return int64(sample[0].Value.Uint64()) //nolint:gosec // memory is smaller than 8 EiB
}

// goMetrics are the figures of the Go runtime, with the CPU time of the garbage
// collector, which is up to date after each collection.
func goMetrics() prometheus.Collector {
	return collectors.NewGoCollector(collectors.WithGoCollectorRuntimeMetrics(
		collectors.GoRuntimeMetricsRule{Matcher: regexp.MustCompile(`^/cpu/classes/gc/total:cpu-seconds$`)},
	))
}
