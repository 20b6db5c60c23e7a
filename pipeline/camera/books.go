package camera

import "time"

// booksWindow is how many units later the picture of a unit comes out at most: 16 is
// the most that H.264 and H.265 hold back, and libavcodec has a few of its own.
const booksWindow = 32

// books follows the units that go into the decoder until their pictures come out, so
// that each is counted once: as a frame, or as one that gave none.
type books struct {
	open           []booked // oldest first
	count          int      // of units sent
	corrupt, empty func()   // a unit gave no picture: it was refused, or taken
}

type booked struct {
	number  int
	pts     time.Duration
	refused bool
}

// sent notes a unit before it goes into the decoder.
func (b *books) sent(pts time.Duration) {
	b.count++
	for len(b.open) > 0 && b.count-b.open[0].number >= booksWindow {
		b.lose(1)
	}
	b.open = append(b.open, booked{number: b.count, pts: pts})
}

// refused notes that the decoder did not take the unit that was sent last. A part of
// it may come out all the same.
func (b *books) refused() {
	if n := len(b.open); n > 0 {
		b.open[n-1].refused = true
	}
}

// came notes a picture.
func (b *books) came(pts time.Duration) {
	for i, u := range b.open {
		if u.pts == pts {
			b.open = append(b.open[:i], b.open[i+1:]...)
			return
		}
	}
}

// flushed notes that nothing is in the decoder any more.
func (b *books) flushed() { b.lose(len(b.open)) }

func (b *books) lose(n int) {
	for _, u := range b.open[:n] {
		if u.refused {
			b.corrupt()
		} else {
			b.empty()
		}
	}
	b.open = append(b.open[:0], b.open[n:]...)
}
