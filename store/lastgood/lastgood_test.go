package lastgood_test

import (
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"detectd/store"
	"detectd/store/lastgood"
	"detectd/store/sqlite"
)

func open(t *testing.T) *sqlite.Store {
	t.Helper()
	s, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "x.db"), slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

func TestCopyStartsAnotherDatabase(t *testing.T) {
	ctx, s := t.Context(), open(t)
	_, err := s.CreateClient(ctx, store.Client{ID: "site", Name: "Site"})
	require.NoError(t, err)
	_, err = s.CreateCamera(ctx, store.Camera{ID: "door", ClientID: "site", Name: "Door", URL: "rtsp://x/1", Username: "u", Password: "s3cret", Enabled: true})
	require.NoError(t, err)
	for _, sha := range []string{"aa", "bb", "cc", "dd"} {
		_, err = s.AddModelVersion(ctx, store.Model{Name: "yard"}, store.ModelVersion{SHA256: sha, Contract: []byte(`{}`)})
		require.NoError(t, err)
	}
	_, err = s.AddModelVersion(ctx, store.Model{Name: "default"}, store.ModelVersion{SHA256: "ee", Contract: []byte(`{}`)})
	require.NoError(t, err)
	require.NoError(t, s.SetAlias(ctx, "yard", "champion", 2, 0, store.Author{}))
	_, err = s.PutRunningModel(ctx, store.RunningModel{ClientID: "site", Model: "yard", Version: 3}, 0)
	require.NoError(t, err)
	for revision := range int64(3) {
		_, err = s.PutRunningModel(ctx, store.RunningModel{
			ClientID: "site", CameraID: "door", Model: "yard", Alias: "champion", MinScores: map[string]float64{"car": 0.5}, UpdatedBy: "ann",
		}, revision)
		require.NoError(t, err)
	}
	_, err = s.PutZoneMap(ctx, store.ZoneMap{CameraID: "door", Masks: []store.Mask{{ID: "m", Polygon: []store.Point{{0, 0}, {1, 0}, {1, 1}}}}}, 0)
	require.NoError(t, err)

	e, err := store.ReadEssentials(ctx, s, "default")
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "last-good.json")
	_, err = lastgood.Read(path)
	require.ErrorIs(t, err, fs.ErrNotExist)
	require.NoError(t, lastgood.Write(path, store.Essentials{}))
	require.NoError(t, lastgood.Write(path, e), "in place of the old one")
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, fs.FileMode(0o600), info.Mode())
	got, err := lastgood.Read(path)
	require.NoError(t, err)

	other := open(t)
	require.NoError(t, other.Seed(ctx, got))
	camera, err := other.Camera(ctx, "door")
	require.NoError(t, err)
	require.Equal(t, store.Secret("s3cret"), camera.Password)
	was, err := s.ListRunningModels(ctx)
	require.NoError(t, err)
	is, err := other.ListRunningModels(ctx)
	require.NoError(t, err)
	require.Equal(t, was, is, "revisions included")
	v, err := other.AliasVersion(ctx, "yard", "champion")
	require.NoError(t, err)
	require.Equal(t, []any{2, "bb"}, []any{v.Version, v.SHA256})
	_, err = other.ModelVersion(ctx, "yard", 3)
	require.NoError(t, err)
	_, err = other.ModelVersion(ctx, "yard", 1)
	require.ErrorIs(t, err, store.ErrNotFound, "which nothing runs")
	maps, err := other.ListZoneMaps(ctx)
	require.NoError(t, err)
	require.Len(t, maps, 1)

	data, err := os.ReadFile(path)
	require.NoError(t, err)
	data[len(data)-3]++
	require.NoError(t, os.WriteFile(path, data, 0o600))
	_, err = lastgood.Read(path)
	require.ErrorIs(t, err, lastgood.ErrDamaged)
}
