package ledger_test

import (
	"fmt"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"detectd/pipeline"
	"detectd/pipeline/stage/ledger"
	"detectd/store"
	"detectd/store/sqlite"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("database/sql.(*DB).connectionOpener"))
}

// noon is after the camera's record was made.
var noon = time.Now().Add(time.Hour).Truncate(time.Minute).UTC()

// world is a machine with one camera whose clock only the test moves.
type world struct {
	t       *testing.T
	records *sqlite.Store
	stage   *ledger.Stage
	wall    time.Time
	mono    time.Duration
	watch   ledger.Watch
	there   bool      // a worker knows the camera
	file    time.Time // start of the open file, zero without one
	n       int
	told    []string
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, wall: noon}
	var err error
	w.records, err = sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "test.db"), slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, w.records.Close()) })
	_, err = w.records.CreateClient(t.Context(), store.Client{ID: "a", Name: "A"})
	require.NoError(t, err)
	_, err = w.records.CreateCamera(t.Context(), store.Camera{
		ID: "door", ClientID: "a", Name: "Door", URL: "rtsp://x", Transport: "auto", Enabled: true, Record: store.RecordContinuous,
	})
	require.NoError(t, err)
	w.start()
	return w
}

// start begins a new process.
func (w *world) start() {
	w.there, w.watch = false, ledger.Watch{}
	w.stage = ledger.New(ledger.Config{
		Now:     func() time.Time { return w.wall },
		Elapsed: func() time.Duration { return w.mono },
	}, ledger.Deps{
		Records: w.records, Log: slog.New(slog.DiscardHandler),
		Watch: func(string) (ledger.Watch, bool) { w.watch.Growing = w.file; return w.watch, w.there },
		Announce: func(g store.Gap, open bool) {
			w.told = append(w.told, fmt.Sprintf("%v %s %.0f s", open, g.Reason, g.To.Sub(g.From).Seconds()))
		},
	})
}

func (w *world) state(s pipeline.State) { w.there, w.watch.Status.State = true, s }

// pass lets seconds pass. While recording, a file is written every 10 s.
func (w *world) pass(seconds int, recording bool) {
	w.t.Helper()
	for range seconds {
		if recording && w.file.IsZero() {
			w.file = w.wall
		}
		if !recording {
			w.close()
		}
		require.NoError(w.t, w.stage.Look(w.t.Context()))
		w.wall, w.mono = w.wall.Add(time.Second), w.mono+time.Second
		if recording && w.wall.Sub(w.file) >= 10*time.Second {
			w.close()
		}
		if w.mono%(10*time.Second) == 0 {
			require.NoError(w.t, w.stage.Account(w.t.Context()))
			w.requireAccounted()
		}
	}
}

// close completes the open file.
func (w *world) close() {
	w.t.Helper()
	if w.file.IsZero() {
		return
	}
	w.n++
	_, err := w.records.AddSegment(w.t.Context(), store.Segment{CameraID: "door", Path: fmt.Sprint(w.n), Start: w.file, End: w.wall})
	require.NoError(w.t, err)
	w.file = time.Time{}
}

// requireAccounted expects the promise to hold.
func (w *world) requireAccounted() {
	w.t.Helper()
	l, err := w.records.Ledger(w.t.Context(), "door")
	require.NoError(w.t, err)
	segments, _, err := w.records.ListSegments(w.t.Context(), "door", store.Range{}, store.Page{Limit: 1000})
	require.NoError(w.t, err)
	gaps, _, err := w.records.ListGaps(w.t.Context(), "door", store.Range{}, store.Page{Limit: 1000})
	require.NoError(w.t, err)
	require.Empty(w.t, store.Unaccounted(l, segments, gaps))
}

func (w *world) gaps() (lines []string) {
	w.t.Helper()
	all, _, err := w.records.ListGaps(w.t.Context(), "door", store.Range{}, store.Page{Limit: 1000})
	require.NoError(w.t, err)
	for _, g := range all {
		lines = append(lines, fmt.Sprintf("%.0f-%.0f %s %s", g.From.Sub(noon).Seconds(), g.To.Sub(noon).Seconds(), g.Reason, g.Detail))
	}
	return lines
}

func (w *world) record(mode string) {
	w.t.Helper()
	c, err := w.records.Camera(w.t.Context(), "door")
	require.NoError(w.t, err)
	c.Record = mode
	_, err = w.records.UpdateCamera(w.t.Context(), c, c.Revision)
	require.NoError(w.t, err)
}

// TestEveryWayOfLosingVideo: whatever happens, all time is accounted for, and
// the reasons are the right ones.
func TestEveryWayOfLosingVideo(t *testing.T) {
	w := newWorld(t)
	w.state(pipeline.StateConnecting)
	w.pass(5, false)
	w.state(pipeline.StateRunning)
	w.pass(95, true)
	require.Equal(t, []string{"0-5 camera connecting"}, w.gaps())

	// At 100 the camera vanishes. It takes 8 s to notice.
	w.pass(8, false)
	w.state(pipeline.StateTimeout)
	w.pass(12, false)
	w.state(pipeline.StateRefused)
	w.pass(20, false)
	w.state(pipeline.StateConnecting)
	w.pass(10, false)
	w.state(pipeline.StateRunning)
	w.pass(50, true)
	want := []string{"0-5 camera connecting", "100-120 camera timeout", "120-150 camera refused"}
	require.Equal(t, want, w.gaps())

	// At 200 the disk fills up.
	w.watch.Status.RecordError = pipeline.DiskFull
	w.pass(30, false)
	w.watch.Status.RecordError = "input/output error"
	w.pass(20, false)
	w.watch.Status.RecordError = ""
	w.pass(50, true)
	want = append(want, "200-230 disk_full ", "230-250 disk_error ")
	require.Equal(t, want, w.gaps())

	// At 300 the disk is too slow for a while.
	for range 10 {
		w.watch.Status.Drops.Record += 25
		w.pass(1, false)
	}
	w.pass(40, true)
	want = append(want, "300-310 overload ")
	require.Equal(t, want, w.gaps())

	// At 350 the process dies with an open file, of which the first 5 s are saved.
	w.pass(8, true)
	w.n++
	saved := store.Segment{CameraID: "door", Path: fmt.Sprint(w.n), Start: w.file, End: w.file.Add(5 * time.Second)}
	w.file = time.Time{}
	w.wall, w.mono = w.wall.Add(42*time.Second), 0
	w.start()
	w.pass(3, false) // the model is being loaded
	_, err := w.records.AddSegment(t.Context(), saved)
	require.NoError(t, err)
	w.state(pipeline.StateConnecting)
	w.pass(2, false)
	w.state(pipeline.StateRunning)
	w.pass(45, true)
	want = append(want, "355-403 process_down ", "403-405 camera connecting")
	require.Equal(t, want, w.gaps())

	// At 450 recording is switched off, and on again while nothing else happens.
	w.record(store.RecordOff)
	w.pass(30, false)
	w.record(store.RecordContinuous)
	w.pass(40, true)
	want = append(want, "450-480 off ")
	require.Equal(t, want, w.gaps())

	// At 520 the clock is set an hour forward.
	w.close() // the recorder ends a file at a jump
	w.wall = w.wall.Add(time.Hour)
	w.pass(60, true)
	want = append(want, "520-4120 clock_jump ")
	require.Equal(t, want, w.gaps())

	// The clock is set back: the same time is recorded again.
	w.close()
	w.wall = w.wall.Add(-time.Minute)
	w.pass(120, true)
	require.Equal(t, want, w.gaps())

	require.Equal(t, []string{
		"true camera 15 s", "false camera 20 s", "true camera 15 s", "false camera 30 s",
		"true disk_full 15 s", "false disk_full 30 s", "true disk_error 15 s", "false disk_error 20 s",
	}, w.told[:8])
}

func TestSilentCamera(t *testing.T) {
	w := newWorld(t)
	w.state(pipeline.StateRunning)
	w.pass(20, true)
	w.pass(100, false) // it says that all is well and sends nothing
	require.Empty(t, w.gaps(), "its reason may still come")
	w.pass(60, false)
	require.Equal(t, []string{"20-145 no_video "}, w.gaps(), "what is younger waits for its reason")
}

func TestSwitchedOffWhileDown(t *testing.T) {
	w := newWorld(t)
	w.record(store.RecordOff)
	w.state(pipeline.StateRunning)
	w.pass(30, false)
	w.wall, w.mono = w.wall.Add(time.Hour), 0
	w.start()
	w.pass(30, false)
	require.Equal(t, []string{"0-3655 off "}, w.gaps(), "nothing is missing")
	require.Empty(t, w.told)
}

func TestDeletedCamera(t *testing.T) {
	w := newWorld(t)
	w.state(pipeline.StateLost)
	w.pass(30, false)
	require.NoError(t, w.records.DeleteCamera(t.Context(), "door", store.AnyRevision))
	require.NoError(t, w.stage.Account(t.Context()), "it is gone since the last look")
	require.NoError(t, w.stage.Look(t.Context()))
	require.NoError(t, w.stage.Account(t.Context()))
}
