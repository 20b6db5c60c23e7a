package detr_test

import (
	"encoding/binary"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"detectd/detect"
	"detectd/detect/detr"
)

func info(name, kind string, shape ...int64) detect.TensorInfo {
	return detect.TensorInfo{Name: name, Type: kind, Shape: shape}
}

func TestSniffRTDETR(t *testing.T) {
	s := detect.Signature{
		Inputs: []detect.TensorInfo{info("images", "float32", -1, 3, 640, 640), info("orig_target_sizes", "int64", -1, 2)},
		Outputs: []detect.TensorInfo{
			info("labels", "int64", -1, 300), info("boxes", "float32", -1, 300, 4), info("scores", "float32", -1, 300),
		},
	}
	g := detr.RTDETR().Sniff(s)
	require.Equal(t, detect.Likely, g.Fit)
	require.Equal(t, []string{"labels"}, g.Ask)
	require.Equal(t, map[string][]float64{"orig_target_sizes": {640, 640}}, g.Contract.Constants)
	require.Equal(t, detect.Stretch, g.Contract.Input.Resize)

	for i, name := range []string{"c", "b", "s"} {
		s.Outputs[i].Name = name
	}
	s.Metadata = map[string]string{"names": "['a']"}
	g = detr.RTDETR().Sniff(s)
	require.Equal(t, detect.Possible, g.Fit)
	require.Equal(t, map[string]string{"labels": "c", "boxes": "b", "scores": "s"}, g.Contract.Outputs)
	require.Empty(t, g.Ask)

	s.Inputs[1].Name = "temperature"
	require.Equal(t, detect.NoFit, detr.RTDETR().Sniff(s).Fit)
	require.Equal(t, detect.NoFit, detr.RTDETR().Sniff(detect.Signature{}).Fit)
}

func TestSniffRFDETR(t *testing.T) {
	s := detect.Signature{
		Inputs:  []detect.TensorInfo{info("input", "float32", 1, 3, 384, 384)},
		Outputs: []detect.TensorInfo{info("dets", "float32", 1, 300, 4), info("labels", "float32", 1, 300, 91)},
	}
	g := detr.RFDETR().Sniff(s)
	require.Equal(t, detect.Likely, g.Fit)
	require.Empty(t, g.Ask)
	require.Equal(t, detect.COCOLabels(), g.Contract.Labels)
	require.Len(t, g.Contract.LabelIDs, 91)
	require.Equal(t, []int{-1, 0, 79}, []int{g.Contract.LabelIDs[0], g.Contract.LabelIDs[1], g.Contract.LabelIDs[90]})

	s.Outputs[1].Shape = []int64{1, 300, 4} // three classes and the spare one: told by the name
	s.Metadata = map[string]string{"names": "['a','b','c']"}
	g = detr.RFDETR().Sniff(s)
	require.Equal(t, detect.Likely, g.Fit)
	require.Equal(t, map[string]string{"boxes": "dets", "logits": "labels"}, g.Contract.Outputs)
	require.Equal(t, []int{0, 1, 2, -1}, g.Contract.LabelIDs)

	s.Metadata = nil
	g = detr.RFDETR().Sniff(s)
	require.Equal(t, []string{"class 0", "class 1", "class 2"}, g.Contract.Labels)
	require.Equal(t, []int{0, 1, 2, -1}, g.Contract.LabelIDs)

	s.Outputs[1].Shape = []int64{1, 299, 91}
	require.Equal(t, detect.NoFit, detr.RFDETR().Sniff(s).Fit)
	require.Equal(t, detect.NoFit, detr.RFDETR().Sniff(detect.Signature{}).Fit)
}

func contract(edit func(*detect.Contract)) detect.Contract {
	c := detect.Contract{
		Input: detect.Input{Width: 100, Height: 200}, Labels: []string{"a", "b"},
		Box: detect.CXCYWH, BoxUnit: detect.Unit, Activation: detect.Sigmoid,
	}
	if edit != nil {
		edit(&c)
	}
	return c
}

func chosen(c *detect.Contract) { c.Box, c.BoxUnit, c.Activation = "", "", "" }

func TestDecode(t *testing.T) {
	d, err := detr.RFDETR().New(contract(nil), [][]int64{{2, 4}, {2, 2}})
	require.NoError(t, err)
	got := d.Decode(nil, [][]float32{{0.5, 0.5, 0.2, 0.1, 0, 0, 1, 1}, {2, 1, -5, -4}}, 0.5)
	require.Len(t, got, 2) // both classes of the first query
	require.Equal(t, []int{0, 1}, []int{got[0].Class, got[1].Class})
	require.InDelta(t, 0.880797, got[0].Score, 1e-5)
	require.InDeltaSlice(t, []float32{40, 90, 60, 110}, []float32{got[0].X0, got[0].Y0, got[0].X1, got[0].Y1}, 1e-4)

	d, err = detr.RFDETR().New(contract(func(c *detect.Contract) { c.Background = true }), [][]int64{{1, 4}, {1, 3}})
	require.NoError(t, err)
	got = d.Decode(nil, [][]float32{{0, 0, 0, 0}, {9, -9, 9}}, 0.5)
	require.Len(t, got, 1)
	require.Equal(t, 1, got[0].Class)

	d, err = detr.RTDETR().New(contract(chosen), [][]int64{{3}, {3, 4}, {3}})
	require.NoError(t, err)
	got = d.Decode(nil, [][]float32{{1, 7, -1}, {1, 2, 3, 4, 0, 0, 0, 0, 0, 0, 0, 0}, {0.7, 0.9, 0.9}}, 0.5)
	require.Equal(t, []detect.Candidate{{Class: 1, Score: 0.7, X0: 1, Y0: 2, X1: 3, Y1: 4}}, got)
}

func TestNewRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		f      detect.Family
		edit   func(*detect.Contract)
		shapes [][]int64
	}{
		"rows":    {detr.RFDETR(), nil, [][]int64{{2, 4}, {3, 2}}},
		"classes": {detr.RFDETR(), nil, [][]int64{{2, 4}, {2, 3}}},
		"softmax": {detr.RFDETR(), func(c *detect.Contract) { c.Activation = detect.Softmax }, [][]int64{{2, 4}, {2, 2}}},
		"boxes":   {detr.RTDETR(), chosen, [][]int64{{3}, {3, 5}, {3}}},
		"lists":   {detr.RTDETR(), chosen, [][]int64{{3}, {3, 4}, {2}}},
		"sigmoid": {detr.RTDETR(), nil, [][]int64{{3}, {3, 4}, {3}}},
	} {
		_, err := c.f.New(contract(c.edit), c.shapes)
		require.Error(t, err, name)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte{0, 0, 128, 63, 0, 0, 192, 127, 1, 2, 3, 4}, float32(0.1))
	f.Fuzz(func(t *testing.T, raw []byte, minScore float32) {
		values := make([]float32, 60)
		for i := 0; i < len(values) && 4*i+4 <= len(raw); i++ {
			values[i] = math.Float32frombits(binary.LittleEndian.Uint32(raw[4*i:]))
			if values[i] != values[i] { // the session refuses NaN before
				values[i] = 0
			}
		}
		a, err := detr.RFDETR().New(contract(nil), [][]int64{{10, 4}, {10, 2}})
		require.NoError(t, err)
		b, err := detr.RTDETR().New(contract(chosen), [][]int64{{10}, {10, 4}, {10}})
		require.NoError(t, err)
		if minScore != minScore {
			return
		}
		got := a.Decode(nil, [][]float32{values[:40], values[40:]}, minScore)
		for _, x := range b.Decode(got, [][]float32{values[:10], values[10:50], values[50:]}, minScore) {
			require.True(t, x.Class >= 0 && x.Class < 2)
			require.GreaterOrEqual(t, x.Score, minScore)
		}
	})
}
