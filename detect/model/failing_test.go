package model_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"detectd/detect"
	"detectd/detect/detecttest"
	"detectd/detect/model"
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
