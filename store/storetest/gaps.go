package storetest

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"detectd/store"
)

// gapLines are the gaps of a camera in seconds after noon.
func gapLines(t *testing.T, s store.Records, camera string) (lines []string) {
	t.Helper()
	all, _, err := s.ListGaps(t.Context(), camera, store.Range{}, store.Page{Limit: 1000})
	require.NoError(t, err)
	for _, g := range all {
		lines = append(lines, fmt.Sprintf("%g-%g %s %s", g.From.Sub(noon()).Seconds(), g.To.Sub(noon()).Seconds(), g.Reason, g.Detail))
	}
	return lines
}

func gaps(t *testing.T, s store.Records) {
	ctx := t.Context()
	addClient(t, s, "a")
	addCamera(t, s, "a", "door")
	at := func(seconds float64) time.Time { return noon().Add(time.Duration(seconds * float64(time.Second))) }
	_, err := s.OpenLedger(ctx, "none", at(0))
	require.ErrorIs(t, err, store.ErrNotFound)
	_, err = s.Ledger(ctx, "door")
	require.ErrorIs(t, err, store.ErrNotFound)
	l, err := s.OpenLedger(ctx, "door", at(0))
	require.NoError(t, err)
	require.Equal(t, store.Ledger{CameraID: "door", From: at(0), Until: at(0)}, l)
	again, err := s.OpenLedger(ctx, "door", at(50))
	require.NoError(t, err)
	require.Equal(t, l, again)

	account := func(to float64, causes ...store.Cause) (float64, []store.Gap) {
		t.Helper()
		ls, gs, err := s.AccountGaps(ctx, []store.Account{
			{CameraID: "gone", To: at(to)}, {CameraID: "door", To: at(to), Causes: causes, Patience: time.Minute},
		})
		require.NoError(t, err)
		require.Len(t, ls, 1)
		return ls[0].Until.Sub(noon()).Seconds(), gs
	}
	addSegment(t, s, "door", at(0), 10*time.Second)
	addSegment(t, s, "door", at(10.3), 9700*time.Millisecond) // a hole that is too short to count
	until, found := account(20)
	require.Equal(t, 20.0, until)
	require.Empty(t, found)

	fine, gone := store.Cause{From: at(0)}, store.Cause{From: at(32), Reason: store.GapCamera, Detail: "timeout"}
	until, found = account(30, fine)
	require.Equal(t, 20.0, until, "nobody knows yet why nothing came")
	require.Empty(t, found)
	until, found = account(35, fine, gone)
	require.Equal(t, 35.0, until)
	require.Equal(t, []string{"20-35 camera timeout"}, gapLines(t, s, "door"), "it was gone before that was noticed")
	require.Len(t, found, 1)
	first := found[0].ID
	_, found = account(40, fine, gone)
	require.Equal(t, first, found[0].ID, "the same gap grows")
	require.Equal(t, at(20), found[0].From)
	until, _ = account(30, fine)
	require.Equal(t, 40.0, until, "time does not run back")

	back := store.Cause{From: at(45)}
	addSegment(t, s, "door", at(46), 10*time.Second)
	until, _ = account(56, fine, gone, back)
	require.Equal(t, 56.0, until)
	require.Equal(t, []string{"20-46 camera timeout"}, gapLines(t, s, "door"))

	until, _ = account(150, fine)
	require.Equal(t, 150.0, until, "patience has run out")
	until, _ = account(200, store.Cause{From: at(0), Reason: store.GapDown}, store.Cause{From: at(160), Reason: store.GapOff})
	require.Equal(t, 200.0, until)
	require.Equal(t, []string{
		"20-46 camera timeout", "56-150 no_video ", "150-160 process_down ", "160-200 off ",
	}, gapLines(t, s, "door"))

	// A file that turns up later takes its time back, and its holes stay.
	_, err = s.AddSegment(ctx, store.Segment{
		CameraID: "door", Path: "late.mp4", Start: at(100), End: at(155), Clock: "arrival",
		Holes: []store.Range{{From: at(110), To: at(113)}},
	})
	require.NoError(t, err)
	want := []string{
		"20-46 camera timeout", "56-100 no_video ", "110-113 no_video ", "155-160 process_down ", "160-200 off ",
	}
	require.Equal(t, want, gapLines(t, s, "door"))

	// What is dropped leaves a gap of its own.
	all, _, err := s.ListSegments(ctx, "door", store.Range{}, store.Page{})
	require.NoError(t, err)
	require.NoError(t, s.DropSegments(ctx, []int64{all[0].ID, all[1].ID}))
	require.NoError(t, s.DiscardSegments(ctx, []int64{all[2].ID}, store.GapNotKept))
	require.Equal(t, append([]string{"0-20 expired ", "20-46 camera timeout", "46-56 not_kept "}, want[1:]...), gapLines(t, s, "door"))

	some, next, err := s.ListGaps(ctx, "", store.Range{From: at(46), To: at(112)}, store.Page{Limit: 2})
	require.NoError(t, err)
	require.Len(t, some, 2)
	rest, next, err := s.ListGaps(ctx, "", store.Range{From: at(46), To: at(112)}, store.Page{Limit: 2, Cursor: next})
	require.NoError(t, err)
	require.Empty(t, next)
	require.Len(t, rest, 1)

	require.NoError(t, s.DeleteCamera(ctx, "door", store.AnyRevision))
	require.Empty(t, gapLines(t, s, ""))
	_, err = s.Ledger(ctx, "door")
	require.ErrorIs(t, err, store.ErrNotFound)
}

// gapsAtRandom does whatever can happen in any order. All time stays accounted
// for, and no moment twice.
func gapsAtRandom(t *testing.T, s store.Records) {
	ctx := t.Context()
	addClient(t, s, "a")
	addCamera(t, s, "a", "door")
	rnd := rand.New(rand.NewPCG(1, 2))
	_, err := s.OpenLedger(ctx, "door", noon())
	require.NoError(t, err)
	reasons := []store.GapReason{"", store.GapCamera, store.GapDiskFull, store.GapOff, store.GapDown}
	now := noon()
	seconds := func(n float64) time.Duration { return time.Duration(rnd.Float64() * n * float64(time.Second)) }
	for i := range 400 {
		switch rnd.IntN(6) {
		case 0, 1, 2:
			length := seconds(20)
			now = now.Add(length)
			if rnd.IntN(3) > 0 {
				addSegment(t, s, "door", now.Add(-length), length)
			}
		case 3: // the clock is set, or an old file turns up
			addSegment(t, s, "door", now.Add(-seconds(300)), seconds(30))
		case 4:
			a := store.Account{CameraID: "door", To: now, Patience: 30 * time.Second}
			for at := now.Add(-seconds(60)); at.Before(now); at = at.Add(seconds(20)) {
				a.Causes = append(a.Causes, store.Cause{From: at, Reason: reasons[rnd.IntN(len(reasons))]})
			}
			_, _, err := s.AccountGaps(ctx, []store.Account{a})
			require.NoError(t, err)
		case 5:
			all, _, err := s.ListSegments(ctx, "door", store.Range{}, store.Page{})
			require.NoError(t, err)
			if len(all) > 0 {
				require.NoError(t, s.DiscardSegments(ctx, []int64{all[rnd.IntN(len(all))].ID}, store.GapExpired))
			}
		}
		requireAccounted(t, s, "door", i)
	}
}

func requireAccounted(t *testing.T, s store.Records, camera string, about any) {
	t.Helper()
	l, err := s.Ledger(t.Context(), camera)
	require.NoError(t, err)
	segments, _, err := s.ListSegments(t.Context(), camera, store.Range{}, store.Page{Limit: 1000})
	require.NoError(t, err)
	gaps, _, err := s.ListGaps(t.Context(), camera, store.Range{}, store.Page{Limit: 1000})
	require.NoError(t, err)
	require.Empty(t, store.Unaccounted(l, segments, gaps), about)
	for i := 1; i < len(gaps); i++ {
		require.False(t, gaps[i].From.Before(gaps[i-1].To), "%v: %v overlaps %v", about, gaps[i], gaps[i-1])
	}
	c, err := s.Coverage(t.Context(), camera, store.Range{})
	require.NoError(t, err)
	require.Equal(t, l.Until.Sub(l.From), c.Covered+c.Missing+c.Unwanted, about)
}

func coverage(t *testing.T, s store.Records) {
	ctx := t.Context()
	addClient(t, s, "a")
	addCamera(t, s, "a", "door")
	at := func(seconds int) time.Time { return noon().Add(time.Duration(seconds) * time.Second) }
	c, err := s.Coverage(ctx, "door", store.Range{From: at(0), To: at(10)})
	require.NoError(t, err)
	require.Zero(t, c.To.Sub(c.From))
	_, err = s.OpenLedger(ctx, "door", at(0))
	require.NoError(t, err)
	addSegment(t, s, "door", at(0), 40*time.Second)
	_, _, err = s.AccountGaps(ctx, []store.Account{{CameraID: "door", To: at(100), Causes: []store.Cause{
		{From: at(0), Reason: store.GapDiskFull}, {From: at(60), Reason: store.GapOff},
	}}})
	require.NoError(t, err)
	for name, want := range map[string]struct {
		r                          store.Range
		covered, missing, unwanted int
	}{
		"all":             {store.Range{}, 40, 20, 40},
		"wider":           {store.Range{From: at(-100), To: at(1000)}, 40, 20, 40},
		"the first half":  {store.Range{From: at(10), To: at(50)}, 30, 10, 0},
		"the second half": {store.Range{From: at(50), To: at(70)}, 0, 10, 10},
		"before":          {store.Range{From: at(-100), To: at(-50)}, 0, 0, 0},
		"after":           {store.Range{From: at(200), To: at(300)}, 0, 0, 0},
	} {
		c, err := s.Coverage(ctx, "door", want.r)
		require.NoError(t, err, name)
		second := func(n int) time.Duration { return time.Duration(n) * time.Second }
		require.Equal(t, second(want.covered), c.Covered, name)
		require.Equal(t, second(want.missing), c.Missing, name)
		require.Equal(t, second(want.unwanted), c.Unwanted, name)
		require.Equal(t, c.Missing, c.Reasons[store.GapDiskFull], name)
		require.Equal(t, c.Unwanted, c.Reasons[store.GapOff], name)
		require.Equal(t, c.To.Sub(c.From), c.Covered+c.Missing+c.Unwanted, name)
	}
}

func keeps(t *testing.T, s store.Records) {
	ctx := t.Context()
	addClient(t, s, "a")
	addCamera(t, s, "a", "door")
	addCamera(t, s, "a", "gate")
	_, err := s.PutKeep(ctx, store.Keep{CameraID: "none", ID: "x", From: noon(), To: noon().Add(time.Hour)})
	require.ErrorIs(t, err, store.ErrNotFound)
	k, err := s.PutKeep(ctx, store.Keep{CameraID: "door", ID: "x", From: noon(), To: noon().Add(time.Hour), Note: "why"})
	require.NoError(t, err)
	all, err := s.ListKeeps(ctx, "door")
	require.NoError(t, err)
	require.Equal(t, []store.Keep{k}, all)
	first := addSegment(t, s, "door", noon().Add(-time.Minute), time.Minute) // only touches it
	addSegment(t, s, "door", noon(), time.Minute)
	gate := addSegment(t, s, "gate", noon(), time.Minute)
	oldest, err := s.OldestUnkept(ctx, store.Oldest{Limit: 10})
	require.NoError(t, err)
	require.Equal(t, []store.Segment{first, gate}, oldest)
	oldest, err = s.OldestUnkept(ctx, store.Oldest{CameraID: "door", EndBefore: noon(), Limit: 10})
	require.NoError(t, err)
	require.Empty(t, oldest, "it ends at noon")
	_, err = s.AddEvent(ctx, store.Event{Kind: "line.crossed", CameraID: "gate", Time: noon().Add(-2 * time.Second)}) // cameras keep 5 s before
	require.NoError(t, err)
	_, err = s.AddEvent(ctx, store.Event{Kind: "track.started", CameraID: "door", Time: noon().Add(-30 * time.Second)})
	require.NoError(t, err)
	for _, c := range []struct {
		q    store.Oldest
		want []store.Segment
	}{
		{store.Oldest{Idle: &store.Reach{}}, []store.Segment{first}},
		{store.Oldest{Idle: &store.Reach{}, CameraID: "gate"}, nil},
		{store.Oldest{From: noon()}, []store.Segment{gate}},
	} {
		c.q.Limit = 10
		oldest, err = s.OldestUnkept(ctx, c.q)
		require.NoError(t, err)
		require.ElementsMatch(t, c.want, oldest, "%+v", c.q)
	}
	recorded, err := s.RecordedBytes(ctx)
	require.NoError(t, err)
	require.ElementsMatch(t, []store.Recorded{
		{CameraID: "door", Bytes: 2000, Newest: noon().Add(time.Minute)}, {CameraID: "gate", Bytes: 1000, Newest: noon().Add(time.Minute)},
	}, recorded)
	require.NoError(t, s.DeleteKeep(ctx, "door", "x"))
	require.ErrorIs(t, s.DeleteKeep(ctx, "door", "x"), store.ErrNotFound)
}
