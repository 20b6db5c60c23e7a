package zone

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"detectd/pipeline/bus"
	"detectd/store"
)

var epoch = time.Date(2026, 11, 25, 9, 0, 30, 0, time.UTC)

// rig drives a camera of 1000x500 pixels and 50 frames a second.
type rig struct {
	*Camera
	t      *testing.T
	frames uint64
	events []bus.ZoneEvent
}

func newRig(t *testing.T, m store.ZoneMap) *rig {
	t.Helper()
	require.NoError(t, m.Validate())
	r := &rig{t: t}
	r.Camera = newCamera("door", &m, func(e bus.ZoneEvent) { r.events = append(r.events, e) })
	r.proven = 0
	return r
}

const frameTime = 20 * time.Millisecond

// step is the next frame with these objects in it.
func (r *rig) step(objects ...store.Object) {
	pts := time.Duration(r.frames) * frameTime
	r.frames++
	r.Annotations([]store.Annotation{{CameraID: "door", Time: epoch.Add(pts), PTS: pts, Frame: r.frames, Width: 1000, Height: 500, Objects: objects, Clock: "rtcp", TimeError: time.Millisecond}})
}

// stand is somebody of 40x100 pixels with the feet at x, y.
func stand(id string, x, y float64) store.Object {
	return store.Object{TrackID: id, Label: "person", Score: 0.8, Box: store.Box{float32(x - 20), float32(y - 100), 40, 100}}
}

// said is what was reported, in short: "zone.entered yard a@12", the frame counted
// from 1.
func (r *rig) said() (lines []string) {
	for _, e := range r.events {
		line := fmt.Sprintf("%s %s %s@%d", e.Kind, e.ZoneID, e.TrackID, 1+e.Time.Sub(epoch)/frameTime)
		if e.Direction != "" {
			line += " " + e.Direction
		}
		lines = append(lines, line)
	}
	r.events = nil
	return lines
}

// counts are the counts so far by "minute/zone/label", the minute counted from 9:00.
func (r *rig) counts() map[string]store.ZoneCount {
	all := map[string]store.ZoneCount{}
	for _, c := range r.tally.take() {
		require.Equal(r.t, "door", c.CameraID)
		all[fmt.Sprintf("%d/%s/%s", c.Start.Minute(), c.ZoneID, c.Label)] = c
	}
	return all
}

// yard is the middle of the picture: 400..600, 200..400.
func yard() store.Zone {
	return store.Zone{ID: "yard", Name: "The yard", Polygon: []store.Point{{0.4, 0.4}, {0.6, 0.4}, {0.6, 0.8}, {0.4, 0.8}}}
}

func zones(z ...store.Zone) store.ZoneMap { return store.ZoneMap{CameraID: "door", Zones: z} }

func TestEnterAndLeaveInTheVeryFrame(t *testing.T) {
	r := newRig(t, zones(yard()))
	for i := range 100 { // 302.5, 307.5 … over the border of 400 in frame 21 and that of 600 in frame 61
		r.step(stand("a", 302.5+5*float64(i), 300))
	}
	require.Equal(t, []string{"zone.entered yard a@21", "zone.left yard a@61"}, r.said())
	c := r.counts()
	in := c["0/yard/person"]
	require.EqualValues(t, 1, in.Entered)
	require.EqualValues(t, 1, in.Exited)
	require.Equal(t, 1, in.Most)
	require.Equal(t, 39*frameTime, in.Present, "from frame 21 to frame 60")
	all := c["0/yard/"]
	require.Equal(t, 99*frameTime, all.Watched)
	all.Watched, all.Label = 0, "person"
	require.Equal(t, in, all)
}

func TestEventsSayWhatHappened(t *testing.T) {
	r := newRig(t, zones(yard()))
	r.step(stand("a", 300, 300))
	r.step(stand("a", 500, 300))
	r.step(stand("a", 800, 300))
	require.Equal(t, bus.ZoneEvent{
		Kind: Entered, CameraID: "door", ZoneID: "yard", ZoneName: "The yard", Time: epoch.Add(frameTime),
		TrackID: "a", Label: "person", Score: 0.8, Box: [4]float32{480, 200, 40, 100},
		Clock: "rtcp", TimeError: time.Millisecond,
	}, r.events[0])
	require.Equal(t, frameTime, r.events[1].Stayed)
	require.Equal(t, epoch.Add(2*frameTime), r.events[1].Time)
}

// Somebody stands on the border for an hour, and the detector is not sure where.
func TestJitterOnTheBorder(t *testing.T) {
	for _, x := range []float64{395, 398, 400, 402, 405} {
		r, random := newRig(t, zones(yard())), rand.New(rand.NewPCG(1, uint64(x)))
		at := x
		for i := range 50 * 3600 {
			if i%10 == 0 {
				at = x + 3*random.NormFloat64()
			}
			r.step(stand("a", at, 300))
		}
		require.LessOrEqual(t, len(r.events), 1, "at %v: %v", x, r.said())
	}
}

func TestRestingJustInside(t *testing.T) {
	r := newRig(t, zones(yard()))
	for range 20 {
		r.step(stand("a", 390, 300))
	}
	for range 249 {
		r.step(stand("a", 402, 300))
	}
	require.Empty(t, r.said())
	for range 10 {
		r.step(stand("a", 402, 300))
	}
	require.Equal(t, []string{"zone.entered yard a@21"}, r.said(), "after 5 s, dated back")
	for range 260 {
		r.step(stand("a", 398, 300))
	}
	require.Equal(t, []string{"zone.left yard a@280"}, r.said())
	require.Equal(t, 258*frameTime, r.counts()["0/yard/person"].Present)
}

func TestFlickerAndTheEnd(t *testing.T) {
	r := newRig(t, zones(yard()))
	for i := range 500 {
		if i%7 < 3 {
			r.step()
			continue
		}
		r.step(stand("a", 500, 300))
	}
	require.Equal(t, []string{"zone.entered yard a@4"}, r.said())
	r.Track(store.Track{ID: "a"})
	require.Empty(t, r.said())
	for range 50 {
		r.step()
	}
	r.Track(store.Track{ID: "a", Ended: true})
	require.Equal(t, []string{"zone.left yard a@497"}, r.said(), "when it was last seen")
	require.Equal(t, 493*frameTime, r.counts()["0/yard/person"].Present)
	require.Empty(t, r.objects)
	r.Track(store.Track{ID: "a", Ended: true})
	require.Empty(t, r.said())

	r.step(stand("b", 500, 300))
	for range 50 * 125 {
		r.step()
	}
	require.Len(t, r.said(), 2, "whom nobody ends is given up")
	require.Empty(t, r.objects)
}

func TestOneFrameIsNothing(t *testing.T) {
	r := newRig(t, zones(yard()))
	r.proven = proven
	r.step(stand("ghost", 500, 300))
	for range 20 {
		r.step(stand("a", 500, 300))
	}
	r.Track(store.Track{ID: "ghost", Ended: true})
	require.Equal(t, []string{"zone.entered yard a@2"}, r.said(), "dated back")
	require.Equal(t, 19*frameTime, r.counts()["0/yard/person"].Present)
}

func TestLoitering(t *testing.T) {
	z := yard()
	z.Loiter = 2 * time.Second
	r := newRig(t, zones(z))
	for i := range 400 {
		x := 500.0
		if i >= 200 && i < 250 {
			x = 700
		}
		r.step(stand("a", x, 300))
	}
	require.Equal(t, []string{
		"zone.entered yard a@1", "zone.loitering yard a@101", "zone.left yard a@201",
		"zone.entered yard a@251", "zone.loitering yard a@351",
	}, r.said(), "once per stay")
}

func TestFilters(t *testing.T) {
	z := yard()
	z.Objects = store.ObjectFilter{Classes: []string{"person"}, MinArea: 0.005, MaxArea: 0.02, MinScore: 0.7}
	car, small, large, weak := stand("car", 500, 300), stand("small", 500, 300), stand("large", 500, 300), stand("weak", 500, 300)
	car.Label = "car"
	small.Box[3], small.Box[1] = 50, 250
	large.Box = store.Box{400, 100, 200, 200}
	weak.Score = 0.6
	r := newRig(t, zones(z))
	r.step(car, small, large, weak, stand("fine", 500, 300))
	require.Equal(t, []string{"zone.entered yard fine@1"}, r.said())
	weak.Score = 0.75
	r.step(weak)
	require.Equal(t, []string{"zone.entered yard weak@2"}, r.said())
	weak.Score = 0.3
	weak.Box = store.Box{400, 100, 200, 200}
	r.step(weak)
	require.Empty(t, r.said(), "who is inside stays inside")
	untracked := stand("", 500, 300)
	r.step(untracked)
	require.Empty(t, r.said())
}

func TestPicturesEdgeIsNoBorder(t *testing.T) {
	r := newRig(t, zones(store.Zone{ID: "low", Polygon: []store.Point{{0, 0.9}, {1, 0.9}, {1, 1}, {0, 1}}}))
	o := stand("a", 500, 540) // its feet are below the picture: the box is cut
	o.Box[3] = 60
	r.step(o)
	require.Equal(t, []string{"zone.entered low a@1"}, r.said())
	r = newRig(t, zones(store.Zone{ID: "all", Polygon: []store.Point{{0, 0}, {1, 0}, {1, 1}, {0, 1}}}))
	r.step(stand("a", 1, 500), stand("b", 500, 250))
	require.Equal(t, []string{"zone.entered all a@1", "zone.entered all b@1"}, r.said())
}

func TestSeveralZonesAndMost(t *testing.T) {
	left := store.Zone{ID: "left", Polygon: []store.Point{{0, 0}, {0.5, 0}, {0.5, 1}, {0, 1}}}
	right := store.Zone{ID: "right", Polygon: []store.Point{{0.5, 0}, {1, 0}, {1, 1}, {0.5, 1}}}
	r := newRig(t, zones(left, right))
	car := stand("c", 250, 200)
	car.Label = "car"
	r.step(stand("a", 100, 200), stand("b", 200, 200), car)
	r.step(stand("a", 100, 200), stand("b", 900, 200), car)
	require.Equal(t, []string{
		"zone.entered left a@1", "zone.entered left b@1", "zone.entered left c@1", "zone.left left b@2", "zone.entered right b@2",
	}, r.said())
	c := r.counts()
	require.Equal(t, []int{2, 1, 3, 1}, []int{c["0/left/person"].Most, c["0/left/car"].Most, c["0/left/"].Most, c["0/right/"].Most})
	for range 50 * 60 {
		r.step(stand("a", 100, 200))
	}
	next := r.counts()["1/left/person"]
	require.Equal(t, 1, next.Most, "somebody who just stays counts in every minute")
	require.InDelta(t, 30.04, next.Present.Seconds(), 0.1)
	require.Zero(t, next.Entered)
}

func gate() store.Line {
	return store.Line{ID: "gate", From: store.Point{0.5, 0.2}, To: store.Point{0.5, 0.8}, Direction: store.DirectionBoth}
}

func lines(l ...store.Line) store.ZoneMap { return store.ZoneMap{CameraID: "door", Lines: l} }

func TestCrossingsInBothDirections(t *testing.T) {
	r := newRig(t, lines(gate()))
	for i := range 60 { // x falls: from the left side of somebody who walks down the line … to its right
		r.step(stand("a", 602.5-5*float64(i), 250), stand("b", 397.5+5*float64(i), 250), stand("c", 602.5-5*float64(i), 450))
	}
	require.Equal(t, []string{"line.crossed gate a@22 right", "line.crossed gate b@22 left"}, r.said(), "c went past its end")
	c := r.counts()
	require.Equal(t, [2]int64{1, 1}, [2]int64{c["0/gate/"].ToRight, c["0/gate/"].ToLeft})
	require.Equal(t, 59*frameTime, c["0/gate/"].Watched)
}

func TestDirectionAndFilterOfALine(t *testing.T) {
	l := gate()
	l.Direction, l.Objects.Classes = store.DirectionLeft, []string{"person"}
	r := newRig(t, lines(l))
	for i := range 60 {
		car := stand("car", 397.5+5*float64(i), 300)
		car.Label = "car"
		r.step(stand("a", 602.5-5*float64(i), 250), stand("b", 397.5+5*float64(i), 250), car)
	}
	require.Equal(t, []string{"line.crossed gate b@22 left"}, r.said())
}

func TestStandingOnALine(t *testing.T) {
	r, random := newRig(t, lines(gate())), rand.New(rand.NewPCG(7, 7))
	at := 500.0
	for i := range 50 * 3600 {
		if i%10 == 0 {
			at = 500 + 3*random.NormFloat64()
		}
		r.step(stand("a", at, 250))
	}
	require.LessOrEqual(t, len(r.events), 1, "%v", r.said())
}

func TestAroundTheEndOfALine(t *testing.T) {
	r := newRig(t, lines(gate()))
	for _, p := range [][2]float64{{450, 250}, {450, 450}, {550, 450}, {550, 250}} { // around the lower end
		for range 10 {
			r.step(stand("a", p[0], p[1]))
		}
	}
	require.Empty(t, r.said())
	for range 10 {
		r.step(stand("a", 450, 250)) // back through it, unseen in between
	}
	require.Equal(t, []string{"line.crossed gate a@41 right"}, r.said())
	r.step(stand("a", 490, 250))
	r.step(stand("a", 503, 250)) // looks over
	r.step(stand("a", 470, 250)) // and goes back
	require.Empty(t, r.said())
}

func TestChangeOfTheMap(t *testing.T) {
	r := newRig(t, zones(yard()))
	r.step(stand("a", 500, 300))
	require.Len(t, r.said(), 1)
	other := store.Zone{ID: "other", Polygon: yard().Polygon}
	next := zones(yard(), other)
	r.current.Store(&next)
	r.step(stand("a", 500, 300))
	require.Equal(t, []string{"zone.entered other a@2"}, r.said(), "the zone that was there keeps who is in it")
	moved := yard()
	moved.Polygon = []store.Point{{0, 0}, {0.1, 0}, {0.1, 0.1}}
	last := zones(moved)
	r.current.Store(&last)
	r.step(stand("a", 500, 300))
	require.Empty(t, r.said(), "nobody leaves a zone that is no more")
	r.step(stand("a", 80, 20))
	require.Equal(t, []string{"zone.entered yard a@4"}, r.said())
	none := zones()
	r.current.Store(&none)
	r.step(stand("a", 500, 300))
	r.Track(store.Track{ID: "a", Ended: true})
	require.Empty(t, r.said())
	require.Empty(t, r.objects)
}

func TestAnotherSizeOfPicture(t *testing.T) {
	m := zones(yard())
	m.Lines = lines(gate()).Lines
	r := newRig(t, m)
	r.step(stand("a", 450, 300))
	require.Len(t, r.said(), 1)
	o := stand("a", 900, 600)
	r.Annotations([]store.Annotation{{Time: epoch.Add(frameTime), PTS: frameTime, Width: 2000, Height: 1000, Objects: []store.Object{o}}})
	require.Empty(t, r.said(), "it stands where it stood")
	r.Annotations([]store.Annotation{{Time: epoch, Objects: []store.Object{o}}})
	require.Empty(t, r.zones, "a picture without a size")
}
