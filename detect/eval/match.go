package eval

// detection is a Result on its way to be matched.
type detection struct {
	category int
	score    float64
	box      [4]float64
}

// hit is what became of a detection. Bit t of a mask is about threshold t.
type hit struct {
	score    float64
	category int32
	image    int32
	rank     int16 // in its picture and category
	right    [areas]uint16
	ignored  [areas]uint16
}

const allThresholds = 1<<thresholds - 1

// threshold returns the least overlap of a match. The explicit conversion keeps
// the product from being fused with the sum, which changes the last digit.
func threshold(t int) float64 {
	const from, to = 0.5, 0.95
	if t == thresholds-1 {
		return to
	}
	step := (float64(to) - from) / (thresholds - 1)
	return float64(float64(t)*step) + from
}

// match tells for all ranges of areas and all thresholds which detections of one
// category in one picture, best score first, find an object, and appends that to
// dst.
func match(dst []hit, objects []object, found []detection) []hit {
	m := matcher{objects: objects, found: found, taken: make([]bool, len(objects)), order: make([]int, 0, len(objects))}
	m.overlaps = make([]float64, 0, len(objects)*len(found))
	for _, d := range found {
		for _, o := range objects {
			m.overlaps = append(m.overlaps, overlap(d.box, o))
		}
	}
	first := len(dst)
	for i, d := range found {
		dst = append(dst, hit{score: d.score, category: int32(d.category), rank: int16(i)}) //nolint:gosec // both are small
	}
	for a, r := range ranges() {
		m.sort(r)
		for t := range thresholds {
			m.at(dst[first:], a, t)
		}
		for i, d := range found {
			if h := &dst[first+i]; !r.holds(float64(d.box[2] * d.box[3])) {
				h.ignored[a] |= allThresholds &^ h.right[a]
			}
		}
	}
	return dst
}

// matcher matches the objects and detections of one category in one picture.
type matcher struct {
	objects  []object
	found    []detection
	overlaps []float64 // by detection, then object
	order    []int     // of the objects: those to be found first
	wanted   int       // how many are to be found
	taken    []bool    // by object
}

// sort puts the objects to be found in a range of areas before those that are
// ignored.
func (m *matcher) sort(r areaRange) {
	m.order = m.order[:0]
	for _, wanted := range []bool{true, false} {
		for i, o := range m.objects {
			if wanted == (!o.crowd && r.holds(o.area)) {
				m.order = append(m.order, i)
			}
		}
		if wanted {
			m.wanted = len(m.order)
		}
	}
}

// at matches at threshold t and notes it for range a.
func (m *matcher) at(hits []hit, a, t int) {
	if len(m.objects) == 0 {
		return
	}
	clear(m.taken)
	least := min(threshold(t), 1-1e-10)
	bit := uint16(1) << t
	for i := range m.found {
		overlaps := m.overlaps[i*len(m.objects) : (i+1)*len(m.objects)]
		best, object, wanted := least, -1, false
		for n, o := range m.order {
			if m.taken[o] && !m.objects[o].crowd {
				continue
			}
			if wanted && n >= m.wanted {
				break
			}
			if overlaps[o] < best {
				continue
			}
			best, object, wanted = overlaps[o], o, n < m.wanted
		}
		if object < 0 {
			continue
		}
		m.taken[object] = true
		// pycocotools takes the id of the object for "found": 0 is not.
		if !m.objects[object].nameless {
			hits[i].right[a] |= bit
		}
		if !wanted {
			hits[i].ignored[a] |= bit
		}
	}
}

// overlap is the intersection over the union, and with a crowd the part of the
// detection that lies in it.
func overlap(d [4]float64, o object) float64 {
	g := o.box
	w := min(d[2]+d[0], g[2]+g[0]) - max(d[0], g[0])
	h := min(d[3]+d[1], g[3]+g[1]) - max(d[1], g[1])
	if w <= 0 || h <= 0 {
		return 0
	}
	// Explicit conversions: see threshold.
	inter, area := float64(w*h), float64(d[2]*d[3])
	if o.crowd {
		return inter / area
	}
	return inter / (area + float64(g[2]*g[3]) - inter)
}
