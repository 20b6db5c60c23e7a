package rtsp

import "time"

const (
	// soundSlack and soundGuess are how far sound may be from where it belongs before
	// it is moved: by the camera's own clock, and by when it arrives.
	soundSlack = 25 * time.Millisecond
	soundGuess = 60 * time.Millisecond
	// maxApart is how far the camera's clocks of sound and video may be from what
	// their arrival says. Beyond it, they are not of one clock.
	maxApart = 2 * time.Second
)

// reference is the video's time as sound is put beside it.
type reference struct {
	zero    time.Time     // when PTS 0 would have arrived at the quickest
	ahead   time.Duration // of the packet to PTS 0, on the camera's wall clock
	claimed bool          // ahead is known
}

// soundLine puts sound on the timeline of the video. What is captured at one moment
// gets one PTS: by the sender reports of both where the camera sends them, whatever
// its wall clock says, else by the arrival of the quickest packets of each.
//
// Sound runs by its own RTP time. When it comes to lie too far from where it belongs,
// it is moved as capture times are (package steady): forwards at once, which leaves
// a hole, backwards by at most half a piece with every piece, so that none is lost
// and the order stays.
type soundLine struct {
	clock   int64 // Hz
	started bool
	last    uint32 // time stamp of the packet before
	arrived time.Time
	ticks   int64         // by the time stamps
	end     time.Duration // of the packet before, in the sound's own time
	length  time.Duration // of the packet before

	quick  captureClock  // of its end
	offset time.Duration // from the sound's own time to PTS
	bias   time.Duration // of the place by the camera's clock to that by arrival
	exact  bool          // it was where the reports say
	pts    time.Duration // of the last piece
}

// place returns the PTS of a packet that holds some pieces of a length in all.
func (l *soundLine) place(timestamp uint32, length time.Duration, pieces int, arrived time.Time, ref reference) time.Duration {
	own := l.next(timestamp, length, arrived)
	target, slack := l.quick.quickest(own+length, arrived).Sub(ref.zero), soundGuess
	if by := ref.ahead - own; ref.claimed && (by-target).Abs() <= maxApart {
		l.bias, slack = by-target, soundSlack
		if !l.exact { // once, what was a guess is put right
			slack = time.Millisecond
			l.exact = (by - l.offset).Abs() <= slack
		}
	}
	target += l.bias
	piece := length / time.Duration(pieces)
	first := !l.started
	l.started = true
	switch off := target - l.offset; {
	case first, off > slack:
		l.offset = target
	case off < -slack:
		l.offset -= min(-off, piece/2)
	}
	pts := own + l.offset
	if !first {
		pts = max(pts, l.pts+piece/2)
	}
	l.pts = pts + length - piece
	return pts
}

// next is the packet's time by the clock of the sound, which never runs backwards.
func (l *soundLine) next(timestamp uint32, length time.Duration, arrived time.Time) time.Duration {
	if l.started {
		step, passed := int64(int32(timestamp-l.last)), arrived.Sub(l.arrived)
		if d := durationAt(step, l.clock); d < 0 || (d-passed).Abs() > maxJump { // its clock began anew
			step = int64(max(passed, l.length).Seconds() * float64(l.clock))
		}
		l.ticks += step
	}
	l.last, l.arrived = timestamp, arrived
	own := durationAt(l.ticks, l.clock)
	if l.started && own < l.end-l.length/2 { // several packets with one time stamp
		own = l.end
	}
	l.end, l.length = own+length, length
	return own
}
