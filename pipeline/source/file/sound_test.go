package file_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"detectd/pipeline"
	"detectd/pipeline/simulate"
	"detectd/pipeline/source/file"
)

// ear is a sink that listens.
type ear struct {
	capture
	announced []pipeline.SoundFormat
	sounds    []pipeline.Sound
	early     int // pieces that came after the picture that follows them
}

func (e *ear) SoundFormat(f pipeline.SoundFormat) { e.announced = append(e.announced, f) }

func (e *ear) Sound(s pipeline.Sound) {
	if n := len(e.units); n == 0 || s.PTS > e.units[n-1].PTS+time.Second {
		e.early++
	}
	e.sounds = append(e.sounds, s)
}

func TestSound(t *testing.T) {
	for _, tc := range []struct {
		name   string
		codec  pipeline.Codec
		rate   int
		length time.Duration // of a piece
	}{
		{"a.mp4", pipeline.AAC, 48000, 1024 * time.Second / 48000},
		{"a.mkv", pipeline.Opus, 48000, 20 * time.Millisecond},
		{"b.mkv", pipeline.PCMU, 8000, 20 * time.Millisecond},
		{"a.mov", pipeline.PCMA, 8000, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			path := video(t, tc.name, simulate.Spec{Frames: 60, BFrames: 2, Sound: tc.codec})
			info, err := file.Probe(path)
			require.NoError(t, err)
			require.Equal(t, tc.codec, info.Sound.Codec)
			e := &ear{}
			src, err := file.New(file.Config{Path: path, StartTime: time.Unix(1_700_000_000, 0)})
			require.NoError(t, err)
			state, _ := pipeline.StateOf(src.Run(t.Context(), e))
			require.Equal(t, pipeline.StateEnded, state)
			require.Len(t, e.units, 60)
			require.Equal(t, []pipeline.SoundFormat{info.Sound}, e.announced)
			require.Equal(t, tc.rate, info.Sound.Rate)
			require.Equal(t, 1, info.Sound.Channels)
			require.Zero(t, e.early)
			samples, end := 0, e.sounds[0].PTS
			require.Less(t, end, 25*time.Millisecond)
			for _, s := range e.sounds {
				require.InDelta(t, end, s.PTS, float64(2*time.Millisecond), "one after the other")
				require.Equal(t, time.Unix(1_700_000_000, 0).Add(s.PTS), s.Time)
				length := time.Duration(s.Samples) * time.Second / time.Duration(tc.rate)
				if tc.length > 0 {
					require.Equal(t, tc.length, length)
				}
				samples, end = samples+s.Samples, s.PTS+length
			}
			require.InDelta(t, 2.4, float64(samples)/float64(tc.rate), 0.05)
		})
	}
}

func listen(t *testing.T, cfg file.Config, limit int) (*ear, error) {
	t.Helper()
	s, err := file.New(cfg)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	e := &ear{capture: capture{limit: limit, stop: cancel}}
	return e, s.Run(ctx, e)
}

func TestSoundGoesOnInLoops(t *testing.T) {
	c, err := listen(t, file.Config{Path: video(t, "a.mp4", simulate.Spec{Frames: 25, Sound: pipeline.AAC}), Loop: true}, 110)
	require.NoError(t, err)
	require.Len(t, c.announced, 1)
	for i, s := range c.sounds[1:] {
		step := s.PTS - c.sounds[i].PTS
		require.Greater(t, step, time.Duration(0))
		require.Less(t, step, 60*time.Millisecond, "after %v", c.sounds[i].PTS)
	}
	require.Greater(t, c.sounds[len(c.sounds)-1].PTS, 4*time.Second)
}

func TestNoSound(t *testing.T) {
	for name, cfg := range map[string]file.Config{
		"none":            {Path: video(t, "a.mp4", simulate.Spec{Frames: 10})},
		"another speed":   {Path: video(t, "b.mp4", simulate.Spec{Frames: 10, Sound: pipeline.AAC}), FPS: 50},
		"no description":  {Path: video(t, "c.ts", simulate.Spec{Frames: 10, Sound: pipeline.AAC})},
		"only a picture ": {Path: write(t, "p.png", pictureBytes(t, "png"))},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := listen(t, cfg, 1000)
			require.Error(t, err)
			require.Empty(t, c.sounds)
			require.Len(t, c.announced, 1)
			require.Empty(t, c.announced[0].Codec)
			require.Equal(t, name == "another speed" || name == "no description", c.announced[0].Missing != "")
		})
	}
}
