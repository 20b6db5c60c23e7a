package promote

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"detectd/detect"
	"detectd/pipeline/bus"
	"detectd/store"
	"detectd/store/sqlite"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(crashDir); dir != "" {
		fmt.Fprintln(os.Stderr, promoteForEver(dir))
		os.Exit(1)
	}
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("database/sql.(*DB).connectionOpener"))
}

// world is a client with cameras whose answers a test makes up.
type world struct {
	*Manager
	t       *testing.T
	records *sqlite.Store
	now     time.Time
	tasks   []ShadowTask
	reports map[string]store.ShadowReport
	trouble map[string]string // by camera
	changed []string          // places of running models that were changed, and "alias"
}

type noBus struct{}

// SubscribeAll implements subscriber: nothing ever comes.
func (noBus) SubscribeAll(ctx context.Context, ready chan<- struct{}, _ func(bus.Message), _ ...string) error {
	close(ready)
	<-ctx.Done()
	return nil
}

// Set implements Shadows.
func (w *world) Set(tasks []ShadowTask) { w.tasks = tasks }

// Report implements Shadows.
func (w *world) Report(id string) (store.ShadowReport, bool) { r, ok := w.reports[id]; return r, ok }

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{
		t: t, records: openRecords(t), now: time.Date(2026, 11, 25, 9, 0, 0, 0, time.UTC),
		reports: map[string]store.ShadowReport{}, trouble: map[string]string{},
	}
	ctx := t.Context()
	for _, client := range []string{"site", "other"} {
		_, err := w.records.CreateClient(ctx, store.Client{ID: client})
		require.NoError(t, err)
		for _, c := range []string{"a", "b", "c"} {
			_, err := w.records.CreateCamera(ctx, store.Camera{ID: client + "-" + c, ClientID: client, URL: "rtsp://h/" + c})
			require.NoError(t, err)
		}
	}
	w.restart()
	return w
}

// restart makes a manager on the same records.
func (w *world) restart() {
	w.Manager = New(Config{Default: "yard", Now: func() time.Time { return w.now }}, Deps{
		Records: w.records, Keeper: NewKeeper(w.records, "here"), Bus: noBus{}, Shadows: w, Assigned: w.assigned,
		Changed: func(_ store.Promotion, running []store.RunningModel, alias bool) {
			for _, r := range running {
				w.changed = append(w.changed, r.ClientID+"/"+r.CameraID)
			}
			if alias {
				w.changed = append(w.changed, "alias")
			}
		},
		Log: slog.New(slog.DiscardHandler),
	})
	require.NoError(w.t, w.load(w.t.Context()))
}

// assigned is what a camera would run. Version 1 is what the site runs.
func (w *world) assigned(camera string) (detect.Ref, string) {
	list, err := w.records.ListRunningModels(w.t.Context())
	require.NoError(w.t, err)
	client, _, _ := cut(camera)
	r := store.Effective(list, client, camera, "yard")
	if r.Alias != "" {
		v, err := w.records.AliasVersion(w.t.Context(), r.Model, r.Alias)
		require.NoError(w.t, err)
		r.Version = v.Version
	}
	if r.Version == 0 {
		r.Version = 2 // the newest whose self-check has not failed
	}
	return detect.Ref{Model: r.Model, Version: r.Version}, w.trouble[camera]
}

func cut(camera string) (client, name string, ok bool) {
	for i := range camera {
		if camera[i] == '-' {
			return camera[:i], camera[i+1:], true
		}
	}
	return camera, "", false
}

// pass lets time go by in which each camera answers once a second with what it runs.
func (w *world) pass(d time.Duration, answer func(camera string, ref detect.Ref) bus.Inference) {
	w.t.Helper()
	cameras, err := w.records.ListCameras(w.t.Context(), "")
	require.NoError(w.t, err)
	for end := w.now.Add(d); w.now.Before(end); {
		w.now = w.now.Add(time.Second)
		for _, c := range cameras {
			ref, _ := w.assigned(c.ID)
			i := answer(c.ID, ref)
			i.CameraID, i.Model, i.Version = c.ID, ref.Model, ref.Version
			w.mu.Lock()
			w.tally.inference(i, w.now)
			w.mu.Unlock()
		}
	}
}

func usual(string, detect.Ref) bus.Inference {
	return bus.Inference{Detections: 2, Latency: 40 * time.Millisecond, Ran: 40 * time.Millisecond, Batch: 1}
}

func (w *world) siteRuns(version int) {
	w.t.Helper()
	_, err := w.records.PutRunningModel(w.t.Context(), store.RunningModel{ClientID: "site", Model: "yard", Version: version, MinScore: 0.4, Classes: []string{"person"}}, store.AnyRevision)
	require.NoError(w.t, err)
}

func (w *world) running(camera string) store.RunningModel {
	w.t.Helper()
	list, err := w.records.ListRunningModels(w.t.Context())
	require.NoError(w.t, err)
	return store.Effective(list, "site", camera, "default")
}

func (w *world) lastEvent() (kind, message string) {
	kinds, messages := events(w.t, w.records)
	return kinds[len(kinds)-1], messages[len(messages)-1]
}

func request() Request {
	return Request{
		Model: "yard", Version: 2, Alias: "champion", ClientID: "site", Cameras: []string{"site-a"}, Share: 0.1,
		Period: 2 * time.Minute, By: "ann", Reason: "sees better",
	}
}

func TestFromShadowToEverywhere(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	w.siteRuns(1)
	require.NoError(t, w.records.SetAlias(ctx, "yard", "champion", 1, 0, store.Author{}))
	own, err := w.records.PutRunningModel(ctx, store.RunningModel{ClientID: "site", CameraID: "site-b", Model: "yard", Version: 1, DetectFPS: 9}, 0)
	require.NoError(t, err)
	pinned, err := w.records.PutRunningModel(ctx, store.RunningModel{ClientID: "site", CameraID: "site-c", Model: "yard", Version: 3}, 0)
	require.NoError(t, err)

	p, err := w.Start(ctx, request())
	require.NoError(t, err)
	require.Equal(t, store.PromotionShadow, p.State)
	require.Equal(t, Ref{"yard", 1}, Ref{p.ChampionModel, p.ChampionVersion})
	require.Equal(t, []ShadowTask{{ID: p.ID, Ref: detect.Ref{Model: "yard", Version: 2}, Cameras: []string{"site-a"}, Share: 0.1}}, w.tasks)
	kind, message := w.lastEvent()
	require.Equal(t, "promotion.shadow", kind)
	require.Equal(t, "yard@2 looks at frames of camera site-a beside the running model: sees better", message)
	require.Equal(t, 1, w.running("site-a").Version, "a shadow runs nowhere")
	_, err = w.Start(ctx, request())
	require.ErrorIs(t, err, store.ErrExists, "one at a time")

	w.reports[p.ID] = store.ShadowReport{Model: "yard", Version: 2, Looked: 40}
	w.pass(3*time.Minute, usual)
	p, err = w.Canary(ctx, p.ID, nil, "ann", "they agree")
	require.NoError(t, err)
	require.Equal(t, int64(40), p.Shadow.Looked, "what the shadow has found is kept")
	require.Equal(t, int64(180), p.Baseline[0].Inferences)
	require.Equal(t, []string{"site/site-a"}, w.changed)
	canary := w.running("site-a")
	require.Equal(t, 2, canary.Version)
	require.Equal(t, "site-a", canary.CameraID)
	require.InDelta(t, 0.4, canary.MinScore, 0, "all else stays as it was")
	require.Equal(t, []string{"person"}, canary.Classes)
	require.Equal(t, "promotion/"+p.ID, canary.UpdatedBy)
	require.Equal(t, detect.Ref{Model: "yard", Version: 1}, w.tasks[0].Ref, "now the champion looks beside the candidate")
	delete(w.reports, p.ID)

	w.pass(2*time.Minute, usual)
	w.restart() // what was counted is gone, what was decided is not
	w.pass(time.Minute, usual)
	w.Look(ctx)
	view, err := w.View(ctx, p.ID)
	require.NoError(t, err)
	require.Equal(t, int64(60), view.Figures.Inferences)
	require.Equal(t, 1, view.Figures.Cameras)
	require.True(t, view.Figures.Enough)
	require.Empty(t, view.Figures.Fault)

	w.changed = nil
	p, err = w.Promote(ctx, p.ID, "ann", "held for a day", false)
	require.NoError(t, err)
	require.Equal(t, store.PromotionWatch, p.State)
	require.Equal(t, []string{"site/", "site/site-a", "site/site-b", "alias"}, w.changed)
	require.Empty(t, w.running("site-a").CameraID, "it follows its client again")
	require.Equal(t, 2, w.running("site-a").Version)
	require.Equal(t, 2, w.running("site-b").Version)
	require.InDelta(t, own.DetectFPS, w.running("site-b").DetectFPS, 0)
	require.Equal(t, pinned.Revision, w.running("site-c").Revision, "another model stays")
	v, err := w.records.AliasVersion(ctx, "yard", "champion")
	require.NoError(t, err)
	require.Equal(t, 2, v.Version)

	w.Look(ctx)
	require.Len(t, w.active, 1, "it is watched for its time")
	w.pass(2*time.Minute, usual)
	w.Look(ctx)
	p, err = w.View(ctx, p.ID)
	require.NoError(t, err)
	require.Equal(t, store.PromotionDone, p.State)
	require.Equal(t, "it stayed within its bands for 2m0s", p.Reason)
	kinds, _ := events(t, w.records)
	require.Equal(t, []string{"promotion.shadow", "promotion.canary", "promotion.watch", "promotion.done"}, kinds)
	require.Empty(t, w.tasks)
	_, err = w.RollBack(ctx, p.ID, "ann", "too late")
	require.ErrorIs(t, err, ErrState)
}

// TestWhoFollowsTheAlias: records that follow it are left to it.
func TestWhoFollowsTheAlias(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	require.NoError(t, w.records.SetAlias(ctx, "yard", "champion", 1, 0, store.Author{}))
	client, err := w.records.PutRunningModel(ctx, store.RunningModel{ClientID: "site", Model: "yard", Alias: "champion"}, 0)
	require.NoError(t, err)
	_, err = w.records.PutRunningModel(ctx, store.RunningModel{ClientID: "site", CameraID: "site-b", Model: "yard", Alias: "champion", DetectFPS: 9}, 0)
	require.NoError(t, err)
	r := request()
	r.Canary, r.Cameras = true, []string{"site-a", "site-b"}
	p, err := w.Start(ctx, r)
	require.NoError(t, err)
	require.Equal(t, Ref{"yard", 1}, Ref{p.ChampionModel, p.ChampionVersion})
	require.Equal(t, 2, w.running("site-a").Version)
	require.Empty(t, w.running("site-b").Alias)
	p, err = w.Promote(ctx, p.ID, "ann", "", false)
	require.NoError(t, err)
	require.Equal(t, client.Revision, w.running("site-a").Revision, "it follows its client, which follows the alias")
	require.Equal(t, "champion", w.running("site-b").Alias)
	require.InDelta(t, 9, w.running("site-b").DetectFPS, 0)
	moves, err := w.records.AliasHistory(ctx, "yard", "champion")
	require.NoError(t, err)
	require.Equal(t, "promotion/"+p.ID, moves[0].By)

	_, err = w.RollBack(ctx, p.ID, "ann", "no good")
	require.NoError(t, err)
	v, err := w.records.AliasVersion(ctx, "yard", "champion")
	require.NoError(t, err)
	require.Equal(t, 1, v.Version)
	require.Equal(t, "champion", w.running("site-b").Alias)
	require.Equal(t, client.Revision, w.running("site-a").Revision)
}

func TestRollsBackByItself(t *testing.T) {
	broken := map[string]struct {
		answer func(bus.Inference) bus.Inference
		reason string
	}{
		"NaN": {func(i bus.Inference) bus.Inference {
			i.Error, i.NotFinite = "model output is not finite", true
			return i
		}, "outputs that are no numbers: at most 2 is wanted, it is "},
		"errors": {func(i bus.Inference) bus.Inference { i.Error = "run model"; return i }, "failed inferences: at most 2.0 % is wanted, it is 100.0 % ("},
		"slow":   {func(i bus.Inference) bus.Inference { i.Ran = time.Second; return i }, "p95 of inference: at most "},
		"blind":  {func(i bus.Inference) bus.Inference { i.Detections = 0; return i }, "detections per frame: 1.00 to 4.00 is wanted, it is 0.00"},
		"wild":   {func(i bus.Inference) bus.Inference { i.Detections = 50; return i }, "detections per frame: 1.00 to 4.00 is wanted, it is 50.00"},
	}
	for name, c := range broken {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			ctx := t.Context()
			w.siteRuns(1)
			w.pass(2*time.Minute, usual)
			r := request()
			r.Canary = true
			p, err := w.Start(ctx, r)
			require.NoError(t, err)
			require.Equal(t, 2, w.running("site-a").Version)
			for range 60 {
				w.pass(5*time.Second, func(camera string, ref detect.Ref) bus.Inference {
					if ref.Version == 2 {
						return c.answer(usual(camera, ref))
					}
					return usual(camera, ref)
				})
				w.Look(ctx)
			}
			p, err = w.View(ctx, p.ID)
			require.NoError(t, err)
			require.Equal(t, store.PromotionRolledBack, p.State)
			require.Contains(t, p.Reason, c.reason)
			require.Equal(t, "detectd", p.By)
			require.Equal(t, c.reason, p.Figures.Fault[:len(c.reason)], "the figures are kept")
			require.Equal(t, 1, w.running("site-a").Version)
			require.Empty(t, w.running("site-a").CameraID, "the record of the canary is gone")
			kind, message := w.lastEvent()
			require.Equal(t, "promotion.rolled_back", kind)
			require.Contains(t, message, "yard@2 was rolled back at client site: "+c.reason)
		})
	}
}

// TestAloneItTakesAWindow: without other cameras a slow minute may be the machine's.
func TestAloneItTakesAWindow(t *testing.T) {
	w := newWorld(t)
	w.siteRuns(1)
	w.pass(2*time.Minute, usual)
	r := request()
	r.Canary, r.Cameras = true, nil
	p, err := w.Start(t.Context(), r)
	require.NoError(t, err)
	looks := 0
	slow := func(camera string, ref detect.Ref) bus.Inference {
		i := usual(camera, ref)
		i.Ran = time.Second
		return i
	}
	for ; p.State == store.PromotionCanary; looks++ {
		require.Less(t, looks, 40)
		w.pass(5*time.Second, slow)
		w.Look(t.Context())
		p, err = w.View(t.Context(), p.ID)
		require.NoError(t, err)
	}
	require.Equal(t, store.PromotionRolledBack, p.State)
	require.Greater(t, looks, 13)
}

func TestFineCandidatesStay(t *testing.T) {
	w := newWorld(t)
	w.siteRuns(1)
	w.pass(2*time.Minute, usual)
	r := request()
	r.Canary = true
	p, err := w.Start(t.Context(), r)
	require.NoError(t, err)
	n := 0
	for range 60 {
		w.pass(5*time.Second, func(camera string, ref detect.Ref) bus.Inference {
			i := usual(camera, ref)
			if n++; ref.Version == 2 {
				i.Ran, i.Detections = 55*time.Millisecond, 1+n%4
			}
			return i
		})
		w.Look(t.Context())
	}
	p, err = w.View(t.Context(), p.ID)
	require.NoError(t, err)
	require.Equal(t, store.PromotionCanary, p.State)
}

func TestRollsBackWhatDoesNotLoad(t *testing.T) {
	w := newWorld(t)
	w.siteRuns(1)
	r := request()
	r.Canary = true
	p, err := w.Start(t.Context(), r)
	require.NoError(t, err)
	w.trouble["site-a"] = "load model yard@2: file is damaged"
	w.Manager.deps.Assigned = func(camera string) (detect.Ref, string) {
		return detect.Ref{Model: "yard", Version: 1}, w.trouble[camera] // the one before goes on
	}
	w.Look(t.Context())
	p, err = w.View(t.Context(), p.ID)
	require.NoError(t, err)
	require.Equal(t, store.PromotionRolledBack, p.State)
	require.Equal(t, "loads: runs is wanted, it is on camera site-a: load model yard@2: file is damaged", p.Reason)
}

func TestRollsBackFromEverywhere(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	r := request() // the client has no record: it runs the default model
	r.Version, r.Canary, r.Cameras = 1, true, nil
	w.pass(2*time.Minute, usual)
	p, err := w.Start(ctx, r)
	require.NoError(t, err)
	require.Equal(t, 2, p.ChampionVersion, "the newest that has not failed its self-check")
	require.Len(t, p.Cameras, 3)
	p, err = w.Promote(ctx, p.ID, "ann", "", false)
	require.NoError(t, err)
	require.Equal(t, 1, w.running("site-b").Version)
	changed, err := w.records.PutRunningModel(ctx, store.RunningModel{ClientID: "site", CameraID: "site-c", Model: "yard", Version: 1, DetectFPS: 1}, 0)
	require.NoError(t, err)
	for range 20 {
		w.pass(5*time.Second, func(camera string, ref detect.Ref) bus.Inference {
			i := usual(camera, ref)
			if ref.Version == 1 {
				i.Error, i.NotFinite = "model output is not finite", true
			}
			return i
		})
		w.Look(ctx)
	}
	p, err = w.View(ctx, p.ID)
	require.NoError(t, err)
	require.Equal(t, store.PromotionRolledBack, p.State)
	_, err = w.records.RunningModel(ctx, "site", "")
	require.ErrorIs(t, err, store.ErrNotFound, "there was no record before")
	_, err = w.records.AliasVersion(ctx, "yard", "champion")
	require.ErrorIs(t, err, store.ErrNotFound, "nor the alias")
	require.Equal(t, changed.Revision, w.running("site-c").Revision, "what somebody has set meanwhile stays")
	_, message := w.lastEvent()
	require.Contains(t, message, "; changed by someone else since and left as it is: camera site-c")
}

func TestPromotionsThatCannotBe(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	w.siteRuns(1)
	for name, c := range map[string]struct {
		change func(*Request)
		err    error
		text   string
	}{
		"self-check":  {func(r *Request) { r.Version = 3 }, store.ErrGate, "yard@3 may not become yard@champion: self-check"},
		"no alias":    {func(r *Request) { r.Version, r.Alias = 3, "" }, store.ErrGate, "yard@3 may not be promoted: self-check"},
		"force alone": {func(r *Request) { r.Version, r.Force, r.Reason = 3, true, "" }, store.ErrGate, "self-check"},
		"no version":  {func(r *Request) { r.Version = 9 }, store.ErrNotFound, "version 9"},
		"no client":   {func(r *Request) { r.ClientID = "none" }, store.ErrNotFound, `client "none"`},
		"no camera":   {func(r *Request) { r.Cameras = []string{"other-a"} }, store.ErrNotFound, `camera "other-a" of client site`},
		"runs":        {func(r *Request) { r.Version = 1 }, ErrInvalid, "client site runs yard@1 already"},
	} {
		t.Run(name, func(t *testing.T) {
			r := request()
			c.change(&r)
			_, err := w.Start(ctx, r)
			require.ErrorIs(t, err, c.err)
			require.ErrorContains(t, err, c.text)
		})
	}
	r := request()
	r.Version, r.Force, r.Reason = 3, true, "the picture is odd"
	p, err := w.Start(ctx, r)
	require.NoError(t, err)
	_, message := w.lastEvent()
	require.Contains(t, message, "(against the rules: yard@3 may not become yard@champion: self-check")
	_, err = w.Finish(ctx, p.ID, "ann", "")
	require.ErrorIs(t, err, ErrState)
	w.reports[p.ID] = store.ShadowReport{Model: "yard", Version: 3, NotFinite: 3}
	w.Look(ctx)
	p, err = w.View(ctx, p.ID)
	require.NoError(t, err)
	require.Equal(t, store.PromotionCancelled, p.State)
	require.Equal(t, "3 of its outputs are no numbers", p.Reason)
	_, err = w.Canary(ctx, p.ID, nil, "ann", "")
	require.ErrorIs(t, err, ErrState)
	_, err = w.Canary(ctx, "none", nil, "ann", "")
	require.ErrorIs(t, err, store.ErrNotFound)
}

func TestRunTakesPromotionsUpAndKeepsFigures(t *testing.T) {
	w := newWorld(t)
	w.siteRuns(1)
	p, err := w.Start(t.Context(), request())
	require.NoError(t, err)
	w.tasks = nil
	w.restart()
	require.Len(t, w.tasks, 1)
	w.reports[p.ID] = store.ShadowReport{Model: "yard", Version: 2, Looked: 7}
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { require.NoError(t, w.Run(ctx)) })
	<-w.Ready()
	cancel()
	wg.Wait()
	p, err = w.records.Promotion(t.Context(), p.ID)
	require.NoError(t, err)
	require.Equal(t, int64(7), p.Shadow.Looked)
	w.restart()
	require.Equal(t, int64(7), w.tasks[0].Before.Looked, "the shadow goes on where it was")
}
