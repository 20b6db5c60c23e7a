package camera

import (
	"time"

	"detectd/pipeline"
)

const (
	// lateAge is the age at which a unit waits too long for the decoder: what is
	// found in it would be old news.
	lateAge = 120 * time.Millisecond
	// patience is how long the decoder may be late before it gives up units. A burst
	// or a short stall is made up for in that time, when there is any power to spare.
	patience = 300 * time.Millisecond
)

// lag decides which units are left out when the machine cannot decode all: from
// one that is late up to the next key unit that is not. So what is decoded is
// fresh, and while one camera skips, the others have its share.
type lag struct {
	since    time.Time // the first late unit; zero: the last was on time
	skipping bool
}

// drops says that u is to be left out.
func (l *lag) drops(u pipeline.Unit, now time.Time) bool {
	late := !u.Arrived.IsZero() && now.Sub(u.Arrived) > lateAge
	switch {
	case l.skipping:
		l.skipping = late || !u.Key
	case !late:
		l.since = time.Time{}
	case l.since.IsZero():
		l.since = now
	default:
		l.skipping = now.Sub(l.since) > patience
	}
	if l.skipping {
		l.since = time.Time{}
	}
	return l.skipping
}
