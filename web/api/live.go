package api

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humachi"

	"detectd/store"
)

// jpgSuffix ends the addresses of pictures.
const jpgSuffix = ".jpg"

// noHLSType is the problem type that tells the page to fall back to MJPEG.
const noHLSType = "urn:detectd:problem/no-hls"

func (s *server) routeLive() {
	const tag = "Cameras"
	frame := operation(http.MethodGet, "/cameras/{camera_id}/frames/{time}.jpg", "get-frame", tag,
		"Get a picture", "The recorded frame nearest to the time, within 2 s of it, as JPEG; \"latest\" is the newest frame. 404 when there is none.", 404, 503)
	frame.Responses = map[string]*huma.Response{"200": binary("The picture.", "image/jpeg")}
	frame.Responses["200"].Headers = map[string]*huma.Param{
		"X-Frame-Time":  {Description: "When the picture was captured.", Schema: Time{}.Schema(nil)},
		"X-Frame-Clock": {Description: "How that time was obtained: rtcp, arrival or file.", Schema: &huma.Schema{Type: huma.TypeString}},
	}
	huma.Register(s.huma, frame, s.getFrame)

	hls := operation(http.MethodGet, "/cameras/{camera_id}/live/{file}", "get-live", tag,
		"Watch live (HLS)", "A file of the camera's HLS stream; players start at index.m3u8. It has no sound. 404 with problem type "+noHLSType+
			" when the camera has no HLS: its codec is MJPEG, or no video has come yet.", 404, 503)
	hls.RejectUnknownQueryParameters = false // players add their own
	hls.Responses = map[string]*huma.Response{"200": binary("The file.", "*/*")}
	huma.Register(s.huma, hls, s.getLive)

	mjpeg := operation(http.MethodGet, "/cameras/{camera_id}/live.mjpeg", "get-live-mjpeg", tag,
		"Watch live (MJPEG)", "JPEG pictures, at most 5 per second, for as long as the request stays open. For cameras without HLS.", 404, 503)
	mjpeg.Responses = map[string]*huma.Response{"200": binary("The pictures.", "multipart/x-mixed-replace")}
	huma.Register(s.huma, mjpeg, s.getMJPEG)
}

func (s *server) getFrame(ctx context.Context, in *struct {
	CameraPath
	Time  string `path:"time" maxLength:"64" example:"latest" doc:"RFC 3339 time, or latest."`
	Boxes bool   `query:"boxes" doc:"Whether to draw the objects found."`
},
) (*huma.StreamResponse, error) {
	name, isJPEG := strings.CutSuffix(in.Time, jpgSuffix)
	if !isJPEG {
		return nil, huma.NewError(http.StatusNotFound, "pictures end in "+jpgSuffix)
	}
	var at time.Time
	if name != "latest" {
		var err error
		if at, err = time.Parse(time.RFC3339, name); err != nil {
			return nil, invalid("path.time", `the time must be RFC 3339, as in 2026-11-25T09:30:18.123Z, or "latest"`)
		}
	}
	if _, err := s.Records.Camera(ctx, in.CameraID); err != nil {
		return nil, s.fail(ctx, err)
	}
	f, err := s.Frames.JPEG(ctx, in.CameraID, at, in.Boxes)
	if err != nil {
		return nil, s.fail(ctx, err)
	}
	return &huma.StreamResponse{Body: func(c huma.Context) {
		c.SetHeader("Content-Type", "image/jpeg")
		c.SetHeader("Content-Length", strconv.Itoa(len(f.JPEG)))
		c.SetHeader("X-Frame-Time", f.Time.UTC().Format(timeFormat))
		c.SetHeader("X-Frame-Clock", f.Clock)
		c.SetStatus(http.StatusOK)
		_, _ = c.BodyWriter().Write(f.JPEG)
	}}, nil
}

func (s *server) getLive(ctx context.Context, in *struct {
	CameraPath
	File string `path:"file" pattern:"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,199}$" example:"index.m3u8" doc:"Name of a file of the stream."`
},
) (*huma.StreamResponse, error) {
	return s.live(ctx, in.CameraID, func(w http.ResponseWriter, r *http.Request) error {
		return s.Live.Serve(w, r, in.CameraID, in.File)
	})
}

func (s *server) getMJPEG(ctx context.Context, in *CameraPath) (*huma.StreamResponse, error) {
	return s.live(ctx, in.CameraID, func(w http.ResponseWriter, r *http.Request) error {
		return s.Live.MJPEG(w, r, in.CameraID)
	})
}

// live hands the request to serve, which writes the answer itself or fails
// before the first byte.
func (s *server) live(ctx context.Context, id string, serve func(http.ResponseWriter, *http.Request) error) (*huma.StreamResponse, error) {
	c, err := s.Records.Camera(ctx, id)
	if err != nil {
		return nil, s.fail(ctx, err)
	}
	return &huma.StreamResponse{Body: func(c2 huma.Context) {
		r, w := humachi.Unwrap(c2)
		if err := serve(w, r); err != nil {
			s.writeFailure(c2, s.liveFailure(ctx, c, err))
		}
	}}, nil
}

func (s *server) liveFailure(ctx context.Context, c store.Camera, err error) error {
	if !errors.Is(err, ErrNoHLS) {
		return s.fail(ctx, err)
	}
	return &huma.ErrorModel{
		Type: noHLSType, Title: http.StatusText(http.StatusNotFound), Status: http.StatusNotFound,
		Detail: "camera " + c.ID + " has no HLS: " + err.Error(),
	}
}

// writeFailure answers with a problem from inside a streamed answer that has
// not begun yet.
func (s *server) writeFailure(c huma.Context, err error) {
	var status huma.StatusError
	if !errors.As(err, &status) {
		status = huma.NewError(http.StatusInternalServerError, "something went wrong inside detectd; its log has the reason")
	}
	c.SetHeader("Content-Type", "application/problem+json")
	c.SetStatus(status.GetStatus())
	_ = s.huma.Marshal(c.BodyWriter(), "application/json", status)
}
