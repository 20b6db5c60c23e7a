package api_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"detectd/store"
)

const yard = `{"zones":[{"id":"yard","name":"Yard","polygon":[[0.1,0.1],[0.9,0.1],[0.5,0.9]],"objects":{"classes":["person"],"min_area":0.01,"min_score":0.5},"loiter_seconds":1.5}],
	"lines":[{"id":"gate","from":[0,0.5],"to":[1,0.5]}],"masks":[{"id":"tree","polygon":[[0,0],[0.2,0],[0,0.2]],"classes":["bird"],"max_area":0.1}]}`

func TestZones(t *testing.T) {
	f := newFixture(t)
	f.do("GET", "/cameras/door/zones", "").want(404)
	f.do("PUT", "/cameras/door/zones", yard, "If-Match", `"0"`).want(404)
	f.do("GET", "/cameras/door/zones/counts", "").want(404)
	f.camera("door")
	f.Announced()
	a := f.do("GET", "/cameras/door/zones", "").want(200)
	require.Equal(t, `"0"`, a.Header().Get("ETag"))
	require.EqualValues(t, 0, a.get("revision"))

	f.do("PUT", "/cameras/door/zones", yard).want(428)
	f.do("PUT", "/cameras/door/zones", yard, "If-Match", "*").want(428)
	a = f.do("PUT", "/cameras/door/zones", yard, "If-Match", `"1"`).want(412)
	require.EqualValues(t, 0, a.get("current.revision"))
	require.Empty(t, f.Announced())
	a = f.do("PUT", "/cameras/door/zones", yard, "If-Match", `"0"`).want(200)
	require.Equal(t, `"1"`, a.Header().Get("ETag"))
	require.Equal(t, []string{"zones door 1"}, f.Announced())
	a = f.do("GET", "/cameras/door/zones", "").want(200)
	require.Equal(t, "Yard", a.get("zones.0.name"))
	require.Equal(t, []any{0.9, 0.1}, a.get("zones.0.polygon.1"))
	require.Equal(t, 1.5, a.get("zones.0.loiter_seconds"))
	require.Equal(t, []any{"person"}, a.get("zones.0.objects.classes"))
	require.Equal(t, "both", a.get("lines.0.direction"))
	require.Equal(t, 0.1, a.get("masks.0.max_area"))
	m, err := f.Records.ZoneMap(t.Context(), "door")
	require.NoError(t, err)
	require.Equal(t, 1500*time.Millisecond, m.Zones[0].Loiter)

	// The document is replaced as a whole.
	body := `{"zones":[],"lines":[{"id":"gate","from":[0,0.5],"to":[1,0.5],"direction":"left"}]}`
	a = f.do("PUT", "/cameras/door/zones", body, "If-Match", `"1"`).want(200)
	require.EqualValues(t, 2, a.get("revision"))
	a = f.do("PUT", "/cameras/door/zones", body, "If-Match", `"1"`).want(412)
	require.Equal(t, "left", a.get("current.lines.0.direction"))
}

func TestRefusedZones(t *testing.T) {
	f := newFixture(t)
	f.camera("door")
	for name, c := range map[string]struct{ body, location, message string }{
		"sides that cross": {
			`{"zones":[{"id":"a","polygon":[[0,0],[1,1],[1,0],[0,1]]}]}`, "body.zones[0].polygon",
			"zones[0].polygon: its sides 1 and 3 cross or touch; draw it so that they do not, or as two zones",
		},
		"the same id": {
			`{"lines":[{"id":"a","from":[0,0],"to":[1,1]},{"id":"a","from":[0,0],"to":[1,1]}]}`, "body.lines[1].id",
			`lines[1].id: "a" is the id of another zone, line or mask`,
		},
		"areas":                {`{"zones":[{"id":"a","polygon":[[0,0],[1,1],[1,0]],"objects":{"min_area":0.5,"max_area":0.1}}]}`, "body.zones[0].objects.max_area", "zones[0].objects.max_area: it is smaller than min_area"},
		"outside":              {`{"zones":[{"id":"a","polygon":[[0,0],[1,1.5],[1,0]]}]}`, "body.zones[0].polygon[1][1]", ""},
		"a point of three":     {`{"zones":[{"id":"a","polygon":[[0,0,0],[1,1],[1,0]]}]}`, "body.zones[0].polygon[0]", ""},
		"two corners":          {`{"masks":[{"id":"a","polygon":[[0,0],[1,1]]}]}`, "body.masks[0].polygon", ""},
		"unknown direction":    {`{"lines":[{"id":"a","from":[0,0],"to":[1,1],"direction":"up"}]}`, "body.lines[0].direction", ""},
		"unknown member":       {`{"zone":[]}`, "body.zone", ""},
		"a score that is none": {`{"zones":[{"id":"a","polygon":[[0,0],[1,1],[1,0]],"objects":{"min_score":2}}]}`, "body.zones[0].objects.min_score", ""},
	} {
		t.Run(name, func(t *testing.T) {
			a := f.do("PUT", "/cameras/door/zones", c.body, "If-Match", `"0"`).want(422)
			require.Equal(t, c.location, a.get("errors.0.location"))
			if c.message != "" {
				require.Equal(t, c.message, a.get("detail"))
			}
		})
	}
	require.EqualValues(t, 0, f.do("GET", "/cameras/door/zones", "").want(200).get("revision"))
}

func TestZoneCounts(t *testing.T) {
	f := newFixture(t)
	f.camera("door")
	require.Empty(t, f.do("GET", "/cameras/door/zones/counts", "").want(200).get("items"))
	start := time.Date(2026, 11, 25, 9, 59, 0, 0, time.UTC)
	require.NoError(t, f.Records.AddZoneCounts(t.Context(), []store.ZoneCount{
		{CameraID: "door", ZoneID: "yard", Label: "person", Start: start, Entered: 2, Exited: 1, Present: 1500 * time.Millisecond, Most: 2},
		{CameraID: "door", ZoneID: "yard", Start: start.Add(time.Minute), Watched: time.Minute},
		{CameraID: "door", ZoneID: "gate", Start: start, ToRight: 3, ToLeft: 4},
	}))
	a := f.do("GET", "/cameras/door/zones/counts", "").want(200)
	require.Equal(t, []any{"gate", "yard", "yard"}, a.all("zone_id"))
	require.Equal(t, "2026-11-25T09:59:00.000Z", a.get("items.0.start"))
	require.EqualValues(t, 3, a.get("items.0.to_right"))
	require.EqualValues(t, 1.5, a.get("items.1.present_seconds"))
	require.EqualValues(t, 60, a.get("items.2.watched_seconds"))
	require.Len(t, f.do("GET", "/cameras/door/zones/counts?zone_id=yard&from=2026-11-25T10:00:00Z&to=2026-11-25T11:00:00Z", "").want(200).get("items"), 1)
	require.Len(t, f.do("GET", "/cameras/door/zones/counts?period=day&zone_id=yard", "").want(200).get("items"), 2)
	require.Len(t, f.do("GET", "/cameras/door/zones/counts?limit=1", "").want(200).get("items"), 1)
	f.do("GET", "/cameras/door/zones/counts?period=week", "").want(422)
}
