package storetest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"detectd/store"
)

func zoneMap(camera string) store.ZoneMap {
	square := []store.Point{{0.1, 0.1}, {0.9, 0.1}, {0.9, 0.9}, {0.1, 0.9}}
	return store.ZoneMap{
		CameraID: camera,
		Zones: []store.Zone{{
			ID: "yard", Name: "Yard", Polygon: square, Loiter: 90 * time.Second,
			Objects: store.ObjectFilter{Classes: []string{"person", "dog"}, MinArea: 0.01, MaxArea: 0.5, MinScore: 0.4},
		}},
		Lines: []store.Line{{ID: "gate", From: store.Point{0, 0.5}, To: store.Point{1, 0.25}, Direction: store.DirectionLeft}},
		Masks: []store.Mask{{ID: "tree", Name: "Tree", Polygon: square, Classes: []string{"bird"}, MinArea: 0.01, MaxArea: 0.1}},
	}
}

func zones(t *testing.T, s store.Records) {
	ctx := t.Context()
	addClient(t, s, "a")
	addCamera(t, s, "a", "door")
	addCamera(t, s, "a", "gate")
	all, err := s.ListZoneMaps(ctx)
	require.NoError(t, err)
	require.NotNil(t, all)
	require.Empty(t, all)
	_, err = s.ZoneMap(ctx, "door")
	requireMissing(t, err, `zones of camera "door": not found`)
	_, err = s.PutZoneMap(ctx, zoneMap("nobody"), 0)
	requireMissing(t, err, `camera "nobody": not found`)

	_, err = s.PutZoneMap(ctx, zoneMap("door"), 1)
	requireRevision(t, err, 1, 0)
	one, err := s.PutZoneMap(ctx, zoneMap("door"), 0)
	require.NoError(t, err)
	require.EqualValues(t, 1, one.Revision)
	require.WithinDuration(t, time.Now(), one.UpdatedAt, time.Minute)
	got, err := s.ZoneMap(ctx, "door")
	require.NoError(t, err)
	require.Equal(t, one, got)
	want := zoneMap("door")
	want.Revision, want.UpdatedAt = got.Revision, got.UpdatedAt
	require.Equal(t, want, got, "every field comes back")

	_, err = s.PutZoneMap(ctx, zoneMap("door"), 0)
	requireRevision(t, err, 0, 1)
	two, err := s.PutZoneMap(ctx, store.ZoneMap{CameraID: "door"}, 1)
	require.NoError(t, err)
	require.EqualValues(t, 2, two.Revision)
	got, err = s.ZoneMap(ctx, "door")
	require.NoError(t, err)
	require.Equal(t, two, got, "the whole document was replaced")
	three, err := s.PutZoneMap(ctx, zoneMap("door"), store.AnyRevision)
	require.NoError(t, err)
	require.EqualValues(t, 3, three.Revision)

	bad := zoneMap("door")
	bad.Lines[0].Direction = "up"
	_, err = s.PutZoneMap(ctx, bad, 3)
	require.EqualError(t, err, `lines[0].direction: "up" is none of both, right and left`)
	gate, err := s.PutZoneMap(ctx, zoneMap("gate"), 0)
	require.NoError(t, err)
	all, err = s.ListZoneMaps(ctx)
	require.NoError(t, err)
	require.Equal(t, []store.ZoneMap{three, gate}, all)

	require.NoError(t, s.DeleteCamera(ctx, "door", store.AnyRevision))
	_, err = s.ZoneMap(ctx, "door")
	requireMissing(t, err, `zones of camera "door": not found`)
}

func zoneMapRace(t *testing.T, s store.Records) {
	addClient(t, s, "a")
	addCamera(t, s, "a", "door")
	for revision := range int64(rounds) {
		race(t, revision, func(int) (int64, error) {
			m, err := s.PutZoneMap(t.Context(), zoneMap("door"), revision)
			return m.Revision, err
		})
	}
}

func zoneCounts(t *testing.T, s store.Records) {
	ctx := t.Context()
	addClient(t, s, "a")
	addCamera(t, s, "a", "door")
	addCamera(t, s, "a", "gate")
	minute := noon().Truncate(time.Minute)
	count := func(camera, zone, label string, start time.Time) store.ZoneCount {
		return store.ZoneCount{
			CameraID: camera, ZoneID: zone, Label: label, Start: start, Entered: 1, Exited: 2, ToRight: 3, ToLeft: 4,
			Present: 1500 * time.Millisecond, Most: 5, Watched: time.Minute,
		}
	}
	ask := func(q store.ZoneCountQuery) []store.ZoneCount {
		t.Helper()
		got, err := s.ZoneCounts(ctx, q)
		require.NoError(t, err)
		require.NotNil(t, got)
		return got
	}
	require.NoError(t, s.AddZoneCounts(ctx, nil))
	require.Empty(t, ask(store.ZoneCountQuery{CameraID: "door", Period: store.PeriodMinute}))

	first, second := count("door", "yard", "person", minute), count("door", "yard", "person", minute.Add(time.Minute))
	line := count("door", "gate", "", minute)
	require.NoError(t, s.AddZoneCounts(ctx, []store.ZoneCount{second, first, line, count("gate", "yard", "", minute), count("gone", "yard", "", minute)}))
	require.Equal(t, []store.ZoneCount{line, first, second}, ask(store.ZoneCountQuery{CameraID: "door", Period: store.PeriodMinute}))

	more := first
	more.Most, more.Start = 4, minute.Add(59*time.Second)
	require.NoError(t, s.AddZoneCounts(ctx, []store.ZoneCount{more}))
	sum := store.ZoneCount{
		CameraID: "door", ZoneID: "yard", Label: "person", Start: minute, Entered: 2, Exited: 4, ToRight: 6, ToLeft: 8,
		Present: 3 * time.Second, Most: 5, Watched: 2 * time.Minute,
	}
	require.Equal(t, []store.ZoneCount{sum, second}, ask(store.ZoneCountQuery{CameraID: "door", ZoneID: "yard", Period: store.PeriodMinute}))
	require.Equal(t, []store.ZoneCount{sum}, ask(store.ZoneCountQuery{
		CameraID: "door", ZoneID: "yard", Period: store.PeriodMinute, Range: store.Range{From: minute, To: minute.Add(time.Minute)},
	}))
	require.Equal(t, []store.ZoneCount{sum}, ask(store.ZoneCountQuery{CameraID: "door", ZoneID: "yard", Period: store.PeriodMinute, Limit: 1}))

	for period, start := range map[string]time.Time{store.PeriodHour: minute.Truncate(time.Hour), store.PeriodDay: minute.Truncate(24 * time.Hour)} {
		got := ask(store.ZoneCountQuery{CameraID: "door", ZoneID: "yard", Period: period})
		require.Len(t, got, 1)
		require.Equal(t, start, got[0].Start)
		require.EqualValues(t, 3, got[0].Entered)
		require.Equal(t, 5, got[0].Most)
		require.Equal(t, 4500*time.Millisecond, got[0].Present)
	}
	_, err := s.ZoneCounts(ctx, store.ZoneCountQuery{CameraID: "door", Period: "week"})
	require.EqualError(t, err, `list zone counts: period "week" is none of minute, hour and day`)

	require.NoError(t, s.DropZoneCounts(ctx, minute.Add(time.Minute)))
	require.Equal(t, []store.ZoneCount{second}, ask(store.ZoneCountQuery{CameraID: "door", Period: store.PeriodMinute}))
	require.Empty(t, ask(store.ZoneCountQuery{CameraID: "gate", Period: store.PeriodMinute}))
	require.NoError(t, s.DeleteCamera(ctx, "door", store.AnyRevision))
	require.Empty(t, ask(store.ZoneCountQuery{CameraID: "door", Period: store.PeriodMinute}))
}

// zonesTurn: what is watched is turned along with the picture, and back.
func zonesTurn(t *testing.T, s store.Records) {
	addClient(t, s, "a")
	addCamera(t, s, "a", "door")
	c, err := s.Camera(t.Context(), "door")
	require.NoError(t, err)
	put, err := s.PutZoneMap(t.Context(), zoneMap("door"), 0)
	require.NoError(t, err)
	first := c.Rotation
	for i, degrees := range []int{180, 270, 0, 90} {
		c.Rotation = degrees
		c, err = s.UpdateCamera(t.Context(), c, c.Revision)
		require.NoError(t, err)
		got, err := s.ZoneMap(t.Context(), "door")
		require.NoError(t, err)
		require.Equal(t, put.Turned(degrees-first).Zones, got.Zones)
		require.Equal(t, put.Turned(degrees-first).Lines, got.Lines)
		require.Equal(t, put.Turned(degrees-first).Masks, got.Masks)
		require.Equal(t, put.Revision+int64(i)+1, got.Revision)
		require.NoError(t, got.Validate())
	}
	require.Equal(t, 90, first)
	c.Name = "Another"
	_, err = s.UpdateCamera(t.Context(), c, c.Revision)
	require.NoError(t, err)
	got, err := s.ZoneMap(t.Context(), "door")
	require.NoError(t, err)
	require.Equal(t, put.Revision+4, got.Revision, "nothing but a rotation touches them")
	require.Equal(t, put.Zones, got.Zones)
}
