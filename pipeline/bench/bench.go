// Package bench measures this machine and this build: what decoding and
// inference cost at the least (the floors), and what detectd adds to them.
package bench

import (
	"context"
	"runtime"
	"slices"
	"time"
)

// Config says what to measure.
type Config struct {
	Video   string // shown by the simulated cameras; decoded for the floor
	Model   string // ONNX file for the floor: the default model, as the daemon runs it
	Library string // ONNX Runtime
	Cameras int
	Rounds  int           // floors and daemon take turns this many times
	Measure time.Duration // of the daemon in each round
}

// Metric is one ratio with its bar.
type Metric struct {
	ID      string    `json:"id"`
	Name    string    `json:"name"`
	Value   float64   `json:"value"` // median of the samples
	Bar     float64   `json:"bar,omitempty"`
	Pass    *bool     `json:"pass,omitempty"` // absent where there is no bar
	Unit    string    `json:"unit"`
	Samples []float64 `json:"samples"`
}

// Machine says where it was measured.
type Machine struct {
	CPUs int    `json:"cpus"`
	OS   string `json:"os"`
	Arch string `json:"arch"`
}

// Report is the outcome.
type Report struct {
	Machine Machine  `json:"machine"`
	Metrics []Metric `json:"metrics"`
}

// taxBar is the bar of C1: a pipeline may cost 15 % more than its parts.
const taxBar = 1.15

// warm is how long a daemon runs before it is measured.
const warm = 5 * time.Second

// Run measures. step is told what is being done.
func Run(ctx context.Context, cfg Config, step func(string)) (Report, error) {
	samples := map[string][]float64{}
	add := func(id string, value float64) { samples[id] = append(samples[id], value) }
	for range cfg.Rounds {
		step("decoding floor")
		f1, err := DecodeFloor(cfg.Video)
		if err != nil {
			return Report{}, err
		}
		step("inference floor")
		f2, err := InferFloor(ctx, cfg.Library, cfg.Model, 100)
		if err != nil {
			return Report{}, err
		}
		step("daemon")
		l, err := RunDaemon(ctx, cfg.Video, cfg.Cameras, warm, cfg.Measure)
		if err != nil {
			return Report{}, err
		}
		ideal := time.Duration(l.Frames)*f1 + time.Duration(l.Inferences)*f2
		add("C1", float64(l.CPU)/float64(ideal))
		add("F1", ms(f1))
		add("F2", ms(f2))
		add("frames", float64(l.Frames)/l.Wall.Seconds())
		add("inferences", float64(l.Inferences)/l.Wall.Seconds())
		add("drops", float64(l.Drops))
		add("cores", l.CPU.Seconds()/l.Wall.Seconds())
		add("p50", ms(l.P50))
		add("p95", ms(l.P95))
		add("rss", float64(l.RSS)/(1<<20))
		add("ready", ms(l.Ready))
	}
	return Report{
		Machine: Machine{CPUs: runtime.NumCPU(), OS: runtime.GOOS, Arch: runtime.GOARCH},
		Metrics: []Metric{
			withBar(metric("C1", "pipeline tax: CPU over frames·F1 + inferences·F2", "ratio", samples), taxBar),
			metric("F1", "bare libavcodec loop, CPU per frame", "ms", samples),
			metric("F2", "bare ONNX Runtime loop, CPU per inference", "ms", samples),
			metric("frames", "frames decoded", "1/s", samples),
			metric("inferences", "inferences", "1/s", samples),
			metric("drops", "frames dropped", "", samples),
			metric("cores", "CPU used by the daemon", "cores", samples),
			metric("p50", "arrival of a frame to its result, median", "ms", samples),
			metric("p95", "arrival of a frame to its result, 95th percentile", "ms", samples),
			metric("rss", "resident memory", "MiB", samples),
			metric("ready", "start of the process to ready", "ms", samples),
		},
	}, nil
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

func metric(id, name, unit string, samples map[string][]float64) Metric {
	sorted := slices.Sorted(slices.Values(samples[id]))
	return Metric{ID: id, Name: name, Unit: unit, Value: sorted[len(sorted)/2], Samples: samples[id]}
}

func withBar(m Metric, bar float64) Metric {
	pass := m.Value <= bar
	m.Bar, m.Pass = bar, &pass
	return m
}
