package modelcheck

import (
	"bytes"
	"image"
	"image/jpeg"
	"testing"

	"github.com/stretchr/testify/require"

	"detectd/detect/detecttest"
	"detectd/detect/model"
	"detectd/pipeline/frame"
)

func TestRun(t *testing.T) {
	rt := detecttest.Runtime(t)
	d, err := model.Open(rt, detecttest.DefaultModel(t), model.Options{})
	require.NoError(t, err)
	defer func() { require.NoError(t, d.Close()) }()
	r, overlay, err := Run(t.Context(), d, detecttest.Artefact(t, "share", "demo.avi"))
	require.NoError(t, err)
	require.Equal(t, model.Pass, r.Verdict, r)
	require.NotZero(t, r.Labels["person"])
	require.Equal(t, image.Pt(768, 576), decode(t, overlay).Bounds().Size())

	r, overlay, err = Run(t.Context(), d, "")
	require.NoError(t, err)
	require.Equal(t, image.Pt(640, 480), decode(t, overlay).Bounds().Size())
	require.Equal(t, 1, r.Pictures)

	_, _, err = Run(t.Context(), d, t.TempDir())
	require.ErrorContains(t, err, "it is not a file")
}

func decode(t *testing.T, data []byte) image.Image {
	t.Helper()
	img, err := jpeg.Decode(bytes.NewReader(data))
	require.NoError(t, err)
	return img
}

// TestBrightInTheGeneratedPicture finds something, wherever the picture moves.
func TestBrightInTheGeneratedPicture(t *testing.T) {
	var pool frame.Pool
	f, err := Generated(&pool)
	require.NoError(t, err)
	f.Release()
	require.Zero(t, pool.Live())
}
