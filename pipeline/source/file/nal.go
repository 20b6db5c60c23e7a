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
	setKind    func(nal []byte) int  // tells kinds of parameter sets apart; 0: it is none
	size       func(sps []byte) (width, height int)
	foreign    func(nal []byte) bool // tells parameter sets of the other codec, which mean nothing in this one
}

// h265VPS begins the parameter sets of H.265; H.264 has no NAL units of type 0.
func h265VPS(nal []byte) bool { return len(nal) > 1 && nal[0] == 0x40 && nal[1] == 1 }

// h264SPSAlone is a parameter set of H.264 that is no NAL unit of H.265's base layer.
func h264SPSAlone(nal []byte) bool { return nal[0] == 0x67 || nal[0] == 0x47 || nal[0] == 0x27 }

func h264SPS(nal []byte) bool { return h264.NALUType(nal[0]&0x1f) == h264.NALUTypeSPS }

func h265SPS(nal []byte) bool { return h265.NALUType(nal[0]>>1&0x3f) == h265.NALUType_SPS_NUT }

func h264Set(nal []byte) int {
	if t := h264.NALUType(nal[0] & 0x1f); t == h264.NALUTypeSPS || t == h264.NALUTypePPS {
		return int(t)
	}
	return 0
}

func h265Set(nal []byte) int {
	switch t := h265.NALUType(nal[0] >> 1 & 0x3f); t {
	case h265.NALUType_VPS_NUT, h265.NALUType_SPS_NUT, h265.NALUType_PPS_NUT:
		return int(t)
	}
	return 0
}

func h264Size(sps []byte) (width, height int) {
	var s h264.SPS
	if s.Unmarshal(sps) != nil {
		return 0, 0
	}
	return s.Width(), s.Height()
}

func h265Size(sps []byte) (width, height int) {
	var s h265.SPS
	if s.Unmarshal(sps) != nil {
		return 0, 0
	}
	return s.Width(), s.Height()
}

// learn takes the parameter sets over that a key unit brings, and reports whether
// one of them is new: then the video goes on in another format.
func (f *nalFormat) learn(nals [][]byte) bool {
	if f.isSPS == nil {
		return false
	}
	var sets [][]byte
	kinds, fresh := map[int]bool{}, false
	for _, nal := range nals {
		if kind := f.setKind(nal); kind != 0 {
			sets, kinds[kind] = append(sets, nal), true
			fresh = fresh || !slices.ContainsFunc(f.sets, func(known []byte) bool { return bytes.Equal(known, nal) })
		}
	}
	if !fresh {
		return false
	}
	kept := slices.DeleteFunc(slices.Clone(f.sets), func(nal []byte) bool { return kinds[f.setKind(nal)] })
	f.sets = slices.Concat(kept, sets)
	return true
}

// sizeOf is the size of the pictures in pixels; 0 when the sets do not tell.
func (f *nalFormat) sizeOf() (width, height int) {
	for _, nal := range f.sets {
		if f.isSPS(nal) {
			width, height = f.size(nal)
		}
	}
	return width, height
}

// h264NALs reads avcC extradata, or Annex B.
func h264NALs(extra []byte) nalFormat {
	f := nalFormat{isSPS: h264SPS, setKind: h264Set, size: h264Size, foreign: h265VPS}
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
	f := nalFormat{isSPS: h265SPS, setKind: h265Set, size: h265Size, foreign: h264SPSAlone}
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
