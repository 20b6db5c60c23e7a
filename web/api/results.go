package api

import (
	"context"
	"encoding/json"
	"fmt"
	"mime"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humachi"

	"detectd/store"
)

// maxClip is the longest clip.
const maxClip = 5 * time.Minute

// Result is a picture or a video made on request.
type Result struct {
	ID           string  `json:"id" example:"k3v5zq7xw2" doc:"Identifies the result."`
	Kind         string  `json:"kind" enum:"still,clip,image,video" doc:"A still or a clip of a camera, or an uploaded picture or video with its boxes."`
	CameraID     string  `json:"camera_id,omitempty" example:"door" doc:"The camera of a still or a clip."`
	Name         string  `json:"name" example:"yard.jpg" doc:"File name of the upload, or a title."`
	From         Time    `json:"from,omitzero" doc:"Time of a still, begin of a clip."`
	To           Time    `json:"to,omitzero" doc:"End of a clip."`
	State        string  `json:"state" enum:"queued,running,done,failed" doc:"How far it is."`
	Progress     float64 `json:"progress" example:"0.5" doc:"Share that is done, 0 to 1."`
	Error        string  `json:"error,omitempty" doc:"Why it failed."`
	MIME         string  `json:"mime,omitempty" example:"video/mp4" doc:"Media type of the file."`
	Bytes        int64   `json:"bytes" doc:"Size of the file."`
	Model        string  `json:"model,omitempty" example:"default" doc:"The model that ran."`
	ModelVersion int     `json:"model_version,omitempty" example:"1" doc:"Its version."`
	CreatedAt    Time    `json:"created_at" doc:"When it was asked for."`
	FinishedAt   Time    `json:"finished_at,omitzero" doc:"When it was done or had failed."`
	Content      string  `json:"content,omitempty" example:"/api/v1/results/k3v5zq7xw2/content" doc:"Where the file is, once it is done."`
}

// NewResult asks for a still or a clip.
type NewResult struct {
	Kind     string `json:"kind" enum:"still,clip" doc:"What to make."`
	CameraID string `json:"camera_id" pattern:"^[a-z0-9][a-z0-9_-]{0,62}$" example:"door" doc:"The camera."`
	Time     Time   `json:"time,omitzero" doc:"Time of a still."`
	From     Time   `json:"from,omitzero" doc:"Begin of a clip."`
	To       Time   `json:"to,omitzero" doc:"End of a clip, at most 5 minutes later."`
}

// FrameDetections is what was found in one frame of an upload.
type FrameDetections struct {
	Frame      int             `json:"frame" example:"0" doc:"Counts the frames of the file from 0."`
	PTSMS      float64         `json:"pts_ms" example:"40" doc:"Position in the file, in milliseconds."`
	Detections []FileDetection `json:"detections" nullable:"false" doc:"Objects found, best score first."`
}

// ResultPath is the result in a path.
type ResultPath struct {
	ResultID string `path:"result_id" pattern:"^[a-z0-9][a-z0-9_-]{0,62}$" example:"k3v5zq7xw2" doc:"The result's id."`
}

func (s *server) routeResults() {
	const tag = "Results"
	huma.Register(s.huma, operation(http.MethodGet, "/results", "list-results", tag,
		"List results", "Results, newest first.", 404), s.listResults)
	create := operation(http.MethodPost, "/results", "create-result", tag,
		"Ask for a still or a clip", "Renders a picture or a video of a camera's recording with boxes, in the background. Follow it at Location.",
		400, 404, 413, 503, 507)
	create.DefaultStatus = http.StatusAccepted
	huma.Register(s.huma, create, s.createResult)
	huma.Register(s.huma, operation(http.MethodGet, "/results/{result_id}", "get-result", tag,
		"Get a result", "One result's facts and progress.", 404), s.getResult)
	huma.Register(s.huma, operation(http.MethodDelete, "/results/{result_id}", "delete-result", tag,
		"Delete a result", "Deletes a result with its file; one that is being made is stopped.", 404), s.deleteResult)
	content := operation(http.MethodGet, "/results/{result_id}/content", "get-result-content", tag,
		"Get a result's file", "The picture or video. Ranges can be asked for. 409 while it is not done.", 404, 409)
	content.Responses = map[string]*huma.Response{
		"200": binary("The file.", "*/*"), "206": binary("The part asked for.", "*/*"),
		"304": {Description: "Not changed."}, "416": {Description: "The range is not in the file."},
	}
	huma.Register(s.huma, content, s.getResultContent)
	huma.Register(s.huma, operation(http.MethodGet, "/results/{result_id}/detections", "list-result-detections", tag,
		"List an upload's detections", "What was found in each frame of an upload. 409 while it is not done.", 404, 409), s.listResultDetections)
}

func (s *server) listResults(ctx context.Context, in *struct {
	CameraID string `query:"camera_id" pattern:"^[a-z0-9][a-z0-9_-]{0,62}$" doc:"Only of this camera."`
	Page
},
) (*listed[Result], error) {
	if err := s.cameraExists(ctx, in.CameraID); err != nil {
		return nil, err
	}
	rows, next, err := s.Records.ListResults(ctx, in.CameraID, in.Page.store())
	if err != nil {
		return nil, s.fail(ctx, err)
	}
	return newList(rows, next, newResult), nil
}

func (s *server) createResult(ctx context.Context, in *struct{ Body NewResult }) (*accepted[Result], error) {
	b := in.Body
	r := store.Result{
		ID: newID(), Kind: b.Kind, CameraID: b.CameraID, State: store.ResultQueued,
		// Milliseconds, which is what answers show.
		CreatedAt: time.Now().UTC().Truncate(time.Millisecond),
	}
	switch {
	case b.Kind == "still" && b.Time.IsZero():
		return nil, invalid("body.time", "a still needs a time")
	case b.Kind == "still":
		r.From, r.To = b.Time.UTC(), b.Time.UTC()
	case b.From.IsZero() || b.To.IsZero():
		return nil, invalid("body.from", "a clip needs from and to")
	case !b.To.After(b.From.Time):
		return nil, invalid("body.to", "to must be after from")
	case b.To.Sub(b.From.Time) > maxClip:
		return nil, invalid("body.to", fmt.Sprintf("a clip may last %d minutes", maxClip/time.Minute))
	default:
		r.From, r.To = b.From.UTC(), b.To.UTC()
	}
	c, err := s.Records.Camera(ctx, b.CameraID)
	if err != nil {
		return nil, s.fail(ctx, err)
	}
	r.Name = c.Name + " " + r.From.Format(timeFormat)
	if err := s.Renders.Request(ctx, r); err != nil {
		return nil, s.fail(ctx, err)
	}
	return &accepted[Result]{Location: resultPath(r.ID), Body: newResult(r)}, nil
}

func (s *server) getResult(ctx context.Context, in *ResultPath) (*answered[Result], error) {
	r, err := s.Records.Result(ctx, in.ResultID)
	if err != nil {
		return nil, s.fail(ctx, err)
	}
	return &answered[Result]{Body: newResult(r)}, nil
}

func (s *server) deleteResult(ctx context.Context, in *ResultPath) (*struct{}, error) {
	if err := s.Renders.Remove(ctx, in.ResultID); err != nil {
		return nil, s.fail(ctx, err)
	}
	return nil, nil
}

func (s *server) getResultContent(ctx context.Context, in *ResultPath) (*huma.StreamResponse, error) {
	r, err := s.doneResult(ctx, in.ResultID)
	if err != nil {
		return nil, s.fail(ctx, err)
	}
	blob, _, err := s.Blobs.Open(ctx, r.SHA256)
	if err != nil {
		return nil, s.fail(ctx, err)
	}
	return &huma.StreamResponse{Body: func(c huma.Context) {
		defer blob.Close()
		req, w := humachi.Unwrap(c)
		w.Header().Set("Content-Type", r.MIME)
		w.Header().Set("ETag", `"`+r.SHA256+`"`)
		if r.Name != "" {
			w.Header().Set("Content-Disposition", mime.FormatMediaType("inline", map[string]string{"filename": r.Name}))
		}
		http.ServeContent(w, req, "", r.FinishedAt, blob)
	}}, nil
}

func (s *server) listResultDetections(ctx context.Context, in *ResultPath) (*listed[FrameDetections], error) {
	r, err := s.doneResult(ctx, in.ResultID)
	if err != nil {
		return nil, s.fail(ctx, err)
	}
	frames := []FrameDetections{}
	if len(r.Detections) > 0 {
		if err := json.Unmarshal(r.Detections, &frames); err != nil {
			return nil, s.fail(ctx, fmt.Errorf("read detections of result %s: %w", r.ID, err))
		}
	}
	return newList(frames, "", func(f FrameDetections) FrameDetections {
		if f.Detections == nil {
			f.Detections = []FileDetection{}
		}
		return f
	}), nil
}

// doneResult returns a result that has its file; 409 for one that has not yet, or has failed.
func (s *server) doneResult(ctx context.Context, id string) (store.Result, error) {
	r, err := s.Records.Result(ctx, id)
	switch {
	case err != nil:
		return r, err
	case r.State == store.ResultFailed:
		return r, huma.NewError(http.StatusConflict, "result "+id+" has failed: "+r.Error)
	case r.State != store.ResultDone:
		return r, huma.NewError(http.StatusConflict, "result "+id+" is not done yet")
	}
	return r, nil
}

func resultPath(id string) string { return base + "/results/" + id }

func contentPath(id string) string { return resultPath(id) + "/content" }

func newResult(r store.Result) Result {
	out := Result{
		ID: r.ID, Kind: r.Kind, CameraID: r.CameraID, Name: r.Name, From: Time{r.From}, To: Time{r.To}, State: r.State,
		Progress: r.Progress, Error: r.Error, MIME: r.MIME, Bytes: r.Bytes, Model: r.Model, ModelVersion: r.Version,
		CreatedAt: Time{r.CreatedAt}, FinishedAt: Time{r.FinishedAt},
	}
	if r.State == store.ResultDone {
		out.Content = contentPath(r.ID)
	}
	return out
}
