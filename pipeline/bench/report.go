package bench

import (
	"slices"

	"detectd/pipeline/bench/proc"
	"detectd/pipeline/bench/stats"
)

// Metric is one figure: the median of its samples, held against its bar.
type Metric struct {
	ID      string    `json:"id"`
	Name    string    `json:"name"`
	Value   *float64  `json:"value"` // null: not measured, see Reason
	Unit    string    `json:"unit"`
	Bar     *float64  `json:"bar,omitempty"`   // absent where there is none
	Sense   string    `json:"sense,omitempty"` // how the value should be to the bar: "<=" or ">="
	Pass    *bool     `json:"pass,omitempty"`  // absent without a bar or a value
	Samples []float64 `json:"samples"`
	Min     float64   `json:"min"`
	Max     float64   `json:"max"`
	Note    string    `json:"note,omitempty"`
	Reason  string    `json:"reason,omitempty"` // why it was not measured
}

// Machine says where and with what it was measured.
type Machine struct {
	proc.Machine
	LibAV       string `json:"libav"`
	ONNXRuntime string `json:"onnxruntime"`
	OpenCV      string `json:"opencv"`
	Go          string `json:"go"`
	Detectd     string `json:"detectd"`
}

// Settings say how it was measured.
type Settings struct {
	Video          string  `json:"video"`
	Cameras        int     `json:"cameras"`
	Hz             float64 `json:"detections_per_second"`
	Rounds         int     `json:"rounds"`
	MeasureSeconds float64 `json:"measure_seconds"`
	Short          bool    `json:"short"` // too few and too short rounds for figures to quote
}

// Report is the outcome.
type Report struct {
	Machine  Machine   `json:"machine"`
	Settings Settings  `json:"settings"`
	Metrics  []Metric  `json:"metrics"`
	Capacity *Capacity `json:"capacity,omitempty"`
}

// kind is what is known of a metric before it is measured.
type kind struct {
	id, name, unit string
	sense          string
	bar            float64
}

const (
	most  = "<="
	least = ">="
)

// kinds is the table of metrics. Bars are those of the project's issue of the
// detection engine; a metric without one explains others.
func kinds() []kind {
	return []kind{
		{"F1", "bare libavcodec loop: CPU per frame", "ms", "", 0},
		{"F2", "bare ONNX Runtime loop: CPU per inference", "ms", "", 0},
		{"C1", "pipeline tax: CPU over frames·F1 + inferences·F2", "", most, 1.15},
		{"C1.cores", "CPU of the daemon", "cores", "", 0},
		{"C1.drops", "frames and detections given up", "", "", 0},
		{"C1.p50", "arrival of a frame to its result, median", "ms", "", 0},
		{"C1.p95", "the same, 95th percentile", "ms", "", 0},
		{"C1.ready", "start of the process to ready", "ms", "", 0},
		{"C2", "CPU per frame against the peer's", "", most, 0.65},
		{"C2.peer", "CPU of the peer and its ffmpeg processes", "cores", "", 0},
		{"C2.same", "objects that peer and detectd agree on", "share", "", 0},
		{"C3", "inference pool: throughput against F2", "", least, 0.95},
		{"C3.cpu", "inference pool: CPU per picture against F2", "", most, 1.05},
		{"C4", "60 fps video: CPU over frames·F1 + inferences·F2", "", most, 1.10},
		{"C4.hota10", "HOTA over all frames at 10 Hz, share of detecting in each", "share", least, 0.97},
		{"C4.hota5", "the same at 5 Hz", "share", least, 0.93},
		{"C4.f1at10", "F1 over all frames at 10 Hz, share of detecting in each", "share", least, 0.97},
		{"C4.f1at5", "the same at 5 Hz", "share", least, 0.93},
		{"C5", "work done at 16 streams against 1, saturated", "", least, 0.97},
		{"C5.fair", "slowest of the 16 streams against the mean", "", least, 0.95},
		{"C5.one", "processors of work, in the floors' time, with one stream", "", "", 0},
		{"C5.many", "the same with 16", "", "", 0},
		{"C6", "p99 arrival to result over F1 p50 + F2 p50", "", most, 2.5},
		{"C6.p50", "arrival to result, median", "ms", "", 0},
		{"C6.p99", "arrival to result, 99th percentile", "ms", "", 0},
		{"C6.load", "CPU of the daemon over the cores of the machine", "share", "", 0},
		{"C7", "detector overloaded twice: fresh results against capacity", "", least, 0.95},
		{"C7.rate", "fresh results at capacity", "1/s", "", 0},
		{"C7.decode", "decoder overloaded twice: fresh results against capacity", "", least, 0.95},
		{"C7.rss", "growth of memory while the detector is overloaded", "share", most, 0.02},
		{"C8", "static scene: CPU over frames·F1, settings as they come", "", most, 1.10},
		{"C8.rss", "memory per added camera over its decoder's surfaces", "", most, 1.5},
		{"C8.heap", "Go heap allocated per frame", "KiB", most, 4},
		{"C8.gc", "CPU of the garbage collector over that of the daemon", "share", most, 0.01},
		{"C9", "static scene with noise, idle: CPU over units·F1", "", most, 0.40},
		{"C9.first", "the same in the first minute, from 20 s on", "", "", 0},
		{"C9.clean", "static scene without noise, idle", "", most, 0.40},
		{"C9.cbr", "static scene with noise at a constant 4 Mb/s, idle", "", most, 0.40},
		{"C9.video", "the given video, idle", "", "", 0},
		{"C9.recall", "events that began while idle and were found", "share", least, 0.99},
		{"C9.start", "of these, those whose first picture was decoded", "share", least, 0.99},
		{"G2", "GPU: inference pool against the fastest bare CUDA loop", "", least, 0.90},
		{"G2.bare", "GPU: bare ONNX Runtime loop with CUDA", "1/s", "", 0},
		{"G2.pool", "GPU: inference pool, picture to boxes", "1/s", "", 0},
		{"G2.cpu", "GPU: CPU of the pool per picture", "ms", "", 0},
		{"G3", "GPU: CPU of the daemon per decoded frame", "ms", most, 0.25},
		{"G4", "GPU: cameras with p95 within 100 ms and no drop", "", "", 0},
		{"G4.p95", "arrival of a frame to its result, 95th percentile", "ms", "", 0},
		{"G4.cores", "CPU of the daemon", "cores", "", 0},
	}
}

// metrics makes the report's list of what was measured or should have been.
func (l *lab) metrics() []Metric {
	var list []Metric
	for _, k := range kinds() {
		samples, reason := l.samples[k.id], l.missing[k.id]
		if len(samples) == 0 && reason == "" {
			continue // not asked for, or of another video
		}
		list = append(list, k.metric(samples, reason, l.notes[k.id]))
	}
	return list
}

func (k kind) metric(samples []float64, reason, note string) Metric {
	m := Metric{ID: k.id, Name: k.name, Unit: k.unit, Sense: k.sense, Samples: samples, Note: note, Reason: reason}
	if k.sense != "" {
		m.Bar = &k.bar
	}
	if len(samples) == 0 {
		m.Samples = []float64{}
		return m
	}
	value := stats.Median(samples)
	m.Value, m.Min, m.Max = &value, slices.Min(samples), slices.Max(samples)
	if k.sense != "" {
		pass := value <= k.bar
		if k.sense == least {
			pass = value >= k.bar
		}
		m.Pass = &pass
	}
	return m
}
