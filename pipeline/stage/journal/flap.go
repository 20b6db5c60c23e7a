package journal

import (
	"context"
	"fmt"
	"strings"
	"time"

	"detectd/pipeline"
	"detectd/pipeline/bus"
	"detectd/store"
)

// flap is what was logged of one camera's states.
type flap struct {
	state pipeline.State // the newest, other than connecting
	seen  map[pipeline.State]*sighting
}

// sighting is one state of one camera.
type sighting struct {
	logged  time.Time // when it was last logged
	repeats int       // times it came again since then
	newest  bus.State
}

// state logs that a camera is in another state. Trying again is not an event,
// nor is failing again in the same way; the same state within the window after
// it was logged is counted.
func (s *Stage) state(m bus.State, now time.Time) {
	state := pipeline.State(m.State)
	if state == pipeline.StateConnecting || state == "" || m.CameraID == "" {
		return
	}
	f := s.flaps[m.CameraID]
	if f == nil {
		f = &flap{seen: map[pipeline.State]*sighting{}}
		s.flaps[m.CameraID] = f
	}
	if f.state == state {
		return
	}
	f.state = state
	last := f.seen[state]
	switch {
	case last == nil:
		f.seen[state] = &sighting{logged: now, newest: m}
		s.add(stateNote(m, 0, now))
	case now.Sub(last.logged) < s.cfg.Window:
		last.repeats++
		last.newest = m
	default:
		s.add(stateNote(m, last.repeats, now))
		*last = sighting{logged: now, newest: m}
	}
}

// sumUp logs the repeated states that were last logged at least window ago.
func (s *Stage) sumUp(now time.Time, window time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range s.flaps {
		for _, state := range states {
			if last := f.seen[state]; last != nil && last.repeats > 0 && now.Sub(last.logged) >= window {
				s.add(stateNote(last.newest, last.repeats, now))
				*last = sighting{logged: now, newest: last.newest}
			}
		}
	}
}

// states are those that are logged, so that a sum has a fixed order.
var states = [...]pipeline.State{
	pipeline.StateDisabled, pipeline.StateBadURL, pipeline.StateRefused, pipeline.StateTimeout, pipeline.StateAuth,
	pipeline.StateNotFound, pipeline.StateNoVideo, pipeline.StateCodec, pipeline.StateLost, pipeline.StateEnded,
	pipeline.StateFailed, pipeline.StateRunning,
}

func stateNote(m bus.State, repeats int, now time.Time) note {
	at := m.Since
	if at.IsZero() {
		at = now
	}
	reason := withoutCredentials(m.Reason)
	return note{
		Event: store.Event{Time: at, Kind: CameraState, CameraID: m.CameraID},
		data: struct {
			State   string `json:"state"`
			Reason  string `json:"reason,omitempty"`
			Repeats int    `json:"repeats,omitempty"`
		}{m.State, reason, repeats},
		say: func(ctx context.Context, n *names) string {
			var b strings.Builder
			words := stateWords(pipeline.State(m.State))
			fmt.Fprintf(&b, "camera %s %s", n.camera(ctx, m.CameraID).Name, words)
			switch {
			case repeats == 1:
				b.WriteString(", once more")
			case repeats > 1:
				fmt.Fprintf(&b, ", %d times more", repeats)
			}
			if reason != "" && reason != "the camera "+words { // which would say it twice
				b.WriteString(": " + reason)
			}
			return b.String()
		},
	}
}

func stateWords(s pipeline.State) string {
	switch s {
	case pipeline.StateDisabled:
		return "is switched off"
	case pipeline.StateRunning:
		return "is running"
	case pipeline.StateBadURL:
		return "has a URL that cannot be used"
	case pipeline.StateRefused:
		return "refused the connection"
	case pipeline.StateTimeout:
		return "does not answer"
	case pipeline.StateAuth:
		return "wants another user or password"
	case pipeline.StateNotFound:
		return "was not found"
	case pipeline.StateNoVideo:
		return "sends no video"
	case pipeline.StateCodec:
		return "sends video in a codec that is not supported"
	case pipeline.StateEnded:
		return "has ended"
	}
	return string(s) // lost, failed
}
