package camera

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"detectd/detect"
	"detectd/detect/mot"
	"detectd/pipeline/scene"
	"detectd/pipeline/scene/leverage"
)

// paced is the pace of a camera as leverage asks for it.
type paced struct {
	pace
	normal   float64
	answers  int
	quickest float64
}

func (p *paced) Rate(pts time.Duration) float64 {
	r := p.rate(pts, p.normal)
	p.quickest = max(p.quickest, r)
	return r
}

func (p *paced) Answered(pts time.Duration, dets []detect.Detection) {
	p.answers++
	p.answered(pts, dets, p.normal)
}

// hurry makes a scene run faster: what took a second takes 1/by of it.
func hurry(s *scene.Scene, by float64) *scene.Scene {
	fast := *s
	fast.Length = time.Duration(float64(s.Length) / by)
	fast.Actors = nil
	for _, a := range s.Actors {
		path := make([]scene.Waypoint, len(a.Path))
		for i, w := range a.Path {
			w.At = time.Duration(float64(w.At) / by)
			path[i] = w
		}
		a.Path = path
		fast.Actors = append(fast.Actors, a)
	}
	return &fast
}

// TestFastRate: what the adaptive rate finds and costs beside the fixed normal
// rate of 5 a second, in scenes as they are and run three times as fast. With
// DETECTD_PROOF_FAST set it prints the table of docs/performance.md, of more
// scenes.
func TestFastRate(t *testing.T) {
	sets := 1
	if os.Getenv("DETECTD_PROOF_FAST") != "" {
		sets = 4
	}
	var b strings.Builder
	score := map[string]float64{}
	for _, by := range []float64{1, 3} {
		for _, limit := range []float64{0, 10, 15} {
			var all []mot.Result
			var answers int
			var length time.Duration
			for _, s := range scene.Library(sets) {
				s = hurry(s, by)
				p := &paced{pace: pace{limit: limit}, normal: 5}
				r, err := mot.Evaluate(leverage.Run(s, leverage.Config{Delay: 80 * time.Millisecond, Noise: scene.Typical(), Pace: p}))
				require.NoError(t, err)
				all, answers, length = append(all, r), answers+p.answers, length+s.Length
				if limit == 0 {
					require.InDelta(t, 5, p.quickest, 1e-9)
				}
			}
			r := mot.Combine(all...)
			hz := float64(answers) / length.Seconds()
			score[fmt.Sprint(by, limit)] = r.HOTA
			score[fmt.Sprint("hz", by, limit)] = hz
			fmt.Fprintf(&b, "speed %g, fast_fps %g: HOTA %.3f IDF1 %.3f F1 %.3f switches %d, %.2f detections a second\n",
				by, limit, r.HOTA, r.IDF1, r.F1, r.IDSW, hz)
		}
	}
	t.Log("\n" + b.String())
	require.Greater(t, score["3 15"], score["3 0"], "fast things are followed better")
	require.Greater(t, score["1 10"], score["1 0"])
}

// TestFastRateIsForMovement: where cars are parked the rate stays normal, and it
// falls to that when what was fast is gone.
func TestFastRateIsForMovement(t *testing.T) {
	p := &paced{pace: pace{limit: 15}, normal: 5}
	s := scene.Parked(1, time.Minute)
	leverage.Run(s, leverage.Config{Delay: 80 * time.Millisecond, Pace: p})
	require.InDelta(t, 5, float64(p.answers)/s.Length.Seconds(), 1)

	fast := hurry(scene.Traffic(1), 3)
	fast.Length += 5 * time.Second // an empty street
	p = &paced{pace: pace{limit: 15}, normal: 5}
	leverage.Run(fast, leverage.Config{Delay: 80 * time.Millisecond, Pace: p})
	require.InDelta(t, 15, p.quickest, 1e-9)
	require.InDelta(t, 5, p.Rate(fast.Length), 1e-9)
}
