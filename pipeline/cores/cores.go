// Package cores shares the processors between the two kinds of heavy work, decoding
// and inference. No more of it runs at a time than there are processors, each piece
// to its end: left to the operating system, many decoders take turns of a few
// milliseconds, so that all pictures are late together, and a few workers that
// infer get what is left between many decoders.
package cores

import (
	"slices"
	"sync"
	"time"
)

const (
	// share bounds how much work one side may have in advance of the other.
	share = 100 * time.Millisecond
	// oldest bounds the age that counts in the order: who has far older work than
	// the others, such as video that was kept, takes turns with them.
	oldest = 120 * time.Millisecond
)

// Cores hands out processors. Safe for concurrent use.
type Cores struct {
	all int

	mu      sync.Mutex // guards what follows
	free    int
	waiting [2][]turn     // by side, next first
	ahead   time.Duration // what the first side had more than the second
}

// turn is what a caller waits for.
type turn struct {
	since time.Time
	come  chan struct{}
}

// The sides.
const (
	first = iota
	second
)

// New returns n processors.
func New(n int) *Cores { return &Cores{all: max(1, n), free: max(1, n)} }

// First is the side that goes first when both wait, unless it has had more than
// half of the time of late: for inference, whose pictures have waited already.
func (c *Cores) First() *Side { return &Side{c, first} }

// Second is the other side.
func (c *Cores) Second() *Side { return &Side{c, second} }

// Side is a kind of work.
type Side struct {
	cores *Cores
	side  int
}

// Run calls work once a processor is free. Work must not wait for other work that
// needs one.
func (s *Side) Run(work func()) { s.RunSince(time.Now(), work) }

// RunSince is Run for work that there has been since a moment. Of a side's work, what
// there has been for longest goes first.
func (s *Side) RunSince(since time.Time, work func()) {
	s.cores.enter(s.side, since)
	began := time.Now()
	defer func() { s.cores.leave(s.side, time.Since(began)) }()
	work()
}

func (c *Cores) enter(side int, since time.Time) {
	if bound := time.Now().Add(-oldest); since.Before(bound) {
		since = bound
	}
	c.mu.Lock()
	if c.free > 0 {
		c.free--
		c.mu.Unlock()
		return
	}
	own := turn{since, make(chan struct{})}
	at, _ := slices.BinarySearchFunc(c.waiting[side], since, func(t turn, since time.Time) int {
		if t.since.After(since) {
			return 1
		}
		return -1 // of equal ones, who came first
	})
	c.waiting[side] = slices.Insert(c.waiting[side], at, own)
	c.mu.Unlock()
	<-own.come
}

func (c *Cores) leave(side int, took time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if side == second {
		took = -took
	}
	c.ahead = min(max(c.ahead+took, -share), share)
	next := first
	if len(c.waiting[first]) == 0 || c.ahead > 0 && len(c.waiting[second]) > 0 {
		next = second
	}
	if len(c.waiting[next]) == 0 {
		c.free++
		return
	}
	close(c.waiting[next][0].come)
	c.waiting[next] = c.waiting[next][1:]
}

// Spare calls work at once when a processor is free that neither side waits for and,
// where there are several, another one stays free for what comes meanwhile. Else it
// does nothing. It says whether it did.
func (c *Cores) Spare(work func()) bool {
	c.mu.Lock()
	if c.free < min(2, c.all) {
		c.mu.Unlock()
		return false
	}
	c.free--
	c.mu.Unlock()
	defer c.leave(second, 0) // counts for neither side
	work()
	return true
}
