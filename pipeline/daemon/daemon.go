// Package daemon is the composition root: it builds the stores, the bus, the
// stages and the web server from the settings, runs them, and stops them in the
// order in which nothing is lost.
package daemon

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"os/exec"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"detectd/detect/ort"
	"detectd/pipeline/bus"
	"detectd/pipeline/camera"
	"detectd/pipeline/decode"
	"detectd/pipeline/frame"
	"detectd/pipeline/promote"
	"detectd/pipeline/pull"
	"detectd/pipeline/registry"
	"detectd/pipeline/simulate"
	"detectd/pipeline/space"
	"detectd/pipeline/stage/infer"
	"detectd/pipeline/stage/journal"
	"detectd/pipeline/stage/ledger"
	"detectd/pipeline/stage/live"
	"detectd/pipeline/stage/persist"
	"detectd/pipeline/stage/publish"
	"detectd/pipeline/stage/record"
	"detectd/pipeline/stage/render"
	"detectd/pipeline/stage/report"
	"detectd/pipeline/stage/retain"
	"detectd/pipeline/stage/shadow"
	"detectd/pipeline/stage/upload"
	"detectd/pipeline/stage/zone"
	"detectd/store/badger"
	"detectd/store/folder"
	"detectd/store/garbage"
	"detectd/store/sqlite"
	"detectd/web"
	"detectd/web/health"
)

// Options are what the command line adds to the settings.
type Options struct {
	Sources []string // cameras to add: URLs and files
	// Trial starts the process in which new models are tried; nil tries them here.
	Trial   func(context.Context) *exec.Cmd
	Version string
	Log     *slog.Logger
}

// Daemon is everything that runs. Make one with New, Run it, then Close it.
type Daemon struct {
	cfg     Config
	opts    Options
	log     *slog.Logger
	started time.Time
	closers []func() error // in the order of opening

	folder   *folder.Folder
	space    *space.Guard
	records  *sqlite.Store
	series   *badger.Store
	blobs    *garbage.Blobs
	bus      *bus.Bus
	runtime  *ort.Runtime
	registry *registry.Registry
	pull     *pull.Puller
	keeper   *promote.Keeper

	promotions *promote.Manager
	pool       frame.Pool

	sources  *sources
	cameras  *camera.Manager
	infer    *infer.Stage
	shadow   *shadow.Stage
	persist  *persist.Writer
	publish  *publish.Publisher
	report   *report.Stage
	journal  *journal.Stage
	zones    *zone.Stage
	render   *render.Stage
	upload   *upload.Stage
	retain   *retain.Retention
	ledger   *ledger.Stage
	demo     *simulate.Server
	server   *web.Server
	listener net.Listener
	feed     *feed
	metrics  *prometheus.Registry
	latency  *health.Latency

	machine   string     // the name of this machine in measurements
	measuring sync.Mutex // held while the speed of a model is measured

	card   *decode.Card // nil: the CPU decodes
	noCard string       // why, where a card was asked for

	forget chan string // ids of deleted cameras

	emergency string // why records do not last; "" when they do

	mu        sync.RWMutex // guards what follows
	lives     map[string]*live.Live
	recorders map[string]*record.Recorder
}

// New acquires everything, starts nothing, and gives all back on an error.
func New(ctx context.Context, cfg Config, opts Options) (d *Daemon, err error) {
	d = &Daemon{
		cfg: cfg, opts: opts, log: opts.Log, started: time.Now(), machine: thisMachine(),
		lives: map[string]*live.Live{}, recorders: map[string]*record.Recorder{}, forget: make(chan string, forgetQueue), metrics: prometheus.NewRegistry(),
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, d.Close())
		}
	}()
	decode.Quiet()
	for _, open := range []func(context.Context) error{
		d.listen, d.openStores, d.openDetection, d.openCard, d.openStages, d.openRecords, d.openPull, d.openWeb,
	} {
		if err := open(ctx); err != nil {
			return d, err
		}
	}
	return d, nil
}

// listen comes first: a bad or taken address must not leave anything behind.
func (d *Daemon) listen(context.Context) (err error) {
	if d.listener, err = web.Listen(d.cfg.Listen); err != nil {
		return err
	}
	d.onClose(func() error {
		if err := d.listener.Close(); !errors.Is(err, net.ErrClosed) {
			return err
		}
		return nil // the server has closed it
	})
	return nil
}

func (d *Daemon) openStores(ctx context.Context) (err error) {
	if d.cfg.RequireMount {
		if err := folder.RequireMount(d.cfg.Data); err != nil {
			return err
		}
	}
	if d.folder, err = folder.Open(d.cfg.Data); err != nil {
		return err
	}
	d.onClose(d.folder.Close)
	if err := d.openSpace(ctx); err != nil {
		return err
	}
	if err := d.openDatabase(ctx); err != nil {
		return err
	}
	if err := d.openSeries(); err != nil {
		return err
	}
	d.onClose(d.series.Close)
	if err := d.openBlobs(ctx); err != nil {
		return err
	}
	if d.bus, err = bus.Open(ctx, bus.Config{Folder: d.folder.Bus(), Paused: d.space.Level() >= space.Refuse}, d.log); err != nil {
		return err
	}
	d.onClose(d.bus.Close)
	return nil
}

func (d *Daemon) openDetection(context.Context) error {
	library, err := ort.FindLibrary(d.cfg.Runtime.Library)
	if err != nil {
		return err
	}
	if d.runtime, err = ort.Open(library); err != nil {
		return err
	}
	d.onClose(d.runtime.Close)
	d.registry = registry.Open(d.runtime, d.records, d.blobs)
	d.registry.Isolate(d.opts.Trial)
	choice, err := d.choice()
	if err != nil {
		return err
	}
	d.registry.Use(choice, d.degraded)
	d.registry.CheckWith(ModelCheck)
	d.keeper = promote.NewKeeper(d.records, d.machine)
	return nil
}

func (d *Daemon) onClose(f func() error) { d.closers = append(d.closers, f) }

// Close gives back what New acquired. Run must have ended. Idempotent.
func (d *Daemon) Close() error {
	var errs []error
	for _, closer := range slices.Backward(d.closers) {
		errs = append(errs, closer())
	}
	d.closers = nil
	d.pool.Close()
	return errors.Join(errs...)
}

// URL is the address of the page.
func (d *Daemon) URL() string { return d.server.URL() }

// Run works until ctx ends (nil) or a stage breaks. serving is called once, when
// the page and the API answer.
func (d *Daemon) Run(ctx context.Context, serving func()) error {
	root, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	sinks, engines, edges := newLayer(ctx, fail), newLayer(ctx, fail), newLayer(ctx, fail)
	err := d.start(root, sinks, engines, edges, serving)
	if err == nil {
		<-root.Done()
		if ctx.Err() == nil {
			err = context.Cause(root)
		}
	}
	d.log.Info("stopping")
	edges.stop()
	engines.stop()
	sinks.stop()
	return err
}

// start starts the layers from the bottom: those that listen before those that speak.
func (d *Daemon) start(ctx context.Context, sinks, engines, edges *layer, serving func()) error {
	sinks.run("space", d.space.Run)
	sinks.run("report", d.report.Run)
	sinks.run("journal", d.journal.Run)
	sinks.run("zones", d.zones.Run)
	sinks.run("persist", d.persist.Run)
	sinks.run("series", d.series.Run)
	sinks.run("series space", d.pauses("series", d.series))
	sinks.run("work space", d.pauses("work queues", d.bus))
	sinks.run("latency", d.measureLatency)
	sinks.run("memory", d.giveBack)
	sinks.run("ledger", d.ledger.Run)
	sinks.run("promotions", d.promotions.Run)
	if err := errors.Join(waitReady(ctx, d.report.Ready()), waitReady(ctx, d.journal.Ready()), waitReady(ctx, d.zones.Ready()), waitReady(ctx, d.promotions.Ready())); err != nil {
		return err
	}
	loaded := make(chan struct{})
	engines.run("detection", func(ctx context.Context) error { return d.infer.Run(ctx, loaded) })
	if err := waitReady(ctx, loaded); err != nil {
		return err
	}
	engines.run("shadow", d.shadow.Run)
	edges.run("feed", d.feed.Run)
	edges.run("web", d.server.Run)
	if err := d.folder.SetAddress(d.URL()); err != nil {
		return err
	}
	serving()
	if d.demo != nil {
		edges.run("demo", d.demo.Run)
	}
	edges.run("cameras", d.cameras.Run)
	edges.run("render", d.render.Run)
	if d.emergency != "" {
		return nil // what follows deletes, repairs and adds by the records
	}
	edges.run("pull", d.pull.Run)
	edges.run("last good copy", d.keepLastGood)
	edges.run("retention", d.retain.Run)
	edges.run("forget", d.runForget)
	edges.run("blobs", d.blobs.Run)
	edges.run("check", d.checkOnce)
	return nil
}

// workers is how many inferences run at the same time.
func (d *Daemon) workers() int {
	if d.cfg.Detect.Workers > 0 {
		return d.cfg.Detect.Workers
	}
	return runtime.GOMAXPROCS(0)
}

// measureLatency feeds the histogram at /metrics.
func (d *Daemon) measureLatency(ctx context.Context) error {
	return d.bus.Subscribe(ctx, nil, func(m bus.Message) {
		var i bus.Inference
		if err := m.Decode(&i); err != nil {
			d.log.Error("read announcement", "subject", m.Subject, "error", err)
			return
		}
		d.latency.Observe(i.CameraID, i.Latency)
	}, bus.Under(bus.Inferences))
}
