package activity

import (
	"encoding/binary"
	"time"
)

const fine = 4 // pixels

// sideOf is the side of the squares, in pixels, to which a picture of that width is
// reduced: an object that a model can find covers several of them, and there are
// no more of them than it takes for that.
func sideOf(width int) int {
	switch {
	case width < 640:
		return fine
	case width < 2560:
		return 8
	}
	return 16
}

// Picture is the luma of a picture in squares of 4x4, 8x8 or 16x16 pixels, whichever
// suits its width. Of each square, 4 rows are summed up, which tell as much as all.
type Picture struct {
	Width, Height int      // in squares
	Side          int      // of a square, in pixels
	Sums          []uint16 // 32 for each level of a square's mean luma
}

// Reduce fills p from a luma plane of 8 bits per pixel, on p's own memory where
// it suffices. Rows and columns that fill no square are left out.
func (p *Picture) Reduce(luma []byte, stride, width, height int) {
	p.Side = sideOf(width)
	p.Width, p.Height = width/p.Side, height/p.Side
	if n := p.Width * p.Height; cap(p.Sums) < n {
		p.Sums = make([]uint16, n)
	} else {
		p.Sums = p.Sums[:n]
	}
	for y := range p.Height {
		rows, out := luma[y*p.Side*stride:], p.Sums[y*p.Width:(y+1)*p.Width]
		switch p.Side {
		case fine:
			quads(out, rows, stride)
		case 8:
			octets(out, rows, stride)
		default:
			wide(out, rows, stride)
		}
	}
}

// Pixels are added several at a time: even and odd bytes in lanes of 16 bits.
const (
	even  = 0x00ff00ff00ff00ff
	lanes = 0x0001000100010001
)

// quads sums up squares of 4x4 pixels.
func quads(out []uint16, rows []byte, stride int) {
	for x := range out {
		var sum uint32
		for y := range 4 {
			v := binary.LittleEndian.Uint32(rows[y*stride+4*x:])
			sum += v&(even>>32) + v>>8&(even>>32)
		}
		out[x] = uint16(2 * (sum + sum>>16)) //nolint:gosec // the lower half is meant, 16 pixels fill 12 bits
	}
}

// octets sums up every second row of squares of 8x8 pixels.
func octets(out []uint16, rows []byte, stride int) {
	for x := range out {
		var sum uint64
		for y := range 4 {
			v := binary.LittleEndian.Uint64(rows[2*y*stride+8*x:])
			sum += v&even + v>>8&even
		}
		out[x] = uint16(sum * lanes >> 48)
	}
}

// wide sums up every fourth row of squares of 16x16 pixels.
func wide(out []uint16, rows []byte, stride int) {
	for x := range out {
		var sum uint64
		for y := range 4 {
			row := rows[4*y*stride+16*x:]
			v, w := binary.LittleEndian.Uint64(row), binary.LittleEndian.Uint64(row[8:])
			sum += v&even + v>>8&even + w&even + w>>8&even
		}
		out[x] = uint16(sum * lanes >> 49)
	}
}

// Constants of the comparison. Levels are of 256 of luma, on average of a square.
const (
	level         = 32          // of Picture.Sums
	minChange     = 4 * level   // the least change of a square that counts
	minChangeFine = 8 * level   // the same of a small square, in which coding shows more
	maxChange     = 40 * level  // a change that always counts
	noiseAsk      = 4           // the same for the model to be asked, with half of the least change
	noiseFactor   = 5           // times the usual change of a square that counts
	noiseTime     = time.Minute // over which the usual change is averaged
	minNeighbour  = 2           // changed squares around one that make it solid
	minSolid      = 3           // solid squares that make a movement
	olderBy       = time.Second // distance at which slow movement is looked for
)

// scene compares pictures with earlier ones.
type scene struct {
	unusable  bool
	last, old moment // the newest picture, and one from about a second before
	asked     moment // the look that the model saw last
	usual     []float32
	seen      int // comparisons that usual is made of
	changed   []bool
}

type moment struct {
	at time.Duration
	p  Picture
	ok bool
}

func (m *moment) set(at time.Duration, p *Picture) {
	m.at, m.ok = at, true
	m.p.Width, m.p.Height = p.Width, p.Height
	m.p.Sums = append(m.p.Sums[:0], p.Sums...)
}

// compare tells whether something moved since the last picture and since about a
// second before. keep makes the picture the last one.
func (s *scene) compare(at time.Duration, p *Picture, keep bool) (moved bool) {
	if p == nil || len(p.Sums) == 0 {
		s.unusable = true
		return false
	}
	s.unusable = false
	if n := len(p.Sums); len(s.usual) != n || s.last.ok && s.last.p.Width != p.Width {
		s.usual, s.changed, s.seen = make([]float32, n), make([]bool, n), 0
		s.last.ok, s.old.ok, s.asked.ok = false, false, false
	}
	if s.last.ok && at <= s.last.at { // kept units are being decoded: begin anew
		s.last.ok, s.old.ok = false, false
	}
	if s.last.ok {
		moved = s.differs(&s.last.p, p, at-s.last.at)
	}
	if s.old.ok && s.old.at < s.last.at {
		moved = s.differs(&s.old.p, p, at-s.old.at) || moved
	}
	if keep {
		s.keep(at, p)
	}
	return moved
}

// keep makes p the last picture.
func (s *scene) keep(at time.Duration, p *Picture) {
	if !s.old.ok || at-s.old.at >= olderBy {
		s.old.set(at, p)
	}
	s.last.set(at, p)
}

// ask notes that the model sees the last picture.
func (s *scene) ask() { s.asked.set(s.last.at, &s.last.p) }

// drifted says that the last picture differs a little from the one that the model saw.
func (s *scene) drifted() bool {
	if !s.asked.ok || !s.last.ok {
		return true
	}
	return s.mark(&s.asked.p, &s.last.p, commonChange(&s.asked.p, &s.last.p), noiseAsk, 0.5)
}

// mark marks the squares that changed, beside light, by more than so many times their
// usual change and than a share of the least change that counts, and says that they
// make a movement.
func (s *scene) mark(a, b *Picture, light int, noise, share float32) bool {
	least, count := share*minChange, 0
	if b.Side == fine {
		least = share * minChangeFine
	}
	for i, v := range b.Sums {
		d := float32(int(v) - int(a.Sums[i]) - light)
		limit := min(maxChange, max(least, noise*s.usual[i]))
		if s.changed[i] = max(d, -d) > limit; s.changed[i] {
			count++
		}
	}
	return count >= minSolid && s.solid(b.Width, b.Height) >= minSolid
}

// differs compares two pictures taken dt apart, after taking out what changed
// everywhere alike, which is light, not movement. It learns the usual change of
// every square.
func (s *scene) differs(a, b *Picture, dt time.Duration) bool {
	light := commonChange(a, b)
	moved := s.mark(a, b, light, noiseFactor, 1)
	share := float32(min(0.25, dt.Seconds()/noiseTime.Seconds()))
	s.seen++
	share = max(share, 1/float32(s.seen))
	for i, v := range b.Sums {
		d := float32(int(v) - int(a.Sums[i]) - light)
		s.usual[i] += (min(max(d, -d), maxChange) - s.usual[i]) * share
	}
	return moved
}

// solid counts the changed squares that have changed neighbours.
func (s *scene) solid(width, height int) (n int) {
	for y := range height {
		for x := range width {
			if s.changed[y*width+x] && s.neighbours(x, y, width, height) >= minNeighbour {
				n++
			}
		}
	}
	return n
}

func (s *scene) neighbours(x, y, width, height int) (n int) {
	for j := max(0, y-1); j <= min(height-1, y+1); j++ {
		for i := max(0, x-1); i <= min(width-1, x+1); i++ {
			if s.changed[j*width+i] && (i != x || j != y) {
				n++
			}
		}
	}
	return n
}

// commonChange is the median change of all squares, to the level.
func commonChange(a, b *Picture) int {
	var counts [2*256 + 1]int
	for i, v := range b.Sums {
		counts[(int(v)-int(a.Sums[i])+256*level)/level]++
	}
	rest := len(b.Sums) / 2
	for k, n := range counts {
		if rest -= n; rest < 0 {
			return (k - 256) * level
		}
	}
	return 0
}
