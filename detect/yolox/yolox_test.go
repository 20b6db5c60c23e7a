package yolox_test

import (
	"encoding/binary"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"detectd/detect"
	"detectd/detect/yolox"
)

func signature(in, out []int64) detect.Signature {
	return detect.Signature{
		Inputs:  []detect.TensorInfo{{Name: "images", Type: "float32", Shape: in}},
		Outputs: []detect.TensorInfo{{Name: "output", Type: "float32", Shape: out}},
	}
}

func TestSniff(t *testing.T) {
	for name, c := range map[string]struct {
		in, out []int64
		fits    bool
	}{
		"nano":          {[]int64{1, 3, 416, 416}, []int64{1, 3549, 85}, true},
		"dynamic batch": {[]int64{-1, 3, 640, 640}, []int64{-1, 8400, 85}, true},
		"own classes":   {[]int64{1, 3, 64, 32}, []int64{1, 32 + 8 + 2, 8}, true},
		"four strides":  {[]int64{1, 3, 1280, 1280}, []int64{1, 160*160 + 80*80 + 40*40 + 20*20, 85}, true},
		"v5":            {[]int64{1, 3, 640, 640}, []int64{1, 25200, 85}, false},
		"v8":            {[]int64{1, 3, 640, 640}, []int64{1, 84, 8400}, false},
		"free size":     {[]int64{1, 3, -1, -1}, []int64{1, -1, 85}, false},
		"classifier":    {[]int64{1, 3, 224, 224}, []int64{1, 1000}, false},
		"no shape":      {nil, nil, false},
	} {
		guess := yolox.Family().Sniff(signature(c.in, c.out))
		got := guess.Contract
		require.Equal(t, c.fits, guess.Fit > detect.NoFit, name)
		if c.fits {
			require.Equal(t, int(c.in[3]), got.Input.Width)
			require.Len(t, got.Labels, int(c.out[2])-5)
			require.Equal(t, int(max(c.in[0], 0)), got.Input.Batch)
		}
	}
	got := yolox.Family().Sniff(signature([]int64{1, 3, 416, 416}, []int64{1, 3549, 85}))
	require.Equal(t, detect.COCOLabels(), got.Contract.Labels)
	require.Equal(t, detect.Likely, got.Fit)
	require.Equal(t, detect.NoFit, yolox.Family().Sniff(detect.Signature{}).Fit)
}

// small is a contract with a 32x32 input: 16 + 4 + 1 rows.
func small() detect.Contract {
	return detect.Contract{
		Family: "yolox", Input: detect.Input{Width: 32, Height: 32}, Labels: []string{"a", "b"},
	}
}

func TestDecode(t *testing.T) {
	out := make([]float32, 21*7)
	row := func(i int, v ...float32) { copy(out[i*7:], v) }
	row(6, 0.5, 0.25, float32(math.Log(2)), 0, 0.9, 0.1, 0.8) // cell 2,1 of stride 8
	row(20, 0.5, 0.5, 0, 0, 0.6, 0.9, 0.2)                    // the cell of stride 32
	row(3, 0, 0, 0, 0, 0.9, 0.1, 0.2)                         // object without a class
	row(4, 0, 0, 0, 0, 0.1, 0.9, 0.9)                         // class without an object
	d, err := yolox.Family().New(small(), [][]int64{{21, 7}})
	require.NoError(t, err)
	got := d.Decode(nil, [][]float32{out}, 0.5)
	require.Len(t, got, 2)
	require.Equal(t, 1, got[0].Class)
	require.InDelta(t, 0.72, got[0].Score, 1e-6)
	require.InDeltaSlice(t, []float32{12, 6, 28, 14}, []float32{got[0].X0, got[0].Y0, got[0].X1, got[0].Y1}, 1e-4)
	require.Equal(t, detect.Candidate{Class: 0, Score: 0.6 * float32(0.9), X0: 0, Y0: 0, X1: 32, Y1: 32}, got[1])

	c := small()
	c.Params = map[string]float64{"decoded": 1}
	d, err = yolox.Family().New(c, [][]int64{{21, 7}})
	require.NoError(t, err)
	row(6, 20, 10, 16, 8, 0.9, 0.1, 0.8)
	got = d.Decode(nil, [][]float32{out}, 0.6)
	require.Len(t, got, 1)
	require.Equal(t, float32(12), got[0].X0)
}

func TestSettle(t *testing.T) {
	out := make([]float32, 21*7)
	require.Nil(t, yolox.Family().Settle(small(), nil, [][]float32{out}).Params)
	out[20*7] = 30
	require.Equal(t, map[string]float64{"decoded": 1}, yolox.Family().Settle(small(), nil, [][]float32{out}).Params)
}

func TestNewRefuses(t *testing.T) {
	for name, shape := range map[string][]int64{
		"rows": {20, 7}, "columns": {21, 8}, "rank": {1, 21, 7}, "narrow": {21, 5},
	} {
		_, err := yolox.Family().New(small(), [][]int64{shape})
		require.Error(t, err, name)
	}
	c := small()
	c.Background = true
	_, err := yolox.Family().New(c, [][]int64{{21, 7}})
	require.Error(t, err)
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte{0, 0, 128, 63, 0, 0, 192, 127, 1, 2, 3, 4}, float32(0.1))
	f.Fuzz(func(t *testing.T, raw []byte, minScore float32) {
		out := make([]float32, 21*7)
		for i := range out {
			if at := 4 * i; at+4 <= len(raw) {
				out[i] = math.Float32frombits(binary.LittleEndian.Uint32(raw[at:]))
			}
			if out[i] != out[i] { // the session refuses NaN before
				out[i] = 0
			}
		}
		d, err := yolox.Family().New(small(), [][]int64{{21, 7}})
		require.NoError(t, err)
		for _, c := range d.Decode(nil, [][]float32{out}, minScore) {
			require.True(t, c.Class >= 0 && c.Class < 2)
			require.GreaterOrEqual(t, c.Score, minScore)
		}
	})
}
