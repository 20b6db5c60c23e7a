package camera

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"detectd/pipeline"
	"detectd/pipeline/activity"
	"detectd/pipeline/simulate"
)

// TestStillScenes: where a camera's video is decoded all the time, its pictures
// tell when the model need not see them, and everybody who comes is found as if it
// saw five a second.
func TestStillScenes(t *testing.T) {
	visits := []simulate.Visit{{From: 300, To: 340, Speed: 2}, {From: 520, To: 540, Speed: 6, Enters: true}, {From: 677, To: 730}}
	for name, tc := range map[string]struct {
		spec  simulate.Spec
		scene simulate.Scene
		gate  func() *activity.Gate
	}{
		"padded":        {spec: simulate.Spec{Bitrate: 600_000, Padded: true}, scene: simulate.Scene{Noise: 4}},
		"far keys":      {spec: simulate.Spec{GOP: 400}, scene: simulate.Scene{Noise: 2}},
		"mjpeg":         {spec: simulate.Spec{Codec: pipeline.MJPEG}, scene: simulate.Scene{Noise: 2}},
		"set to decode": {gate: activity.NewDecoding},
		"light":         {scene: simulate.Scene{Noise: 3, Step: 200}, gate: activity.NewDecoding},
	} {
		t.Run(name, func(t *testing.T) {
			spec, scene := tc.spec, tc.scene
			spec.FPS, spec.Frames = 25, 900
			if spec.GOP == 0 {
				spec.GOP = 50
			}
			scene.Visits = visits
			spec.Scene = &scene
			th := newTheatre(t, spec)
			th.gate = tc.gate
			th.play(nil)
			th.check()
			require.Zero(t, th.status.IdleFrames)
			require.Less(t, int(th.status.Inferences), 180*7/10, "detections, of 180")
			require.Zero(t, th.status.IdleLate)
		})
	}
}

// TestOpenGroups: key pictures from which decoding may start (recovery points of
// H.264, CRA pictures of H.265), but before which pictures are shown that cannot be
// decoded from there, leave the camera decoded, and it is still.
func TestOpenGroups(t *testing.T) {
	for _, codec := range []pipeline.Codec{pipeline.H264, pipeline.H265} {
		t.Run(string(codec), func(t *testing.T) {
			th := newTheatre(t, simulate.Spec{Codec: codec, FPS: 25, Frames: 600, GOP: 50, BFrames: 3, Open: true, Scene: &simulate.Scene{
				Noise: 1, Visits: []simulate.Visit{{From: 400, To: 470, Speed: 2}},
			}})
			keys := 0
			for _, u := range th.units {
				if u.Key {
					keys++
				}
			}
			require.Greater(t, keys, 8)
			reasons := map[string]bool{}
			th.seen = func(s pipeline.Status) { reasons[s.ActivityReason] = true }
			th.play(nil)
			th.check()
			require.Zero(t, th.status.IdleFrames)
			require.Contains(t, reasons, activity.ReasonOpenGroups)
			require.Less(t, int(th.status.Inferences), 90, "detections, of 120")
		})
	}
}

// TestStandingObjectKeepsItsIDWhileStill: with all pictures between two looks
// annotated.
func TestStandingObjectKeepsItsIDWhileStill(t *testing.T) {
	th := newTheatre(t, simulate.Spec{
		FPS: 25, Frames: 1000, GOP: 50, Scene: &simulate.Scene{Visits: []simulate.Visit{{From: 0, To: 1000}, {From: 700, To: 730, Speed: 3}}},
	})
	th.gate = activity.NewDecoding
	th.play(nil)
	th.check()
	require.Less(t, int(th.status.Inferences), 100, "detections in 40 s")
	for _, a := range th.as[:690] {
		require.Len(t, a.Objects, 1, "picture %d", a.Frame)
		require.Equal(t, "1", a.Objects[0].TrackID, "one id for ever")
	}
}

// TestChangeIsLookedAt: another model, or other zones, see the camera's pictures
// at once, idle or still.
func TestChangeIsLookedAt(t *testing.T) {
	for name, gate := range map[string]func() *activity.Gate{"idle": nil, "still": activity.NewDecoding} {
		for what, change := range map[string]func(th *theatre, w *Worker){
			"model": func(th *theatre, _ *Worker) { th.mu.Lock(); th.model = "other"; th.mu.Unlock() },
			"zones": func(_ *theatre, w *Worker) { w.Changed() },
		} {
			t.Run(name+" "+what, func(t *testing.T) {
				th := newTheatre(t, simulate.Spec{FPS: 25, Frames: 1000, GOP: 50, Scene: &simulate.Scene{Noise: 1}})
				th.gate, th.half = gate, func(w *Worker) { change(th, w) }
				th.play(nil)
				th.check()
				before, after := 0, 0
				for _, at := range th.asked {
					switch d := at - th.middle; {
					case d > 0 && d < 2*time.Second:
						after++
					case d < -7*time.Second && d > -12*time.Second: // what is kept since the last look is seen, too
						before++
					}
				}
				require.LessOrEqual(t, before, 4)
				require.GreaterOrEqual(t, after, 9)
			})
		}
	}
}
