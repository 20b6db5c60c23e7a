package store

import (
	"math"
	"time"
)

// ReportDelta is what a stage counted since it last reported.
type ReportDelta struct {
	CameraID   string
	Model      string
	Version    int
	Hour       time.Time // start of the hour, UTC
	Frames     int64
	Inferences int64
	Errors     int64
	Drops      map[string]int64 // by reason
	Classes    map[string]int64 // detections by label
	ScoreSum   float64          // of all detections
	Latency    Histogram
}

// Report is a roll-up of an hour or a day.
type Report struct {
	Period     string // hour or day
	Start      time.Time
	CameraID   string
	Model      string
	Version    int
	Frames     int64
	Inferences int64
	Errors     int64
	Drops      map[string]int64
	Classes    map[string]int64
	Detections int64
	MeanScore  float64
	P50        time.Duration // arrival of a frame to its result
	P95        time.Duration
	P99        time.Duration
}

// ReportQuery filters ListReports.
type ReportQuery struct {
	Period   string // hour or day
	CameraID string // "" all
	Model    string // "" all
	Range
	Location *time.Location // days start at midnight here; nil is UTC
	Limit    int            // 0 takes 500
}

// Histogram counts durations in buckets that grow by a quarter octave from
// 100 µs, so a quantile is within ±9 % of the true one. Buckets of equal
// histograms add up, which is what makes days out of hours.
type Histogram [histogramSize]uint32

const histogramSize = 80

// Add counts one duration.
func (h *Histogram) Add(d time.Duration) { h[bucket(d)]++ }

// Merge adds the counts of o.
func (h *Histogram) Merge(o *Histogram) {
	for i, n := range o {
		h[i] += n
	}
}

// Since returns the counts that came after those of o, an earlier state of h.
func (h *Histogram) Since(o *Histogram) (out Histogram) {
	for i, n := range h {
		out[i] = n - min(n, o[i])
	}
	return out
}

// Count is the number of durations counted.
func (h *Histogram) Count() uint64 {
	var n uint64
	for _, c := range h {
		n += uint64(c)
	}
	return n
}

// Quantile returns the duration below which a share q (0..1) of the counted
// ones lies, as the middle of its bucket; 0 when nothing was counted.
func (h *Histogram) Quantile(q float64) time.Duration {
	total := h.Count()
	if total == 0 {
		return 0
	}
	rank := uint64(math.Ceil(q * float64(total)))
	var seen uint64
	for i, c := range h {
		if seen += uint64(c); c > 0 && seen >= rank {
			return time.Duration(float64(histogramUnit) * math.Exp2((float64(i)-0.5)/4))
		}
	}
	return 0
}

const histogramUnit = 100 * time.Microsecond

func bucket(d time.Duration) int {
	if d <= histogramUnit {
		return 0
	}
	return min(histogramSize-1, int(math.Ceil(4*math.Log2(float64(d)/float64(histogramUnit)))))
}
