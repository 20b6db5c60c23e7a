package record

import (
	"bytes"
	"errors"
	"fmt"
	"image/jpeg"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h265"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/mp4/codecs"

	"detectd/pipeline"
)

// described is what the head of a file says.
type described struct {
	codec         codecs.Codec
	width, height int
}

// describe finds the parameters of the stream: in the key unit u when it brings
// them, else in the format.
func describe(f pipeline.Format, u pipeline.Unit) (described, error) {
	switch f.Codec {
	case pipeline.H264:
		c := &codecs.H264{}
		for _, nal := range candidates(f, u) {
			switch h264.NALUType(nal[0] & 0x1F) {
			case h264.NALUTypeSPS:
				c.SPS = nal
			case h264.NALUTypePPS:
				c.PPS = nal
			}
		}
		var sps h264.SPS
		if c.SPS == nil || c.PPS == nil {
			return described{}, errNoParameters
		}
		if err := sps.Unmarshal(c.SPS); err != nil {
			return described{}, fmt.Errorf("read parameters of stream: %w", err)
		}
		return described{c, sps.Width(), sps.Height()}, nil
	case pipeline.H265:
		c := &codecs.H265{}
		for _, nal := range candidates(f, u) {
			switch h265.NALUType(nal[0] >> 1 & 0x3F) {
			case h265.NALUType_VPS_NUT:
				c.VPS = nal
			case h265.NALUType_SPS_NUT:
				c.SPS = nal
			case h265.NALUType_PPS_NUT:
				c.PPS = nal
			}
		}
		var sps h265.SPS
		if c.VPS == nil || c.SPS == nil || c.PPS == nil {
			return described{}, errNoParameters
		}
		if err := sps.Unmarshal(c.SPS); err != nil {
			return described{}, fmt.Errorf("read parameters of stream: %w", err)
		}
		return described{c, sps.Width(), sps.Height()}, nil
	case pipeline.MJPEG:
		w, h := f.Width, f.Height
		if len(u.NALs) == 1 {
			if cfg, err := jpeg.DecodeConfig(bytes.NewReader(u.NALs[0])); err == nil {
				w, h = cfg.Width, cfg.Height
			}
		}
		if w < 1 || h < 1 || w > 0xFFFF || h > 0xFFFF {
			return described{}, fmt.Errorf("a picture of %d x %d pixels", w, h)
		}
		return described{&codecs.MJPEG{Width: w, Height: h}, w, h}, nil
	}
	return described{}, fmt.Errorf("video coded as %q cannot be recorded", f.Codec)
}

var errNoParameters = errors.New("the stream does not say how it is coded (no parameter sets)")

// candidates are the NAL units to look for parameters in; later ones win.
func candidates(f pipeline.Format, u pipeline.Unit) [][]byte {
	all := make([][]byte, 0, len(f.ParameterSets)+len(u.NALs))
	for _, list := range [][][]byte{f.ParameterSets, u.NALs} {
		for _, nal := range list {
			if len(nal) > 0 {
				all = append(all, nal)
			}
		}
	}
	return all
}
