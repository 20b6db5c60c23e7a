package simulate

import (
	"math/rand/v2"
	"time"

	"github.com/bluenviron/gortsplib/v5/pkg/description"
	"github.com/bluenviron/gortsplib/v5/pkg/format"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/mpeg4audio"
	"github.com/pion/rtp"

	"detectd/pipeline"
)

// voice sends the sound of a file as it is.
type voice struct {
	media    *description.Media
	pack     func([]byte) ([]*rtp.Packet, error)
	rate     int
	rtpStart uint32 // RTP time stamp of PTS 0
	reported time.Time
}

// newVoice returns nil for a format that is no sound.
func newVoice(f pipeline.SoundFormat) *voice {
	const dynamic = 97
	forma, pack, err := packSound(f, dynamic)
	if err != nil || pack == nil {
		return nil
	}
	return &voice{
		media: &description.Media{Type: description.MediaTypeAudio, Formats: []format.Format{forma}},
		pack:  pack, rate: f.Rate, rtpStart: rand.Uint32(),
	}
}

func packSound(f pipeline.SoundFormat, payloadType uint8) (format.Format, func([]byte) ([]*rtp.Packet, error), error) {
	switch f.Codec {
	case pipeline.AAC:
		c := &mpeg4audio.AudioSpecificConfig{}
		if err := c.Unmarshal(f.Config); err != nil {
			return nil, nil, err
		}
		// High bit-rate mode of RFC 3640, 3.3.6.
		forma := &format.MPEG4Audio{PayloadTyp: payloadType, Config: c, SizeLength: 13, IndexLength: 3, IndexDeltaLength: 3}
		e, err := forma.CreateEncoder()
		if err != nil {
			return nil, nil, err
		}
		return forma, func(b []byte) ([]*rtp.Packet, error) { return e.Encode([][]byte{b}) }, nil
	case pipeline.Opus:
		forma := &format.Opus{PayloadTyp: payloadType, ChannelCount: f.Channels}
		e, err := forma.CreateEncoder()
		if err != nil {
			return nil, nil, err
		}
		return forma, func(b []byte) ([]*rtp.Packet, error) {
			pkt, err := e.Encode(b)
			return []*rtp.Packet{pkt}, err
		}, nil
	case pipeline.PCMU, pipeline.PCMA:
		forma := &format.G711{PayloadTyp: payloadType, MULaw: f.Codec == pipeline.PCMU, SampleRate: f.Rate, ChannelCount: f.Channels}
		e, err := forma.CreateEncoder()
		if err != nil {
			return nil, nil, err
		}
		return forma, e.Encode, nil
	}
	return nil, nil, nil
}

var _ pipeline.SoundSink = (*camera)(nil)

// SoundFormat implements pipeline.SoundSink.
func (c *camera) SoundFormat(pipeline.SoundFormat) {}

// Sound implements pipeline.SoundSink: it sends the piece to every client.
func (c *camera) Sound(s pipeline.Sound) {
	if c.sound == nil || c.paused.Load() {
		return
	}
	pkts, err := c.sound.pack(s.Data)
	if err != nil {
		return // a piece that RTP cannot carry is a piece lost
	}
	claimed := c.began.Add(s.PTS).Add(time.Duration(c.shift.Load()))
	timestamp := c.sound.rtpStart + uint32(uint64(s.PTS.Seconds()*float64(c.sound.rate)+0.5)) //nolint:gosec // it wraps
	for _, pkt := range pkts {
		pkt.Timestamp += timestamp // later packets of a piece count from it
		_ = c.stream.WritePacketRTPWithNTP(c.sound.media, pkt, claimed)
		c.report(c.sound.media, pkt, claimed, &c.sound.reported)
	}
}
