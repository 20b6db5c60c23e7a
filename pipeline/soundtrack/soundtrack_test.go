package soundtrack_test

import (
	"bytes"
	"testing"

	"github.com/bluenviron/mediacommon/v2/pkg/formats/fmp4"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/fmp4/seekablebuffer"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/mp4/codecs"
	"github.com/stretchr/testify/require"

	"detectd/pipeline"
	"detectd/pipeline/soundtrack"
)

// head is a head with a video track and one of sound.
func head(t testing.TB, f pipeline.SoundFormat) []byte {
	t.Helper()
	c, err := soundtrack.Codec(f)
	require.NoError(t, err)
	require.Equal(t, f.Codec, soundtrack.Name(c))
	var b seekablebuffer.Buffer
	init := fmp4.Init{Tracks: []*fmp4.InitTrack{
		{ID: 1, TimeScale: 90000, Codec: &codecs.MJPEG{Width: 64, Height: 48}}, {ID: 2, TimeScale: uint32(f.Rate), Codec: c},
	}}
	require.NoError(t, init.Marshal(&b))
	return b.Bytes()
}

var formats = map[string]pipeline.SoundFormat{
	"aac":  {Codec: pipeline.AAC, Rate: 16000, Channels: 1, Config: []byte{0x14, 0x08}},
	"opus": {Codec: pipeline.Opus, Rate: 48000, Channels: 2},
	"pcmu": {Codec: pipeline.PCMU, Rate: 8000, Channels: 1},
	"pcma": {Codec: pipeline.PCMA, Rate: 16000, Channels: 2},
}

func TestThereAndBack(t *testing.T) {
	for name, f := range formats {
		t.Run(name, func(t *testing.T) {
			wrote := head(t, f)
			file := bytes.Clone(wrote)
			soundtrack.ToFile(file)
			law := f.Codec == pipeline.PCMU || f.Codec == pipeline.PCMA
			require.Equal(t, law, !bytes.Equal(wrote, file))
			require.Equal(t, law, bytes.Contains(file, []byte("ulaw")) || bytes.Contains(file, []byte("alaw")))
			require.NotContains(t, string(file), "ipcm")
			soundtrack.FromFile(file)
			require.Equal(t, wrote, file)

			var init fmp4.Init
			require.NoError(t, init.Unmarshal(bytes.NewReader(file)))
			require.Len(t, init.Tracks, 2)
			require.Equal(t, f.Codec, soundtrack.Name(init.Tracks[1].Codec))
			require.EqualValues(t, f.Rate, init.Tracks[1].TimeScale)
		})
	}
}

func TestMuteAndRemove(t *testing.T) {
	for name, f := range formats {
		t.Run(name, func(t *testing.T) {
			muted := head(t, f)
			soundtrack.Mute(muted)
			require.NotContains(t, string(muted), "soun\x00")
			require.Contains(t, string(muted), "vide\x00")

			none := head(t, f)
			soundtrack.Remove(none)
			var init fmp4.Init
			require.NoError(t, init.Unmarshal(bytes.NewReader(none)))
			require.Len(t, init.Tracks, 1)
			require.True(t, init.Tracks[0].Codec.IsVideo())
		})
	}
}

func TestUnknownSound(t *testing.T) {
	_, err := soundtrack.Codec(pipeline.SoundFormat{Codec: "g726"})
	require.ErrorContains(t, err, `"g726"`)
	_, err = soundtrack.Codec(pipeline.SoundFormat{Codec: pipeline.AAC})
	require.Error(t, err)
	require.Empty(t, soundtrack.Name(&codecs.LPCM{BitDepth: 16}))
	require.True(t, soundtrack.Streams(pipeline.AAC))
	require.False(t, soundtrack.Streams(pipeline.PCMU))
}

func FuzzHeads(f *testing.F) {
	for _, format := range formats {
		f.Add(head(f, format))
	}
	f.Fuzz(func(_ *testing.T, b []byte) {
		for _, change := range []func([]byte){soundtrack.FromFile, soundtrack.ToFile, soundtrack.Mute, soundtrack.Remove} {
			change(bytes.Clone(b))
		}
	})
}
