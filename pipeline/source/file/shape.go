package file

import (
	"encoding/binary"

	"github.com/asticode/go-astiav"

	"detectd/pipeline/frame"
)

// orientations are the matrices of right angles (ISO/IEC 14496-12, 6.2.2) by the
// signs of a, b, c and d: x' = a·x + c·y, y' = b·x + d·y.
var orientations = map[[4]int]frame.Orientation{
	{-1, 0, 0, 1}: 2, {-1, 0, 0, -1}: 3, {1, 0, 0, -1}: 4,
	{0, 1, 1, 0}: 5, {0, 1, -1, 0}: 6, {0, -1, -1, 0}: 7, {0, -1, 1, 0}: 8,
}

// orientationOf reads the matrix by which players turn the stream's pictures.
// Other angles than right ones are left alone.
func orientationOf(s *astiav.Stream) frame.Orientation {
	m := s.SideData(astiav.PacketSideDataTypeDisplaymatrix) // nine numbers in three rows
	if len(m) < 36 {
		return frame.Upright
	}
	at := func(i int) int { return sign(int32(binary.NativeEndian.Uint32(m[4*i:]))) }
	if o, ok := orientations[[4]int{at(0), at(1), at(3), at(4)}]; ok {
		return o
	}
	return frame.Upright
}

func sign(v int32) int {
	switch {
	case v > 0:
		return 1
	case v < 0:
		return -1
	}
	return 0
}

// aspectOf is the shape of pixels that the container gives; zero when it does not.
func aspectOf(s *astiav.Stream) [2]int {
	r := s.SampleAspectRatio()
	if r.Num() <= 0 || r.Den() <= 0 {
		return [2]int{}
	}
	return [2]int{r.Num(), r.Den()}
}
