package store

import (
	"context"
	"time"
)

// The kinds of measurements.
const (
	Accuracy = "accuracy" // on pictures whose objects are known
	Speed    = "speed"    // on one machine
)

// Measurement is what was measured of a model version. It never changes; what is
// measured again is a further one.
type Measurement struct {
	ID       int64
	Model    string
	Version  int
	Kind     string // Accuracy or Speed
	Time     time.Time
	Machine  string // processor and number of cores, as in "AMD EPYC, 2 cores"
	Provider string // of ONNX Runtime: cpu, cuda, …
	By       string // who measured

	// Accuracy.
	Dataset  string // name that people gave it
	Digest   string // SHA-256 over the annotations and the pictures
	Pictures int
	Figures  [12]float64 // COCO's, in pycocotools' order, 0 to 1; -1 for none

	// Speed: the time of one call with one picture, preprocessing and reading of
	// the outputs included.
	Samples       int
	P50, P95, P99 time.Duration
}

// AP is the first of COCO's figures; -1 when it is none.
func (m Measurement) AP() float64 {
	if m.Kind != Accuracy {
		return -1
	}
	return m.Figures[0]
}

// Measurements are kept with the versions they are of, and go with them.
type Measurements interface {
	// AddMeasurement keeps a measurement. A zero time takes the present.
	// ErrNotFound without the version.
	AddMeasurement(ctx context.Context, m Measurement) (Measurement, error)
	// ListMeasurements lists all of a version, the newest first.
	ListMeasurements(ctx context.Context, model string, version int) ([]Measurement, error)
	// NewestMeasurements lists, of the versions, the newest accuracy on each data set
	// and the newest speed on each machine: by model, the newest version and then the
	// newest measurement first.
	NewestMeasurements(ctx context.Context, versions ...VersionKey) ([]Measurement, error)
}

// VersionKey names one version of one model.
type VersionKey struct {
	Model   string
	Version int
}
