package file

import (
	"context"
	"slices"
	"time"

	"github.com/asticode/go-astiav"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/mpeg4audio"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/opus"

	"detectd/pipeline"
)

// soundTrack is the sound of a video file.
type soundTrack struct {
	stream  *astiav.Stream // nil: it has none that is taken
	format  pipeline.SoundFormat
	samples func([]byte) int
	heard   []pipeline.Sound // read and not taken; times as in the file
}

// open takes the file's first sound of a kind that is recorded.
func (t *soundTrack) open(fc *astiav.FormatContext) {
	for _, s := range fc.Streams() {
		cp := s.CodecParameters()
		if cp.MediaType() != astiav.MediaTypeAudio {
			continue
		}
		if t.format, t.samples = soundOf(cp); t.samples != nil {
			t.stream = s
			return
		}
		t.format.Missing = "the sound of the file is coded in a way that is not kept"
	}
}

func soundOf(cp *astiav.CodecParameters) (pipeline.SoundFormat, func([]byte) int) {
	f := pipeline.SoundFormat{Rate: cp.SampleRate(), Channels: cp.ChannelLayout().NbChannels()}
	if f.Rate <= 0 || f.Channels < 1 {
		return pipeline.SoundFormat{}, nil
	}
	law := func(b []byte) int { return len(b) / f.Channels }
	switch cp.CodecID() {
	case astiav.CodecIDAac:
		var c mpeg4audio.AudioSpecificConfig
		if c.Unmarshal(cp.ExtraData()) != nil || c.ChannelConfig < 1 { // transport streams have it in front of each frame
			return pipeline.SoundFormat{}, nil
		}
		f.Codec, f.Rate, f.Config = pipeline.AAC, c.SampleRate, slices.Clone(cp.ExtraData())
		n := mpeg4audio.SamplesPerAccessUnit
		if c.FrameLengthFlag {
			n = 960
		}
		return f, func([]byte) int { return n }
	case astiav.CodecIDOpus:
		f.Codec, f.Rate = pipeline.Opus, 48000
		if f.Channels > 2 {
			return pipeline.SoundFormat{}, nil
		}
		return f, func(b []byte) int { return int(opus.PacketDuration2(b)) }
	case astiav.CodecIDPcmMulaw:
		f.Codec = pipeline.PCMU
		return f, law
	case astiav.CodecIDPcmAlaw:
		f.Codec = pipeline.PCMA
		return f, law
	}
	return pipeline.SoundFormat{}, nil
}

// take keeps a packet of sound, and tells whether it is one.
func (t *soundTrack) take(pkt *astiav.Packet, shift time.Duration) bool {
	if t.stream == nil || pkt.StreamIndex() != t.stream.Index() {
		return false
	}
	if pkt.Pts() != noTimestamp && pkt.Size() > 0 {
		s := pipeline.Sound{PTS: scale(pkt.Pts(), t.stream.TimeBase()) + shift, Data: slices.Clone(pkt.Data())}
		if s.Samples = t.samples(s.Data); s.Samples > 0 {
			t.heard = append(t.heard, s)
		}
	}
	return true
}

// sound implements medium.
func (v *video) sound() pipeline.SoundFormat { return v.track.format }

// heard implements medium.
func (v *video) heard() []pipeline.Sound {
	if !v.started {
		return nil
	}
	heard := v.track.heard
	v.track.heard = nil
	for i := range heard {
		heard[i].PTS -= v.first
	}
	return heard
}

func (p *picture) sound() pipeline.SoundFormat { return pipeline.SoundFormat{} }
func (p *picture) heard() []pipeline.Sound     { return nil }

// hearing is the sound on its way to a sink that listens.
type hearing struct {
	sink   pipeline.SoundSink // nil: it does not
	format pipeline.SoundFormat
	told   bool
	queue  []pipeline.Sound // read before it is due
	last   time.Duration
}

// announce tells the format once, and again when it has changed.
func (h *hearing) announce(f pipeline.SoundFormat) {
	if h.sink == nil || h.told && f.Equal(h.format) {
		return
	}
	if !h.told {
		h.last = -1
	}
	h.told, h.format = true, f
	h.sink.SoundFormat(f)
}

// listen queues what was read. Files hold sound up to a second from its pictures.
func (p *player) listen(m medium) {
	heard := m.heard()
	if p.hearing.sink == nil || p.hearing.format.Codec == "" {
		return
	}
	for _, s := range heard {
		if s.PTS >= 0 {
			s.PTS += p.offset
			p.hearing.queue = append(p.hearing.queue, s)
		}
	}
}

// hear hands on the sound that begins before a time, each piece when it is due.
func (p *player) hear(ctx context.Context, before time.Duration) {
	h := &p.hearing
	for len(h.queue) > 0 && h.queue[0].PTS < before && ctx.Err() == nil {
		s := h.queue[0]
		h.queue = h.queue[1:]
		if s.PTS <= h.last || p.cfg.Realtime && !p.wait(ctx, s.PTS) {
			continue
		}
		h.last = s.PTS
		s.Time = p.cfg.StartTime.Add(s.PTS)
		h.sink.Sound(s)
	}
}
