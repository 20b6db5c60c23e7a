package api

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"detectd/store"
)

// TimelinePiece is what happened at a camera in a piece of time.
type TimelinePiece struct {
	Start    Time           `json:"start" doc:"Start of the piece."`
	Recorded float64        `json:"recorded_seconds" example:"60" doc:"Of it, how much is recorded."`
	Moving   float64        `json:"motion_seconds" example:"12.5" doc:"Of it, in how much something was followed."`
	Tracks   map[string]int `json:"tracks,omitempty" doc:"How many objects appeared, by label."`
	Events   int            `json:"events" example:"3" doc:"Lines of the event log."`
}

func (s *server) routeTimeline() {
	huma.Register(s.huma, operation(http.MethodGet, "/cameras/{camera_id}/timeline", "get-timeline", "Recordings", "Sum up time",
		"What was recorded and what happened, in pieces of time from the start of the span on. Pieces in which nothing was recorded and nothing happened are absent.", 404, 422), s.getTimeline)
}

func (s *server) getTimeline(ctx context.Context, in *struct {
	CameraPath
	WholeSpan
	Step float64 `query:"step_seconds" minimum:"1" maximum:"86400" default:"60" doc:"Length of a piece; a span of at most 44640 pieces can be asked for."`
},
) (*listed[TimelinePiece], error) {
	if err := in.check(); err != nil {
		return nil, err
	}
	step := time.Duration(in.Step * float64(time.Second))
	if in.To.Sub(in.From.Time) > step*store.MaxTimeline {
		return nil, invalid("query.step_seconds", "that are too many pieces: take longer ones or a shorter span")
	}
	if err := s.cameraExists(ctx, in.CameraID); err != nil {
		return nil, err
	}
	rows, err := s.Records.Timeline(ctx, in.CameraID, store.Range{From: in.From.Time, To: in.To.Time}, step)
	if err != nil {
		return nil, s.fail(ctx, err)
	}
	return newList(rows, "", func(p store.TimelinePiece) TimelinePiece {
		return TimelinePiece{Start: Time{p.Start}, Recorded: p.Recorded.Seconds(), Moving: p.Moving.Seconds(), Tracks: p.Tracks, Events: p.Events}
	}), nil
}
