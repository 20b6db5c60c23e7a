package nanodet_test

import (
	"encoding/binary"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"detectd/detect"
	"detectd/detect/nanodet"
)

func signature(side int64, out ...int64) detect.Signature {
	return detect.Signature{
		Inputs:  []detect.TensorInfo{{Name: "data", Type: "float32", Shape: []int64{1, 3, side, side}}},
		Outputs: []detect.TensorInfo{{Name: "output", Type: "float32", Shape: out}},
	}
}

func TestSniff(t *testing.T) {
	for name, c := range map[string]struct {
		s    detect.Signature
		want detect.Fit
	}{
		"plus 320": {signature(320, 1, 2125, 112), detect.Likely},
		"plus 416": {signature(416, 1, 3598, 112), detect.Likely}, // 6.5 cells of stride 64 are 7
		"few rows": {signature(416, 1, 3549, 112), detect.NoFit},
		"narrow":   {signature(320, 1, 2125, 32), detect.NoFit},
		"nothing":  {detect.Signature{}, detect.NoFit},
	} {
		require.Equal(t, c.want, nanodet.Family().Sniff(c.s).Fit, name)
	}
	require.Equal(t, detect.COCOLabels(), nanodet.Family().Sniff(signature(320, 1, 2125, 112)).Contract.Labels)
}

const cells = 16 + 4 + 1 + 1 // of a 32x32 input

func contract(edit func(*detect.Contract)) detect.Contract {
	c := detect.Contract{
		Input: detect.Input{Width: 32, Height: 32}, Labels: []string{"a", "b"}, Params: map[string]float64{"reg_max": 3},
	}
	if edit != nil {
		edit(&c)
	}
	return c
}

func TestDecode(t *testing.T) {
	out := make([]float32, cells*(2+16))
	row := out[6*18:] // the cell 2,1 of stride 8
	row[0], row[1] = 0.1, 0.8
	for side, distance := range []int{0, 1, 2, 3} {
		row[2+4*side+distance] = 50
	}
	even := out[21*18:] // the cell of stride 64: all distances alike, 1.5 in the mean
	even[0] = 0.9
	d, err := nanodet.Family().New(contract(nil), [][]int64{{cells, 18}})
	require.NoError(t, err)
	got := d.Decode(nil, [][]float32{out}, 0.5)
	require.Equal(t, []detect.Candidate{
		{Class: 1, Score: 0.8, X0: 16, Y0: 0, X1: 32, Y1: 32}, {Class: 0, Score: 0.9, X0: -96, Y0: -96, X1: 96, Y1: 96},
	}, got)

	d, err = nanodet.Family().New(contract(func(c *detect.Contract) {
		c.Params["offset"] = 0.5
		c.Activation = detect.Sigmoid
	}), [][]int64{{cells, 18}})
	require.NoError(t, err)
	got = d.Decode(nil, [][]float32{out}, 0.65)
	require.Len(t, got, 2)
	require.InDelta(t, 0.689974, got[0].Score, 1e-5)
	require.InDeltaSlice(t, []float32{20, 4, 36, 36}, []float32{got[0].X0, got[0].Y0, got[0].X1, got[0].Y1}, 1e-4)
}

func TestSettle(t *testing.T) {
	c := contract(func(c *detect.Contract) { c.Params = nil })
	out := make([]float32, cells*34)
	out[5] = -20 // a distance
	require.Empty(t, nanodet.Family().Settle(c, nil, [][]float32{out}).Activation)
	out[34] = -5 // a score
	require.Equal(t, detect.Sigmoid, nanodet.Family().Settle(c, nil, [][]float32{out}).Activation)
}

func TestNewRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		edit  func(*detect.Contract)
		shape []int64
	}{
		"rows":       {nil, []int64{cells - 1, 18}},
		"columns":    {nil, []int64{cells, 19}},
		"rank":       {nil, []int64{1, cells, 18}},
		"reg_max":    {func(c *detect.Contract) { c.Params["reg_max"] = 1e9 }, []int64{cells, 18}},
		"half":       {func(c *detect.Contract) { c.Params["reg_max"] = 2.5 }, []int64{cells, 18}},
		"background": {func(c *detect.Contract) { c.Background = true }, []int64{cells, 18}},
		"softmax":    {func(c *detect.Contract) { c.Activation = detect.Softmax }, []int64{cells, 18}},
	} {
		_, err := nanodet.Family().New(contract(c.edit), [][]int64{c.shape})
		require.Error(t, err, name)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte{0, 0, 128, 63, 0, 0, 128, 127, 1, 2, 3, 4}, float32(0.1))
	f.Fuzz(func(t *testing.T, raw []byte, minScore float32) {
		out := make([]float32, cells*18)
		for i := 0; i < len(out) && 4*i+4 <= len(raw); i++ {
			out[i] = math.Float32frombits(binary.LittleEndian.Uint32(raw[4*i:]))
			if out[i]-out[i] != 0 { // the session refuses what is not finite before
				out[i] = 0
			}
		}
		d, err := nanodet.Family().New(contract(nil), [][]int64{{cells, 18}})
		require.NoError(t, err)
		if minScore != minScore {
			return
		}
		for _, x := range d.Decode(nil, [][]float32{out}, minScore) {
			require.True(t, x.Class >= 0 && x.Class < 2)
			require.GreaterOrEqual(t, x.Score, minScore)
			require.False(t, math.IsNaN(float64(x.X0)))
		}
	})
}
