package annotate

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"detectd/detect"
	"detectd/pipeline/frame"
	"detectd/pipeline/stage/track"
	"detectd/store"
)

// collector keeps everything an annotator says.
type collector struct {
	frames []store.Annotation
	said   []store.Track
}

func (c *collector) Annotations(as []store.Annotation) { c.frames = append(c.frames, as...) }
func (c *collector) Track(t store.Track)               { c.said = append(c.said, t) }

var _ tracker = (*track.Tracker)(nil)

var epoch = time.Date(2026, 11, 25, 9, 0, 0, 0, time.UTC)

// camera drives an annotator with frames of 640x480 at a fixed rate.
type camera struct {
	*Annotator
	*collector
	fps int
	seq uint64
}

// Unless cfg says otherwise, nothing is guessed beyond two neighbouring detections.
func newCamera(fps int, cfg Config) *camera {
	if cfg.Bridge == 0 {
		cfg.Bridge = -1
	}
	n, c := 0, &collector{}
	tr := track.New(track.Config{}, func() string { n++; return fmt.Sprintf("door-%d", n) })
	return &camera{Annotator: New(cfg, tr, c), collector: c, fps: fps}
}

func (c *camera) meta(seq uint64) frame.Meta {
	pts := time.Duration(seq-1) * time.Second / time.Duration(c.fps)
	return frame.Meta{CameraID: "door", Seq: seq, PTS: pts, Time: epoch.Add(pts), Clock: frame.ClockRTCP, TimeError: 2500 * time.Microsecond}
}

func (c *camera) next() uint64 {
	c.seq++
	c.Frame(c.meta(c.seq), 640, 480)
	return c.seq
}

func (c *camera) found(seq uint64, dets ...detect.Detection) {
	c.Detected(c.meta(seq), dets, "default", 3)
}

// open are the tracks that have not ended.
func (c *camera) open() map[string]*live { return c.Annotator.tracks }

// walker moves 4 pixels a frame.
func walker(seq uint64) detect.Detection {
	return detect.Detection{Label: "person", Score: 0.9, Box: detect.Box{X: 4 * float32(seq), Y: 100, W: 40, H: 100}}
}

func (c *camera) requireExactlyOnce(t *testing.T) {
	t.Helper()
	require.Len(t, c.frames, int(c.seq))
	for i, a := range c.frames {
		m := c.meta(uint64(i + 1))
		require.Equal(t, m.Seq, a.Frame)
		require.Equal(t, m.PTS, a.PTS)
		require.Equal(t, m.Time, a.Time)
		require.Equal(t, "door", a.CameraID)
		require.Equal(t, "rtcp", a.Clock)
		require.Equal(t, 3*time.Millisecond, a.TimeError)
		require.Equal(t, [2]int{640, 480}, [2]int{a.Width, a.Height})
	}
}

func TestEveryFrameBetweenDetectionsIsInterpolated(t *testing.T) {
	c := newCamera(25, Config{})
	for range 101 {
		if seq := c.next(); seq%5 == 1 {
			c.Selected(seq)
			c.found(seq, walker(seq))
		}
	}
	c.requireExactlyOnce(t)
	for i, a := range c.frames {
		want := Interpolated
		if i%5 == 0 {
			want = Detected
		}
		require.Equal(t, want, a.Kind, "frame %d", a.Frame)
		require.Equal(t, "default", a.Model)
		require.Equal(t, 3, a.Version)
		require.Len(t, a.Objects, 1)
		o := a.Objects[0]
		require.Equal(t, "door-1", o.TrackID)
		require.Equal(t, "person", o.Label)
		require.InDelta(t, 4*float64(a.Frame), o.Box[0], 0.01)
		require.InDelta(t, 100, o.Box[3], 0.01)
	}
}

func TestResultsOutOfOrder(t *testing.T) {
	c := newCamera(25, Config{})
	for range 15 {
		if seq := c.next(); seq%5 == 1 {
			c.Selected(seq)
		}
	}
	c.found(11, walker(11))
	c.found(6, walker(6))
	require.Empty(t, c.frames, "nothing goes out before its turn")
	c.found(1, walker(1))
	require.Len(t, c.frames, 11)
	for _, a := range c.frames {
		require.InDelta(t, 4*float64(a.Frame), a.Objects[0].Box[0], 0.01)
	}
	c.Flush()
	c.requireExactlyOnce(t)
	require.Zero(t, c.Late())
}

func TestFailedDetectionLeavesAPlainFrame(t *testing.T) {
	c := newCamera(25, Config{})
	for range 11 {
		if seq := c.next(); seq%5 == 1 {
			c.Selected(seq)
		}
	}
	c.found(1, walker(1))
	c.found(11, walker(11))
	require.Len(t, c.frames, 1)
	c.Failed(6)
	c.requireExactlyOnce(t)
	require.Equal(t, Interpolated, c.frames[5].Kind)
	require.InDelta(t, 24, c.frames[5].Objects[0].Box[0], 0.01)
}

func TestObjectsAtOneEndAreNotGuessed(t *testing.T) {
	c := newCamera(25, Config{})
	post := detect.Detection{Label: "bench", Score: 0.8, Box: detect.Box{X: 500, Y: 300, W: 80, H: 40}}
	weak := detect.Detection{Label: "dog", Score: 0.3, Box: detect.Box{X: 300, Y: 300, W: 80, H: 40}}
	for range 11 {
		c.next()
	}
	c.found(1, walker(1))
	c.found(6, walker(6), post, weak)
	c.found(11, post)
	c.requireExactlyOnce(t)
	for i, want := range []int{1, 1, 1, 1, 1, 3, 1, 1, 1, 1, 1} {
		require.Len(t, c.frames[i].Objects, want, "frame %d", i+1)
	}
	require.Equal(t, "bench", c.frames[7].Objects[0].Label)
	require.Empty(t, c.frames[5].Objects[2].TrackID, "a weak detection is kept, without an id")
}

func TestWithoutResultsFramesGoOutExtrapolated(t *testing.T) {
	c := newCamera(10, Config{})
	for range 21 {
		if seq := c.next(); seq%2 == 1 {
			c.Selected(seq)
			c.found(seq, walker(seq))
		}
	}
	require.Len(t, c.frames, 21)
	for range 10 {
		c.Selected(c.next())
	}
	require.Len(t, c.frames, 21, "frames wait for a second")
	for range 15 {
		c.Selected(c.next())
	}
	require.Len(t, c.frames, 35)
	for _, a := range c.frames[21:] {
		require.Equal(t, Extrapolated, a.Kind)
		if a.Frame <= 26 { // half a second
			require.Len(t, a.Objects, 1)
			require.InDelta(t, 4*float64(a.Frame), a.Objects[0].Box[0], 3)
			require.Equal(t, "default", a.Model)
		} else {
			require.Empty(t, a.Objects)
		}
	}
	// A late result cannot change frame 30, but the frames after it use it.
	c.found(30, walker(30))
	require.EqualValues(t, 1, c.Late())
	require.Len(t, c.frames, 35)
	c.found(36, walker(36))
	require.Len(t, c.frames, 36)
	c.Failed(37)
	c.found(38, walker(38))
	require.Equal(t, Interpolated, c.frames[36].Kind)
	c.Flush()
	c.requireExactlyOnce(t)
}

func TestFramesBeforeTheFirstDetection(t *testing.T) {
	c := newCamera(10, Config{})
	for range 5 {
		c.next()
	}
	c.found(5, walker(5))
	c.requireExactlyOnce(t)
	require.Equal(t, Extrapolated, c.frames[3].Kind)
	require.Empty(t, c.frames[3].Objects)
	require.Len(t, c.frames[4].Objects, 1)
}

func TestChangeOfSizeIsNotInterpolated(t *testing.T) {
	c := newCamera(10, Config{})
	c.next()
	c.found(1, walker(1))
	for range 4 {
		c.seq++
		c.Frame(c.meta(c.seq), 1280, 960)
	}
	c.found(5, walker(5))
	require.Len(t, c.frames, 5)
	for _, a := range c.frames[1:4] {
		require.Empty(t, a.Objects)
		require.Equal(t, 1280, a.Width)
	}
	require.Len(t, c.frames[4].Objects, 1)
}

func TestPredictedBoxesStayInThePicture(t *testing.T) {
	c := newCamera(10, Config{})
	for range 10 {
		seq := c.next()
		d := walker(seq)
		d.Box.X = 500 + 10*float32(seq)
		c.found(seq, d)
	}
	for range 5 {
		c.next()
	}
	c.Flush()
	c.requireExactlyOnce(t)
	for _, a := range c.frames[10:13] {
		require.Len(t, a.Objects, 1)
		b := a.Objects[0].Box
		require.LessOrEqual(t, b[0]+b[2], float32(640))
	}
	require.Empty(t, c.frames[14].Objects, "it has left the picture")
}

func TestTracks(t *testing.T) {
	c := newCamera(25, Config{})
	for range 101 { // 4 s
		if seq := c.next(); seq%5 == 1 {
			d := walker(seq)
			if seq == 51 {
				d.Score = 0.97
			}
			c.Selected(seq)
			c.found(seq, d)
		}
	}
	require.Len(t, c.said, 5, "begun, then once a second")
	first := c.said[0]
	require.Equal(t, store.Track{
		ID: "door-1", CameraID: "door", Label: "person", Start: epoch, End: epoch, Frames: 1,
		BestScore: 0.9, BestTime: epoch, BestBox: store.Box{4, 100, 40, 100}, Model: "default", Version: 3,
		Clock: "rtcp", TimeError: 2500 * time.Microsecond,
	}, first)
	for range 6 * 25 { // the rest of the scene is empty
		if seq := c.next(); seq%5 == 1 {
			c.Selected(seq)
			c.found(seq)
		}
	}
	last := c.said[len(c.said)-1]
	require.True(t, last.Ended)
	require.Equal(t, 21, last.Frames)
	require.Equal(t, epoch.Add(4*time.Second), last.End, "the time it was last seen")
	require.Equal(t, float32(0.97), last.BestScore)
	require.Equal(t, epoch.Add(2*time.Second), last.BestTime)
	require.Equal(t, store.Box{204, 100, 40, 100}, last.BestBox)
	require.Empty(t, c.open())
	c.Flush()
	require.Len(t, c.said, 6, "ended once")
}

func TestTracksEndWithoutFurtherDetections(t *testing.T) {
	c := newCamera(25, Config{})
	c.next()
	c.found(1, walker(1))
	for range 10 * 25 {
		c.next()
	}
	require.Len(t, c.said, 2)
	require.True(t, c.said[1].Ended)
}

func TestFlushAndReconnect(t *testing.T) {
	c := newCamera(25, Config{})
	for range 20 {
		c.Selected(c.next())
	}
	c.found(3, walker(3))
	c.Flush()
	c.requireExactlyOnce(t)
	require.Equal(t, Detected, c.frames[2].Kind)
	c.Flush()
	c.found(4, walker(4)) // comes after the end
	require.Len(t, c.frames, 20)
	require.Empty(t, c.said[2:], "and starts nothing that would never end")

	c.next()
	c.found(21, walker(21))
	c.requireExactlyOnce(t)
	require.Equal(t, "door-2", c.frames[20].Objects[0].TrackID)
}

func TestUnexpectedCallsChangeNothing(t *testing.T) {
	c := newCamera(25, Config{})
	c.Selected(7)
	c.Failed(7)
	c.found(7, walker(7))
	c.SetHold(0)
	c.Flush()
	require.Empty(t, c.frames)
	require.Empty(t, c.said)
	c.next()
	c.Frame(c.meta(1), 640, 480)
	c.found(1, walker(1))
	c.found(1, walker(1))
	c.requireExactlyOnce(t)
}

// Whatever happens to the detections, every frame goes out once and in order,
// little is held, and a result that is in time marks its frame as detected.
func TestAnyOrderOfEvents(t *testing.T) {
	for seed := range uint64(60) {
		r := rand.New(rand.NewPCG(seed, 1))
		c := newCamera(30, Config{MaxFrames: 45, Bridge: []time.Duration{-1, 600 * time.Millisecond}[seed%2]})
		var open []uint64
		inTime := map[uint64]bool{}
		for range 600 {
			seq := c.next()
			if r.IntN(4) == 0 {
				c.Selected(seq)
				open = append(open, seq)
			}
			for len(open) > 0 && r.IntN(3) == 0 {
				i := r.IntN(len(open))
				s := open[i]
				open = append(open[:i], open[i+1:]...)
				switch r.IntN(6) {
				case 0: // never answered
				case 1:
					c.Failed(s)
				default:
					_, held := c.find(s)
					inTime[s] = held
					c.found(s, walker(s))
				}
			}
			require.LessOrEqual(t, len(c.held)+len(c.tail), 46)
			if r.IntN(200) == 0 {
				c.Flush()
				require.Empty(t, c.held)
				require.Empty(t, c.tail)
				require.Empty(t, c.Annotator.seen)
			}
		}
		c.Flush()
		c.requireExactlyOnce(t)
		for _, a := range c.frames {
			require.Equal(t, inTime[a.Frame], a.Kind == Detected, "seed %d frame %d", seed, a.Frame)
		}
		ended := map[string]int{}
		for _, tr := range c.said {
			require.Zero(t, ended[tr.ID], "nothing comes after the end of a track")
			if tr.Ended {
				ended[tr.ID]++
			}
		}
		require.Empty(t, c.open())
	}
}

type discard struct{}

func (discard) Annotations([]store.Annotation) {}
func (discard) Track(store.Track)              {}

// A camera of 60 frames and 10 detections a second, 10 objects.
func BenchmarkFrames(b *testing.B) {
	c := newCamera(60, Config{})
	c.out = discard{}
	b.ReportAllocs()
	for b.Loop() {
		if seq := c.next(); seq%6 == 1 {
			c.Selected(seq)
			dets := make([]detect.Detection, 10)
			for i := range dets {
				dets[i] = walker(seq % 100)
				dets[i].Box.Y = 120 * float32(i)
			}
			c.found(seq, dets...)
		}
	}
}
