package camera

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"detectd/pipeline"
	"detectd/store"
)

// listeningTap keeps what it hears; deafTap does not listen.
type listeningTap struct {
	deafTap
	formats []pipeline.SoundFormat
	sounds  []pipeline.Sound
}

type deafTap struct{ units []pipeline.Unit }

func (d *deafTap) Format(pipeline.Format)        {}
func (d *deafTap) Unit(u pipeline.Unit)          { d.units = append(d.units, u) }
func (d *deafTap) Run(ctx context.Context) error { <-ctx.Done(); return nil }

func (l *listeningTap) SoundFormat(f pipeline.SoundFormat) { l.formats = append(l.formats, f) }
func (l *listeningTap) Sound(s pipeline.Sound)             { l.sounds = append(l.sounds, s) }

// TestSoundFollowsTheVideo: sound is on the camera's one timeline, over all sessions,
// and has the capture time of the picture that it lies beside.
func TestSoundFollowsTheVideo(t *testing.T) {
	ear := &listeningTap{}
	w, err := NewWorker(store.Camera{ID: "door"}, Deps{
		Taps: func(store.Camera, Hooks) ([]Tap, error) { return []Tap{&deafTap{}, ear}, nil },
		Log:  slog.New(slog.DiscardHandler),
	})
	require.NoError(t, err)
	began := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for session := range 2 {
		w.timeline.restart()
		w.SoundFormat(pipeline.SoundFormat{Codec: pipeline.Opus, Rate: 48000, Channels: 1})
		w.Sound(pipeline.Sound{PTS: 0, Samples: 960}) // before any picture of the session
		for i := range 5 {
			at := time.Duration(i) * 40 * time.Millisecond
			w.Unit(pipeline.Unit{PTS: at, DTS: at, Key: i == 0, Time: began.Add(time.Duration(session)*time.Hour + at)})
			w.Sound(pipeline.Sound{PTS: at, Samples: 960, Data: []byte{1}})
		}
	}
	require.Len(t, ear.formats, 2)
	require.Len(t, ear.sounds, 10)
	for i, s := range ear.sounds {
		require.Equal(t, ear.units[i].PTS, s.PTS)
		require.Equal(t, ear.units[i].Time, s.Time)
	}
	w.SoundFormat(pipeline.SoundFormat{Missing: "it is coded oddly"})
	w.mu.Lock()
	defer w.mu.Unlock()
	require.Empty(t, w.status.AudioCodec)
	require.Equal(t, "it is coded oddly", w.status.AudioReason)
}
