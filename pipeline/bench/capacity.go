package bench

import (
	"context"
	"fmt"
	"math"
	"time"

	"detectd/pipeline/bench/proc"
	"detectd/pipeline/bench/stats"
)

// Capacity answers how many cameras this machine can carry.
type Capacity struct {
	Cameras    int     `json:"cameras"`    // that were run and kept up
	Calculated int     `json:"calculated"` // from the floors and the tax
	Limit      string  `json:"limit"`      // what ends it: decode, inference or memory
	Tax        float64 `json:"tax"`        // C1, as measured in this run
	FreshShare float64 `json:"fresh_share"`
	Drops      uint64  `json:"drops"` // in the run at Cameras
	Sentence   string  `json:"sentence"`
}

// need is what one camera takes.
type need struct {
	decode, inference float64 // cores
	memory            float64 // bytes
}

// have is what the machine gives.
type have struct {
	cores  float64
	memory float64 // bytes, 0 when not known
}

const (
	// usable is the share of the processors up to which results stay fresh; the
	// rest is for moments when frames coincide.
	usable = 0.85
	// freshEnough is the least share of fresh results with which cameras count as
	// carried.
	freshEnough = 0.99
)

// carry is how many cameras fit, and what ends it. tax is on decoding and
// inference alike.
func carry(n need, h have, tax float64) (cameras int, limit string) {
	limit = "decode"
	if n.inference > n.decode {
		limit = "inference"
	}
	most := usable * h.cores / (tax * (n.decode + n.inference))
	if h.memory > 0 && n.memory > 0 && usable*h.memory/n.memory < most {
		most, limit = usable*h.memory/n.memory, "memory"
	}
	return int(math.Floor(most)), limit
}

// capacity calculates how many cameras this machine can carry, and tries it, in
// the last round.
func (l *lab) capacity(ctx context.Context, round int) error {
	if round < l.cfg.Rounds-1 {
		return nil
	}
	v, f1, err := l.street()
	if err != nil {
		return err
	}
	if len(l.samples["C1"]) == 0 {
		if err := l.tax(ctx, round); err != nil {
			return err
		}
	}
	a := Capacity{Tax: stats.Median(l.samples["C1"])}
	memory := l.perCamera
	if memory <= 0 { // C8 was not asked for: decoder surfaces and as much again
		memory = 2 * 1.5 * float64(v.width*v.height) * 6
	}
	var n need
	n.decode, n.inference, n.memory = v.fps*f1.CPU.Seconds(), l.cfg.Hz*l.infer.CPU.Seconds(), memory
	a.Calculated, a.Limit = carry(n, have{float64(l.cores()), float64(proc.FreeMemory())}, a.Tax)
	a.Cameras, err = carried(max(1, a.Calculated), func(cameras int) (bool, error) {
		l.step(fmt.Sprintf("trying %d cameras", cameras))
		got, err := l.run(ctx, setup{
			video: v, cameras: cameras, hz: l.cfg.Hz, seed: round, warm: 2 * warm, measure: max(l.cfg.Measure, 10*time.Second),
		})
		if err != nil {
			return false, err
		}
		fresh := float64(got.fresh()) / float64(max(1, len(got.latencies)))
		fits := fresh >= freshEnough && got.drops == 0
		if fits || cameras == 1 { // what is told is about the number that is told
			a.FreshShare, a.Drops = fresh, got.drops
		}
		return fits, nil
	})
	if err != nil {
		return err
	}
	a.Sentence = a.sentence(v, l.cfg.Hz, n)
	l.answer = &a
	return nil
}

// carried is the largest number of cameras up to most that fits, 0 when not even one
// does: it tries most and then halves what is left.
func carried(most int, fits func(cameras int) (bool, error)) (int, error) {
	fit, over := 0, most+1 // what fits, and what does not
	for n := most; over-fit > 1; n = (fit + over) / 2 {
		ok, err := fits(n)
		switch {
		case err != nil:
			return 0, err
		case ok:
			fit = n
		default:
			over = n
		}
	}
	return fit, nil
}

func (a Capacity) sentence(v video, hz float64, n need) string {
	kind := fmt.Sprintf("%dx%d at %.3g fps, %.3g detections per second each", v.width, v.height, v.fps, hz)
	if a.Cameras == 0 {
		return fmt.Sprintf("This machine does not keep up with one such camera (%s): %.1f %% of the results were fresh and %d frames dropped, where %d cameras were calculated; %s is what there is too little of.",
			kind, 100*a.FreshShare, a.Drops, a.Calculated, a.Limit)
	}
	why := fmt.Sprintf("%.0f %% of the work is decoding, %.0f %% inference", 100*n.decode/(n.decode+n.inference), 100*n.inference/(n.decode+n.inference))
	return fmt.Sprintf("This machine can carry %d such cameras (%s); what ends it is %s (%s). Run at that number: %.1f %% of the results within 250 ms, %d drops; calculated: %d.",
		a.Cameras, kind, a.Limit, why, 100*a.FreshShare, a.Drops, a.Calculated)
}
