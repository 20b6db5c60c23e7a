package record_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"detectd/pipeline/simulate"
	"detectd/pipeline/stage/record"
	"detectd/pipeline/steady"
	"detectd/store"
)

// TestClocksNeverReorder: whatever the clock of a camera and ours do, and however
// often it is connected to anew, the files of a recording follow each other
// without reaching into the next, no frame is in two, none is missing, and times
// inside a file are those of its frames.
func TestClocksNeverReorder(t *testing.T) {
	clip := camera(t, simulate.Spec{Frames: 50, GOP: 25, BFrames: 2})
	for seed := range uint64(8) {
		random := rand.New(rand.NewPCG(seed, 9))
		root, x, h := t.TempDir(), &index{}, &hooks{}
		r, stop := recorder(t, record.Config{Root: root, SegmentLength: 4 * time.Second, QueueUnits: 1 << 20, QueueBytes: 1 << 30}, x, h)
		r.Format(clip.format)
		var line steady.Line
		var offset, clock time.Duration
		units, times := 0, map[time.Time]bool{}
		for round := range 30 {
			switch random.IntN(6) {
			case 0: // another session, after a while
				offset += time.Duration(random.Int64N(int64(20 * time.Second)))
				r.Format(clip.format)
			case 1: // a clock is set
				clock = time.Duration(random.Int64N(int64(4*time.Hour))) - 2*time.Hour
			case 2: // or is found to be a bit off
				clock += time.Duration(random.Int64N(int64(time.Second))) - 500*time.Millisecond
			case 3:
				r.Format(clip.format)
			}
			for _, u := range clip.units {
				u.PTS, u.DTS = u.PTS+offset, u.DTS+offset
				u.Time = start.Add(u.PTS + clock + time.Duration(random.IntN(5))*time.Millisecond)
				line.Place(&u)
				require.False(t, times[u.Time], "seed %d, round %d", seed, round)
				times[u.Time] = true
				r.Unit(u)
				units++
			}
			offset += 50 * tick
		}
		stop()
		require.Zero(t, h.dropped)
		checkOrder(t, x.segments(), units)
		for _, s := range x.segments() {
			n := 0
			for at := range times {
				if !at.Truncate(time.Microsecond).Before(s.Start) && at.Before(s.End) {
					n++
				}
			}
			require.InDelta(t, s.Frames, n, 3, "seed %d: the frames of a file lie in its time", seed)
		}
	}
}

func checkOrder(t *testing.T, segments []store.Segment, frames int) {
	t.Helper()
	paths := map[string]bool{}
	for i, s := range segments {
		require.False(t, paths[s.Path])
		paths[s.Path] = true
		require.True(t, s.End.After(s.Start))
		frames -= s.Frames
		if i > 0 {
			require.False(t, s.Start.Before(segments[i-1].End), "%s begins before %s ends", s.Path, segments[i-1].End)
		}
	}
	require.Zero(t, frames, "every frame once")
}
