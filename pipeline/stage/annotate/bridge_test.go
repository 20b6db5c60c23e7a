package annotate

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"detectd/detect"
)

// bridging is a camera of 25 frames and 5 detections a second whose frames wait
// for objects that are missing.
func bridging() *camera { return newCamera(25, Config{Bridge: 600 * time.Millisecond}) }

// look plays frames up to seq; every fifth from the first is detected, and there
// find says what is found.
func (c *camera) look(until uint64, find func(seq uint64) []detect.Detection) {
	for c.seq < until {
		if seq := c.next(); seq%5 == 1 {
			c.Selected(seq)
			c.found(seq, find(seq)...)
		}
	}
}

func (c *camera) requireOne(t *testing.T, frame int) {
	t.Helper()
	a := c.frames[frame-1]
	require.Len(t, a.Objects, 1, "frame %d", frame)
	require.Equal(t, "door-1", a.Objects[0].TrackID)
	require.InDelta(t, 4*float64(frame), a.Objects[0].Box[0], 0.05, "frame %d", frame)
}

func TestMissesAreBridged(t *testing.T) {
	c := bridging()
	missing := map[uint64]bool{21: true, 26: true, 46: true}
	c.look(61, func(seq uint64) []detect.Detection {
		if missing[seq] {
			return nil
		}
		return []detect.Detection{walker(seq)}
	})
	c.requireExactlyOnce(t)
	for frame := 1; frame <= 61; frame++ {
		c.requireOne(t, frame)
	}
	require.Equal(t, Detected, c.frames[20].Kind, "the frame did go through the model")
	require.Equal(t, Interpolated, c.frames[20].Objects[0].Kind, "the object was not found in it")
	require.Equal(t, Interpolated, c.frames[18].Kind)
	require.Empty(t, c.frames[18].Objects[0].Kind)
}

func TestFramesWaitOnlyWhileSomethingIsMissing(t *testing.T) {
	c := bridging()
	c.look(16, func(seq uint64) []detect.Detection { return []detect.Detection{walker(seq)} })
	require.Len(t, c.frames, 16, "nothing is missing")
	c.look(31, func(uint64) []detect.Detection { return nil })
	require.Len(t, c.frames, 16, "it may come back")
	c.look(36, func(uint64) []detect.Detection { return nil })
	require.Len(t, c.frames, 36, "it is gone")
	for frame := 17; frame <= 36; frame++ {
		if frame > 18 { // half-way to the detection that did not see it
			require.Empty(t, c.frames[frame-1].Objects, "frame %d", frame)
			continue
		}
		c.requireOne(t, frame)
		require.Equal(t, Extrapolated, c.frames[frame-1].Objects[0].Kind)
	}
}

func TestFirstSightingIsExtendedBackwards(t *testing.T) {
	c := bridging()
	c.look(16, func(seq uint64) []detect.Detection {
		if seq < 11 {
			return nil
		}
		return []detect.Detection{walker(seq)}
	})
	c.requireExactlyOnce(t)
	for frame := 1; frame <= 16; frame++ {
		if frame < 9 {
			require.Empty(t, c.frames[frame-1].Objects, "frame %d", frame)
			continue
		}
		c.requireOne(t, frame)
	}
	require.Equal(t, Extrapolated, c.frames[8].Objects[0].Kind)
}

func TestOneSightingIsNotExtended(t *testing.T) {
	c := bridging()
	c.look(41, func(seq uint64) []detect.Detection {
		if seq != 21 {
			return nil
		}
		return []detect.Detection{walker(seq)}
	})
	c.Flush()
	c.requireExactlyOnce(t)
	for i, a := range c.frames {
		require.Len(t, a.Objects, map[bool]int{true: 1}[i == 20], "frame %d", i+1)
	}
}

func TestHoldBoundsTheWait(t *testing.T) {
	c := newCamera(25, Config{Bridge: 10 * time.Second, Hold: 400 * time.Millisecond})
	for range 6 * 25 {
		seq := c.next()
		if seq%5 == 1 {
			c.Selected(seq)
			if seq == 1 {
				c.found(seq, walker(seq))
			} else {
				c.found(seq)
			}
		}
		require.GreaterOrEqual(t, len(c.frames)+12, int(seq), "no frame waits for more than 0.4 s")
	}
	c.Flush()
	c.requireExactlyOnce(t)

	c = newCamera(25, Config{Bridge: 10 * time.Second, Hold: 10 * time.Second, MaxFrames: 20})
	c.look(100, func(seq uint64) []detect.Detection {
		if seq == 1 {
			return []detect.Detection{walker(seq)}
		}
		return nil
	})
	require.LessOrEqual(t, len(c.tail)+len(c.held), 21)
}

func TestObjectsThatLeaveThePicture(t *testing.T) {
	c := bridging()
	c.look(60, func(seq uint64) []detect.Detection {
		d := walker(seq)
		if d.Box.X += 540; d.Box.X+d.Box.W > 640 {
			return nil
		}
		return []detect.Detection{d}
	})
	c.Flush()
	c.requireExactlyOnce(t)
	for _, a := range c.frames {
		for _, o := range a.Objects {
			require.LessOrEqual(t, o.Box[0]+o.Box[2], float32(640))
			require.Positive(t, o.Box[2])
		}
	}
}

func TestNoBridgeOverAChangeOfSize(t *testing.T) {
	c := bridging()
	c.look(11, func(seq uint64) []detect.Detection { return []detect.Detection{walker(seq)} })
	for c.seq < 21 {
		c.seq++
		c.Frame(c.meta(c.seq), 1280, 960)
		if c.seq == 21 {
			c.found(c.seq, walker(c.seq))
		}
	}
	c.Flush()
	require.Len(t, c.frames, 21)
	require.Empty(t, c.frames[15].Objects)
}
