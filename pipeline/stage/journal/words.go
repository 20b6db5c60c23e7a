package journal

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"detectd/pipeline/bus"
	"detectd/store"
)

// take notes what an announcement says, if it is one for the log.
func (s *Stage) take(m bus.Message, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.note(m, now); err != nil {
		s.stats.Malformed++
		s.log.Warn("read message", "subject", m.Subject, "error", err)
	}
}

func (s *Stage) note(m bus.Message, now time.Time) error {
	base, id := m.Subject, ""
	if base != bus.ModelsChanged && base != bus.Providers && base != bus.Space {
		i := strings.LastIndexByte(m.Subject, '.')
		base, id = m.Subject[:i], m.Subject[i+1:]
	}
	switch base {
	case bus.CameraState:
		return read(m, func(v bus.State) { s.state(v, now) })
	case bus.CameraChanged:
		return read(m, func(v bus.Change) { s.cameraChanged(v, id, now) })
	case bus.Tracks:
		return read(m, func(v bus.Track) { s.track(v) })
	case bus.RunningModel:
		return read(m, func(v bus.Change) { s.runningModel(v, id, now) })
	case bus.ModelsChanged:
		return read(m, func(v bus.Change) { s.models(v, now) })
	case bus.Providers:
		return read(m, func(v bus.Provider) { s.provider(v, now) })
	case bus.ZoneEvents:
		return read(m, func(v bus.ZoneEvent) { s.zone(v) })
	case bus.Gaps:
		return read(m, func(v bus.Gap) { s.gap(v, now) })
	case bus.Space:
		return read(m, func(v bus.SpaceState) { s.space(v, now) })
	case bus.Results:
		return read(m, func(v bus.Result) { s.result(v, now) })
	}
	return nil
}

func read[T any](m bus.Message, use func(T)) error {
	var v T
	if err := m.Decode(&v); err != nil {
		return err
	}
	use(v)
	return nil
}

// deleted is the action of a change after which there is no record.
const deleted = "deleted"

// change is the data of events about records.
type change struct {
	Action   string `json:"action,omitempty"`
	Model    string `json:"model,omitempty"`
	Revision int64  `json:"revision,omitempty"`
}

func (s *Stage) cameraChanged(c bus.Change, id string, now time.Time) {
	if c.Action == deleted {
		delete(s.flaps, id)
	}
	s.add(note{
		Event: store.Event{Time: now, Kind: CameraChanged, CameraID: id, ClientID: c.ClientID},
		data:  change{Action: c.Action, Revision: c.Revision},
		say: func(ctx context.Context, n *names) string {
			if c.Action != deleted { // the name may be a new one; of a deleted camera the known one is the last
				n.forget(id)
			}
			return fmt.Sprintf("camera %s was %s", n.camera(ctx, id).Name, c.Action)
		},
	})
}

// track logs the beginning and the end of a track, not what is between.
func (s *Stage) track(t bus.Track) {
	n := note{Event: store.Event{Time: t.Start, Kind: TrackStarted, CameraID: t.CameraID, Clock: t.Clock, TimeError: t.TimeError}}
	switch {
	case t.Ended:
		n.Time, n.Kind = t.End, TrackEnded
	case t.Frames > 1:
		return
	}
	n.data = struct {
		TrackID string  `json:"track_id"`
		Label   string  `json:"label"`
		Score   float32 `json:"best_score"`
		Frames  int     `json:"frames"`
	}{t.ID, t.Label, t.BestScore, t.Frames}
	n.say = func(ctx context.Context, names *names) string {
		camera := names.camera(ctx, t.CameraID).Name
		if !t.Ended {
			return fmt.Sprintf("%s appeared on camera %s", t.Label, camera)
		}
		return fmt.Sprintf("%s was on camera %s for %s", t.Label, camera, t.End.Sub(t.Start).Round(100*time.Millisecond))
	}
	s.add(n)
}

func (s *Stage) runningModel(c bus.Change, id string, now time.Time) {
	if c.ClientID == "" {
		c.ClientID = id
	}
	s.add(note{
		Event: store.Event{Time: now, Kind: ModelChanged, CameraID: c.CameraID, ClientID: c.ClientID},
		data:  change{Action: c.Action, Revision: c.Revision},
		say: func(ctx context.Context, n *names) string {
			who, above := "client "+n.client(ctx, c.ClientID), "the default model"
			if c.CameraID != "" {
				who, above = "camera "+n.camera(ctx, c.CameraID).Name, "the model of its client"
			}
			r, err := n.records.RunningModel(ctx, c.ClientID, c.CameraID)
			switch {
			case c.Action == deleted || r.Deleted || errors.Is(err, store.ErrNotFound):
				return fmt.Sprintf("%s runs %s again", who, above)
			case err != nil:
				return who + " has other settings for its model"
			case r.Alias != "":
				return fmt.Sprintf("%s runs what alias %s of model %s names", who, r.Alias, r.Model)
			case r.Version == 0:
				return fmt.Sprintf("%s runs the newest version of model %s", who, r.Model)
			}
			return fmt.Sprintf("%s runs version %d of model %s", who, r.Version, r.Model)
		},
	})
}

func (s *Stage) models(c bus.Change, now time.Time) {
	s.add(note{
		Event: store.Event{Time: now, Kind: ModelsChanged},
		data:  change{Action: c.Action, Model: c.ID},
		say: func(context.Context, *names) string {
			if c.ID == "" {
				return "the list of models changed"
			}
			return fmt.Sprintf("model %s was %s", c.ID, c.Action)
		},
	})
}

func (s *Stage) provider(p bus.Provider, now time.Time) {
	s.add(note{
		Event: store.Event{Time: now, Kind: ModelDegraded},
		data:  p,
		say: func(context.Context, *names) string {
			return fmt.Sprintf("model %s@%d runs on %s: %s", p.Model, p.Version, p.Provider, p.Reason)
		},
	})
}

// result logs that a result is done or has failed, not its progress.
func (s *Stage) result(r bus.Result, now time.Time) {
	n := note{Event: store.Event{Time: now, CameraID: r.CameraID}}
	switch r.State {
	case store.ResultDone:
		n.Kind = ResultDone
	case store.ResultFailed:
		n.Kind = ResultFailed
	default:
		return
	}
	reason := withoutCredentials(r.Error)
	n.data = struct {
		ResultID string `json:"result_id"`
		Kind     string `json:"kind"`
		Error    string `json:"error,omitempty"`
	}{r.ID, r.Kind, reason}
	n.say = func(ctx context.Context, names *names) string {
		what := r.Kind
		switch {
		case r.CameraID != "":
			what += " of camera " + names.camera(ctx, r.CameraID).Name
		case r.Name != "":
			what += " " + r.Name
		}
		if r.State == store.ResultDone {
			return what + " is ready"
		}
		return what + " failed: " + reason
	}
	s.add(n)
}

// names finds what people call things. It remembers cameras, which every track
// asks for, until they change.
type names struct {
	records records
	cameras map[string]store.Camera // only id, name and client
}

// camera returns the camera; one that cannot be found is called by its id.
func (n *names) camera(ctx context.Context, id string) store.Camera {
	if c, ok := n.cameras[id]; ok {
		return c
	}
	c, err := n.records.Camera(ctx, id)
	if err != nil || c.Name == "" {
		c.Name = id
	}
	c = store.Camera{ID: id, Name: c.Name, ClientID: c.ClientID}
	if err == nil {
		n.cameras[id] = c
	}
	return c
}

func (n *names) forget(id string) { delete(n.cameras, id) }

func (n *names) client(ctx context.Context, id string) string {
	if c, err := n.records.Client(ctx, id); err == nil && c.Name != "" {
		return c.Name
	}
	return id
}

// userinfo is what may stand before the host in a URL.
var userinfo = regexp.MustCompile(`://\S*@`)

// withoutCredentials removes user names and passwords from URLs in a text. The
// sources of reasons and errors keep them out already; a log that is kept for
// months makes sure.
func withoutCredentials(text string) string { return userinfo.ReplaceAllString(text, "://") }
