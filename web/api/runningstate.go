package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"detectd/pipeline"
	"detectd/store"
)

// RunningState is what a camera is to run and what it does run.
type RunningState struct {
	CameraID string      `json:"camera_id" example:"door" doc:"The camera."`
	ClientID string      `json:"client_id" example:"harbour" doc:"Its client."`
	Wanted   RunningRef  `json:"wanted" doc:"What the records say."`
	Running  *RunningRef `json:"running,omitempty" doc:"What runs; absent where no model does."`
	State    string      `json:"state" enum:"applied,loading,failed" doc:"applied: what is wanted runs. loading: the wanted model is being loaded. failed: it does not run. What ran before goes on."`
	Reason   string      `json:"reason,omitempty" doc:"Why it failed."`
	Since    Time        `json:"since,omitzero" doc:"When what runs came into force."`
}

// RunningRef is a revision of a record, and the model version it means at present.
type RunningRef struct {
	From     string `json:"from" enum:"camera,client,default" doc:"Whose record decides."`
	Revision int64  `json:"revision" example:"7" doc:"Revision of that record; 0 for the default."`
	Model    string `json:"model" example:"yard" doc:"The model."`
	Alias    string `json:"alias,omitempty" example:"champion" doc:"The alias that is followed."`
	Version  int    `json:"version" example:"3" doc:"The version; 0 when there is none of this name."`
	Provider string `json:"provider,omitempty" example:"cpu" doc:"The execution provider asked for; absent for that of the settings."`
}

func (s *server) routeRunningStates() {
	const tag = "Running models"
	huma.Register(s.huma, operation(http.MethodGet, "/running-states", "list-running-states", tag, "List what all cameras run",
		"What each camera is to run and what it runs, from memory."), s.listRunningStates)
	huma.Register(s.huma, operation(http.MethodGet, "/cameras/{camera_id}/running-state", "get-running-state", tag, "Get what a camera runs",
		"What the camera is to run and what it runs, from memory.", 404), s.getRunningState)
}

func (s *server) listRunningStates(ctx context.Context, in *struct {
	Page
	ClientID string `query:"client_id" maxLength:"63" doc:"Only cameras of this client."`
},
) (*listed[RunningState], error) {
	cameras, err := s.Records.ListCameras(ctx, in.ClientID)
	if err != nil {
		return nil, s.fail(ctx, err)
	}
	rows, next, err := window(cameras, in.Page, func(c store.Camera) string { return c.ID })
	if err != nil {
		return nil, err
	}
	return newList(rows, next, s.runningState), nil
}

func (s *server) getRunningState(ctx context.Context, in *CameraPath) (*answered[RunningState], error) {
	c, err := s.Records.Camera(ctx, in.CameraID)
	if err != nil {
		return nil, s.fail(ctx, err)
	}
	return &answered[RunningState]{Body: s.runningState(c)}, nil
}

// runningState is a camera's state, also while detection has not heard of it.
func (s *server) runningState(c store.Camera) RunningState {
	if st, ok := s.Cameras.RunningState(c.ID); ok {
		return newRunningState(st)
	}
	return newRunningState(pipeline.RunningState{
		CameraID: c.ID, ClientID: c.ClientID, State: pipeline.RunningLoading, Wanted: pipeline.RunningRef{From: "default"},
	})
}

func newRunningState(s pipeline.RunningState) RunningState {
	out := RunningState{
		CameraID: s.CameraID, ClientID: s.ClientID, Wanted: RunningRef(s.Wanted), State: s.State, Reason: s.Reason, Since: Time{s.Since},
	}
	if s.Running.Model != "" {
		running := RunningRef(s.Running)
		out.Running = &running
	}
	return out
}
