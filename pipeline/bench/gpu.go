package bench

import (
	"context"
	"fmt"
	"runtime"
	"time"

	"detectd/detect/batch"
	"detectd/detect/model"
	"detectd/detect/ort"
	"detectd/pipeline/bench/floor"
	"detectd/pipeline/bench/stats"
)

// noGPU is why figures of a GPU cannot be measured here; nil when they can.
func (l *lab) noGPU(ctx context.Context) error {
	return l.withModel(func(m *floor.Model) error {
		if err := m.Starts(ctx, ort.CUDA); err != nil {
			return fmt.Errorf("no GPU that this ONNX Runtime can use (docs/providers.md, --library): %w", err)
		}
		return nil
	})
}

// daemonBatch is detect.max_batch as it comes.
const daemonBatch = 8

// gpuPool measures G2: the daemon's detector pool on a GPU against the fastest bare
// loop of ONNX Runtime's CUDA provider, of those with one to four callers and eight
// to 32 pictures in a call.
func (l *lab) gpuPool(ctx context.Context, _ int) error {
	if err := l.noGPU(ctx); err != nil {
		return l.skip("G2", err)
	}
	v, err := l.show(street)
	if err != nil {
		return err
	}
	each := max(l.cfg.Measure/8, time.Second)
	return l.withModel(func(m *floor.Model) error {
		var best floor.Inferring
		for _, size := range []int{8, 16, 32} {
			for _, callers := range []int{1, 2, 4} {
				got, err := m.GPU(ctx, floor.Loop{Batch: size, Callers: callers}, each)
				if err != nil {
					return err
				}
				if got.PerSecond > best.PerSecond {
					best = got
					l.notes["G2.bare"] = fmt.Sprintf("%d callers with %d pictures each", callers, size)
				}
			}
		}
		const streams = 128
		pool, sizes, err := m.Fed(ctx, v.path, floor.Fed{
			Options: model.Options{MaxBatch: daemonBatch, Session: ort.Options{Provider: ort.CUDA, Callers: runtime.GOMAXPROCS(0)}},
			Batch:   batch.Config{}, Streams: streams, Duration: 4 * each,
		})
		if err != nil {
			return err
		}
		l.add("G2", pool.PerSecond/best.PerSecond)
		l.add("G2.bare", best.PerSecond)
		l.add("G2.pool", pool.PerSecond)
		l.add("G2.cpu", ms(pool.CPU))
		l.notes["G2.pool"] = fmt.Sprintf("%d streams; pictures by the size of their call: %v", streams, sizes)
		return nil
	})
}

// slo is how late the results of 95 in 100 pictures may come.
const slo = 100 * time.Millisecond

// gpuStreams measures G4 and G3: how many cameras the daemon carries with inference
// on a GPU, and what a frame costs the processor then.
func (l *lab) gpuStreams(ctx context.Context, round int) error {
	if err := l.noGPU(ctx); err != nil {
		return l.skip("G4", err)
	}
	v, f1, err := l.street()
	if err != nil {
		return err
	}
	cameras := usable * float64(l.cores()) / (allowance * v.fps * f1.CPU.Seconds())
	carried := false
	for range gpuTries {
		n := max(1, int(cameras))
		l.step(fmt.Sprintf("trying %d cameras", n))
		got, err := l.run(ctx, setup{
			video: v, cameras: n, hz: l.cfg.Hz, provider: string(ort.CUDA), seed: round, warm: warm, measure: l.cfg.Measure,
		})
		if err != nil {
			return err
		}
		p95 := stats.Quantile(got.latencies, 0.95)
		if p95 > slo || got.drops > 0 || len(got.latencies) == 0 {
			l.notes["G4"] = fmt.Sprintf("with %d cameras 95 %% of the results came within %.0f ms, and %d frames were dropped", n, ms(p95), got.drops)
			if carried {
				break // more than was carried is not
			}
			cameras /= gpuStep
			continue
		}
		for id, value := range map[string]float64{
			"G4": float64(n), "G4.p95": ms(p95), "G4.cores": got.cpu.Seconds() / got.wall.Seconds(), "G3": ms(got.cpu) / float64(got.frames),
		} {
			if carried { // instead of the fewer ones
				l.samples[id] = l.samples[id][:len(l.samples[id])-1]
			}
			l.add(id, value)
		}
		if carried = true; l.notes["G4"] != "" {
			break // more were tried before
		}
		cameras *= gpuStep
	}
	if !carried {
		return l.skip("G4", fmt.Errorf("no number of cameras was carried: %s", l.notes["G4"]))
	}
	return nil
}

// Numbers of cameras are tried from the one that decoding allows, up or down.
const (
	gpuTries = 6
	gpuStep  = 1.25
)
