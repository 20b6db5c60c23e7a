package promote

import (
	"context"
	"log/slog"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"detectd/detect"
	"detectd/detect/batch"
	"detectd/detect/detecttest"
	"detectd/detect/model"
	"detectd/detect/ort"
	"detectd/pipeline/cores"
	"detectd/pipeline/frame"
	"detectd/pipeline/stage/shadow"
)

// BenchmarkChampionBesideAShadow tells what a shadow at a share of 1 costs the
// champion: time from arrival to result, and results a second, of the default model
// on its own batcher, in turn with decoding as in the daemon. "room" are cameras that
// take about half of the processors, "saturated" more than there are. Run it with
// -benchtime 1x -count 2, with nothing else on the machine.
func BenchmarkChampionBesideAShadow(b *testing.B) {
	rt := detecttest.Runtime(b)
	open := func() detect.Detector {
		d, err := model.Open(rt, detecttest.DefaultModel(b), model.Options{Session: ort.Options{Callers: runtime.GOMAXPROCS(0)}})
		require.NoError(b, err)
		return d
	}
	champion := open()
	b.Cleanup(func() { require.NoError(b, champion.Close()) })
	call := callTime(b, champion)
	capacity := float64(runtime.GOMAXPROCS(0)) / call.Seconds()
	for name, load := range map[string]float64{"room": 0.4, "saturated": 3} {
		for _, beside := range []bool{false, true} {
			title := name + "/alone"
			if beside {
				title = name + "/shadow"
			}
			b.Run(title, func(b *testing.B) {
				for range b.N {
					p := &parallel{capacity: capacity * load, call: call}
					if beside {
						p.shadow = open
					}
					p.run(b, champion)
				}
			})
		}
	}
}

func callTime(b *testing.B, d detect.Detector) time.Duration {
	pool := &frame.Pool{}
	defer pool.Close()
	f := detecttest.Picture(b, pool, 1280, 720)
	defer f.Release()
	var took []time.Duration
	for range 20 {
		began := time.Now()
		_, err := d.Detect(b.Context(), []*frame.Frame{f}, make([]detect.Options, 1))
		require.NoError(b, err)
		took = append(took, time.Since(began))
	}
	slices.Sort(took)
	return took[len(took)/2]
}

// parallel is eight cameras that are decoded and looked at, at so many frames a second
// in all, for ten seconds.
type parallel struct {
	capacity float64
	call     time.Duration
	shadow   func() detect.Detector // nil: none

	mu     sync.Mutex
	counts bool // since the shadow is loaded
	took   []time.Duration
	stale  int
}

const (
	benchAfter = 3 * time.Second
	benchFor   = 10 * time.Second
)

func (p *parallel) run(b *testing.B, champion detect.Detector) {
	processors := cores.New(runtime.GOMAXPROCS(0))
	batcher, err := batch.New(champion, batch.Config{Turn: processors.First()})
	require.NoError(b, err)
	ctx, cancel := context.WithCancel(b.Context())
	var group sync.WaitGroup
	group.Go(func() { _ = batcher.Run(ctx) })
	stage := shadow.New(func(context.Context, detect.Ref, string) (detect.Detector, error) { return p.shadow(), nil }, processors.Spare, slog.New(slog.DiscardHandler))
	cameras := []string{"a", "b", "c", "d", "e", "f", "g", "h"}
	group.Go(func() { _ = stage.Run(ctx) })
	if p.shadow != nil {
		stage.Set([]shadow.Task{{ID: "p", Ref: detect.Ref{Model: "m", Version: 2}, Cameras: cameras, Share: 1}})
	}
	pool := &frame.Pool{}
	picture := detecttest.Picture(b, pool, 1280, 720)
	period := time.Duration(float64(len(cameras)) / p.capacity * float64(time.Second))
	for n, camera := range cameras {
		group.Go(func() {
			tick := time.NewTicker(period)
			defer tick.Stop()
			<-time.After(period * time.Duration(n) / time.Duration(len(cameras)))
			for {
				select {
				case <-ctx.Done():
					return
				case <-tick.C:
				}
				processors.Second().Run(func() { burn(p.call / 10) }) // decodes
				arrived := time.Now()
				batcher.Submit(camera, 1, picture, detect.Options{}, func(r batch.Result) {
					if p.count(r.Err, time.Since(arrived)) {
						stage.Offer(camera, picture, detect.Options{}, r.Detections)
					}
				})
			}
		})
	}
	<-time.After(benchAfter)
	before, _ := stage.Report("p")
	p.begin()
	<-time.After(benchFor)
	report, _ := stage.Report("p")
	cancel()
	group.Wait()
	picture.Release()
	pool.Close()
	slices.Sort(p.took)
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(quantile(p.took, 0.5), "p50-ms")
	b.ReportMetric(quantile(p.took, 0.95), "p95-ms")
	b.ReportMetric(float64(len(p.took))/benchFor.Seconds(), "results/s")
	b.ReportMetric(float64(p.stale)/benchFor.Seconds(), "stale/s")
	b.ReportMetric(float64(report.Looked-before.Looked)/benchFor.Seconds(), "looked/s")
}

func (p *parallel) begin() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.counts = true
}

// count says whether there was an answer.
func (p *parallel) count(err error, took time.Duration) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err != nil {
		if p.counts {
			p.stale++
		}
		return false
	}
	if p.counts {
		p.took = append(p.took, took)
	}
	return true
}

func burn(d time.Duration) {
	for began := time.Now(); time.Since(began) < d; {
		continue
	}
}

func quantile(sorted []time.Duration, q float64) float64 {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[int(q*float64(len(sorted)-1))].Seconds() * 1000
}
