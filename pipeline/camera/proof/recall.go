package proof

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"strconv"
	"time"

	"detectd/detect"
	"detectd/pipeline/activity"
	"detectd/pipeline/frame"
	"detectd/pipeline/simulate"
)

// Report counts what was found. Only visits that began while nothing moved and the
// camera was left undecoded (idle), or its pictures were spared the model (still),
// test the gate; recall is over these.
type Report struct {
	Scenes   int // played, one camera each
	Idle     int // scenes in which the camera was idle at all
	Visits   int // events in them
	FromIdle int // of these, began while the camera was idle or still and lasted half a second or longer
	Still    int // of FromIdle, the camera was still
	Found    int // of FromIdle, annotated with an object before they ended
	First    int // of FromIdle, the first picture was decoded
	Prompt   int // of FromIdle, annotated with an object within one period of detection
	Flashes  int // visits from idle that were shorter
	Caught   int // of Flashes, annotated with an object before they ended
	Units    int // pictures received
	Decoded  int // pictures decoded; what is decoded twice counts twice
	Asked    int // detections made
	Full     int // detections that a camera makes in that time without a gate
	Missed   []string
}

// Recall is the share of the visits from idle that were found, 1 without any.
func (r Report) Recall() float64 { return share(r.Found, r.FromIdle) }

// FirstFrame is the share of the visits from idle whose first picture was decoded.
func (r Report) FirstFrame() float64 { return share(r.First, r.FromIdle) }

// String is one line.
func (r Report) String() string {
	return fmt.Sprintf("scenes %d (idle or still in %d), visits %d, from idle or still %d (still %d): found %d (%.4f), first picture decoded %d (%.4f), found at once %d; of %d under half a second %d found; decoded %.2f of %d pictures, made %.2f of %d detections",
		r.Scenes, r.Idle, r.Visits, r.FromIdle, r.Still, r.Found, r.Recall(), r.First, r.FirstFrame(), r.Prompt, r.Flashes, r.Caught, share(r.Decoded, r.Units), r.Units, share(r.Asked, r.Full), r.Full)
}

func share(n, of int) float64 {
	if of == 0 {
		return 1
	}
	return float64(n) / float64(of)
}

// Add adds the counts of another report.
func (r *Report) Add(o Report) {
	r.Scenes += o.Scenes
	r.Idle += o.Idle
	r.Visits += o.Visits
	r.FromIdle += o.FromIdle
	r.Still += o.Still
	r.Found += o.Found
	r.First += o.First
	r.Prompt += o.Prompt
	r.Flashes += o.Flashes
	r.Caught += o.Caught
	r.Units += o.Units
	r.Decoded += o.Decoded
	r.Asked += o.Asked
	r.Full += o.Full
	r.Missed = append(r.Missed, o.Missed...)
}

// Recall plays the scenes of the seeds (see Make). It needs no model: the
// detector that the camera uses knows the truth. A seed takes some seconds.
func Recall(ctx context.Context, seeds []uint64) (all Report, err error) {
	dir, err := os.MkdirTemp("", "detectd-proof-*")
	if err != nil {
		return all, fmt.Errorf("make folder: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	for _, seed := range seeds {
		r, _, err := one(ctx, dir, seed)
		if err != nil {
			return all, fmt.Errorf("play scene %d: %w", seed, err)
		}
		all.Add(r)
	}
	return all, ctx.Err()
}

// one plays one scene.
func one(ctx context.Context, dir string, seed uint64) (Report, *Played, error) {
	s := Make(seed)
	v, err := paint(ctx, dir, strconv.FormatUint(seed, 10), s.Spec)
	if err != nil {
		return Report{}, nil, err
	}
	p, err := Play(ctx, v, truth(s.Spec), nil)
	if err != nil {
		return Report{}, nil, err
	}
	return judge(s, v.times(), p), p, nil
}

// truth is a detector that knows what was painted.
func truth(spec simulate.Spec) Seen {
	return func(f *frame.Frame) (found []detect.Detection) {
		i := int(math.Round(f.PTS.Seconds() * float64(spec.FPS)))
		for _, v := range spec.Scene.Visits {
			if x, y, w, h, ok := v.Visible(spec, i); ok {
				found = append(found, detect.Detection{Label: "person", Score: 0.8, Box: detect.Box{
					X: float32(x), Y: float32(y), W: float32(w), H: float32(h),
				}})
			}
		}
		return found
	}
}

func judge(s Scene, times []time.Duration, p *Played) Report {
	r := Report{Scenes: 1, Units: len(times), Asked: int(p.Status.Inferences), Full: len(times) * perSecond / s.Spec.FPS} //nolint:gosec // hundreds
	for _, n := range p.Decoded {
		r.Decoded += n
	}
	for _, m := range p.States {
		if m.State == activity.Idle || m.State == activity.Still {
			r.Idle = 1
		}
	}
	for k, v := range s.Spec.Scene.Visits {
		r.Visits++
		state := p.Before(times[v.From])
		if state != activity.Idle && state != activity.Still {
			continue
		}
		delay := -1
		for i := v.From; i < v.To && delay < 0; i++ {
			if i < len(p.Annotations) && len(p.Annotations[i].Objects) > 0 {
				delay = i - v.From
			}
		}
		first := p.Decoded[times[v.From]] > 0
		if 2*(v.To-v.From) < s.Spec.FPS {
			r.Flashes++
			if delay >= 0 {
				r.Caught++
			}
			continue
		}
		r.FromIdle++
		if state == activity.Still {
			r.Still++
		}
		if first {
			r.First++
		}
		if delay >= 0 {
			r.Found++
		}
		if delay >= 0 && delay <= s.Spec.FPS/perSecond+1 {
			r.Prompt++
		}
		if delay < 0 || !first {
			r.Missed = append(r.Missed, fmt.Sprintf("%s, %s: visit %d at picture %d for %d, %d wide, speed %d, enters %t: delay %d, first picture decoded %t",
				s.Name, state, k, v.From, v.To-v.From, v.Width, v.Speed, v.Enters, delay, first))
		}
	}
	return r
}
