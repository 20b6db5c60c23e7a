package activity

import (
	"math"
	"slices"
)

// Constants of the statistics. Sizes are compared by the logarithm of the bytes
// and a small offset, so that spreads and steps are shares of the size, and what
// a few bytes more or less do to an empty unit does not matter.
const (
	exactPositions = 16 // places in a group that have statistics of their own; later ones share them by octave
	octaves        = 8
	classCount     = 2 * (1 + exactPositions + octaves)

	ringSize     = 96 // values per class, the newest
	perGroup     = 6  // values that one group adds to a class at most, so that a ring covers many groups
	minValues    = 3  // of a class before it judges
	minGroups    = 3  // calm groups before anything is judged
	baseOffset   = 64 // bytes
	offsetShare  = 512
	minSpread    = 0.02  // 2 % of the size: coders differ by that much for no reason
	fewValues    = 12    // below it the spread of all classes together counts
	pooled       = 256   // differences that this spread is made of, the newest
	peakGroups   = 32    // calm groups whose largest deviations are remembered
	peakFactor   = 1.3   // times the largest of them is an alarm
	singleAlarm  = 6.0   // spreads by which one unit must be larger
	drift        = 1.0   // spreads that a unit may be larger for ever
	sumAlarm     = 12.0  // sum of what goes beyond drift (Page's CUSUM, Biometrika 41, 1954)
	maxStep      = 4.0   // that one unit adds to the sum
	shiftLevel   = 3.0   // spreads by which a calm group differs that shows a new level
	constantSize = 0.003 // spread below which sizes are made by rate control, not by the picture
	constantFrom = 1000  // bytes; smaller units may all be the same because they are empty

	maxNeeded   = 0.015 // of a key picture: what a movement must add to the sizes to be found by them
	missedAlarm = 0.8   // what the thresholds are multiplied with after movement without an alarm
	minFactor   = 0.5
	maxLimit    = 4.0 // times the basic thresholds that calm groups can raise them to
)

// sizes keeps the statistics of the sizes of units in calm video.
type sizes struct {
	classes [classCount]class
	pending []sample // of the present group
	groups  int      // committed
	offset  float64  // bytes
	factor  float64  // of the thresholds; 0 means 1
	spread  float64  // of all classes together
	diffs   [pooled]float32
	nDiffs  int // ever put into diffs
	scratch []float64

	sum   float64 // of the deviations that go on
	peak  peak    // of the present group
	peaks [peakGroups]peak
	limit peak // of an alarm
}

// peak is how far units deviated at most: one by itself, and in sum.
type peak struct{ single, sum float64 }

func (p peak) max(q peak) peak { return peak{max(p.single, q.single), max(p.sum, q.sum)} }

type sample struct {
	class int
	value float64
}

// class are the units at one place in their groups.
type class struct {
	ring           [ringSize]float32
	n, next        int
	centre, spread float64 // median, and 1.4826 times the median absolute deviation
}

func classOf(u Unit, position int) int {
	k := 0
	switch {
	case u.Key:
	case position <= exactPositions:
		k = position
	default:
		octave := min(octaves-1, int(math.Log2(float64(position)/exactPositions)))
		k = 1 + exactPositions + octave
	}
	if u.Disposable {
		return 2*k + 1
	}
	return 2 * k
}

// take judges a unit and keeps its size until the group is known to be calm.
func (s *sizes) take(u Unit, position int) (alarm bool) {
	if s.offset == 0 {
		s.offset = baseOffset + float64(u.Bytes)/offsetShare
	}
	c := classOf(u, position)
	x := math.Log(float64(u.Bytes) + s.offset)
	if len(s.pending) < 4096 {
		s.pending = append(s.pending, sample{c, x})
	}
	if u.Key || s.groups == 0 || s.classes[c].n == 0 {
		return false
	}
	z := s.score(c, x)
	s.sum = max(0, s.sum+min(z, maxStep)-drift)
	s.peak = s.peak.max(peak{z, s.sum})
	return z > s.limit.single || s.sum > s.limit.sum
}

// score is by how many spreads x is larger than usual.
func (s *sizes) score(class int, x float64) float64 {
	c := &s.classes[class]
	spread := max(minSpread, s.spread/2, c.spread)
	if c.n < fewValues {
		spread = max(minSpread, s.spread, c.spread)
	}
	return (x - c.centre) / spread
}

// learnPeak takes in how far the units of calm video deviated, and sets the
// limits beyond it.
func (s *sizes) learnPeak() {
	s.peaks[s.groups%peakGroups] = s.peak
	s.peak = peak{}
	var top peak
	for _, p := range s.peaks {
		top = top.max(p)
	}
	factor := s.factor
	if factor == 0 {
		factor = 1
	}
	set := func(basic, top float64) float64 {
		return factor * min(maxLimit*basic, max(basic, peakFactor*top))
	}
	s.limit = peak{set(singleAlarm, top.single), set(sumAlarm, top.sum)}
}

// missed makes the alarm more sensitive: movement did not show.
func (s *sizes) missed() {
	if s.factor == 0 {
		s.factor = 1
	}
	s.factor = max(minFactor, s.factor*missedAlarm)
}

// calm forgets what has summed up.
func (s *sizes) calm() { s.sum = 0 }

// discard drops the present group.
func (s *sizes) discard() { s.pending, s.sum, s.peak = s.pending[:0], 0, peak{} }

// forget drops everything but the thresholds and the present group.
func (s *sizes) forget() {
	*s = sizes{factor: s.factor, pending: s.pending, scratch: s.scratch, offset: s.offset}
}

// ready says that enough calm groups were seen.
func (s *sizes) ready() bool { return s.groups >= minGroups }

// commit learns the present group.
func (s *sizes) commit() {
	if len(s.pending) == 0 {
		return
	}
	var count, stride, seen [classCount]int
	for _, p := range s.pending {
		count[p.class]++
	}
	for c, n := range count {
		stride[c] = (n + perGroup - 1) / perGroup
	}
	for _, p := range s.pending {
		if c := &s.classes[p.class]; seen[p.class]%stride[p.class] == 0 {
			if c.n > 0 && p.class > 1 {
				s.diffs[s.nDiffs%pooled] = float32(math.Abs(p.value - c.centre))
				s.nDiffs++
			}
			c.add(p.value)
		}
		seen[p.class]++
	}
	for c, n := range count {
		if n > 0 {
			s.scratch = s.classes[c].measure(s.scratch)
		}
	}
	s.scratch = s.scratch[:0]
	for _, d := range s.diffs[:min(pooled, s.nDiffs)] {
		s.scratch = append(s.scratch, float64(d))
	}
	if len(s.scratch) > 0 {
		s.spread = 1.4826 * median(s.scratch)
	}
	s.pending = s.pending[:0]
	s.learnPeak()
	s.groups++
}

func (c *class) add(x float64) {
	c.ring[c.next] = float32(x)
	c.next = (c.next + 1) % ringSize
	c.n = min(c.n+1, ringSize)
}

func (c *class) measure(scratch []float64) []float64 {
	scratch = scratch[:0]
	for _, x := range c.ring[:c.n] {
		scratch = append(scratch, float64(x))
	}
	c.centre = median(scratch)
	for i, x := range scratch {
		scratch[i] = math.Abs(x - c.centre)
	}
	c.spread = 1.4826 * median(scratch)
	return scratch
}

// median sorts its argument.
func median(x []float64) float64 {
	slices.Sort(x)
	return x[len(x)/2]
}

// shifted says that the present group, which is calm, has another level than the
// ones before.
func (s *sizes) shifted() bool {
	if !s.ready() {
		return false
	}
	s.scratch = s.scratch[:0]
	for _, p := range s.pending {
		if c := &s.classes[p.class]; p.class > 1 && c.n >= minValues {
			s.scratch = append(s.scratch, s.score(p.class, p.value))
		}
	}
	return len(s.scratch) > 0 && math.Abs(median(s.scratch)) > shiftLevel
}

// constant says that rate control makes all units equal, whatever they show.
func (s *sizes) constant() bool {
	judged, same := 0, 0
	for k := 2; k < classCount; k++ {
		c := &s.classes[k]
		if c.n < minValues {
			continue
		}
		judged++
		if c.spread < constantSize && math.Exp(c.centre)-s.offset > constantFrom {
			same++
		}
	}
	return judged > 0 && 2*same > judged
}

// deaf says that noise or rate control drown movement: a unit would need more than
// maxNeeded beyond the usual to raise the alarm at once, or for half a second.
func (s *sizes) deaf(perSecond float64) bool { return s.needed(perSecond) > maxNeeded }

func (s *sizes) needed(perSecond float64) float64 {
	if s.limit.sum == 0 || s.classes[0].n == 0 {
		return 1
	}
	units := max(1, perSecond/2)
	z := min(s.limit.single, drift+s.limit.sum/units)
	s.scratch = s.scratch[:0]
	for k := 2; k < classCount; k++ {
		if c := &s.classes[k]; c.n >= minValues {
			spread := max(minSpread, s.spread/2, c.spread)
			s.scratch = append(s.scratch, (math.Exp(z*spread)-1)*math.Exp(c.centre))
		}
	}
	if len(s.scratch) == 0 {
		return 1
	}
	return median(s.scratch) / (math.Exp(s.classes[0].centre) - s.offset)
}
