package record

import (
	"sync"

	"detectd/pipeline"
)

// queue holds what waits for the disk.
type queue struct {
	wake chan struct{} // has a token when there is something to take

	mu       sync.Mutex // guards what follows
	items    []item
	bytes    int
	sounds   int
	maxBytes int
	maxUnits int
	full     bool // units are refused until a key frame fits
}

// item is a unit, or one of the others when it is set.
type item struct {
	format      *pipeline.Format
	soundFormat *pipeline.SoundFormat
	sound       *pipeline.Sound
	unit        pipeline.Unit
}

func (q *queue) init(maxBytes, maxUnits int) {
	q.wake, q.maxBytes, q.maxUnits = make(chan struct{}, 1), maxBytes, maxUnits
}

func (q *queue) format(f pipeline.Format) {
	q.mu.Lock()
	if n := len(q.items); n > 0 && q.items[n-1].format != nil {
		q.items[n-1].format = &f // nothing came between: only the last one counts
	} else {
		q.items = append(q.items, item{format: &f})
	}
	q.mu.Unlock()
	q.signal()
}

// unit adds u, or returns false when it has to be dropped.
func (q *queue) unit(u pipeline.Unit) bool {
	n := u.Bytes()
	q.mu.Lock()
	room := q.bytes+n <= q.maxBytes && len(q.items)-q.sounds < q.maxUnits
	q.full = !room || q.full && !u.Key
	if q.full {
		q.mu.Unlock()
		return false
	}
	q.items = append(q.items, item{unit: u})
	q.bytes += n
	q.mu.Unlock()
	q.signal()
	return true
}

func (q *queue) soundFormat(f pipeline.SoundFormat) {
	q.mu.Lock()
	q.items = append(q.items, item{soundFormat: &f})
	q.mu.Unlock()
	q.signal()
}

// sound adds s, or leaves it out where there is no room. It takes none that video
// would need: a place for each unit stays, and a share of the bytes.
func (q *queue) sound(s pipeline.Sound) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.sounds < q.maxUnits && q.bytes+len(s.Data) <= q.maxBytes-q.maxBytes/soundShare {
		q.items = append(q.items, item{sound: &s})
		q.bytes += len(s.Data)
		q.sounds++
	}
}

// soundShare is the part of the bytes that sound leaves to the video.
const soundShare = 16

func (q *queue) take() []item {
	q.mu.Lock()
	defer q.mu.Unlock()
	items := q.items
	q.items, q.bytes, q.sounds = nil, 0, 0
	return items
}

func (q *queue) signal() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}
