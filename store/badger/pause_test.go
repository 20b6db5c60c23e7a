package badger

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"detectd/store"
)

func TestPause(t *testing.T) {
	s := openTest(t, t.TempDir(), time.Hour, quiet())
	put(t, s, 14, 10)
	require.True(t, s.Writable())
	require.NoError(t, s.Pause(true))
	require.False(t, s.Writable())
	require.ErrorIs(t, s.PutAnnotations(t.Context(), []store.Annotation{{CameraID: "door", Time: somewhen(15)}}), store.ErrPaused)
	require.ErrorIs(t, s.PutInferences(t.Context(), []store.Inference{{CameraID: "door", Time: somewhen(15)}}), store.ErrPaused)
	require.ErrorIs(t, s.DropCamera(t.Context(), "door"), store.ErrPaused)
	got, err := s.Annotations(t.Context(), "door", store.Range{}, 0)
	require.NoError(t, err)
	require.Len(t, got, 10, "reading goes on")
	require.NoError(t, s.Pause(false))
	put(t, s, 15, 1)
	require.Positive(t, s.Size())
}

func TestOpenPaused(t *testing.T) {
	dir := t.TempDir()
	s, err := OpenPaused(dir, time.Hour, quiet())
	require.NoError(t, err)
	require.ErrorIs(t, s.PutInferences(t.Context(), []store.Inference{{CameraID: "door", Time: somewhen(15)}}), store.ErrPaused)
	got, err := s.Annotations(t.Context(), "door", store.Range{}, 0)
	require.NoError(t, err)
	require.Empty(t, got)
	_, err = s.AnnotationAt(t.Context(), "door", somewhen(15), time.Hour)
	require.ErrorIs(t, err, store.ErrNotFound)
	rows, next, err := s.ListDetections(t.Context(), store.DetectionQuery{Label: "person"}, store.Page{})
	require.NoError(t, err)
	require.Empty(t, rows)
	require.Empty(t, next)
	require.Zero(t, s.Size(), "the disk was not touched")

	require.NoError(t, s.Pause(false))
	put(t, s, 15, 1)
	require.NoError(t, s.Close())
	require.ErrorIs(t, s.Pause(false), errClosed)

	s, err = OpenPaused(dir, time.Hour, quiet())
	require.NoError(t, err)
	require.NoError(t, s.Close(), "never opened")
}
