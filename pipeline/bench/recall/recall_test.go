package recall

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"detectd/pipeline/decode"
	"detectd/pipeline/simulate"
	"detectd/store"
)

func TestMain(m *testing.M) {
	decode.Quiet()
	goleak.VerifyTestMain(m)
}

func TestMeasure(t *testing.T) {
	few := kinds()[:3]
	r, err := measure(t.Context(), Config{Visits: 1, Seed: 1}, few)
	require.NoError(t, err)
	require.Equal(t, len(few), r.Scenes)
	require.Equal(t, r.Scenes, r.Events)
	require.Equal(t, r.Events, r.Found, "%v", r.Late)
	require.Positive(t, r.Decoded)
	require.Equal(t, r.Scenes*(first+period+50), r.Units)
}

// A judge that finds everything in anything is worth nothing.
func TestJudge(t *testing.T) {
	spec := simulate.Spec{FPS: fps, Frames: 100, Scene: &simulate.Scene{Visits: []simulate.Visit{
		{From: 10, To: 30}, {From: 40, To: 60}, {From: 70, To: 90}, {From: 92, To: 98},
	}}}
	th := &theatre{spec: spec, decoded: map[time.Duration]int{}}
	for i := range 100 {
		a := store.Annotation{Frame: uint64(i + 1), PTS: time.Duration(i) * time.Second / fps}
		for k, v := range spec.Scene.Visits {
			x, y, w, h, ok := v.Visible(spec, i)
			late := []int{2, 15, 0, 0}[k]
			if ok && i >= v.From+late && k < 3 {
				shift := float32([]int{0, 0, 200}[k]) // the third box is somewhere else
				a.Objects = append(a.Objects, store.Object{Box: [4]float32{float32(x) + shift, float32(y), float32(w), float32(h)}})
			}
		}
		th.as = append(th.as, a)
		th.decoded[a.PTS]++
	}
	r := th.judge("made up")
	require.Equal(t, 4, r.Events)
	require.Equal(t, 2, r.Found)
	require.Equal(t, 1, r.Started)
	require.Len(t, r.Late, 3)
	th.decoded = map[time.Duration]int{}
	require.Zero(t, th.judge("nothing decoded").Started)
}
