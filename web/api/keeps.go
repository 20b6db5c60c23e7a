package api

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"detectd/store"
)

// Retention is what of a camera's recordings is kept. 0 takes the default of the settings.
type Retention struct {
	RecordBefore float64 `json:"record_before_s,omitempty" minimum:"0" maximum:"600" example:"5" doc:"Seconds kept before what happens, with record motion or events; 0 takes the default."`
	RecordAfter  float64 `json:"record_after_s,omitempty" minimum:"0" maximum:"600" example:"10" doc:"Seconds kept after it; 0 takes the default."`
	KeepDays     float64 `json:"keep_days,omitempty" minimum:"0" maximum:"36500" example:"14" doc:"Age in days at which its recordings go; 0 takes the default."`
	KeepEvents   float64 `json:"keep_events_days,omitempty" minimum:"0" maximum:"36500" example:"30" doc:"The same for recordings that an event at a zone or a line reaches, where it is more; 0 takes the default."`
	KeepBytes    int64   `json:"keep_bytes,omitempty" minimum:"0" doc:"Size of all its recordings, above which the oldest go; 0 is no limit of its own."`
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

func (r Retention) put(c *store.Camera) {
	c.RecordBefore, c.RecordAfter = seconds(r.RecordBefore), seconds(r.RecordAfter)
	c.Keep, c.KeepEvents, c.KeepBytes = seconds(r.KeepDays*86400), seconds(r.KeepEvents*86400), r.KeepBytes
}

func newRetention(c store.Camera) Retention {
	return Retention{c.RecordBefore.Seconds(), c.RecordAfter.Seconds(), c.Keep.Seconds() / 86400, c.KeepEvents.Seconds() / 86400, c.KeepBytes}
}

// KeepRange is a span of time to keep.
type KeepRange struct {
	From Time   `json:"from" doc:"Where it begins."`
	To   Time   `json:"to" doc:"Where it ends."`
	Note string `json:"note,omitempty" maxLength:"2000" doc:"Why, for people."`
}

// Keep is a span of time whose recordings are never deleted by age, size or space.
type Keep struct {
	CameraID string `json:"camera_id" example:"door" doc:"The camera."`
	ID       string `json:"id" example:"break-in" doc:"Its id, unique for the camera."`
	KeepRange
	CreatedAt Time `json:"created_at" doc:"When it was marked."`
}

// KeepPath is a keep in a path.
type KeepPath struct {
	CameraPath
	KeepID string `path:"keep_id" pattern:"^[a-z0-9][a-z0-9_-]{0,62}$" example:"break-in" doc:"The id of the mark."`
}

func (s *server) routeKeeps() {
	const tag = "Recordings"
	huma.Register(s.huma, operation(http.MethodGet, "/cameras/{camera_id}/keeps", "list-keeps", tag,
		"List what is kept", "The spans of time of a camera whose recordings stay, by id.", 404), s.listKeeps)
	huma.Register(s.huma, operation(http.MethodPut, "/cameras/{camera_id}/keeps/{keep_id}", "put-keep", tag,
		"Keep recordings", "Marks a span of time: its recordings stay until the mark is removed, whatever the limits say.", 404), s.putKeep)
	huma.Register(s.huma, operation(http.MethodDelete, "/cameras/{camera_id}/keeps/{keep_id}", "delete-keep", tag,
		"Keep recordings no longer", "Removes a mark. The recordings go when the limits say so.", 404), s.deleteKeep)
}

func (s *server) listKeeps(ctx context.Context, in *CameraPath) (*listed[Keep], error) {
	if err := s.cameraExists(ctx, in.CameraID); err != nil {
		return nil, err
	}
	all, err := s.Records.ListKeeps(ctx, in.CameraID)
	if err != nil {
		return nil, s.fail(ctx, err)
	}
	return newList(all, "", newKeep), nil
}

func (s *server) putKeep(ctx context.Context, in *struct {
	KeepPath
	Body KeepRange
},
) (*answered[Keep], error) {
	if !in.Body.To.After(in.Body.From.Time) {
		return nil, invalid("body.to", "the span must end after it begins")
	}
	k, err := s.Records.PutKeep(ctx, store.Keep{
		CameraID: in.CameraID, ID: in.KeepID, From: in.Body.From.Time, To: in.Body.To.Time, Note: in.Body.Note,
	})
	if err != nil {
		return nil, s.fail(ctx, err)
	}
	return &answered[Keep]{Body: newKeep(k)}, nil
}

func (s *server) deleteKeep(ctx context.Context, in *KeepPath) (*struct{}, error) {
	if err := s.Records.DeleteKeep(ctx, in.CameraID, in.KeepID); err != nil {
		return nil, s.fail(ctx, err)
	}
	return nil, nil
}

func newKeep(k store.Keep) Keep {
	return Keep{CameraID: k.CameraID, ID: k.ID, KeepRange: KeepRange{Time{k.From}, Time{k.To}, k.Note}, CreatedAt: Time{k.CreatedAt}}
}
