package storetest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"detectd/store"
)

func timelines(t *testing.T, s store.Records) {
	ctx := t.Context()
	addClient(t, s, "a")
	addCamera(t, s, "a", "door")
	addCamera(t, s, "a", "gate")
	at := func(seconds int) time.Time { return noon().Add(time.Duration(seconds) * time.Second) }
	addSegment(t, s, "door", at(-5), 10*time.Second)
	addSegment(t, s, "door", at(50), 20*time.Second)
	addSegment(t, s, "door", at(65), 10*time.Second) // five seconds of it a second time
	addSegment(t, s, "door", at(600), 10*time.Second)
	addSegment(t, s, "gate", at(0), 10*time.Second)
	for id, v := range map[string]struct {
		camera, label string
		start, end    int
	}{
		"1": {"door", "person", -3600, 10},
		"2": {"door", "person", 55, 65},
		"3": {"door", "car", 60, 70},
		"4": {"gate", "car", 60, 70},
	} {
		require.NoError(t, s.PutTrack(ctx, store.Track{ID: id, CameraID: v.camera, Label: v.label, Start: at(v.start), End: at(v.end), BestTime: at(v.start)}))
	}
	for _, second := range []int{-1, 0, 59, 60, 120} {
		_, err := s.AddEvent(ctx, store.Event{Time: at(second), Kind: "camera.state", CameraID: "door", Message: "x"})
		require.NoError(t, err)
	}
	got, err := s.Timeline(ctx, "door", store.Range{From: at(0), To: at(150)}, time.Minute)
	require.NoError(t, err)
	require.Equal(t, []store.TimelinePiece{
		{Start: at(0), Recorded: 15 * time.Second, Moving: 15 * time.Second, Tracks: map[string]int{"person": 1}, Events: 2},
		{Start: at(60), Recorded: 15 * time.Second, Moving: 10 * time.Second, Tracks: map[string]int{"car": 1}, Events: 1},
		{Start: at(120), Events: 1},
	}, got)
	got, err = s.Timeline(ctx, "nobody", store.Range{From: at(0), To: at(150)}, time.Minute)
	require.NoError(t, err)
	require.Empty(t, got)
	for _, r := range []store.Range{{}, {From: at(0)}, {From: at(0), To: at(0)}, {From: at(0), To: at(0).AddDate(0, 2, 0)}} {
		_, err = s.Timeline(ctx, "door", r, time.Minute)
		require.Error(t, err)
	}
}
