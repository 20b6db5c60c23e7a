package scene

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/asticode/go-astiav"
	"github.com/stretchr/testify/require"

	"detectd/detect"
)

// lane is a person that walks 400 pixels in 4 s and waits for 2 s, and a wall.
func lane() *Scene {
	return &Scene{
		Name: "lane", Width: 640, Height: 480, FPS: 60, Length: 6 * time.Second, Seed: 1,
		Actors: []Actor{
			{ID: "a", Path: []Waypoint{
				{0, 100, 300, 100}, {2 * time.Second, 300, 300, 100}, {4 * time.Second, 500, 300, 100}, {6 * time.Second, 500, 300, 100},
			}},
			{ID: "w", Shape: Wall, Path: []Waypoint{{X: 300, Y: 310, Height: 400}}},
		},
	}
}

func TestTruth(t *testing.T) {
	s := lane()
	require.Equal(t, 360, s.Frames())
	require.Equal(t, 1500*time.Millisecond, s.Time(90))
	foot := func(frame int) (x, y float64) {
		o := s.Truth(frame)
		require.Len(t, o, 1, "the wall is no object")
		require.Equal(t, "a", o[0].ID)
		require.Equal(t, "person", o[0].Label)
		b := o[0].Box
		return float64(b.X + b.W/2), float64(b.Y + b.H)
	}
	for frame, want := range map[int]float64{0: 100, 60: 200, 120: 300, 240: 500, 300: 500, 360: 500} {
		x, y := foot(frame)
		require.InDelta(t, want, x, 0.01, "frame %d", frame)
		require.InDelta(t, 300, y, 0.01)
	}
	last := 0.0
	for i := range s.Frames() { // smoothly: no step is longer than twice the mean speed
		x, _ := foot(i)
		if i > 0 {
			require.True(t, x >= last && x-last < 2*400.0/240, "frame %d", i)
		}
		last = x
	}
	require.InDelta(t, 1, s.Truth(0)[0].Visible, 1e-9)
	require.Less(t, s.Truth(120)[0].Visible, 0.1, "behind the wall")
	require.Empty(t, s.At(7*time.Second), "it has left")
}

func TestBoxesAreCutAtThePicture(t *testing.T) {
	s := lane()
	s.Actors = []Actor{{ID: "a", Path: []Waypoint{{0, -60, 300, 100}, {2 * time.Second, 60, 300, 100}}}}
	require.Empty(t, s.Truth(0))
	for i := range 120 {
		for _, o := range s.Truth(i) {
			require.GreaterOrEqual(t, o.Box.X, float32(0))
			require.InDelta(t, 1, o.Visible+1-o.Visible, 1e-9)
		}
	}
	half := s.Truth(60)[0]
	require.InDelta(t, 0.5, half.Visible, 0.11)
}

func TestHoursCostNothing(t *testing.T) {
	s := Parked(1, 12*time.Hour)
	first, later := s.At(0), s.At(11*time.Hour+30*time.Minute+17*time.Second)
	boxes := map[string]detect.Box{}
	for _, o := range first {
		boxes[o.ID] = o.Box
	}
	still := 0
	for _, o := range later {
		if b, ok := boxes[o.ID]; ok {
			require.Equal(t, b, o.Box)
			still++
		}
	}
	require.GreaterOrEqual(t, still, 4)
}

func TestLibrary(t *testing.T) {
	names := map[string]bool{}
	for _, s := range Library(2) {
		require.False(t, names[s.Name])
		names[s.Name] = true
		ids := map[string]bool{}
		for _, a := range s.Actors {
			require.False(t, ids[a.ID], "%s: %s", s.Name, a.ID)
			ids[a.ID] = true
			for i := 1; i < len(a.Path); i++ {
				require.Greater(t, a.Path[i].At, a.Path[i-1].At)
			}
		}
		most := 0
		for i := 0; i < s.Frames(); i += 30 {
			most = max(most, len(s.Truth(i)))
		}
		require.GreaterOrEqual(t, most, 3, s.Name)
	}
	first, second := Library(2), Library(2)
	require.Equal(t, first, second)
}

func TestDetections(t *testing.T) {
	s := lane()
	d := s.Detect(0, Noise{})
	require.Equal(t, []detect.Detection{{Label: "person", Score: 1, Box: s.Truth(0)[0].Box}}, d, "perfect")
	require.Empty(t, s.Detect(120, Noise{}), "nobody sees through walls")

	n := Noise{Miss: 0.2, Jitter: 0.03, False: 0.5}
	once, again := s.Detect(7, n), s.Detect(7, n)
	require.Equal(t, once, again, "the same every time")
	missed, extra := 0, 0
	for i := 240; i < 360; i++ {
		found := false
		for j, d := range s.Detect(i, n) {
			require.True(t, d.Score > 0 && d.Score < 1 && d.Box.W > 0 && d.Box.H > 0)
			if j > 0 {
				require.LessOrEqual(t, d.Score, s.Detect(i, n)[j-1].Score)
			}
			near := d.Box.X > 450 && d.Box.X < 510 && d.Box.Y > 170 && d.Box.Y < 230
			found = found || near
			if !near {
				extra++
			}
		}
		if !found {
			missed++
		}
	}
	require.InDelta(t, 0.2*120, missed, 14)
	require.InDelta(t, 0.5*120, extra, 30)
}

func TestPaintedInItsBox(t *testing.T) {
	s := lane()
	empty := *s
	empty.Actors = s.Actors[1:]
	ground, p := empty.Paint(0, nil), s.Paint(30, nil)
	b := s.Truth(30)[0].Box
	x0, y0, x1, y1 := s.Width, s.Height, 0, 0
	for i := range p.bgr {
		if p.bgr[i] != ground.bgr[i] {
			x, y := i/3%s.Width, i/3/s.Width
			x0, y0, x1, y1 = min(x0, x), min(y0, y), max(x1, x+1), max(y1, y+1)
		}
	}
	require.InDelta(t, b.X, x0, 1)
	require.InDelta(t, b.Y, y0, 1)
	require.InDelta(t, b.X+b.W, x1, 1)
	require.InDelta(t, b.Y+b.H, y1, 1)
	require.Equal(t, p.bgr, s.Paint(30, p).bgr, "painting over an old picture leaves nothing of it")
}

func TestVideo(t *testing.T) {
	s := lane()
	s.Width, s.Height, s.Length = 320, 240, 500*time.Millisecond
	s.Actors = append(s.Actors, Parked(1, time.Second).Actors[0], Traffic(1).Actors[9])
	path := filepath.Join(t.TempDir(), "lane.mp4")
	require.NoError(t, s.WriteVideo(path))
	in := astiav.AllocFormatContext()
	defer in.Free()
	require.NoError(t, in.OpenInput(path, nil, nil))
	defer in.CloseInput()
	require.NoError(t, in.FindStreamInfo(nil))
	c := in.Streams()[0].CodecParameters()
	require.Equal(t, [2]int{320, 240}, [2]int{c.Width(), c.Height()})
	require.EqualValues(t, 30, in.Streams()[0].NbFrames())
	require.Error(t, s.WriteVideo(filepath.Join(t.TempDir(), "none", "lane.mp4")))
	_, err := os.Stat(path)
	require.NoError(t, err)
}
