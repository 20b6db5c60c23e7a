package journal

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"detectd/pipeline/bus"
)

func TestZonesInWords(t *testing.T) {
	b, r := openBus(t), openRecords(t)
	_, stop := start(t, Config{Write: time.Hour}, b, r)
	at := time.Date(2026, 11, 25, 9, 0, 0, 0, time.UTC)
	e := bus.ZoneEvent{CameraID: "door", ZoneID: "yard", ZoneName: "The yard", TrackID: "door-1", Label: "person", Score: 0.5, Box: [4]float32{1, 2, 3, 4}, Clock: "rtcp", TimeError: time.Millisecond}
	for i, kind := range []string{ZoneEntered, ZoneLoitering, ZoneLeft, LineCrossed, "zone.unknown"} {
		e.Kind, e.Time = kind, at.Add(time.Duration(i)*time.Second)
		if kind == ZoneLoitering || kind == ZoneLeft {
			e.Stayed = 12340 * time.Millisecond
		}
		if kind == LineCrossed {
			e.ZoneID, e.ZoneName, e.Direction, e.Stayed = "gate", "", "left", 0
		}
		b.Publish(bus.Subject(bus.ZoneEvents, "door"), e)
	}
	stop()
	log := events(t, r)
	require.Equal(t, []string{
		"zone.entered person entered The yard on camera Door",
		"zone.loitering person has been in The yard for 12.3s on camera Door",
		"zone.left person left The yard after 12.3s on camera Door",
		"line.crossed person crossed gate to the left on camera Door",
	}, messages(log))
	require.Equal(t, at.Add(2*time.Second), log[2].Time)
	require.Equal(t, []any{"rtcp", time.Millisecond}, []any{log[2].Clock, log[2].TimeError})
	require.Equal(t, "home", log[2].ClientID)
	require.JSONEq(t, `{"zone_id":"yard","track_id":"door-1","label":"person","score":0.5,"box":[1,2,3,4],"stayed_seconds":12.34}`, string(log[2].Data))
	require.JSONEq(t, `{"zone_id":"gate","track_id":"door-1","label":"person","score":0.5,"box":[1,2,3,4],"direction":"left"}`, string(log[3].Data))
}
