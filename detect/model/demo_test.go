package model_test

import (
	"testing"

	"github.com/asticode/go-astiav"
	"github.com/stretchr/testify/require"

	"detectd/detect"
	"detectd/detect/detecttest"
	"detectd/detect/model"
	"detectd/pipeline/frame"
)

// firstFrame decodes the first picture of a video file.
func firstFrame(t *testing.T, pool *frame.Pool, path string) *frame.Frame {
	t.Helper()
	in := astiav.AllocFormatContext()
	defer in.Free()
	require.NoError(t, in.OpenInput(path, nil, nil))
	defer in.CloseInput()
	require.NoError(t, in.FindStreamInfo(nil))
	stream := in.Streams()[0]
	codec := astiav.FindDecoder(stream.CodecParameters().CodecID())
	require.NotNil(t, codec)
	cc := astiav.AllocCodecContext(codec)
	defer cc.Free()
	require.NoError(t, stream.CodecParameters().ToCodecContext(cc))
	require.NoError(t, cc.Open(codec, nil))
	packet := astiav.AllocPacket()
	defer packet.Free()
	f := pool.Get()
	for range 50 {
		require.NoError(t, in.ReadFrame(packet))
		require.NoError(t, cc.SendPacket(packet))
		packet.Unref()
		if cc.ReceiveFrame(f.AV()) == nil {
			return f
		}
	}
	f.Release()
	t.Fatal("no picture in the first packets")
	return nil
}

// TestDefaultModelFindsPedestrians runs the default model on the demo video.
func TestDefaultModelFindsPedestrians(t *testing.T) {
	var pool frame.Pool
	f := firstFrame(t, &pool, detecttest.Artefact(t, "share", "demo.avi"))
	defer f.Release()
	d := open(t, detecttest.DefaultModel(t), model.Options{MaxBatch: 4})
	require.Equal(t, 4, d.MaxBatch())
	got, err := d.Detect(t.Context(), []*frame.Frame{f, f, f}, []detect.Options{
		{}, {}, {Classes: map[string]bool{"person": true}, MinScore: 0.3},
	})
	require.NoError(t, err)
	require.NotEmpty(t, got[0])
	require.Len(t, got[1], len(got[0])) // the place in a batch does not matter
	for i, x := range got[0] {
		require.InDelta(t, x.Score, got[1][i].Score, 1e-3)
		require.LessOrEqual(t, x.Box.X+x.Box.W, float32(f.Width()))
		require.LessOrEqual(t, x.Box.Y+x.Box.H, float32(f.Height()))
	}
	require.NotEmpty(t, got[2])
	for i, x := range got[2] {
		require.Equal(t, "person", x.Label)
		require.Zero(t, x.ClassID)
		require.Greater(t, x.Box.H, x.Box.W) // people walk upright there
		if i > 0 {
			require.LessOrEqual(t, x.Score, got[2][i-1].Score)
		}
	}
}
