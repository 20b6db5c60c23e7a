package rtsp

import (
	"errors"
	"time"

	"github.com/bluenviron/gortsplib/v5/pkg/format"
	"github.com/bluenviron/gortsplib/v5/pkg/format/rtph264"
	"github.com/bluenviron/gortsplib/v5/pkg/format/rtph265"
	"github.com/bluenviron/gortsplib/v5/pkg/format/rtpmjpeg"
	"github.com/pion/rtp"

	"detectd/pipeline"
	"detectd/pipeline/frame"
)

// clockRate is the RTP clock of all three codecs, in Hz.
const clockRate = 90000

// maxUnitBytes bounds a coded picture; more is nonsense or an attack.
const maxUnitBytes = 16 << 20

// assembler makes access units of RTP packets, in the goroutine that reads them.
// A unit ends at the marker bit or, for cameras that set none, where the time
// stamp changes.
type assembler struct {
	codec       codec
	sink        pipeline.Sink
	ss          *session
	reports     reports
	depacketize func(*rtp.Packet) ([][]byte, error)

	seen     bool
	sequence uint16 // of the packet before
	gap      bool   // packets between the unit before and the one under way are missing

	// The unit under way.
	open      bool
	timestamp uint32
	ssrc      uint32
	arrived   time.Time // of its first packet
	nals      [][]byte
	size      int
	hurt      bool // packets of it are missing

	started bool // a key unit was delivered
	broken  bool // units since the last whole key unit depend on lost packets
	changed bool // the format is to be announced before the next unit
	line    timeline
	clock   captureClock
	claimed time.Time // of PTS 0, by the camera's clock, wrong as it may be; zero: it claims nothing
}

func newAssembler(forma format.Format, sink pipeline.Sink, ss *session) (*assembler, error) {
	c, err := newCodec(forma)
	if err != nil {
		return nil, failed("the camera describes its video in a way that cannot be read", err)
	}
	a := &assembler{codec: c, sink: sink, ss: ss, changed: true, reports: reports{now: ss.now}}
	if a.depacketize, err = c.depacketizer(); err != nil {
		return nil, failed("the camera packs its video in a way that detectd does not know", err)
	}
	return a, nil
}

// packet takes the next RTP packet, in the order of sequence numbers.
func (a *assembler) packet(pkt *rtp.Packet) {
	now := a.ss.now()
	a.ss.reach(stagePackets)
	missing := a.seen && pkt.SequenceNumber != a.sequence+1
	if missing {
		a.lost(skipped(a.sequence, pkt.SequenceNumber), 0)
	}
	a.seen, a.sequence = true, pkt.SequenceNumber
	a.hurt = a.hurt || missing && a.open
	if a.open && pkt.Timestamp != a.timestamp {
		a.flush(now)
	}
	if !a.open {
		a.open, a.timestamp, a.ssrc, a.arrived = true, pkt.Timestamp, pkt.SSRC, now
		a.gap = a.gap || missing
	}
	nals, err := a.depacketize(pkt)
	switch {
	case err == nil:
		a.add(nals)
	case errors.Is(err, rtph264.ErrMorePacketsNeeded), errors.Is(err, rtph265.ErrMorePacketsNeeded),
		errors.Is(err, rtpmjpeg.ErrMorePacketsNeeded):
	default:
		a.hurt = true
		a.lost(1, 0)
		a.ss.log.Debug("camera sent a broken packet", "error", err)
	}
	if pkt.Marker {
		a.flush(now)
	}
}

func (a *assembler) add(nals [][]byte) {
	for _, nal := range nals {
		if a.size += len(nal); a.size > maxUnitBytes {
			a.hurt = true
			a.lost(1, 0)
			return
		}
		if len(nal) > 0 {
			a.nals = append(a.nals, nal)
		}
	}
}

// flush ends the unit under way and delivers it when there is a picture in it.
func (a *assembler) flush(now time.Time) {
	nals, hurt, gap := a.nals, a.hurt, a.gap
	a.open, a.nals, a.size, a.hurt, a.gap = false, nil, 0, false, false
	a.changed = a.codec.learn(nals) || a.changed
	nals, key, whole := a.codec.inspect(nals)
	if len(nals) == 0 {
		a.gap = gap || hurt
		return
	}
	key = key && a.codec.ready()
	a.ss.alive(a.started || key)
	switch intact := whole && !hurt; {
	case key && intact:
		a.broken = false // nothing before matters any more
	case gap || !intact:
		a.broken = true
	}
	if !a.codec.ready() {
		a.ss.reach(stageNoSets)
	}
	a.ss.reach(stageNoKey)
	if key || a.started {
		a.deliver(nals, key, now)
	} else {
		a.lost(0, 1)
	}
}

// lost tells what does not become a unit.
func (a *assembler) lost(packets, pictures int) {
	if l, ok := a.sink.(pipeline.Losses); ok {
		l.Lost(packets, pictures)
	}
}

// skipped is how many packets are missing between two. More than half of all numbers
// is a camera that counts anew, of which nothing is known.
func skipped(before, now uint16) int {
	if n := now - before - 1; n < 1<<15 {
		return int(n)
	}
	return 1
}

func (a *assembler) deliver(nals [][]byte, key bool, now time.Time) {
	pts, dts, ok := a.line.next(a.timestamp, a.arrived, func(pts int64) (int64, error) { return a.codec.dts(nals, pts) })
	if !ok {
		a.lost(0, 1) // shown before the first key unit: it refers to units that we never had
		return
	}
	a.started = true
	a.ss.reach(stageVideo)
	if a.changed {
		a.changed = false
		a.sink.Format(a.codec.format())
	}
	u := pipeline.Unit{PTS: pts, DTS: dts, Arrived: now, Key: key, Damaged: a.broken, NALs: nals}
	a.stamp(&u, a.timestamp, a.arrived)
	a.sink.Unit(u)
}

// stamp fills in the capture time.
func (a *assembler) stamp(u *pipeline.Unit, timestamp uint32, arrived time.Time) {
	ntp, ok := a.reports.claim(a.ssrc, timestamp, arrived)
	u.Time, u.TimeError, u.Clock = a.clock.stamp(u.PTS, arrived, ntp, ok)
	if a.claimed = (time.Time{}); ok {
		a.claimed = ntp.Add(-u.PTS)
	}
	if ok && u.Clock == frame.ClockArrival && !a.clock.warned {
		a.clock.warned = true
		a.ss.log.Warn("camera clock is wrong, using the time of arrival",
			"ahead", ntp.Sub(arrived).Round(time.Millisecond).String())
	}
}
