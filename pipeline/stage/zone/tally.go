package zone

import (
	"sync"
	"time"

	"detectd/store"
)

// tally holds what was counted since it was last taken.
type tally struct {
	mu      sync.Mutex
	minutes map[tallyKey]*store.ZoneCount
}

type tallyKey struct {
	minute      int64 // since 1970
	zone, label string
}

func (t *tally) add(c *Camera, zone, label string, at time.Time, change func(*store.ZoneCount)) {
	key := tallyKey{at.Unix() / 60, zone, label}
	t.mu.Lock()
	defer t.mu.Unlock()
	n := t.minutes[key]
	if n == nil {
		if t.minutes == nil {
			t.minutes = map[tallyKey]*store.ZoneCount{}
		}
		n = &store.ZoneCount{CameraID: c.id, ZoneID: zone, Label: label, Start: time.Unix(60*key.minute, 0).UTC()}
		t.minutes[key] = n
	}
	change(n)
}

func (t *tally) take() []store.ZoneCount {
	t.mu.Lock()
	defer t.mu.Unlock()
	counts := make([]store.ZoneCount, 0, len(t.minutes))
	for _, n := range t.minutes {
		counts = append(counts, *n)
	}
	t.minutes = nil
	return counts
}

// count changes what is counted for a label and for all labels together.
func (c *Camera) count(zone, label string, at time.Time, change func(*store.ZoneCount)) {
	c.tally.add(c, zone, label, at, change)
	if label != "" {
		c.tally.add(c, zone, "", at, change)
	}
}

func (c *Camera) watched(at time.Time, d time.Duration) {
	for _, z := range c.zones {
		c.tally.add(c, z.ID, "", at, func(n *store.ZoneCount) { n.Watched += d })
	}
	for _, l := range c.lines {
		c.tally.add(c, l.ID, "", at, func(n *store.ZoneCount) { n.Watched += d })
	}
}

// peak notes how many objects are in a zone.
func (c *Camera) peak(z *area, at time.Time) {
	all := 0
	for label, n := range z.inside {
		all += n
		if label != "" {
			c.tally.add(c, z.ID, label, at, func(m *store.ZoneCount) { m.Most = max(m.Most, n) })
		}
	}
	if all > 0 {
		c.tally.add(c, z.ID, "", at, func(m *store.ZoneCount) { m.Most = max(m.Most, all) })
	}
}
