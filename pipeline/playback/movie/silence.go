package movie

import (
	"slices"

	"github.com/bluenviron/mediacommon/v2/pkg/formats/mp4/codecs"

	"detectd/pipeline/soundtrack"
)

// noFile is the file of samples that are in none.
const noFile = -1

// fill puts silence where sound that is shown from a time on is missing, in pieces
// of the usual length. Recorded files say of a hole only that the piece before it
// lasts longer, which browsers take no notice of.
func fill(sound []sample, from int64, codec codecs.Codec) (filled []sample, silence []byte) {
	usual := usualLength(sound)
	silence = soundtrack.Silence(codec, int(usual))
	if silence == nil || usual == 0 {
		return sound, nil
	}
	missing := func(at, until int64) {
		for ; until-at >= usual; at += usual {
			length := usual
			if until-at < 2*usual {
				length = until - at
			}
			filled = append(filled, sample{
				file: noFile, size: uint32(len(silence)), dts: at, length: uint32(length), sync: true, //nolint:gosec // a piece
			})
		}
	}
	missing(from, sound[0].dts)
	for _, s := range sound {
		end := s.dts + int64(s.length)
		if int64(s.length) < 2*usual {
			filled = append(filled, s)
			continue
		}
		s.length = uint32(usual) //nolint:gosec // less than it was
		filled = append(filled, s)
		missing(s.dts+usual, end)
	}
	return filled, silence
}

// usualLength is the median.
func usualLength(sound []sample) int64 {
	lengths := make([]uint32, len(sound))
	for i, s := range sound {
		lengths[i] = s.length
	}
	slices.Sort(lengths)
	return int64(lengths[len(lengths)/2])
}
