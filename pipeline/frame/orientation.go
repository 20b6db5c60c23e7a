package frame

import (
	"cmp"
	"encoding/binary"
	"slices"

	"github.com/asticode/go-astiav"
)

// Orientation says how the stored rows of a picture have to be turned to be
// upright, numbered as in EXIF (CIPA DC-008, tag 0x0112): 1 as they are, 3 upside
// down, 6 a quarter clockwise, 8 a quarter the other way, 2, 4, 5 and 7 mirrored.
// 0 and numbers beyond 8 mean 1.
type Orientation uint8

// Upright pictures are shown as they are stored.
const Upright Orientation = 1

// Parts takes the orientation apart: an upright pixel x, y lies in the stored
// picture at y, x when swapped, and then its column or row is counted from the
// other side.
func (o Orientation) Parts() (swapped, fromRight, fromBottom bool) {
	switch o { //nolint:exhaustive // Upright, like what is none, needs nothing
	case 2:
		return false, true, false
	case 3:
		return false, true, true
	case 4:
		return false, false, true
	case 5:
		return true, false, false
	case 6:
		return true, false, true
	case 7:
		return true, true, true
	case 8:
		return true, true, false
	}
	return false, false, false
}

// Swapped tells whether width and height change places.
func (o Orientation) Swapped() bool {
	swapped, _, _ := o.Parts()
	return swapped
}

// Size is the upright size of a stored picture of w by h pixels.
func (o Orientation) Size(w, h int) (width, height int) {
	if o.Swapped() {
		return h, w
	}
	return w, h
}

// From returns which stored pixel belongs at x, y of the upright picture; w and h
// are the stored size.
func (o Orientation) From(x, y, w, h int) (storedX, storedY int) {
	swapped, fromRight, fromBottom := o.Parts()
	if swapped {
		x, y = y, x
	}
	if fromRight {
		x = w - 1 - x
	}
	if fromBottom {
		y = h - 1 - y
	}
	return x, y
}

// quarters are the orientations that are turns of each other, each a quarter
// clockwise of the one before.
var quarters = [2][4]Orientation{{Upright, 6, 3, 8}, {2, 7, 4, 5}}

// Turned is the orientation of a picture that is turned clockwise once it is upright
// by o. Degrees are a multiple of 90.
func (o Orientation) Turned(degrees int) Orientation {
	n := ((degrees/90)%4 + 4) % 4
	if n == 0 {
		return o
	}
	for _, circle := range quarters {
		if i := slices.Index(circle[:], o); i >= 0 {
			return circle[(i+n)%4]
		}
	}
	return quarters[0][n]
}

// Matrix says where a stored pixel x, y of a picture goes, but for the shift that
// keeps it in the first quadrant: to a·x + c·y, b·x + d·y, each of a to d being -1, 0
// or 1 (ISO/IEC 14496-12, 6.2.2).
func (o Orientation) Matrix() (a, b, c, d int) {
	swapped, fromRight, fromBottom := o.Parts()
	x, y := 1, 1
	if fromRight {
		x = -1
	}
	if fromBottom {
		y = -1
	}
	if swapped {
		return 0, x, y, 0
	}
	return x, 0, 0, y
}

// OrientationOf is the orientation with a matrix of the same signs; Upright for those
// that do not turn by right angles.
func OrientationOf(a, b, c, d int) Orientation {
	for o := Upright; o <= 8; o++ {
		oa, ob, oc, od := o.Matrix()
		if sign(a) == oa && sign(b) == ob && sign(c) == oc && sign(d) == od {
			return o
		}
	}
	return Upright
}

func sign(v int) int { return cmp.Compare(v, 0) }

// OrientationOfStream reads the matrix by which players turn the pictures of a file.
func OrientationOfStream(s *astiav.Stream) Orientation {
	m := s.SideData(astiav.PacketSideDataTypeDisplaymatrix) // nine numbers in three rows
	if len(m) < 36 {
		return Upright
	}
	at := func(i int) int { return int(int32(binary.NativeEndian.Uint32(m[4*i:]))) } //nolint:gosec // it is signed
	return OrientationOf(at(0), at(1), at(3), at(4))
}

// UprightSize is the size of the picture once it is turned, in stored pixels.
func (f *Frame) UprightSize() (width, height int) {
	return f.Orientation.Size(f.Width(), f.Height())
}

// UprightAspect is the width of a pixel by its height once the picture is turned.
func (f *Frame) UprightAspect() float64 {
	if f.Orientation.Swapped() {
		return 1 / f.Aspect()
	}
	return f.Aspect()
}
