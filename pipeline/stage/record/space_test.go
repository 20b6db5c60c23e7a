package record_test

import (
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"detectd/pipeline"
	"detectd/pipeline/simulate"
	"detectd/pipeline/stage/record"
	"detectd/store"
)

// TestStallIsAHole: time within a file in which nothing came is told.
func TestStallIsAHole(t *testing.T) {
	c := camera(t, simulate.Spec{FPS: 25, Frames: 50, GOP: 50})
	for i := range c.units[30:] { // a stall of 3 s in the middle of a group
		u := &c.units[30+i]
		u.PTS, u.DTS, u.Time = u.PTS+3*time.Second, u.DTS+3*time.Second, u.Time.Add(3*time.Second)
	}
	x := &index{}
	r, stop := recorder(t, record.Config{Root: t.TempDir()}, x, &hooks{})
	c.feed(r)
	stop()
	require.Len(t, x.segments(), 1)
	require.Equal(t, []store.Range{{From: start.Add(30 * tick), To: start.Add(30*tick + 3*time.Second)}}, x.segments()[0].Holes)
}

// TestWaitsForSpace: while the disk is said to be nearly full nothing is written;
// after that recording goes on with the next key frame.
func TestWaitsForSpace(t *testing.T) {
	c := camera(t, simulate.Spec{FPS: 25, Frames: 100, GOP: 25})
	var full atomic.Bool
	root, x, h := t.TempDir(), &index{}, &hooks{}
	r, stop := recorder(t, record.Config{Root: root, Space: func() error {
		if full.Load() {
			return errors.New("full")
		}
		return nil
	}}, x, h)
	r.Format(c.format)
	for _, u := range c.units[:30] {
		r.Unit(u)
	}
	require.Eventually(t, func() bool { s, ok := r.Growing(); return ok && s.Frames >= 25 }, 10*time.Second, time.Millisecond)
	full.Store(true)
	for _, u := range c.units[30:60] {
		r.Unit(u)
	}
	require.Eventually(t, func() bool { return h.lastStatus() == pipeline.DiskFull }, 10*time.Second, time.Millisecond)
	require.Len(t, x.segments(), 1, "the open file was completed")
	full.Store(false)
	for _, u := range c.units[60:] {
		r.Unit(u)
	}
	stop()
	require.Empty(t, h.lastStatus())
	all := x.segments()
	require.Len(t, all, 2)
	require.Equal(t, 30, all[0].Frames)
	require.Equal(t, 25, all[1].Frames, "from the key frame at 75 on")
	require.Equal(t, 45, h.dropped)
}
