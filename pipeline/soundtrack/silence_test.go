package soundtrack_test

import (
	"testing"

	"github.com/asticode/go-astiav"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/mp4/codecs"
	"github.com/stretchr/testify/require"

	"detectd/pipeline"
	"detectd/pipeline/simulate"
	"detectd/pipeline/soundtrack"
)

// TestSilenceIsDecoded: a decoder makes silence of it, of the right length and number
// of channels, and does not complain.
func TestSilenceIsDecoded(t *testing.T) {
	astiav.SetLogLevel(astiav.LogLevelQuiet)
	for name, tc := range map[string]struct {
		format  pipeline.SoundFormat
		decoder astiav.CodecID
		samples int
	}{
		"AAC":          {pipeline.SoundFormat{Codec: pipeline.AAC, Rate: 16000, Channels: 1, Config: []byte{0x14, 0x08}}, astiav.CodecIDAac, 1024},
		"AAC, stereo":  {pipeline.SoundFormat{Codec: pipeline.AAC, Rate: 48000, Channels: 2, Config: []byte{0x11, 0x90}}, astiav.CodecIDAac, 1024},
		"Opus":         {pipeline.SoundFormat{Codec: pipeline.Opus, Rate: 48000, Channels: 1}, astiav.CodecIDOpus, 960},
		"Opus, stereo": {pipeline.SoundFormat{Codec: pipeline.Opus, Rate: 48000, Channels: 2}, astiav.CodecIDOpus, 960},
		"µ-law":        {pipeline.SoundFormat{Codec: pipeline.PCMU, Rate: 8000, Channels: 1}, astiav.CodecIDPcmMulaw, 160},
		"A-law":        {pipeline.SoundFormat{Codec: pipeline.PCMA, Rate: 8000, Channels: 2}, astiav.CodecIDPcmAlaw, 160},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := soundtrack.Codec(tc.format)
			require.NoError(t, err)
			codec := astiav.FindDecoder(tc.decoder)
			cc := astiav.AllocCodecContext(codec)
			defer cc.Free()
			cc.SetSampleRate(tc.format.Rate)
			cc.SetChannelLayout(map[int]astiav.ChannelLayout{1: astiav.ChannelLayoutMono, 2: astiav.ChannelLayoutStereo}[tc.format.Channels])
			if tc.format.Config != nil {
				require.NoError(t, cc.SetExtraData(tc.format.Config))
			}
			require.NoError(t, cc.Open(codec, nil))
			pkt, f := astiav.AllocPacket(), astiav.AllocFrame()
			defer pkt.Free()
			defer f.Free()
			for range 4 {
				require.NoError(t, pkt.FromData(soundtrack.Silence(c, tc.samples)))
				require.NoError(t, cc.SendPacket(pkt))
				pkt.Unref()
				require.NoError(t, cc.ReceiveFrame(f))
				require.Equal(t, tc.samples, f.NbSamples())
				require.Equal(t, tc.format.Channels, f.ChannelLayout().NbChannels())
				for _, v := range simulate.SamplesOf(f) {
					require.InDelta(t, 0, v, 0.001)
				}
				f.Unref()
			}
		})
	}
	require.Nil(t, soundtrack.Silence(&codecs.Opus{ChannelCount: 1}, 480))
	require.Nil(t, soundtrack.Silence(&codecs.MPEG4Audio{}, 1024))
}
