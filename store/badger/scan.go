package badger

import (
	"container/heap"
	"context"
	"math"
	"slices"

	"github.com/dgraph-io/badger/v4"
)

// visit is shown one entry and says whether to go on.
type visit func(p place, item *badger.Item) (more bool, err error)

// everyVersion iterates over keys that have expired as well: a walk from key to
// key must not stumble through the expired ones in between.
func everyVersion(prefix []byte) badger.IteratorOptions {
	return badger.IteratorOptions{Prefix: prefix, AllVersions: true}
}

// days lists the days within s that have entries, expired ones included.
func days(txn *badger.Txn, kind byte, s span) (all []int64) {
	it := txn.NewIterator(everyVersion([]byte{kind}))
	defer it.Close()
	day := max(dayOf(s.from), math.MinInt32)
	last := min(dayOf(s.to), math.MaxInt32)
	for day <= last {
		it.Seek(dayPrefix(kind, day))
		if !it.Valid() {
			break
		}
		if day = dayIn(it.Item().Key()); day <= last {
			all = append(all, day)
		}
		day++
	}
	return all
}

// cameras lists the cameras that have entries on a day.
func cameras(txn *badger.Txn, kind byte, day int64) (all []string) {
	prefix := dayPrefix(kind, day)
	it := txn.NewIterator(everyVersion(prefix))
	defer it.Close()
	for it.Seek(prefix); it.Valid(); {
		camera := cameraIn(it.Item().Key())
		all = append(all, camera)
		next := cameraPrefix(kind, day, camera)
		next[len(next)-1]++ // just behind the last key of the camera
		it.Seek(next)
	}
	return all
}

// alive says whether an entry with the prefix has not expired.
func alive(txn *badger.Txn, prefix []byte) bool {
	it := txn.NewIterator(badger.IteratorOptions{Prefix: prefix})
	defer it.Close()
	it.Seek(prefix)
	return it.Valid()
}

// oldest shows the entries of one camera in the order of time.
func oldest(ctx context.Context, txn *badger.Txn, kind byte, camera string, s span, show visit) error {
	for _, day := range days(txn, kind, s) {
		more, err := oldestOfDay(ctx, txn, kind, camera, day, s, show)
		if err != nil || !more {
			return err
		}
	}
	return nil
}

func oldestOfDay(ctx context.Context, txn *badger.Txn, kind byte, camera string, day int64, s span, show visit) (bool, error) {
	prefix := cameraPrefix(kind, day, camera)
	it := txn.NewIterator(badger.IteratorOptions{Prefix: prefix})
	defer it.Close()
	start := prefix
	if day == dayOf(s.from) {
		start = key(kind, place{Time: s.from, Camera: camera})
	}
	for it.Seek(start); it.Valid(); it.Next() {
		if err := ctx.Err(); err != nil {
			return false, err
		}
		p, err := parse(it.Item().Key())
		if err != nil {
			return false, err
		}
		if p.Time >= s.to {
			return false, nil
		}
		if more, err := show(p, it.Item()); err != nil || !more {
			return false, err
		}
	}
	return true, nil
}

// newest shows the entries of one camera, or of all when it is "", newest first.
func newest(ctx context.Context, txn *badger.Txn, kind byte, camera string, s span, show visit) error {
	all := days(txn, kind, s)
	for _, day := range slices.Backward(all) {
		of := []string{camera}
		if camera == "" {
			of = cameras(txn, kind, day)
		}
		more, err := newestOfDay(ctx, txn, kind, of, day, s, show)
		if err != nil || !more {
			return err
		}
	}
	return nil
}

// newestOfDay merges the cameras of a day: their next entries lie in a heap.
func newestOfDay(ctx context.Context, txn *badger.Txn, kind byte, of []string, day int64, s span, show visit) (bool, error) {
	var next stack
	var open []*badger.Iterator
	defer func() {
		for _, it := range open {
			it.Close()
		}
	}()
	for _, camera := range of {
		it := txn.NewIterator(badger.IteratorOptions{Prefix: cameraPrefix(kind, day, camera), Reverse: true})
		open = append(open, it)
		it.Seek(key(kind, place{Time: min(s.to-1, (day+1)*dayMicros-1), Camera: camera, Frame: math.MaxUint64}))
		if err := next.push(it, s.from); err != nil {
			return false, err
		}
	}
	for len(next) > 0 {
		if err := ctx.Err(); err != nil {
			return false, err
		}
		top := heap.Pop(&next).(head)
		if more, err := show(top.place, top.it.Item()); err != nil || !more {
			return false, err
		}
		top.it.Next()
		if err := next.push(top.it, s.from); err != nil {
			return false, err
		}
	}
	return true, nil
}

// head is the entry a camera's iterator stands at.
type head struct {
	place
	it *badger.Iterator
}

// stack is a heap of heads, the newest on top.
type stack []head

func (s stack) Len() int           { return len(s) }
func (s stack) Less(i, j int) bool { return s[i].newer(s[j].place) }
func (s stack) Swap(i, j int)      { s[i], s[j] = s[j], s[i] }

// Push implements heap.Interface.
func (s *stack) Push(x any) { *s = append(*s, x.(head)) }

// Pop implements heap.Interface.
func (s *stack) Pop() any {
	last := (*s)[len(*s)-1]
	*s = (*s)[:len(*s)-1]
	return last
}

// push adds the entry the iterator stands at, if that is not older than from.
func (s *stack) push(it *badger.Iterator, from int64) error {
	if !it.Valid() {
		return nil
	}
	p, err := parse(it.Item().Key())
	if err != nil || p.Time < from {
		return err
	}
	heap.Push(s, head{p, it})
	return nil
}
