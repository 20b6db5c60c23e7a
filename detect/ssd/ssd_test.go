package ssd_test

import (
	"encoding/binary"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"detectd/detect"
	"detectd/detect/ssd"
)

func contract() detect.Contract {
	return detect.Contract{
		Family: "ssd", Input: detect.Input{Width: 100, Height: 200},
		Labels: []string{"a", "b"}, Background: true,
		Params: map[string]float64{"yx_order": 1},
	}
}

func TestDecode(t *testing.T) {
	ln2 := float32(math.Log(2) * 5)
	boxes := []float32{
		0, 0, 0, 0, // the anchor itself
		5, 2.5, ln2, 0, // half an anchor down, a quarter right, twice as high
		0, 0, 1e30, -1e30, // absurd, but finite
	}
	scores := []float32{
		1, 0.6, 0.7, // background, a, b
		1, 0.2, 0.9,
		1, 0.5, 0,
	}
	anchors := []float32{0.25, 0.2, 0.75, 0.6, 0.25, 0.2, 0.75, 0.6, 0.25, 0.2, 0.75, 0.6}
	shapes := [][]int64{{3, 4}, {3, 3}, {1, 3, 4}}
	d, err := ssd.Family().New(contract(), shapes)
	require.NoError(t, err)
	got := d.Decode(nil, [][]float32{boxes, scores, anchors}, 0.5)
	require.Len(t, got, 4)
	near := func(class int, score, x0, y0, x1, y1 float32, c detect.Candidate) {
		t.Helper()
		require.Equal(t, class, c.Class)
		require.InDeltaSlice(t, []float32{score, x0, y0, x1, y1}, []float32{c.Score, c.X0, c.Y0, c.X1, c.Y1}, 1e-3)
	}
	near(0, 0.6, 20, 50, 60, 150, got[0])
	near(1, 0.7, 20, 50, 60, 150, got[1])
	near(1, 0.9, 30, 50, 70, 250, got[2])
	require.False(t, math.IsInf(float64(got[3].Y1), 0))

	// The same in x, y order.
	c := contract()
	c.Params = map[string]float64{"scale_xy": 10, "scale_wh": 5}
	d, err = ssd.Family().New(c, shapes)
	require.NoError(t, err)
	swapped := []float32{0.2, 0.25, 0.6, 0.75, 0.2, 0.25, 0.6, 0.75, 0.2, 0.25, 0.6, 0.75}
	code := append([]float32{0, 0, 0, 0, 2.5, 5, 0, ln2}, boxes[8:]...)
	near(1, 0.9, 30, 50, 70, 250, d.Decode(nil, [][]float32{code, scores, swapped}, 0.8)[0])
}

func TestNewRefuses(t *testing.T) {
	good := [][]int64{{3, 4}, {3, 3}, {3, 4}}
	for name, c := range map[string]struct {
		edit   func(*detect.Contract)
		shapes [][]int64
	}{
		"boxes":    {nil, [][]int64{{3, 5}, {3, 3}, {3, 4}}},
		"rows":     {nil, [][]int64{{4, 4}, {3, 3}, {3, 4}}},
		"anchors":  {nil, [][]int64{{3, 4}, {3, 3}, {2, 4}}},
		"rank":     {nil, [][]int64{{3, 4}, {1, 3, 3}, {3, 4}}},
		"classes":  {func(c *detect.Contract) { c.Background = false }, good},
		"labelids": {func(c *detect.Contract) { c.LabelIDs = []int{0} }, good},
		"scale":    {func(c *detect.Contract) { c.Params = map[string]float64{"scale_xy": 0} }, good},
	} {
		k := contract()
		if c.edit != nil {
			c.edit(&k)
		}
		_, err := ssd.Family().New(k, c.shapes)
		require.Error(t, err, name)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte{0, 0, 128, 63, 0, 0, 192, 127, 1, 2, 3, 4}, float32(0.1))
	f.Fuzz(func(t *testing.T, raw []byte, minScore float32) {
		values := make([]float32, 2*(4+3+4))
		for i := 0; i < len(values) && 4*i+4 <= len(raw); i++ {
			values[i] = math.Float32frombits(binary.LittleEndian.Uint32(raw[4*i:]))
		}
		d, err := ssd.Family().New(contract(), [][]int64{{2, 4}, {2, 3}, {2, 4}})
		require.NoError(t, err)
		for _, c := range d.Decode(nil, [][]float32{values[:8], values[8:14], values[14:]}, minScore) {
			require.True(t, c.Class >= 0 && c.Class < 2)
			require.GreaterOrEqual(t, c.Score, minScore)
		}
	})
}
