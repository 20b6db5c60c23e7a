package simulate

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/bluenviron/gortsplib/v5"
	"github.com/bluenviron/gortsplib/v5/pkg/description"
	"github.com/bluenviron/gortsplib/v5/pkg/format"
	"github.com/bluenviron/gortsplib/v5/pkg/ntp"
	"github.com/pion/rtcp"
	"github.com/pion/rtp"

	"detectd/pipeline"
	"detectd/pipeline/source/file"
)

// camera plays one file.
type camera struct {
	path   string
	fps    float64
	source pipeline.Source
	format pipeline.Format

	sound    *voice // nil: the file has none that RTP carries
	media    *description.Media
	stream   *gortsplib.ServerStream
	packets  packetizer
	rtpStart uint32 // RTP time stamp of PTS 0
	began    time.Time
	reported time.Time // of the last sender report

	paused atomic.Bool
	lose   atomic.Int64 // RTP packets to leave out
	shift  atomic.Int64 // of its wall clock, in nanoseconds
}

func newCamera(path string, fps float64) (*camera, error) {
	info, err := file.Probe(path)
	if err != nil {
		return nil, fmt.Errorf("simulate %q: %w", path, err)
	}
	return &camera{path: path, fps: fps, format: info.Format, rtpStart: rand.Uint32()}, nil
}

// prepare chooses what to play: the file itself where RTP can carry it, else a
// clip coded from it and kept in memory.
func (c *camera) prepare(ctx context.Context) error {
	ok, err := sendable(ctx, c.path)
	if err != nil {
		return err
	}
	if ok {
		if info, err := file.Probe(c.path); err == nil && c.fps == 0 {
			c.sound = newVoice(info.Sound)
		}
		c.source, err = file.New(file.Config{Path: c.path, Realtime: true, Loop: true, FPS: c.fps})
		return err
	}
	clip, err := transcode(ctx, c.path, c.fps)
	if err != nil {
		return err
	}
	c.source, c.format = clip, clip.format
	return nil
}

// open makes the stream that clients are connected to.
func (c *camera) open(server *gortsplib.Server) error {
	forma, packets, err := newPacketizer(c.format)
	if err != nil {
		return fmt.Errorf("describe video of %q: %w", c.path, err)
	}
	c.packets = packets
	c.media = &description.Media{Type: description.MediaTypeVideo, Formats: []format.Format{forma}}
	medias := []*description.Media{c.media}
	if c.sound != nil {
		medias = append(medias, c.sound.media)
	}
	c.stream = &gortsplib.ServerStream{Server: server, Desc: &description.Session{Title: "detectd simulator", Medias: medias}}
	return c.stream.Initialize()
}

func (c *camera) play(ctx context.Context) error {
	c.began = time.Now()
	return c.source.Run(ctx, c)
}

// Format implements pipeline.Sink.
func (c *camera) Format(pipeline.Format) {}

// Unit implements pipeline.Sink: it sends the unit to every client. The wall-clock
// time of sender reports is that at which the unit is due.
func (c *camera) Unit(u pipeline.Unit) {
	pkts, err := c.packets(u.NALs)
	if err != nil {
		return // a unit that RTP cannot carry is a unit lost
	}
	due := c.began.Add(u.PTS)
	timestamp := c.rtpStart + uint32(uint64(u.PTS)*clockRate/uint64(time.Second))
	for _, pkt := range pkts {
		pkt.Timestamp = timestamp
		if c.paused.Load() || c.lose.Load() > 0 && c.lose.Add(-1) >= 0 {
			continue
		}
		// An error concerns single clients, whom gortsplib handles.
		claimed := due.Add(time.Duration(c.shift.Load()))
		_ = c.stream.WritePacketRTPWithNTP(c.media, pkt, claimed)
		c.report(c.media, pkt, claimed, &c.reported)
	}
}

// reportEvery is how often clients are told the wall-clock time of the video.
const reportEvery = time.Second

// report sends an RTCP sender report of a stream now and then: gortsplib's own come every ten
// seconds, and the first may overtake the video over UDP and be lost.
func (c *camera) report(of *description.Media, pkt *rtp.Packet, due time.Time, reported *time.Time) {
	if due.Sub(*reported).Abs() < reportEvery { // it may have been set back
		return
	}
	*reported = due
	_ = c.stream.WritePacketRTCP(of, &rtcp.SenderReport{
		SSRC: pkt.SSRC, NTPTime: ntp.Encode(due), RTPTime: pkt.Timestamp,
	})
}

// clockRate is the RTP clock of video, in Hz.
const clockRate = 90000

// packetizer makes the RTP packets of a unit.
type packetizer func(nals [][]byte) ([]*rtp.Packet, error)

func newPacketizer(f pipeline.Format) (format.Format, packetizer, error) {
	const payloadType = 96
	sets := f.ParameterSets
	switch f.Codec {
	case pipeline.H264:
		forma := &format.H264{PayloadTyp: payloadType, PacketizationMode: 1}
		if len(sets) >= 2 {
			forma.SPS, forma.PPS = sets[0], sets[1]
		}
		e, err := forma.CreateEncoder()
		if err != nil {
			return nil, nil, err
		}
		return forma, e.Encode, nil
	case pipeline.H265:
		forma := &format.H265{PayloadTyp: payloadType}
		if len(sets) >= 3 {
			forma.VPS, forma.SPS, forma.PPS = sets[0], sets[1], sets[2]
		}
		e, err := forma.CreateEncoder()
		if err != nil {
			return nil, nil, err
		}
		return forma, e.Encode, nil
	case pipeline.MJPEG:
		forma := &format.MJPEG{}
		e, err := forma.CreateEncoder()
		if err != nil {
			return nil, nil, err
		}
		return forma, func(nals [][]byte) ([]*rtp.Packet, error) { return e.Encode(nals[0]) }, nil
	}
	return nil, nil, errors.New("RTP of cameras does not carry " + string(f.Codec))
}
