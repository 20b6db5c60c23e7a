package bench

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"
	"golang.org/x/sync/errgroup"

	"detectd/pipeline"
	"detectd/pipeline/bench/floor"
	"detectd/pipeline/bench/stats"
	"detectd/pipeline/camera/proof"
	"detectd/pipeline/source/file"
)

// asItComes is detect.idle where nothing is set.
const asItComes = "auto"

// static measures C8: what a camera costs before which nothing happens, in CPU
// time with the settings as they come, in memory, and in garbage.
func (l *lab) static(ctx context.Context, round int) error {
	v, f1, err := l.still()
	if err != nil {
		return err
	}
	got, err := l.calmed(ctx, round)
	if err != nil {
		return err
	}
	if got.units == 0 {
		return fmt.Errorf("%d cameras gave no picture", l.cfg.Cameras)
	}
	l.add("C8", float64(got.cpu)/(float64(got.units)*float64(f1.CPU)))
	l.notes["C8"] = fmt.Sprintf("%.1f detections per second and camera are made; cameras: %s",
		float64(got.inferences)/got.wall.Seconds()/float64(l.cfg.Cameras), states(got.activity))
	l.add("C8.heap", got.heap/float64(got.units)/1024)
	l.notes["C8.heap"] = fmt.Sprintf("%.1f KiB of coded video arrive per picture", float64(got.bytes)/float64(got.units)/1024)
	l.add("C8.gc", got.gc/got.cpu.Seconds())
	return l.memory(ctx, v, round)
}

// settled is how long memory may take to settle after a camera was added, and
// weighings how often it is looked at then, a second apart.
const (
	settled   = 6 * time.Second
	weighings = 5
)

// memory measures C8.rss: what one daemon's memory grows by when cameras are added
// one after the other, with everything decoded and detected.
func (l *lab) memory(ctx context.Context, v video, round int) error {
	if l.cfg.Cameras == 1 {
		l.missing["C8.rss"] = "it takes two cameras or more"
		return nil
	}
	surfaces, err := decoderSurfaces(v)
	if err != nil {
		return l.skip("C8.rss", err)
	}
	s := setup{video: v, cameras: l.cfg.Cameras, later: l.cfg.Cameras - 1, hz: l.cfg.Hz, seed: round}
	var first, last float64
	err = l.with(ctx, s, func(ctx context.Context, r *running, _ time.Duration) error {
		if err := r.await(ctx); err != nil {
			return err
		}
		if first, err = r.weigh(ctx); err != nil {
			return err
		}
		for len(r.more) > 0 {
			if err := r.add(ctx); err != nil {
				return err
			}
			if last, err = r.weigh(ctx); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	l.perCamera = (last - first) / float64(l.cfg.Cameras-1)
	bytes := float64(v.width*v.height) * 1.5 * float64(surfaces)
	l.add("C8.rss", l.perCamera/bytes)
	l.notes["C8.rss"] = fmt.Sprintf("%.1f MiB per camera, from %.0f to %.0f MiB, %d surfaces of %.1f MiB",
		l.perCamera/(1<<20), first/(1<<20), last/(1<<20), surfaces, bytes/float64(surfaces)/(1<<20))
	return nil
}

// weigh is the daemon's memory when it has settled, in bytes: the median of a few looks.
func (r *running) weigh(ctx context.Context) (float64, error) {
	if err := pause(ctx, settled); err != nil {
		return 0, err
	}
	var all []float64
	for range weighings {
		usage, err := r.Usage()
		if err != nil {
			return 0, err
		}
		all = append(all, float64(usage.RSS))
		if err := pause(ctx, time.Second); err != nil {
			return 0, err
		}
	}
	return stats.Median(all), nil
}

// decoderSurfaces is how many pictures a decoder of the video must be able to
// hold: those that its parameter sets allow to be kept, the one being decoded and
// the one being used.
func decoderSurfaces(v video) (int, error) {
	info, err := file.Probe(v.path)
	if err != nil {
		return 0, fmt.Errorf("open %s: %w", v.path, err)
	}
	if info.Format.Codec != pipeline.H264 || len(info.Format.ParameterSets) == 0 {
		return 0, fmt.Errorf("the number of pictures that a decoder keeps is only read from H.264 (the video is %s)", info.Format.Codec)
	}
	var sps h264.SPS
	if err := sps.Unmarshal(info.Format.ParameterSets[0]); err != nil {
		return 0, fmt.Errorf("read parameter set of %s: %w", v.path, err)
	}
	return pictureBuffer(sps) + 2, nil
}

// pictureBuffer is the size of the decoded picture buffer in pictures: what the
// stream promises (max_dec_frame_buffering), else what its level allows (ITU-T
// H.264, A.3.1 and table A-1).
func pictureBuffer(sps h264.SPS) int {
	if sps.VUI != nil && sps.VUI.BitstreamRestriction != nil {
		return int(sps.VUI.BitstreamRestriction.MaxDecFrameBuffering)
	}
	limits := map[uint8]int{ // level: macroblocks
		10: 396, 11: 900, 12: 2376, 13: 2376, 20: 2376, 21: 4752, 22: 8100, 30: 8100, 31: 18000, 32: 20480,
		40: 32768, 41: 32768, 42: 34816, 50: 110400, 51: 184320, 52: 184320, 60: 696320, 61: 696320, 62: 696320,
	}
	blocks := ((sps.Width() + 15) / 16) * ((sps.Height() + 15) / 16)
	const most = 16
	if blocks == 0 || limits[sps.LevelIdc] == 0 {
		return most
	}
	return min(most, limits[sps.LevelIdc]/blocks)
}

const (
	// idleWarm is how long an idle camera learns before it is measured.
	idleWarm = 20 * time.Second
	// noiseWarm is the same where there is noise: what it does to the sizes of coded
	// pictures takes a minute to be known, in which a few of them raise the alarm.
	noiseWarm = 60 * time.Second
)

// still is the static scene with noise.
func (l *lab) still() (video, floor.Decoding, error) {
	v, err := l.show(still)
	if err != nil {
		return v, floor.Decoding{}, err
	}
	f1, err := l.f1(v)
	return v, f1, err
}

// calmed runs the daemon with the settings as they come in front of the static scene
// with noise, once in a round. What it costs in its first minute is kept as C9.first.
func (l *lab) calmed(ctx context.Context, round int) (got load, err error) {
	if l.calm != nil {
		return *l.calm, nil
	}
	v, f1, err := l.still()
	if err != nil {
		return got, err
	}
	s := setup{video: v, cameras: l.cfg.Cameras, hz: l.cfg.Hz, idle: asItComes, seed: round, warm: idleWarm, measure: l.cfg.Measure}
	err = l.with(ctx, s, func(ctx context.Context, r *running, _ time.Duration) error {
		first, err := r.measure(ctx, s)
		if err != nil {
			return err
		}
		l.first = float64(first.cpu) / (float64(first.units) * float64(f1.CPU))
		s.warm = max(0, noiseWarm-idleWarm-s.measure)
		got, err = r.measure(ctx, s)
		return err
	})
	if err == nil {
		l.calm = &got
	}
	return got, err
}

// idle measures C9: other cameras before which nothing happens; and once whether anything is missed then.
func (l *lab) idle(ctx context.Context, round int) error {
	videos := map[string]video{}
	for id, s := range map[string]scenery{"C9": still, "C9.clean": stillClean, "C9.cbr": stillCBR} {
		v, err := l.show(s)
		if err != nil {
			return err
		}
		videos[id] = v
	}
	if l.cfg.Video != "" {
		v, err := l.given()
		if err != nil {
			return err
		}
		videos["C9.video"] = v
	}
	for _, id := range slices.Sorted(maps.Keys(videos)) {
		if l.cfg.Short && id != "C9" && id != "C9.video" {
			continue
		}
		v := videos[id]
		f1, err := l.f1(v)
		if err != nil {
			return err
		}
		var got load
		if id == "C9" {
			got, err = l.calmed(ctx, round)
		} else {
			got, err = l.run(ctx, setup{
				video: v, cameras: l.cfg.Cameras, hz: l.cfg.Hz, idle: asItComes, seed: round, warm: idleWarm, measure: l.cfg.Measure,
			})
		}
		if err != nil {
			return err
		}
		if id == "C9" {
			l.add("C9.first", l.first)
		}
		l.add(id, float64(got.cpu)/(float64(got.units)*float64(f1.CPU)))
		l.notes[id] = fmt.Sprintf("%.0f %% of the pictures decoded; cameras: %s", 100*float64(got.frames)/float64(max(1, got.units)), states(got.activity))
	}
	if round > 0 {
		return nil // the scenes are the same each time
	}
	return l.recall(ctx)
}

// states says how many cameras are in which state.
func states(activity map[string]int) string {
	all := make([]string, 0, len(activity))
	for _, name := range slices.Sorted(maps.Keys(activity)) {
		all = append(all, fmt.Sprintf("%d %s", activity[name], name))
	}
	return strings.Join(all, ", ")
}

// firstSeed is the first of the scenes: none of those that the gate was tuned on
// or that the tests play.
const firstSeed = 5001

// recall counts the events that are found in painted scenes whose truth is known,
// which a camera's worker is shown.
func (l *lab) recall(ctx context.Context) error {
	l.step("events before idle cameras")
	scenes := 54 // six of each weather
	if l.cfg.Short {
		scenes = 9
	}
	reports := make([]proof.Report, scenes)
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(l.cores())
	for i := range reports {
		g.Go(func() (err error) {
			reports[i], err = proof.Recall(ctx, []uint64{uint64(firstSeed + i)}) //nolint:gosec // scenes are few
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	var r proof.Report
	for _, one := range reports {
		r.Add(one)
	}
	l.notes["C9.recall"] = r.String()
	l.notes["C9.start"] = strings.Join(r.Missed, "; ")
	if r.FromIdle == 0 {
		return l.skip("C9.recall", errors.New("no event began while a camera was idle"))
	}
	l.add("C9.recall", r.Recall())
	l.add("C9.start", r.FirstFrame())
	return nil
}
