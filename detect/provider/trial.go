package provider

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"detectd/detect"
	"detectd/detect/ort"
	"detectd/pipeline/frame"
)

const (
	// trialTime bounds how long a provider is held against the CPU, in CPU time; each
	// runs once all the same.
	trialTime = 400 * time.Millisecond
	// trialRuns are enough for each: the cheapest run is the one that was disturbed least.
	trialRuns = 10
	// worth is the part of the CPU's time below which another provider is taken: what is
	// about as fast is not worth a second library.
	worth = 0.97
)

// Trial is the CPU time of the cheapest of some runs with one picture, on a provider and
// on the CPU provider.
type Trial struct{ Took, CPU time.Duration }

// Pays says that the provider saves something.
func (t Trial) Pays() bool { return float64(t.Took) < worth*float64(t.CPU) }

// String is the trial for people; "" is none.
func (t Trial) String() string {
	if t.CPU <= 0 {
		return ""
	}
	return fmt.Sprintf("%.1f ms of CPU time a picture, %.1f ms with the CPU provider", ms(t.Took), ms(t.CPU))
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// tried tells whether an automatic choice measures a provider: one that computes on
// the same processors as the CPU provider is only worth having where it is faster.
func (c Choice) tried(p ort.Provider) bool { return len(c.Order) == 0 && p == ort.OpenVINO }

// race runs both in turns. They have run before, in compare. Spent is the CPU time of the
// process: other programs do not change it, and what else this one does adds to both by
// about the time that they take.
func race(ctx context.Context, cpu, other detect.Detector, spent func() time.Duration) (Trial, error) {
	pool := &frame.Pool{}
	defer pool.Close()
	f, err := picture(pool, 0)
	if err != nil {
		return Trial{}, err
	}
	defer f.Release()
	frames, opts := []*frame.Frame{f}, []detect.Options{{}}
	var t Trial
	began := spent()
	for range trialRuns {
		for _, side := range [...]struct {
			detector detect.Detector
			best     *time.Duration
		}{{cpu, &t.CPU}, {other, &t.Took}} {
			start := spent()
			if _, err := side.detector.Detect(ctx, frames, opts); err != nil {
				return Trial{}, err
			}
			if took := spent() - start; *side.best == 0 || took < *side.best {
				*side.best = max(took, 1)
			}
		}
		if spent()-began >= trialTime {
			break
		}
	}
	return t, nil
}

// processTime is the CPU time that this process has used.
func processTime() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_PROCESS_CPUTIME_ID, &t); err != nil {
		return 0 // every Linux has this clock
	}
	return time.Duration(t.Nano())
}
