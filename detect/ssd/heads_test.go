package ssd_test

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"detectd/detect"
	"detectd/detect/ssd"
)

// TestLiteAnchors checks the anchors of an input of 320x320 against the formula.
func TestLiteAnchors(t *testing.T) {
	grids := ssd.LiteAnchors(320, 320)
	total := 0
	for i, side := range []int{20, 10, 5, 3, 2, 1} {
		require.Equal(t, []int{side, side}, []int{grids[i].Cols, grids[i].Rows})
		require.Len(t, grids[i].Sizes, 6)
		total += side * side * 6
	}
	require.Equal(t, 3234, total)
	for i, want := range [][2]float64{
		{0.2, 0.2},
		{math.Sqrt(0.2 * 0.35), math.Sqrt(0.2 * 0.35)},
		{0.2 * math.Sqrt2, 0.2 / math.Sqrt2},
		{0.2 / math.Sqrt2, 0.2 * math.Sqrt2},
		{0.2 * math.Sqrt(3), 0.2 / math.Sqrt(3)},
		{0.2 / math.Sqrt(3), 0.2 * math.Sqrt(3)},
	} {
		require.InDelta(t, want[0], grids[0].Sizes[i][0], 1e-6)
		require.InDelta(t, want[1], grids[0].Sizes[i][1], 1e-6)
	}
	require.Equal(t, float32(1), grids[5].Sizes[2][0]) // no side is longer than the picture
}

func headsContract(edit func(*detect.Contract)) detect.Contract {
	c := detect.Contract{
		Family: "ssdheads", Input: detect.Input{Width: 100, Height: 200}, Labels: []string{"a", "b"}, Background: true,
		Activation: detect.Softmax, Outputs: map[string]string{"boxes": "b", "scores": "s"},
		Anchors: []detect.AnchorGrid{{Cols: 2, Rows: 1, Sizes: [][2]float32{{0.5, 0.5}}}},
	}
	if edit != nil {
		edit(&c)
	}
	return c
}

func TestHeads(t *testing.T) {
	d, err := ssd.Heads().New(headsContract(nil), [][]int64{{2, 4}, {2, 3}})
	require.NoError(t, err)
	got := d.Decode(nil, [][]float32{{0, 0, 0, 0, 5, 0, 0, 0}, {5, 0, 0, 0, 0, 3}}, 0.5)
	require.Len(t, got, 1)
	require.Equal(t, 1, got[0].Class)
	require.InDelta(t, math.Exp(3)/(math.Exp(3)+2), got[0].Score, 1e-6)
	require.InDeltaSlice(t, []float32{75, 50, 125, 150}, []float32{got[0].X0, got[0].Y0, got[0].X1, got[0].Y1}, 1e-4)
	require.Len(t, d.Decode(nil, [][]float32{make([]float32, 8), make([]float32, 6)}, 0.3), 4) // a third each
}

// TestSoftmaxSkipsNothing compares with the plain way for many thresholds.
func TestSoftmaxSkipsNothing(t *testing.T) {
	d, err := ssd.Heads().New(headsContract(nil), [][]int64{{2, 4}, {2, 3}})
	require.NoError(t, err)
	for _, row := range [][]float32{{0, 1, 2}, {3, 1, 1}, {-4, -4, -4}, {2, 1.5, -9}, {80, 79, 78}} {
		var sum float64
		for _, v := range row {
			sum += math.Exp(float64(v))
		}
		for threshold := float32(0.01); threshold < 1; threshold += 0.01 {
			want := 0
			for _, v := range row[1:] {
				if float32(math.Exp(float64(v))/sum) >= threshold {
					want++
				}
			}
			got := d.Decode(nil, [][]float32{make([]float32, 8), append(row, 9, 0, 0)}, threshold)
			n := 0
			for _, c := range got {
				if c.X0 < 1 {
					n++
				}
			}
			require.Equal(t, want, n, "%v at %g", row, threshold)
		}
	}
}

func TestHeadsRefuse(t *testing.T) {
	good := [][]int64{{2, 4}, {2, 3}}
	for name, c := range map[string]struct {
		edit   func(*detect.Contract)
		shapes [][]int64
	}{
		"columns":  {nil, [][]int64{{2, 4}, {2, 4}}},
		"rows":     {nil, [][]int64{{3, 4}, {3, 3}}},
		"channels": {nil, [][]int64{{4, 1, 2}, {4, 1, 2}}},
		"rank":     {nil, [][]int64{{2}, {2, 3}}},
		"levels":   {func(c *detect.Contract) { delete(c.Outputs, "boxes") }, good},
		"none":     {func(c *detect.Contract) { c.Anchors = nil }, good},
		"absurd":   {func(c *detect.Contract) { c.Anchors[0].Cols = 1 << 40 }, good},
		"empty":    {func(c *detect.Contract) { c.Anchors[0].Rows = 0 }, good},
		"sizes":    {func(c *detect.Contract) { c.Anchors[0].Sizes = nil }, good},
		"scale":    {func(c *detect.Contract) { c.Params = map[string]float64{"scale_wh": -1} }, good},
	} {
		_, err := ssd.Heads().New(headsContract(c.edit), c.shapes)
		require.Error(t, err, name)
	}
}

func TestSniff(t *testing.T) {
	s := detect.Signature{
		Inputs: []detect.TensorInfo{{Name: "images", Type: "float32", Shape: []int64{-1, 3, 320, 320}}},
		Outputs: []detect.TensorInfo{
			{Name: "deltas", Type: "float32", Shape: []int64{-1, 3234, 4}}, {Name: "scores", Type: "float32", Shape: []int64{-1, 3234, 4}},
		},
	}
	g := ssd.Heads().Sniff(s)
	require.Equal(t, detect.Possible, g.Fit)
	require.Empty(t, g.Ask)
	require.Equal(t, map[string]string{"boxes": "deltas", "scores": "scores"}, g.Contract.Outputs)
	require.Len(t, g.Contract.Labels, 3)
	require.Len(t, g.Contract.Anchors, 6)
	require.Equal(t, detect.NoFit, ssd.Heads().Sniff(detect.Signature{}).Fit)
	require.Equal(t, detect.NoFit, ssd.Family().Sniff(s).Fit)

	s.Outputs = append(s.Outputs, detect.TensorInfo{Name: "anchors", Type: "float32", Shape: []int64{3234, 4}})
	s.Outputs[0].Name = "boxes"
	require.Equal(t, detect.Possible, ssd.Family().Sniff(s).Fit)
}
