package record

import (
	"math"
	"time"

	"github.com/bluenviron/mediacommon/v2/pkg/formats/fmp4"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/mp4/codecs"

	"detectd/pipeline"
	"detectd/pipeline/soundtrack"
	"detectd/store"
)

// The tracks of a file.
const (
	videoTrack = 1
	soundTrack = 2
)

// quiver is how far the time of a piece of sound may be from the end of the one
// before without being a hole: cameras' time stamps of sound are not that exact.
const quiver = 10 * time.Millisecond

// sound is that of a file while it is written. Its times count from the file's
// first unit, as those of the video, in samples.
type sound struct {
	format  pipeline.SoundFormat
	codec   codecs.Codec
	sample  sample // the newest; it lasts until the next one
	open    bool   // there is one
	dts     int64  // of sample
	until   int64  // where it ends by its own length
	length  int64  // its own
	part    []sample
	partDTS int64
	heard   int64 // samples in part and before
}

// newSound returns nil for a format that cannot be recorded: none, for one.
func newSound(f pipeline.SoundFormat) *sound {
	c, err := soundtrack.Codec(f)
	if err != nil || f.Rate <= 0 {
		return nil
	}
	return &sound{format: f, codec: c}
}

func (s *sound) describe() *fmp4.InitTrack {
	return &fmp4.InitTrack{ID: soundTrack, TimeScale: uint32(s.format.Rate), Codec: s.codec} //nolint:gosec // above zero
}

// add appends a piece that begins at a time of the file. What it lasts longer than
// its own length up to the next is a hole, which players fill with silence.
func (s *sound) add(p pipeline.Sound, at time.Duration) {
	dts := max(0, s.ticks(at))
	if s.open {
		if (dts-s.until) <= s.ticks(quiver) && (s.until-dts) <= s.ticks(quiver) {
			dts = s.until
		}
		dts = max(dts, s.dts+1)
		s.close(dts - s.dts)
	}
	s.sample = sample{nals: [][]byte{p.Data}, size: len(p.Data), key: true}
	s.open, s.dts, s.length = true, dts, int64(p.Samples)
	s.until = dts + s.length
}

// close ends the newest piece, which lasts for d.
func (s *sound) close(d int64) {
	if len(s.part) == 0 {
		s.partDTS = s.dts
	}
	s.sample.duration = uint32(min(max(d, 1), math.MaxInt32)) //nolint:gosec // above zero and below 2^31
	s.heard += min(s.length, d)
	s.part = append(s.part, s.sample)
	s.sample, s.open = sample{}, false
}

// end closes the newest piece when no other follows.
func (s *sound) end() {
	if s.open {
		s.close(s.length)
	}
}

// flushed notes what is in the file now.
func (s *sound) flushed(row *store.Segment) {
	clear(s.part)
	s.part = s.part[:0]
	if s.heard > 0 {
		row.Audio = string(s.format.Codec)
		row.AudioTime = time.Duration(float64(s.heard) / float64(s.format.Rate) * float64(time.Second))
	}
}

func (s *sound) ticks(d time.Duration) int64 {
	return int64(math.Round(d.Seconds() * float64(s.format.Rate)))
}

// addSound appends a piece of sound. It does not fail: it goes to the file with the
// next units. False when the file takes none of its kind.
func (s *segment) addSound(p pipeline.Sound, f pipeline.SoundFormat) bool {
	if s.sound == nil || !s.sound.format.Equal(f) {
		return false
	}
	s.sound.add(p, p.PTS-s.first.DTS)
	return true
}

// soundPatience is how long a file that has all its units waits for the rest of its
// sound: cameras send it up to half a second after the video.
const soundPatience = time.Second

// SoundFormat implements pipeline.SoundSink.
func (r *Recorder) SoundFormat(f pipeline.SoundFormat) { r.queue.soundFormat(f) }

// Sound implements pipeline.SoundSink.
func (r *Recorder) Sound(s pipeline.Sound) { r.queue.sound(s) }

var _ pipeline.SoundSink = (*Recorder)(nil)

func (r *Recorder) handleSound(it item) {
	if it.sound != nil {
		r.heard(*it.sound)
		return
	}
	if r.sound = *it.soundFormat; newSound(r.sound) == nil {
		r.sound = pipeline.SoundFormat{}
	}
}

// soundChanged says that the open file cannot take the sound that comes now.
func (r *Recorder) soundChanged() bool {
	has := pipeline.SoundFormat{}
	if r.segment.sound != nil {
		has = r.segment.sound.format
	}
	return !has.Equal(r.sound)
}

// part begins to complete the open file before u, as finishBefore does, but leaves
// it open for the sound that was captured before u and comes after it.
func (r *Recorder) part(u pipeline.Unit, step time.Duration) {
	if s := r.segment; s.sound == nil || !s.sound.open && s.sound.heard == 0 || r.soundChanged() {
		r.finishBefore(u, step)
		return
	}
	r.finishParted()
	s := r.segment
	s.until = u.Time.Truncate(time.Microsecond)
	if err := s.seal(step); err != nil {
		r.diskFailed(err)
		return
	}
	r.segment, r.cut = nil, false
	r.parted, r.partedAt = s, u.PTS
}

// heard takes a piece of sound to the file whose time it lies in. What comes before
// there is one, or later than a file waits for, has no place.
func (r *Recorder) heard(p pipeline.Sound) {
	if r.parted != nil {
		if p.PTS < r.partedAt {
			r.parted.addSound(p, r.sound)
			return
		}
		r.finishParted()
	}
	if r.segment != nil && p.PTS >= r.segment.first.PTS {
		r.segment.addSound(p, r.sound)
	}
}

// finishParted completes the file that waits for its sound.
func (r *Recorder) finishParted() {
	s := r.parted
	if s == nil {
		return
	}
	r.parted = nil
	if g := r.growing.Load(); g != nil && g.CameraID == s.row.CameraID && g.Start.Equal(s.row.Start) {
		r.growing.Store(nil)
	}
	r.complete(s, 0)
}
