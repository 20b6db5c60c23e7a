package sniff_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"detectd/detect"
	"detectd/detect/sniff"
)

func TestPicture(t *testing.T) {
	one := [3]float32{1, 1, 1}
	for name, c := range map[string]struct {
		kind     string
		shape    []int64
		metadata map[string]string
		want     *detect.Input
	}{
		"fixed":    {"float32", []int64{1, 3, 48, 64}, nil, &detect.Input{Layout: detect.NCHW, Width: 64, Height: 48, Batch: 1}},
		"bytes":    {"uint8", []int64{-1, 48, 64, 3}, nil, &detect.Input{Layout: detect.NHWC, Type: "uint8", Width: 64, Height: 48}},
		"halves":   {"float16", []int64{-1, 3, 48, 64}, nil, &detect.Input{Layout: detect.NCHW, Type: "float16", Width: 64, Height: 48}},
		"free":     {"float32", []int64{-1, 3, -1, -1}, nil, &detect.Input{Layout: detect.NCHW, Width: 640, Height: 640, Stride: 32}},
		"all free": {"float32", []int64{-1, -1, -1, -1}, nil, &detect.Input{Layout: detect.NCHW, Width: 640, Height: 640, Stride: 32}},
		"metadata": {
			"float32",
			[]int64{-1, 3, -1, -1},
			map[string]string{"imgsz": "[384, 512]", "stride": "64"},
			&detect.Input{Layout: detect.NCHW, Width: 512, Height: 384, Stride: 64},
		},
		"two sides": {
			"float32",
			[]int64{-1, 3, -1, 96},
			map[string]string{"imgsz_h": "128", "imgsz_w": "256"},
			&detect.Input{Layout: detect.NCHW, Width: 96, Height: 128, Stride: 32},
		},
		"grey":      {"float32", []int64{1, 1, 48, 64}, nil, nil},
		"no batch":  {"float32", []int64{3, 48, 64}, nil, nil},
		"long ints": {"int64", []int64{1, 3, 48, 64}, nil, nil},
	} {
		got, ok := sniff.Picture(detect.Signature{
			Inputs: []detect.TensorInfo{
				{Name: "x", Type: c.kind, Shape: c.shape},
				{Name: "orig_target_sizes", Type: "int64", Shape: []int64{-1, 2}},
			}, Metadata: c.metadata,
		})
		require.Equal(t, c.want != nil, ok, name)
		if ok {
			c.want.Name, c.want.Scale, c.want.Std = "x", 1, one
			require.Equal(t, *c.want, got, name)
		}
	}
	two := detect.TensorInfo{Type: "float32", Shape: []int64{1, 3, 8, 8}}
	_, ok := sniff.Picture(detect.Signature{Inputs: []detect.TensorInfo{two, two}})
	require.False(t, ok)
}

func TestConstants(t *testing.T) {
	s := detect.Signature{Inputs: []detect.TensorInfo{
		{Name: "images"}, {Name: "orig_target_sizes", Type: "int64", Shape: []int64{-1, 2}},
	}}
	in := detect.Input{Name: "images", Width: 64, Height: 48}
	got, ok := sniff.Constants(s, in)
	require.True(t, ok)
	require.Equal(t, map[string][]float64{"orig_target_sizes": {64, 48}}, got)
	s.Inputs[1].Name = "temperature"
	_, ok = sniff.Constants(s, in)
	require.False(t, ok)
}

func TestFit(t *testing.T) {
	named := func(names string) detect.Signature {
		return detect.Signature{Metadata: map[string]string{"names": names}}
	}
	require.Equal(t, detect.Certain, sniff.FitOf(named("['a','b']"), 2, false))
	require.Equal(t, detect.NoFit, sniff.FitOf(named("['a','b']"), 3, true))
	require.Equal(t, detect.Possible, sniff.FitOf(named("damaged("), 3, false))
	require.Equal(t, detect.Likely, sniff.FitOf(detect.Signature{}, 80, false))
	require.Equal(t, detect.Likely, sniff.FitOf(detect.Signature{}, 3, true))
	require.Equal(t, detect.Possible, sniff.FitOf(detect.Signature{}, 3, false))
	require.Equal(t, detect.NoFit, sniff.FitOf(detect.Signature{}, 0, true))
	require.Equal(t, []string{"a", "b"}, sniff.Labels(named("['a','b']"), 2))
	require.Equal(t, []string{"class 0", "class 1", "class 2"}, sniff.Labels(named("['a','b']"), 3))
	require.Equal(t, detect.COCOLabels(), sniff.Labels(detect.Signature{}, 80))
}
