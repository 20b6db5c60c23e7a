package daemon

import (
	"time"

	"detectd/pipeline/bus"
	"detectd/web/api"
)

// ZonesChanged implements api.Announcer.
func (a announcer) ZonesChanged(cameraID string, revision int64) {
	a.d.bus.Publish(bus.Subject(bus.ZonesChanged, cameraID), bus.Change{
		CameraID: cameraID, Action: string(api.Updated), Revision: revision,
	})
}

// zoneEvent is an event as the API shows it.
func zoneEvent(e bus.ZoneEvent) api.ZoneEvent {
	return api.ZoneEvent{
		Kind: e.Kind, CameraID: e.CameraID, ZoneID: e.ZoneID, Time: api.Time{Time: e.Time}, TrackID: e.TrackID, Label: e.Label,
		Score: e.Score, Box: e.Box, Direction: e.Direction, StayedMS: float64(e.Stayed) / float64(time.Millisecond),
		Clock: e.Clock, TimeErrorMS: float64(e.TimeError) / float64(time.Millisecond),
	}
}
