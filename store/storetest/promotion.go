package storetest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"detectd/store"
)

func measurements(t *testing.T, s store.Records) {
	ctx := t.Context()
	addVersion(t, s, "m", "aa")
	addVersion(t, s, "m", "bb")
	addVersion(t, s, "n", "cc")
	at := time.Date(2026, 11, 25, 9, 30, 18, 123_000_000, time.UTC)
	add := func(m store.Measurement) store.Measurement {
		got, err := s.AddMeasurement(ctx, m)
		require.NoError(t, err)
		return got
	}
	ap := store.Measurement{
		Model: "m", Version: 1, Kind: store.Accuracy, Time: at, Machine: "EPYC, 2 cores", Provider: "cpu", By: "cli",
		Dataset: "street", Digest: "d1", Pictures: 128, Figures: [12]float64{0.25, 0.5, 11: -1},
	}
	first := add(ap)
	ap.Figures[0], ap.Digest = 0.3, "d2"
	second := add(ap)
	ap.Dataset = "yard"
	yard := add(ap)
	speed := add(store.Measurement{Model: "m", Version: 2, Kind: store.Speed, Machine: "EPYC, 2 cores", Samples: 40, P50: 9 * time.Millisecond, P95: 12 * time.Millisecond})
	require.WithinDuration(t, time.Now(), speed.Time, time.Minute)
	require.InDelta(t, 0.3, second.AP(), 0)
	require.InDelta(t, -1, speed.AP(), 0)
	add(store.Measurement{Model: "n", Version: 1, Kind: store.Speed})

	all, err := s.ListMeasurements(ctx, "m", 1)
	require.NoError(t, err)
	require.Equal(t, []store.Measurement{yard, second, first}, all)
	newest, err := s.NewestMeasurements(ctx, store.VersionKey{Model: "m", Version: 1}, store.VersionKey{Model: "m", Version: 2}, store.VersionKey{Model: "m", Version: 3})
	require.NoError(t, err)
	require.Equal(t, []store.Measurement{speed, yard, second}, newest)
	newest, err = s.NewestMeasurements(ctx, store.VersionKey{Model: "m", Version: 1})
	require.NoError(t, err)
	require.Equal(t, []store.Measurement{yard, second}, newest, "of that version alone")
	newest, err = s.NewestMeasurements(ctx)
	require.NoError(t, err)
	require.Empty(t, newest)

	ap.Version = 3
	_, err = s.AddMeasurement(ctx, ap)
	requireMissing(t, err, `model "m" version 3: not found`)
	_, err = s.ListMeasurements(ctx, "m", 3)
	require.ErrorIs(t, err, store.ErrNotFound)
	require.NoError(t, s.DeleteModelVersion(ctx, "m", 1), "measurements go with their version")
	newest, err = s.NewestMeasurements(ctx, store.VersionKey{Model: "m", Version: 1}, store.VersionKey{Model: "m", Version: 2}, store.VersionKey{Model: "n", Version: 1})
	require.NoError(t, err)
	require.Len(t, newest, 2)
}

func gates(t *testing.T, s store.Records) {
	ctx := t.Context()
	addVersion(t, s, "m", "aa")
	g, err := s.AliasGates(ctx, "m", "champion")
	require.NoError(t, err)
	require.Equal(t, store.Gates{Model: "m", Alias: "champion", Rules: store.DefaultGates()}, g)
	want := store.Gates{Model: "m", Alias: "champion", UpdatedBy: "me", Reason: "why", Rules: store.GateRules{
		SelfCheck: store.CheckPassed, MaxP95: 20 * time.Millisecond, MaxBytes: 1 << 20,
		Accuracy: []store.AccuracyGate{{Dataset: "street", MinAP: 0.3, MaxLoss: new(0.01)}},
	}}
	g, err = s.PutGates(ctx, want, 0)
	require.NoError(t, err)
	require.Equal(t, int64(1), g.Revision)
	_, err = s.PutGates(ctx, want, 0)
	require.ErrorIs(t, err, store.ErrRevision)
	got, err := s.AliasGates(ctx, "m", "champion")
	require.NoError(t, err)
	require.Equal(t, g, got)
	list, err := s.ListGates(ctx, "m")
	require.NoError(t, err)
	require.Equal(t, []store.Gates{g}, list)
	want.Model = "none"
	_, err = s.PutGates(ctx, want, 0)
	requireMissing(t, err, `model "none": not found`)
	_, err = s.DeleteModel(ctx, "m")
	require.NoError(t, err)
	list, err = s.ListGates(ctx, "m")
	require.NoError(t, err)
	require.Empty(t, list)
}

func promotions(t *testing.T, s store.Records) {
	ctx := t.Context()
	addVersion(t, s, "m", "aa")
	addVersion(t, s, "m", "bb")
	require.NoError(t, s.SetAlias(ctx, "m", "champion", 1, 0, store.Author{}))
	addClient(t, s, "site")
	addCamera(t, s, "site", "door")
	p := store.Promotion{
		ID: "p1", Model: "m", Version: 2, Alias: "champion", ClientID: "site", State: store.PromotionShadow, Cameras: []string{"door"},
		Share: 0.1, Bands: store.DefaultBands(), Period: time.Minute, ChampionModel: "m", ChampionVersion: 1, By: "me", Reason: "better",
	}
	started, changed, err := s.StepPromotion(ctx, store.PromotionStep{Promotion: p, Events: []store.Event{{Kind: "promotion", Message: "began"}}})
	require.NoError(t, err)
	require.Empty(t, changed)
	require.Equal(t, int64(1), started.Revision)

	// One at a time, and what it needs stays.
	p.ID = "p2"
	_, _, err = s.StepPromotion(ctx, store.PromotionStep{Promotion: p})
	require.ErrorIs(t, err, store.ErrExists)
	require.EqualError(t, err, "client site: promotion p1 of m@2 has not ended: exists already")
	require.ErrorIs(t, s.DeleteModelVersion(ctx, "m", 2), store.ErrInUse)
	_, err = s.DeleteModel(ctx, "m")
	require.ErrorIs(t, err, store.ErrInUse)

	require.NoError(t, s.NotePromotion(ctx, store.Promotion{ID: "p1", Figures: &store.PromotionLook{Inferences: 7}}))
	require.NoError(t, s.NotePromotion(ctx, store.Promotion{ID: "p1", Shadow: &store.ShadowReport{Looked: 3}}))
	canary, err := s.Promotion(ctx, "p1")
	require.NoError(t, err)
	require.Equal(t, int64(7), canary.Figures.Inferences)
	require.Equal(t, int64(3), canary.Shadow.Looked)
	require.Nil(t, canary.Beside)
	canary.Before = []store.RunningStep{{Record: store.RunningModel{ClientID: "site", CameraID: "door", Deleted: true}}}
	canary.State = store.PromotionCanary
	override := store.RunningModel{ClientID: "site", CameraID: "door", Model: "m", Version: 2, UpdatedBy: "promotion/p1", Reason: "canary"}
	step := store.PromotionStep{
		Promotion: canary, Running: []store.RunningStep{{Record: override, Expect: 7}},
		Alias: &store.AliasStep{Model: "m", Alias: "champion", Version: 2, Expect: 1}, Events: []store.Event{{Kind: "promotion", Message: "canary"}},
	}
	_, _, err = s.StepPromotion(ctx, step)
	require.ErrorIs(t, err, store.ErrRevision, "a record is not as expected")
	step.Running[0].Expect = 0
	step.Alias.Expect = 2
	_, _, err = s.StepPromotion(ctx, step)
	require.ErrorIs(t, err, store.ErrRevision, "the alias is not as expected")
	same, err := s.Promotion(ctx, "p1")
	require.NoError(t, err)
	require.Equal(t, store.PromotionShadow, same.State, "all or nothing")
	_, err = s.RunningModel(ctx, "site", "door")
	require.ErrorIs(t, err, store.ErrNotFound)

	step.Alias.Expect = 1
	canary, changed, err = s.StepPromotion(ctx, step)
	require.NoError(t, err)
	require.Equal(t, int64(1), changed[0].Revision)
	require.Equal(t, int64(1), canary.Before[0].Expect, "what undoes the step goes by what the step has made")
	v, err := s.AliasVersion(ctx, "m", "champion")
	require.NoError(t, err)
	require.Equal(t, 2, v.Version)
	_, _, err = s.StepPromotion(ctx, step)
	require.ErrorIs(t, err, store.ErrRevision, "the promotion is not as expected")

	canary.State = store.PromotionRolledBack
	override.Deleted = true
	_, changed, err = s.StepPromotion(ctx, store.PromotionStep{
		Promotion: canary, Running: []store.RunningStep{{Record: override, Expect: 1}},
		Alias: &store.AliasStep{Model: "m", Alias: "champion", Version: 0, Expect: 2},
	})
	require.NoError(t, err)
	require.True(t, changed[0].Deleted)
	_, err = s.AliasVersion(ctx, "m", "champion")
	require.ErrorIs(t, err, store.ErrNotFound)
	active, err := s.ActivePromotions(ctx)
	require.NoError(t, err)
	require.Empty(t, active)
	events, _, err := s.ListEvents(ctx, "", "promotion", store.Range{}, store.Page{})
	require.NoError(t, err)
	require.Len(t, events, 2)

	// Ended ones stay, and others may follow.
	_, _, err = s.StepPromotion(ctx, store.PromotionStep{Promotion: p})
	require.NoError(t, err)
	list, next, err := s.ListPromotions(ctx, "m", store.Page{Limit: 1})
	require.NoError(t, err)
	require.Equal(t, "p2", list[0].ID)
	list, _, err = s.ListPromotions(ctx, "m", store.Page{Limit: 1, Cursor: next})
	require.NoError(t, err)
	require.Equal(t, "p1", list[0].ID)
	_, err = s.Promotion(ctx, "none")
	requireMissing(t, err, `promotion "none": not found`)
}

func baselines(t *testing.T, s store.Records) {
	ctx := t.Context()
	_, err := s.CreateClient(ctx, store.Client{ID: "a"})
	require.NoError(t, err)
	for _, id := range []string{"door", "gate"} {
		_, err := s.CreateCamera(ctx, store.Camera{ID: id, ClientID: "a"})
		require.NoError(t, err)
	}
	at := time.Date(2026, 11, 25, 9, 30, 18, 123_000_000, time.UTC)
	of := func(camera string, n int64) store.CameraBaseline {
		b := store.CameraBaseline{CameraID: camera, Model: "m", Version: 1, Until: at, Inferences: n}
		b.Inference.Add(time.Duration(n) * time.Millisecond)
		return b
	}
	require.NoError(t, s.KeepBaselines(ctx, nil))
	require.NoError(t, s.KeepBaselines(ctx, []store.CameraBaseline{of("gate", 1), of("door", 2), of("gone", 3)}))
	require.NoError(t, s.KeepBaselines(ctx, []store.CameraBaseline{of("gate", 4)}))
	all, err := s.Baselines(ctx)
	require.NoError(t, err)
	require.Equal(t, []store.CameraBaseline{of("door", 2), of("gate", 4)}, all)
	require.NoError(t, s.DeleteCamera(ctx, "door", store.AnyRevision))
	all, err = s.Baselines(ctx)
	require.NoError(t, err)
	require.Equal(t, []store.CameraBaseline{of("gate", 4)}, all)
}
