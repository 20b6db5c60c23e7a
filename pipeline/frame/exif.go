package frame

import (
	"bytes"
	"encoding/binary"
)

// ReadOrientation finds the EXIF orientation in a JPEG, PNG or WebP file. Files of
// other kinds, without one and with an odd one are upright.
func ReadOrientation(file []byte) Orientation {
	switch {
	case bytes.HasPrefix(file, []byte("\xff\xd8")):
		return jpegOrientation(file)
	case bytes.HasPrefix(file, []byte("\x89PNG\r\n\x1a\n")):
		return tiffOrientation(pngChunk(file, "eXIf"))
	case bytes.HasPrefix(file, []byte("RIFF")):
		// Some writers put the mark of JPEG's blocks in front.
		return tiffOrientation(bytes.TrimPrefix(webpChunk(file, "EXIF"), []byte("Exif\x00\x00")))
	}
	return Upright
}

// pngChunk finds the first chunk of a kind before the pixels.
func pngChunk(png []byte, kind string) []byte {
	const signature, around = 8, 12 // bytes; length, kind and checksum
	for at := signature; at+around <= len(png); {
		n, name := int64(binary.BigEndian.Uint32(png[at:])), string(png[at+4:at+8])
		if name == "IDAT" || n > int64(len(png)-at-around) {
			break
		}
		if name == kind {
			return png[at+8 : at+8+int(n)]
		}
		at += around + int(n)
	}
	return nil
}

// webpChunk finds the first chunk of a kind.
func webpChunk(webp []byte, kind string) []byte {
	const header, around = 12, 8 // bytes; kind and length
	for at := header; at+around <= len(webp); {
		n := int64(binary.LittleEndian.Uint32(webp[at+4:]))
		if n > int64(len(webp)-at-around) {
			break
		}
		if string(webp[at:at+4]) == kind {
			return webp[at+around : at+around+int(n)]
		}
		at += around + int(n+n&1) // they begin at even places
	}
	return nil
}

func jpegOrientation(jpeg []byte) Orientation {
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
	return Upright
}

func tiffOrientation(b []byte) Orientation {
	if len(b) < 8 {
		return Upright
	}
	var order binary.ByteOrder = binary.LittleEndian
	if b[0] == 'M' {
		order = binary.BigEndian
	}
	at := int64(order.Uint32(b[4:]))
	if at+2 > int64(len(b)) {
		return Upright
	}
	entries := b[at+2:]
	for range order.Uint16(b[at:]) {
		if len(entries) < 12 {
			break
		}
		if order.Uint16(entries) == 0x0112 {
			if o := Orientation(min(order.Uint16(entries[8:]), 9)); o >= 1 && o <= 8 {
				return o
			}
			break
		}
		entries = entries[12:]
	}
	return Upright
}
