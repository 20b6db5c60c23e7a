package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"detectd/pipeline/bench/floor"
	"detectd/pipeline/bench/peer"
	"detectd/pipeline/bench/proc"
	"detectd/pipeline/bench/stats"
	"detectd/pipeline/scene"
	"detectd/pipeline/scene/leverage"
)

// warm is how long a daemon runs before it is measured.
const warm = 4 * time.Second

// tax measures C1: the daemon against the sum of its parts.
func (l *lab) tax(ctx context.Context, round int) error {
	v, err := l.show(street)
	if err != nil {
		return err
	}
	got, err := l.run(ctx, setup{video: v, cameras: l.cfg.Cameras, hz: l.cfg.Hz, seed: round, warm: warm, measure: l.cfg.Measure})
	if err != nil {
		return err
	}
	ideal, err := l.ideal(v, got.frames, got.inferences)
	if err != nil {
		return err
	}
	l.add("C1", float64(got.cpu)/float64(ideal))
	l.add("C1.cores", got.cpu.Seconds()/got.wall.Seconds())
	l.add("C1.drops", float64(got.drops))
	l.add("C1.p50", ms(stats.Quantile(got.latencies, 0.50)))
	l.add("C1.p95", ms(stats.Quantile(got.latencies, 0.95)))
	l.add("C1.ready", ms(got.ready))
	l.perFrame = float64(got.cpu) / float64(got.frames)
	return nil
}

// peer measures C2: the daemon against ffmpeg, OpenCV and ONNX Runtime.
func (l *lab) peer(ctx context.Context, round int) error {
	if err := peer.Available(); err != nil {
		return l.skip("C2", err)
	}
	if round == 0 {
		if err := l.agree(ctx); err != nil {
			return err
		}
	}
	v, err := l.show(street)
	if err != nil {
		return err
	}
	cpu, wall, did, err := l.runPeer(ctx, v, round)
	if err != nil {
		return err
	}
	if did.Frames == 0 || did.Inferences == 0 {
		return errors.New("the peer saw nothing")
	}
	if l.perFrame == 0 { // C1 was not asked for
		if err := l.tax(ctx, round); err != nil {
			return err
		}
	}
	l.add("C2", l.perFrame/(float64(cpu)/float64(did.Frames)))
	l.add("C2.peer", cpu.Seconds()/wall.Seconds())
	l.perFrame = 0
	return nil
}

// agree checks that peer and detectd find the same.
func (l *lab) agree(ctx context.Context) error {
	return l.withModel(func(m *floor.Model) error {
		a, err := peer.Agree(ctx, m, l.cfg.Demo, 181, 20)
		if err != nil {
			return err
		}
		l.add("C2.same", a.Share())
		l.notes["C2.same"] = fmt.Sprintf("%d certain objects in %d pictures of the demo video", a.Objects, a.Pictures)
		return nil
	})
}

// runPeer runs the peer in a process of its own on cameras like the daemon's.
func (l *lab) runPeer(ctx context.Context, v video, round int) (cpu, wall time.Duration, did peer.Count, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	urls, stop, err := cameras(ctx, setup{video: v, cameras: l.cfg.Cameras, seed: round})
	defer stop()
	if err != nil {
		return 0, 0, did, err
	}
	number := func(f float64) string { return strconv.FormatFloat(f, 'f', 3, 64) }
	p, err := proc.Start(ctx, 0, append([]string{
		"bench-peer", "--width", strconv.Itoa(v.width), "--height", strconv.Itoa(v.height),
		"--fps", number(v.fps), "--hz", number(l.cfg.Hz),
	}, urls...)...)
	if err != nil {
		return 0, 0, did, err
	}
	defer p.Stop()
	if err := pause(ctx, warm); err != nil {
		return 0, 0, did, err
	}
	before, used, began, err := samplePeer(p)
	if err != nil {
		return 0, 0, did, err
	}
	if err := pause(ctx, l.cfg.Measure); err != nil {
		return 0, 0, did, err
	}
	after, usedThen, ended, err := samplePeer(p)
	did = peer.Count{Frames: after.Frames - before.Frames, Inferences: after.Inferences - before.Inferences}
	return usedThen - used, ended.Sub(began), did, err
}

func samplePeer(p *proc.Child) (c peer.Count, cpu time.Duration, at time.Time, err error) {
	line, err := p.Ask()
	if err != nil {
		return c, 0, at, err
	}
	if err := json.Unmarshal([]byte(line), &c); err != nil {
		return c, 0, at, fmt.Errorf("read answer of the peer: %w", err)
	}
	usage, err := p.FamilyUsage()
	return c, usage.CPU, time.Now(), err
}

// pool measures C3: the daemon's detector pool against F2.
func (l *lab) pool(ctx context.Context, _ int) error {
	v, err := l.show(street)
	if err != nil {
		return err
	}
	const streams = 8
	return l.withModel(func(m *floor.Model) error {
		bare, err := m.Infer(calls(l.cfg.Measure, 2))
		if err != nil {
			return err
		}
		pool, err := m.Pool(ctx, v.path, streams, 2, max(3, calls(l.cfg.Measure, 2)*2/streams))
		if err != nil {
			return err
		}
		l.add("C3", pool.PerSecond/bare.PerSecond)
		l.add("C3.cpu", float64(pool.CPU)/float64(bare.CPU))
		return nil
	})
}

// leverage measures C4: half of the cameras at twice the rate, so that the load
// is that of C1; and once what tracking in between costs in accuracy.
func (l *lab) leverage(ctx context.Context, round int) error {
	v, err := l.show(fastStreet)
	if err != nil {
		return err
	}
	got, err := l.run(ctx, setup{
		video: v, cameras: max(1, l.cfg.Cameras/2), hz: l.cfg.Hz, seed: round, warm: warm, measure: l.cfg.Measure,
	})
	if err != nil {
		return err
	}
	ideal, err := l.ideal(v, got.frames, got.inferences)
	if err != nil {
		return err
	}
	l.add("C4", float64(got.cpu)/float64(ideal))
	if round > 0 {
		return nil // the scenes are the same each time
	}
	l.step("accuracy between detections")
	sets := 8
	if l.cfg.Short {
		sets = 1
	}
	scenes := scene.Library(sets)
	rows, err := leverage.Measure(scenes, scene.Typical(), 10, 5)
	if err != nil {
		return err
	}
	for _, r := range rows {
		if r.Scene != "all" || r.Hz == 0 {
			continue
		}
		hz := strconv.Itoa(int(r.Hz))
		l.add("C4.hota"+hz, r.HOTARetained)
		l.add("C4.f1at"+hz, r.F1Retained)
		l.notes["C4.hota"+hz] = fmt.Sprintf("%d simulated scenes with known truth", len(scenes))
	}
	return nil
}
