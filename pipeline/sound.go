package pipeline

import (
	"bytes"
	"time"
)

// The codecs of sound that are taken, from cameras and from files.
const (
	AAC  Codec = "aac"
	Opus Codec = "opus"
	PCMU Codec = "pcmu" // G.711, µ-law
	PCMA Codec = "pcma" // G.711, A-law
)

// SoundFormat describes the sound that comes with a video.
type SoundFormat struct {
	Codec    Codec // empty: no sound comes
	Rate     int   // samples a second, in which lengths of sound are counted
	Channels int
	Config   []byte // of AAC: the AudioSpecificConfig (ISO/IEC 14496-3, 1.6.2.1)
	// Missing says in words why no sound comes from a source that has some.
	Missing string
}

// Equal tells whether two formats are the same for a receiver.
func (f SoundFormat) Equal(g SoundFormat) bool {
	return f.Codec == g.Codec && f.Rate == g.Rate && f.Channels == g.Channels && bytes.Equal(f.Config, g.Config)
}

// Sound is a coded piece of sound: what a camera calls a frame or sends as one.
type Sound struct {
	// PTS is when it begins on the timeline of the video it comes with, where the
	// picture with the same PTS was captured at the same moment. It never runs
	// backwards; a step that is longer than the piece before is a hole.
	PTS     time.Duration
	Time    time.Time // the same on the wall clock, as Unit.Time
	Samples int       // how long it is, at the format's rate
	Data    []byte    // must not be changed by receivers, who may keep it
}

// SoundSink is a Sink that takes the sound as well. Its methods are called as those
// of Sink are: by the same goroutine, and they must not block.
type SoundSink interface {
	Sink
	// SoundFormat announces what comes, or that nothing comes, before the first unit
	// of each run of the source, and again when it changes.
	SoundFormat(SoundFormat)
	// Sound delivers a piece of sound. None comes before the first unit.
	Sound(Sound)
}
