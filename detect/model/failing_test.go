package model_test

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"detectd/detect"
	"detectd/detect/detecttest"
	"detectd/detect/model"
	"detectd/detect/onnx"
	"detectd/pipeline/frame"
)

// TestFailingRun: a run that ends with an error is the caller's to hear of, every
// time, and the model can be closed.
func TestFailingRun(t *testing.T) {
	contract := detecttest.BrightContract()
	d, err := model.Open(detecttest.Runtime(t), detecttest.Failing(t), model.Options{Contract: &contract})
	require.NoError(t, err)
	var pool frame.Pool
	defer pool.Close()
	f := detecttest.Picture(t, &pool, 64, 64, detecttest.Rect{X: 8, Y: 8, W: 16, H: 32})
	defer f.Release()
	for range 3 {
		_, err := d.Detect(t.Context(), []*frame.Frame{f}, []detect.Options{{}})
		require.ErrorContains(t, err, "out of data bounds")
	}
	require.NoError(t, d.Close())
}

// TestBadPictureInFixedBatch: a picture that gives no numbers takes nothing else with
// it, whatever place it had in a batch of fixed size.
func TestBadPictureInFixedBatch(t *testing.T) {
	n := detecttest.Network{
		Inputs: []onnx.Value{{Name: "images", Dims: onnx.Dims(2, 3, 8, 8)}},
		Outputs: []detecttest.Output{{
			Name: "output", Shape: []int64{2, 6}, Values: []float32{1, 1, 4, 4, 0.9, 0, 4, 4, 7, 7, 0.8, 0},
			// Times the mean of a bright picture it is infinite, of a grey one it is not.
			Gain: []float32{0, 0, 0, 0, 0, 0, math.MaxFloat32 / 200, 0, 0, 0, 0, 0},
		}},
	}
	d := open(t, n.Encode(t), model.Options{Family: "end2end", Overrides: map[string]string{"labels": "thing", "input.scale": "1"}})
	require.Equal(t, 2, d.MaxBatch())
	var pool frame.Pool
	defer pool.Close()
	bad := detecttest.Picture(t, &pool, 8, 8, detecttest.Rect{W: 8, H: 8})
	defer bad.Release()
	good := detecttest.Picture(t, &pool, 8, 8)
	defer good.Release()
	_, err := d.Detect(t.Context(), []*frame.Frame{good, bad}, make([]detect.Options, 2))
	require.ErrorIs(t, err, detect.ErrNotFinite)
	for range 2 {
		_, err = d.Detect(t.Context(), []*frame.Frame{good}, make([]detect.Options, 1))
		require.NoError(t, err, "alone, with the other place empty")
	}
}
