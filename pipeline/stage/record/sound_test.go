package record_test

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/bluenviron/mediacommon/v2/pkg/formats/fmp4"
	"github.com/stretchr/testify/require"

	"detectd/pipeline"
	"detectd/pipeline/simulate"
	"detectd/pipeline/soundtrack"
	"detectd/pipeline/stage/record"
	"detectd/store"
)

var (
	aac  = pipeline.SoundFormat{Codec: pipeline.AAC, Rate: 16000, Channels: 1, Config: []byte{0x14, 0x08}}
	opus = pipeline.SoundFormat{Codec: pipeline.Opus, Rate: 48000, Channels: 2}
	pcmu = pipeline.SoundFormat{Codec: pipeline.PCMU, Rate: 8000, Channels: 1}
)

// pieces are n pieces of sound that say which they are, one after the other.
func pieces(f pipeline.SoundFormat, samples, n int) []pipeline.Sound {
	out := make([]pipeline.Sound, n)
	for i := range out {
		at := time.Duration(i*samples) * time.Second / time.Duration(f.Rate)
		out[i] = pipeline.Sound{PTS: at, Time: start.Add(at), Samples: samples, Data: binary.BigEndian.AppendUint32(nil, uint32(i))}
	}
	return out
}

// mix hands the video of c and sound in that comes lag later than the pictures it
// belongs to.
func mix(r *record.Recorder, c *capture, sound []pipeline.Sound, lag time.Duration) {
	for _, u := range c.units {
		for len(sound) > 0 && sound[0].PTS+lag < u.DTS {
			r.Sound(sound[0])
			sound = sound[1:]
		}
		r.Unit(u)
	}
	for _, s := range sound {
		r.Sound(s)
	}
}

// piece is a piece of sound found in a file.
type piece struct {
	number int
	time   time.Time
}

// listen takes the sound out of a file, and fails when it is not the track that the
// row tells of.
func listen(t *testing.T, root string, s store.Segment) (all []piece) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(root, s.Path))
	require.NoError(t, err)
	soundtrack.FromFile(data)
	var init fmp4.Init
	require.NoError(t, init.Unmarshal(bytes.NewReader(data)))
	if s.Audio == "" {
		require.Len(t, init.Tracks, 1)
		return nil
	}
	require.Len(t, init.Tracks, 2)
	require.Equal(t, s.Audio, string(soundtrack.Name(init.Tracks[1].Codec)))
	var parts fmp4.Parts
	require.NoError(t, parts.Unmarshal(data))
	rate := time.Duration(init.Tracks[1].TimeScale)
	first := time.Duration(-1) // of the video, whose time is that of the row
	for _, p := range parts {
		for _, track := range p.Tracks {
			at := time.Duration(track.BaseTime)
			for _, sample := range track.Samples {
				switch {
				case track.ID == 1 && first < 0:
					first = (at + time.Duration(sample.PTSOffset)) * time.Second / 90000
				case track.ID == 2:
					all = append(all, piece{int(binary.BigEndian.Uint32(sample.Payload)), s.Start.Add(at*time.Second/rate - first)})
				}
				at += time.Duration(sample.Duration)
			}
		}
	}
	return all
}

// TestSoundOverSegments: every piece of sound is in one file, in the one whose time
// it lies in where it comes in time, and at its own time there.
func TestSoundOverSegments(t *testing.T) {
	for name, tc := range map[string]struct {
		format  pipeline.SoundFormat
		samples int
		bframes int
		lag     time.Duration
	}{
		"AAC with the video":        {aac, 1024, 0, 0},
		"Opus before the video":     {opus, 960, 0, -300 * time.Millisecond},
		"G.711 after the video":     {pcmu, 160, 0, 400 * time.Millisecond},
		"AAC after B-frames":        {aac, 1024, 2, 200 * time.Millisecond},
		"AAC far after the video":   {aac, 1024, 0, 900 * time.Millisecond},
		"long pieces after a while": {pcmu, 8000, 0, 700 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			root, x, h := t.TempDir(), &index{}, &hooks{}
			c := camera(t, simulate.Spec{BFrames: tc.bframes, FPS: 25, Frames: 250, GOP: 25})
			r, stop := recorder(t, record.Config{Root: root, SegmentLength: 2 * time.Second}, x, h)
			r.SoundFormat(tc.format)
			r.Format(c.format)
			n := 10 * tc.format.Rate / tc.samples
			mix(r, c, pieces(tc.format, tc.samples, n), tc.lag)
			stop()
			require.Len(t, x.segments(), 5)
			next := max(0, int(-tc.lag/(20*time.Millisecond))) // what came before the first picture has no file
			length := time.Duration(tc.samples) * time.Second / time.Duration(tc.format.Rate)
			for _, s := range x.segments() {
				require.Equal(t, string(tc.format.Codec), s.Audio)
				if tc.lag > 0 {
					require.InDelta(t, 2, s.AudioTime.Seconds(), 1.01*length.Seconds())
				}
				require.Equal(t, 50, s.Frames)
				require.Len(t, play(t, root, s), 50)
				for _, p := range listen(t, root, s) {
					require.Equal(t, next, p.number)
					require.WithinDuration(t, start.Add(time.Duration(next)*length), p.time, 2*time.Millisecond)
					if tc.lag >= 0 {
						require.True(t, p.time.Before(s.End.Add(time.Millisecond)) && p.time.After(s.Start.Add(-time.Millisecond)))
					}
					next++
				}
			}
			require.Equal(t, n, next)
			require.Zero(t, h.dropped)
			require.Empty(t, temps(t, root))
		})
	}
}

func TestSoundThatChanges(t *testing.T) {
	c := camera(t, simulate.Spec{FPS: 25, Frames: 250, GOP: 25})
	root, x := t.TempDir(), &index{}
	r, stop := recorder(t, record.Config{Root: root, SegmentLength: time.Hour}, x, &hooks{})
	r.Format(c.format)
	say := func(f pipeline.SoundFormat) func() { return func() { r.SoundFormat(f) } }
	changes := map[int]func(){ // before these units
		0: say(aac), 50: say(opus), 100: say(pipeline.SoundFormat{Missing: "it is broken"}), 150: say(pcmu),
		160: func() { r.SoundFormat(pcmu) }, // says nothing new
		200: say(pipeline.SoundFormat{Codec: pipeline.AAC, Rate: 16000}),
	}
	for i, u := range c.units {
		if change := changes[i]; change != nil {
			change()
		}
		r.Unit(u)
		if i < 130 { // announced at 150, it never comes
			r.Sound(pipeline.Sound{PTS: u.PTS, Samples: 640, Data: []byte{0, 0, 0, byte(i)}})
		}
	}
	stop()
	var kinds []string
	var frames, heard []int
	for _, s := range x.segments() {
		kinds, frames = append(kinds, s.Audio), append(frames, s.Frames)
		heard = append(heard, len(listen(t, root, s)))
		require.Len(t, play(t, root, s), s.Frames)
	}
	require.Equal(t, []string{"aac", "opus", "", "", ""}, kinds)
	require.Equal(t, []int{50, 50, 50, 50, 50}, frames)
	require.Equal(t, []int{50, 50, 0, 0, 0}, heard)
}

// TestSoundNeverHoldsUpVideo: sound that ends, comes too late, without a picture or
// with times that make no sense leaves the video as it is.
func TestSoundNeverHoldsUpVideo(t *testing.T) {
	c := camera(t, simulate.Spec{FPS: 25, Frames: 150, GOP: 25})
	for name, feed := range map[string]func(r *record.Recorder, i int, at time.Duration) int{
		"ends": func(r *record.Recorder, i int, at time.Duration) int {
			if i > 80 {
				return 0
			}
			r.Sound(pipeline.Sound{PTS: at, Samples: 640, Data: []byte{0, 0, 0, 0}})
			return 1
		},
		"begins late": func(r *record.Recorder, i int, at time.Duration) int {
			if i < 80 {
				return 0
			}
			r.Sound(pipeline.Sound{PTS: at, Samples: 640, Data: []byte{0, 0, 0, 0}})
			return 1
		},
		"two seconds late": func(r *record.Recorder, i int, at time.Duration) int {
			r.Sound(pipeline.Sound{PTS: at - 2*time.Second, Samples: 640, Data: []byte{0, 0, 0, 0}})
			return 0
		},
		"stands still": func(r *record.Recorder, i int, _ time.Duration) int {
			r.Sound(pipeline.Sound{PTS: 0, Samples: 640, Data: []byte{0, 0, 0, 0}})
			return 0
		},
		"an hour early": func(r *record.Recorder, i int, at time.Duration) int {
			r.Sound(pipeline.Sound{PTS: at + time.Hour, Samples: 640, Data: []byte{0, 0, 0, 0}})
			return 1
		},
	} {
		t.Run(name, func(t *testing.T) {
			root, x, h := t.TempDir(), &index{}, &hooks{}
			r, stop := recorder(t, record.Config{Root: root, SegmentLength: 2 * time.Second}, x, h)
			r.SoundFormat(aac)
			r.Sound(pipeline.Sound{PTS: -time.Second, Samples: 640, Data: []byte{0, 0, 0, 9}}) // before there is video
			r.Format(c.format)
			want, got, first := 0, 0, 0
			for i, u := range c.units {
				r.Unit(u)
				want += feed(r, i, u.PTS)
			}
			stop()
			require.Len(t, x.segments(), 3)
			for _, s := range x.segments() {
				got += len(listen(t, root, s))
				requireShown(t, play(t, root, s), first, 50)
				first += 50
			}
			if want > 0 {
				require.Equal(t, want, got)
			}
			require.Zero(t, h.dropped)
		})
	}
}

// TestSoundSurvivesAKill: what is whole of a torn file is taken up with its sound,
// and without a track of sound where none came.
func TestSoundSurvivesAKill(t *testing.T) {
	c := camera(t, simulate.Spec{FPS: 25, Frames: 100, GOP: 25})
	for name, n := range map[string]int{"with sound": 60, "before sound came": 0} {
		t.Run(name, func(t *testing.T) {
			root, x := t.TempDir(), &index{}
			r, stop := recorder(t, record.Config{Root: root}, x, &hooks{})
			r.SoundFormat(aac)
			r.Format(c.format)
			mix(r, c, pieces(aac, 1024, n), 0)
			var data []byte
			var temp string
			require.Eventually(t, func() bool {
				if found := temps(t, root); len(found) == 1 {
					temp = found[0]
					data, _ = os.ReadFile(temp)
				}
				return len(data) > c.bytes(0, 60)
			}, 10*time.Second, 5*time.Millisecond)
			stop()
			dir := filepath.Join(t.TempDir(), "door")
			require.NoError(t, os.MkdirAll(dir, 0o750))
			require.NoError(t, os.WriteFile(filepath.Join(dir, filepath.Base(temp)), data[:len(data)-100], 0o600))
			again := &index{}
			_, stop = recorder(t, record.Config{Root: filepath.Dir(dir)}, again, &hooks{})
			require.Eventually(t, func() bool { return len(again.segments()) == 1 }, 10*time.Second, 5*time.Millisecond)
			stop()
			s := again.segments()[0]
			require.Len(t, play(t, filepath.Dir(dir), s), s.Frames)
			heard := listen(t, filepath.Dir(dir), s)
			if n == 0 {
				require.Empty(t, s.Audio)
				return
			}
			require.GreaterOrEqual(t, len(heard), 14, "a second of it")
			require.InDelta(t, s.End.Sub(s.Start).Seconds(), s.AudioTime.Seconds(), 0.1)
			for i, p := range heard {
				require.Equal(t, i, p.number)
			}
		})
	}
}
