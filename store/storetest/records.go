package storetest

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"detectd/store"
)

// RunRecords checks a driver of store.Records. open opens the store in a
// folder; the suite opens the same folder again after closing.
func RunRecords(t *testing.T, open func(t *testing.T, dir string) store.Records) {
	for name, check := range map[string]func(*testing.T, store.Records){
		"clients":                  clients,
		"cameras":                  cameras,
		"delete camera":            deleteCamera,
		"revision race":            revisionRace,
		"running model race":       runningModelRace,
		"models":                   models,
		"registry":                 registry,
		"tracking":                 tracking,
		"model versions in use":    modelsInUse,
		"followed aliases":         followedAliases,
		"running models":           runningModels,
		"running models' places":   runningModelPlaces,
		"segments":                 segments,
		"timelines":                timelines,
		"segment at":               segmentAt,
		"garbage":                  garbage,
		"gaps":                     gaps,
		"gaps at random":           gapsAtRandom,
		"coverage":                 coverage,
		"keeps":                    keeps,
		"tracks":                   tracks,
		"many at once":             many,
		"events":                   events,
		"results":                  results,
		"pages":                    pages,
		"pages while rows come in": pagesWhileGrowing,
		"bad cursors":              badCursors,
		"reports":                  reports,
		"report days":              reportDays,
		"report race":              reportRace,
		"ping":                     ping,
		"zones":                    zones,
		"zone map race":            zoneMapRace,
		"zones turn":               zonesTurn,
		"zone counts":              zoneCounts,
		"baselines":                baselines,
		"the newest sound version": newestSound,
		"measurements":             measurements,
		"gates":                    gates,
		"promotions":               promotions,
	} {
		t.Run(name, func(t *testing.T) {
			s := open(t, t.TempDir())
			t.Cleanup(func() { require.NoError(t, s.Close()) })
			check(t, s)
		})
	}
	t.Run("reopen", func(t *testing.T) { reopen(t, open) })
}

// noon is a moment that every driver can keep exactly.
func noon() time.Time { return time.Date(2026, 3, 14, 12, 0, 0, 123456000, time.UTC) }

func addClient(t *testing.T, s store.Records, id string) store.Client {
	t.Helper()
	c, err := s.CreateClient(t.Context(), store.Client{ID: id, Name: "Client " + id})
	require.NoError(t, err)
	return c
}

func addCamera(t *testing.T, s store.Records, clientID, id string) store.Camera {
	t.Helper()
	c, err := s.CreateCamera(t.Context(), store.Camera{
		ID: id, ClientID: clientID, Name: "Camera " + id, URL: "rtsp://10.0.0.1/" + id, Username: "admin", Password: "s3cret",
		Transport: "tcp", Enabled: true, Record: "continuous", DetectFPS: 2.5, NoAudio: true, Loop: true, Demo: true,
		RecordBefore: 5 * time.Second, RecordAfter: 10 * time.Second, Keep: 24 * time.Hour, KeepEvents: 48 * time.Hour, KeepBytes: 1 << 40, Weight: 2.5, Idle: store.IdleDecode, Rotation: 90,
	})
	require.NoError(t, err)
	return c
}

func addVersion(t *testing.T, s store.Records, model, sha256 string) store.ModelVersion {
	t.Helper()
	v, err := s.AddModelVersion(t.Context(), store.Model{Name: model, Description: "of " + model}, store.ModelVersion{
		SHA256: sha256, Size: 1 << 33, Family: "ssd", Licence: "Apache-2.0", Source: "a test", Contract: []byte(`{"family":"ssd"}`),
	})
	require.NoError(t, err)
	return v
}

func addSegment(t *testing.T, s store.Records, camera string, start time.Time, length time.Duration) store.Segment {
	t.Helper()
	g, err := s.AddSegment(t.Context(), store.Segment{
		CameraID: camera, Start: start, End: start.Add(length), Path: fmt.Sprintf("%s/%d.mp4", camera, start.UnixMicro()),
		Bytes: 1000, Frames: 30, Codec: "h264", Width: 1920, Height: 1080, Clock: "rtcp", TimeError: 1500 * time.Microsecond,
		Audio: "aac", AudioTime: length,
	})
	require.NoError(t, err)
	return g
}

func requireRevision(t *testing.T, err error, given, current int64) {
	t.Helper()
	require.ErrorIs(t, err, store.ErrRevision)
	var re *store.RevisionError
	require.ErrorAs(t, err, &re)
	require.Equal(t, []int64{given, current}, []int64{re.Given, re.Current})
}

func requireMissing(t *testing.T, err error, text string) {
	t.Helper()
	require.ErrorIs(t, err, store.ErrNotFound)
	require.EqualError(t, err, text)
}

func clients(t *testing.T, s store.Records) {
	ctx := t.Context()
	all, err := s.ListClients(ctx)
	require.NoError(t, err)
	require.NotNil(t, all)
	require.Empty(t, all)

	b, a := addClient(t, s, "b"), addClient(t, s, "a")
	require.EqualValues(t, 1, a.Revision)
	require.WithinDuration(t, time.Now(), a.CreatedAt, time.Minute)
	require.Equal(t, a.CreatedAt, a.UpdatedAt)
	all, err = s.ListClients(ctx)
	require.NoError(t, err)
	require.Equal(t, []store.Client{a, b}, all)

	_, err = s.CreateClient(ctx, store.Client{ID: "a"})
	require.ErrorIs(t, err, store.ErrExists)
	require.EqualError(t, err, `client "a": exists already`)
	_, err = s.CreateClient(ctx, store.Client{})
	require.Error(t, err, "no id")

	a.Name = "Ä"
	changed, err := s.UpdateClient(ctx, a, 1)
	require.NoError(t, err)
	require.EqualValues(t, 2, changed.Revision)
	require.Equal(t, a.CreatedAt, changed.CreatedAt)
	got, err := s.Client(ctx, "a")
	require.NoError(t, err)
	require.Equal(t, changed, got)

	_, err = s.UpdateClient(ctx, a, 1)
	requireRevision(t, err, 1, 2)
	requireRevision(t, s.DeleteClient(ctx, "a", 1), 1, 2)
	_, err = s.UpdateClient(ctx, a, store.AnyRevision)
	require.NoError(t, err)

	addCamera(t, s, "a", "door")
	err = s.DeleteClient(ctx, "a", 3)
	require.ErrorIs(t, err, store.ErrInUse)
	require.EqualError(t, err, `client "a": in use by 1 of its cameras`)
	require.NoError(t, s.DeleteCamera(ctx, "door", 1))
	require.NoError(t, s.DeleteClient(ctx, "a", 3))

	_, err = s.Client(ctx, "a")
	requireMissing(t, err, `client "a": not found`)
	_, err = s.UpdateClient(ctx, a, store.AnyRevision)
	requireMissing(t, err, `client "a": not found`)
	requireMissing(t, s.DeleteClient(ctx, "a", store.AnyRevision), `client "a": not found`)
}

func cameras(t *testing.T, s store.Records) {
	ctx := t.Context()
	_, err := s.CreateCamera(ctx, store.Camera{ID: "door", ClientID: "nobody"})
	requireMissing(t, err, `client "nobody": not found`)

	addClient(t, s, "a")
	addClient(t, s, "b")
	door := addCamera(t, s, "a", "door")
	gate := addCamera(t, s, "b", "gate")
	got, err := s.Camera(ctx, "door")
	require.NoError(t, err)
	require.Equal(t, door, got)
	require.Equal(t, store.Secret("s3cret"), got.Password)

	for client, want := range map[string][]store.Camera{"": {door, gate}, "a": {door}, "b": {gate}, "c": {}} {
		all, err := s.ListCameras(ctx, client)
		require.NoError(t, err)
		require.Equal(t, want, all, client)
	}

	_, err = s.CreateCamera(ctx, store.Camera{ID: "door", ClientID: "a"})
	require.ErrorIs(t, err, store.ErrExists)
	require.EqualError(t, err, `camera "door": exists already`)

	moved := store.Camera{ID: "door", ClientID: "b", Name: "n", URL: "u", Transport: "udp", Record: "off"}
	changed, err := s.UpdateCamera(ctx, moved, 1)
	require.NoError(t, err)
	moved.Revision, moved.CreatedAt, moved.UpdatedAt = 2, door.CreatedAt, changed.UpdatedAt
	require.Equal(t, moved, changed)
	got, err = s.Camera(ctx, "door")
	require.NoError(t, err)
	require.Equal(t, moved, got)

	_, err = s.UpdateCamera(ctx, door, 1)
	requireRevision(t, err, 1, 2)
	require.EqualError(t, err, "camera door is at revision 2, the change was based on 1")
	moved.ClientID = "nobody"
	_, err = s.UpdateCamera(ctx, moved, 2)
	requireMissing(t, err, `client "nobody": not found`)
	requireRevision(t, s.DeleteCamera(ctx, "door", 1), 1, 2)

	_, err = s.Camera(ctx, "x")
	requireMissing(t, err, `camera "x": not found`)
	_, err = s.UpdateCamera(ctx, store.Camera{ID: "x"}, 1)
	requireMissing(t, err, `camera "x": not found`)
	requireMissing(t, s.DeleteCamera(ctx, "x", 1), `camera "x": not found`)
}

func deleteCamera(t *testing.T, s store.Records) {
	ctx := t.Context()
	addClient(t, s, "a")
	for _, id := range []string{"door", "gate"} {
		addCamera(t, s, "a", id)
		addSegment(t, s, id, noon(), time.Second)
		require.NoError(t, s.PutTrack(ctx, store.Track{ID: id + "-1", CameraID: id, Label: "person", Start: noon(), End: noon()}))
	}
	addVersion(t, s, "m", "aa")
	_, err := s.PutRunningModel(ctx, store.RunningModel{ClientID: "a", CameraID: "door", Model: "m"}, 0)
	require.NoError(t, err)

	require.NoError(t, s.DeleteCamera(ctx, "door", store.AnyRevision))

	left, _, err := s.ListSegments(ctx, "", store.Range{}, store.Page{})
	require.NoError(t, err)
	require.Len(t, left, 1)
	require.Equal(t, "gate", left[0].CameraID)
	paths, err := s.Garbage(ctx, 10)
	require.NoError(t, err)
	require.Equal(t, []string{fmt.Sprintf("door/%d.mp4", noon().UnixMicro())}, paths)
	_, err = s.Track(ctx, "door-1")
	require.ErrorIs(t, err, store.ErrNotFound)
	_, err = s.Track(ctx, "gate-1")
	require.NoError(t, err)
	_, err = s.RunningModel(ctx, "a", "door")
	require.ErrorIs(t, err, store.ErrNotFound)
	history, err := s.RunningModelHistory(ctx, "a", "door")
	require.NoError(t, err)
	require.Len(t, history, 2)
	require.True(t, history[0].Deleted)
	require.Equal(t, "camera deleted", history[0].Reason)

	_, err = s.AddSegment(ctx, store.Segment{CameraID: "door", Path: "late"})
	requireMissing(t, err, `camera "door": not found`)
	requireMissing(t, s.PutTrack(ctx, store.Track{ID: "late", CameraID: "door"}), `camera "door": not found`)
}

func ping(t *testing.T, s store.Records) {
	require.NoError(t, s.Ping(t.Context()))
	require.NoError(t, s.Close())
	require.Error(t, s.Ping(t.Context()))
}

func reopen(t *testing.T, open func(t *testing.T, dir string) store.Records) {
	ctx, dir := t.Context(), t.TempDir()
	s := open(t, dir)
	client, camera := addClient(t, s, "a"), addCamera(t, s, "a", "door")
	version := addVersion(t, s, "m", "aa")
	running, err := s.PutRunningModel(ctx, store.RunningModel{ClientID: "a", Model: "m", Classes: []string{"person"}}, 0)
	require.NoError(t, err)
	segment := addSegment(t, s, "door", noon(), time.Second)
	event, err := s.AddEvent(ctx, store.Event{Time: noon(), Kind: "camera.state", Message: "hello"})
	require.NoError(t, err)
	require.NoError(t, s.Close())
	require.NoError(t, s.Close(), "closing twice")

	again := open(t, dir)
	defer func() { require.NoError(t, again.Close()) }()
	gotClient, err := again.Client(ctx, "a")
	require.NoError(t, err)
	require.Equal(t, client, gotClient)
	gotCamera, err := again.Camera(ctx, "door")
	require.NoError(t, err)
	require.Equal(t, camera, gotCamera)
	gotVersion, err := again.ModelVersion(ctx, "m", 1)
	require.NoError(t, err)
	require.Equal(t, version, gotVersion)
	gotRunning, err := again.RunningModel(ctx, "a", "")
	require.NoError(t, err)
	require.Equal(t, running, gotRunning)
	gotSegment, err := again.Segment(ctx, segment.ID)
	require.NoError(t, err)
	require.Equal(t, segment, gotSegment)
	gotEvents, _, err := again.ListEvents(ctx, "", "", store.Range{}, store.Page{})
	require.NoError(t, err)
	require.Equal(t, []store.Event{event}, gotEvents)
}
