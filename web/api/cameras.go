package api

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"detectd/store"
)

// Camera is a configured source of video with its present condition.
type Camera struct {
	ID          string `json:"id" example:"door" doc:"Identifies the camera for ever."`
	ClientID    string `json:"client_id" example:"harbour" doc:"The client that owns it."`
	Name        string `json:"name" example:"Front door" doc:"For people."`
	URL         string `json:"url" example:"rtsp://10.0.0.5/stream" doc:"Its address, never with credentials."`
	Username    string `json:"username" example:"viewer" doc:"The user it is asked as."`
	HasPassword bool   `json:"has_password" doc:"Whether a password is stored. The password itself is never shown."`
	Transport   string `json:"transport" enum:"auto,tcp,udp" doc:"How RTP is carried: auto tries TCP, and UDP where the camera refuses TCP."`
	Enabled     bool   `json:"enabled" doc:"Whether it is being watched."`
	Record      string `json:"record" enum:"continuous,motion,events,off" doc:"What of its recordings is kept."`
	Audio       bool   `json:"audio" doc:"Whether its sound is recorded, where it sends some."`
	Retention
	DetectFPS float64 `json:"detect_fps" example:"5" doc:"Detections per second wanted; 0 takes the default."`
	Idle      string  `json:"idle,omitempty" enum:"auto,decode,off" doc:"What it is spared while nothing moves, instead of what the settings say (detect.idle); absent: as the settings say. status.idle has what is in force."`
	Weight    float64 `json:"weight" example:"1" doc:"Its share of detections when there are too many for the machine, in proportion to the weights of the other cameras."`
	Rotation  int     `json:"rotation" example:"90" doc:"By how many degrees its pictures are turned clockwise, on top of what the video says of itself."`
	Loop      bool    `json:"loop" doc:"Files only: whether it starts again at the end."`
	Demo      bool    `json:"demo" doc:"Whether it belongs to the built-in demo."`
	Revision  int64   `json:"revision" example:"3" doc:"Counts the changes of this record."`
	CreatedAt Time    `json:"created_at" doc:"When it was created."`
	UpdatedAt Time    `json:"updated_at" doc:"When it was last changed."`
	Status    Status  `json:"status" doc:"Its present condition."`
}

// CameraSettings are what a user sets of a camera.
type CameraSettings struct {
	ClientID  string  `json:"client_id,omitempty" pattern:"^[a-z0-9][a-z0-9_-]{0,62}$" example:"harbour" doc:"The client that owns it; default is the client \"default\", or the present one in a change."`
	Name      string  `json:"name" minLength:"1" maxLength:"200" example:"Front door" doc:"For people."`
	URL       string  `json:"url" minLength:"1" maxLength:"2048" example:"rtsp://10.0.0.5/stream" doc:"rtsp:// or rtsps:// address, or the path of a file in an allowed folder. User and password in it are split off and not shown again."`
	Username  *string `json:"username,omitempty" maxLength:"200" example:"viewer" doc:"The user to ask as. Overrides one in the URL; a change without it keeps the stored one."`
	Password  *string `json:"password,omitempty" maxLength:"200" writeOnly:"true" doc:"Overrides one in the URL; a change without it keeps the stored one, an empty one clears it."`
	Transport string  `json:"transport,omitempty" enum:"auto,tcp,udp" default:"auto" doc:"How RTP is carried: auto tries TCP, and UDP where the camera refuses TCP."`
	Enabled   *bool   `json:"enabled,omitempty" doc:"Whether it is being watched; default true."`
	Record    string  `json:"record,omitempty" enum:"continuous,motion,events,off" default:"continuous" doc:"What of its recordings is kept: everything; what is around followed objects; what is around events at its zones and lines; nothing."`
	Audio     *bool   `json:"audio,omitempty" doc:"Whether its sound is recorded with the video, where it sends some; default true. A camera without it is not asked for its sound. A change without it keeps what is stored. Recording people's sound is against the law in many places."`
	Retention
	DetectFPS *float64 `json:"detect_fps,omitempty" minimum:"0" maximum:"60" example:"5" doc:"Detections per second wanted; 0 takes the default."`
	Idle      string   `json:"idle,omitempty" enum:"auto,decode,off" doc:"What it is spared while nothing moves: auto, decoding and detections; decode, detections only; off, nothing. Absent takes detect.idle of the settings. A change is in force at once and interrupts nothing."`
	Weight    *float64 `json:"weight,omitempty" minimum:"0.1" maximum:"10" example:"2" doc:"Its share of detections when there are too many for the machine, in proportion to the weights of the other cameras; default 1."`
	Rotation  int      `json:"rotation,omitempty" enum:"0,90,180,270" default:"0" example:"180" doc:"For cameras mounted on their side or upside down: by how many degrees their pictures are turned clockwise, on top of what the video says of itself. Detection, boxes, zones, live and recorded video are upright then; recorded pictures stay as they came. A change turns the camera's zones, lines and masks along."`
	Loop      *bool    `json:"loop,omitempty" doc:"Files only: whether it starts again at the end; default false."`
}

// NewCamera is a camera to create.
type NewCamera struct {
	ID string `json:"id,omitempty" pattern:"^[a-z0-9][a-z0-9_-]{0,62}$" example:"door" doc:"Its id; made from the name when absent."`
	CameraSettings
}

// CameraPath is the camera in a path.
type CameraPath struct {
	CameraID string `path:"camera_id" pattern:"^[a-z0-9][a-z0-9_-]{0,62}$" example:"door" doc:"The camera's id."`
}

func (s *server) routeCameras() {
	const tag = "Cameras"
	huma.Register(s.huma, operation(http.MethodGet, "/cameras", "list-cameras", tag,
		"List cameras", "All cameras, or those of one client, by id, each with its condition.", 404), s.listCameras)
	create := operation(http.MethodPost, "/cameras", "create-camera", tag,
		"Add a camera", "Adds a camera and starts watching it at once. 409 when its id is taken.", 400, 409, 413)
	create.DefaultStatus = http.StatusCreated
	huma.Register(s.huma, create, s.createCamera)
	huma.Register(s.huma, operation(http.MethodGet, "/cameras/{camera_id}", "get-camera", tag,
		"Get a camera", "One camera with its revision and condition.", 404), s.getCamera)
	huma.Register(s.huma, s.revisable(operation(http.MethodPut, "/cameras/{camera_id}", "update-camera", tag,
		"Change a camera", "Replaces the camera's settings; what is absent takes its default, except client, user, password and audio, which stay. "+
			"412 when If-Match names another revision than the stored one.", 400, 404, 413)), s.updateCamera)
	huma.Register(s.huma, s.revisable(operation(http.MethodDelete, "/cameras/{camera_id}", "delete-camera", tag,
		"Delete a camera", "Deletes a camera with its recordings, annotations and tracks.", 404)), s.deleteCamera)
}

func (s *server) listCameras(ctx context.Context, in *struct {
	ClientID string `query:"client_id" pattern:"^[a-z0-9][a-z0-9_-]{0,62}$" doc:"Only the cameras of this client."`
	Page
},
) (*listed[Camera], error) {
	if in.ClientID != "" {
		if _, err := s.Records.Client(ctx, in.ClientID); err != nil {
			return nil, s.fail(ctx, err)
		}
	}
	cameras, err := s.Records.ListCameras(ctx, in.ClientID)
	if err != nil {
		return nil, s.fail(ctx, err)
	}
	rows, next, err := window(cameras, in.Page, func(c store.Camera) string { return c.ID })
	if err != nil {
		return nil, err
	}
	return newList(rows, next, s.newCamera), nil
}

func (s *server) createCamera(ctx context.Context, in *struct{ Body NewCamera }) (*created[Camera], error) {
	if in.Body.ClientID == "" {
		in.Body.ClientID = "default"
	}
	c, err := s.apply(in.Body.CameraSettings, store.Camera{ClientID: in.Body.ClientID})
	if err != nil {
		return nil, err
	}
	if _, err := s.Records.Client(ctx, c.ClientID); err != nil {
		return nil, s.failReference(ctx, err, "body.client_id", "there is no client "+c.ClientID)
	}
	c, err = createUnique(in.Body.ID, in.Body.Name, "camera", func(id string) (store.Camera, error) {
		c.ID = id
		return s.Records.CreateCamera(ctx, c)
	})
	if err != nil {
		return nil, s.fail(ctx, err)
	}
	s.Announcer.CameraChanged(c.ID, Created)
	return &created[Camera]{Location: base + "/cameras/" + c.ID, ETag: etag(c.Revision), Body: s.newCamera(c)}, nil
}

func (s *server) getCamera(ctx context.Context, in *CameraPath) (*revised[Camera], error) {
	c, err := s.Records.Camera(ctx, in.CameraID)
	if err != nil {
		return nil, s.fail(ctx, err)
	}
	return &revised[Camera]{ETag: etag(c.Revision), Body: s.newCamera(c)}, nil
}

func (s *server) updateCamera(ctx context.Context, in *struct {
	CameraPath
	Precondition
	Body CameraSettings
},
) (*revised[Camera], error) {
	expect, err := parseIfMatch(in.IfMatch)
	if err != nil {
		return nil, err
	}
	old, err := s.Records.Camera(ctx, in.CameraID)
	if err != nil {
		return nil, s.fail(ctx, err)
	}
	if expect == store.AnyRevision {
		expect = old.Revision // the new record is made from the old one: nothing may come between
	}
	c, err := s.apply(in.Body, old)
	if err != nil {
		return nil, err
	}
	if c.ClientID != old.ClientID {
		if _, err := s.Records.Client(ctx, c.ClientID); err != nil {
			return nil, s.failReference(ctx, err, "body.client_id", "there is no client "+c.ClientID)
		}
	}
	c, err = s.Records.UpdateCamera(ctx, c, expect)
	if err != nil {
		return nil, s.failRevision(ctx, err, func() (any, error) { return s.camera(ctx, in.CameraID) })
	}
	s.Announcer.CameraChanged(c.ID, Updated)
	if c.Rotation != old.Rotation {
		if m, err := s.Records.ZoneMap(ctx, c.ID); err == nil { // they were turned along
			s.Announcer.ZonesChanged(c.ID, m.Revision)
		}
	}
	return &revised[Camera]{ETag: etag(c.Revision), Body: s.newCamera(c)}, nil
}

func (s *server) deleteCamera(ctx context.Context, in *struct {
	CameraPath
	Precondition
},
) (*struct{}, error) {
	expect, err := parseIfMatch(in.IfMatch)
	if err != nil {
		return nil, err
	}
	if err := s.Records.DeleteCamera(ctx, in.CameraID, expect); err != nil {
		return nil, s.failRevision(ctx, err, func() (any, error) { return s.camera(ctx, in.CameraID) })
	}
	s.Announcer.CameraChanged(in.CameraID, Deleted)
	return nil, nil
}

// apply puts settings over a camera: a new one, or the stored one in a change.
func (s *server) apply(in CameraSettings, c store.Camera) (store.Camera, error) {
	address, err := s.Cameras.ValidateURL(in.URL)
	if err != nil {
		return c, invalid("body.url", urlProblem(err, in.URL))
	}
	moved := c.URL != address.URL
	in.Retention.put(&c)
	c.Name, c.URL, c.Transport, c.Record = in.Name, address.URL, in.Transport, in.Record
	c.Enabled = in.Enabled == nil || *in.Enabled
	c.Loop = in.Loop != nil && *in.Loop
	if in.Audio != nil {
		c.NoAudio = !*in.Audio
	}
	c.DetectFPS = 0
	if in.DetectFPS != nil {
		c.DetectFPS = *in.DetectFPS
	}
	c.Idle = in.Idle
	c.Weight = 1
	if in.Weight != nil {
		c.Weight = *in.Weight
	}
	c.Rotation = in.Rotation
	c.Demo = c.Demo && !moved
	if in.ClientID != "" {
		c.ClientID = in.ClientID
	}
	if address.Username != "" || address.Password != "" {
		c.Username, c.Password = address.Username, address.Password
	}
	if in.Username != nil {
		c.Username = *in.Username
	}
	if in.Password != nil {
		c.Password = store.Secret(*in.Password)
	}
	return c, nil
}

// urlProblem is the text of a refused URL. Errors of ErrInvalid are written for
// users; even those are replaced when they repeat the credentials.
func urlProblem(err error, raw string) string {
	const plain = "the URL cannot be used"
	if !errors.Is(err, ErrInvalid) || strings.Contains(err.Error(), raw) {
		return plain
	}
	_, rest, ok := strings.Cut(raw, "//")
	if !ok {
		rest = raw
	}
	at := strings.LastIndex(rest, "@")
	if at < 0 {
		return err.Error()
	}
	_, password, _ := strings.Cut(rest[:at], ":")
	if strings.Contains(err.Error(), rest[:at]) || password != "" && strings.Contains(err.Error(), password) {
		return plain
	}
	return err.Error()
}

// failReference answers 422 when something a body refers to does not exist.
func (s *server) failReference(ctx context.Context, err error, location, message string) error {
	if errors.Is(err, store.ErrNotFound) {
		return invalid(location, message)
	}
	return s.fail(ctx, err)
}

// camera returns the camera in its JSON form.
func (s *server) camera(ctx context.Context, id string) (Camera, error) {
	c, err := s.Records.Camera(ctx, id)
	if err != nil {
		return Camera{}, err
	}
	return s.newCamera(c), nil
}

func (s *server) newCamera(c store.Camera) Camera {
	return Camera{
		ID: c.ID, ClientID: c.ClientID, Name: c.Name, URL: c.URL, Username: c.Username, HasPassword: c.Password != "",
		Transport: c.Transport, Enabled: c.Enabled, Record: c.Record, Audio: !c.NoAudio, Retention: newRetention(c), DetectFPS: c.DetectFPS, Idle: c.Idle, Weight: cmp.Or(c.Weight, 1), Rotation: c.Rotation, Loop: c.Loop, Demo: c.Demo,
		Revision: c.Revision, CreatedAt: Time{c.CreatedAt}, UpdatedAt: Time{c.UpdatedAt}, Status: s.status(c),
	}
}
