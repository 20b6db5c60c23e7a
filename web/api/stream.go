package api

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humachi"

	"detectd/pipeline"
	"detectd/store"
)

const (
	healthEvery    = time.Second
	heartbeatEvery = 15 * time.Second
	// streamStall is how long a reader of a stream may take nothing.
	streamStall = 10 * time.Second
)

// healthData is the data of the event "health".
type healthData struct {
	Cameras []Status `json:"cameras"`
}

// detectionsData is the data of the event "detections".
type detectionsData struct {
	CameraID string       `json:"camera_id"`
	Frames   []Annotation `json:"frames"`
}

func (s *server) streamEvents(_ context.Context, in *struct {
	CameraID []string `query:"camera_id,explode" nullable:"false" maxItems:"1000" pattern:"^([a-z0-9][a-z0-9_-]{0,62}|\\*)$" doc:"Cameras to send detections of; repeatable, * names all."`
},
) (*huma.StreamResponse, error) {
	return &huma.StreamResponse{Body: func(c huma.Context) {
		r, w := humachi.Unwrap(c)
		items := s.Feed.Subscribe(r.Context(), in.CameraID)
		out := &eventWriter{w: w, control: http.NewResponseController(w)}
		w.Header().Set("Content-Type", "text/event-stream")
		w.Header().Set("X-Accel-Buffering", "no") // proxies hand it on at once
		w.WriteHeader(http.StatusOK)
		if err := s.stream(r.Context(), out, items); err != nil {
			s.Log.DebugContext(r.Context(), "event stream ended", slog.Any("error", err))
		}
		_ = out.control.SetWriteDeadline(time.Time{}) // the connection may carry another request
	}}, nil
}

// stream writes events until ctx or the feed ends, or the reader is gone.
func (s *server) stream(ctx context.Context, out *eventWriter, items <-chan FeedItem) error {
	health := time.NewTicker(healthEvery)
	defer health.Stop()
	heartbeat := time.NewTicker(heartbeatEvery)
	defer heartbeat.Stop()
	if err := s.sendHealth(out); err != nil { // the page need not wait for the first tick
		return err
	}
	for {
		var err error
		select {
		case <-ctx.Done():
			return nil
		case item, open := <-items:
			if !open {
				return nil
			}
			err = out.event(item.Event, feedData(item.Data))
		case <-health.C:
			err = s.sendHealth(out)
		case <-heartbeat.C:
			err = out.comment("still here")
		}
		if err != nil {
			return err
		}
	}
}

func (s *server) sendHealth(out *eventWriter) error {
	data := healthData{Cameras: []Status{}}
	for _, st := range s.Cameras.Statuses() {
		data.Cameras = append(data.Cameras, newStatus(st))
	}
	return out.event("health", data)
}

// feedData turns a record into its JSON form.
func feedData(v any) any {
	switch d := v.(type) {
	case nil:
		return struct{}{}
	case pipeline.Status:
		return newStatus(d)
	case pipeline.RunningState:
		return newRunningState(d)
	case []store.Annotation:
		out := detectionsData{Frames: make([]Annotation, 0, len(d))}
		for _, a := range d {
			out.CameraID = a.CameraID
			out.Frames = append(out.Frames, newAnnotation(a))
		}
		return out
	case store.Track:
		return newTrack(d)
	case store.Result:
		return newResult(d)
	}
	return v
}

// eventWriter writes server-sent events (WHATWG HTML, section 9.2).
type eventWriter struct {
	w       http.ResponseWriter
	control *http.ResponseController
	buf     bytes.Buffer
}

// event writes one event. JSON holds no line breaks, so data is one line.
func (e *eventWriter) event(name string, data any) error {
	line, err := json.Marshal(data)
	if err != nil {
		return fmt.Errorf("encode event %s: %w", name, err)
	}
	e.buf.Reset()
	fmt.Fprintf(&e.buf, "event: %s\ndata: %s\n\n", name, line)
	return e.flush()
}

// comment writes a line that readers skip, so that a dead connection shows.
func (e *eventWriter) comment(text string) error {
	e.buf.Reset()
	fmt.Fprintf(&e.buf, ": %s\n\n", text)
	return e.flush()
}

func (e *eventWriter) flush() error {
	_ = e.control.SetWriteDeadline(time.Now().Add(streamStall)) // recorders in tests have none
	if _, err := e.w.Write(e.buf.Bytes()); err != nil {
		return fmt.Errorf("write event: %w", err)
	}
	if err := e.control.Flush(); err != nil {
		return fmt.Errorf("write event: %w", err)
	}
	return nil
}
