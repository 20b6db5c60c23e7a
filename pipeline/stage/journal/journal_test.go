package journal

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"detectd/pipeline/bus"
	"detectd/store"
	"detectd/store/sqlite"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var quiet = slog.New(slog.DiscardHandler)

func openBus(t *testing.T) *bus.Bus {
	t.Helper()
	b, err := bus.Open(t.Context(), bus.Config{Folder: t.TempDir()}, quiet)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, b.Close()) })
	return b
}

// openRecords has one client with one camera.
func openRecords(t *testing.T) *sqlite.Store {
	t.Helper()
	r, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "detectd.db"), quiet)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, r.Close()) })
	_, err = r.CreateClient(t.Context(), store.Client{ID: "home", Name: "Home"})
	require.NoError(t, err)
	_, err = r.CreateCamera(t.Context(), store.Camera{
		ID: "door", ClientID: "home", Name: "Door", URL: "rtsp://10.0.0.5/", Username: "admin", Password: "sesame",
	})
	require.NoError(t, err)
	return r
}

// start runs a stage; stop ends it and waits.
func start(t *testing.T, cfg Config, b *bus.Bus, r records) (s *Stage, stop func()) {
	t.Helper()
	s = New(cfg, b, r, quiet)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	<-s.Ready()
	return s, func() { cancel(); require.NoError(t, <-done) }
}

// events lists the log, oldest first.
func events(t *testing.T, r store.Events) []store.Event {
	t.Helper()
	list, _, err := r.ListEvents(t.Context(), "", "", store.Range{}, store.Page{Limit: 1000})
	require.NoError(t, err)
	for i, j := 0, len(list)-1; i < j; i, j = i+1, j-1 {
		list[i], list[j] = list[j], list[i]
	}
	return list
}

func messages(list []store.Event) []string {
	var out []string
	for _, e := range list {
		out = append(out, e.Kind+" "+e.Message)
	}
	return out
}

func TestEverythingIsLoggedInWords(t *testing.T) {
	b, r := openBus(t), openRecords(t)
	model, err := r.AddModelVersion(t.Context(), store.Model{Name: "yolox"}, store.ModelVersion{
		SHA256: fmt.Sprintf("%064d", 1), Contract: json.RawMessage("{}"),
	})
	require.NoError(t, err)
	_, err = r.PutRunningModel(t.Context(), store.RunningModel{ClientID: "home", CameraID: "door", Model: "yolox", Version: model.Version}, 0)
	require.NoError(t, err)
	_, err = r.PutRunningModel(t.Context(), store.RunningModel{ClientID: "home", Model: "yolox"}, 0)
	require.NoError(t, err)

	s, stop := start(t, Config{Write: time.Hour}, b, r)
	say := func(base, id string, v any) { b.Publish(bus.Subject(base, id), v) }
	now := time.Now().UTC()
	at := func(seconds int) time.Time { return now.Add(time.Duration(seconds) * time.Second) }
	track := bus.Track{ID: "door-1", CameraID: "door", Label: "person", Start: at(1), End: at(1), Frames: 1, BestScore: 0.5}

	say(bus.CameraState, "door", bus.State{CameraID: "door", State: "connecting", Since: at(0)})
	say(bus.CameraState, "door", bus.State{CameraID: "door", State: "running", Since: at(0)})
	say(bus.Tracks, "door", track)
	track.Frames, track.End = 20, at(5)
	say(bus.Tracks, "door", track)
	track.Frames, track.End, track.Ended = 60, at(13), true
	say(bus.Tracks, "door", track)
	say(bus.CameraState, "door", bus.State{CameraID: "door", State: "lost", Reason: "the camera stopped sending video", Since: at(14)})
	stop() // the rest is stamped with the time it was read
	require.Equal(t, []string{
		"camera.state camera Door is running",
		"track.started person appeared on camera Door",
		"track.ended person was on camera Door for 12s",
		"camera.state camera Door lost: the camera stopped sending video",
	}, messages(events(t, r)))
	for _, e := range events(t, r) {
		require.Equal(t, "door", e.CameraID)
		require.Equal(t, "home", e.ClientID)
		require.True(t, json.Valid(e.Data))
	}
	require.WithinDuration(t, at(14), events(t, r)[3].Time, time.Millisecond)
	require.JSONEq(t, `{"track_id":"door-1","label":"person","best_score":0.5,"frames":60}`, string(events(t, r)[2].Data))
	require.Equal(t, Stats{Written: 4}, s.Stats())

	_, stop = start(t, Config{Write: time.Hour}, b, r)
	say(bus.CameraChanged, "door", bus.Change{CameraID: "door", Action: "updated"})
	say(bus.RunningModel, "home", bus.Change{ClientID: "home", CameraID: "door", Action: "updated", Revision: 1})
	say(bus.RunningModel, "home", bus.Change{ClientID: "home", Action: "updated", Revision: 1})
	b.Publish(bus.ModelsChanged, bus.Change{Action: "updated"})
	b.Publish(bus.ModelsChanged, bus.Change{ID: "yolox", Action: "created"})
	b.Publish(bus.Providers, bus.Provider{Model: "yolox", Version: 1, Provider: "cpu", Reason: "cuda does not work here: no driver"})
	for _, state := range []string{"queued", "running", "done"} {
		say(bus.Results, "r1", bus.Result{ID: "r1", Kind: "clip", CameraID: "door", State: state})
	}
	say(bus.Results, "r2", bus.Result{ID: "r2", Kind: "video", Name: "party.mp4", State: "failed", Error: "no video stream"})
	stop()
	got, _, err := r.ListEvents(t.Context(), "", "", store.Range{}, store.Page{Limit: 1000})
	require.NoError(t, err)
	require.Len(t, got, 4+8)
	require.Subset(t, messages(got), []string{
		"camera.changed camera Door was updated",
		"model.changed camera Door runs version 1 of model yolox",
		"model.changed client Home runs the newest version of model yolox",
		"models.changed the list of models changed",
		"models.changed model yolox was created",
		"model.degraded model yolox@1 runs on cpu: cuda does not work here: no driver",
		"result.done clip of camera Door is ready",
		"result.failed video party.mp4 failed: no video stream",
	})

	_, err = r.DeleteRunningModel(t.Context(), "home", "door", store.AnyRevision, store.Author{})
	require.NoError(t, err)
	_, stop = start(t, Config{Write: time.Hour}, b, r)
	say(bus.RunningModel, "home", bus.Change{ClientID: "home", CameraID: "door", Action: "updated", Revision: 2})
	stop()
	got, _, err = r.ListEvents(t.Context(), "door", ModelChanged, store.Range{}, store.Page{})
	require.NoError(t, err)
	require.Contains(t, messages(got), "model.changed camera Door runs the model of its client again")
}

func TestEventsSayThingsOnce(t *testing.T) {
	b, r := openBus(t), openRecords(t)
	_, stop := start(t, Config{Write: time.Hour}, b, r)
	now := time.Now()
	b.Publish(bus.Subject(bus.CameraState, "door"), bus.State{CameraID: "door", State: "refused", Reason: "the camera refused the connection"})
	b.Publish(bus.Subject(bus.Gaps, "door"), bus.Gap{CameraID: "door", From: now.Add(-time.Minute), To: now, Open: true, Reason: "camera", Detail: "not_found"})
	b.Publish(bus.Subject(bus.Gaps, "door"), bus.Gap{CameraID: "door", From: now.Add(-time.Minute), To: now, Open: true, Reason: "disk_error", Detail: "open /a_b"})
	for _, open := range []bool{true, false} {
		b.Publish(bus.Subject(bus.Gaps, "door"), bus.Gap{CameraID: "door", From: now.Add(-time.Minute), To: now, Open: open, Reason: "process_down"})
	}
	stop()
	require.ElementsMatch(t, []string{
		"recording.gap nothing was recorded of camera Door for 1m0s: detectd was not running",
		"camera.state camera Door refused the connection",
		"recording.gap nothing is recorded of camera Door: the camera was not there (not found)",
		"recording.gap nothing is recorded of camera Door: the disk refused (open /a_b)",
	}, messages(events(t, r)))
}

func TestDeletedCameraKeepsItsName(t *testing.T) {
	b, r := openBus(t), openRecords(t)
	s, stop := start(t, Config{Write: 5 * time.Millisecond}, b, r)
	b.Publish(bus.Subject(bus.CameraState, "door"), bus.State{CameraID: "door", State: "running"})
	require.Eventually(t, func() bool { return s.Stats().Written == 1 }, 10*time.Second, time.Millisecond)
	require.NoError(t, r.DeleteCamera(t.Context(), "door", store.AnyRevision))
	b.Publish(bus.Subject(bus.CameraChanged, "door"), bus.Change{CameraID: "door", Action: "deleted"})
	b.Publish(bus.Subject(bus.CameraState, "nobody"), bus.State{CameraID: "nobody", State: "running"})
	stop()
	require.Subset(t, messages(events(t, r)), []string{
		"camera.changed camera Door was deleted", "camera.state camera nobody is running",
	})
}

// flapping is a camera that is lost and found every second, for a minute.
func TestFlappingStatesAreSummedUp(t *testing.T) {
	s := New(Config{}, nil, nil, quiet)
	start := time.Date(2026, 11, 25, 9, 0, 0, 0, time.UTC)
	for i := range 60 {
		now := start.Add(time.Duration(i) * time.Second)
		s.sumUp(now, s.cfg.Window)
		for _, state := range []string{"lost", "connecting", "running"} {
			s.state(bus.State{CameraID: "door", State: state, Reason: "cable"}, now)
		}
	}
	s.sumUp(start.Add(time.Hour), s.cfg.Window)
	n := &names{cameras: map[string]store.Camera{"door": {Name: "Door"}}}
	var got []string
	for _, note := range s.pending {
		got = append(got, note.say(t.Context(), n))
	}
	require.Len(t, got, 2*7, "each state at once, then once in ten seconds")
	require.Equal(t, []string{
		"camera Door lost: cable", "camera Door is running: cable",
		"camera Door lost, 9 times more: cable", "camera Door is running, 9 times more: cable",
	}, got[:4])
}

func TestTryingAgainIsNotLogged(t *testing.T) {
	s := New(Config{}, nil, nil, quiet)
	now := time.Now()
	for i := range 100 {
		now = now.Add(30 * time.Second)
		s.sumUp(now, s.cfg.Window)
		s.state(bus.State{CameraID: "door", State: "connecting"}, now)
		s.state(bus.State{CameraID: "door", State: "timeout"}, now)
		require.Len(t, s.pending, 1, "attempt %d", i)
	}
	s.state(bus.State{CameraID: "door", State: "auth_failed"}, now)
	s.state(bus.State{CameraID: "gate", State: "timeout"}, now)
	require.Len(t, s.pending, 3)
}

func TestNoCredentials(t *testing.T) {
	for in, want := range map[string]string{
		"open rtsp://admin:s3same@10.0.0.5/x: refused": "open rtsp://10.0.0.5/x: refused",
		"rtsp://a:b@c@10.0.0.5":                        "rtsp://10.0.0.5",
		"rtsps://admin:pa/ss@host/path":                "rtsps://host/path",
		"nothing to hide, me@example.com":              "nothing to hide, me@example.com",
	} {
		require.Equal(t, want, withoutCredentials(in))
	}
	b, r := openBus(t), openRecords(t)
	_, stop := start(t, Config{Write: time.Hour}, b, r)
	b.Publish(bus.Subject(bus.CameraState, "door"), bus.State{CameraID: "door", State: "failed", Reason: "rtsp://admin:sesame@10.0.0.5/"})
	b.Publish(bus.Subject(bus.Results, "r"), bus.Result{ID: "r", Kind: "clip", State: "failed", Error: "http://admin:sesame@10.0.0.5/"})
	stop()
	list := events(t, r)
	require.Len(t, list, 2)
	for _, e := range list {
		require.NotContains(t, e.Message+string(e.Data), "sesame")
		require.NotContains(t, e.Message+string(e.Data), "admin")
	}
}

// failing is a store that refuses to write while down is set.
type failing struct {
	*sqlite.Store
	down atomic.Bool
}

func (f *failing) AddEvent(ctx context.Context, e store.Event) (store.Event, error) {
	if f.down.Load() {
		return store.Event{}, errors.New("disk is full")
	}
	return f.Store.AddEvent(ctx, e)
}

func TestStoreThatFails(t *testing.T) {
	b, r := openBus(t), &failing{Store: openRecords(t)}
	r.down.Store(true)
	s, stop := start(t, Config{Write: time.Millisecond, MaxPending: 5}, b, r)
	for i := range 8 {
		b.Publish(bus.ModelsChanged, bus.Change{ID: fmt.Sprint("m", i), Action: "created"})
	}
	require.Eventually(t, func() bool { return s.Stats().Lost == 3 }, 10*time.Second, time.Millisecond)
	r.down.Store(false)
	require.Eventually(t, func() bool { return s.Stats().Written == 5 }, 10*time.Second, time.Millisecond)
	require.Len(t, events(t, r), 5)

	r.down.Store(true)
	b.Publish(bus.ModelsChanged, bus.Change{Action: "updated"})
	stop()
	require.Equal(t, Stats{Written: 5, Lost: 4}, s.Stats())
}

func TestMalformedMessages(t *testing.T) {
	b, r := openBus(t), openRecords(t)
	s, stop := start(t, Config{Write: time.Hour}, b, r)
	for _, base := range []string{bus.CameraState, bus.CameraChanged, bus.Tracks, bus.RunningModel, bus.Results} {
		b.Publish(bus.Subject(base, "x"), 1)
	}
	b.Publish(bus.ModelsChanged, "x")
	b.Publish(bus.Subject(bus.CameraState, "x"), bus.State{})
	stop()
	require.Equal(t, Stats{Malformed: 6}, s.Stats())
	require.Empty(t, events(t, r))
}
