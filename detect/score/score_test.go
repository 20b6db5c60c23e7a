package score_test

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"detectd/detect"
	"detectd/detect/score"
)

func TestFunction(t *testing.T) {
	plain, err := score.New("")
	require.NoError(t, err)
	require.Equal(t, float32(0.3), plain.Of(0.3))
	require.Equal(t, float32(0.3), plain.Raw(0.3))
	sigmoid, err := score.New(detect.Sigmoid)
	require.NoError(t, err)
	require.InDelta(t, 0.5, sigmoid.Of(0), 1e-7)
	require.InDelta(t, 0.9, sigmoid.Of(float32(math.Log(9))), 1e-6)
	for _, p := range []float32{0.001, 0.25, 0.3, 0.5, 0.9, 0.999} {
		require.InDelta(t, p, sigmoid.Of(sigmoid.Raw(p)), 1e-4)
		require.LessOrEqual(t, sigmoid.Of(sigmoid.Raw(p)), p) // nothing is lost
	}
	require.True(t, math.IsInf(float64(sigmoid.Raw(0)), -1))
	require.True(t, math.IsInf(float64(sigmoid.Raw(1)), 1))
	require.Equal(t, float32(1), sigmoid.Of(200))
	require.Zero(t, sigmoid.Of(-200))
	_, err = score.New(detect.Softmax)
	require.Error(t, err)
}
