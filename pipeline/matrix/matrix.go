// Package matrix says in the head of an MP4 file how players have to turn its
// pictures: by the matrix of the video's track header (ISO/IEC 14496-12, 8.3.2). The
// coded pictures stay as they are.
//
// Heads are changed where they lie and keep their length.
package matrix

import (
	"encoding/binary"
	"math"

	"detectd/pipeline/frame"
)

// Write sets the orientation of the pictures of all video tracks in a head, which
// holds the file's moov box. What is no head, or torn, is left as it is.
func Write(head []byte, o frame.Orientation) {
	a, b, c, d := o.Matrix()
	headers(head, func(h trackHeader) {
		// The shift brings the picture back to where both coordinates begin at 0.
		x, y := 0, 0
		for _, side := range []struct{ toX, toY, size int }{{a, b, h.width()}, {c, d, h.height()}} {
			if side.toX < 0 {
				x = side.size
			}
			if side.toY < 0 {
				y = side.size
			}
		}
		const one = 1 << 16
		for i, v := range []int{a * one, b * one, 0, c * one, d * one, 0, x, y, 1 << 30} {
			binary.BigEndian.PutUint32(h.matrix[4*i:], uint32(v)) //nolint:gosec // signed in the file as well
		}
	})
}

// Read is the orientation of the pictures of the first video track in a head; Upright
// without one.
func Read(head []byte) frame.Orientation {
	o := frame.Orientation(0)
	headers(head, func(h trackHeader) {
		if o == 0 {
			o = frame.OrientationOf(h.at(0), h.at(1), h.at(3), h.at(4))
		}
	})
	return max(o, frame.Upright)
}

// trackHeader is what a tkhd box says of the pictures of a track.
type trackHeader struct {
	matrix []byte // nine numbers
	size   []byte // width and height, in 65536ths of a pixel
}

func (h trackHeader) at(i int) int { return int(int32(binary.BigEndian.Uint32(h.matrix[4*i:]))) } //nolint:gosec // signed in the file
func (h trackHeader) width() int   { return int(binary.BigEndian.Uint32(h.size)) }
func (h trackHeader) height() int  { return int(binary.BigEndian.Uint32(h.size[4:])) }

// headers calls fn for the headers of tracks that show something: those of sound have
// no size.
func headers(head []byte, fn func(trackHeader)) {
	boxes(head, func(kind string, moov []byte) {
		if kind != "moov" {
			return
		}
		boxes(moov, func(kind string, trak []byte) {
			if kind != "trak" {
				return
			}
			boxes(trak, func(kind string, tkhd []byte) {
				if kind != "tkhd" || len(tkhd) == 0 {
					return
				}
				at := 40
				if tkhd[0] == 1 { // times of 64 bits
					at = 52
				}
				if len(tkhd) < at+44 {
					return
				}
				if h := (trackHeader{tkhd[at : at+36], tkhd[at+36 : at+44]}); h.width() > 0 && h.height() > 0 {
					fn(h)
				}
			})
		})
	})
}

// boxes calls fn for the boxes that lie whole in b, with what is in them.
func boxes(b []byte, fn func(kind string, payload []byte)) {
	for len(b) >= 8 {
		size, from := uint64(binary.BigEndian.Uint32(b)), uint64(8)
		if size == 1 {
			if len(b) < 16 {
				return
			}
			size, from = binary.BigEndian.Uint64(b[8:]), 16
		}
		if size < from || size > math.MaxInt || size > uint64(len(b)) {
			return
		}
		fn(string(b[4:8]), b[from:size])
		b = b[size:]
	}
}
