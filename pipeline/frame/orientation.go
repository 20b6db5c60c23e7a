package frame

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
