package storetest

import (
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"detectd/store"
)

func latencies(from, to int) (h store.Histogram) {
	for ms := from; ms <= to; ms++ {
		h.Add(time.Duration(ms) * time.Millisecond)
	}
	return h
}

func reports(t *testing.T, s store.Records) {
	ctx := t.Context()
	hour := time.Date(2026, 3, 14, 9, 0, 0, 0, time.UTC)
	delta := store.ReportDelta{
		CameraID: "door", Model: "m", Version: 2, Hour: hour.Add(17 * time.Minute), Frames: 100, Inferences: 40, Errors: 1,
		Drops: map[string]int64{"stale": 3}, Classes: map[string]int64{"person": 6, "car": 2}, ScoreSum: 6.4, Latency: latencies(1, 500),
	}
	require.NoError(t, s.MergeReport(ctx, delta))
	delta.Drops = map[string]int64{"stale": 1, "decode": 5}
	delta.Classes, delta.ScoreSum, delta.Latency = map[string]int64{"person": 2}, 1.6, latencies(501, 1000)
	require.NoError(t, s.MergeReport(ctx, delta))
	require.NoError(t, s.MergeReport(ctx, store.ReportDelta{CameraID: "door", Model: "m", Version: 1, Hour: hour}))
	require.NoError(t, s.MergeReport(ctx, store.ReportDelta{CameraID: "gate", Model: "n", Version: 1, Hour: hour.Add(time.Hour), Frames: 1}))

	all, err := s.ListReports(ctx, store.ReportQuery{Period: "hour"})
	require.NoError(t, err)
	require.Len(t, all, 3)
	require.Equal(t, "gate", all[0].CameraID, "newest first")
	require.Equal(t, []int{1, 2}, []int{all[1].Version, all[2].Version})

	r := all[2]
	for q, got := range map[float64]time.Duration{0.5: r.P50, 0.95: r.P95, 0.99: r.P99} {
		require.InEpsilon(t, q*float64(time.Second), float64(got), 0.091, q)
	}
	r.P50, r.P95, r.P99 = 0, 0, 0
	require.InDelta(t, 0.8, r.MeanScore, 1e-9)
	r.MeanScore = 0
	require.Equal(t, store.Report{
		Period: "hour", Start: hour, CameraID: "door", Model: "m", Version: 2, Frames: 200, Inferences: 80, Errors: 2,
		Drops: map[string]int64{"stale": 4, "decode": 5}, Classes: map[string]int64{"person": 8, "car": 2}, Detections: 10,
	}, r)

	require.Equal(t, store.Report{
		Period: "hour", Start: hour, CameraID: "door", Model: "m", Version: 1, Drops: map[string]int64{}, Classes: map[string]int64{},
	}, all[1], "nothing counted")

	for name, c := range map[string]struct {
		q    store.ReportQuery
		want int
	}{
		"camera":            {store.ReportQuery{CameraID: "door"}, 2},
		"model":             {store.ReportQuery{Model: "n"}, 1},
		"limit":             {store.ReportQuery{Limit: 1}, 1},
		"from cuts an hour": {store.ReportQuery{Range: store.Range{From: hour.Add(30 * time.Minute)}}, 3},
		"from the next":     {store.ReportQuery{Range: store.Range{From: hour.Add(time.Hour)}}, 1},
		"to":                {store.ReportQuery{Range: store.Range{To: hour.Add(time.Hour)}}, 2},
		"nothing":           {store.ReportQuery{Range: store.Range{To: hour}}, 0},
	} {
		c.q.Period = "hour"
		got, err := s.ListReports(ctx, c.q)
		require.NoError(t, err, name)
		require.NotNil(t, got, name)
		require.Len(t, got, c.want, name)
	}
	_, err = s.ListReports(ctx, store.ReportQuery{Period: "week"})
	require.EqualError(t, err, `list reports: period "week" is neither hour nor day`)
}

func reportDays(t *testing.T, s store.Records) {
	ctx := t.Context()
	start := time.Date(2026, 3, 14, 0, 0, 0, 0, time.UTC)
	for hour := range 72 { // three days; hour h of two cameras counts latencies of 10h+1 … 10h+10 ms
		for _, camera := range []string{"gate", "door"} {
			require.NoError(t, s.MergeReport(ctx, store.ReportDelta{
				CameraID: camera, Model: "m", Version: 1, Hour: start.Add(time.Duration(hour) * time.Hour), Frames: 1,
				Classes: map[string]int64{"person": 2}, ScoreSum: 1, Latency: latencies(10*(hour%24)+1, 10*(hour%24)+10),
			}))
		}
	}

	all, err := s.ListReports(ctx, store.ReportQuery{Period: "day"})
	require.NoError(t, err)
	require.Len(t, all, 6)
	for i, r := range all {
		require.Equal(t, "day", r.Period)
		require.True(t, r.Start.Equal(start.AddDate(0, 0, 2-i/2)), r.Start)
		require.Equal(t, []string{"door", "gate"}[i%2], r.CameraID)
		require.EqualValues(t, 24, r.Frames)
		require.EqualValues(t, 48, r.Detections)
		require.InDelta(t, 0.5, r.MeanScore, 1e-9)
		// 240 latencies of 1 … 240 ms: quantiles of the day, not the mean of the hours'.
		require.InEpsilon(t, float64(120*time.Millisecond), float64(r.P50), 0.091)
		require.InEpsilon(t, float64(228*time.Millisecond), float64(r.P95), 0.091)
		require.InEpsilon(t, float64(238*time.Millisecond), float64(r.P99), 0.091)
	}

	east := time.FixedZone("east", 5*3600+1800)
	all, err = s.ListReports(ctx, store.ReportQuery{Period: "day", CameraID: "door", Location: east})
	require.NoError(t, err)
	require.Len(t, all, 4)
	require.True(t, all[3].Start.Equal(time.Date(2026, 3, 14, 0, 0, 0, 0, east)), all[3].Start)
	require.Equal(t, []int64{5, 24, 24, 19}, []int64{all[0].Frames, all[1].Frames, all[2].Frames, all[3].Frames},
		"an hour counts for the day it starts in")

	for name, c := range map[string]struct {
		q    store.ReportQuery
		want []int // days after the first
	}{
		"limit":            {store.ReportQuery{Limit: 2}, []int{2, 1}},
		"from cuts a day":  {store.ReportQuery{Range: store.Range{From: start.Add(30 * time.Hour)}}, []int{2, 1}},
		"to cuts a day":    {store.ReportQuery{Range: store.Range{To: start.Add(30 * time.Hour)}}, []int{1, 0}},
		"to at midnight":   {store.ReportQuery{Range: store.Range{To: start.Add(24 * time.Hour)}}, []int{0}},
		"within one":       {store.ReportQuery{Range: store.Range{From: start.Add(25 * time.Hour), To: start.Add(26 * time.Hour)}}, []int{1}},
		"after everything": {store.ReportQuery{Range: store.Range{From: start.Add(72 * time.Hour)}}, nil},
	} {
		c.q.Period, c.q.CameraID = "day", "door"
		got, err := s.ListReports(ctx, c.q)
		require.NoError(t, err, name)
		var days []int
		for _, r := range got {
			require.EqualValues(t, 24, r.Frames, "%s: days are whole", name)
			days = append(days, int(r.Start.Sub(start)/(24*time.Hour)))
		}
		require.Equal(t, c.want, days, name)
	}
}

func reportRace(t *testing.T, s store.Records) {
	var group sync.WaitGroup
	errs := make(chan error, 100)
	for range 20 {
		group.Go(func() {
			for range 5 {
				errs <- s.MergeReport(t.Context(), store.ReportDelta{
					CameraID: "door", Model: "m", Version: 1, Hour: noon(), Frames: 1, Drops: map[string]int64{"stale": 1}, Latency: latencies(1, 1),
				})
			}
		})
	}
	group.Wait()
	for range 100 {
		require.NoError(t, <-errs)
	}
	all, err := s.ListReports(t.Context(), store.ReportQuery{Period: "hour"})
	require.NoError(t, err)
	require.Len(t, all, 1)
	require.EqualValues(t, 100, all[0].Frames)
	require.EqualValues(t, 100, all[0].Drops["stale"])
}
