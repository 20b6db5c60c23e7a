package rtsp

import (
	"errors"
	"testing"
	"time"

	"github.com/bluenviron/gortsplib/v5/pkg/format"
	"github.com/pion/rtp"
	"github.com/stretchr/testify/require"

	"detectd/pipeline"
	"detectd/pipeline/frame"
)

var epoch = time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)

func TestTimeline(t *testing.T) {
	frameTicks := uint32(3600) // 40 ms
	for name, tc := range map[string]struct {
		stamps []uint32
		gap    time.Duration // between arrivals
		want   []time.Duration
	}{
		"steady":   {[]uint32{100, 100 + frameTicks, 100 + 2*frameTicks}, 40 * time.Millisecond, []time.Duration{0, 40, 80}},
		"wraps":    {[]uint32{0xffffffff - 1799, 1800, 5400}, 40 * time.Millisecond, []time.Duration{0, 40, 80}},
		"restarts": {[]uint32{3000000000, 50, 50 + frameTicks}, 40 * time.Millisecond, []time.Duration{0, 40, 80}},
		"leaps":    {[]uint32{0, 90000 * 3600, 90000*3600 + frameTicks}, 40 * time.Millisecond, []time.Duration{0, 40, 80}},
		"slow":     {[]uint32{0, 90000 * 30, 90000 * 60}, 30 * time.Second, []time.Duration{0, 30000, 60000}},
	} {
		t.Run(name, func(t *testing.T) {
			var l timeline
			at := epoch
			for i, stamp := range tc.stamps {
				pts, dts, ok := l.next(stamp, at, func(pts int64) (int64, error) { return pts, nil })
				require.True(t, ok)
				require.Equal(t, tc.want[i]*time.Millisecond, pts)
				require.Equal(t, pts, dts)
				at = at.Add(tc.gap)
			}
		})
	}
}

func TestTimelineNeverRunsBackwards(t *testing.T) {
	var l timeline
	last := time.Duration(-1)
	for i, stamp := range []uint32{0, 3600, 3600, 1800, 7200} {
		pts, dts, ok := l.next(stamp, epoch.Add(time.Duration(i)*40*time.Millisecond),
			func(int64) (int64, error) { return 0, errors.New("no idea") })
		require.True(t, ok)
		require.Greater(t, dts, last)
		require.GreaterOrEqual(t, pts, dts)
		last = dts
	}
	l = timeline{}
	_, _, ok := l.next(3600, epoch, func(pts int64) (int64, error) { return pts, nil })
	require.True(t, ok)
	_, _, ok = l.next(0, epoch, func(pts int64) (int64, error) { return pts, nil })
	require.False(t, ok, "shown before the first unit")
}

func TestCaptureClock(t *testing.T) {
	const ms = time.Millisecond
	for name, tc := range map[string]struct {
		ahead time.Duration // of the camera's clock, seen at arrival
		clock frame.Clock
		err   time.Duration
	}{
		"no delay":     {0, frame.ClockRTCP, 250 * ms}, // or it is ahead by as much as video is late
		"usual delay":  {-125 * ms, frame.ClockRTCP, 125 * ms},
		"slow":         {-2 * time.Second, frame.ClockRTCP, 2 * time.Second},
		"a bit ahead":  {time.Second, frame.ClockRTCP, 1250 * ms},
		"far ahead":    {time.Hour, frame.ClockArrival, 250 * ms},
		"never set":    {-40 * 365 * 24 * time.Hour, frame.ClockArrival, 250 * ms},
		"a minute off": {-time.Minute, frame.ClockArrival, 250 * ms},
	} {
		t.Run(name, func(t *testing.T) {
			var c captureClock
			at, err, clock := c.stamp(0, epoch, epoch.Add(tc.ahead), true)
			require.Equal(t, tc.clock, clock)
			require.Equal(t, tc.err, err)
			want := epoch
			if clock == frame.ClockRTCP {
				want = epoch.Add(tc.ahead)
			}
			require.Equal(t, want, at)
		})
	}
}

func TestArrivalJitterIsTakenOut(t *testing.T) {
	var c captureClock
	jitter := []time.Duration{30, 0, 80, 10, 200, 5, 0, 40}
	var last time.Time
	for i, j := range jitter {
		pts := time.Duration(i) * 40 * time.Millisecond
		arrived := epoch.Add(pts + j*time.Millisecond)
		at, err, clock := c.stamp(pts, arrived, time.Time{}, false)
		require.Equal(t, frame.ClockArrival, clock)
		if i > 0 { // the packet without delay has been seen
			require.InDelta(t, 0, at.Sub(epoch.Add(pts)), float64(time.Millisecond))
			require.True(t, at.After(last))
		}
		require.False(t, at.After(arrived))
		require.GreaterOrEqual(t, err, arrived.Sub(at))
		last = at
	}
}

// collector is a sink for tests of the assembler.
type collector struct {
	formats []pipeline.Format
	units   []pipeline.Unit
	lost    [2]int // packets, pictures
}

func (c *collector) Format(f pipeline.Format) { c.formats = append(c.formats, f) }
func (c *collector) Unit(u pipeline.Unit)     { c.units = append(c.units, u) }

func (c *collector) Lost(packets, pictures int) {
	c.lost[0] += packets
	c.lost[1] += pictures
}

// feed sends packets to an assembler as a camera would, 40 ms apart by time stamp.
func feed(t *testing.T, forma format.Format, pkts []*rtp.Packet) *collector {
	t.Helper()
	src, err := New(Config{URL: "rtsp://camera/"})
	require.NoError(t, err)
	src.now = func() time.Time { return epoch }
	ss := &session{Source: src, timer: time.NewTimer(time.Hour)}
	defer ss.timer.Stop()
	c := &collector{}
	a, err := newAssembler(forma, c, ss)
	require.NoError(t, err)
	for _, p := range pkts {
		a.packet(p)
	}
	return c
}

func packet(sequence uint16, picture uint32, marker bool, payload ...byte) *rtp.Packet {
	return &rtp.Packet{
		Header:  rtp.Header{Version: 2, SequenceNumber: sequence, Timestamp: picture * 3600, Marker: marker},
		Payload: payload,
	}
}

// A baseline SPS of 1280x720 and one of 640x480, and a PPS.
var (
	spsLarge = []byte{0x67, 0x42, 0xc0, 0x1f, 0xda, 0x01, 0x40, 0x16, 0xe8, 0x40, 0, 0, 3, 0, 0x40, 0, 0, 0x0c, 0x83, 0xc6, 0x0c, 0xa8}
	pps      = []byte{0x68, 0xce, 0x0f, 0xc8}
)

func h264Format() *format.H264 { return &format.H264{PayloadTyp: 96, PacketizationMode: 1} }

func TestAssembleWithoutMarkers(t *testing.T) {
	c := feed(t, h264Format(), []*rtp.Packet{
		packet(1, 0, false, spsLarge...), packet(2, 0, false, pps...), packet(3, 0, false, 0x65, 0x88, 1, 2),
		packet(4, 1, false, 0x41, 0x9a, 1), packet(5, 2, false, 0x41, 0x9a, 2),
	})
	require.Len(t, c.units, 2, "the last one is still open")
	require.True(t, c.units[0].Key)
	require.Len(t, c.units[0].NALs, 3)
	require.Len(t, c.formats, 1)
	require.Equal(t, 1280, c.formats[0].Width)
	require.Equal(t, 720, c.formats[0].Height)
	require.Equal(t, 40*time.Millisecond, c.units[1].PTS)
}

func TestAssembleDamage(t *testing.T) {
	key := func(seq uint16, picture uint32) []*rtp.Packet {
		return []*rtp.Packet{
			packet(seq, picture, false, spsLarge...), packet(seq+1, picture, false, pps...), packet(seq+2, picture, true, 0x65, 0x88, 1, 2),
		}
	}
	p := func(seq uint16, picture uint32) *rtp.Packet {
		return packet(seq, picture, true, 0x41, 0x9a, byte(picture))
	}
	fragment := func(seq uint16, picture uint32, header byte, marker bool) *rtp.Packet {
		return packet(seq, picture, marker, 0x7c, header|5, 0x88, 1, 2, 3)
	}
	for name, tc := range map[string]struct {
		pkts    []*rtp.Packet
		damaged []bool
	}{
		"nothing lost":          {append(key(1, 0), p(4, 1), p(5, 2)), []bool{false, false, false}},
		"a unit lost":           {append(key(1, 0), p(5, 2), p(6, 3)), []bool{false, true, true}},
		"healed by a key":       {append(append(key(1, 0), p(5, 2)), key(6, 3)...), []bool{false, true, false}},
		"lost right before key": {append(key(1, 0), key(6, 3)...), []bool{false, false}},
		"end of key lost":       {append(key(1, 0)[:2], packet(3, 0, false, 0x65, 0x88, 1), p(5, 1)), []bool{true, true}},
		"start of key lost":     {append(key(1, 0), packet(6, 1, true, 0x65, 0x18, 9)), []bool{false, true}},
		"fragment lost": {
			append(key(1, 0), fragment(4, 1, 0x80, false), fragment(6, 1, 0x40, true), p(7, 2)),
			[]bool{false, true},
		},
		"sequence wraps": {append(key(65533, 0), p(0, 1)), []bool{false, false}},
	} {
		t.Run(name, func(t *testing.T) {
			c := feed(t, h264Format(), tc.pkts)
			var got []bool
			for _, u := range c.units {
				got = append(got, u.Damaged)
			}
			require.Equal(t, tc.damaged, got)
		})
	}
}

func TestAssembleFormatChange(t *testing.T) {
	forma := h264Format()
	forma.SPS, forma.PPS = spsLarge, pps
	other := append(append([]byte(nil), spsLarge[:len(spsLarge)-1]...), 0xa0)
	c := feed(t, forma, []*rtp.Packet{
		packet(1, 0, true, 0x65, 0x88, 1, 2), // the sets are in the SDP only
		packet(2, 1, true, other...),         // new sets in a unit of their own
		packet(3, 2, true, 0x65, 0x88, 1, 2),
		packet(4, 3, true, 0x41, 0x9a),
	})
	require.Len(t, c.formats, 2)
	require.Equal(t, [][]byte{spsLarge, pps}, c.formats[0].ParameterSets)
	require.Equal(t, [][]byte{other, pps}, c.formats[1].ParameterSets)
	require.Len(t, c.units, 3)
	require.Equal(t, spsLarge, c.units[0].NALs[0], "a key unit brings its sets")
	require.Equal(t, other, c.units[1].NALs[0])
}

func TestAssembleWaitsForKey(t *testing.T) {
	c := feed(t, h264Format(), []*rtp.Packet{packet(1, 0, true, 0x41, 0x9a), packet(2, 1, true, 0x41, 0x9a)})
	require.Empty(t, c.units)
	require.Empty(t, c.formats)
}

func FuzzAssembler(f *testing.F) {
	f.Add([]byte{3, 0x65, 0x88, 1, 130, 0x41, 0x9a}, uint8(0))
	f.Add([]byte{6, 0x7c, 0x85, 0x88, 1, 2, 3, 134, 0x7c, 0x45, 1, 2, 3, 4}, uint8(1))
	f.Add([]byte{130, 0, 0, 12, 0, 0, 0, 0, 0, 1, 50, 8, 8, 1, 2}, uint8(2))
	f.Fuzz(func(t *testing.T, data []byte, which uint8) {
		formas := []format.Format{h264Format(), &format.H265{PayloadTyp: 96}, &format.MJPEG{}}
		var pkts []*rtp.Packet
		for seq := uint16(0); len(data) > 0; seq++ {
			n := min(int(data[0]&0x7f), len(data)-1)
			pkts = append(pkts, packet(seq, uint32(seq)/2, data[0]&0x80 != 0, data[1:1+n]...))
			data = data[1+n:]
		}
		c := feed(t, formas[int(which)%len(formas)], pkts)
		last := time.Duration(-1)
		for _, u := range c.units {
			require.Greater(t, u.DTS, last)
			require.GreaterOrEqual(t, u.PTS, u.DTS)
			last = u.DTS
		}
	})
}
