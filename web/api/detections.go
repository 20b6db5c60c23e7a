package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"detectd/store"
)

// Box is a rectangle in pixels of the source picture: x, y, width, height.
type Box [4]float32

// Schema implements huma.SchemaProvider.
func (Box) Schema(huma.Registry) *huma.Schema {
	four := 4
	return &huma.Schema{
		Type: huma.TypeArray, Items: &huma.Schema{Type: huma.TypeNumber, Format: "float"}, MinItems: &four, MaxItems: &four,
		Examples: []any{[]any{12.5, 40, 64, 128}},
	}
}

// Detection is one object in one frame of a camera.
type Detection struct {
	CameraID string  `json:"camera_id" example:"door" doc:"The camera."`
	Time     Time    `json:"time" doc:"Capture time of the frame."`
	Frame    uint64  `json:"frame" example:"1234" doc:"Counts the frames since the camera's worker started."`
	Kind     string  `json:"kind" enum:"detected,interpolated,extrapolated" doc:"Whether the model saw it in this frame, or tracking filled it in."`
	Label    string  `json:"label" example:"person" doc:"What it is."`
	ClassID  int     `json:"class_id" example:"0" doc:"Counts the model's labels from 0."`
	Score    float32 `json:"score" example:"0.91" doc:"How sure the model is, 0 to 1."`
	Box      Box     `json:"box" doc:"Where it is, in pixels of the source: x, y, width, height."`
	TrackID  string  `json:"track_id,omitempty" example:"door-17" doc:"The track it belongs to."`
}

// Annotation is what is known about one frame of a camera.
type Annotation struct {
	CameraID     string   `json:"camera_id" example:"door" doc:"The camera."`
	Time         Time     `json:"time" doc:"Capture time of the frame."`
	Frame        uint64   `json:"frame" example:"1234" doc:"Counts the frames since the camera's worker started."`
	PTSMS        float64  `json:"pts_ms" example:"40" doc:"Position on the stream's own timeline, in milliseconds."`
	Width        int      `json:"width" example:"1920" doc:"Pixels of the frame."`
	Height       int      `json:"height" example:"1080" doc:"Pixels of the frame."`
	Kind         string   `json:"kind" enum:"detected,interpolated,extrapolated" doc:"Whether the model ran on this frame, or tracking filled it in."`
	Model        string   `json:"model,omitempty" example:"default" doc:"The model."`
	ModelVersion int      `json:"model_version,omitempty" example:"1" doc:"Its version."`
	Clock        string   `json:"clock,omitempty" enum:"rtcp,arrival,file" doc:"How the capture time was obtained."`
	TimeErrorMS  float64  `json:"time_error_ms" doc:"Half-width of the interval the capture time is known to lie in."`
	Objects      []Object `json:"objects" nullable:"false" doc:"What is in the frame."`
}

// Object is one object of an annotation.
type Object struct {
	TrackID string  `json:"track_id,omitempty" example:"door-17" doc:"The track it belongs to."`
	ClassID int     `json:"class_id" example:"0" doc:"Counts the model's labels from 0."`
	Label   string  `json:"label" example:"person" doc:"What it is."`
	Score   float32 `json:"score" example:"0.91" doc:"How sure the model is, 0 to 1."`
	Box     Box     `json:"box" doc:"Where it is, in pixels of the source: x, y, width, height."`
	Kind    string  `json:"kind" enum:"detected,interpolated,extrapolated" doc:"Whether the model saw it in this frame."`
}

func (s *server) routeDetections() {
	const tag = "Detections"
	huma.Register(s.huma, operation(http.MethodGet, "/detections", "list-detections", tag,
		"List detections", "Objects found in the frames of cameras, newest first.", 404), s.listDetections)
	huma.Register(s.huma, operation(http.MethodGet, "/annotations", "list-annotations", tag,
		"List annotations", "What is known about each frame of a camera, oldest first. Go on with from = the time after the last.", 404), s.listAnnotations)
}

func (s *server) listDetections(ctx context.Context, in *struct {
	CameraID string `query:"camera_id" pattern:"^[a-z0-9][a-z0-9_-]{0,62}$" doc:"Only of this camera."`
	Label    string `query:"label" maxLength:"100" doc:"Only objects with this label."`
	Kind     string `query:"kind" enum:"detected,interpolated,extrapolated" doc:"Only objects of this kind."`
	Span
	Page
},
) (*listed[Detection], error) {
	if err := s.cameraExists(ctx, in.CameraID); err != nil {
		return nil, err
	}
	q := store.DetectionQuery{CameraID: in.CameraID, Range: in.Span.store(), Label: in.Label, Kind: in.Kind}
	rows, next, err := s.Series.ListDetections(ctx, q, in.Page.store())
	if err != nil {
		return nil, s.fail(ctx, err)
	}
	return newList(rows, next, newDetection), nil
}

func (s *server) listAnnotations(ctx context.Context, in *struct {
	CameraID string `query:"camera_id" required:"true" pattern:"^[a-z0-9][a-z0-9_-]{0,62}$" doc:"The camera."`
	Span
	Limit int `query:"limit" minimum:"1" maximum:"1000" default:"100" doc:"Most items in the answer."`
},
) (*listed[Annotation], error) {
	if err := s.cameraExists(ctx, in.CameraID); err != nil {
		return nil, err
	}
	rows, err := s.Series.Annotations(ctx, in.CameraID, in.Span.store(), in.Limit)
	if err != nil {
		return nil, s.fail(ctx, err)
	}
	return newList(rows, "", newAnnotation), nil
}

// cameraExists answers 404 for a filter that names an unknown camera.
func (s *server) cameraExists(ctx context.Context, id string) error {
	if id == "" {
		return nil
	}
	if _, err := s.Records.Camera(ctx, id); err != nil {
		return s.fail(ctx, err)
	}
	return nil
}

func newDetection(d store.DetectionRow) Detection {
	kind := d.Object.Kind
	if kind == "" {
		kind = d.Kind
	}
	return Detection{
		CameraID: d.CameraID, Time: Time{d.Time}, Frame: d.Frame, Kind: kind,
		Label: d.Label, ClassID: d.ClassID, Score: d.Score, Box: Box(d.Box), TrackID: d.TrackID,
	}
}

func newAnnotation(a store.Annotation) Annotation {
	out := Annotation{
		CameraID: a.CameraID, Time: Time{a.Time}, Frame: a.Frame, PTSMS: ms(a.PTS), Width: a.Width, Height: a.Height,
		Kind: a.Kind, Model: a.Model, ModelVersion: a.Version, Clock: a.Clock, TimeErrorMS: ms(a.TimeError), Objects: make([]Object, 0, len(a.Objects)),
	}
	for _, o := range a.Objects {
		kind := o.Kind
		if kind == "" {
			kind = a.Kind
		}
		out.Objects = append(out.Objects, Object{
			TrackID: o.TrackID, ClassID: o.ClassID, Label: o.Label, Score: o.Score, Box: Box(o.Box), Kind: kind,
		})
	}
	return out
}
