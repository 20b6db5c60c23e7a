package rtsp

import (
	"errors"
	"time"

	"github.com/bluenviron/gortsplib/v5/pkg/description"
	"github.com/bluenviron/gortsplib/v5/pkg/format"
	"github.com/bluenviron/gortsplib/v5/pkg/format/rtpfragmented"
	"github.com/bluenviron/gortsplib/v5/pkg/format/rtpmpeg4audio"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/mpeg4audio"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/opus"
	"github.com/pion/rtp"

	"detectd/pipeline"
)

// soundCodec is what differs between the codings of sound.
type soundCodec struct {
	format pipeline.SoundFormat
	clock  int // of RTP time stamps, in Hz
	// unpack returns the pieces that a packet completes, and may find out that the
	// format is another.
	unpack func(*rtp.Packet) ([][]byte, error)
	// samples is the length of a piece, at the format's rate.
	samples func([]byte) int
}

// maxChannels is what the descriptions of sound in recordings allow.
const maxChannels = 8

// newSoundCodec returns nil for a format that is not taken.
func newSoundCodec(forma format.Format) *soundCodec {
	switch f := forma.(type) {
	case *format.MPEG4Audio:
		d, err := f.CreateDecoder()
		aac, ok := aacFormat(f.Config)
		if err != nil || !ok {
			return nil
		}
		c := &soundCodec{format: aac, clock: f.Config.SampleRate, unpack: d.Decode}
		c.samples = samplesOf(*f.Config)
		if f.Config.ExtensionSampleRate > 0 { // as the description has it
			c.clock = f.Config.ExtensionSampleRate
		}
		return c
	case *format.MPEG4AudioLATM:
		return newLATM(f)
	case *format.Opus:
		d, err := f.CreateDecoder()
		if err != nil || f.ChannelCount > 2 { // more need a mapping of their own
			return nil
		}
		return &soundCodec{
			format:  pipeline.SoundFormat{Codec: pipeline.Opus, Rate: f.ClockRate(), Channels: f.ChannelCount},
			clock:   f.ClockRate(),
			unpack:  one(d.Decode),
			samples: func(b []byte) int { return int(opus.PacketDuration2(b)) },
		}
	case *format.G711:
		d, err := f.CreateDecoder()
		if err != nil || f.SampleRate > 192_000 || f.ChannelCount > maxChannels {
			return nil
		}
		c := &soundCodec{
			format:  pipeline.SoundFormat{Codec: pipeline.PCMA, Rate: f.SampleRate, Channels: f.ChannelCount},
			clock:   f.SampleRate,
			unpack:  one(d.Decode),
			samples: func(b []byte) int { return len(b) / f.ChannelCount },
		}
		if f.MULaw {
			c.format.Codec = pipeline.PCMU
		}
		return c
	}
	return nil
}

func one(unpack func(*rtp.Packet) ([]byte, error)) func(*rtp.Packet) ([][]byte, error) {
	return func(pkt *rtp.Packet) ([][]byte, error) {
		b, err := unpack(pkt)
		return [][]byte{b}, err
	}
}

func aacFormat(c *mpeg4audio.AudioSpecificConfig) (pipeline.SoundFormat, bool) {
	if c == nil || c.SampleRate <= 0 || c.ChannelConfig < 1 || c.ChannelConfig > 7 {
		return pipeline.SoundFormat{}, false // channels described in the stream itself: no camera's
	}
	config, err := c.Marshal()
	channels := int(c.ChannelConfig)
	if channels == 7 {
		channels = maxChannels
	}
	return pipeline.SoundFormat{Codec: pipeline.AAC, Rate: c.SampleRate, Channels: channels, Config: config}, err == nil
}

func samplesOf(c mpeg4audio.AudioSpecificConfig) func([]byte) int {
	n := mpeg4audio.SamplesPerAccessUnit
	if c.FrameLengthFlag {
		n = 960
	}
	return func([]byte) int { return n }
}

// newLATM takes AAC in LATM (RFC 6416), described in the SDP or in the stream.
func newLATM(f *format.MPEG4AudioLATM) *soundCodec {
	d, err := f.CreateDecoder()
	if err != nil {
		return nil
	}
	c := &soundCodec{clock: f.ClockRate()}
	config := f.StreamMuxConfig
	learn := func() bool {
		if config == nil || len(config.Programs) == 0 || len(config.Programs[0].Layers) == 0 {
			return false
		}
		layer := config.Programs[0].Layers[0].AudioSpecificConfig
		aac, ok := aacFormat(layer)
		if ok {
			c.format, c.samples = aac, samplesOf(*layer)
		}
		return ok
	}
	if config != nil && !learn() {
		return nil
	}
	c.unpack = func(pkt *rtp.Packet) ([][]byte, error) {
		b, err := d.Decode(pkt)
		if err != nil {
			return nil, err
		}
		e := mpeg4audio.AudioMuxElement{MuxConfigPresent: f.CPresent, StreamMuxConfig: config}
		if err := e.Unmarshal(b); err != nil {
			return nil, err
		}
		if config = e.StreamMuxConfig; !learn() {
			return nil, errors.New("no AAC that is known")
		}
		var pieces [][]byte
		for _, sub := range e.Payloads {
			if len(sub) > 0 && len(sub[0]) > 0 && len(sub[0][0]) > 0 {
				pieces = append(pieces, sub[0][0])
			}
		}
		return pieces, nil
	}
	return c
}

// chooseSound picks the first stream of sound that we can take. Missing says why
// there is none, when the camera has one.
func chooseSound(desc *description.Session) (media *description.Media, forma format.Format, c *soundCodec, missing string) {
	for _, m := range desc.Medias {
		if m.Type != description.MediaTypeAudio || m.IsBackChannel {
			continue
		}
		for _, f := range m.Formats {
			if c := newSoundCodec(f); c != nil {
				return m, f, c, ""
			}
			if missing == "" {
				missing = "the camera sends its sound as " + codecName(f) + ", which is not kept; set it to AAC, Opus or G.711"
			}
		}
	}
	return nil, nil, nil, missing
}

// listener makes pieces of sound of RTP packets, on the timeline of the video.
type listener struct {
	codec   *soundCodec
	sink    pipeline.SoundSink
	ss      *session
	video   *assembler
	reports reports
	line    soundLine
	format  pipeline.SoundFormat // as announced
}

func newListener(c *soundCodec, sink pipeline.SoundSink, ss *session, video *assembler) *listener {
	return &listener{
		codec: c, sink: sink, ss: ss, video: video,
		reports: reports{now: ss.now, clock: c.clock}, line: soundLine{clock: int64(c.clock)},
	}
}

// announce tells the format when it has changed.
func (l *listener) announce() {
	if !l.format.Equal(l.codec.format) {
		l.format = l.codec.format
		l.sink.SoundFormat(l.format)
	}
}

// packet takes the next RTP packet of sound, in the order of sequence numbers.
// Nothing that is wrong with it concerns the video.
func (l *listener) packet(pkt *rtp.Packet) {
	now := l.ss.now()
	pieces, err := l.codec.unpack(pkt)
	if err != nil {
		if !errors.Is(err, rtpmpeg4audio.ErrMorePacketsNeeded) && !errors.Is(err, rtpfragmented.ErrMorePacketsNeeded) {
			l.ss.log.Debug("camera sent a broken packet of sound", "error", err)
		}
		return
	}
	all := 0
	lengths := make([]int, len(pieces))
	for i, p := range pieces {
		lengths[i] = l.codec.samples(p)
		all += lengths[i]
	}
	if all <= 0 || !l.video.started {
		return // there is no timeline to put it on
	}
	at := l.line.place(pkt.Timestamp, l.length(all), len(pieces), now, l.picture(pkt, now))
	l.announce()
	for i, p := range pieces {
		if at >= 0 && lengths[i] > 0 {
			l.sink.Sound(pipeline.Sound{PTS: at, Samples: lengths[i], Data: p})
		}
		at += l.length(lengths[i])
	}
}

func (l *listener) length(samples int) time.Duration {
	return time.Duration(samples) * time.Second / time.Duration(l.codec.format.Rate)
}

// picture is what is known of the video's time when a packet of sound arrives.
func (l *listener) picture(pkt *rtp.Packet, arrived time.Time) reference {
	ref := reference{zero: l.video.clock.zeroTime()}
	if claim, ok := l.reports.claim(pkt.SSRC, pkt.Timestamp, arrived); ok && !l.video.claimed.IsZero() {
		ref.ahead, ref.claimed = claim.Sub(l.video.claimed), true
	}
	return ref
}
