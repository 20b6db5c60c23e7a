package health

import (
	"github.com/prometheus/client_golang/prometheus"

	"detectd/pipeline"
)

// cameras knows the condition of all cameras.
type cameras interface {
	Statuses() []pipeline.Status
}

// metric is one figure of a camera.
type metric struct {
	desc  *prometheus.Desc
	kind  prometheus.ValueType
	value func(pipeline.Status) float64
}

// cameraCollector reads the conditions when it is asked, so it costs nothing
// between two scrapes and forgets removed cameras by itself.
type cameraCollector struct {
	cameras cameras
	metrics []metric
	drops   *prometheus.Desc
	state   *prometheus.Desc
}

var _ prometheus.Collector = (*cameraCollector)(nil)

// CameraCollector returns the metrics of all cameras: detectd_camera_….
// Counters begin at 0 when a camera's worker is started.
func CameraCollector(c cameras) prometheus.Collector {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("detectd_camera_"+name, help, append([]string{"camera"}, labels...), nil)
	}
	counter := func(name, help string, value func(pipeline.Status) float64) metric {
		return metric{desc(name, help), prometheus.CounterValue, value}
	}
	gauge := func(name, help string, value func(pipeline.Status) float64) metric {
		return metric{desc(name, help), prometheus.GaugeValue, value}
	}
	return &cameraCollector{
		cameras: c,
		metrics: []metric{
			counter("units_total", "Coded pictures received.", func(s pipeline.Status) float64 { return float64(s.Units) }),
			counter("frames_total", "Pictures decoded.", func(s pipeline.Status) float64 { return float64(s.Frames) }),
			counter("idle_frames_total", "Pictures left undecoded because nothing moved.", func(s pipeline.Status) float64 { return float64(s.IdleFrames) }),
			counter("idle_audits_total", "Checks at random of video left undecoded.", func(s pipeline.Status) float64 { return float64(s.IdleAudits) }),
			counter("idle_misses_total", "Checks that found movement nobody had noticed.", func(s pipeline.Status) float64 { return float64(s.IdleMisses) }),
			counter("selected_total", "Pictures that were handed to the detector.", func(s pipeline.Status) float64 { return float64(s.Selected) }),
			counter("idle_late_total", "Looks that found what had not shown in the video before.", func(s pipeline.Status) float64 { return float64(s.IdleLate) }),
			counter("inferences_total", "Pictures that went through the model.", func(s pipeline.Status) float64 { return float64(s.Inferences) }),
			counter("bytes_total", "Bytes of video received.", func(s pipeline.Status) float64 { return float64(s.Bytes) }),
			counter("reconnects_total", "Connections made again.", func(s pipeline.Status) float64 { return float64(s.Reconnects) }),
			counter("decoder_fallbacks_total", "Times that the CPU took over decoding from a card that was asked for.", func(s pipeline.Status) float64 { return float64(s.DecoderFallbacks) }),
			gauge("decoded_on_card", "1 while a graphics card decodes the video.", func(s pipeline.Status) float64 { return flag(s.Decoder == pipeline.OnCard) }),
			gauge("fps", "Coded pictures per second that arrive.", func(s pipeline.Status) float64 { return s.FPS }),
			gauge("detect_fps", "Detections per second that are made.", func(s pipeline.Status) float64 { return s.DetectFPS }),
			gauge("recording", "1 while video is being recorded.", func(s pipeline.Status) float64 { return flag(s.Recording) }),
			gauge("last_frame_timestamp_seconds", "Capture time of the newest picture, 0 without one.", lastFrame),
		},
		drops: desc("drops_total", "What was given up, by reason.", "reason"),
		state: desc("state", "1 for the state that the camera is in.", "state"),
	}
}

// Describe implements prometheus.Collector.
func (c *cameraCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, m := range c.metrics {
		ch <- m.desc
	}
	ch <- c.drops
	ch <- c.state
}

// Collect implements prometheus.Collector.
func (c *cameraCollector) Collect(ch chan<- prometheus.Metric) {
	for _, s := range c.cameras.Statuses() {
		for _, m := range c.metrics {
			ch <- prometheus.MustNewConstMetric(m.desc, m.kind, m.value(s), s.CameraID)
		}
		for reason, n := range s.Drops.All() {
			ch <- prometheus.MustNewConstMetric(c.drops, prometheus.CounterValue, float64(n), s.CameraID, reason)
		}
		ch <- prometheus.MustNewConstMetric(c.state, prometheus.GaugeValue, 1, s.CameraID, string(s.State))
	}
}

func flag(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

func lastFrame(s pipeline.Status) float64 {
	if s.LastFrame.IsZero() {
		return 0
	}
	return float64(s.LastFrame.UnixMilli()) / 1000
}
