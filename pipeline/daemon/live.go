package daemon

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"time"

	"detectd/pipeline/stage/live"
	"detectd/store"
	"detectd/web/api"
)

// livePort lets the API show live video.
type livePort struct{ d *Daemon }

// Serve implements api.Live.
func (p livePort) Serve(w http.ResponseWriter, r *http.Request, cameraID, file string) error {
	p.d.mu.RLock()
	l := p.d.lives[cameraID]
	p.d.mu.RUnlock()
	if l == nil {
		return fmt.Errorf("%w: camera %s is off", api.ErrNoHLS, cameraID)
	}
	err := l.Serve(w, r, file)
	switch {
	case errors.Is(err, live.ErrNoHLS), errors.Is(err, live.ErrNotLive):
		return fmt.Errorf("%w: %w", api.ErrNoHLS, err)
	case errors.Is(err, live.ErrNoFile):
		return fmt.Errorf("file %s of the live video: %w", file, store.ErrNotFound)
	default:
		return err
	}
}

const (
	mjpegInterval = 200 * time.Millisecond
	mjpegWidth    = 1280 // pixels; larger pictures are made smaller
)

// MJPEG implements api.Live: the newest picture again and again, as long as the
// client takes them.
func (p livePort) MJPEG(w http.ResponseWriter, r *http.Request, cameraID string) error {
	control := http.NewResponseController(w)
	tick := time.NewTicker(mjpegInterval)
	defer tick.Stop()
	var shown uint64
	for started := false; ; {
		if f := p.d.cameras.Latest(cameraID); f != nil && f.Seq != shown {
			shown = f.Seq
			jpeg, err := p.d.render.Draw(f, store.Annotation{}, mjpegWidth)
			captured := f.Time
			f.Release()
			if err != nil {
				if !started {
					return err
				}
				p.d.log.Warn("draw live picture", "camera", cameraID, "error", err)
				return nil
			}
			if !started {
				started = true
				w.Header().Set("Content-Type", "multipart/x-mixed-replace; boundary=frame")
				w.WriteHeader(http.StatusOK)
			}
			var part bytes.Buffer
			fmt.Fprintf(&part, "--frame\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\nX-Frame-Time: %s\r\n\r\n",
				len(jpeg), captured.UTC().Format("2006-01-02T15:04:05.000Z"))
			part.Write(jpeg)
			part.WriteString("\r\n")
			if _, err := w.Write(part.Bytes()); err != nil {
				return nil //nolint:nilerr // the client has gone
			}
			if err := control.Flush(); err != nil {
				return nil //nolint:nilerr // the client has gone
			}
		} else if f != nil {
			f.Release()
		} else if !started {
			return fmt.Errorf("camera %s shows nothing yet: %w", cameraID, store.ErrNotFound)
		}
		select {
		case <-r.Context().Done():
			return nil
		case <-tick.C:
		}
	}
}
