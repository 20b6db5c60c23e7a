package rtsp

import (
	"time"

	"detectd/pipeline/frame"
)

const (
	// A camera's clock is believed when the units that are delayed least arrive no
	// more than maxDelay after and maxAhead before the capture time it claims.
	maxDelay = 5 * time.Second
	maxAhead = 2 * time.Second
	// unseenDelay allows for what no receiver can measure: exposure, coding and
	// the constant part of the network's delay.
	unseenDelay = 250 * time.Millisecond
	// window is how long the earliest arrival is remembered, at least: long enough
	// for a packet without delay, short enough for clocks that drift apart and for a
	// jump that was taken for time.
	window = 30 * time.Second
	// maxJump is the greatest difference between the passing of RTP time and of our
	// time that is not a restart of the camera's clock.
	maxJump = 5 * time.Second
	// maxReorder is how far RTP time may step back in the order of decoding without
	// being such a restart: the 16 pictures that codecs reorder at most, at a usual rate.
	maxReorder = time.Second
)

// captureClock finds the capture time of units.
type captureClock struct {
	warned bool

	// The earliest arrivals of this window and the one before, as the time of
	// PTS 0: the packet that was delayed least tells best when it was captured.
	zero, before time.Time
	began        time.Time
}

// stamp returns the capture time of the unit with the given PTS that began to
// arrive at arrived, and how far it may be off. The camera's own claim, if there
// is one, wins when it is plausible for the units that were delayed least.
//
// The truth lies before the arrival, and not more than unseenDelay before the time
// that the quickest units tell: the error reaches as far as the farther of the two.
func (c *captureClock) stamp(pts time.Duration, arrived, claim time.Time, claimed bool) (time.Time, time.Duration, frame.Clock) {
	at := c.quickest(pts, arrived).Add(pts)
	if claimed {
		if delay := at.Sub(claim); delay <= maxDelay && delay >= -maxAhead {
			return claim, max(arrived.Sub(claim), unseenDelay-delay), frame.ClockRTCP
		}
	}
	return at, arrived.Sub(at) + unseenDelay, frame.ClockArrival
}

// quickest takes an arrival in and returns the time of PTS 0 by the units that
// were delayed least.
func (c *captureClock) quickest(pts time.Duration, arrived time.Time) time.Time {
	zero := arrived.Add(-pts)
	switch passed := arrived.Sub(c.began); {
	case c.began.IsZero() || passed > 2*window:
		c.zero, c.before, c.began = zero, zero, arrived
	case passed > window:
		c.zero, c.before, c.began = zero, c.zero, arrived
	case zero.Before(c.zero):
		c.zero = zero
	}
	return c.zeroTime()
}

// zeroTime is the time of PTS 0 by the quickest units so far.
func (c *captureClock) zeroTime() time.Time {
	if c.before.Before(c.zero) {
		return c.before
	}
	return c.zero
}

// timeline turns RTP time stamps into PTS and DTS that start at 0 and never run
// backwards in decoding order, whatever the camera's clock does.
type timeline struct {
	started     bool
	last        uint32
	lastArrived time.Time
	ticks       int64 // PTS of the unit before, in 1/90000 s
	lastDTS     int64
	lastPTS     int64 // the greatest
	restart     int64 // PTS where the camera's clock last began anew
}

// next places the unit with the given RTP time stamp. extract derives its DTS.
// It reports false for a unit that lies before the first one.
func (l *timeline) next(timestamp uint32, arrived time.Time, extract func(pts int64) (int64, error)) (pts, dts time.Duration, ok bool) {
	if l.started {
		step := toDuration(int64(int32(timestamp - l.last)))
		passed := arrived.Sub(l.lastArrived)
		if (step-passed).Abs() > maxJump || step < -maxReorder {
			// After the jump the order starts again, later than all before.
			passed := int64(min(max(passed, 0), 24*time.Hour)) * clockRate / int64(time.Second)
			l.ticks = max(l.ticks+passed, l.lastPTS+1, l.lastDTS+1)
			l.restart = l.ticks
		} else {
			l.ticks += int64(int32(timestamp - l.last))
		}
	}
	first := !l.started
	l.started, l.last, l.lastArrived = true, timestamp, arrived
	if l.ticks < 0 {
		return 0, 0, false
	}
	p := max(l.ticks, l.restart)
	d, err := extract(p)
	if err != nil {
		d = p
	}
	if !first && d <= l.lastDTS {
		d = l.lastDTS + 1
	}
	l.lastDTS, l.lastPTS = d, max(l.lastPTS, p, d)
	return toDuration(max(p, d)), toDuration(d), true
}

func toDuration(ticks int64) time.Duration { return durationAt(ticks, clockRate) }

// durationAt is exact to the nanosecond, cut towards zero.
func durationAt(ticks, rate int64) time.Duration {
	return time.Duration(ticks/rate)*time.Second + time.Duration(ticks%rate)*time.Second/time.Duration(rate)
}
