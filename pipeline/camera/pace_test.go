package camera

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"detectd/detect"
)

func at(x float32) detect.Detection {
	return detect.Detection{Label: "car", Score: 0.8, Box: detect.Box{X: x, Y: 50, W: 40, H: 40}}
}

func TestPace(t *testing.T) {
	const normal, tick = 5.0, 200 * time.Millisecond
	run := func(p *pace, pts time.Duration, step float32, n int) time.Duration {
		for i := range n {
			p.answered(pts, []detect.Detection{at(step * float32(i))}, normal)
			pts += tick
		}
		return pts
	}
	for name, tc := range map[string]struct {
		limit float64
		step  float32 // pixels between two detections of an object of 40
		want  float64
	}{
		"slow":             {10, 8, 5},
		"fast":             {10, 30, 10},
		"fast and 15 wide": {60, 30, 15},
		"limit below":      {3, 30, 5},
		"switched off":     {0, 30, 5},
	} {
		t.Run(name, func(t *testing.T) {
			p := &pace{limit: tc.limit}
			pts := run(p, 0, tc.step, 5)
			require.InDelta(t, tc.want, p.rate(pts, normal), 1e-9)
			require.InDelta(t, normal, p.rate(pts+fastFor, normal), 1e-9, "not for ever")
		})
	}
	t.Run("speed is in time, not in detections", func(t *testing.T) {
		p := &pace{limit: 10}
		p.answered(0, []detect.Detection{at(0)}, normal)
		p.answered(tick/2, []detect.Detection{at(15)}, normal)
		require.InDelta(t, 10, p.rate(tick, normal), 1e-9, "15 pixels in half the time")
	})
	t.Run("another limit", func(t *testing.T) {
		p := &pace{limit: 0}
		pts := run(p, 0, 30, 5)
		require.InDelta(t, normal, p.rate(pts, normal), 1e-9)
		p.most(12)
		require.InDelta(t, 12, p.rate(pts, normal), 1e-9)
	})
	t.Run("a detector that is behind", func(t *testing.T) {
		p := &pace{limit: 10}
		pts := run(p, 0, 30, 5)
		p.behind(pts)
		require.InDelta(t, normal, p.rate(pts, normal), 1e-9)
	})
	t.Run("many at once", func(t *testing.T) {
		p := &pace{limit: 10}
		p.answered(0, []detect.Detection{at(0)}, normal)
		p.answered(tick, []detect.Detection{at(0), at(500), at(900)}, normal)
		require.InDelta(t, 10, p.rate(tick, normal), 1e-9)
	})
}
