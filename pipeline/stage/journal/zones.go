package journal

import (
	"context"
	"fmt"
	"time"

	"detectd/pipeline/bus"
	"detectd/store"
)

// zone logs what an object did at a zone or a line.
func (s *Stage) zone(e bus.ZoneEvent) {
	stayed := e.Stayed.Round(100 * time.Millisecond)
	place := e.ZoneName
	if place == "" {
		place = e.ZoneID
	}
	what := ""
	switch e.Kind {
	case ZoneEntered:
		what = fmt.Sprintf("%s entered %s", e.Label, place)
	case ZoneLeft:
		what = fmt.Sprintf("%s left %s after %s", e.Label, place, stayed)
	case ZoneLoitering:
		what = fmt.Sprintf("%s has been in %s for %s", e.Label, place, stayed)
	case LineCrossed:
		what = fmt.Sprintf("%s crossed %s to the %s", e.Label, place, e.Direction)
	default:
		return
	}
	s.add(note{
		Event: store.Event{Time: e.Time, Kind: e.Kind, CameraID: e.CameraID, Clock: e.Clock, TimeError: e.TimeError},
		data: struct {
			ZoneID    string     `json:"zone_id"`
			TrackID   string     `json:"track_id"`
			Label     string     `json:"label"`
			Score     float32    `json:"score"`
			Box       [4]float32 `json:"box"`
			Direction string     `json:"direction,omitempty"`
			Stayed    float64    `json:"stayed_seconds,omitempty"`
		}{e.ZoneID, e.TrackID, e.Label, e.Score, e.Box, e.Direction, e.Stayed.Seconds()},
		say: func(ctx context.Context, n *names) string {
			return fmt.Sprintf("%s on camera %s", what, n.camera(ctx, e.CameraID).Name)
		},
	})
}
