package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"detectd/store"
)

// Report is a roll-up of an hour or a day of one camera and model version.
type Report struct {
	Period       string           `json:"period" enum:"hour,day" doc:"Its length."`
	Start        Time             `json:"start" doc:"When it begins."`
	CameraID     string           `json:"camera_id" example:"door" doc:"The camera."`
	Model        string           `json:"model" example:"default" doc:"The model."`
	ModelVersion int              `json:"model_version" example:"1" doc:"Its version."`
	Frames       int64            `json:"frames" doc:"Pictures decoded."`
	Inferences   int64            `json:"inferences" doc:"Pictures that went through the model."`
	Errors       int64            `json:"errors" doc:"Inferences that failed."`
	Drops        map[string]int64 `json:"drops" doc:"What was given up, by reason."`
	Detections   int64            `json:"detections" doc:"Objects found."`
	Classes      map[string]int64 `json:"classes" doc:"Objects found, by label."`
	MeanScore    float64          `json:"mean_score" example:"0.74" doc:"Mean score of the objects found."`
	P50MS        float64          `json:"p50_ms" example:"42.5" doc:"Half of the results came within this many milliseconds of their frame."`
	P95MS        float64          `json:"p95_ms" doc:"95 % of the results came within this."`
	P99MS        float64          `json:"p99_ms" doc:"99 % of the results came within this."`
	Recorded     *Coverage        `json:"recorded" doc:"How much of this time was recorded of the camera, whichever model ran."`
}

// Inference is one picture that went through a model.
type Inference struct {
	CameraID     string  `json:"camera_id" example:"door" doc:"The camera."`
	Time         Time    `json:"time" doc:"When the result was ready."`
	Model        string  `json:"model" example:"default" doc:"The model."`
	ModelVersion int     `json:"model_version" example:"1" doc:"Its version."`
	Batch        int     `json:"batch" example:"4" doc:"Pictures in the same run."`
	QueuedMS     float64 `json:"queued_ms" doc:"Waiting for the run to start."`
	RanMS        float64 `json:"ran_ms" doc:"The run of the whole batch."`
	LatencyMS    float64 `json:"latency_ms" doc:"From the arrival of the frame to its result."`
	Detections   int     `json:"detections" doc:"Objects found."`
	Error        string  `json:"error,omitempty" doc:"Why it failed."`
}

func (s *server) routeReports() {
	const tag = "Reports"
	huma.Register(s.huma, operation(http.MethodGet, "/reports", "list-reports", tag,
		"List reports", "Roll-ups per camera and model version, newest first. Days begin at midnight in the time zone tz.", 404), s.listReports)
	huma.Register(s.huma, operation(http.MethodGet, "/inferences", "list-inferences", tag,
		"List inferences", "Single inferences, newest first.", 404), s.listInferences)
}

func (s *server) listReports(ctx context.Context, in *struct {
	Period   string `query:"period" enum:"hour,day" default:"hour" doc:"Hours or days."`
	CameraID string `query:"camera_id" pattern:"^[a-z0-9][a-z0-9_-]{0,62}$" doc:"Only of this camera."`
	Model    string `query:"model" pattern:"^[a-z0-9][a-z0-9._-]{0,62}$" doc:"Only of this model."`
	Span
	TZ    string `query:"tz" maxLength:"64" default:"UTC" example:"Europe/Berlin" doc:"Time zone of the days."`
	Limit int    `query:"limit" minimum:"1" maximum:"1000" default:"100" doc:"Most items in the answer."`
},
) (*listed[Report], error) {
	zone, err := location(in.TZ)
	if err != nil {
		return nil, err
	}
	if err := s.cameraExists(ctx, in.CameraID); err != nil {
		return nil, err
	}
	rows, err := s.Records.ListReports(ctx, store.ReportQuery{
		Period: in.Period, CameraID: in.CameraID, Model: in.Model, Range: in.Span.store(), Location: zone, Limit: in.Limit,
	})
	if err != nil {
		return nil, s.fail(ctx, err)
	}
	out := newList(rows, "", newReport)
	return out, s.addCoverage(ctx, out.Body.Items, zone)
}

func (s *server) listInferences(ctx context.Context, in *struct {
	CameraID string `query:"camera_id" pattern:"^[a-z0-9][a-z0-9_-]{0,62}$" doc:"Only of this camera."`
	Span
	Page
},
) (*listed[Inference], error) {
	if err := s.cameraExists(ctx, in.CameraID); err != nil {
		return nil, err
	}
	rows, next, err := s.Series.ListInferences(ctx, in.CameraID, in.Span.store(), in.Page.store())
	if err != nil {
		return nil, s.fail(ctx, err)
	}
	return newList(rows, next, newInference), nil
}

func newReport(r store.Report) Report {
	return Report{
		Period: r.Period, Start: Time{r.Start}, CameraID: r.CameraID, Model: r.Model, ModelVersion: r.Version,
		Frames: r.Frames, Inferences: r.Inferences, Errors: r.Errors, Drops: counts(r.Drops), Detections: r.Detections,
		Classes: counts(r.Classes), MeanScore: r.MeanScore, P50MS: ms(r.P50), P95MS: ms(r.P95), P99MS: ms(r.P99),
	}
}

// counts makes a map that is never null in JSON.
func counts(m map[string]int64) map[string]int64 {
	if m == nil {
		return map[string]int64{}
	}
	return m
}

func newInference(i store.Inference) Inference {
	return Inference{
		CameraID: i.CameraID, Time: Time{i.Time}, Model: i.Model, ModelVersion: i.Version, Batch: i.Batch,
		QueuedMS: ms(i.Queued), RanMS: ms(i.Ran), LatencyMS: ms(i.Latency), Detections: i.Detections, Error: i.Error,
	}
}
