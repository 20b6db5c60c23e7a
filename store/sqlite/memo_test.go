package sqlite

import (
	"fmt"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"detectd/store"
)

// TestReadsWhatWasWritten: whoever has made a change reads it, also while others read
// and write all the time.
func TestReadsWhatWasWritten(t *testing.T) {
	s := openTest(t, filepath.Join(t.TempDir(), "detectd.db"))
	ctx := t.Context()
	_, err := s.CreateClient(ctx, store.Client{ID: "a"})
	require.NoError(t, err)
	for _, sha := range []string{"aa", "bb"} {
		_, err := s.AddModelVersion(ctx, store.Model{Name: "m"}, store.ModelVersion{SHA256: sha, Contract: []byte(`{}`)})
		require.NoError(t, err)
	}
	const editors, edits = 4, 25
	var group sync.WaitGroup
	for e := range editors {
		camera := fmt.Sprint("door", e)
		_, err := s.CreateCamera(ctx, store.Camera{ID: camera, ClientID: "a"})
		require.NoError(t, err)
		group.Go(func() {
			for n := range int64(edits) {
				put, err := s.PutRunningModel(ctx, store.RunningModel{ClientID: "a", CameraID: camera, Model: "m", MinScore: float64(n+1) / 100}, n)
				if !assertNoError(t, err) {
					return
				}
				got, err := s.RunningModel(ctx, "a", camera)
				if !assertNoError(t, err) || got.Revision != put.Revision || got.MinScore != put.MinScore {
					t.Errorf("read revision %d after writing %d", got.Revision, put.Revision)
					return
				}
			}
		})
	}
	group.Wait()
	all, err := s.ListRunningModels(ctx)
	require.NoError(t, err)
	require.Len(t, all, editors)
	require.True(t, s.memo.known, "held when nothing is written")
	all[0].Model = "other"
	again, err := s.ListRunningModels(ctx)
	require.NoError(t, err)
	require.Equal(t, "m", again[0].Model, "the slice is the caller's")

	for _, version := range []int{1, 2} {
		require.NoError(t, s.SetAlias(ctx, "m", "champion", version, version-1, store.Author{}))
		v, err := s.AliasVersion(ctx, "m", "champion")
		require.NoError(t, err)
		require.Equal(t, version, v.Version)
	}
	v, err := s.ModelVersion(ctx, "m", 0)
	require.NoError(t, err)
	require.Equal(t, 2, v.Version)
	_, err = s.AliasVersion(ctx, "m", "")
	require.ErrorIs(t, err, store.ErrNotFound)
	require.NoError(t, s.DeleteCamera(ctx, "door0", store.AnyRevision))
	_, err = s.RunningModel(ctx, "a", "door0")
	require.ErrorIs(t, err, store.ErrNotFound)
}

func assertNoError(t *testing.T, err error) bool {
	t.Helper()
	if err != nil {
		t.Error(err)
	}
	return err == nil
}
