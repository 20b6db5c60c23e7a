package activity

import (
	"math"
	"math/bits"
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
	minSpread    = 0.02 // 2 % of the size: coders differ by that much for no reason
	fewValues    = 12   // below it the spread of all classes together counts
	pooled       = 256  // differences that this spread is made of, the newest
	singleAlarm  = 6.0  // spreads by which one unit must be larger
	falseAlarms  = 1e-7 // of a window, if units were independent and normal
	minFloor     = 0.6  // spreads by which all units of a window must be larger, at first
	leastFloor   = -1.5 // and at least, when much calm video was seen
	leastMean    = 2.5  // the same of the average, for one unit; the root of n less for n
	marginMean   = 1.5  // beyond the largest average in calm video, likewise
	marginLeast  = 0.5  // beyond the largest least deviation
	earlyMargin  = 1.5  // times the margins are added when little was seen
	slotUnits    = 100  // units of calm video at least whose largest deviations share a slot
	slots        = 64
	learnedUnits = 200 // of calm video, from which the limits follow what was seen in it
	scales       = 6   // windows of 1, 2, 4 to 32 units
	windowMax    = 1 << (scales - 1)
	highest      = 4.0   // spreads that one unit counts for in a window at most
	lowest       = -3.0  // and at least
	peakFactor   = 1.3   // times the largest deviation of one unit is an alarm
	shiftLevel   = 3.0   // spreads by which a calm group differs that shows a new level
	constantSize = 0.003 // spread below which sizes are made by rate control, not by the picture
	constantFrom = 1000  // bytes; smaller units may all be the same because they are empty

	// maxNeeded is what a movement may have to add to the sizes to be found by them,
	// as a share of a key picture, where key pictures are up to neededGap seconds
	// apart. It is less where less is seen of the looks.
	maxNeeded   = 0.015
	neededGap   = 2.1
	appears     = 2      // times that much shows in the one unit in which something appears
	clearNeeded = 0.003  // the same where the smallest movement shows
	plainNeeded = 0.0005 // the same where it must show
	keyAlike    = 0.002  // spread of the sizes of key units up to which they tell of what stands
	keySpreads  = 3      // spreads by which two of them may differ,
	keyLeast    = 0.001  // which is never less than this
	keySame     = 0.004  // nor more
	missedAlarm = 0.8    // what the thresholds are multiplied with after movement without an alarm
	minFactor   = 0.5
	maxLimit    = 10.0 // times the basic limits that calm video can raise them to
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

	last   [windowMax]float64 // deviations of the newest units
	judged int                // units in last, ever
	peak   peak               // of the present group
	inPeak int                // units that it is made of
	peaks  [slots]peak        // of calm video
	slot   int                // that is filled now
	inSlot int                // units in it
	calmed int                // units in all slots, ever
	limit  peak               // of an alarm
}

// peak is how far the units of windows of 1, 2, 4 ... units deviated at most, on
// average and all of them. Coding of noise makes single units large, and some
// large and some small; something that moves makes all of them larger.
type peak struct{ mean, least [scales]float64 }

func noPeak() (p peak) {
	for k := range scales {
		p.mean[k], p.least[k] = lowest, lowest
	}
	return p
}

func (p peak) max(q peak) peak {
	for k := range scales {
		p.mean[k], p.least[k] = max(p.mean[k], q.mean[k]), max(p.least[k], q.least[k])
	}
	return p
}

func (p peak) beyond(limit peak) bool {
	for k := range scales {
		if p.mean[k] > limit.mean[k] || p.least[k] > limit.least[k] {
			return true
		}
	}
	return false
}

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
	s.last[s.judged%windowMax] = max(lowest, z)
	s.judged++
	now := s.windows()
	s.peak, s.inPeak = s.peak.max(now), s.inPeak+1
	return now.beyond(s.limit)
}

// windows measures the windows that end with the newest unit.
func (s *sizes) windows() peak {
	now, sum, least := noPeak(), 0.0, math.Inf(1)
	for i := range min(windowMax, s.judged) {
		z := s.last[(s.judged-1-i)%windowMax]
		sum, least = sum+min(z, highest), min(least, z)
		if n := i + 1; n&i == 0 {
			k := bits.TrailingZeros(uint(n)) //nolint:gosec // small and positive
			now.mean[k], now.least[k] = sum/float64(n), least
		}
	}
	now.mean[0] = now.least[0] // one unit counts whole
	return now
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
	if s.calmed == 0 || s.inSlot >= slotUnits {
		if s.calmed > 0 {
			s.slot = (s.slot + 1) % slots
		}
		s.peaks[s.slot], s.inSlot = noPeak(), 0
	}
	s.peaks[s.slot] = s.peaks[s.slot].max(s.peak)
	s.inSlot, s.calmed = s.inSlot+s.inPeak, s.calmed+s.inPeak
	s.peak, s.inPeak = noPeak(), 0
	top := noPeak()
	for _, p := range s.peaks[:min(slots, 1+s.calmed/slotUnits)] {
		top = top.max(p)
	}
	factor := s.factor
	if factor == 0 {
		factor = 1
	}
	for k := range scales {
		s.limit.mean[k], s.limit.least[k] = limits(1<<k, top.mean[k], top.least[k], factor, s.calmed)
	}
}

// limits are what windows of n units may reach when the largest of calm video are
// topMean and topLeast. As long as little was seen, they are those of independent
// normal deviations.
func limits(n int, topMean, topLeast, factor float64, units int) (mean, least float64) {
	root := math.Sqrt(float64(n))
	// What is still to come beyond the largest so far is the less the more was seen.
	early := 1 + earlyMargin/math.Sqrt(max(1, float64(units)/learnedUnits))
	over, overLeast := early*marginMean/root, early*marginLeast
	basic := singleAlarm / root
	if n == 1 {
		mean = factor * min(maxLimit*basic, max(basic, peakFactor*topMean))
		return mean, mean
	}
	mean, least = max(basic, topMean+over), max(floorOf(n), topLeast+overLeast)
	if units >= learnedUnits {
		mean = max(leastMean/root, topMean+over)
		least = max(leastFloor, topLeast+overLeast)
	}
	return factor * min(mean, highest), least
}

// floorOf is what the smallest of n independent normal deviations exceeds about as
// seldom as falseAlarms says.
func floorOf(n int) float64 {
	return max(minFloor, math.Sqrt2*math.Erfinv(1-2*math.Pow(falseAlarms, 1/float64(n))))
}

// missed makes the alarm more sensitive: movement did not show.
func (s *sizes) missed() {
	if s.factor == 0 {
		s.factor = 1
	}
	s.factor = max(minFactor, s.factor*missedAlarm)
}

// calm forgets what has summed up.
func (s *sizes) calm() { s.judged = 0 }

// discard drops the present group.
func (s *sizes) discard() { s.pending, s.judged, s.peak, s.inPeak = s.pending[:0], 0, noPeak(), 0 }

// forget drops everything but the thresholds and the present group.
func (s *sizes) forget() {
	*s = sizes{factor: s.factor, pending: s.pending, scratch: s.scratch, offset: s.offset, peak: noPeak()}
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

// sameKey says that a key unit is as large as another of so many bytes, and that key
// units in calm video are so much alike that this means something.
func (s *sizes) sameKey(u Unit, bytes int) bool {
	c := &s.classes[classOf(u, 0)]
	limit := min(keySame, keySpreads*c.spread)
	change := math.Abs(float64(u.Bytes-bytes)) / float64(max(1, bytes))
	return c.n >= minValues && c.spread <= keyAlike && change <= max(limit, keyLeast)
}

// deaf says that noise or rate control drown movement: units would need more than
// maxNeeded beyond the usual to raise the alarm within half a second. Where looks
// are far apart, something may also appear, stand and be gone between two of
// them, and shows in one unit only.
func (s *sizes) deaf(perSecond, gap float64) bool {
	most := maxNeeded * min(1, neededGap/max(gap, 0.1))
	return s.needed(perSecond) > most || gap > neededGap && s.add(s.limit.mean[0]) > appears*most
}

func (s *sizes) needed(perSecond float64) float64 {
	z := s.limit.mean[0]
	for k := range scales {
		if float64(int(1)<<k) <= max(1, perSecond/2) {
			z = min(z, s.limit.mean[k])
		}
	}
	return s.add(z)
}

// add is what a deviation of z adds to a usual unit, as a share of a key picture:
// of the units that others depend on or of those that none does, whichever need
// more.
func (s *sizes) add(z float64) float64 {
	if s.calmed == 0 || s.classes[0].n == 0 {
		return 1
	}
	most := 0.0
	for kind := 2; kind < 4; kind++ {
		s.scratch = s.scratch[:0]
		for k := kind; k < classCount; k += 2 {
			if c := &s.classes[k]; c.n >= minValues {
				spread := max(minSpread, s.spread/2, c.spread)
				s.scratch = append(s.scratch, (math.Exp(z*spread)-1)*math.Exp(c.centre))
			}
		}
		if len(s.scratch) > 0 {
			most = max(most, median(s.scratch))
		}
	}
	if most == 0 {
		return 1
	}
	return most / (math.Exp(s.classes[0].centre) - s.offset)
}
