package file

import (
	"bytes"
	"slices"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h265"
)

// nalFormat says how a file packs NAL units (ISO/IEC 14496-15).
type nalFormat struct {
	lengthSize int                   // bytes of the length in front of each NAL unit; 0: start codes (Annex B)
	sets       [][]byte              // parameter sets of the header
	isSPS      func(nal []byte) bool // nil: neither H.264 nor H.265, the packet is the unit
}

func h264SPS(nal []byte) bool { return h264.NALUType(nal[0]&0x1f) == h264.NALUTypeSPS }

func h265SPS(nal []byte) bool { return h265.NALUType(nal[0]>>1&0x3f) == h265.NALUType_SPS_NUT }

// h264NALs reads avcC extradata, or Annex B.
func h264NALs(extra []byte) nalFormat {
	f := nalFormat{isSPS: h264SPS}
	if len(extra) < 7 || extra[0] != 1 {
		f.sets = splitStartCodes(extra)
		return f
	}
	f.lengthSize = int(extra[4]&3) + 1
	rest := extra[5:]
	for _, mask := range []byte{0x1f, 0xff} { // SPS, then PPS
		if len(rest) == 0 {
			break
		}
		n := int(rest[0] & mask)
		rest = rest[1:]
		for range n {
			var nal []byte
			if nal, rest = cutNAL(rest, 2); len(nal) > 0 {
				f.sets = append(f.sets, nal)
			}
		}
	}
	return f
}

// h265NALs reads hvcC extradata, or Annex B.
func h265NALs(extra []byte) nalFormat {
	f := nalFormat{isSPS: h265SPS}
	if len(extra) < 23 || bytes.HasPrefix(extra, []byte{0, 0, 1}) || bytes.HasPrefix(extra, []byte{0, 0, 0, 1}) {
		f.sets = splitStartCodes(extra)
		return f
	}
	f.lengthSize = int(extra[21]&3) + 1
	rest := extra[23:]
	for range extra[22] {
		if len(rest) < 3 {
			break
		}
		kind, n := rest[0]&0x3f, int(rest[1])<<8|int(rest[2])
		rest = rest[3:]
		for range n {
			var nal []byte
			nal, rest = cutNAL(rest, 2)
			if len(nal) > 0 && kind >= 32 && kind <= 34 { // VPS, SPS, PPS; no SEI
				f.sets = append(f.sets, nal)
			}
		}
	}
	return f
}

// cutNAL takes one NAL unit off b that has its length, size bytes long, in front.
func cutNAL(b []byte, size int) (nal, rest []byte) {
	if len(b) < size {
		return nil, nil
	}
	n := 0
	for _, c := range b[:size] {
		n = n<<8 | int(c)
	}
	b = b[size:]
	if n > len(b) {
		return nil, nil
	}
	return b[:n:n], b[n:]
}

// split takes a packet apart. The header's parameter sets go in front of a key
// unit that has none, so that decoding can start there.
func (f nalFormat) split(data []byte, key bool) [][]byte {
	if f.isSPS == nil {
		return [][]byte{data}
	}
	var nals [][]byte
	if f.lengthSize == 0 {
		nals = splitStartCodes(data)
	} else {
		for len(data) > 0 {
			var nal []byte
			if nal, data = cutNAL(data, f.lengthSize); len(nal) > 0 {
				nals = append(nals, nal)
			}
		}
	}
	if key && len(nals) > 0 && !slices.ContainsFunc(nals, f.isSPS) {
		return slices.Concat(f.sets, nals)
	}
	return nals
}

// splitStartCodes takes an Annex B byte stream apart (ITU-T H.264, annex B).
func splitStartCodes(data []byte) [][]byte {
	var nals [][]byte
	code := []byte{0, 0, 1}
	i := bytes.Index(data, code)
	for i >= 0 {
		data = data[i+len(code):]
		i = bytes.Index(data, code)
		nal := data
		if i >= 0 {
			nal = data[:i]
		}
		if nal = bytes.TrimRight(nal, "\x00"); len(nal) > 0 {
			nals = append(nals, slices.Clip(nal))
		}
	}
	return nals
}
