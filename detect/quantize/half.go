package quantize

import (
	"encoding/binary"
	"math"
)

// maxHalf is the largest 16-bit float.
const maxHalf = 65504

// half rounds to the nearest 16-bit float, to the even one of two; numbers beyond
// the largest become that, as an infinity would spoil what is computed from it.
func half(v float32) uint16 {
	v = max(min(v, maxHalf), -maxHalf)
	bits := math.Float32bits(v)
	sign := uint16(bits >> 16 & 0x8000)
	if v != v {
		return sign | 0x7e00
	}
	exponent := int(bits>>23&0xff) - 127
	fraction := bits&0x7fffff | 0x800000
	shift := 13
	if exponent < -14 { // without the leading one
		shift += -14 - exponent
		exponent = -15
	}
	if shift > 24 {
		return sign
	}
	rounded := fraction >> shift
	if rest, middle := fraction&(1<<shift-1), uint32(1)<<(shift-1); rest > middle || rest == middle && rounded&1 == 1 {
		rounded++
	}
	if exponent == -15 {
		return sign | uint16(rounded)
	}
	// The leading one of the fraction adds itself to the exponent.
	return sign | uint16(uint32(exponent+14)<<10+rounded)
}

func halves(values []float32) []byte {
	raw := make([]byte, 0, 2*len(values))
	for _, v := range values {
		raw = binary.LittleEndian.AppendUint16(raw, half(v))
	}
	return raw
}
