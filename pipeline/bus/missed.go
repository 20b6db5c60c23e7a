package bus

import (
	"sync"

	"github.com/nats-io/nats.go"
)

// missed counts what the channels of subscribers had no room for.
type missed struct {
	mu    sync.Mutex
	subs  map[*nats.Subscription]struct{}
	ended uint64 // of subscriptions that are over
}

func (m *missed) begin(s *nats.Subscription) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.subs == nil {
		m.subs = map[*nats.Subscription]struct{}{}
	}
	m.subs[s] = struct{}{}
}

// end is called before the subscription is given up.
func (m *missed) end(s *nats.Subscription) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.subs, s)
	m.ended += dropped(s)
}

func (m *missed) count() uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := m.ended
	for s := range m.subs {
		n += dropped(s)
	}
	return n
}

func dropped(s *nats.Subscription) uint64 {
	n, err := s.Dropped()
	if err != nil || n < 0 {
		return 0 // the connection is gone
	}
	return uint64(n)
}

// Missed counts announcements that a subscriber did not get since it was too slow.
func (b *Bus) Missed() uint64 { return b.missed.count() }
