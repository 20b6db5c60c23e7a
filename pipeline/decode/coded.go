package decode

import (
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h265"

	"detectd/pipeline"
)

// codedSize is the size of the pictures that the parameter sets ask memory for, which
// may be far larger than what is cut out of them to be shown. 0 where they do not say.
func codedSize(f pipeline.Format) (width, height int) {
	for _, nal := range f.ParameterSets {
		w, h := 0, 0
		switch {
		case len(nal) == 0:
		case f.Codec == pipeline.H264 && h264.NALUType(nal[0]&0x1f) == h264.NALUTypeSPS:
			var s h264.SPS
			if s.Unmarshal(nal) == nil {
				w, h = 16*int(s.PicWidthInMbsMinus1+1), 16*int(s.PicHeightInMapUnitsMinus1+1)
				if !s.FrameMbsOnlyFlag {
					h *= 2
				}
			}
		case f.Codec == pipeline.H265 && h265.NALUType(nal[0]>>1&0x3f) == h265.NALUType_SPS_NUT:
			var s h265.SPS
			if s.Unmarshal(nal) == nil {
				w, h = int(s.PicWidthInLumaSamples), int(s.PicHeightInLumaSamples)
			}
		}
		width, height = max(width, w), max(height, h)
	}
	return width, height
}
