package camera

import (
	"cmp"
	"time"

	"detectd/pipeline"
)

const (
	// lateAge is the age at which a unit waits too long for the decoder: what is
	// found in it would be old news.
	lateAge = 120 * time.Millisecond
	// sharedLateAge is that age where the cameras share the decoding: what Share
	// cannot keep fresher than that is given up by the camera itself.
	sharedLateAge = 300 * time.Millisecond
	// patience is how long the decoder may be late and not catch up before it gives
	// up units. A longer one would leave what it finds in overload older than a
	// quarter of a second.
	patience = 300 * time.Millisecond
	// outlook is how many times as long again it may take to catch up at the speed
	// with which it did so far: a burst or a stall is made up for when there is any
	// power to spare.
	outlook = 2
)

// lag decides which units are left out when the machine cannot decode all: from
// one that is late up to the next key unit that is not. So what is decoded is
// fresh, and while one camera skips, the others have its share.
type lag struct {
	late     time.Duration // from which age on a unit is late; 0: lateAge
	since    time.Time     // the first late unit; zero: the last was on time
	worst    time.Duration // the greatest age since
	skipping bool
}

// drops says that u is to be left out.
func (l *lag) drops(u pipeline.Unit, now time.Time) bool {
	age := time.Duration(0)
	if !u.Arrived.IsZero() {
		age = now.Sub(u.Arrived)
	}
	limit := cmp.Or(l.late, lateAge)
	late := age > limit
	switch {
	case l.skipping:
		l.skipping = late || !u.Key
	case !late:
		l.since = time.Time{}
	case l.since.IsZero():
		l.since, l.worst = now, age
	case now.Sub(l.since) <= patience:
		l.worst = max(l.worst, age)
	case age-limit <= outlook*(l.worst-age):
		l.since, l.worst = now, age
	default:
		l.skipping = true
	}
	if l.skipping {
		l.since = time.Time{}
	}
	return l.skipping
}
