package api

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humachi"

	"detectd/store"
)

// Recording is one recorded file of a camera.
type Recording struct {
	ID          int64   `json:"id" example:"17" doc:"Identifies the recording."`
	CameraID    string  `json:"camera_id" example:"door" doc:"The camera."`
	Start       Time    `json:"start" doc:"Capture time of the first frame."`
	End         Time    `json:"end" doc:"Capture time of the last frame plus its duration."`
	Bytes       int64   `json:"bytes" doc:"Size of the file."`
	Frames      int     `json:"frames" doc:"Frames in it."`
	Codec       string  `json:"codec" example:"h264" doc:"Video coding."`
	Width       int     `json:"width" example:"1920" doc:"Pixels."`
	Height      int     `json:"height" example:"1080" doc:"Pixels."`
	Clock       string  `json:"clock" enum:"rtcp,arrival,file" doc:"How the start was obtained."`
	TimeErrorMS float64 `json:"time_error_ms" doc:"Half-width of the interval the start is known to lie in."`
	Audio       string  `json:"audio,omitempty" enum:"aac,opus,pcmu,pcma" doc:"Coding of its sound; absent when it has none. Browsers play aac and opus."`
	AudioS      float64 `json:"audio_s,omitempty" example:"10.1" doc:"Seconds of sound in it."`
	Video       string  `json:"video" example:"/api/v1/recordings/17/video.mp4" doc:"Where the file is."`
}

// RecordingPath is the recording in a path.
type RecordingPath struct {
	RecordingID int64 `path:"recording_id" minimum:"1" example:"17" doc:"The recording's id."`
}

func (s *server) routeRecordings() {
	const tag = "Recordings"
	huma.Register(s.huma, operation(http.MethodGet, "/recordings", "list-recordings", tag,
		"List recordings", "Recorded files of a camera that overlap the span of time, oldest first.", 404), s.listRecordings)
	huma.Register(s.huma, operation(http.MethodGet, "/recordings/{recording_id}", "get-recording", tag,
		"Get a recording", "One recorded file's facts.", 404), s.getRecording)
	video := operation(http.MethodGet, "/recordings/{recording_id}/video.mp4", "get-recording-video", tag,
		"Get recorded video", "The recorded file: fragmented MP4 as the camera sent it. Ranges can be asked for. "+
			"Holes in its sound are as they are in the file, and browsers play what follows one too early: play the playlist or a download of the span, which are in time.", 404)
	video.Responses = map[string]*huma.Response{
		"200": binary("The file.", "video/mp4"), "206": binary("The part asked for.", "video/mp4"),
		"304": {Description: "Not changed."}, "416": {Description: "The range is not in the file."},
	}
	huma.Register(s.huma, video, s.getRecordingVideo)
}

func (s *server) listRecordings(ctx context.Context, in *struct {
	CameraID string `query:"camera_id" required:"true" pattern:"^[a-z0-9][a-z0-9_-]{0,62}$" doc:"The camera."`
	Span
	Page
},
) (*listed[Recording], error) {
	if err := s.cameraExists(ctx, in.CameraID); err != nil {
		return nil, err
	}
	rows, next, err := s.Records.ListSegments(ctx, in.CameraID, in.Span.store(), in.Page.store())
	if err != nil {
		return nil, s.fail(ctx, err)
	}
	return newList(rows, next, newRecording), nil
}

func (s *server) getRecording(ctx context.Context, in *RecordingPath) (*answered[Recording], error) {
	seg, err := s.Records.Segment(ctx, in.RecordingID)
	if err != nil {
		return nil, s.fail(ctx, err)
	}
	return &answered[Recording]{Body: newRecording(seg)}, nil
}

func (s *server) getRecordingVideo(ctx context.Context, in *RecordingPath) (*huma.StreamResponse, error) {
	seg, err := s.Records.Segment(ctx, in.RecordingID)
	if err != nil {
		return nil, s.fail(ctx, err)
	}
	file, err := s.Media.Open(seg)
	if err != nil {
		return nil, s.fail(ctx, err)
	}
	return &huma.StreamResponse{Body: func(c huma.Context) {
		defer file.Close()
		r, w := humachi.Unwrap(c)
		w.Header().Set("Content-Type", "video/mp4")
		w.Header().Set("ETag", `"segment-`+strconv.FormatInt(seg.ID, 10)+`"`)
		http.ServeContent(w, r, "", time.Time{}, file)
	}}, nil
}

func newRecording(s store.Segment) Recording {
	return Recording{
		ID: s.ID, CameraID: s.CameraID, Start: Time{s.Start}, End: Time{s.End}, Bytes: s.Bytes, Frames: s.Frames,
		Codec: s.Codec, Width: s.Width, Height: s.Height, Clock: s.Clock, TimeErrorMS: ms(s.TimeError),
		Audio: s.Audio, AudioS: s.AudioTime.Seconds(),
		Video: base + "/recordings/" + strconv.FormatInt(s.ID, 10) + "/video.mp4",
	}
}
