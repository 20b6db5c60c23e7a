package rtsp

import (
	"bytes"
	"errors"

	"github.com/bluenviron/gortsplib/v5/pkg/format"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h265"
	"github.com/pion/rtp"

	"detectd/pipeline"
)

// codec is what differs between the three codings.
type codec interface {
	// depacketizer returns a function that gives the NAL units that a packet completes.
	depacketizer() (func(*rtp.Packet) ([][]byte, error), error)
	// learn takes the parameter sets out of a unit and reports whether the format changed.
	learn(nals [][]byte) bool
	format() pipeline.Format
	// ready says that all is known that decoding needs beside the units.
	ready() bool
	// inspect drops what carries no picture: no NAL units come back when nothing is
	// left. It puts the parameter sets in front of a key unit that lacks them, so that
	// decoding can start there. Whole says that the unit's first slice is there.
	inspect(nals [][]byte) (rest [][]byte, key, whole bool)
	// dts derives the decoding time stamp of a unit; both are in 1/90000 s.
	dts(nals [][]byte, pts int64) (int64, error)
}

func newCodec(f format.Format) (codec, error) {
	switch f := f.(type) {
	case *format.H264:
		c := &h264Codec{forma: f}
		if (&h264.SPS{}).Unmarshal(f.SPS) == nil { // else it comes in-band, or never
			c.sps, c.pps = f.SPS, f.PPS
		}
		c.extractor.Initialize()
		return c, nil
	case *format.H265:
		c := &h265Codec{forma: f}
		if (&h265.SPS{}).Unmarshal(f.SPS) == nil {
			c.vps, c.sps, c.pps = f.VPS, f.SPS, f.PPS
		}
		c.extractor.Initialize()
		return c, nil
	case *format.MJPEG:
		return &mjpegCodec{forma: f}, nil
	}
	return nil, errors.New("not a codec of ours")
}

// marked is pkt with the marker bit, which makes gortsplib's depacketizers give
// what they have: the assembler itself knows better where a unit ends.
func marked(pkt *rtp.Packet) *rtp.Packet {
	p := *pkt
	p.Marker = true
	return &p
}

// replace stores nal in set and reports whether that changed it.
func replace(set *[]byte, nal []byte) bool {
	if bytes.Equal(*set, nal) {
		return false
	}
	*set = nal
	return true
}

type h264Codec struct {
	forma     *format.H264
	sps, pps  []byte
	extractor h264.DTSExtractor
}

func (c *h264Codec) depacketizer() (func(*rtp.Packet) ([][]byte, error), error) {
	d, err := c.forma.CreateDecoder()
	if err != nil {
		return nil, err
	}
	return func(pkt *rtp.Packet) ([][]byte, error) { return d.Decode(marked(pkt)) }, nil
}

func (c *h264Codec) learn(nals [][]byte) bool {
	changed := false
	for _, nal := range nals {
		if len(nal) == 0 {
			continue
		}
		switch h264.NALUType(nal[0] & 0x1f) {
		case h264.NALUTypeSPS:
			changed = replace(&c.sps, nal) || changed
		case h264.NALUTypePPS:
			changed = replace(&c.pps, nal) || changed
		}
	}
	return changed
}

func (c *h264Codec) ready() bool { return c.sps != nil && c.pps != nil }

func (c *h264Codec) format() pipeline.Format {
	f := pipeline.Format{Codec: pipeline.H264}
	if c.sps == nil || c.pps == nil {
		return f
	}
	f.ParameterSets = [][]byte{c.sps, c.pps}
	var sps h264.SPS
	if sps.Unmarshal(c.sps) == nil {
		f.Width, f.Height = sps.Width(), sps.Height()
	}
	return f
}

func (c *h264Codec) inspect(nals [][]byte) (rest [][]byte, key, whole bool) {
	picture, sps, recovery := false, false, false
	for _, nal := range nals {
		if len(nal) == 0 {
			continue
		}
		switch t := h264.NALUType(nal[0] & 0x1f); t {
		case h264.NALUTypeAccessUnitDelimiter, h264.NALUTypeFillerData:
			continue
		case h264.NALUTypeIDR, h264.NALUTypeNonIDR, h264.NALUTypeDataPartitionA:
			if !picture {
				// first_mb_in_slice is 0, coded as a single 1 bit.
				whole = len(nal) > 1 && nal[1]&0x80 != 0
			}
			picture = true
			key = key || t == h264.NALUTypeIDR
		case h264.NALUTypeSPS:
			sps = true
		case h264.NALUTypeSEI:
			recovery = recovery || len(nal) > 1 && nal[1] == 6 // recovery point
		}
		rest = append(rest, nal)
	}
	if !picture {
		return nil, false, false
	}
	key = key || sps && recovery
	if key && !sps && c.sps != nil && c.pps != nil {
		rest = append([][]byte{c.sps, c.pps}, rest...)
	}
	return rest, key, whole
}

func (c *h264Codec) dts(nals [][]byte, pts int64) (int64, error) {
	dts, err := c.extractor.Extract(nals, pts)
	if err != nil { // it starts again at the next key unit
		c.extractor = h264.DTSExtractor{}
		c.extractor.Initialize()
	}
	return dts, err
}

type h265Codec struct {
	forma         *format.H265
	vps, sps, pps []byte
	extractor     h265.DTSExtractor
}

func (c *h265Codec) depacketizer() (func(*rtp.Packet) ([][]byte, error), error) {
	d, err := c.forma.CreateDecoder()
	if err != nil {
		return nil, err
	}
	return func(pkt *rtp.Packet) ([][]byte, error) { return d.Decode(marked(pkt)) }, nil
}

func h265Type(nal []byte) h265.NALUType { return h265.NALUType(nal[0] >> 1 & 0x3f) }

func (c *h265Codec) learn(nals [][]byte) bool {
	changed := false
	for _, nal := range nals {
		if len(nal) < 2 {
			continue
		}
		switch h265Type(nal) {
		case h265.NALUType_VPS_NUT:
			changed = replace(&c.vps, nal) || changed
		case h265.NALUType_SPS_NUT:
			changed = replace(&c.sps, nal) || changed
		case h265.NALUType_PPS_NUT:
			changed = replace(&c.pps, nal) || changed
		}
	}
	return changed
}

func (c *h265Codec) ready() bool { return c.vps != nil && c.sps != nil && c.pps != nil }

func (c *h265Codec) format() pipeline.Format {
	f := pipeline.Format{Codec: pipeline.H265}
	if c.vps == nil || c.sps == nil || c.pps == nil {
		return f
	}
	f.ParameterSets = [][]byte{c.vps, c.sps, c.pps}
	var sps h265.SPS
	if sps.Unmarshal(c.sps) == nil {
		f.Width, f.Height = sps.Width(), sps.Height()
	}
	return f
}

func (c *h265Codec) inspect(nals [][]byte) (rest [][]byte, key, whole bool) {
	picture, sps := false, false
	for _, nal := range nals {
		if len(nal) < 3 {
			continue
		}
		switch t := h265Type(nal); {
		case t == h265.NALUType_AUD_NUT, t == h265.NALUType_FD_NUT:
			continue
		case t == h265.NALUType_SPS_NUT:
			sps = true
		case t < 32: // a slice; 16 to 23 are the random access points
			if !picture {
				whole = nal[2]&0x80 != 0 // first_slice_segment_in_pic_flag
			}
			picture = true
			key = key || t >= 16 && t <= 23
		}
		rest = append(rest, nal)
	}
	if !picture {
		return nil, false, false
	}
	if key && !sps && c.vps != nil && c.sps != nil && c.pps != nil {
		rest = append([][]byte{c.vps, c.sps, c.pps}, rest...)
	}
	return rest, key, whole
}

func (c *h265Codec) dts(nals [][]byte, pts int64) (int64, error) {
	dts, err := c.extractor.Extract(nals, pts)
	if err != nil { // it starts again at the next key unit
		c.extractor = h265.DTSExtractor{}
		c.extractor.Initialize()
	}
	return dts, err
}

type mjpegCodec struct {
	forma         *format.MJPEG
	width, height int
}

func (c *mjpegCodec) depacketizer() (func(*rtp.Packet) ([][]byte, error), error) {
	d, err := c.forma.CreateDecoder()
	if err != nil {
		return nil, err
	}
	return func(pkt *rtp.Packet) ([][]byte, error) {
		picture, err := d.Decode(pkt)
		if err != nil {
			return nil, err
		}
		return [][]byte{picture}, nil
	}, nil
}

func (c *mjpegCodec) learn(nals [][]byte) bool {
	if len(nals) == 0 {
		return false
	}
	width, height := jpegSize(nals[0])
	changed := width != c.width || height != c.height
	c.width, c.height = width, height
	return changed
}

func (c *mjpegCodec) ready() bool { return true }

func (c *mjpegCodec) format() pipeline.Format {
	return pipeline.Format{Codec: pipeline.MJPEG, Width: c.width, Height: c.height}
}

// inspect calls every picture whole: the depacketizer gives no others.
func (c *mjpegCodec) inspect(nals [][]byte) (rest [][]byte, key, whole bool) {
	return nals, true, true
}

func (c *mjpegCodec) dts(_ [][]byte, pts int64) (int64, error) { return pts, nil }

// jpegSize reads the size of a picture from its frame header (ITU T.81, B.2.2).
func jpegSize(b []byte) (width, height int) {
	for i := 2; i+9 <= len(b) && b[i] == 0xff; {
		if m := b[i+1]; m >= 0xc0 && m <= 0xc2 {
			return int(b[i+7])<<8 | int(b[i+8]), int(b[i+5])<<8 | int(b[i+6])
		}
		i += 2 + int(b[i+2])<<8 + int(b[i+3])
	}
	return 0, 0
}
