package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"detectd/store"
)

// Track is one object followed through frames.
type Track struct {
	ID           string  `json:"id" example:"door-17" doc:"Identifies the track for ever."`
	CameraID     string  `json:"camera_id" example:"door" doc:"The camera."`
	Label        string  `json:"label" example:"person" doc:"What it is."`
	ClassID      int     `json:"class_id" example:"0" doc:"Counts the model's labels from 0."`
	Start        Time    `json:"start" doc:"First seen."`
	End          Time    `json:"end" doc:"Last seen."`
	Ended        bool    `json:"ended" doc:"Whether it has left."`
	Frames       int     `json:"frames" example:"42" doc:"Frames in which the model saw it."`
	BestScore    float32 `json:"best_score" example:"0.97" doc:"Its best score, 0 to 1."`
	BestTime     Time    `json:"best_time" doc:"Capture time of the frame with that score."`
	BestBox      Box     `json:"best_box" doc:"Where it was in that frame."`
	Model        string  `json:"model" example:"default" doc:"The model."`
	ModelVersion int     `json:"model_version" example:"1" doc:"Its version."`
	Clock        string  `json:"clock,omitempty" enum:"rtcp,arrival,file" doc:"How its times were obtained."`
	TimeErrorMS  float64 `json:"time_error_ms" doc:"Half-width of the interval that each of them is known to lie in."`
}

func (s *server) routeTracks() {
	const tag = "Tracks"
	huma.Register(s.huma, operation(http.MethodGet, "/tracks", "list-tracks", tag,
		"List tracks", "Objects that were in view during the span of time, newest first.", 404), s.listTracks)
	huma.Register(s.huma, operation(http.MethodGet, "/tracks/{track_id}", "get-track", tag,
		"Get a track", "One track.", 404), s.getTrack)
}

func (s *server) listTracks(ctx context.Context, in *struct {
	CameraID string `query:"camera_id" pattern:"^[a-z0-9][a-z0-9_-]{0,62}$" doc:"Only of this camera."`
	Label    string `query:"label" maxLength:"100" doc:"Only objects with this label."`
	Span
	Page
},
) (*listed[Track], error) {
	if err := s.cameraExists(ctx, in.CameraID); err != nil {
		return nil, err
	}
	rows, next, err := s.Records.ListTracks(ctx, in.CameraID, in.Label, in.Span.store(), in.Page.store())
	if err != nil {
		return nil, s.fail(ctx, err)
	}
	return newList(rows, next, newTrack), nil
}

func (s *server) getTrack(ctx context.Context, in *struct {
	TrackID string `path:"track_id" maxLength:"200" example:"door-17" doc:"The track's id."`
},
) (*answered[Track], error) {
	t, err := s.Records.Track(ctx, in.TrackID)
	if err != nil {
		return nil, s.fail(ctx, err)
	}
	return &answered[Track]{Body: newTrack(t)}, nil
}

func newTrack(t store.Track) Track {
	return Track{
		ID: t.ID, CameraID: t.CameraID, Label: t.Label, ClassID: t.ClassID, Start: Time{t.Start}, End: Time{t.End},
		Ended: t.Ended, Frames: t.Frames, BestScore: t.BestScore, BestTime: Time{t.BestTime}, BestBox: Box(t.BestBox),
		Model: t.Model, ModelVersion: t.Version, Clock: t.Clock, TimeErrorMS: ms(t.TimeError),
	}
}
