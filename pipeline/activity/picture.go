package activity

import (
	"encoding/binary"
	"time"
)

// blockSide is the side of the squares that a picture is reduced to, in pixels.
const blockSide = 8

// Picture is the luma of a picture at an eighth of its size: the sums of every
// second row of squares of 8x8 pixels, which tell as much and cost half.
type Picture struct {
	Width, Height int // in squares
	Sums          []uint16
}

// Reduce fills p from a luma plane of 8 bits per pixel, on p's own memory where
// it suffices. Rows and columns that fill no square are left out.
func (p *Picture) Reduce(luma []byte, stride, width, height int) {
	p.Width, p.Height = width/blockSide, height/blockSide
	if n := p.Width * p.Height; cap(p.Sums) < n {
		p.Sums = make([]uint16, n)
	} else {
		p.Sums = p.Sums[:n]
	}
	// Eight pixels are added at a time: even and odd bytes in four lanes of 16 bits,
	// which hold the sums of 2x4 pixels each.
	const even = 0x00ff00ff00ff00ff
	const lanes = 0x0001000100010001
	for by := range p.Height {
		rows := luma[by*blockSide*stride:]
		out := p.Sums[by*p.Width : (by+1)*p.Width]
		for bx := range out {
			var sum uint64
			for y := 0; y < blockSide; y += 2 {
				v := binary.LittleEndian.Uint64(rows[y*stride+bx*blockSide:])
				sum += v&even + v>>8&even
			}
			out[bx] = uint16(sum * lanes >> 48)
		}
	}
}

// Constants of the comparison. Levels are of 256 of luma, on average of a square.
const (
	level        = blockSide * blockSide / 2 // of Picture.Sums in a level
	minChange    = 4 * level                 // the least change of a square that counts
	maxChange    = 40 * level                // a change that always counts
	noiseFactor  = 5                         // times the usual change of a square that counts
	noiseTime    = time.Minute               // over which the usual change is averaged
	minNeighbour = 2                         // changed squares around one that make it solid
	minSolid     = 3                         // solid squares that make a movement
	olderBy      = time.Second               // distance at which slow movement is looked for
)

// scene compares pictures with earlier ones.
type scene struct {
	unusable  bool
	last, old moment // the newest picture, and one from about a second before
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
		s.last.ok, s.old.ok = false, false
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

// differs compares two pictures taken dt apart, after taking out what changed
// everywhere alike, which is light, not movement. It learns the usual change of
// every square.
func (s *scene) differs(a, b *Picture, dt time.Duration) bool {
	light := commonChange(a, b)
	share := float32(min(0.25, dt.Seconds()/noiseTime.Seconds()))
	s.seen++
	share = max(share, 1/float32(s.seen))
	count := 0
	for i, v := range b.Sums {
		d := float32(int(v) - int(a.Sums[i]) - light)
		if d < 0 {
			d = -d
		}
		limit := min(maxChange, max(minChange, noiseFactor*s.usual[i]))
		if s.changed[i] = d > limit; s.changed[i] {
			count++
		}
		s.usual[i] += (min(d, maxChange) - s.usual[i]) * share
	}
	return count >= minSolid && s.solid(b.Width, b.Height) >= minSolid
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
