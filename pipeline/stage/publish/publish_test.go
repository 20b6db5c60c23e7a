package publish

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"detectd/pipeline/bus"
	"detectd/store"
)

func TestRoundTripOverTheBus(t *testing.T) {
	b, err := bus.Open(t.Context(), bus.Config{Folder: t.TempDir()}, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	defer func() { require.NoError(t, b.Close()) }()

	at := time.Date(2026, 5, 4, 3, 2, 1, 123456000, time.UTC)
	frames := []store.Annotation{{
		CameraID: "door", Time: at, Frame: 7, PTS: 3 * time.Second, Width: 640, Height: 480,
		Kind: "detected", Model: "default", Version: 2, Clock: "rtcp", TimeError: 40 * time.Millisecond,
		Objects: []store.Object{{TrackID: "door-1", ClassID: 3, Label: "car", Score: 0.5, Box: store.Box{1, 2, 3, 4}, Kind: "extrapolated"}},
	}, {CameraID: "door", Time: at.Add(time.Second), Frame: 8, Kind: "interpolated"}}
	track := store.Track{
		ID: "door-1", CameraID: "door", ClassID: 3, Label: "car", Start: at, End: at.Add(time.Second), Ended: true,
		Frames: 9, BestScore: 0.75, BestTime: at, BestBox: store.Box{5, 6, 7, 8}, Model: "default", Version: 2, Clock: "rtcp", TimeError: time.Millisecond,
	}

	ctx, cancel := context.WithCancel(t.Context())
	ready, done := make(chan struct{}), make(chan error, 1)
	var gotFrames []store.Annotation
	var gotTrack store.Track
	go func() {
		done <- b.Subscribe(ctx, ready, func(m bus.Message) {
			var err error
			if m.Subject == bus.Subject(bus.Tracks, "door") {
				gotTrack, err = ReadTrack(m)
				defer cancel()
			} else {
				gotFrames, err = ReadAnnotations(m)
			}
			assert.NoError(t, err)
		}, bus.Under(bus.Detections), bus.Under(bus.Tracks))
	}()
	<-ready
	p := New(b)
	p.Annotations(nil)
	p.Annotations(frames)
	p.Track(track)
	require.NoError(t, <-done)
	require.Equal(t, frames, gotFrames)
	require.Equal(t, track, gotTrack)
}
