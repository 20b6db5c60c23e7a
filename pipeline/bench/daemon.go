package bench

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"detectd/detect/ort"
	"detectd/pipeline/bench/proc"
)

// setup is a daemon in front of simulated cameras, each in a process of its own.
type setup struct {
	video   video
	cameras int
	fps     float64 // of the cameras, instead of the video's own; 0 keeps that
	hz      float64 // detections per second and camera
	// provider is detect.provider; "" is the CPU, which the floors are measured on.
	provider string
	idle     string // detect.idle; "" is off, so that all cameras are decoded and detected as asked
	later    int    // cameras of these that the daemon does not know yet at its start
	cores    int    // that the daemon may use; 0: all
	seed     int    // of the moments at which the cameras start
	warm     time.Duration
	measure  time.Duration
	during   func(r *running) error // called while it is measured, instead of waiting; may be nil
}

// work is what one camera had done for it.
type work struct {
	units, frames, inferences, bytes, drops uint64
}

func (w work) minus(b work) work {
	return work{w.units - b.units, w.frames - b.frames, w.inferences - b.inferences, w.bytes - b.bytes, w.drops - b.drops}
}

func (w work) plus(b work) work {
	return work{w.units + b.units, w.frames + b.frames, w.inferences + b.inferences, w.bytes + b.bytes, w.drops + b.drops}
}

// load is what a daemon did during a measurement.
type load struct {
	cpu, wall time.Duration
	work              // of all cameras
	each      []work  // by camera
	rss       int64   // bytes at the end
	heap      float64 // bytes allocated by Go
	gc        float64 // seconds of CPU time of its garbage collector
	ready     time.Duration
	latencies []time.Duration // from the arrival of a frame to its result, all of them
	activity  map[string]int  // cameras by their state at the end
}

// fresh counts the results that were young enough to act on.
func (l load) fresh() (n int) {
	for _, d := range l.latencies {
		if d <= freshAge {
			n++
		}
	}
	return n
}

// freshAge is how old a result may be.
const freshAge = 250 * time.Millisecond

// running is a daemon that is being measured.
type running struct {
	*proc.Child
	base string
	more []string // addresses of the cameras that it does not know yet
}

// run starts cameras and daemon, warms up and measures.
func (l *lab) run(ctx context.Context, s setup) (out load, err error) {
	err = l.with(ctx, s, func(ctx context.Context, r *running, ready time.Duration) error {
		out, err = r.measure(ctx, s)
		out.ready = ready
		return err
	})
	return out, err
}

// with starts cameras and daemon for as long as use runs, which is told how long
// the daemon took to be ready.
func (l *lab) with(ctx context.Context, s setup, use func(ctx context.Context, r *running, ready time.Duration) error) (err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	urls, stop, err := cameras(ctx, s)
	defer stop()
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp(l.dir, "data-*")
	if err != nil {
		return fmt.Errorf("make data folder: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	settings := filepath.Join(dir, "config.yaml")
	if err := os.WriteFile(settings, []byte(s.settings(l.cfg.Library)), 0o600); err != nil {
		return fmt.Errorf("write settings: %w", err)
	}
	known := len(urls) - s.later
	began := time.Now()
	args := []string{"run", "--no-demo", "--config", settings, "--data", filepath.Join(dir, "data"), "--listen", "127.0.0.1:0"}
	d, err := proc.Start(ctx, s.cores, append(args, urls[:known]...)...)
	if err != nil {
		return err
	}
	defer d.Stop()
	ready, err := d.Line()
	if err != nil {
		return err
	}
	return use(ctx, &running{d, strings.TrimPrefix(ready, "ready "), urls[known:]}, time.Since(began))
}

// settings is the settings file of a setup.
func (s setup) settings(library string) string {
	text := "log:\n  level: warn\nruntime:\n  library: " + strconv.Quote(library) + "\n"
	text += "detect:\n  provider: " + cmp.Or(s.provider, string(ort.CPU)) + "\n  fps: " + strconv.FormatFloat(s.hz, 'f', 3, 64) + "\n"
	return text + "  idle: \"" + cmp.Or(s.idle, "off") + "\"\n"
}

// cameras starts a simulator for each camera, at moments that differ like those
// of real cameras. stop ends all that were started.
func cameras(ctx context.Context, s setup) (urls []string, stop func(), err error) {
	var all []*proc.Child
	stop = func() {
		for _, c := range all {
			c.Stop()
		}
	}
	args := []string{"simulate", "--listen", "127.0.0.1:0"}
	if s.fps > 0 {
		args = append(args, "--fps", strconv.FormatFloat(s.fps, 'f', 3, 64))
	}
	rng := rand.New(rand.NewPCG(uint64(s.seed), 1)) //nolint:gosec // moments, not secrets
	for range s.cameras {
		if err := pause(ctx, time.Duration(rng.Int64N(int64(min(spread, longest/time.Duration(s.cameras)))))); err != nil {
			return nil, stop, err
		}
		c, err := proc.Start(ctx, -s.cores, append(args, s.video.path)...) // a camera takes nothing of the daemon's
		if err != nil {
			return nil, stop, err
		}
		all = append(all, c)
	}
	for _, c := range all {
		address, err := c.Line()
		if err != nil {
			return nil, stop, err
		}
		urls = append(urls, address)
	}
	return urls, stop, nil
}

// spread is the time within which a camera starts after the one before: the
// period of detections, so that neither frames nor detections coincide.
const spread = 200 * time.Millisecond

// longest is about how long it may take to start all cameras, however many.
const longest = 8 * time.Second

// patience is how long cameras may take to give their first picture.
const patience = 30 * time.Second

// await waits until all cameras run.
func (r *running) await(ctx context.Context) error {
	for began := time.Now(); ; {
		_, err := r.sample(ctx)
		if err == nil || !errors.Is(err, errNotRunning) || time.Since(began) > patience {
			return err
		}
		if err := pause(ctx, 100*time.Millisecond); err != nil {
			return err
		}
	}
}

func (r *running) measure(ctx context.Context, s setup) (out load, err error) {
	if err := r.await(ctx); err != nil {
		return out, err
	}
	if err := pause(ctx, s.warm); err != nil {
		return out, err
	}
	before, err := r.sample(ctx)
	if err != nil {
		return out, err
	}
	from := time.Now()
	if s.during != nil {
		err = s.during(r)
	} else {
		err = pause(ctx, s.measure)
	}
	if err != nil {
		return out, err
	}
	to := time.Now()
	if out, err = r.sample(ctx); err != nil {
		return out, err
	}
	out.cpu, out.wall, out.heap = out.cpu-before.cpu, out.wall-before.wall, out.heap-before.heap
	out.gc -= before.gc
	if len(out.each) != len(before.each) {
		return out, errors.New("the number of cameras changed")
	}
	out.work = work{}
	for i := range out.each {
		out.each[i] = out.each[i].minus(before.each[i])
		out.work = out.plus(out.each[i])
	}
	out.latencies, err = r.latencies(ctx, from, to)
	return out, err
}

var errNotRunning = errors.New("a simulated camera does not run")

// sample reads counters; wall is the moment.
func (r *running) sample(ctx context.Context) (l load, err error) {
	var answer struct {
		Items []struct {
			Status struct {
				State      string            `json:"state"`
				Units      uint64            `json:"units"`
				Frames     uint64            `json:"frames"`
				Inferences uint64            `json:"inferences"`
				Bytes      uint64            `json:"bytes"`
				Drops      map[string]uint64 `json:"drops"`
				Activity   string            `json:"activity"`
			} `json:"status"`
		} `json:"items"`
	}
	if l.heap, l.gc, err = r.garbage(ctx); err != nil {
		return l, err
	}
	if err := r.get(ctx, "api/v1/cameras?limit=1000", &answer); err != nil {
		return l, err
	}
	usage, err := r.Usage()
	if err != nil {
		return l, err
	}
	l.wall, l.cpu, l.rss, l.activity = time.Duration(time.Now().UnixNano()), usage.CPU, usage.RSS, map[string]int{}
	for _, c := range answer.Items {
		if c.Status.State != "running" {
			return l, fmt.Errorf("%w: it is %s", errNotRunning, c.Status.State)
		}
		w := work{units: c.Status.Units, frames: c.Status.Frames, inferences: c.Status.Inferences, bytes: c.Status.Bytes}
		for _, n := range c.Status.Drops {
			w.drops += n
		}
		l.each = append(l.each, w)
		l.activity[c.Status.Activity]++
	}
	return l, nil
}

// garbage is how many bytes Go has allocated since the start, and how many seconds
// of CPU time its collector has taken.
func (r *running) garbage(ctx context.Context) (heap, gc float64, err error) {
	response, err := r.open(ctx, "metrics")
	if err != nil {
		return 0, 0, err
	}
	defer response.Body.Close() //nolint:errcheck // read only
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return 0, 0, fmt.Errorf("read metrics of the daemon: %w", err)
	}
	if heap, err = counter(bytes.NewReader(text), "go_memstats_alloc_bytes_total"); err != nil {
		return 0, 0, err
	}
	gc, err = counter(bytes.NewReader(text), "go_cpu_classes_gc_total_cpu_seconds_total")
	return heap, gc, err
}

// add tells the daemon of one more camera and waits until it runs.
func (r *running) add(ctx context.Context) error {
	camera, err := json.Marshal(map[string]any{"name": fmt.Sprintf("added %d", len(r.more)), "url": r.more[0]})
	if err != nil {
		return fmt.Errorf("describe camera: %w", err)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, r.base+"api/v1/cameras", bytes.NewReader(camera))
	if err != nil {
		return fmt.Errorf("add camera: %w", err)
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return fmt.Errorf("add camera: %w", err)
	}
	if err := response.Body.Close(); err != nil || response.StatusCode != http.StatusCreated {
		return fmt.Errorf("add camera: the daemon answers %s", response.Status)
	}
	r.more = r.more[1:]
	return r.await(ctx)
}

// counter finds a metric without labels in Prometheus' text format.
func counter(r io.Reader, name string) (float64, error) {
	for lines := bufio.NewScanner(r); lines.Scan(); {
		if text, ok := strings.CutPrefix(lines.Text(), name+" "); ok {
			return strconv.ParseFloat(text, 64)
		}
	}
	return 0, fmt.Errorf("read metrics of the daemon: %s is missing", name)
}

// settle is how long results may take to be stored.
const settle = 1500 * time.Millisecond

// latencies reads how long the results of a span of time took.
func (r *running) latencies(ctx context.Context, from, to time.Time) (all []time.Duration, err error) {
	if err := pause(ctx, settle); err != nil {
		return nil, err
	}
	query := url.Values{"limit": {"1000"}, "from": {from.UTC().Format(time.RFC3339Nano)}, "to": {to.UTC().Format(time.RFC3339Nano)}}
	for {
		var answer struct {
			Items []struct {
				Latency float64 `json:"latency_ms"`
				Error   string  `json:"error"`
			} `json:"items"`
			Next string `json:"next"`
		}
		if err := r.get(ctx, "api/v1/inferences?"+query.Encode(), &answer); err != nil {
			return nil, err
		}
		for _, item := range answer.Items {
			if item.Error == "" {
				all = append(all, time.Duration(item.Latency*float64(time.Millisecond)))
			}
		}
		if answer.Next == "" {
			return all, nil
		}
		query.Set("cursor", answer.Next)
	}
}

func (r *running) get(ctx context.Context, path string, into any) error {
	response, err := r.open(ctx, path)
	if err != nil {
		return err
	}
	defer response.Body.Close() //nolint:errcheck // read only
	if err := json.NewDecoder(response.Body).Decode(into); err != nil {
		return fmt.Errorf("read answer of the daemon: %w", err)
	}
	return nil
}

func (r *running) open(ctx context.Context, path string) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, r.base+path, nil)
	if err != nil {
		return nil, fmt.Errorf("ask daemon: %w", err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, fmt.Errorf("ask daemon: %w", err)
	}
	if response.StatusCode != http.StatusOK {
		_ = response.Body.Close()
		return nil, fmt.Errorf("daemon answers %s to %s", response.Status, path)
	}
	return response, nil
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
