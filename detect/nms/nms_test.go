package nms_test

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"detectd/detect"
	"detectd/detect/nms"
)

func box(class int, score, x, y, w, h float32) detect.Candidate {
	return detect.Candidate{Class: class, Score: score, X0: x, Y0: y, X1: x + w, Y1: y + h}
}

func TestSuppress(t *testing.T) {
	a := box(0, 0.9, 0, 0, 10, 10)
	same := box(0, 0.8, 1, 0, 10, 10)  // IoU 9/11
	half := box(0, 0.7, 5, 0, 10, 10)  // IoU 1/3 with a
	other := box(1, 0.6, 0, 0, 10, 10) // another class
	empty := box(0, 0.5, 0, 0, 0, 0)
	apart := box(0, 0.4, 50, 50, 5, 5)
	all := []detect.Candidate{apart, empty, other, half, same, a}
	for _, c := range []struct {
		iou   float32
		limit int
		want  []detect.Candidate
	}{
		{0.5, 100, []detect.Candidate{a, half, other, empty, apart}},
		{0.3, 100, []detect.Candidate{a, other, empty, apart}},
		{0.9, 100, []detect.Candidate{a, same, half, other, empty, apart}},
		{0, 100, []detect.Candidate{a, same, half, other, empty, apart}},
		{0.5, 2, []detect.Candidate{a, half}},
		{0.5, 0, []detect.Candidate{}},
	} {
		got := nms.Suppress(append([]detect.Candidate{}, all...), c.iou, c.limit)
		require.Equal(t, c.want, got, "iou %g limit %d", c.iou, c.limit)
	}
	require.Empty(t, nms.Suppress(nil, 0.5, 10))
}

func TestOrderOfInputDoesNotMatter(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	var all []detect.Candidate
	for range 300 {
		all = append(all, box(rng.IntN(3), float32(rng.IntN(5))/5, float32(rng.IntN(50)), float32(rng.IntN(50)), 10, 10))
	}
	want := nms.Suppress(append([]detect.Candidate{}, all...), 0.4, 100)
	for range 20 {
		rng.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		require.Equal(t, want, nms.Suppress(append([]detect.Candidate{}, all...), 0.4, 100))
	}
}

func TestSuppressEach(t *testing.T) {
	pair := func(class int) []detect.Candidate {
		return []detect.Candidate{
			{Class: class, Score: 0.9, X1: 10, Y1: 10}, {Class: class, Score: 0.8, X0: 3, X1: 13, Y1: 10}, // IoU 0.54
		}
	}
	all := append(append(pair(0), pair(1)...), pair(2)...)
	got := nms.SuppressEach(all, func(class int) float32 { return []float32{0.5, 0.6, 1}[class] }, 10)
	count := map[int]int{}
	for _, x := range got {
		count[x.Class]++
	}
	require.Equal(t, map[int]int{0: 1, 1: 2, 2: 2}, count)
}
