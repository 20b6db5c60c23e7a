package retain_test

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"detectd/pipeline/stage/retain"
	"detectd/store"
	"detectd/store/sqlite"
)

// site is a real index with files, a camera "door", and clocks of its own.
type site struct {
	t       *testing.T
	records *sqlite.Store
	root    string
	now     time.Time
	elapsed time.Duration
	blind   bool          // nobody looked at the pictures
	log     time.Duration // age of events; 0: a day
	n       int
}

func newSite(t *testing.T) *site {
	t.Helper()
	s := &site{t: t, root: t.TempDir(), now: now}
	var err error
	s.records, err = sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "test.db"), slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.records.Close()) })
	_, err = s.records.CreateClient(t.Context(), store.Client{ID: "a", Name: "A"})
	require.NoError(t, err)
	s.camera("door", func(*store.Camera) {})
	return s
}

func (s *site) camera(id string, change func(*store.Camera)) {
	s.t.Helper()
	c := store.Camera{ID: id, ClientID: "a", Name: id, URL: "rtsp://x", Transport: "auto", Enabled: true, Record: store.RecordContinuous}
	change(&c)
	if _, err := s.records.CreateCamera(s.t.Context(), c); err != nil {
		_, err = s.records.UpdateCamera(s.t.Context(), c, store.AnyRevision)
		require.NoError(s.t, err)
	}
}

// film records n files of a length up to now, 100 bytes each.
func (s *site) film(id string, n int, length time.Duration) {
	s.t.Helper()
	for i := range n {
		s.n++
		p := fmt.Sprintf("%s/2026-03-04/%d.mp4", id, s.n)
		require.NoError(s.t, os.MkdirAll(filepath.Dir(filepath.Join(s.root, p)), 0o750))
		require.NoError(s.t, os.WriteFile(filepath.Join(s.root, p), fmt.Appendf(nil, "%100d", s.n), 0o600))
		start := s.now.Add(time.Duration(i-n) * length)
		_, err := s.records.AddSegment(s.t.Context(), store.Segment{CameraID: id, Path: p, Start: start, End: start.Add(length), Bytes: 100})
		require.NoError(s.t, err)
	}
}

func (s *site) retention(cfg retain.Config) *retain.Retention {
	s.t.Helper()
	cfg.Root, cfg.Now, cfg.Elapsed = s.root, func() time.Time { return s.now }, func() time.Duration { return s.elapsed }
	cfg.Policy = &retain.Policy{
		Index: s.records, Before: 5 * time.Second, After: 10 * time.Second,
		Watched: func(context.Context, string, store.Range) bool { return !s.blind },
		Keep:    retain.KeepAges{Tracks: 24 * time.Hour, Events: cmp.Or(s.log, 24*time.Hour), Reports: 24 * time.Hour, Results: 24 * time.Hour},
	}
	r, err := retain.New(cfg, s.records, slog.New(slog.DiscardHandler), nil)
	require.NoError(s.t, err)
	return r
}

// left are the starts of what a camera still has, counted back from now.
func (s *site) left(id string) (ago []time.Duration) {
	s.t.Helper()
	all, _, err := s.records.ListSegments(s.t.Context(), id, store.Range{}, store.Page{Limit: 1000})
	require.NoError(s.t, err)
	for _, g := range all {
		ago = append(ago, s.now.Sub(g.Start))
		require.FileExists(s.t, filepath.Join(s.root, g.Path))
	}
	return ago
}

func TestLimitsOfACamera(t *testing.T) {
	s := newSite(t)
	s.camera("old", func(c *store.Camera) { c.Keep = 3 * time.Hour })
	s.camera("big", func(c *store.Camera) { c.KeepBytes = 450 })
	for _, id := range []string{"door", "old", "big"} {
		s.film(id, 8, time.Hour)
	}
	r := s.retention(retain.Config{MaxAge: 6 * time.Hour})
	require.NoError(t, r.Sweep(t.Context()))
	require.Len(t, s.left("door"), 7, "ended less than 6 h ago")
	require.Len(t, s.left("old"), 4)
	require.Len(t, s.left("big"), 4, "within one segment of its quota")
	gaps, _, err := s.records.ListGaps(t.Context(), "old", store.Range{}, store.Page{})
	require.NoError(t, err)
	require.Len(t, gaps, 1)
	require.Equal(t, store.GapExpired, gaps[0].Reason, "its time stays accounted for")
}

// TestEventsAreKeptLonger: what an event at a line reaches becomes older than the
// rest, and goes after it when there is no space.
func TestEventsAreKeptLonger(t *testing.T) {
	s := newSite(t)
	s.log = 1000 * time.Hour
	s.camera("gate", func(c *store.Camera) { c.KeepEvents = time.Hour }) // less than the rest: counts for nothing
	for _, id := range []string{"door", "gate"} {
		s.film(id, 60, time.Hour)
		for _, ago := range []time.Duration{55 * time.Hour, 30 * time.Hour} {
			_, err := s.records.AddEvent(t.Context(), store.Event{Kind: "line.crossed", CameraID: id, Time: s.now.Add(30*time.Minute - ago)})
			require.NoError(t, err)
		}
		_, err := s.records.AddEvent(t.Context(), store.Event{Kind: "track.started", CameraID: id, Time: s.now.Add(-50 * time.Hour)})
		require.NoError(t, err)
	}
	cfg := retain.Config{MaxAge: 28 * time.Hour, EventAge: 50 * time.Hour}
	r := s.retention(cfg)
	for range 10 { // not more than some hours of each in an hour
		require.NoError(t, r.Sweep(t.Context()))
		s.elapsed += time.Hour
	}
	require.Equal(t, 30*time.Hour, s.left("door")[0])
	require.Len(t, s.left("door"), 1+29)
	require.Equal(t, 29*time.Hour, s.left("gate")[0])

	cfg.MaxBytes = 5500 // no space for all 30 + 29
	require.NoError(t, s.retention(cfg).Sweep(t.Context()))
	left := s.left("door")
	require.Equal(t, 30*time.Hour, left[0], "others are more than a day old")
	require.Less(t, left[1], 29*time.Hour)
	cfg.MaxBytes = 1000
	require.NoError(t, s.retention(cfg).Sweep(t.Context()))
	require.Less(t, s.left("door")[0], 24*time.Hour, "it goes before what is younger than a day")
}

func TestKeptRangesStay(t *testing.T) {
	s := newSite(t)
	s.film("door", 20, time.Hour)
	_, err := s.records.PutKeep(t.Context(), store.Keep{CameraID: "door", ID: "x", From: s.now.Add(-15 * time.Hour), To: s.now.Add(-13 * time.Hour)})
	require.NoError(t, err)
	r := s.retention(retain.Config{MaxBytes: 1, Missing: func() int64 { return 1 << 40 }, MaxAge: time.Hour})
	require.NoError(t, r.Sweep(t.Context()))
	require.Equal(t, []time.Duration{15 * time.Hour, 14 * time.Hour}, s.left("door"))
	require.NoError(t, s.records.DeleteKeep(t.Context(), "door", "x"))
	require.NoError(t, r.Sweep(t.Context()))
	require.Empty(t, s.left("door"))
}

// TestClockJump: a clock that is set forward deletes some hours at most, and
// nothing before something new was recorded.
func TestClockJump(t *testing.T) {
	s := newSite(t)
	s.film("door", 7*24, time.Hour)
	r := s.retention(retain.Config{MaxAge: 7 * 24 * time.Hour})
	s.now = s.now.AddDate(1, 0, 0)
	require.NoError(t, r.Sweep(t.Context()))
	require.Len(t, s.left("door"), 7*24)
	s.film("door", 1, time.Hour)
	require.NoError(t, r.Sweep(t.Context()))
	require.Len(t, s.left("door"), 7*24+1-6)
	for range 10 {
		require.NoError(t, r.Sweep(t.Context()))
	}
	require.Len(t, s.left("door"), 7*24+1-6, "not more in this hour")
	s.elapsed += time.Hour
	require.NoError(t, r.Sweep(t.Context()))
	require.Len(t, s.left("door"), 7*24+1-12)

	s.now = time.Date(1970, 1, 1, 0, 0, 0, 0, time.UTC)
	s.elapsed += time.Hour
	require.NoError(t, r.Sweep(t.Context()))
	require.Len(t, s.left("door"), 7*24+1-12, "nor does a clock that is set back")
}

// TestNothingIsRecordedAnyMore: recordings of cameras that are off still go in time.
func TestNothingIsRecordedAnyMore(t *testing.T) {
	s := newSite(t)
	s.film("door", 24, time.Hour)
	r := s.retention(retain.Config{MaxAge: 24 * time.Hour})
	for range 50 {
		s.now, s.elapsed = s.now.Add(time.Hour), s.elapsed+time.Hour
		require.NoError(t, r.Sweep(t.Context()))
	}
	require.Empty(t, s.left("door"))
}

func TestOnlyWhatHappens(t *testing.T) {
	for mode, want := range map[string][]time.Duration{
		store.RecordMotion: {600 * time.Second, 590 * time.Second, 580 * time.Second, 570 * time.Second, 130 * time.Second, 120 * time.Second},
		store.RecordEvents: {320 * time.Second, 310 * time.Second, 300 * time.Second, 130 * time.Second, 120 * time.Second},
	} {
		t.Run(mode, func(t *testing.T) {
			s := newSite(t)
			s.camera("door", func(c *store.Camera) { c.Record = mode })
			s.film("door", 100, 10*time.Second)
			ago := func(d time.Duration) time.Time { return s.now.Add(-d) }
			require.NoError(t, s.records.PutTrack(t.Context(), store.Track{
				ID: "t", CameraID: "door", Label: "person", Start: ago(588 * time.Second), End: ago(573 * time.Second), Ended: true,
			}))
			_, err := s.records.AddEvent(t.Context(), store.Event{Time: ago(307 * time.Second), Kind: "zone.entered", CameraID: "door"})
			require.NoError(t, err)
			_, err = s.records.AddEvent(t.Context(), store.Event{Time: ago(507 * time.Second), Kind: "camera.state", CameraID: "door"})
			require.NoError(t, err)
			r := s.retention(retain.Config{})

			s.blind = true
			require.NoError(t, r.Sweep(t.Context()))
			require.Len(t, s.left("door"), 100, "nobody looked: all of it is kept")

			s.blind = false
			r = s.retention(retain.Config{})
			require.NoError(t, r.Sweep(t.Context()))
			got := s.left("door")
			for len(got) > 0 && got[len(got)-1] < 120*time.Second { // it is too early to say
				got = got[:len(got)-1]
			}
			require.Equal(t, want, got)
		})
	}
}

func TestReaderKeepsItsFile(t *testing.T) {
	s := newSite(t)
	s.film("door", 1, time.Hour)
	f, err := os.Open(filepath.Join(s.root, "door/2026-03-04/1.mp4"))
	require.NoError(t, err)
	defer f.Close()
	r := s.retention(retain.Config{Missing: func() int64 { return 1 << 40 }})
	require.NoError(t, r.Sweep(t.Context()))
	require.NoFileExists(t, f.Name())
	content, err := io.ReadAll(f)
	require.NoError(t, err)
	require.Len(t, content, 100)
}

func TestOldRecordsGo(t *testing.T) {
	s := newSite(t)
	for i := range 1200 {
		_, err := s.records.AddEvent(t.Context(), store.Event{Time: s.now.Add(-48*time.Hour + time.Duration(i)*time.Second), Kind: "x"})
		require.NoError(t, err)
	}
	_, err := s.records.AddEvent(t.Context(), store.Event{Time: s.now, Kind: "new"})
	require.NoError(t, err)
	require.NoError(t, s.records.PutTrack(t.Context(), store.Track{ID: "t", CameraID: "door", Start: s.now.Add(-48 * time.Hour), End: s.now}))
	r := s.retention(retain.Config{})
	for _, left := range []int{701, 201, 1, 1} {
		require.NoError(t, r.Sweep(t.Context()))
		all := 0
		for p := (store.Page{Limit: 1000}); ; {
			es, next, err := s.records.ListEvents(t.Context(), "", "", store.Range{}, p)
			require.NoError(t, err)
			all += len(es)
			if p.Cursor = next; next == "" {
				break
			}
		}
		require.Equal(t, left, all, "some at a time")
	}
	_, err = s.records.Track(t.Context(), "t")
	require.NoError(t, err, "a track that goes on stays")
}

// TestOldResultsGo: results go by when they were done, some at a time; those that
// wait or are worked on stay however old they are.
func TestOldResultsGo(t *testing.T) {
	s := newSite(t)
	put := func(id, state string, created, finished time.Duration) {
		v := store.Result{ID: id, Kind: "still", State: state, CreatedAt: s.now.Add(-created)}
		if finished >= 0 {
			v.FinishedAt = s.now.Add(-finished)
		}
		require.NoError(t, s.records.PutResult(t.Context(), v))
	}
	const running = -1
	put("queued", store.ResultQueued, 48*time.Hour, running)
	put("running", store.ResultRunning, 48*time.Hour, running)
	put("took long", store.ResultDone, 48*time.Hour, time.Hour)
	put("new", store.ResultDone, time.Hour, time.Hour)
	for i := range 60 {
		put(fmt.Sprintf("done %d", i), store.ResultDone, 48*time.Hour, 47*time.Hour)
		put(fmt.Sprintf("failed %d", i), store.ResultFailed, 48*time.Hour, 47*time.Hour)
	}
	r := s.retention(retain.Config{})
	for _, left := range []int{74, 24, 4, 4} {
		require.NoError(t, r.Sweep(t.Context()))
		all, _, err := s.records.ListResults(t.Context(), "", store.Page{Limit: 1000})
		require.NoError(t, err)
		require.Len(t, all, left, "some at a time")
	}
	for _, id := range []string{"queued", "running", "took long", "new"} {
		_, err := s.records.Result(t.Context(), id)
		require.NoError(t, err, id)
	}
}
