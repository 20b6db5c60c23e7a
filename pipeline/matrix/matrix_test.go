package matrix_test

import (
	"testing"

	"github.com/bluenviron/mediacommon/v2/pkg/formats/fmp4"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/fmp4/seekablebuffer"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/mp4/codecs"
	"github.com/stretchr/testify/require"

	"detectd/pipeline/frame"
	"detectd/pipeline/matrix"
)

// head describes a video of 64 by 48 pixels, and sound.
func head(t testing.TB) []byte {
	t.Helper()
	var b seekablebuffer.Buffer
	require.NoError(t, (&fmp4.Init{Tracks: []*fmp4.InitTrack{
		{ID: 2, TimeScale: 48000, Codec: &codecs.Opus{ChannelCount: 1}},
		{ID: 1, TimeScale: 90000, Codec: &codecs.MJPEG{Width: 64, Height: 48}},
	}}).Marshal(&b))
	return b.Bytes()
}

func TestWriteRead(t *testing.T) {
	whole := head(t)
	require.Equal(t, frame.Upright, matrix.Read(whole))
	for o := frame.Upright; o <= 8; o++ {
		changed := append([]byte(nil), whole...)
		matrix.Write(changed, o)
		require.Equal(t, o, matrix.Read(changed))
		differ := 0
		for i := range whole {
			if whole[i] != changed[i] {
				differ++
			}
		}
		require.LessOrEqual(t, differ, 36, "only the matrix of one track changes")
		matrix.Write(changed, frame.Upright)
		require.Equal(t, whole, changed)
	}
}

// FuzzWrite: what is no head is left alone, and nothing is read beyond it.
func FuzzWrite(f *testing.F) {
	whole := head(f)
	f.Add(whole)
	f.Add(whole[:len(whole)/2])
	f.Add([]byte("\x00\x00\x00\x01moov\xff\xff\xff\xff\xff\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, b []byte) {
		matrix.Write(b, 6)
		if o := matrix.Read(b); o != frame.Upright {
			require.Equal(t, frame.Orientation(6), o)
		}
	})
}
