package badger

import (
	"context"
	"fmt"
	"time"

	"github.com/dgraph-io/badger/v4"
	"github.com/fxamacker/cbor/v2"

	"detectd/store"
	"detectd/store/internal/cursor"
)

// mostScanned is the number of entries one page may look at: a filter that
// matches next to nothing must not read days of frames in one call.
const mostScanned = 100_000

// PutAnnotations implements store.Series. A frame that is there already, by
// camera, time and number, is replaced.
func (s *Store) PutAnnotations(ctx context.Context, as []store.Annotation) error {
	fresh := s.seen.news(as)
	err := s.put(ctx, annotations, len(as), fresh, func(i int) (string, time.Time, uint64, any) {
		return as[i].CameraID, as[i].Time, as[i].Frame, &as[i]
	})
	if err == nil {
		s.seen.written(fresh)
	}
	return err
}

// PutInferences implements store.Series.
func (s *Store) PutInferences(ctx context.Context, ms []store.Inference) error {
	return s.put(ctx, inferences, len(ms), nil, func(i int) (string, time.Time, uint64, any) {
		return ms[i].CameraID, ms[i].Time, s.seq.Add(1), &ms[i]
	})
}

// put writes n entries in one batch, and those of the index of labels; of tells
// the i-th one's camera, time, number and value.
func (s *Store) put(ctx context.Context, kind byte, n int, index map[place]bool, of func(i int) (string, time.Time, uint64, any)) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("write series: %w", err)
	}
	err := s.use(func(db *badger.DB) error {
		batch := db.NewWriteBatch()
		defer batch.Cancel() // does nothing after Flush
		for i := range n {
			camera, t, frame, v := of(i)
			if err := check(camera, t); err != nil {
				return err
			}
			value, err := cbor.Marshal(v)
			if err != nil {
				return fmt.Errorf("encode entry of camera %q: %w", camera, err)
			}
			if err := batch.SetEntry(s.entry(key(kind, place{Time: t.UnixMicro(), Camera: camera, Frame: frame}), value)); err != nil {
				return err
			}
		}
		for p := range index {
			if err := batch.SetEntry(s.entry(key(labels, p), nil)); err != nil {
				return err
			}
		}
		return batch.Flush()
	})
	if err != nil {
		return fmt.Errorf("write series: %w", err)
	}
	return nil
}

func (s *Store) entry(key, value []byte) *badger.Entry {
	e := badger.NewEntry(key, value)
	if s.ttl > 0 {
		e = e.WithTTL(s.ttl)
	}
	return e
}

// Annotations implements store.Series.
func (s *Store) Annotations(ctx context.Context, cameraID string, r store.Range, limit int) ([]store.Annotation, error) {
	if limit <= 0 {
		limit = 1000
	}
	limit = min(limit, store.MaxAnnotations)
	all := []store.Annotation{}
	err := s.view(func(txn *badger.Txn) error {
		return oldest(ctx, txn, annotations, cameraID, spanOf(r), func(p place, item *badger.Item) (bool, error) {
			if a, ok := s.annotation(p, item); ok {
				all = append(all, a)
			}
			return len(all) < limit, nil
		})
	})
	if err != nil {
		return nil, fmt.Errorf("read annotations of camera %q: %w", cameraID, err)
	}
	return all, nil
}

// AnnotationAt implements store.Series.
func (s *Store) AnnotationAt(ctx context.Context, cameraID string, t time.Time, tolerance time.Duration) (store.Annotation, error) {
	var near []store.Annotation
	first := func(p place, item *badger.Item) (bool, error) {
		a, ok := s.annotation(p, item)
		if ok {
			near = append(near, a)
		}
		return !ok, nil
	}
	before, after := around(t, tolerance), around(t, tolerance)
	before.to, after.from = t.UnixMicro()+1, t.UnixMicro()
	err := s.view(func(txn *badger.Txn) error {
		if err := newest(ctx, txn, annotations, cameraID, before, first); err != nil {
			return err
		}
		return oldest(ctx, txn, annotations, cameraID, after, first)
	})
	if err != nil {
		return store.Annotation{}, fmt.Errorf("read annotation of camera %q: %w", cameraID, err)
	}
	if len(near) == 0 {
		return store.Annotation{}, fmt.Errorf("annotation of camera %q at %s: %w", cameraID, t.UTC().Format(time.RFC3339Nano), store.ErrNotFound)
	}
	best := near[0]
	for _, a := range near[1:] {
		if a.Time.Sub(t).Abs() < best.Time.Sub(t).Abs() {
			best = a
		}
	}
	return best, nil
}

// mark is where a page ended: at a frame, after so many of its rows.
type mark struct {
	place
	Rows int `json:"r"`
}

// pager collects the rows of one page from entries shown newest first.
type pager[T any] struct {
	size    int
	after   *mark // where the page before ended
	rows    []T
	end     mark // where this page ends
	scanned int
	full    bool // there is more behind end
}

func newPager[T any](p store.Page) (*pager[T], error) {
	g := &pager[T]{size: p.Size(), rows: []T{}}
	if p.Cursor != "" {
		at, err := cursor.Decode[mark](p.Cursor)
		if err != nil {
			return nil, err
		}
		g.after = &at
	}
	return g, nil
}

// span narrows s to what may come after the page before.
func (g *pager[T]) span(s span) span {
	if g.after != nil {
		s.to = min(s.to, g.after.Time+1)
	}
	return s
}

// behind says how many rows of the entry at p were on earlier pages, and
// whether the whole entry was.
func (g *pager[T]) behind(p place) (rows int, all bool) {
	switch {
	case g.after == nil || g.after.newer(p):
		return 0, false
	case p == g.after.place:
		return g.after.Rows, false
	}
	return 0, true
}

// add takes the rows of the entry at p and says whether the page wants more.
func (g *pager[T]) add(p place, rows []T, wanted func(T) bool) bool {
	skip, all := g.behind(p)
	if all {
		return true
	}
	for i := skip; i < len(rows); i++ {
		if !wanted(rows[i]) {
			continue
		}
		if len(g.rows) == g.size {
			g.full = true
			return false
		}
		g.rows, g.end = append(g.rows, rows[i]), mark{p, i + 1}
	}
	if g.scanned++; g.scanned >= mostScanned {
		g.end, g.full = mark{p, len(rows)}, true
	}
	return !g.full
}

func (g *pager[T]) result() ([]T, string) {
	if !g.full {
		return g.rows, ""
	}
	return g.rows, cursor.Encode(g.end)
}

// ListDetections implements store.Series.
func (s *Store) ListDetections(ctx context.Context, q store.DetectionQuery, p store.Page) ([]store.DetectionRow, string, error) {
	page, err := newPager[store.DetectionRow](p)
	if err != nil {
		return nil, "", fmt.Errorf("list detections: %w", err)
	}
	wanted := func(r store.DetectionRow) bool {
		return (q.Label == "" || q.Label == r.Label) && (q.Kind == "" || q.Kind == r.Kind)
	}
	show := func(p place, item *badger.Item) (bool, error) {
		a, ok := s.annotation(p, item)
		return !ok || page.add(p, flatten(a), wanted), nil
	}
	err = s.view(func(txn *badger.Txn) error {
		if q.CameraID != "" && q.Label != "" {
			return newestLabelled(ctx, txn, q.CameraID, q.Label, page.span(spanOf(q.Range)), show)
		}
		return newest(ctx, txn, annotations, q.CameraID, page.span(spanOf(q.Range)), show)
	})
	if err != nil {
		return nil, "", fmt.Errorf("list detections: %w", err)
	}
	rows, next := page.result()
	return rows, next, nil
}

func flatten(a store.Annotation) (rows []store.DetectionRow) {
	for _, o := range a.Objects {
		kind := o.Kind
		if kind == "" {
			kind = a.Kind
		}
		rows = append(rows, store.DetectionRow{CameraID: a.CameraID, Time: a.Time, Frame: a.Frame, Kind: kind, Object: o})
	}
	return rows
}

// ListInferences implements store.Series.
func (s *Store) ListInferences(ctx context.Context, cameraID string, r store.Range, p store.Page) ([]store.Inference, string, error) {
	page, err := newPager[store.Inference](p)
	if err != nil {
		return nil, "", fmt.Errorf("list inferences: %w", err)
	}
	all := func(store.Inference) bool { return true }
	err = s.view(func(txn *badger.Txn) error {
		return newest(ctx, txn, inferences, cameraID, page.span(spanOf(r)), func(p place, item *badger.Item) (bool, error) {
			m := store.Inference{CameraID: p.Camera, Time: time.UnixMicro(p.Time).UTC()}
			return !s.decode(p, item, &m) || page.add(p, []store.Inference{m}, all), nil
		})
	})
	if err != nil {
		return nil, "", fmt.Errorf("list inferences: %w", err)
	}
	rows, next := page.result()
	return rows, next, nil
}

func (s *Store) annotation(p place, item *badger.Item) (store.Annotation, bool) {
	a := store.Annotation{CameraID: p.Camera, Time: time.UnixMicro(p.Time).UTC()}
	ok := s.decode(p, item, &a)
	return a, ok
}

// decode reads a value. One that cannot be read is passed over: the rest of the
// list is worth more than the news that it is incomplete.
func (s *Store) decode(p place, item *badger.Item, v any) bool {
	err := item.Value(func(b []byte) error { return cbor.Unmarshal(b, v) })
	if err != nil {
		s.log.Warn("series entry cannot be read", "camera", p.Camera, "time", time.UnixMicro(p.Time).UTC(), "error", err)
	}
	return err == nil
}
