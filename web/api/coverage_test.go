package api_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"detectd/store"
)

func TestCoverage(t *testing.T) {
	f := newFixture(t)
	f.camera("door")
	f.do("GET", "/cameras/none/coverage", "").want(404)
	f.do("GET", "/cameras/door/coverage?tz=Nowhere", "").want(422)
	require.Zero(t, f.do("GET", "/cameras/door/coverage", "").want(200).get("covered_s"))

	midnight := time.Date(2026, 11, 25, 0, 0, 0, 0, time.UTC)
	at := func(minutes int) time.Time { return midnight.Add(time.Duration(minutes) * time.Minute) }
	_, err := f.Records.OpenLedger(t.Context(), "door", at(-30))
	require.NoError(t, err)
	_, err = f.Records.AddSegment(t.Context(), store.Segment{CameraID: "door", Path: "1", Start: at(-30), End: at(10)})
	require.NoError(t, err)
	_, _, err = f.Records.AccountGaps(t.Context(), []store.Account{{CameraID: "door", To: at(60), Causes: []store.Cause{
		{From: at(0), Reason: store.GapCamera, Detail: "refused"}, {From: at(40), Reason: store.GapOff},
	}}})
	require.NoError(t, err)

	a := f.do("GET", "/cameras/door/coverage?from=2026-11-24T00:00:00Z&to=2026-11-26T00:00:00Z", "").want(200)
	require.Equal(t, "2026-11-24T23:30:00.000Z", a.get("start"))
	require.Equal(t, "2026-11-25T01:00:00.000Z", a.get("end"))
	require.EqualValues(t, 2400, a.get("covered_s"))
	require.EqualValues(t, 1800, a.get("missing_s"))
	require.EqualValues(t, 1200, a.get("not_wanted_s"))
	require.EqualValues(t, map[string]any{"camera": 1800.0, "off": 1200.0}, a.get("reasons"))
	require.Len(t, a.get("days"), 2)
	require.EqualValues(t, 1800, a.get("days.0.covered_s"))
	require.EqualValues(t, 600, a.get("days.1.covered_s"))
	require.Equal(t, map[string]any{
		"start": "2026-11-25T00:10:00.000Z", "end": "2026-11-25T00:40:00.000Z", "reason": "camera", "detail": "refused", "wanted": true,
	}, a.get("gaps.0"))
	require.Equal(t, false, a.get("gaps.1.wanted"))

	require.NoError(t, f.Records.MergeReport(t.Context(), store.ReportDelta{
		CameraID: "door", Model: "default", Version: 1, Hour: midnight, Frames: 10,
	}))
	for period, covered := range map[string]int{"hour": 600, "day": 600} {
		a := f.do("GET", "/reports?period="+period, "").want(200)
		require.EqualValues(t, covered, a.get("items.0.recorded.covered_s"), period)
		require.EqualValues(t, 1800, a.get("items.0.recorded.missing_s"), period)
	}
	a = f.do("GET", "/reports?period=day&tz=Europe/Berlin", "").want(200)
	require.EqualValues(t, 2400, a.get("items.0.recorded.covered_s"), "there the day began an hour earlier")
}
