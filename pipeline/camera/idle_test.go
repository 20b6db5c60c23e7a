package camera

import (
	"cmp"
	"context"
	"log/slog"
	"math/rand/v2"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"detectd/detect"
	"detectd/pipeline"
	"detectd/pipeline/activity"
	"detectd/pipeline/decode"
	"detectd/pipeline/frame"
	"detectd/pipeline/simulate"
	"detectd/pipeline/source/file"
	"detectd/pipeline/stage/annotate"
	"detectd/pipeline/stage/track"
	"detectd/pipeline/stage/zone"
	"detectd/store"
)

// theatre runs one camera in front of a scene with known truth.
type theatre struct {
	t      *testing.T
	spec   simulate.Spec
	format pipeline.Format
	units  []pipeline.Unit

	mu      sync.Mutex
	decoded map[time.Duration]int // by PTS: how often
	as      []store.Annotation
	status  pipeline.Status
	stop    time.Duration // 0: after the end of the scene
	watch   bool          // somebody asks for the newest picture all the time

	gate   func() *activity.Gate  // nil: one that may leave the camera undecoded
	half   func(w *Worker)        // called in the middle of the scene; may be nil
	seen   func(pipeline.Status)  // called after each unit was sent; may be nil
	idle   string                 // of the camera's record
	aged   func(u *pipeline.Unit) // called before each unit is sent; may be nil
	sent   func(i int, w *Worker) // called after each; may be nil
	zones  *zone.Camera           // watches what is found; may be nil
	misses int                    // every so many answers lack what there is; 0: none
	model  string
	asked  []time.Duration // PTS of the pictures that the model saw
	middle time.Duration   // of the stream when half was called
}

func newTheatre(t *testing.T, spec simulate.Spec) *theatre {
	t.Helper()
	decode.Quiet()
	path := filepath.Join(t.TempDir(), "scene.mkv")
	require.NoError(t, simulate.Generate(path, spec))
	s, err := file.New(file.Config{Path: path, StartTime: time.Unix(1000, 0)})
	require.NoError(t, err)
	var c collector
	state, _ := pipeline.StateOf(s.Run(t.Context(), &c))
	require.Equal(t, pipeline.StateEnded, state)
	return &theatre{t: t, spec: spec, format: c.format, units: c.units, decoded: map[time.Duration]int{}}
}

type collector struct {
	format pipeline.Format
	units  []pipeline.Unit
}

func (c *collector) Format(f pipeline.Format) { c.format = f }
func (c *collector) Unit(u pipeline.Unit)     { c.units = append(c.units, u) }

// counted counts what is decoded.
type counted struct {
	Decoder
	th *theatre
}

func (c counted) Decode(u pipeline.Unit, emit func(*frame.Frame)) error {
	c.th.mu.Lock()
	c.th.decoded[u.PTS]++
	c.th.mu.Unlock()
	return c.Decoder.Decode(u, emit)
}

// Submit implements Detector: it finds the bright figures of the scene.
func (th *theatre) Submit(_ string, f *frame.Frame, done func(Result)) {
	th.mu.Lock()
	th.asked = append(th.asked, f.PTS)
	n := len(th.asked)
	th.mu.Unlock()
	luma, stride := f.Luma()
	var p activity.Picture
	p.Reduce(luma, stride, f.Width(), f.Height())
	x0, y0, x1, y1 := p.Width, p.Height, -1, -1
	for i, sum := range p.Sums {
		if x, y := i%p.Width, i/p.Width; sum > 185*32 {
			x0, y0, x1, y1 = min(x0, x), min(y0, y), max(x1, x), max(y1, y)
		}
	}
	var dets []detect.Detection
	if x1 >= 0 && (th.misses == 0 || n%th.misses > 0) {
		dets = append(dets, detect.Detection{Label: "person", Score: 0.9, Box: detect.Box{
			X: float32(p.Side * x0), Y: float32(p.Side * y0), W: float32(p.Side * (x1 - x0 + 1)), H: float32(p.Side * (y1 - y0 + 1)),
		}})
	}
	done(Result{Detections: dets, Ref: detect.Ref{Model: "m", Version: 1}})
}

func (th *theatre) Assignment(string) Assignment {
	th.mu.Lock()
	defer th.mu.Unlock()
	return Assignment{Ref: detect.Ref{Model: cmp.Or(th.model, "m")}, FPS: 5}
}

func (th *theatre) Annotations(as []store.Annotation) {
	th.as = append(th.as, as...)
	if th.zones != nil {
		th.zones.Annotations(as)
	}
}

func (th *theatre) Track(t store.Track) {
	if th.zones != nil {
		th.zones.Track(t)
	}
}

// play shows the whole scene to a worker with or without a gate.
func (th *theatre) play(rng *rand.Rand) {
	th.t.Helper()
	synctest.Test(th.t, func(t *testing.T) {
		var n int
		var w *Worker
		var err error
		w, err = NewWorker(store.Camera{ID: "door", Idle: th.idle}, Deps{
			Open: func(store.Camera) (pipeline.Source, error) {
				return source{func(ctx context.Context, s pipeline.Sink) error { return th.run(ctx, s, w) }}, nil
			},
			Taps: func(store.Camera, Hooks) ([]Tap, error) { return nil, nil },
			Decoder: func(f pipeline.Format, pool *frame.Pool) (Decoder, error) {
				d, err := decode.New(f, pool, decode.Options{})
				return counted{d, th}, err
			},
			Annotator: func(store.Camera) Annotator {
				return annotate.New(annotate.Config{}, track.New(track.Config{}, func() string { n++; return strconv.Itoa(n) }), th)
			},
			Gate: func(c store.Camera) *activity.Gate {
				switch {
				case c.Idle == store.IdleOff:
					return nil
				case c.Idle == store.IdleDecode:
					return activity.NewDecoding()
				case th.gate != nil:
					return th.gate()
				}
				return activity.New(rng)
			},
			Detector: th, FastFPS: 10, Retry: DefaultRetry(), Log: slog.New(slog.DiscardHandler),
			State: func(pipeline.Status) {},
		})
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- w.Run(ctx) }()
		if th.half != nil {
			th.middle = th.units[len(th.units)/2].PTS
			time.Sleep(th.middle)
			th.half(w)
		}
		th.wait(w)
		activity := w.Status().Activity
		cancel()
		require.NoError(t, <-done)
		th.status = w.Status()
		th.status.Activity = activity // before the end
		require.Zero(t, w.pool.Live(), "every frame was released")
		w.pool.Close()
	})
}

func (th *theatre) wait(w *Worker) {
	until := time.Now().Add(th.units[len(th.units)-1].PTS + 5*time.Second - th.middle)
	if th.stop > 0 {
		until = time.Now().Add(th.stop)
	}
	for th.watch && time.Now().Before(until) {
		time.Sleep(200 * time.Millisecond)
		if f := w.Latest(); f != nil {
			f.Release()
		}
	}
	time.Sleep(time.Until(until))
	synctest.Wait()
}

func (th *theatre) run(ctx context.Context, sink pipeline.Sink, w *Worker) error {
	sink.Format(th.format)
	for i, u := range th.units {
		if th.aged != nil {
			th.aged(&u)
		}
		sink.Unit(u)
		if th.seen != nil {
			th.seen(w.Status())
		}
		if th.sent != nil {
			th.sent(i, w)
		}
		select {
		case <-time.After(time.Second / time.Duration(th.spec.FPS)):
		case <-ctx.Done():
			return nil
		}
	}
	return &pipeline.SourceError{State: pipeline.StateEnded}
}

// share is the part of all units that was decoded, counting every time.
func (th *theatre) share() float64 {
	n := 0
	for _, times := range th.decoded {
		n += times
	}
	return float64(n) / float64(len(th.units))
}

// check tells how long after its first picture every visitor was found.
func (th *theatre) check() (delays []int) {
	t := th.t
	require.Len(t, th.as, len(th.units), "one annotation for every picture")
	require.Equal(t, uint64(len(th.units)), th.status.Frames+th.status.IdleFrames, "nothing is missing: %+v", th.status)
	require.Zero(t, th.status.Drops)
	for i, a := range th.as {
		require.Equal(t, uint64(i+1), a.Frame)
		if i > 0 {
			require.Greater(t, a.PTS, th.as[i-1].PTS)
		}
	}
	for _, v := range th.spec.Scene.Visits {
		require.NotZero(t, th.decoded[th.as[v.From].PTS], "picture %d, the first of a visit, was not decoded: %s", v.From, th.status.ActivityReason)
		delay := -1
		for i := v.From; i < v.To; i++ {
			if len(th.as[i].Objects) > 0 {
				delay = i - v.From
				break
			}
		}
		require.GreaterOrEqual(t, delay, 0, "visit at picture %d was not found", v.From)
		require.LessOrEqual(t, delay, th.spec.FPS/5+1, "visit at picture %d was found late", v.From)
		delays = append(delays, delay)
	}
	return delays
}

// TestIdleScenes: whatever the camera and its coding are like, every visitor is
// found, and so is the first picture of the visit, although little is decoded in
// between. Where the stream tells nothing, all of it is decoded.
func TestIdleScenes(t *testing.T) {
	visits := []simulate.Visit{{From: 400, To: 470, Speed: 2}, {From: 620, To: 640, Speed: 6}, {From: 777, To: 830}}
	const all = 1.1 // what is decoded again while the camera wakes up counts twice
	for name, tc := range map[string]struct {
		spec  simulate.Spec
		scene simulate.Scene
		share float64 // of the units that is decoded at most
	}{
		"clean":           {share: 0.85},
		"noise":           {scene: simulate.Scene{Noise: 4}, share: all},
		"much noise":      {scene: simulate.Scene{Noise: 10}, share: all},
		"flicker":         {scene: simulate.Scene{Noise: 3, Flicker: 6}, share: all},
		"leaves":          {scene: simulate.Scene{Noise: 3, Leaves: 12}, share: all},
		"light switched":  {scene: simulate.Scene{Noise: 3, Step: 300}, share: all},
		"short groups":    {spec: simulate.Spec{GOP: 13}, scene: simulate.Scene{Noise: 3}, share: all},
		"long groups":     {spec: simulate.Spec{GOP: 100}, share: all},
		"groups too long": {spec: simulate.Spec{GOP: 150}, share: all},
		"b frames":        {spec: simulate.Spec{BFrames: 3}, share: 0.85},
		"constant rate":   {spec: simulate.Spec{Bitrate: 600_000}, scene: simulate.Scene{Noise: 4}, share: all},
		"padded":          {spec: simulate.Spec{Bitrate: 600_000, Padded: true}, scene: simulate.Scene{Noise: 4}, share: all},
		"h265":            {spec: simulate.Spec{Codec: pipeline.H265}, scene: simulate.Scene{Noise: 4}, share: 0.85},
		"mjpeg":           {spec: simulate.Spec{Codec: pipeline.MJPEG}, share: all},
	} {
		t.Run(name, func(t *testing.T) {
			spec, scene := tc.spec, tc.scene
			spec.FPS, spec.Frames = 25, 900
			if spec.GOP == 0 {
				spec.GOP = 50
			}
			scene.Visits = visits
			spec.Scene = &scene
			th := newTheatre(t, spec)
			th.play(nil)
			th.check()
			require.LessOrEqual(t, th.share(), tc.share)
		})
	}
}

// TestStaticScene: a camera in front of which nothing happens is hardly decoded.
func TestStaticScene(t *testing.T) {
	for name, scene := range map[string]simulate.Scene{"clean": {}, "noise": {Noise: 3}} {
		t.Run(name, func(t *testing.T) {
			th := newTheatre(t, simulate.Spec{FPS: 25, Frames: 2500, GOP: 50, Scene: &scene})
			th.play(rand.New(rand.NewPCG(1, 2)))
			th.check()
			require.LessOrEqual(t, th.share(), 0.3, "of the pictures")
			require.Less(t, th.status.Inferences, uint64(200), "detections in 100 s")
		})
	}
}

// TestStandingObjectKeepsItsBoxWhileIdle: pictures that were not decoded are
// annotated between two that were detected.
func TestStandingObjectKeepsItsBoxWhileIdle(t *testing.T) {
	th := newTheatre(t, simulate.Spec{
		FPS: 25, Frames: 800, GOP: 50, Scene: &simulate.Scene{Visits: []simulate.Visit{{From: 0, To: 800}}},
	})
	th.play(nil)
	th.check()
	require.Greater(t, th.status.IdleFrames, uint64(400))
	for _, a := range th.as[:750] {
		require.Len(t, a.Objects, 1, "picture %d", a.Frame)
		require.Equal(t, "1", a.Objects[0].TrackID, "one id for ever")
		require.Contains(t, []string{annotate.Detected, annotate.Interpolated}, a.Kind)
	}
}

// TestEndWhileIdle: what is held at the end of all work is counted and annotated.
func TestEndWhileIdle(t *testing.T) {
	th := newTheatre(t, simulate.Spec{FPS: 25, Frames: 600, GOP: 50, Scene: &simulate.Scene{}})
	th.stop = time.Second * 585 / 25
	th.play(nil)
	require.Equal(t, string(activity.Idle), th.status.Activity)
	require.Equal(t, th.status.Units, th.status.Frames+th.status.IdleFrames)
	require.Len(t, th.as, int(th.status.Units)) //nolint:gosec // hundreds
}

// TestLateUnitsAreKeptWhileIdle: what waited too long for its turn costs nothing while
// it need not be decoded, and belongs to what may begin.
func TestLateUnitsAreKeptWhileIdle(t *testing.T) {
	th := newTheatre(t, simulate.Spec{FPS: 25, Frames: 800, GOP: 50, Scene: &simulate.Scene{
		Visits: []simulate.Visit{{From: 535, To: 600}},
	}})
	th.aged = func(u *pipeline.Unit) {
		if u.PTS > 20400*time.Millisecond && u.PTS < 21300*time.Millisecond {
			u.Arrived = time.Now().Add(-10 * lateAge)
		}
	}
	then := ""
	th.seen = func(s pipeline.Status) {
		if s.Units == 530 {
			then = s.Activity
		}
	}
	th.play(nil)
	require.Equal(t, string(activity.Idle), then)
	th.check()
}

// TestSomebodyWatches: pictures are decoded for whoever asks for one after the other.
func TestSomebodyWatches(t *testing.T) {
	th := newTheatre(t, simulate.Spec{FPS: 25, Frames: 500, GOP: 50, Scene: &simulate.Scene{}})
	th.watch = true
	th.play(nil)
	th.check()
	require.Zero(t, th.status.IdleFrames)
}
