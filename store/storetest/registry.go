package storetest

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"detectd/store"
)

func registry(t *testing.T, s store.Records) {
	ctx := t.Context()
	addVersion(t, s, "m", "aa")
	addVersion(t, s, "m", "bb")
	m, err := s.Model(ctx, "m", false)
	require.NoError(t, err)
	require.Equal(t, "m", m.Label)

	// Aliases are never moved unseen.
	require.NoError(t, s.SetAlias(ctx, "m", "champion", 1, 0, author()))
	err = s.SetAlias(ctx, "m", "champion", 2, 0, author())
	require.ErrorIs(t, err, store.ErrRevision)
	require.EqualError(t, err, "m@champion names version 1, the change expects no version")
	require.ErrorIs(t, s.SetAlias(ctx, "m", "canary", 1, 2, author()), store.ErrRevision)
	requireMissing(t, s.SetAlias(ctx, "m", "canary", 3, 0, author()), `model "m" version 3: not found`)
	requireMissing(t, s.SetAlias(ctx, "n", "canary", 1, 0, author()), `model "n": not found`)
	require.NoError(t, s.SetAlias(ctx, "m", "champion", 2, 1, author()))
	v, err := s.AliasVersion(ctx, "m", "champion")
	require.NoError(t, err)
	require.Equal(t, 2, v.Version)
	require.Equal(t, []string{"champion"}, v.Aliases)
	err = s.DeleteModelVersion(ctx, "m", 2)
	require.ErrorIs(t, err, store.ErrInUse)
	require.ErrorContains(t, err, "alias champion")
	require.NoError(t, s.DeleteModelVersion(ctx, "m", 1))
	require.ErrorIs(t, s.DeleteAlias(ctx, "m", "champion", 1, author()), store.ErrRevision)
	require.NoError(t, s.DeleteAlias(ctx, "m", "champion", 2, author()))
	require.ErrorIs(t, s.DeleteAlias(ctx, "m", "champion", store.AnyVersion, author()), store.ErrNotFound)
	_, err = s.AliasVersion(ctx, "m", "champion")
	requireMissing(t, err, `alias "champion" of model "m": not found`)

	// What is said about a model is under revision.
	m, err = s.Model(ctx, "m", false)
	require.NoError(t, err)
	changed, err := s.ChangeModel(ctx, "m", store.ModelChange{Description: new("new"), SetTags: map[string]string{"team": "zoo", "a": ""}}, m.Revision)
	require.NoError(t, err)
	require.Equal(t, m.Revision+1, changed.Revision)
	require.Equal(t, map[string]string{"team": "zoo", "a": ""}, changed.Tags)
	_, err = s.ChangeModel(ctx, "m", store.ModelChange{Description: new("other")}, m.Revision)
	require.ErrorIs(t, err, store.ErrRevision)
	_, err = s.ChangeModel(ctx, "m", store.ModelChange{RemoveTags: []string{"none"}}, store.AnyRevision)
	require.ErrorIs(t, err, store.ErrNotFound)
	v, err = s.ChangeVersion(ctx, "m", 2, store.ModelChange{Description: new("second"), Stage: new("Staging"), SetTags: map[string]string{"k": "v"}})
	require.NoError(t, err)
	require.Equal(t, "second", v.Description)
	require.Equal(t, map[string]string{"k": "v"}, v.Tags)
	v, err = s.ChangeVersion(ctx, "m", 2, store.ModelChange{Licence: new("MIT"), Source: new("us")})
	require.NoError(t, err)
	require.Equal(t, []string{"MIT", "us", "second"}, []string{v.Licence, v.Source, v.Description})
	again, err := s.ModelVersion(ctx, "m", 0)
	require.NoError(t, err)
	require.Equal(t, v, again)

	// A self-check can be repeated.
	require.Zero(t, again.CheckedAt)
	first, before, err := s.SetModelCheck(ctx, "m", 2, []byte(`{"verdict":"fail"}`), "p1")
	require.NoError(t, err)
	require.Empty(t, before)
	require.JSONEq(t, `{"verdict":"fail"}`, string(first.Check))
	require.False(t, first.CheckedAt.Before(first.CreatedAt))
	require.Equal(t, again.UpdatedAt, first.UpdatedAt, "nobody said anything else of it")
	second, before, err := s.SetModelCheck(ctx, "m", 2, []byte(`{"verdict":"pass"}`), "p2")
	require.NoError(t, err)
	require.Equal(t, "p1", before)
	stored, err := s.ModelVersion(ctx, "m", 2)
	require.NoError(t, err)
	require.Equal(t, second, stored)
	used, err := s.BlobInUse(ctx, "p1")
	require.NoError(t, err)
	require.False(t, used)
	_, _, err = s.SetModelCheck(ctx, "m", 9, []byte(`{}`), "")
	requireMissing(t, err, `model "m" version 9: not found`)

	// Searches.
	addVersion(t, s, "other", "cc")
	for field, want := range map[string][]string{"tag": {"m"}, "name": {"other"}, "text": {"m"}} {
		term := map[string]store.Term{
			"tag":  {Field: "tag", Key: "team", Op: "=", Value: "zoo"},
			"name": {Field: "name", Op: "LIKE", Value: "%the_"},
			"text": {Field: "text", Op: "ILIKE", Value: "%TEAM=Z%"},
		}[field]
		found, err := s.SearchModels(ctx, store.Search{Terms: []store.Term{term}})
		require.NoError(t, err, field)
		names := []string{}
		for _, m := range found {
			names = append(names, m.Name)
		}
		require.Equal(t, want, names, field)
	}
	for want, terms := range map[string][]store.Term{
		"m":       {{Field: "text", Op: "ILIKE", Value: "%TEAM=Z%"}, {Field: "empty", Op: "=", Value: 0.0}, {Field: "text", Op: "ILIKE", Value: "%a=%"}},
		"m other": {{Field: "empty", Op: "!=", Value: 1.0}},
		"":        {{Field: "text", Op: "ILIKE", Value: "%TEAM=Z%"}, {Field: "text", Op: "ILIKE", Value: "%other%"}},
	} {
		found, err := s.SearchModels(ctx, store.Search{Terms: terms})
		require.NoError(t, err)
		names := []string{}
		for _, m := range found {
			names = append(names, m.Name)
		}
		require.Equal(t, want, strings.Join(names, " "), terms)
	}
	found, err := s.SearchVersions(ctx, store.Search{Terms: []store.Term{{Field: "tag", Key: "k", Op: "IN", Value: []string{"v", "w"}}, {Field: "version", Op: ">", Value: 1.0}}})
	require.NoError(t, err)
	require.Len(t, found, 1)
	for _, bad := range []store.Search{
		{Terms: []store.Term{{Field: "password", Op: "="}}}, {Terms: []store.Term{{Field: "name", Op: "; DROP"}}}, {Order: []store.Order{{Field: "alias"}}},
	} {
		_, err := s.SearchModels(ctx, bad)
		require.Error(t, err)
	}

	latest, err := s.LatestVersions(ctx, "m", "other", "none")
	require.NoError(t, err)
	require.Len(t, latest, 2)
	require.Equal(t, []string{"m", "Staging", "other", ""}, []string{latest[0].Model, latest[0].Stage, latest[1].Model, latest[1].Stage})
	latest, err = s.LatestVersions(ctx)
	require.NoError(t, err)
	require.Empty(t, latest)

	deleteAndBringBack(t, s)
}

func deleteAndBringBack(t *testing.T, s store.Records) {
	ctx := t.Context()
	_, err := s.CreateModel(ctx, store.Model{Name: "m", Label: "M"})
	require.ErrorIs(t, err, store.ErrExists)
	blobs, err := s.DeleteModel(ctx, "m")
	require.NoError(t, err)
	require.Equal(t, []string{"bb", "p2"}, blobs)
	_, err = s.Model(ctx, "m", false)
	require.ErrorIs(t, err, store.ErrNotFound)
	empty, err := s.CreateModel(ctx, store.Model{Name: "m", Label: "The M", Tags: map[string]string{"x": "y"}})
	require.NoError(t, err)
	require.Equal(t, map[string]string{"x": "y"}, empty.Tags)
	byLabel, err := s.Model(ctx, "The M", true)
	require.NoError(t, err)
	require.Equal(t, empty, byLabel)
	_, err = s.ChangeModel(ctx, "m", store.ModelChange{Label: new("other")}, store.AnyRevision)
	require.ErrorIs(t, err, store.ErrExists)
	require.Equal(t, 3, addVersion(t, s, "m", "aa").Version, "numbers are not given twice")

	addClient(t, s, "a")
	_, err = s.PutRunningModel(ctx, store.RunningModel{ClientID: "a", Model: "m"}, 0)
	require.NoError(t, err)
	_, err = s.DeleteModel(ctx, "m")
	require.ErrorIs(t, err, store.ErrInUse)
}

func tracking(t *testing.T, s store.Records) {
	ctx := t.Context()
	e, err := s.Experiment(ctx, 0)
	require.NoError(t, err)
	require.Equal(t, "Default", e.Name)
	e, err = s.CreateExperiment(ctx, store.Experiment{Name: "yard", Tags: []store.Text{{Key: "a", Value: "b"}}})
	require.NoError(t, err)
	require.Positive(t, e.ID)
	_, err = s.CreateExperiment(ctx, store.Experiment{Name: "yard"})
	require.ErrorIs(t, err, store.ErrExists)

	require.ErrorIs(t, s.CreateRun(ctx, store.Run{ID: "r", ExperimentID: 99}), store.ErrNotFound)
	require.NoError(t, s.CreateRun(ctx, store.Run{ID: "r", ExperimentID: e.ID, Status: "RUNNING", Start: 5}))
	metrics := []store.Metric{{Key: "ap", Value: 0.5, Time: 1}, {Key: "ap", Value: math.NaN(), Time: 2, Step: 1}, {Key: "inf", Value: math.Inf(1)}, {Key: "ap", Value: 0.5, Time: 1}}
	params := []store.Text{{Key: "lr", Value: "0.1"}}
	require.NoError(t, s.LogRun(ctx, "r", metrics, params, nil))
	require.NoError(t, s.LogRun(ctx, "r", nil, params, nil), "the same value again")
	require.ErrorIs(t, s.LogRun(ctx, "r", metrics, []store.Text{{Key: "lr", Value: "0.2"}}, []store.Text{{Key: "not", Value: "kept"}}), store.ErrExists)
	require.ErrorIs(t, s.LogRun(ctx, "none", metrics, nil, nil), store.ErrNotFound)
	r, err := s.Run(ctx, "r")
	require.NoError(t, err)
	require.Empty(t, r.Tags)
	require.Equal(t, params, r.Params)
	require.Len(t, r.Metrics, 2)
	require.True(t, math.IsNaN(r.Metrics[0].Value), "the newest")
	require.True(t, math.IsInf(r.Metrics[1].Value, 1))
	history, err := s.MetricHistory(ctx, "r", "ap", 10, 0)
	require.NoError(t, err)
	require.Len(t, history, 2, "what came twice is one")
	found, err := s.SearchRuns(ctx, store.Search{Terms: []store.Term{{Field: "metric", Key: "inf", Op: ">", Value: 1.0}, {Field: "param", Key: "lr", Op: "=", Value: "0.1"}}})
	require.NoError(t, err)
	require.Len(t, found, 1)

	m, err := s.CreateLoggedModel(ctx, store.LoggedModel{ID: "m-1", ExperimentID: e.ID, Name: "model", RunID: "r", Status: "PENDING", Tags: params})
	require.NoError(t, err)
	street := store.Input{Name: "street", Digest: "d1", SourceType: "local", Source: `{"uri":"street"}`, Schema: "{}", Tags: []store.Text{{Key: "mlflow.data.context", Value: "training"}}}
	require.NoError(t, s.AddInputs(ctx, "r", []store.Input{street, {ModelID: m.ID}}))
	street.Tags[0].Value = "eval"
	require.NoError(t, s.AddInputs(ctx, "r", []store.Input{street}))
	requireMissing(t, s.AddInputs(ctx, "none", []store.Input{street}), `run "none": not found`)
	with, err := s.Run(ctx, "r")
	require.NoError(t, err)
	require.Equal(t, []store.Input{street, {ModelID: m.ID}}, with.Inputs)
	for name, want := range map[string]int{"street": 1, "yard": 0} {
		found, err := s.SearchRuns(ctx, store.Search{Terms: []store.Term{{Field: "input", Op: "=", Value: name}}})
		require.NoError(t, err)
		require.Len(t, found, want, name)
	}
	require.NoError(t, s.AddOutputs(ctx, "r", []store.Output{{ModelID: m.ID, Step: 2}}))
	require.NoError(t, s.FinishLoggedModel(ctx, "m-1", "READY", ""))
	for i := range 3 {
		require.NoError(t, s.PutArtifact(ctx, store.Artifact{Path: fmt.Sprintf("1/m/%d", i), SHA256: "aa", Size: 5}))
	}
	require.NoError(t, s.PutArtifact(ctx, store.Artifact{Path: "1/m0", SHA256: "bb"}), "a neighbour")
	below, err := s.ListArtifacts(ctx, "1/m")
	require.NoError(t, err)
	require.Len(t, below, 3)
	used, err := s.BlobInUse(ctx, "aa")
	require.NoError(t, err)
	require.True(t, used)
	require.NoError(t, s.DeleteLoggedModel(ctx, "m-1", "1/m"))
	used, err = s.BlobInUse(ctx, "aa")
	require.NoError(t, err)
	require.False(t, used)
	n, err := s.DeleteArtifacts(ctx, "1/m0")
	require.NoError(t, err)
	require.Equal(t, 1, n)
}
