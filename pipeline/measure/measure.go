// Package measure measures how long a detector takes for a picture on this machine.
package measure

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"detectd/detect"
	"detectd/pipeline/frame"
	"detectd/pipeline/offline"
)

// Times are how long calls took.
type Times struct {
	Samples       int
	P50, P95, P99 time.Duration
}

// DefaultCalls are enough for a p95.
const DefaultCalls = 60

// warmUp calls are not counted.
const warmUp = 3

// maxTime bounds a measurement: of a slow model fewer calls are made.
const maxTime = 30 * time.Second

// minCalls are made however slow the model is.
const minCalls = 5

// Speed calls a detector with one picture after the other, calls times (0 takes
// DefaultCalls), and returns how long that took, from the picture in memory to
// its detections. The time of decoding is not in it.
func Speed(ctx context.Context, d detect.Detector, pictures []*frame.Frame, calls int) (Times, error) {
	if len(pictures) == 0 {
		return Times{}, errors.New("measure speed: there is no picture")
	}
	if calls <= 0 {
		calls = DefaultCalls
	}
	began := time.Now()
	took := make([]time.Duration, 0, calls)
	for i := range calls + warmUp {
		if i >= minCalls+warmUp && time.Since(began) > maxTime {
			break
		}
		start := time.Now()
		if _, err := d.Detect(ctx, []*frame.Frame{pictures[i%len(pictures)]}, []detect.Options{{}}); err != nil {
			return Times{}, fmt.Errorf("measure speed: %w", err)
		}
		if i >= warmUp {
			took = append(took, time.Since(start))
		}
	}
	slices.Sort(took)
	return Times{Samples: len(took), P50: quantile(took, 0.5), P95: quantile(took, 0.95), P99: quantile(took, 0.99)}, nil
}

// quantile takes the value of a sorted list below which a share q lies.
func quantile(sorted []time.Duration, q float64) time.Duration {
	return sorted[min(len(sorted)-1, int(q*float64(len(sorted))))]
}

// errEnough ends the reading of a file after some frames.
var errEnough = errors.New("enough frames")

// Pictures returns the first frames of a picture or a video, which are the caller's.
func Pictures(ctx context.Context, path string, count int, pool *frame.Pool) (frames []*frame.Frame, err error) {
	err = offline.File(ctx, offline.Config{Path: path, Workers: 1}, blind{}, detect.Options{}, pool, func(f offline.Frame) error {
		frames = append(frames, f.Frame.Retain())
		if len(frames) >= count {
			return errEnough
		}
		return nil
	})
	if err != nil && !errors.Is(err, errEnough) || len(frames) == 0 {
		for _, f := range frames {
			f.Release()
		}
		if err == nil {
			err = offline.ErrNoFrame
		}
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return frames, nil
}

// blind is a detector that finds nothing.
type blind struct{}

// Detect implements detect.Detector.
func (blind) Detect(_ context.Context, frames []*frame.Frame, _ []detect.Options) ([][]detect.Detection, error) {
	return make([][]detect.Detection, len(frames)), nil
}

// MaxBatch implements detect.Detector.
func (blind) MaxBatch() int { return 1 }

// Contract implements detect.Detector.
func (blind) Contract() detect.Contract { return detect.Contract{} }

// Close implements detect.Detector.
func (blind) Close() error { return nil }

var _ detect.Detector = blind{}
