package rtsp

import (
	"time"

	"detectd/pipeline/frame"
)

const (
	// The capture time that a camera claims is believed when the unit arrived
	// no more than maxDelay after and maxAhead before it.
	maxDelay = 15 * time.Second
	maxAhead = 2 * time.Second
	// minError is the least uncertainty of a camera's clock.
	minError = 10 * time.Millisecond
	// unseenDelay allows for what no receiver can measure: exposure, coding and
	// the constant part of the network's delay.
	unseenDelay = 250 * time.Millisecond
	// maxDrift is how far a camera's clock may run away from ours, in parts per million.
	maxDrift = 200
	// maxJump is the greatest difference between the passing of RTP time and of our
	// time that is not a restart of the camera's clock.
	maxJump = 5 * time.Second
)

// captureClock finds the capture time of units.
type captureClock struct {
	warned bool

	// The earliest arrival seen, as the wall-clock time of PTS 0: the packet that
	// was delayed least tells best when it was captured.
	zero    time.Time
	lastPTS time.Duration
}

// stamp returns the capture time of the unit with the given PTS that began to
// arrive at arrived. The camera's own claim ntp, if there is one, wins when it is
// plausible; its error is taken to be within the delay seen.
func (c *captureClock) stamp(pts time.Duration, arrived, ntp time.Time, claimed bool) (time.Time, time.Duration, frame.Clock) {
	zero := arrived.Add(-pts)
	drift := max(pts-c.lastPTS, 0) * maxDrift / 1e6
	if c.zero.IsZero() || zero.Before(c.zero.Add(drift)) {
		c.zero = zero
	} else {
		c.zero = c.zero.Add(drift)
	}
	c.lastPTS = pts
	if claimed {
		if delay := arrived.Sub(ntp); delay <= maxDelay && delay >= -maxAhead {
			return ntp, max(delay.Abs(), minError), frame.ClockRTCP
		}
	}
	at := c.zero.Add(pts)
	return at, arrived.Sub(at) + unseenDelay, frame.ClockArrival
}

// timeline turns RTP time stamps into PTS and DTS that start at 0 and never run
// backwards in decoding order, whatever the camera's clock does.
type timeline struct {
	started     bool
	last        uint32
	lastArrived time.Time
	ticks       int64 // PTS of the unit before, in 1/90000 s
	lastDTS     int64
}

// next places the unit with the given RTP time stamp. extract derives its DTS.
// It reports false for a unit that lies before the first one.
func (l *timeline) next(timestamp uint32, arrived time.Time, extract func(pts int64) (int64, error)) (pts, dts time.Duration, ok bool) {
	if l.started {
		step := int64(int32(timestamp - l.last))
		passed := arrived.Sub(l.lastArrived)
		if off := toDuration(step) - passed; off.Abs() > maxJump {
			step = max(int64(passed)*clockRate/int64(time.Second), 1)
		}
		l.ticks += step
	}
	first := !l.started
	l.started, l.last, l.lastArrived = true, timestamp, arrived
	if l.ticks < 0 {
		return 0, 0, false
	}
	p := l.ticks
	d, err := extract(p)
	if err != nil {
		d = p
	}
	if !first && d <= l.lastDTS {
		d = l.lastDTS + 1
	}
	l.lastDTS = d
	return toDuration(max(p, d)), toDuration(d), true
}

func toDuration(ticks int64) time.Duration {
	return time.Duration(ticks/clockRate)*time.Second + time.Duration(ticks%clockRate)*time.Second/clockRate
}
