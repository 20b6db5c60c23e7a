package live

import "time"

// SetTimes shortens the times of l for tests.
func (l *Live) SetTimes(idle, wait time.Duration) { l.idle, l.wait = idle, wait }

// Packing tells whether video is packed.
func (l *Live) Packing() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.muxer != nil
}

// Asking is how many requests are being answered.
func (l *Live) Asking() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.asking
}
