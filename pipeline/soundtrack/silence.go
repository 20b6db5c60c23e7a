package soundtrack

import (
	"bytes"

	"github.com/bluenviron/mediacommon/v2/pkg/formats/mp4/codecs"
)

// Silence is a piece of silence of some samples, to be put where sound is missing:
// browsers play what follows a hole right after what is before it. It returns nil
// for codecs of which it knows none.
func Silence(c codecs.Codec, samples int) []byte {
	switch c := c.(type) {
	case *codecs.MPEG4Audio:
		// A raw_data_block (ISO/IEC 14496-3, 4.4.2) of one element without any spectral
		// data, and its end.
		switch c.Config.ChannelConfig {
		case 1:
			return []byte{0, 0, 0, 0b111}
		case 2:
			return []byte{0b001 << 5, 0, 0, 0, 0, 0, 0b111 << 1}
		}
	case *codecs.Opus:
		// A packet of 20 ms (RFC 6716, 3.1): CELT at full bandwidth, coded as silent.
		const fullband20, stereo, silent20 = 31 << 3, 1 << 2, 960
		if samples != silent20 {
			return nil
		}
		toc := byte(fullband20)
		if c.ChannelCount == 2 {
			toc |= stereo
		}
		return []byte{toc, 0xff, 0xfe}
	case *codecs.LPCM:
		zero := byte(0xff) // of µ-law
		if c.LittleEndian {
			zero = 0xd5
		}
		return bytes.Repeat([]byte{zero}, samples*c.ChannelCount)
	}
	return nil
}
