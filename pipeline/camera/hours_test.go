package camera

import (
	"math/rand/v2"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"detectd/detect"
	"detectd/pipeline/frame"
	"detectd/pipeline/stage/annotate"
	"detectd/pipeline/stage/track"
	"detectd/store"
)

// tally counts how objects are called.
type tally struct {
	ids           map[string]int
	frames, empty int
}

func (c *tally) Annotations(as []store.Annotation) {
	for _, a := range as {
		c.frames++
		if len(a.Objects) == 0 {
			c.empty++
		}
		for _, o := range a.Objects {
			c.ids[o.TrackID]++
		}
	}
}
func (*tally) Track(store.Track) {}

// TestStandingForHours: an object that stands keeps one id for eight hours, while
// the camera is looked at as seldom as an idle one and the detector finds the
// object in most looks only, never quite at the same place. Every 20 minutes the
// camera is awake for some seconds.
func TestStandingForHours(t *testing.T) {
	const hours, fps = 8, 5
	for name, look := range map[string]time.Duration{
		"looks every 2 s": 2 * time.Second, "every 4 s": 4 * time.Second, "every 6 s": 6 * time.Second, "every 10 s": 10 * time.Second,
	} {
		t.Run(name, func(t *testing.T) {
			var n int
			rng := rand.New(rand.NewPCG(1, uint64(look)))
			c := &tally{ids: map[string]int{}}
			a := annotate.New(annotate.Config{}, track.New(track.Config{}, func() string { n++; return strconv.Itoa(n) }), c)
			next := time.Duration(0)
			for i := range hours * 3600 * fps {
				pts := time.Duration(i) * time.Second / fps
				hold, every := look+2*time.Second, look
				if pts%(20*time.Minute) < 15*time.Second {
					hold, every = time.Second, time.Second/fps
				}
				meta := frame.Meta{CameraID: "lot", Seq: uint64(i + 1), PTS: pts, Time: time.Unix(1000, 0).Add(pts)}
				a.SetHold(hold)
				a.Frame(meta, 640, 360)
				if pts < next {
					continue
				}
				next = pts + every
				a.Selected(meta.Seq)
				a.Detected(meta, flickering(rng), "m", 1)
			}
			a.Flush()
			delete(c.ids, "") // a doubtful first sighting has none yet
			require.Len(t, c.ids, 1, "one id for ever")
			require.Equal(t, hours*3600*fps, c.frames)
			require.Less(t, c.empty, c.frames/4, "most pictures show it")
		})
	}
}

// flickering is a parked car as a small model sees it: in nine looks of ten.
func flickering(rng *rand.Rand) []detect.Detection {
	if rng.Float64() < 0.1 {
		return nil
	}
	off := func() float32 { return float32(rng.NormFloat64() * 2) }
	return []detect.Detection{{
		Label: "car", Score: float32(0.35 + 0.4*rng.Float64()),
		Box: detect.Box{X: 200 + off(), Y: 150 + off(), W: 90 + off(), H: 50 + off()},
	}}
}
