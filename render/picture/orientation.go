package picture

import (
	"bytes"
	"encoding/binary"
)

// orientation is the EXIF tag 0x0112 (CIPA DC-008): how to turn the stored rows.
type orientation int

const upright orientation = 1

// turned tells whether width and height change places.
func (o orientation) turned() bool { return o >= 5 }

// from returns which stored pixel belongs at x, y of the upright picture;
// w and h are the stored size.
func (o orientation) from(x, y, w, h int) (int, int) {
	switch o {
	case 2:
		return w - 1 - x, y
	case 3:
		return w - 1 - x, h - 1 - y
	case 4:
		return x, h - 1 - y
	case 5:
		return y, x
	case 6:
		return y, h - 1 - x
	case 7:
		return w - 1 - y, h - 1 - x
	case 8:
		return w - 1 - y, x
	}
	return x, y
}

// exifOrientation finds the orientation in a JPEG file. Anything odd is upright.
func exifOrientation(jpeg []byte) orientation {
	for at := 2; at+4 <= len(jpeg) && jpeg[at] == 0xFF; {
		marker := jpeg[at+1]
		if marker == 0xFF { // a fill byte
			at++
			continue
		}
		n := int(binary.BigEndian.Uint16(jpeg[at+2:]))
		if marker == 0xDA || n < 2 || at+2+n > len(jpeg) { // the picture begins, or the file is odd
			break
		}
		body := jpeg[at+4 : at+2+n]
		if tiff, ok := bytes.CutPrefix(body, []byte("Exif\x00\x00")); ok && marker == 0xE1 {
			return tiffOrientation(tiff)
		}
		at += 2 + n
	}
	return upright
}

func tiffOrientation(b []byte) orientation {
	if len(b) < 8 {
		return upright
	}
	var order binary.ByteOrder = binary.LittleEndian
	if b[0] == 'M' {
		order = binary.BigEndian
	}
	at := int64(order.Uint32(b[4:]))
	if at+2 > int64(len(b)) {
		return upright
	}
	entries := b[at+2:]
	for range order.Uint16(b[at:]) {
		if len(entries) < 12 {
			break
		}
		if order.Uint16(entries) == 0x0112 {
			if o := orientation(order.Uint16(entries[8:])); o >= 1 && o <= 8 {
				return o
			}
			break
		}
		entries = entries[12:]
	}
	return upright
}
