package storetest

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"detectd/store"
)

const (
	racers = 50
	rounds = 4
)

// race lets many goroutines try the same conditional change at once and
// requires exactly one of them to win, the others to learn the new revision.
func race(t *testing.T, revision int64, change func(racer int) (int64, error)) {
	t.Helper()
	var wins atomic.Int64
	var group sync.WaitGroup
	start, errs := make(chan struct{}), make(chan error, racers)
	for i := range racers {
		group.Go(func() {
			<-start
			got, err := change(i)
			var re *store.RevisionError
			switch {
			case err == nil:
				wins.Add(1)
				if got != revision+1 {
					errs <- fmt.Errorf("won revision %d of %d", got, revision+1)
				}
			case !errors.As(err, &re) || re.Current != revision+1 || re.Given != revision:
				errs <- err
			}
		})
	}
	close(start)
	group.Wait()
	close(errs)
	for err := range errs {
		require.NoError(t, err)
	}
	require.EqualValues(t, 1, wins.Load(), "winners of revision %d", revision+1)
}

func revisionRace(t *testing.T, s store.Records) {
	addClient(t, s, "a")
	addCamera(t, s, "a", "door")
	for revision := range int64(rounds) {
		race(t, revision+1, func(racer int) (int64, error) {
			c, err := s.UpdateCamera(t.Context(), store.Camera{ID: "door", ClientID: "a", Name: fmt.Sprint(racer)}, revision+1)
			return c.Revision, err
		})
	}
}

func runningModelRace(t *testing.T, s store.Records) {
	addClient(t, s, "a")
	addVersion(t, s, "m", "aa")
	for revision := range int64(rounds) {
		race(t, revision, func(racer int) (int64, error) {
			r, err := s.PutRunningModel(t.Context(), store.RunningModel{ClientID: "a", Model: "m", UpdatedBy: fmt.Sprint(racer)}, revision)
			return r.Revision, err
		})
	}
	history, err := s.RunningModelHistory(t.Context(), "a", "")
	require.NoError(t, err)
	require.Len(t, history, rounds, "one revision for each winner, none for the losers")
	current, err := s.RunningModel(t.Context(), "a", "")
	require.NoError(t, err)
	require.Equal(t, current, history[0])
}

// modelChecks adds a derived version with a self-check, and takes it away.
func modelChecks(t *testing.T, s store.Records) {
	t.Helper()
	v, err := s.AddModelVersion(t.Context(), store.Model{Name: "checked"}, store.ModelVersion{
		SHA256: "cc", Contract: []byte(`{}`), Lineage: []byte(`{"parent":"checked@2"}`), Check: []byte(`{"verdict":"pass"}`), Overlay: "dd",
	})
	require.NoError(t, err)
	got, err := s.ModelVersion(t.Context(), "checked", v.Version)
	require.NoError(t, err)
	require.Equal(t, v, got)
	require.JSONEq(t, `{"parent":"checked@2"}`, string(got.Lineage))
	used, err := s.BlobInUse(t.Context(), "dd")
	require.NoError(t, err)
	require.True(t, used, "by the self-check's picture")
	require.NoError(t, s.DeleteModelVersion(t.Context(), "checked", v.Version))
	used, err = s.BlobInUse(t.Context(), "dd")
	require.NoError(t, err)
	require.False(t, used)
}

func models(t *testing.T, s store.Records) {
	ctx := t.Context()
	all, err := s.ListModels(ctx)
	require.NoError(t, err)
	require.NotNil(t, all)
	require.Empty(t, all)
	_, err = s.ModelVersion(ctx, "m", 0)
	requireMissing(t, err, `model "m": not found`)

	one, two := addVersion(t, s, "m", "aa"), addVersion(t, s, "m", "bb")
	other := addVersion(t, s, "l", "aa")
	require.Equal(t, []int{1, 2, 1}, []int{one.Version, two.Version, other.Version})
	require.Equal(t, "m", one.Model)

	same, err := s.AddModelVersion(ctx, store.Model{Name: "m"}, store.ModelVersion{SHA256: "aa", Family: "other", Contract: one.Contract})
	require.ErrorIs(t, err, store.ErrExists)
	require.EqualError(t, err, `model "m" version 1 with this file and contract: exists already`)
	require.Equal(t, one, same)
	first, err := s.AddModelVersion(ctx, store.Model{Name: "k"}, store.ModelVersion{SHA256: "aa", Contract: []byte(`{"family":"ssd"}`)})
	require.NoError(t, err)
	read, err := s.AddModelVersion(ctx, store.Model{Name: "k"}, store.ModelVersion{SHA256: "aa", Contract: []byte(`{"family":"yolox"}`)})
	require.NoError(t, err, "the same file read in another way is another version")
	require.Equal(t, []int{1, 2}, []int{first.Version, read.Version})
	require.NoError(t, s.DeleteModelVersion(ctx, "k", 1))
	require.NoError(t, s.DeleteModelVersion(ctx, "k", 2))

	for version, want := range map[int]store.ModelVersion{0: two, 1: one, 2: two} {
		got, err := s.ModelVersion(ctx, "m", version)
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	_, err = s.ModelVersion(ctx, "m", 3)
	requireMissing(t, err, `model "m" version 3: not found`)

	all, err = s.ListModels(ctx)
	require.NoError(t, err)
	require.Len(t, all, 2)
	require.Equal(t, []string{"l", "m"}, []string{all[0].Name, all[1].Name})
	require.Equal(t, "of m", all[1].Description)
	require.Equal(t, []store.ModelVersion{two, one}, all[1].Versions)

	modelChecks(t, s)
	used, err := s.BlobInUse(ctx, "aa")
	require.NoError(t, err)
	require.True(t, used)
	require.NoError(t, s.DeleteModelVersion(ctx, "l", 1))
	used, err = s.BlobInUse(ctx, "aa")
	require.NoError(t, err)
	require.True(t, used, "by the other model")
	require.NoError(t, s.DeleteModelVersion(ctx, "m", 1))
	used, err = s.BlobInUse(ctx, "aa")
	require.NoError(t, err)
	require.False(t, used)

	require.NoError(t, s.DeleteModelVersion(ctx, "m", 2))
	requireMissing(t, s.DeleteModelVersion(ctx, "m", 2), `model "m": not found`)
	all, err = s.ListModels(ctx)
	require.NoError(t, err)
	require.Empty(t, all)
	require.Equal(t, 3, addVersion(t, s, "m", "aa").Version, "numbers are not given twice")
	requireMissing(t, s.DeleteModelVersion(ctx, "m", 2), `model "m" version 2: not found`)
}

func modelsInUse(t *testing.T, s store.Records) {
	ctx := t.Context()
	addClient(t, s, "a")
	addCamera(t, s, "a", "door")
	for _, sha := range []string{"aa", "bb", "cc"} {
		addVersion(t, s, "m", sha)
	}
	_, err := s.PutRunningModel(ctx, store.RunningModel{ClientID: "a", Model: "m"}, 0)
	require.NoError(t, err)
	_, err = s.PutRunningModel(ctx, store.RunningModel{ClientID: "a", CameraID: "door", Model: "m", Version: 1}, 0)
	require.NoError(t, err)

	err = s.DeleteModelVersion(ctx, "m", 1)
	require.ErrorIs(t, err, store.ErrInUse)
	require.EqualError(t, err, `model "m" version 1: in use by camera "door" of client "a"`)
	require.ErrorIs(t, s.DeleteModelVersion(ctx, "m", 3), store.ErrInUse, "the newest is what version 0 means")
	require.NoError(t, s.DeleteModelVersion(ctx, "m", 2))
	_, err = s.DeleteRunningModel(ctx, "a", "", 1, author())
	require.NoError(t, err)
	require.NoError(t, s.DeleteModelVersion(ctx, "m", 3))
}

// newestSound: the newest version is one whose self-check has not failed.
func newestSound(t *testing.T, s store.Records) {
	ctx := t.Context()
	add := func(sha, check string) {
		_, err := s.AddModelVersion(ctx, store.Model{Name: "m"}, store.ModelVersion{SHA256: sha, Contract: []byte(`{}`), Check: []byte(check)})
		require.NoError(t, err)
	}
	newest := func() int {
		v, err := s.ModelVersion(ctx, "m", 0)
		require.NoError(t, err)
		return v.Version
	}
	add("aa", `{"verdict":"fail"}`)
	require.Equal(t, 1, newest(), "there is no other")
	add("bb", `{"verdict":"doubt"}`)
	require.Equal(t, 2, newest())
	add("cc", `{"verdict":"fail"}`)
	require.Equal(t, 2, newest())
	v, err := s.ModelVersion(ctx, "m", 3)
	require.NoError(t, err)
	require.True(t, v.CheckFailed())
	add("dd", ``)
	require.Equal(t, 4, newest())
	require.NoError(t, s.DeleteModelVersion(ctx, "m", 4))
	require.Equal(t, 2, newest())
}

func runningModels(t *testing.T, s store.Records) {
	ctx := t.Context()
	addClient(t, s, "a")
	addCamera(t, s, "a", "door")
	addVersion(t, s, "m", "aa")
	_, err := s.RunningModel(ctx, "a", "")
	requireMissing(t, err, `running model of client "a": not found`)
	_, err = s.RunningModel(ctx, "a", "door")
	requireMissing(t, err, `running model of camera "door" of client "a": not found`)

	of := store.RunningModel{
		ClientID: "a", Model: "m", Version: 1, MinScore: 0.4, Classes: []string{"person", "car"}, DetectFPS: 5,
		MinScores: map[string]float64{"car": 0.6}, NMSIoU: 0.5, NMSIoUs: map[string]float64{"person": 0.7}, Zones: []string{"yard"},
		FastFPS: 12, Provider: "cpu",
		UpdatedBy: "ann", Reason: "first",
	}
	_, err = s.PutRunningModel(ctx, of, 1)
	requireRevision(t, err, 1, 0)
	first, err := s.PutRunningModel(ctx, of, 0)
	require.NoError(t, err)
	of.Revision, of.UpdatedAt = 1, first.UpdatedAt
	require.Equal(t, of, first)
	_, err = s.PutRunningModel(ctx, of, 0)
	requireRevision(t, err, 0, 1)

	of.Version, of.Classes, of.UpdatedBy, of.Reason = 0, nil, "bob", "second"
	of.MinScores, of.NMSIoUs, of.Zones = nil, nil, nil
	second, err := s.PutRunningModel(ctx, of, 1)
	require.NoError(t, err)
	got, err := s.RunningModel(ctx, "a", "")
	require.NoError(t, err)
	require.Equal(t, second, got)

	camera, err := s.PutRunningModel(ctx, store.RunningModel{ClientID: "a", CameraID: "door", Model: "m"}, store.AnyRevision)
	require.NoError(t, err)
	require.EqualValues(t, 1, camera.Revision, "each record counts on its own")
	all, err := s.ListRunningModels(ctx)
	require.NoError(t, err)
	require.Equal(t, []store.RunningModel{second, camera}, all)

	_, err = s.DeleteRunningModel(ctx, "a", "", 1, author())
	requireRevision(t, err, 1, 2)
	gone, err := s.DeleteRunningModel(ctx, "a", "", 2, author())
	require.NoError(t, err)
	_, err = s.RunningModel(ctx, "a", "")
	require.ErrorIs(t, err, store.ErrNotFound)
	_, err = s.DeleteRunningModel(ctx, "a", "", store.AnyRevision, author())
	require.ErrorIs(t, err, store.ErrNotFound)
	last, err := s.RunningModelRevision(ctx, "a", "")
	require.NoError(t, err)
	require.EqualValues(t, 3, last, "that of the removal")
	_, err = s.PutRunningModel(ctx, of, 2)
	requireRevision(t, err, 2, 3)
	fourth, err := s.PutRunningModel(ctx, of, 3)
	require.NoError(t, err)
	require.EqualValues(t, 4, fourth.Revision, "numbers go on after a delete")

	history, err := s.RunningModelHistory(ctx, "a", "")
	require.NoError(t, err)
	require.Len(t, history, 4)
	require.Equal(t, []store.RunningModel{fourth, second, first}, []store.RunningModel{history[0], history[2], history[3]})
	require.Equal(t, gone, history[1], "to delete is a revision with its own who and why")
	_, err = s.DeleteRunningModel(ctx, "a", "", 4, author())
	require.NoError(t, err)
	_, err = s.PutRunningModel(ctx, of, 0)
	require.NoError(t, err, "no record is still no record")
	last, err = s.RunningModelRevision(ctx, "a", "none")
	require.NoError(t, err)
	require.Zero(t, last)
	require.Equal(t, []any{true, int64(3), "ann", "because"}, []any{gone.Deleted, gone.Revision, gone.UpdatedBy, gone.Reason})
	require.Equal(t, second.Model, gone.Model, "it says what was there before")
}

func runningModelPlaces(t *testing.T, s store.Records) {
	ctx := t.Context()
	addClient(t, s, "a")
	addClient(t, s, "b")
	door := addCamera(t, s, "a", "door")
	addVersion(t, s, "m", "aa")
	for _, c := range []struct {
		of   store.RunningModel
		want string
	}{
		{store.RunningModel{ClientID: "x", Model: "m"}, `client "x": not found`},
		{store.RunningModel{ClientID: "a", CameraID: "x", Model: "m"}, `camera "x": not found`},
		{store.RunningModel{ClientID: "b", CameraID: "door", Model: "m"}, `camera "door" of client "b": not found`},
		{store.RunningModel{ClientID: "a", Model: "x"}, `model "x": not found`},
		{store.RunningModel{ClientID: "a", Model: "m", Version: 7}, `model "m" version 7: not found`},
	} {
		_, err := s.PutRunningModel(ctx, c.of, 0)
		requireMissing(t, err, c.want)
	}

	_, err := s.PutRunningModel(ctx, store.RunningModel{ClientID: "a", CameraID: "door", Model: "m"}, 0)
	require.NoError(t, err)
	door.ClientID = "b"
	_, err = s.UpdateCamera(ctx, door, 1)
	require.NoError(t, err)
	_, err = s.RunningModel(ctx, "a", "door")
	require.ErrorIs(t, err, store.ErrNotFound, "the record does not follow the camera to another client")

	_, err = s.PutRunningModel(ctx, store.RunningModel{ClientID: "a", Model: "m"}, 0)
	require.NoError(t, err)
	require.NoError(t, s.DeleteClient(ctx, "a", 1))
	history, err := s.RunningModelHistory(ctx, "a", "")
	require.NoError(t, err)
	require.Len(t, history, 2, "the history outlives the client")
}

// author is who makes the suite's changes.
func author() store.Author { return store.Author{By: "ann", Why: "because"} }

// followedAliases has running models follow an alias.
func followedAliases(t *testing.T, s store.Records) {
	ctx := t.Context()
	addClient(t, s, "a")
	addCamera(t, s, "a", "door")
	for _, sha := range []string{"aa", "bb", "cc"} {
		addVersion(t, s, "m", sha)
	}
	follow := store.RunningModel{ClientID: "a", CameraID: "door", Model: "m", Alias: "champion"}
	_, err := s.PutRunningModel(ctx, follow, 0)
	requireMissing(t, err, `alias "champion" of model "m": not found`)
	require.NoError(t, s.SetAlias(ctx, "m", "champion", 1, 0, author()))
	both := follow
	both.Version = 1
	_, err = s.PutRunningModel(ctx, both, 0)
	require.ErrorContains(t, err, "only one of them")
	set, err := s.PutRunningModel(ctx, follow, 0)
	require.NoError(t, err)
	require.Equal(t, "champion", set.Alias)
	got, err := s.RunningModel(ctx, "a", "door")
	require.NoError(t, err)
	require.Equal(t, set, got)

	require.EqualError(t, s.DeleteAlias(ctx, "m", "champion", 1, author()), `alias "champion" of model "m": in use by camera "door" of client "a"`)
	require.EqualError(t, s.DeleteModelVersion(ctx, "m", 1),
		`model "m" version 1: alias champion: in use by camera "door" of client "a"; move the alias first`)
	_, err = s.DeleteModel(ctx, "m")
	require.EqualError(t, err, `model "m": in use by camera "door" of client "a"`)
	require.NoError(t, s.DeleteModelVersion(ctx, "m", 3), "the alias does not follow the newest")
	require.NoError(t, s.SetAlias(ctx, "m", "champion", 2, 1, store.Author{By: "bob", Why: "better at night"}))
	require.NoError(t, s.SetAlias(ctx, "m", "champion", 2, 2, author()), "which moves nothing")
	require.NoError(t, s.DeleteModelVersion(ctx, "m", 1))
	_, err = s.DeleteRunningModel(ctx, "a", "door", 1, author())
	require.NoError(t, err)
	require.NoError(t, s.SetAlias(ctx, "m", "canary", 2, 0, author()))
	require.NoError(t, s.DeleteAlias(ctx, "m", "champion", 2, author()))

	moves, err := s.AliasHistory(ctx, "m", "champion")
	require.NoError(t, err)
	require.Len(t, moves, 3)
	for i, want := range []store.AliasMove{
		{From: 2, To: 0, Author: author()}, {From: 1, To: 2, Author: store.Author{By: "bob", Why: "better at night"}}, {From: 0, To: 1, Author: author()},
	} {
		require.False(t, moves[i].At.IsZero())
		want.Model, want.Alias, want.At = "m", "champion", moves[i].At
		require.Equal(t, want, moves[i])
	}
	all, err := s.AliasHistory(ctx, "m", "")
	require.NoError(t, err)
	require.Len(t, all, 4)
}
