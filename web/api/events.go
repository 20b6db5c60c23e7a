package api

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"detectd/store"
)

// Event is one line of the log of what happened.
type Event struct {
	ID       int64           `json:"id" example:"17" doc:"Identifies the event."`
	Time     Time            `json:"time" doc:"When it happened."`
	Kind     string          `json:"kind" example:"camera.state" doc:"What kind of thing happened."`
	CameraID string          `json:"camera_id,omitempty" example:"door" doc:"The camera it is about."`
	ClientID string          `json:"client_id,omitempty" example:"harbour" doc:"The client it is about."`
	Message  string          `json:"message" example:"camera door is running" doc:"What happened, in words."`
	Data     json.RawMessage `json:"data,omitempty" doc:"Details, by kind."`
	Clock    string          `json:"clock" enum:"rtcp,arrival,file,machine" example:"rtcp" doc:"How the time was obtained: as the capture time of the frame in which it happened, or from the machine's clock."`
	// TimeErrorMS is 0 with the machine's clock.
	TimeErrorMS float64 `json:"time_error_ms" doc:"Half-width of the interval that the time is known to lie in."`
}

func (s *server) routeEvents() {
	const tag = "Events"
	huma.Register(s.huma, operation(http.MethodGet, "/events", "list-events", tag,
		"List events", "What happened, newest first. Events of deleted cameras stay."), s.listEvents)
	stream := operation(http.MethodGet, "/events/stream", "stream-events", tag,
		"Follow events", "Server-sent events for as long as the request stays open. The event is one of camera.state (data: a camera's status), "+
			"camera.changed ({camera_id, action}), detections ({camera_id, frames: [annotation]}; only for cameras named in camera_id), "+
			"track (a track), model.changed ({client_id, camera_id, revision}), models.changed ({}), model.state (a running state), result (a result), "+
			"zone (what an object did at a zone or a line), zones.changed ({camera_id, revision}), "+
			"health ({cameras: [status]}, every second). A comment is sent every 15 s.")
	stream.Responses = map[string]*huma.Response{"200": {
		Description: "The events.",
		Content:     map[string]*huma.MediaType{"text/event-stream": {Schema: &huma.Schema{Type: huma.TypeString}}},
	}}
	huma.Register(s.huma, stream, s.streamEvents)
}

func (s *server) listEvents(ctx context.Context, in *struct {
	CameraID string `query:"camera_id" pattern:"^[a-z0-9][a-z0-9_-]{0,62}$" doc:"Only about this camera."`
	Kind     string `query:"kind" maxLength:"100" doc:"Only of this kind; with ! in front, of all kinds but those that begin so: !track. leaves out objects that come and go." example:"line.crossed"`
	Span
	Page
},
) (*listed[Event], error) {
	rows, next, err := s.Records.ListEvents(ctx, in.CameraID, in.Kind, in.Span.store(), in.Page.store())
	if err != nil {
		return nil, s.fail(ctx, err)
	}
	return newList(rows, next, newEvent), nil
}

func newEvent(e store.Event) Event {
	if e.Clock == "" {
		e.Clock = "machine"
	}
	return Event{
		ID: e.ID, Time: Time{e.Time}, Kind: e.Kind, CameraID: e.CameraID, ClientID: e.ClientID, Message: e.Message, Data: e.Data,
		Clock: e.Clock, TimeErrorMS: ms(e.TimeError),
	}
}
