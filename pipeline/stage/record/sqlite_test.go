package record_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"detectd/pipeline/frame"
	"detectd/pipeline/playback"
	"detectd/pipeline/simulate"
	"detectd/pipeline/stage/record"
	"detectd/pipeline/stage/retain"
	"detectd/store"
	"detectd/store/sqlite"
)

// TestWithTheRealIndex records, finds a frame by its time, and lets retention
// delete the older half.
func TestWithTheRealIndex(t *testing.T) {
	ctx := t.Context()
	db, err := sqlite.Open(ctx, filepath.Join(t.TempDir(), "detectd.db"), quiet)
	require.NoError(t, err)
	defer db.Close()
	_, err = db.CreateClient(ctx, store.Client{ID: "home"})
	require.NoError(t, err)
	_, err = db.CreateCamera(ctx, store.Camera{ID: "door", ClientID: "home"})
	require.NoError(t, err)

	root := t.TempDir()
	c := camera(t, simulate.Spec{BFrames: 2, FPS: 25, Frames: 100, GOP: 25})
	for range 2 { // the second run finds nothing to take up
		r, err := record.New(record.Config{Root: root, CameraID: "door", SegmentLength: time.Second}, db, quiet, record.Hooks{
			Salvaged: func(kept, removed int) { t.Errorf("salvaged %d, removed %d", kept, removed) },
		})
		require.NoError(t, err)
		run(t, r, c)
		c.units = nil
	}
	var pool frame.Pool
	defer pool.Close()
	for _, want := range []int{0, 24, 25, 60, 99} {
		at := start.Add(time.Duration(want) * tick)
		s, err := db.SegmentAt(ctx, "door", at, time.Second)
		require.NoError(t, err)
		f, offset, err := playback.FrameAt(ctx, filepath.Join(root, s.Path), at.Sub(s.Start), &pool)
		require.NoError(t, err)
		require.Equal(t, want, simulate.IndexOf(f.AV()))
		require.WithinDuration(t, at, s.Start.Add(offset), time.Millisecond)
		f.Release()
	}

	all, _, err := db.ListSegments(ctx, "door", store.Range{}, store.Page{})
	require.NoError(t, err)
	require.Len(t, all, 4)
	keeper, err := retain.New(retain.Config{Root: root, MaxBytes: all[2].Bytes + all[3].Bytes}, db, quiet, nil)
	require.NoError(t, err)
	require.NoError(t, keeper.Sweep(ctx))
	left, _, err := db.ListSegments(ctx, "door", store.Range{}, store.Page{})
	require.NoError(t, err)
	require.Equal(t, all[2:], left)
	for i, s := range all {
		_, err := os.Stat(filepath.Join(root, s.Path))
		require.Equal(t, i >= 2, err == nil)
	}
}
