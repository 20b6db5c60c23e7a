package daemon

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"

	"detectd/pipeline"
	"detectd/pipeline/bus"
	"detectd/pipeline/stage/publish"
	"detectd/store"
	"detectd/web/api"
)

// feed hands what is announced on the bus to the pages that are open. One
// subscription serves them all; a page that is behind loses items.
type feed struct {
	bus     *bus.Bus
	cameras api.Cameras
	results store.Results
	log     *slog.Logger

	mu      sync.Mutex // guards readers and their channels against closing
	readers map[*reader]struct{}
	behind  atomic.Uint64 // items that pages did not get
}

type reader struct {
	ch  chan api.FeedItem
	all bool
	ids map[string]bool
}

// feedQueue is how many items a page may be behind: about ten seconds of a
// wall of cameras.
const feedQueue = 512

func newFeed(b *bus.Bus, cameras api.Cameras, results store.Results, log *slog.Logger) *feed {
	return &feed{bus: b, cameras: cameras, results: results, log: log, readers: map[*reader]struct{}{}}
}

// Subscribe implements api.Feed.
func (f *feed) Subscribe(ctx context.Context, cameraIDs []string) <-chan api.FeedItem {
	r := &reader{ch: make(chan api.FeedItem, feedQueue), ids: map[string]bool{}}
	for _, id := range cameraIDs {
		r.all = r.all || id == "*"
		r.ids[id] = true
	}
	f.mu.Lock()
	f.readers[r] = struct{}{}
	f.mu.Unlock()
	context.AfterFunc(ctx, func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		delete(f.readers, r)
		close(r.ch)
	})
	return r.ch
}

// Run passes announcements on until ctx ends.
func (f *feed) Run(ctx context.Context) error {
	return f.bus.Subscribe(ctx, nil, func(m bus.Message) { f.handle(ctx, m) },
		bus.Under(bus.CameraState), bus.Under(bus.CameraChanged), bus.Under(bus.Detections), bus.Under(bus.Tracks),
		bus.Under(bus.RunningModel), bus.Under(bus.RunningState), bus.ModelsChanged, bus.Under(bus.Results), bus.Under(bus.ZonesChanged), bus.Under(bus.ZoneEvents), bus.Under(bus.Promotions))
}

func (f *feed) handle(ctx context.Context, m bus.Message) {
	if !f.wanted() {
		return
	}
	item, cameraID, err := f.item(ctx, m)
	if err != nil {
		f.log.Error("read announcement", "subject", m.Subject, "error", err)
		return
	}
	if item.Event == "" {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for r := range f.readers {
		if cameraID != "" && !r.all && !r.ids[cameraID] {
			continue
		}
		select {
		case r.ch <- item:
		default:
			f.behind.Add(1)
		}
	}
}

func (f *feed) wanted() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.readers) > 0
}

// item turns a message into an event. The camera id limits it to pages that
// asked for that camera.
func (f *feed) item(ctx context.Context, m bus.Message) (item api.FeedItem, cameraID string, err error) {
	base, id := m.Split()
	switch base {
	case bus.CameraState:
		if s, ok := f.cameras.Status(id); ok {
			item = api.FeedItem{Event: "camera.state", Data: s}
		}
	case bus.CameraChanged:
		var c bus.Change
		err = m.Decode(&c)
		item = api.FeedItem{Event: "camera.changed", Data: api.CameraChange{CameraID: c.CameraID, Action: api.Action(c.Action)}}
	case bus.Detections:
		var as []store.Annotation
		as, err = publish.ReadAnnotations(m)
		item, cameraID = api.FeedItem{Event: "detections", Data: as}, id
	case bus.Tracks:
		var t store.Track
		t, err = publish.ReadTrack(m)
		item = api.FeedItem{Event: "track", Data: t}
	case bus.RunningModel:
		var c bus.Change
		err = m.Decode(&c)
		item = api.FeedItem{Event: "model.changed", Data: api.ModelChange{ClientID: c.ClientID, CameraID: c.CameraID, Revision: c.Revision}}
	case bus.RunningState:
		var s pipeline.RunningState
		err = m.Decode(&s)
		item = api.FeedItem{Event: "model.state", Data: s}
	case bus.Promotions:
		item = api.FeedItem{Event: "promotions.changed", Data: api.PromotionChange{ID: id}}
	case bus.ModelsChanged:
		item = api.FeedItem{Event: "models.changed"}
	case bus.ZonesChanged:
		var c bus.Change
		err = m.Decode(&c)
		item = api.FeedItem{Event: "zones.changed", Data: api.ZonesChange{CameraID: c.CameraID, Revision: c.Revision}}
	case bus.ZoneEvents:
		var e bus.ZoneEvent
		err = m.Decode(&e)
		item = api.FeedItem{Event: "zone", Data: zoneEvent(e)}
	case bus.Results:
		var r store.Result
		if r, err = f.results.Result(ctx, id); err == nil {
			item = api.FeedItem{Event: "result", Data: r}
		}
	}
	return item, cameraID, err
}
