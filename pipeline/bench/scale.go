package bench

import (
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"detectd/pipeline/bench/floor"
	"detectd/pipeline/bench/stats"
)

// scale measures C5: one stream against sixteen of the same offered load, which
// is more than the daemon can do. The daemon is given one processor, because one
// stream is decoded by one thread and could not saturate more. What it gets done
// is counted in the floors' CPU time, because the streams may get through more of
// the one kind of work and less of the other.
func (l *lab) scale(ctx context.Context, round int) error {
	v, f1, err := l.street()
	if err != nil {
		return err
	}
	const streams = 16
	fps, hz := saturation(f1, l.infer)
	var rate [2]float64
	for i, n := range []int{1, streams} {
		got, err := l.run(ctx, setup{
			video: v, cameras: n, fps: fps / float64(n), hz: max(0.1, hz/float64(n)), cores: 1, seed: round, warm: warm, measure: l.cfg.Measure,
		})
		if err != nil {
			return err
		}
		each := make([]float64, n)
		for k, w := range got.each {
			d, err := l.ideal(v, w.frames, w.inferences)
			if err != nil {
				return err
			}
			each[k] = d.Seconds() / got.wall.Seconds()
			rate[i] += each[k]
		}
		if n == streams {
			l.add("C5.fair", slices.Min(each)/stats.Mean(each))
		}
	}
	l.add("C5", rate[1]/rate[0])
	l.add("C5.one", rate[0])
	l.add("C5.many", rate[1])
	l.notes["C5"] = fmt.Sprintf("%.0f frames and %.0f detections per second offered to one core", fps, hz)
	return nil
}

// saturation is a load of frames and detections per second that one processor
// cannot carry: half as much again as the floors would. Detections are a third.
func saturation(f1 floor.Decoding, f2 floor.Inferring) (fps, hz float64) {
	const offered, detecting = 1.5, 1.0 / 3
	hz = min(60, offered*detecting/f2.CPU.Seconds()) // 60 is the most that a camera may ask for
	return (offered - hz*f2.CPU.Seconds()) / f1.CPU.Seconds(), hz
}

// tail measures C6: how late results come at 70 % load, with eight cameras that
// send whether anybody is ready or not.
func (l *lab) tail(ctx context.Context, round int) error {
	v, f1, err := l.street()
	if err != nil {
		return err
	}
	const streams = 8
	fps, err := rateAt(0.70, float64(l.cores()), streams, l.cfg.Hz, f1.CPU, l.infer.CPU)
	if err != nil {
		return l.skip("C6", err)
	}
	got, err := l.run(ctx, setup{video: v, cameras: streams, fps: fps, hz: l.cfg.Hz, seed: round, warm: warm, measure: l.cfg.Measure})
	if err != nil {
		return err
	}
	if len(got.latencies) == 0 {
		return fmt.Errorf("%d cameras gave no result", streams)
	}
	p99 := stats.Quantile(got.latencies, 0.99)
	l.add("C6", float64(p99)/float64(f1.P50+l.infer.P50))
	l.add("C6.p50", ms(stats.Median(got.latencies)))
	l.add("C6.p99", ms(p99))
	l.add("C6.load", got.cpu.Seconds()/got.wall.Seconds()/float64(l.cores()))
	l.notes["C6"] = fmt.Sprintf("%d cameras at %.1f fps", streams, fps)
	return nil
}

// allowance is what a pipeline may cost on top of its parts when a load is chosen:
// the bar of C1. The load that results is measured and shown.
const allowance = 1.15

// rateAt is the frames per second of each stream with which decoding and
// detections, at the allowance, make a share of the processors' time.
func rateAt(share, cores float64, streams int, hz float64, f1, f2 time.Duration) (float64, error) {
	each := share * cores / allowance / float64(streams) // seconds of CPU per second
	fps := (each - hz*f2.Seconds()) / f1.Seconds()
	if fps < hz {
		return 0, fmt.Errorf("%d cameras at %g detections per second are more than %.0f %% of this machine", streams, hz, 100*share)
	}
	return math.Floor(10*fps) / 10, nil
}

// overload measures C7: how many fresh results there are at capacity and at twice
// the load, once with too many detections for the detector and once with too many
// pictures for the decoders.
func (l *lab) overload(ctx context.Context, round int) error {
	if err := l.overloadDetector(ctx, round); err != nil {
		return err
	}
	v, f1, err := l.street()
	if err != nil {
		return err
	}
	const streams = 8
	fps, err := rateAt(1, float64(l.cores()), streams, l.cfg.Hz, f1.CPU, l.infer.CPU)
	if err != nil {
		return l.skip("C7.decode", err)
	}
	s := setup{video: v, cameras: streams, fps: fps, hz: l.cfg.Hz, seed: round, warm: overloadWarm, measure: l.cfg.Measure}
	capacity, err := l.run(ctx, s)
	if err != nil {
		return err
	}
	s.fps *= 2
	twice, err := l.run(ctx, s)
	if err != nil {
		return err
	}
	l.add("C7.decode", ratio(twice, capacity))
	l.notes["C7.decode"] = fmt.Sprintf("%d cameras at %.1f and %.1f fps", streams, fps, 2*fps)
	return nil
}

// overloadWarm is how long overload lasts before it is measured, so that queues
// are as full as they get.
const overloadWarm = 15 * time.Second

// ratio is the fresh results per second of one run against another's.
func ratio(a, b load) float64 {
	return float64(a.fresh()) / a.wall.Seconds() / max(1e-9, float64(b.fresh())/b.wall.Seconds())
}

func (l *lab) overloadDetector(ctx context.Context, round int) error {
	v, err := l.show(small)
	if err != nil {
		return err
	}
	f1, err := l.f1(v)
	if err != nil {
		return err
	}
	cameras, hz, err := detectorLoad(float64(l.cores()), v.fps, f1.CPU, l.infer.CPU)
	if err != nil {
		return l.skip("C7", err)
	}
	s := setup{video: v, cameras: cameras, hz: hz, seed: round, warm: warm, measure: l.cfg.Measure}
	capacity, err := l.run(ctx, s)
	if err != nil {
		return err
	}
	s.hz *= 2
	var growth float64
	if round == 0 { // once: it takes minutes
		s.during = func(r *running) (err error) {
			growth, err = watchMemory(ctx, r, l.cfg.Overload)
			return err
		}
	}
	twice, err := l.run(ctx, s)
	if err != nil {
		return err
	}
	l.add("C7", ratio(twice, capacity))
	l.add("C7.rate", float64(capacity.fresh())/capacity.wall.Seconds())
	l.notes["C7"] = fmt.Sprintf("%d cameras at %.1f and %.1f detections per second each", cameras, hz, 2*hz)
	if round == 0 {
		l.add("C7.rss", growth)
		l.notes["C7.rss"] = fmt.Sprintf("over %v", l.cfg.Overload)
	}
	return nil
}

// detectorLoad is how many cameras of a small video, with how many detections
// per second each, use the processors up; at twice the detections a camera may
// still not ask for more than it has frames.
func detectorLoad(cores, fps float64, f1, f2 time.Duration) (cameras int, hz float64, err error) {
	const fewest = 8
	for cameras = fewest; cameras <= 64*fewest; cameras++ {
		left := cores/allowance - float64(cameras)*fps*f1.Seconds()
		if hz = left / f2.Seconds() / float64(cameras); hz < 1 {
			break
		}
		if 2*hz <= 0.95*fps {
			return cameras, hz, nil
		}
	}
	return 0, 0, fmt.Errorf("decoding takes so much of this machine that the detector cannot be overloaded")
}

// watchMemory tells by what share the resident memory grows over a time: the
// median of its last fifth over the median of its first.
func watchMemory(ctx context.Context, r *running, d time.Duration) (float64, error) {
	const looks = 50
	var rss []float64
	for range looks {
		if err := pause(ctx, d/looks); err != nil {
			return 0, err
		}
		u, err := r.Usage()
		if err != nil {
			return 0, err
		}
		rss = append(rss, float64(u.RSS))
	}
	return growth(rss), nil
}

func growth(samples []float64) float64 {
	fifth := max(1, len(samples)/5)
	return stats.Median(samples[len(samples)-fifth:])/stats.Median(samples[:fifth]) - 1
}
