package api

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humachi"

	"detectd/detect"
	"detectd/store"
)

// Lineage is what a model version was derived from.
type Lineage struct {
	Parent            string `json:"parent,omitempty" example:"default@1" doc:"The version it was made from: as its file says, or the tag detectd.parent."`
	ParentSHA256      string `json:"parent_sha256,omitempty" doc:"Of that version's file."`
	Method            string `json:"method,omitempty" example:"fp16" doc:"What was done with it."`
	Job               string `json:"job,omitempty" example:"train-318" doc:"The job that trained it: the tag detectd.job."`
	Dataset           string `json:"dataset,omitempty" example:"street@7" doc:"The data it was trained with: the tag detectd.dataset."`
	Run               string `json:"run,omitempty" doc:"The run of MLflow that made it."`
	LoggedModel       string `json:"logged_model,omitempty" doc:"The logged model of MLflow that it was."`
	Pictures          int    `json:"pictures,omitempty" doc:"Calibration pictures."`
	CalibrationSHA256 string `json:"calibration_sha256,omitempty" doc:"Digest of the calibration pictures."`
}

// ModelCheck is what a version's self-check found.
type ModelCheck struct {
	Verdict  string         `json:"verdict" enum:"pass,unsure,fail" doc:"pass: what it finds makes sense; unsure: the picture does not tell; fail: its contract is wrong, or the model is."`
	Found    int            `json:"found" doc:"Detections in the picture."`
	Labels   map[string]int `json:"labels" doc:"Detections by label."`
	Best     float64        `json:"best" doc:"Highest score."`
	Followed float64        `json:"followed" doc:"Part of what is found that is found again when the picture is mirrored and shifted; -1 when nothing is found."`
	Faults   []string       `json:"faults" nullable:"false" doc:"Why the contract is wrong."`
	Doubts   []string       `json:"doubts" nullable:"false" doc:"Why nothing can be said."`
	Notes    []string       `json:"notes" nullable:"false" doc:"What the picture does not tell."`
	Time     Time           `json:"time,omitzero" doc:"When it was made."`
	Overlay  string         `json:"overlay,omitempty" example:"/api/v1/models/default/versions/1/check/overlay" doc:"The picture with what was found, to be looked at."`
}

func (s *server) routeModelChecks() {
	const tag, path = "Models", "/models/{model_name}/versions/{version}/check"
	huma.Register(s.huma, operation(http.MethodGet, path, "get-model-check", tag,
		"Get a version's self-check", "What the self-check found when the version was added, or when it was last repeated. 404 when there was none.", 404), s.getModelCheck)
	huma.Register(s.huma, operation(http.MethodPost, path, "repeat-model-check", tag,
		"Repeat a version's self-check", "Checks the version once more, which takes seconds, and keeps the result with the picture in place of the one before.", 404), s.repeatModelCheck)
	overlay := operation(http.MethodGet, path+"/overlay", "get-model-check-overlay", tag,
		"Get the picture of a self-check", "A JPEG with the boxes that the version has found in the check's picture.", 404)
	overlay.Responses = map[string]*huma.Response{
		"200": binary("The picture.", "image/jpeg"), "206": binary("The part asked for.", "image/jpeg"),
		"304": {Description: "Not changed."}, "416": {Description: "The range is not in the file."},
	}
	huma.Register(s.huma, overlay, s.getModelCheckOverlay)
}

func (s *server) getModelCheck(ctx context.Context, in *VersionPath) (*answered[ModelCheck], error) {
	v, err := s.Records.ModelVersion(ctx, in.ModelName, in.Version)
	if err != nil {
		return nil, s.fail(ctx, err)
	}
	c := newModelCheck(v)
	if c == nil {
		return nil, s.fail(ctx, noCheck(v))
	}
	return &answered[ModelCheck]{Body: *c}, nil
}

func (s *server) repeatModelCheck(ctx context.Context, in *VersionPath) (*answered[ModelCheck], error) {
	v, err := s.Models.Recheck(ctx, in.ModelName, in.Version)
	if err != nil {
		return nil, s.fail(ctx, err)
	}
	s.Announcer.ModelsChanged()
	return &answered[ModelCheck]{Body: *newModelCheck(v)}, nil
}

func noCheck(v store.ModelVersion) error {
	return fmt.Errorf("self-check of model %s@%d: %w", v.Model, v.Version, store.ErrNotFound)
}

func (s *server) getModelCheckOverlay(ctx context.Context, in *VersionPath) (*huma.StreamResponse, error) {
	v, err := s.Records.ModelVersion(ctx, in.ModelName, in.Version)
	if err == nil && v.Overlay == "" {
		err = noCheck(v)
	}
	if err != nil {
		return nil, s.fail(ctx, err)
	}
	blob, _, err := s.Blobs.Open(ctx, v.Overlay)
	if err != nil {
		return nil, s.fail(ctx, err)
	}
	return &huma.StreamResponse{Body: func(c huma.Context) {
		defer blob.Close()
		req, w := humachi.Unwrap(c)
		w.Header().Set("Content-Type", "image/jpeg")
		w.Header().Set("ETag", `"`+v.Overlay+`"`)
		http.ServeContent(w, req, "", v.CheckedAt, blob)
	}}, nil
}

// newLineage joins what a version's file says, what MLflow knows and what people
// have said in tags; nil where nothing is known.
func newLineage(v store.ModelVersion) *Lineage {
	l := readLineage(v.Lineage)
	out := Lineage{
		Parent: cmp.Or(l.Parent, v.Tags["detectd.parent"]), ParentSHA256: l.ParentSHA256, Method: l.Method, Pictures: l.Pictures,
		CalibrationSHA256: l.Calibration, Job: v.Tags["detectd.job"], Dataset: v.Tags["detectd.dataset"], Run: v.RunID, LoggedModel: v.LoggedModel,
	}
	if out == (Lineage{}) {
		return nil
	}
	return &out
}

// readLineage is what a version's file says; empty where it says nothing.
func readLineage(text json.RawMessage) (l detect.Lineage) {
	_ = json.Unmarshal(text, &l) // written by this program, or absent
	return l
}

func newModelCheck(v store.ModelVersion) *ModelCheck {
	c := &ModelCheck{}
	if len(v.Check) == 0 || json.Unmarshal(v.Check, c) != nil { // written by this program
		return nil
	}
	c.Faults, c.Doubts, c.Notes = append([]string{}, c.Faults...), append([]string{}, c.Doubts...), append([]string{}, c.Notes...)
	c.Overlay, c.Time = "", Time{v.CheckedAt}
	if v.Overlay != "" {
		c.Overlay = base + "/models/" + v.Model + "/versions/" + strconv.Itoa(v.Version) + "/check/overlay"
	}
	return c
}
