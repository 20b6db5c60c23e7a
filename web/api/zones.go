package api

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"detectd/store"
)

// Zones is what is watched in a camera's picture.
type Zones struct {
	CameraID  string `json:"camera_id" example:"door" doc:"The camera."`
	Revision  int64  `json:"revision" example:"3" doc:"Counts the changes of this document; 0 when there was never one."`
	UpdatedAt Time   `json:"updated_at,omitzero" doc:"When it was last changed."`
	ZoneShapes
}

// ZoneShapes are the zones, lines and masks of a camera.
type ZoneShapes struct {
	Zones []Zone `json:"zones,omitempty" nullable:"false" maxItems:"64" doc:"Areas that objects enter and leave."`
	Lines []Line `json:"lines,omitempty" nullable:"false" maxItems:"64" doc:"Lines that objects cross."`
	Masks []Mask `json:"masks,omitempty" nullable:"false" maxItems:"64" doc:"Areas in which detections are dropped before they are followed."`
}

// Zone is an area that objects enter and leave.
type Zone struct {
	ID      string       `json:"id" pattern:"^[a-z0-9][a-z0-9_-]{0,62}$" example:"yard" doc:"Identifies it among the camera's zones, lines and masks; counts and events name it."`
	Name    string       `json:"name,omitempty" maxLength:"200" example:"The yard" doc:"For people."`
	Polygon []Point      `json:"polygon" nullable:"false" minItems:"3" maxItems:"100" doc:"Its corners. Sides must not cross or touch."`
	Objects ObjectFilter `json:"objects,omitzero" doc:"Which objects count; absent: all."`
	Loiter  float64      `json:"loiter_seconds,omitempty" minimum:"0" maximum:"86400" example:"30" doc:"A stay that is reported as loitering; 0: none."`
}

// Line is a line that objects cross.
type Line struct {
	ID        string       `json:"id" pattern:"^[a-z0-9][a-z0-9_-]{0,62}$" example:"gate" doc:"Identifies it among the camera's zones, lines and masks."`
	Name      string       `json:"name,omitempty" maxLength:"200" example:"The gate" doc:"For people."`
	From      Point        `json:"from" doc:"Its start."`
	To        Point        `json:"to" doc:"Its end. Right and left are meant as seen when walking from start to end."`
	Direction string       `json:"direction,omitempty" enum:"both,right,left" default:"both" doc:"Which crossings count: in both directions, only to the right or only to the left."`
	Objects   ObjectFilter `json:"objects,omitzero" doc:"Which objects count; absent: all."`
}

// Mask is an area in which detections are dropped.
type Mask struct {
	ID      string   `json:"id" pattern:"^[a-z0-9][a-z0-9_-]{0,62}$" example:"tree" doc:"Identifies it among the camera's zones, lines and masks."`
	Name    string   `json:"name,omitempty" maxLength:"200" example:"The tree" doc:"For people."`
	Polygon []Point  `json:"polygon" nullable:"false" minItems:"3" maxItems:"100" doc:"Its corners. Sides must not cross or touch."`
	Classes []string `json:"classes,omitempty" nullable:"false" maxItems:"1000" doc:"Labels that are dropped; absent: all."`
	MinArea float64  `json:"min_area,omitempty" minimum:"0" maximum:"1" doc:"Only boxes of at least this share of the picture are dropped."`
	MaxArea float64  `json:"max_area,omitempty" minimum:"0" maximum:"1" doc:"Only boxes of at most this share of the picture are dropped; 0: no limit."`
}

// ObjectFilter says which objects count.
type ObjectFilter struct {
	Classes  []string `json:"classes,omitempty" nullable:"false" maxItems:"1000" doc:"Labels; absent: all."`
	MinArea  float64  `json:"min_area,omitempty" minimum:"0" maximum:"1" example:"0.002" doc:"Least area of a box as a share of the picture."`
	MaxArea  float64  `json:"max_area,omitempty" minimum:"0" maximum:"1" example:"0.5" doc:"Largest area of a box as a share of the picture; 0: no limit."`
	MinScore float64  `json:"min_score,omitempty" minimum:"0" maximum:"1" example:"0.5" doc:"Score that an object must have reached once."`
}

// Point is a place in a picture.
type Point [2]float64

// Schema implements huma.SchemaProvider.
func (Point) Schema(huma.Registry) *huma.Schema {
	two, low, high := 2, 0.0, 1.0
	return &huma.Schema{
		Type: huma.TypeArray, MinItems: &two, MaxItems: &two, Items: &huma.Schema{Type: huma.TypeNumber, Minimum: &low, Maximum: &high},
		Description: "x and y in shares of the picture's width and height: [0, 0] is the top left corner.", Examples: []any{[]float64{0.25, 0.5}},
	}
}

// ZoneCount is what happened at a zone or a line in a span of time.
type ZoneCount struct {
	ZoneID  string  `json:"zone_id" example:"yard" doc:"The zone or the line."`
	Label   string  `json:"label" example:"person" doc:"What kind of object; empty for all kinds together."`
	Start   Time    `json:"start" doc:"When the minute, hour or day (of UTC) begins."`
	Entered int64   `json:"entered" doc:"Zones: objects that came in, or appeared inside."`
	Exited  int64   `json:"exited" doc:"Zones: objects that went out, or disappeared inside."`
	ToRight int64   `json:"to_right" doc:"Lines: objects that crossed to the right."`
	ToLeft  int64   `json:"to_left" doc:"Lines: objects that crossed to the left."`
	Present float64 `json:"present_seconds" example:"93.5" doc:"Zones: time that objects spent inside, summed up over objects. Over watched_seconds it is their mean number."`
	Most    int     `json:"most" doc:"Zones: most objects inside at the same time."`
	Watched float64 `json:"watched_seconds" example:"60" doc:"How long the camera was watched; with the empty label only."`
}

// ZoneEvent is what an object did at a zone or a line.
type ZoneEvent struct {
	Kind      string  `json:"kind" enum:"zone.entered,zone.left,zone.loitering,line.crossed" doc:"What it did."`
	CameraID  string  `json:"camera_id" doc:"The camera."`
	ZoneID    string  `json:"zone_id" doc:"The zone or the line."`
	Time      Time    `json:"time" doc:"Capture time of the frame in which it happened."`
	TrackID   string  `json:"track_id" doc:"The object."`
	Label     string  `json:"label" doc:"What it is."`
	Score     float32 `json:"score" doc:"Its score in that frame."`
	Box       Box     `json:"box" doc:"Where it was in that frame."`
	Direction string  `json:"direction,omitempty" doc:"Of a crossing: right or left."`
	StayedMS  float64 `json:"stayed_ms,omitempty" doc:"How long it was in the zone."`
	Clock     string  `json:"clock,omitempty" enum:"rtcp,arrival,file" doc:"How that time was obtained."`
	// TimeErrorMS as in Annotation.
	TimeErrorMS float64 `json:"time_error_ms" doc:"Half-width of the interval that the time is known to lie in."`
}

// ZonesChange is the data of the event "zones.changed".
type ZonesChange struct {
	CameraID string `json:"camera_id"`
	Revision int64  `json:"revision"`
}

func (s *server) routeZones() {
	const tag, path = "Zones", "/cameras/{camera_id}/zones"
	huma.Register(s.huma, operation(http.MethodGet, path, "get-zones", tag, "Get a camera's zones",
		"What is watched in the camera's picture. An object is where the middle of the lower side of its box is. "+
			"Where nothing is set the answer has revision 0.", 404), s.getZones)
	huma.Register(s.huma, s.revisable(operation(http.MethodPut, path, "set-zones", tag, "Set a camera's zones",
		"Replaces all zones, lines and masks of the camera at once. They take effect within a second; zones that stay the same keep who is in them. "+
			"412 when If-Match names another revision than the stored one, with the stored document; 428 without If-Match.", 400, 404, 413, 428)), s.putZones)
	huma.Register(s.huma, operation(http.MethodGet, path+"/counts", "list-zone-counts", tag, "List what was counted",
		"What happened at the zones and lines, by start, zone and label, the oldest first. Minutes in which the camera was not watched are absent. "+
			"Counts are stored every ten seconds, so the newest minute grows.", 404), s.listZoneCounts)
}

func (s *server) getZones(ctx context.Context, in *CameraPath) (*revised[Zones], error) {
	if err := s.cameraExists(ctx, in.CameraID); err != nil {
		return nil, err
	}
	z, err := s.zones(ctx, in.CameraID)
	if err != nil {
		return nil, s.fail(ctx, err)
	}
	return &revised[Zones]{ETag: etag(z.Revision), Body: z}, nil
}

func (s *server) putZones(ctx context.Context, in *struct {
	CameraPath
	RequiredPrecondition
	Body ZoneShapes
},
) (*revised[Zones], error) {
	if err := s.cameraExists(ctx, in.CameraID); err != nil {
		return nil, err
	}
	expect, err := requireIfMatch(in.IfMatch)
	if err != nil {
		return nil, err
	}
	m, err := s.Records.PutZoneMap(ctx, zoneMap(in.CameraID, in.Body), expect)
	if wrong, is := errors.AsType[*store.ZoneError](err); is {
		return nil, invalid("body."+wrong.Where, wrong.Error())
	}
	if err != nil {
		return nil, s.failRevision(ctx, err, func() (any, error) { return s.zones(ctx, in.CameraID) })
	}
	s.Announcer.ZonesChanged(m.CameraID, m.Revision)
	return &revised[Zones]{ETag: etag(m.Revision), Body: newZones(m)}, nil
}

func (s *server) listZoneCounts(ctx context.Context, in *struct {
	CameraPath
	ZoneID string `query:"zone_id" pattern:"^[a-z0-9][a-z0-9_-]{0,62}$" doc:"Only of this zone or line."`
	Period string `query:"period" enum:"minute,hour,day" default:"minute" doc:"Minutes, or hours or days of UTC made of them."`
	Span
	Limit int `query:"limit" minimum:"1" maximum:"10000" default:"1000" doc:"Most items in the answer."`
},
) (*listed[ZoneCount], error) {
	if err := s.cameraExists(ctx, in.CameraID); err != nil {
		return nil, err
	}
	rows, err := s.Records.ZoneCounts(ctx, store.ZoneCountQuery{
		CameraID: in.CameraID, ZoneID: in.ZoneID, Period: in.Period, Range: in.Span.store(), Limit: in.Limit,
	})
	if err != nil {
		return nil, s.fail(ctx, err)
	}
	return newList(rows, "", func(c store.ZoneCount) ZoneCount {
		return ZoneCount{
			ZoneID: c.ZoneID, Label: c.Label, Start: Time{c.Start}, Entered: c.Entered, Exited: c.Exited,
			ToRight: c.ToRight, ToLeft: c.ToLeft, Present: c.Present.Seconds(), Most: c.Most, Watched: c.Watched.Seconds(),
		}
	}), nil
}

// zones returns the document in its JSON form, at revision 0 when there is none.
func (s *server) zones(ctx context.Context, cameraID string) (Zones, error) {
	m, err := s.Records.ZoneMap(ctx, cameraID)
	if errors.Is(err, store.ErrNotFound) {
		m, err = store.ZoneMap{CameraID: cameraID}, nil
	}
	return newZones(m), err
}

func zoneMap(cameraID string, in ZoneShapes) store.ZoneMap {
	m := store.ZoneMap{CameraID: cameraID}
	for _, z := range in.Zones {
		m.Zones = append(m.Zones, store.Zone{
			ID: z.ID, Name: z.Name, Polygon: points[store.Point](z.Polygon), Objects: store.ObjectFilter(z.Objects),
			Loiter: time.Duration(z.Loiter * float64(time.Second)),
		})
	}
	for _, l := range in.Lines {
		m.Lines = append(m.Lines, store.Line{
			ID: l.ID, Name: l.Name, From: store.Point(l.From), To: store.Point(l.To), Direction: l.Direction, Objects: store.ObjectFilter(l.Objects),
		})
	}
	for _, k := range in.Masks {
		m.Masks = append(m.Masks, store.Mask{
			ID: k.ID, Name: k.Name, Polygon: points[store.Point](k.Polygon), Classes: k.Classes, MinArea: k.MinArea, MaxArea: k.MaxArea,
		})
	}
	return m
}

func newZones(m store.ZoneMap) Zones {
	out := Zones{CameraID: m.CameraID, Revision: m.Revision, UpdatedAt: Time{m.UpdatedAt}}
	for _, z := range m.Zones {
		out.Zones = append(out.Zones, Zone{
			ID: z.ID, Name: z.Name, Polygon: points[Point](z.Polygon), Objects: ObjectFilter(z.Objects), Loiter: z.Loiter.Seconds(),
		})
	}
	for _, l := range m.Lines {
		out.Lines = append(out.Lines, Line{
			ID: l.ID, Name: l.Name, From: Point(l.From), To: Point(l.To), Direction: l.Direction, Objects: ObjectFilter(l.Objects),
		})
	}
	for _, k := range m.Masks {
		out.Masks = append(out.Masks, Mask{
			ID: k.ID, Name: k.Name, Polygon: points[Point](k.Polygon), Classes: slices.Clone(k.Classes), MinArea: k.MinArea, MaxArea: k.MaxArea,
		})
	}
	return out
}

func points[T, S ~[2]float64](in []S) []T {
	out := make([]T, len(in))
	for i, p := range in {
		out[i] = T(p)
	}
	return out
}
