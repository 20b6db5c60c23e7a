package ort_test

import (
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"detectd/detect/detecttest"
	"detectd/detect/onnx"
	"detectd/detect/ort"
)

// TestSizes runs a model in the numbers of pictures that a GPU is given: calls are
// filled up, and what they are filled up with does no harm.
func TestSizes(t *testing.T) {
	rt := detecttest.Runtime(t)
	info := ort.Info{Input: "x", Shape: []int64{0, 2}, Outputs: []string{"y", "c"}}
	s, err := rt.NewSession(sum(t, onnx.Dim{Symbol: "n"}), info, ort.OnLanes(ort.Bound(ort.Options{Sizes: []int{1, 4, 8}}), 2))
	require.NoError(t, err)
	defer func() { require.NoError(t, s.Close()) }()
	require.Equal(t, 8, s.MaxBatch())
	_, err = s.Acquire(9)
	require.ErrorContains(t, err, "9 pictures are more than the 8")
	var all sync.WaitGroup
	for batch := 1; batch <= 8; batch++ {
		all.Go(func() {
			for range 20 {
				c, err := s.Acquire(batch)
				if err != nil {
					t.Error(err)
					return
				}
				size := map[bool]int{true: 1, false: map[bool]int{true: 4, false: 8}[batch <= 4]}[batch == 1]
				in := c.Input()
				if len(in) != 2*size {
					t.Errorf("%d pictures run as %d", batch, len(in)/2)
				}
				for i := range 2 * batch {
					in[i] = float32(10*batch + i)
				}
				if err := c.Run(t.Context()); err != nil {
					t.Error(err)
				}
				for i := range batch {
					if y := c.Outputs(nil, i); y[0][0] != in[2*i]+1 || y[0][1] != in[2*i+1]+1 || y[1][2] != 9 {
						t.Errorf("picture %d of %d gave %v", i, batch, y)
					}
				}
				c.Release()
			}
		})
	}
	all.Wait()
}

// TestFilledUpWithNonsense has pictures that nobody asked for give no number.
func TestFilledUpWithNonsense(t *testing.T) {
	rt := detecttest.Runtime(t)
	info := ort.Info{Input: "x", Shape: []int64{0, 2}, Outputs: []string{"y"}}
	s, err := rt.NewSession(sum(t, onnx.Dim{Symbol: "n"}), info, ort.Options{Sizes: []int{1, 4}})
	require.NoError(t, err)
	defer func() { require.NoError(t, s.Close()) }()
	c, err := s.Acquire(4)
	require.NoError(t, err)
	zero := float32(0)
	c.Input()[7] = zero / zero
	require.ErrorIs(t, c.Run(t.Context()), ort.ErrNotFinite)
	c.Release()
	c, err = s.Acquire(3)
	require.NoError(t, err)
	require.NoError(t, c.Run(t.Context()), "the fourth picture is an earlier one")
	c.Release()
}

// TestSizesOfOnePicture are those of a model that says that it takes any number.
func TestSizesOfOnePicture(t *testing.T) {
	rt := detecttest.Runtime(t)
	info := ort.Info{Input: "x", Shape: []int64{1, 2}, Outputs: []string{"y"}}
	s, err := rt.NewSession(sum(t, onnx.Dim{Size: 1}), info, ort.Options{Sizes: []int{1, 4}})
	require.NoError(t, err)
	require.Equal(t, 1, s.MaxBatch())
	require.NoError(t, s.Close())
	info.Shape[0] = 0
	_, err = rt.NewSession(sum(t, onnx.Dim{Size: 1}), info, ort.Options{Sizes: []int{1, 4}})
	require.ErrorIs(t, err, ort.ErrSinglePicture)
}
