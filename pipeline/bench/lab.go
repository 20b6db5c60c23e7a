package bench

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"time"

	"detectd/pipeline/bench/floor"
	"detectd/pipeline/simulate"
	"detectd/pipeline/source/file"
)

// lab holds what the measurements of one run share.
type lab struct {
	cfg  Config
	dir  string // for everything that is made; removed at the end
	step func(string)

	samples map[string][]float64 // by metric
	missing map[string]string    // by metric: why it cannot be measured
	notes   map[string]string    // by metric
	failed  map[string]bool      // by figure: it is not tried again

	videos  map[scenery]video
	decode  map[string]floor.Decoding // F1 of this round, by path
	infer   floor.Inferring           // F2 of this round
	calm    *load                     // of idle cameras in this round; nil: not measured yet
	first   float64                   // C9 of the same cameras in their first minute
	runtime string                    // version of ONNX Runtime

	perFrame  float64 // CPU of the daemon per frame in C1 of this round, ns; 0 when not measured
	perCamera float64 // memory of an added camera, bytes; 0 when not measured
	answer    *Capacity
}

// video is what cameras show.
type video struct {
	path          string
	width, height int
	fps           float64
}

// scenery is a video that the bench makes itself.
type scenery int

const (
	street     scenery = iota // 1080p30, 4 Mb/s, people walk: the default of all figures
	fastStreet                // the same at 60 fps
	small                     // 640x360 at 60 fps
	still                     // 1080p30, static, noise, constant quality
	stillClean                // without noise
	stillCBR                  // with noise, constant 4 Mb/s
)

// rate is about what cameras send at 1080p, bits per second.
const rate = 4_000_000

// spec describes the videos. Each lasts ten seconds and is looped; those in which
// nothing happens without a seam, at which a coder that begins anew would tell of
// something that no camera has.
func (s scenery) spec() simulate.Spec {
	spec := simulate.Spec{Width: 1920, Height: 1080, FPS: 30, GOP: 60, Frames: 300}
	switch s {
	case street, fastStreet:
		spec.Bitrate = rate
		if s == fastStreet {
			spec.FPS, spec.GOP, spec.Frames = 60, 120, 600
		}
		spec.Scene = &simulate.Scene{Noise: 4, Visits: []simulate.Visit{
			{From: 0, To: spec.Frames, Speed: 4}, {From: 30, To: spec.Frames - 30, Width: 90, Speed: 7},
		}}
	case small:
		spec = simulate.Spec{Width: 640, Height: 360, FPS: 60, GOP: 120, Frames: 600, Bitrate: rate / 8}
		spec.Scene = &simulate.Scene{Noise: 4, Visits: []simulate.Visit{{From: 0, To: spec.Frames, Speed: 2}}}
	case still:
		spec.Lead, spec.Scene = spec.Frames, &simulate.Scene{Noise: 3}
	case stillClean:
		spec.Lead, spec.Scene = spec.Frames, &simulate.Scene{}
	case stillCBR:
		spec.Lead, spec.Bitrate, spec.Scene = spec.Frames, rate, &simulate.Scene{Noise: 3}
	}
	return spec
}

// show makes the video of a scenery, once.
func (l *lab) show(s scenery) (video, error) {
	if s == street && l.cfg.Video != "" {
		return l.given()
	}
	if v, ok := l.videos[s]; ok {
		return v, nil
	}
	l.step("painting a video")
	spec := s.spec()
	v := video{filepath.Join(l.dir, fmt.Sprintf("scene-%d.mp4", s)), spec.Width, spec.Height, float64(spec.FPS)}
	if err := simulate.Generate(v.path, spec); err != nil {
		return v, err
	}
	if l.videos == nil {
		l.videos = map[scenery]video{}
	}
	l.videos[s] = v
	return v, nil
}

// given is the video that was asked for.
func (l *lab) given() (video, error) {
	info, err := file.Probe(l.cfg.Video)
	if err != nil {
		return video{}, fmt.Errorf("open %s: %w", l.cfg.Video, err)
	}
	if info.FPS <= 0 {
		return video{}, fmt.Errorf("open %s: it does not tell its frames per second", l.cfg.Video)
	}
	return video{l.cfg.Video, info.Format.Width, info.Format.Height, info.FPS}, nil
}

// title names the video for people.
func (l *lab) title() string {
	if l.cfg.Video != "" {
		return filepath.Base(l.cfg.Video)
	}
	return "painted street, 1920x1080 at 30 fps, H.264 4 Mb/s"
}

// floors measures F2, and F1 of the main video, for a round.
func (l *lab) floors(context.Context) error {
	l.decode, l.calm = map[string]floor.Decoding{}, nil
	if err := l.withModel(func(m *floor.Model) (err error) {
		l.runtime = m.Version()
		l.infer, err = m.Infer(calls(l.cfg.Measure, 20))
		return err
	}); err != nil {
		return err
	}
	l.add("F2", ms(l.infer.CPU))
	_, f1, err := l.street()
	if err != nil {
		return err
	}
	l.add("F1", ms(f1.CPU))
	return nil
}

// calls is how many inferences of about 10 ms fill a share 1/n of a time.
func calls(d time.Duration, n int) int { return max(10, int(d/time.Duration(n)/(10*time.Millisecond))) }

// f1 is the decoding floor of a video in this round.
func (l *lab) f1(v video) (floor.Decoding, error) {
	if d, ok := l.decode[v.path]; ok {
		return d, nil
	}
	d, err := floor.Decode(v.path)
	if err == nil {
		l.decode[v.path] = d
	}
	return d, err
}

// street is what most figures are measured on, with what decoding it costs.
func (l *lab) street() (video, floor.Decoding, error) {
	v, err := l.show(street)
	if err != nil {
		return v, floor.Decoding{}, err
	}
	f1, err := l.f1(v)
	return v, f1, err
}

// withModel opens the model for as long as f runs.
func (l *lab) withModel(f func(m *floor.Model) error) (err error) {
	m, err := floor.OpenModel(l.cfg.Library, l.cfg.Model)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, m.Close()) }()
	return f(m)
}

// add keeps a sample of a metric.
func (l *lab) add(id string, value float64) { l.samples[id] = append(l.samples[id], value) }

// skip says why a metric cannot be measured here; the others still are.
func (l *lab) skip(id string, why error) error {
	l.missing[id] = why.Error()
	return nil
}

// fail gives a figure up.
func (l *lab) fail(figure string, round int, why error) {
	l.failed[figure] = true
	text := fmt.Sprintf("given up in round %d: %v", round+1, why)
	if figure == "capacity" {
		l.answer = &Capacity{Sentence: "How many cameras fit was not measured: " + text}
		return
	}
	l.missing[figure] = text
}

// ideal is the CPU time that the floors would take for what a daemon did.
func (l *lab) ideal(v video, frames, inferences uint64) (time.Duration, error) {
	f1, err := l.f1(v)
	return time.Duration(frames)*f1.CPU + time.Duration(inferences)*l.infer.CPU, err //nolint:gosec // counts of a minute
}

// cores is how many processors this process, and so the daemon, may use.
func (l *lab) cores() int { return runtime.GOMAXPROCS(0) }

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
