// Package apitest has stand-ins for the moving parts behind the API, for tests
// of web and web/api. Records are the caller's, best those of the real store.
package apitest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"detectd/detect"
	"detectd/pipeline"
	"detectd/store"
	"detectd/web/api"
)

// Time is a fixed instant that test data is placed at.
var Time = time.Date(2026, 11, 25, 9, 30, 18, 123_000_000, time.UTC)

// World is everything behind the API.
type World struct {
	Records store.Records
	Series  *Series
	Blobs   *Blobs
	Log     *Log
	Feed    *Feed

	mu        sync.Mutex
	announced []string
	requested []store.Result
	statuses  []pipeline.Status
	pullable  string // SHA-256 of the model in the catalogue
	pulling   bool
	running   []pipeline.RunningState
}

// New returns a world around the records.
func New(t testing.TB, records store.Records) *World {
	t.Helper()
	return &World{
		Records: records, Series: &Series{}, Blobs: &Blobs{m: map[string][]byte{}}, Log: &Log{},
		Feed: &Feed{Subscribed: make(chan []string, 16), Items: make(chan api.FeedItem)},
	}
}

// Deps are the API's dependencies in this world.
func (w *World) Deps() api.Deps {
	return api.Deps{
		Log:     slog.New(slog.NewTextHandler(w.Log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Records: w.Records, Series: w.Series, Blobs: w.Blobs, Cameras: w, Detector: w, Models: w, Aliases: aliases{w.Records}, Promotions: promotions{w.Records}, Catalogue: w, Renders: renders{w},
		Frames: w, Live: w, Media: w, Announcer: w, Feed: w.Feed, System: w,
	}
}

// SetStatuses sets the conditions of all cameras.
func (w *World) SetStatuses(s ...pipeline.Status) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.statuses = s
}

// SetRunning sets what cameras run.
func (w *World) SetRunning(s ...pipeline.RunningState) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.running = s
}

// RunningState implements api.Cameras.
func (w *World) RunningState(id string) (pipeline.RunningState, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, s := range w.running {
		if s.CameraID == id {
			return s, true
		}
	}
	return pipeline.RunningState{}, false
}

// Announced returns what was announced so far, one line each, and forgets it.
func (w *World) Announced() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := w.announced
	w.announced = nil
	return out
}

// Requested returns the results asked for.
func (w *World) Requested() []store.Result {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.requested
}

func (w *World) announce(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.announced = append(w.announced, fmt.Sprintf(format, args...))
}

// Status implements api.Cameras.
func (w *World) Status(id string) (pipeline.Status, bool) {
	for _, s := range w.Statuses() {
		if s.CameraID == id {
			return s, true
		}
	}
	return pipeline.Status{}, false
}

// Statuses implements api.Cameras.
func (w *World) Statuses() []pipeline.Status {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.statuses
}

// ValidateURL implements api.Cameras. The host "careless" is refused with an
// error that repeats the whole URL.
func (w *World) ValidateURL(raw string) (api.CameraURL, error) {
	u, err := url.Parse(raw)
	if err != nil {
		return api.CameraURL{}, fmt.Errorf("%w: %w", api.ErrInvalid, err)
	}
	if u.Host == "careless" {
		return api.CameraURL{}, fmt.Errorf("%s: %w", raw, api.ErrInvalid)
	}
	if u.Scheme != "rtsp" {
		return api.CameraURL{}, fmt.Errorf("the scheme %q is not taken: %w", u.Scheme, api.ErrInvalid)
	}
	out := api.CameraURL{}
	if u.User != nil {
		password, _ := u.User.Password()
		out.Username, out.Password = u.User.Username(), store.Secret(password)
	}
	u.User = nil
	out.URL = u.String()
	return out, nil
}

// DetectImage implements api.Detector: a picture is anything that begins with PICTURE.
func (w *World) DetectImage(_ context.Context, up api.Upload) (api.ImageResult, error) {
	data, err := readUpload(up, "PICTURE")
	if err != nil {
		return api.ImageResult{}, err
	}
	r := store.Result{
		ID: "image1", Kind: "image", Name: up.Name, State: store.ResultDone, Model: "default", Version: 1,
		MIME: "image/jpeg", SHA256: w.Blobs.Add(data), CreatedAt: Time,
	}
	return api.ImageResult{
		Result: r, Width: 640, Height: 480, Took: 61500 * time.Microsecond,
		Detections: []detect.Detection{{ClassID: 0, Label: "person", Score: 0.9, Box: detect.Box{X: 1, Y: 2, W: 3, H: 4}}},
	}, nil
}

// SubmitVideo implements api.Detector: a video is anything that begins with VIDEO.
func (w *World) SubmitVideo(ctx context.Context, up api.Upload) (store.Result, error) {
	if _, err := readUpload(up, "VIDEO"); err != nil {
		return store.Result{}, err
	}
	r := store.Result{ID: "video1", Kind: "video", Name: up.Name, State: store.ResultQueued, CreatedAt: Time}
	return r, w.Records.PutResult(ctx, r)
}

func readUpload(up api.Upload, magic string) ([]byte, error) {
	if up.Model == "missing" {
		return nil, fmt.Errorf("model missing: %w", store.ErrNotFound)
	}
	data, err := io.ReadAll(up.Body)
	if err != nil {
		return nil, fmt.Errorf("read upload: %w", err)
	}
	if !bytes.HasPrefix(data, []byte(magic)) {
		return nil, fmt.Errorf("this is no %s: %w", strings.ToLower(magic), api.ErrUnprocessable)
	}
	return data, nil
}

// Add implements api.Models: a model is anything that begins with ONNX.
func (w *World) Add(ctx context.Context, m api.NewModel, r io.Reader) (store.ModelVersion, error) {
	data, err := io.ReadAll(r)
	if err != nil {
		return store.ModelVersion{}, fmt.Errorf("read model: %w", err)
	}
	switch {
	case bytes.Equal(data, []byte("ONNX external")):
		return store.ModelVersion{}, fmt.Errorf("weights.bin: %w", detect.ErrExternalData)
	case bytes.Equal(data, []byte("ONNX other")):
		return store.ModelVersion{}, fmt.Errorf("one output of rank 2: %w", detect.ErrNotDetector)
	case !bytes.HasPrefix(data, []byte("ONNX")):
		return store.ModelVersion{}, fmt.Errorf("%s: %w", m.Name, detect.ErrNotONNX)
	}
	if sum := fmt.Sprintf("%x", sha256.Sum256(data)); m.SHA256 != "" && !strings.EqualFold(m.SHA256, sum) {
		return store.ModelVersion{}, fmt.Errorf("its SHA-256 is %s: %w", sum, api.ErrUnprocessable)
	}
	v := store.ModelVersion{
		Model: m.Name, SHA256: w.Blobs.Add(data), Size: int64(len(data)), Family: "ssd", Licence: m.Licence, Source: m.Source,
		Contract: []byte(`{"family":"ssd","labels":["person","car"],"input":{"name":"x","width":300,"height":300,"layout":"nhwc","colour":"rgb","resize":"stretch"}}`),
	}
	if bytes.HasPrefix(data, []byte("ONNX checked")) {
		v.Overlay = w.Blobs.Add([]byte("JPEG"))
		v.Check = []byte(`{"verdict":"fail","found":2,"labels":{"person":2},"best":0.5,"followed":-1,"faults":["red is blue"],"doubts":[],"notes":[]}`)
		v.Lineage = []byte(`{"parent":"default@1","parent_sha256":"aa","method":"fp16"}`)
	}
	return w.Records.AddModelVersion(ctx, store.Model{Name: m.Name, Description: m.Description}, v)
}

// Remove implements api.Models.
func (w *World) Remove(ctx context.Context, name string, version int) error {
	return w.Records.DeleteModelVersion(ctx, name, version)
}

// Models implements api.Catalogue: "free" is there; whoever pulls it has it pulled
// half.
func (w *World) Models() []api.CatalogueModel {
	w.mu.Lock()
	defer w.mu.Unlock()
	m := api.CatalogueModel{Name: "free", Title: "Free", Licence: "MIT", SHA256: w.pullable, Bytes: 10}
	if w.pulling {
		m.Pull = &api.Pull{State: "fetching", Done: 5, Total: 10}
	}
	return []api.CatalogueModel{m}
}

// Pull implements api.Catalogue.
func (w *World) Pull(_ context.Context, name string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case name != "free":
		return fmt.Errorf("model %q: %w", name, store.ErrNotFound)
	case w.pulling:
		return fmt.Errorf("model %q: %w", name, store.ErrInUse)
	}
	w.pulling = true
	return nil
}

// StopPull implements api.Catalogue.
func (w *World) StopPull(name string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.pulling || name != "free" {
		return fmt.Errorf("pull of %q: %w", name, store.ErrNotFound)
	}
	w.pulling = false
	return nil
}

// SetPullable sets the SHA-256 of the model in the catalogue.
func (w *World) SetPullable(sha string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.pullable = sha
}

// CheckProvider implements api.Models: there is only cpu.
func (w *World) CheckProvider(list string) error {
	if list != "cpu" {
		return fmt.Errorf("provider %q is not cpu", list)
	}
	return nil
}

// MeasureSpeed implements api.Models: 10 ms, on the machine "here".
func (w *World) MeasureSpeed(ctx context.Context, name string, version int) (store.Measurement, error) {
	return w.Records.AddMeasurement(ctx, store.Measurement{
		Model: name, Version: version, Kind: store.Speed, Time: Time, Machine: "here", Provider: "cpu", By: "api",
		Samples: 60, P50: 10 * time.Millisecond, P95: 12 * time.Millisecond, P99: 15 * time.Millisecond,
	})
}

// RemoveModel implements api.Models.
func (w *World) RemoveModel(ctx context.Context, name string) error {
	_, err := w.Records.DeleteModel(ctx, name)
	return err
}

// Recheck implements api.Models: the model passes now.
func (w *World) Recheck(ctx context.Context, name string, version int) (store.ModelVersion, error) {
	v, _, err := w.Records.SetModelCheck(ctx, name, version,
		[]byte(`{"verdict":"pass","found":3,"labels":{"person":3},"best":0.9,"followed":1,"faults":[],"doubts":[],"notes":[]}`), w.Blobs.Add([]byte("JPEG 2")))
	return v, err
}

// Default implements api.Models.
func (w *World) Default() (string, int) { return "default", 1 }

// aliases is api.Aliases without any rules.
type aliases struct{ store.Records }

// Check implements api.Aliases.
func (a aliases) Check(ctx context.Context, model, alias string, _ int) (store.Gates, []store.GateResult, error) {
	g, err := a.AliasGates(ctx, model, alias)
	return g, nil, err
}

// Move implements api.Aliases.
func (a aliases) Move(ctx context.Context, c store.AliasChange) error {
	return a.SetAlias(ctx, c.Model, c.Alias, c.Version, c.Expect, store.Author{By: c.By, Why: c.Reason})
}

// SetRules implements api.Aliases.
func (a aliases) SetRules(ctx context.Context, g store.Gates, expect int64) (store.Gates, error) {
	return a.PutGates(ctx, g, expect)
}

// promotions is api.Promotions of records, without anything behind.
type promotions struct{ store.Records }

// Start implements api.Promotions.
func (p promotions) Start(ctx context.Context, r api.PromotionRequest) (store.Promotion, error) {
	state := store.PromotionShadow
	if r.Canary {
		state = store.PromotionCanary
	}
	done, _, err := p.StepPromotion(ctx, store.PromotionStep{Promotion: store.Promotion{
		ID: "p" + r.ClientID, Model: r.Model, Version: r.Version, Alias: r.Alias, ClientID: r.ClientID, Cameras: r.Cameras, State: state,
		Share: r.Share, Bands: r.Bands, Period: r.Period, By: r.By, Reason: r.Reason, StageSince: Time,
	}})
	return done, err
}

// View implements api.Promotions.
func (p promotions) View(ctx context.Context, id string) (store.Promotion, error) {
	return p.Promotion(ctx, id)
}

// Step implements api.Promotions. What has ended cannot go on.
func (p promotions) Step(ctx context.Context, id string, s api.PromotionStep) (store.Promotion, error) {
	now, err := p.Promotion(ctx, id)
	if err != nil {
		return now, err
	}
	if !now.Active() {
		return now, fmt.Errorf("promotion %s has ended: %w", id, api.ErrConflict)
	}
	now.State, now.By, now.Reason = s.To, s.By, s.Reason
	done, _, err := p.StepPromotion(ctx, store.PromotionStep{Promotion: now})
	return done, err
}

// renders is api.Renders, whose Remove has other parameters than that of api.Models.
type renders struct{ w *World }

// Request implements api.Renders.
func (r renders) Request(ctx context.Context, res store.Result) error {
	r.w.mu.Lock()
	r.w.requested = append(r.w.requested, res)
	r.w.mu.Unlock()
	return r.w.Records.PutResult(ctx, res)
}

// Remove implements api.Renders.
func (r renders) Remove(ctx context.Context, id string) error {
	return r.w.Records.DeleteResult(ctx, id)
}

// JPEG implements api.Frames: there is one frame, at Time.
func (w *World) JPEG(_ context.Context, cameraID string, at time.Time, boxes bool) (api.Frame, error) {
	if !at.IsZero() && at.Sub(Time).Abs() > 2*time.Second {
		return api.Frame{}, fmt.Errorf("frame of camera %s at %s: %w", cameraID, at.Format(time.RFC3339), store.ErrNotFound)
	}
	return api.Frame{JPEG: fmt.Appendf(nil, "jpeg boxes=%v", boxes), Time: Time, Clock: "rtcp"}, nil
}

// Serve implements api.Live: camera "mjpeg" has no HLS.
func (w *World) Serve(rw http.ResponseWriter, _ *http.Request, cameraID, file string) error {
	switch {
	case cameraID == "mjpeg":
		return fmt.Errorf("its codec is mjpeg: %w", api.ErrNoHLS)
	case file == "broken.mp4":
		return errors.New("secret detail of the inside")
	}
	rw.Header().Set("Content-Type", "application/vnd.apple.mpegurl")
	_, err := rw.Write([]byte("#EXTM3U"))
	return err
}

// MJPEG implements api.Live.
func (w *World) MJPEG(rw http.ResponseWriter, r *http.Request, _ string) error {
	rw.Header().Set("Content-Type", "multipart/x-mixed-replace; boundary=x")
	_, _ = rw.Write([]byte("--x\r\n"))
	_ = http.NewResponseController(rw).Flush()
	<-r.Context().Done()
	return nil
}

// Open implements api.Media.
func (w *World) Open(s store.Segment) (io.ReadSeekCloser, error) {
	if s.Path == "gone.mp4" {
		return nil, fmt.Errorf("file of recording %d: %w", s.ID, store.ErrNotFound)
	}
	return nopCloser{bytes.NewReader([]byte("0123456789"))}, nil
}

// Part implements api.Media.
func (w *World) Part(s store.Segment, which api.Part) (io.ReadSeekCloser, error) {
	f, err := w.Open(s)
	if err != nil || which == api.PartMedia {
		return f, err
	}
	return nopCloser{strings.NewReader(map[api.Part]string{api.PartHead: "head", api.PartSilentHead: "silent head", api.PartFilled: "filled"}[which])}, nil
}

// movie is an api.Movie.
type movie struct {
	nopCloser
	start time.Time
}

// Start implements api.Movie.
func (m movie) Start() time.Time { return m.start }

// Movie implements api.Media: it tells in a few words what was asked for.
func (w *World) Movie(_ context.Context, cameraID string, r store.Range, exact bool) (api.Movie, error) {
	switch length := r.To.Sub(r.From); {
	case length > 6*time.Hour:
		return nil, fmt.Errorf("%v in one file: %w", length, api.ErrUnprocessable)
	case length < time.Second:
		return nil, fmt.Errorf("recording: %w", store.ErrNotFound)
	}
	return movie{nopCloser{strings.NewReader(fmt.Sprintf("%s exact=%t", cameraID, exact))}, r.From}, nil
}

// CameraChanged implements api.Announcer.
func (w *World) CameraChanged(id string, a api.Action) { w.announce("camera %s %s", id, a) }

// ClientChanged implements api.Announcer.
func (w *World) ClientChanged(id string, a api.Action) { w.announce("client %s %s", id, a) }

// RunningModelChanged implements api.Announcer.
func (w *World) RunningModelChanged(client, camera string, revision int64) {
	w.announce("running model %s/%s %d", client, camera, revision)
}

// ModelsChanged implements api.Announcer.
func (w *World) ModelsChanged() { w.announce("models") }

// ZonesChanged implements api.Announcer.
func (w *World) ZonesChanged(camera string, revision int64) {
	w.announce("zones %s %d", camera, revision)
}

// Check implements api.System.
func (w *World) Check(_ context.Context, level string) (api.CheckReport, error) {
	return api.CheckReport{Schema: 2, Rows: 3, Files: 4, Bytes: 5, Findings: []api.CheckFinding{
		{Kind: "missing", File: "media/door/x.mp4", Row: "segment 17", What: "its file is missing at level " + level},
	}}, nil
}

// Info implements api.System.
func (w *World) Info(context.Context) api.SystemInfo {
	return api.SystemInfo{
		Version: "test", StartedAt: Time, Listen: "127.0.0.1:0", DataPath: "data", FreeBytes: 1, TotalBytes: 2,
		ONNXRuntime: "1.30.0", Provider: "cpu", DefaultModel: "default@1", Space: api.SpaceInfo{Level: "normal"},
		Running: []pipeline.Running{{Model: "default", Version: 1, Provider: "cpu", Degraded: true, Reason: "cuda does not work here"}},
	}
}

// Feed is an api.Feed that sends what the test puts into Items to one subscriber.
type Feed struct {
	Subscribed chan []string // camera ids of each subscription
	Items      chan api.FeedItem
}

// Subscribe implements api.Feed.
func (f *Feed) Subscribe(ctx context.Context, cameraIDs []string) <-chan api.FeedItem {
	out := make(chan api.FeedItem)
	go func() {
		defer close(out)
		for {
			select {
			case <-ctx.Done():
				return
			case item := <-f.Items:
				select {
				case out <- item:
				case <-ctx.Done():
					return
				}
			}
		}
	}()
	f.Subscribed <- cameraIDs
	return out
}

// Log collects what is logged.
type Log struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

// Write implements io.Writer.
func (l *Log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

// String returns everything logged so far.
func (l *Log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

type nopCloser struct{ io.ReadSeeker }

func (nopCloser) Close() error { return nil }
