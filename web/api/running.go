package api

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/danielgtaylor/huma/v2"

	"detectd/store"
)

// RunningModel is what a client, or one camera of it, is set to run.
type RunningModel struct {
	ClientID string `json:"client_id" example:"harbour" doc:"The client."`
	CameraID string `json:"camera_id" example:"door" doc:"The camera; empty for the client's own record, which holds for its cameras without one."`
	RunningSettings
	Revision  int64     `json:"revision" example:"3" doc:"Counts the changes of this record; 0 when there is none."`
	Deleted   bool      `json:"deleted,omitempty" doc:"In the history: the record was removed here."`
	UpdatedAt Time      `json:"updated_at,omitzero" doc:"When it was last changed."`
	UpdatedBy string    `json:"updated_by,omitempty" doc:"Who changed it."`
	Reason    string    `json:"reason,omitempty" doc:"Why, in the words of who changed it."`
	Effective Effective `json:"effective" doc:"What is to run there in fact."`
}

// RunningSettings are what a running model says.
type RunningSettings struct {
	Model     string             `json:"model" example:"default" doc:"The model; empty when there is no record."`
	Version   int                `json:"version" example:"0" doc:"Its version; 0 is always the newest, or what the alias names."`
	Alias     string             `json:"alias" example:"champion" doc:"The alias whose version is followed; empty for none."`
	MinScore  float64            `json:"min_score" example:"0.5" doc:"Least score of the objects wanted; 0 takes the model's default."`
	MinScores map[string]float64 `json:"min_scores" nullable:"false" doc:"Least scores by label, instead of min_score."`
	NMSIoU    float64            `json:"nms_iou" example:"0.5" doc:"Overlap (intersection over union) above which the worse of two boxes of a class is dropped; 0 takes the model's own, 1 drops none."`
	NMSIoUs   map[string]float64 `json:"nms_ious" nullable:"false" doc:"Overlaps by label, instead of nms_iou."`
	Classes   []string           `json:"classes" nullable:"false" doc:"Labels wanted; empty means all."`
	Zones     []string           `json:"zones" nullable:"false" doc:"Zones of the camera, by id, that detections are wanted in; empty means everywhere. Zones that a camera does not have are passed over."`
	DetectFPS float64            `json:"detect_fps" example:"5" doc:"Detections per second; 0 takes the camera's."`
	FastFPS   float64            `json:"fast_fps" example:"10" doc:"Detections per second at most while objects move fast; 0 takes that of the settings."`
	Provider  string             `json:"provider" example:"cpu" doc:"Execution providers to try, as in detect.provider; empty takes that of the settings."`
}

// Effective is the model that runs, and the level that says so.
type Effective struct {
	Model   string `json:"model" example:"default" doc:"The model."`
	Version int    `json:"version" example:"1" doc:"Its version."`
	Alias   string `json:"alias,omitempty" example:"champion" doc:"The alias that is followed."`
	From    string `json:"from" enum:"camera,client,default" doc:"Which record decides."`
}

// RunningModelChange replaces a running-model record.
type RunningModelChange struct {
	Model     string             `json:"model" pattern:"^[a-z0-9][a-z0-9._-]{0,62}$" example:"default" doc:"The model."`
	Version   int                `json:"version,omitempty" minimum:"0" example:"0" doc:"Its version; 0 is always the newest, or what the alias names."`
	Alias     string             `json:"alias,omitempty" pattern:"^[A-Za-z_][A-Za-z0-9_-]{0,254}$" example:"champion" doc:"An alias of it, whose version is followed when it moves. Not together with a version."`
	MinScore  float64            `json:"min_score,omitempty" minimum:"0" maximum:"1" example:"0.5" doc:"Least score of the objects wanted; 0 takes the model's default."`
	MinScores map[string]float64 `json:"min_scores,omitempty" nullable:"false" doc:"Least scores by label, instead of min_score: above 0, 1 at most."`
	NMSIoU    float64            `json:"nms_iou,omitempty" minimum:"0" maximum:"1" example:"0.5" doc:"Overlap (intersection over union) above which the worse of two boxes of a class is dropped; 0 takes the model's own, 1 drops none."`
	NMSIoUs   map[string]float64 `json:"nms_ious,omitempty" nullable:"false" doc:"Overlaps by label, instead of nms_iou: above 0, 1 at most."`
	Classes   []string           `json:"classes,omitempty" nullable:"false" maxItems:"1000" uniqueItems:"true" minLength:"1" maxLength:"100" doc:"Labels wanted; empty means all."`
	Zones     []string           `json:"zones,omitempty" nullable:"false" maxItems:"64" uniqueItems:"true" pattern:"^[a-z0-9][a-z0-9_-]{0,62}$" doc:"Zones of the camera, by id, that detections are wanted in; empty means everywhere. In a client's record each camera takes those that it has."`
	DetectFPS float64            `json:"detect_fps,omitempty" minimum:"0" maximum:"60" example:"5" doc:"Detections per second; 0 takes the camera's."`
	FastFPS   float64            `json:"fast_fps,omitempty" minimum:"0" maximum:"60" example:"10" doc:"Detections per second at most while objects move fast; 0 takes that of the settings."`
	Provider  string             `json:"provider,omitempty" maxLength:"100" example:"cpu" doc:"Execution providers to try, as in detect.provider; empty takes that of the settings. Another one opens the model a second time."`
	Force     bool               `json:"force,omitempty" doc:"Also a version, named by its number, whose self-check has failed; needs a reason."`
	Reason    string             `json:"reason,omitempty" maxLength:"500" doc:"Why, for the history."`
}

// RunningPath is a client and one of its cameras in a path.
type RunningPath struct {
	ClientPath
	CameraPath
}

// RequiredPrecondition is the precondition that these records cannot be changed without.
type RequiredPrecondition struct {
	IfMatch string `header:"If-Match" example:"\"3\"" doc:"Revision the change is based on, quoted; \"0\" when there is no record yet. Required: 428 without it."`
}

// at names a running-model record.
type at struct{ client, camera string }

func (p ClientPath) at() at  { return at{p.ClientID, ""} }
func (p RunningPath) at() at { return at{p.ClientID, p.CameraID} }

func (s *server) routeRunningModels() {
	huma.Register(s.huma, operation(http.MethodGet, "/running-models", "list-running-models", "Running models",
		"List running models", "All records, of clients and of cameras."), s.listRunningModels)

	client := s.runningOperations("/running-models/{client_id}", "client", "a client's cameras run unless they have their own record")
	huma.Register(s.huma, client.get, func(ctx context.Context, in *ClientPath) (*revised[RunningModel], error) {
		return s.getRunningModel(ctx, in.at())
	})
	huma.Register(s.huma, client.put, func(ctx context.Context, in *struct {
		ClientPath
		RequiredPrecondition
		Signed
		Body RunningModelChange
	},
	) (*revised[RunningModel], error) {
		return s.putRunningModel(ctx, in.at(), in.IfMatch, in.Body, in.by(in.Body.Reason))
	})
	huma.Register(s.huma, client.remove, func(ctx context.Context, in *struct {
		ClientPath
		RequiredPrecondition
		SignedWhy
	},
	) (*struct{}, error) {
		return nil, s.deleteRunningModel(ctx, in.at(), in.IfMatch, in.author())
	})
	huma.Register(s.huma, client.history, func(ctx context.Context, in *ClientPath) (*listed[RunningModel], error) {
		return s.listRevisions(ctx, in.at())
	})

	camera := s.runningOperations("/running-models/{client_id}/cameras/{camera_id}", "camera", "one camera runs")
	huma.Register(s.huma, camera.get, func(ctx context.Context, in *RunningPath) (*revised[RunningModel], error) {
		return s.getRunningModel(ctx, in.at())
	})
	huma.Register(s.huma, camera.put, func(ctx context.Context, in *struct {
		RunningPath
		RequiredPrecondition
		Signed
		Body RunningModelChange
	},
	) (*revised[RunningModel], error) {
		return s.putRunningModel(ctx, in.at(), in.IfMatch, in.Body, in.by(in.Body.Reason))
	})
	huma.Register(s.huma, camera.remove, func(ctx context.Context, in *struct {
		RunningPath
		RequiredPrecondition
		SignedWhy
	},
	) (*struct{}, error) {
		return nil, s.deleteRunningModel(ctx, in.at(), in.IfMatch, in.author())
	})
	huma.Register(s.huma, camera.history, func(ctx context.Context, in *RunningPath) (*listed[RunningModel], error) {
		return s.listRevisions(ctx, in.at())
	})
}

// runningOperations describes the four operations of one level.
func (s *server) runningOperations(path, level, what string) (ops struct{ get, put, remove, history huma.Operation }) {
	const tag = "Running models"
	ops.get = operation(http.MethodGet, path, "get-running-model-of-"+level, tag, "Get what a "+level+" runs",
		"The model that "+what+". Where no record is set the answer has revision 0, or that of the removal with deleted, and effective tells what runs.", 404)
	ops.put = s.gated(s.revisable(operation(http.MethodPut, path, "set-running-model-of-"+level, tag, "Set what a "+level+" runs",
		"Sets the model that "+what+". It takes effect within a second, without a restart. 412 when If-Match names another revision "+
			"than the stored one, with the stored record; 428 without If-Match. 409 for a version whose self-check has failed, without force.", 400, 404, 413, 428)))
	ops.remove = s.revisable(operation(http.MethodDelete, path, "delete-running-model-of-"+level, tag, "Unset what a "+level+" runs",
		"Removes the record, so that the level above decides.", 404, 428))
	ops.history = operation(http.MethodGet, path+"/revisions", "list-running-model-revisions-of-"+level, tag, "List what a "+level+" ran",
		"All revisions of the record, newest first.", 404)
	return ops
}

func (s *server) listRunningModels(ctx context.Context, in *struct{ Page }) (*listed[RunningModel], error) {
	records, err := s.Records.ListRunningModels(ctx)
	if err != nil {
		return nil, s.fail(ctx, err)
	}
	slices.SortFunc(records, func(a, b store.RunningModel) int {
		return cmp.Or(cmp.Compare(a.ClientID, b.ClientID), cmp.Compare(a.CameraID, b.CameraID))
	})
	rows, next, err := window(records, in.Page, func(r store.RunningModel) string { return r.ClientID + "/" + r.CameraID })
	if err != nil {
		return nil, err
	}
	return newList(rows, next, func(r store.RunningModel) RunningModel {
		return s.newRunningModel(ctx, records, r)
	}), nil
}

func (s *server) getRunningModel(ctx context.Context, a at) (*revised[RunningModel], error) {
	r, err := s.runningModel(ctx, a)
	if err != nil {
		return nil, s.fail(ctx, err)
	}
	if r.Revision == 0 || r.Deleted { // a record's client and camera are there
		if err := s.exists(ctx, a); err != nil {
			return nil, err
		}
	}
	return &revised[RunningModel]{ETag: etag(r.Revision), Body: r}, nil
}

func (s *server) putRunningModel(ctx context.Context, a at, ifMatch string, b RunningModelChange, author store.Author) (*revised[RunningModel], error) {
	if err := s.exists(ctx, a); err != nil {
		return nil, err
	}
	expect, err := requireIfMatch(ifMatch)
	if err != nil {
		return nil, err
	}
	r, err := s.put(ctx, newRecord(a, b, author), expect, b.Force)
	if err != nil {
		return nil, s.failRevision(ctx, err, func() (any, error) { return s.runningModel(ctx, a) })
	}
	return s.written(ctx, r)
}

// written announces a record that was stored and answers with it, not with what
// others may have made of it since: its revision would pass for this change's own.
func (s *server) written(ctx context.Context, r store.RunningModel) (*revised[RunningModel], error) {
	s.Announcer.RunningModelChanged(r.ClientID, r.CameraID, r.Revision)
	records, err := s.Records.ListRunningModels(ctx)
	if err != nil {
		return nil, s.fail(ctx, err)
	}
	return &revised[RunningModel]{ETag: etag(r.Revision), Body: s.newRunningModel(ctx, records, r)}, nil
}

// put checks a record and stores it.
func (s *server) put(ctx context.Context, r store.RunningModel, expect int64, force bool) (store.RunningModel, error) {
	v, err := s.checkRunning(ctx, r)
	if err != nil {
		return r, err
	}
	if r.Reason, err = s.mayRun(ctx, r, v, force); err != nil {
		return r, err
	}
	return s.Records.PutRunningModel(ctx, r, expect)
}

func newRecord(a at, b RunningModelChange, author store.Author) store.RunningModel {
	return store.RunningModel{
		ClientID: a.client, CameraID: a.camera, Model: b.Model, Version: b.Version, Alias: b.Alias,
		MinScore: b.MinScore, MinScores: b.MinScores, NMSIoU: b.NMSIoU, NMSIoUs: b.NMSIoUs, Classes: b.Classes, Zones: b.Zones,
		DetectFPS: b.DetectFPS, FastFPS: b.FastFPS, Provider: b.Provider, UpdatedBy: author.By, Reason: author.Why,
	}
}

func (s *server) deleteRunningModel(ctx context.Context, a at, ifMatch string, author store.Author) error {
	if err := s.exists(ctx, a); err != nil {
		return err
	}
	expect, err := requireIfMatch(ifMatch)
	if err != nil {
		return err
	}
	gone, err := s.Records.DeleteRunningModel(ctx, a.client, a.camera, expect, author)
	if err != nil {
		return s.failRevision(ctx, err, func() (any, error) { return s.runningModel(ctx, a) })
	}
	s.Announcer.RunningModelChanged(a.client, a.camera, gone.Revision)
	return nil
}

func (s *server) listRevisions(ctx context.Context, a at) (*listed[RunningModel], error) {
	if err := s.exists(ctx, a); err != nil {
		return nil, err
	}
	records, err := s.Records.ListRunningModels(ctx)
	if err != nil {
		return nil, s.fail(ctx, err)
	}
	rows, err := s.Records.RunningModelHistory(ctx, a.client, a.camera)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return nil, s.fail(ctx, err)
	}
	return newList(rows, "", func(r store.RunningModel) RunningModel { return s.newRunningModel(ctx, records, r) }), nil
}

// exists answers 404 when the client is unknown, or has no such camera.
func (s *server) exists(ctx context.Context, a at) error {
	if _, err := s.Records.Client(ctx, a.client); err != nil {
		return s.fail(ctx, err)
	}
	if a.camera == "" {
		return nil
	}
	c, err := s.Records.Camera(ctx, a.camera)
	if err == nil && c.ClientID != a.client {
		err = fmt.Errorf("camera %s of client %s: %w", a.camera, a.client, store.ErrNotFound)
	}
	if err != nil {
		return s.fail(ctx, err)
	}
	return nil
}

// version is the version that a running model names.
func (s *server) version(ctx context.Context, model string, version int, alias string) (store.ModelVersion, error) {
	if alias != "" {
		return s.Records.AliasVersion(ctx, model, alias)
	}
	return s.Records.ModelVersion(ctx, model, version)
}

// runningModel returns the record in its JSON form; where there is none it has
// revision 0, or that of its removal.
func (s *server) runningModel(ctx context.Context, a at) (RunningModel, error) {
	records, err := s.Records.ListRunningModels(ctx)
	if err != nil {
		return RunningModel{}, err
	}
	r := store.RunningModel{ClientID: a.client, CameraID: a.camera}
	if i := slices.IndexFunc(records, func(r store.RunningModel) bool { return r.ClientID == a.client && r.CameraID == a.camera }); i >= 0 {
		r = records[i]
	} else if r.Revision, err = s.Records.RunningModelRevision(ctx, a.client, a.camera); err != nil {
		return RunningModel{}, err
	}
	r.Deleted = r.Model == "" && r.Revision > 0
	return s.newRunningModel(ctx, records, r), nil
}

// effective is the record that decides for a camera, or for a client's cameras
// in general when cameraID is "".
func (s *server) effective(records []store.RunningModel, clientID, cameraID string) store.RunningModel {
	name, version := s.Models.Default()
	e := store.Effective(records, clientID, cameraID, name)
	if e.ClientID == "" {
		e.Version = version
	}
	return e
}

func (s *server) newRunningModel(ctx context.Context, records []store.RunningModel, r store.RunningModel) RunningModel {
	e := s.effective(records, r.ClientID, r.CameraID)
	from := "default"
	switch {
	case e.CameraID != "":
		from = "camera"
	case e.ClientID != "":
		from = "client"
	}
	if e.Version == 0 {
		if v, err := s.version(ctx, e.Model, 0, e.Alias); err == nil {
			e.Version = v.Version
		}
	}
	return RunningModel{
		ClientID: r.ClientID, CameraID: r.CameraID, RunningSettings: newSettings(r), Revision: r.Revision, Deleted: r.Deleted,
		UpdatedAt: Time{r.UpdatedAt}, UpdatedBy: r.UpdatedBy, Reason: r.Reason,
		Effective: Effective{Model: e.Model, Version: e.Version, Alias: e.Alias, From: from},
	}
}

func newSettings(r store.RunningModel) RunningSettings {
	return RunningSettings{
		Model: r.Model, Version: r.Version, Alias: r.Alias, MinScore: r.MinScore, MinScores: filled(r.MinScores),
		NMSIoU: r.NMSIoU, NMSIoUs: filled(r.NMSIoUs), Classes: append([]string{}, r.Classes...), Zones: append([]string{}, r.Zones...),
		DetectFPS: r.DetectFPS, FastFPS: r.FastFPS, Provider: r.Provider,
	}
}
