package measure

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"detectd/detect"
	"detectd/detect/detecttest"
	"detectd/detect/model"
	"detectd/pipeline/frame"
)

func TestSpeedOfARealModel(t *testing.T) {
	d, err := model.Open(detecttest.Runtime(t), detecttest.Bright(t), model.Options{})
	require.NoError(t, err)
	defer func() { require.NoError(t, d.Close()) }()
	pool := &frame.Pool{}
	defer func() { require.Zero(t, pool.Live()) }()
	pictures, err := Pictures(t.Context(), detecttest.Artefact(t, "share", "demo.avi"), 3, pool)
	require.NoError(t, err)
	require.Len(t, pictures, 3)
	times, err := Speed(t.Context(), d, pictures, 10)
	require.NoError(t, err)
	require.Equal(t, 10, times.Samples)
	require.Positive(t, times.P50)
	require.LessOrEqual(t, times.P50, times.P95)
	require.LessOrEqual(t, times.P95, times.P99)
	for _, f := range pictures {
		f.Release()
	}
	_, err = Pictures(t.Context(), t.TempDir(), 1, pool)
	require.ErrorContains(t, err, "it is not a file")
}

type failing struct{ blind }

func (failing) Detect(context.Context, []*frame.Frame, []detect.Options) ([][]detect.Detection, error) {
	return nil, errors.New("no such luck")
}

func TestSpeedOfAFailingModel(t *testing.T) {
	_, err := Speed(t.Context(), failing{}, []*frame.Frame{nil}, 1)
	require.EqualError(t, err, "measure speed: no such luck")
	_, err = Speed(t.Context(), failing{}, nil, 1)
	require.ErrorContains(t, err, "no picture")
}

func TestQuantile(t *testing.T) {
	var list []time.Duration
	for i := range 100 {
		list = append(list, time.Duration(i))
	}
	require.Equal(t, time.Duration(50), quantile(list, 0.5))
	require.Equal(t, time.Duration(95), quantile(list, 0.95))
	require.Equal(t, time.Duration(7), quantile(list[7:8], 0.99))
}
