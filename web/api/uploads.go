package api

import (
	"context"
	"net/http"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"
)

// ImageDetections is what was found in an uploaded picture.
type ImageDetections struct {
	ID           string          `json:"id" example:"k3v5zq7xw2" doc:"The result that keeps the picture."`
	Width        int             `json:"width" example:"1920" doc:"Pixels of the picture."`
	Height       int             `json:"height" example:"1080" doc:"Pixels of the picture."`
	Model        string          `json:"model" example:"default" doc:"The model that ran."`
	ModelVersion int             `json:"model_version" example:"1" doc:"Its version."`
	Detections   []FileDetection `json:"detections" nullable:"false" doc:"Objects found, best score first."`
	TookMS       float64         `json:"took_ms" example:"61.5" doc:"From the whole file to its detections."`
	Picture      string          `json:"picture" example:"/api/v1/results/k3v5zq7xw2/content" doc:"The picture with its boxes."`
}

// FileDetection is one object found in an upload.
type FileDetection struct {
	Label   string  `json:"label" example:"person" doc:"What it is."`
	ClassID int     `json:"class_id" example:"0" doc:"Counts the model's labels from 0."`
	Score   float32 `json:"score" example:"0.91" doc:"How sure the model is, 0 to 1."`
	Box     Box     `json:"box" doc:"Where it is, in pixels of the source: x, y, width, height."`
	TrackID string  `json:"track_id,omitempty" example:"1" doc:"In videos: the track it belongs to."`
}

// UploadOptions say how an upload is looked at.
type UploadOptions struct {
	Model string  `query:"model" pattern:"^[a-z0-9][a-z0-9._-]{0,62}(@([0-9]{1,9}|[A-Za-z_][A-Za-z0-9_-]{0,254}))?$" example:"default@1" doc:"Model, alone or with a version or an alias after @; the default model when absent."`
	Score float64 `query:"score" minimum:"0" maximum:"1" example:"0.4" doc:"Least score of the objects wanted; 0 takes the model's default."`
}

func (s *server) routeUploads() {
	const tag = "Detections"
	image := operation(http.MethodPost, "/detections/image", "detect-image", tag,
		"Detect in a picture", "Finds objects in a picture of at most 32 MiB. The picture with its boxes is kept as a result.",
		404, 413, 415, 503, 507)
	huma.Register(s.huma, image, s.detectImage)
	s.describeBody(image, uploadRequest("The picture.", "image/*", "application/octet-stream"))

	video := operation(http.MethodPost, "/detections/video", "detect-video", tag,
		"Detect in a video", "Takes a video of at most 2 GiB and finds objects in all its frames, in the background. "+
			"Follow the result at Location.", 404, 413, 415, 503, 507)
	video.DefaultStatus = http.StatusAccepted
	huma.Register(s.huma, video, s.detectVideo)
	s.describeBody(video, uploadRequest("The video.", "video/*", "application/octet-stream"))
}

func (s *server) detectImage(ctx context.Context, in *struct {
	UploadBody
	UploadOptions
	Save bool `query:"save" default:"true" doc:"Pictures are always kept; accepted so that scripts can say so."`
},
) (*answered[ImageDetections], error) {
	up, err := s.upload(ctx, &in.UploadBody, in.UploadOptions, maxImageBytes, "image/")
	if err != nil {
		return nil, s.fail(ctx, err)
	}
	found, err := s.Detector.DetectImage(ctx, up)
	if err != nil {
		return nil, s.fail(ctx, err)
	}
	out := ImageDetections{
		ID: found.Result.ID, Width: found.Width, Height: found.Height, Model: found.Result.Model, ModelVersion: found.Result.Version,
		Detections: make([]FileDetection, 0, len(found.Detections)), TookMS: ms(found.Took), Picture: contentPath(found.Result.ID),
	}
	for _, d := range found.Detections {
		out.Detections = append(out.Detections, FileDetection{
			Label: d.Label, ClassID: d.ClassID, Score: d.Score, Box: Box{d.Box.X, d.Box.Y, d.Box.W, d.Box.H},
		})
	}
	return &answered[ImageDetections]{Body: out}, nil
}

func (s *server) detectVideo(ctx context.Context, in *struct {
	UploadBody
	UploadOptions
},
) (*accepted[Result], error) {
	up, err := s.upload(ctx, &in.UploadBody, in.UploadOptions, maxVideoBytes, "video/")
	if err != nil {
		return nil, s.fail(ctx, err)
	}
	r, err := s.Detector.SubmitVideo(ctx, up)
	if err != nil {
		return nil, s.fail(ctx, err)
	}
	return &accepted[Result]{Location: resultPath(r.ID), Body: newResult(r)}, nil
}

// upload opens the body and puts the options with it.
func (s *server) upload(ctx context.Context, u *UploadBody, o UploadOptions, limit int64, kinds ...string) (Upload, error) {
	f, err := u.open(limit)
	if err != nil {
		return Upload{}, err
	}
	if err := f.accept(kinds...); err != nil {
		return Upload{}, err
	}
	name, after, _ := strings.Cut(o.Model, "@")
	version, err := strconv.Atoi(after)
	if err != nil && after != "" { // the pattern lets only numbers and aliases through
		v, err := s.Records.AliasVersion(ctx, name, after)
		if err != nil {
			return Upload{}, err
		}
		version = v.Version
	}
	return Upload{Body: f, Name: f.name, MIME: f.mime, Model: name, Version: version, MinScore: o.Score}, nil
}

// describeBody documents the body of an operation that reads it as a stream.
// It has to come after registering: huma would read a described body itself.
func (s *server) describeBody(op huma.Operation, body *huma.RequestBody) {
	s.huma.OpenAPI().Paths[op.Path].Post.RequestBody = body
}
