package health

import (
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Latency is a histogram of the time from the arrival of a frame to its result.
// It is safe for concurrent use.
type Latency struct {
	histogram *prometheus.HistogramVec
}

// NewLatency registers the histogram.
func NewLatency(reg prometheus.Registerer) (*Latency, error) {
	l := &Latency{prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "detectd_inference_latency_seconds", Help: "From the arrival of a frame to its result.",
		Buckets: prometheus.ExponentialBuckets(0.005, 2, 12), // 5 ms to 10 s
	}, []string{"camera"})}
	if err := reg.Register(l.histogram); err != nil {
		return nil, fmt.Errorf("register latency histogram: %w", err)
	}
	return l, nil
}

// Observe counts one result.
func (l *Latency) Observe(cameraID string, latency time.Duration) {
	l.histogram.WithLabelValues(cameraID).Observe(latency.Seconds())
}

// Forget drops the counts of a removed camera.
func (l *Latency) Forget(cameraID string) { l.histogram.DeleteLabelValues(cameraID) }
