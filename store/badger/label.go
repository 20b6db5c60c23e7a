package badger

import (
	"context"
	"math"
	"slices"
	"sync"

	"github.com/dgraph-io/badger/v4"

	"detectd/store"
)

// labels is the kind of entries that say in which seconds a camera saw a label: a
// search for what is rare looks only there, not at every frame in between.
const labels byte = 'l'

const secondMicros = 1_000_000

// labelMark stands between camera and label, where a key has its camera. No id of
// a camera has it.
const labelMark = "\x01"

func labelled(camera, label string) string { return camera + labelMark + label }

func secondOf(micros int64) int64 {
	rest := micros % secondMicros
	if rest < 0 {
		rest += secondMicros
	}
	return micros - rest
}

// seconds remembers the second that was written last for each camera and label.
type seconds struct {
	mu   sync.Mutex // guards last
	last map[string]int64
}

// mostLabels bounds the memory of seconds; forgetting costs only writing again.
const mostLabels = 10_000

// news returns the entries that the frames need and that were not written last.
func (s *seconds) news(as []store.Annotation) map[place]bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	fresh := map[place]bool{}
	for i := range as {
		second := secondOf(as[i].Time.UnixMicro())
		for _, o := range as[i].Objects {
			name := labelled(as[i].CameraID, o.Label)
			if at, ok := s.last[name]; !ok || at != second {
				fresh[place{Time: second, Camera: name}] = true
			}
		}
	}
	return fresh
}

// written notes entries that are in the database.
func (s *seconds) written(fresh map[place]bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.last == nil || len(s.last) > mostLabels {
		s.last = map[string]int64{}
	}
	for p := range fresh {
		if at, ok := s.last[p.Camera]; !ok || p.Time > at {
			s.last[p.Camera] = p.Time
		}
	}
}

// forget has everything written again, after something was dropped.
func (s *seconds) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last = nil
}

// newestLabelled shows the frames of a camera in the seconds that saw a label,
// newest first.
func newestLabelled(ctx context.Context, txn *badger.Txn, camera, label string, s span, show visit) error {
	from := s
	if from.from > math.MinInt64+secondMicros {
		from.from = secondOf(s.from) // the second it lies in began before it
	}
	for _, day := range slices.Backward(days(txn, labels, from)) {
		more, err := labelledOfDay(ctx, txn, camera, label, day, s, show)
		if err != nil || !more {
			return err
		}
	}
	return nil
}

func labelledOfDay(ctx context.Context, txn *badger.Txn, camera, label string, day int64, s span, show visit) (bool, error) {
	name := labelled(camera, label)
	index := txn.NewIterator(badger.IteratorOptions{Prefix: cameraPrefix(labels, day, name), Reverse: true})
	defer index.Close()
	frames := txn.NewIterator(badger.IteratorOptions{Prefix: cameraPrefix(annotations, day, camera), Reverse: true})
	defer frames.Close()
	last := min(s.to-1, (day+1)*dayMicros-1)
	for index.Seek(key(labels, place{Time: last, Camera: name, Frame: math.MaxUint64})); index.Valid(); index.Next() {
		if err := ctx.Err(); err != nil {
			return false, err
		}
		second, err := parse(index.Item().Key())
		if err != nil {
			return false, err
		}
		if second.Time+secondMicros <= s.from {
			return false, nil
		}
		until := min(second.Time+secondMicros-1, last)
		for frames.Seek(key(annotations, place{Time: until, Camera: camera, Frame: math.MaxUint64})); frames.Valid(); frames.Next() {
			p, err := parse(frames.Item().Key())
			if err != nil {
				return false, err
			}
			if p.Time < second.Time || p.Time < s.from {
				break
			}
			if more, err := show(p, frames.Item()); err != nil || !more {
				return false, err
			}
		}
	}
	return true, nil
}
