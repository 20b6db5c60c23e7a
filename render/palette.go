package render

import (
	"fmt"
	"hash/fnv"
)

// Color is an opaque sRGB colour.
type Color struct {
	R, G, B uint8
}

// palette is the set of Okabe and Ito ("Color Universal Design", 2008), whose
// members stay apart in all common kinds of colour blindness, without its black.
// The order puts the ones that differ most side by side.
var palette = [...]Color{
	{0xE6, 0x9F, 0x00}, // orange
	{0x56, 0xB4, 0xE9}, // sky blue
	{0x00, 0x9E, 0x73}, // bluish green
	{0xF0, 0xE4, 0x42}, // yellow
	{0xCC, 0x79, 0xA7}, // reddish purple
	{0x00, 0x72, 0xB2}, // blue
	{0xD5, 0x5E, 0x00}, // vermilion
}

// ClassColor is the colour of a class of a model: the same in every picture.
func ClassColor(classID int) Color {
	return palette[uint(classID)%uint(len(palette))]
}

// TrackColor is the colour of a track: the same in every picture it appears in.
func TrackColor(trackID string) Color {
	h := fnv.New32a()
	_, _ = h.Write([]byte(trackID)) // never fails
	return palette[h.Sum32()%uint32(len(palette))]
}

// Hex is the colour as style sheets spell it, "#rrggbb".
func (c Color) Hex() string { return fmt.Sprintf("#%02x%02x%02x", c.R, c.G, c.B) }

// Ink is black or white, whichever is easier to read on c (WCAG 2.1: the one
// with the higher contrast, which changes at a relative luminance of 0.179; the
// weights here are taken on the coded values, where that is about 117).
func (c Color) Ink() Color {
	if 0.2126*float64(c.R)+0.7152*float64(c.G)+0.0722*float64(c.B) > 117 {
		return Color{}
	}
	return Color{0xFF, 0xFF, 0xFF}
}
