package rtsp

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"github.com/stretchr/testify/require"

	"detectd/pipeline"
	"detectd/pipeline/frame"
	"detectd/pipeline/steady"
)

func toNTP(t time.Time) uint64 {
	seconds := uint64(t.Unix()+2208988800) & 0xffffffff // wraps in 2036
	return seconds<<32 | uint64(t.Nanosecond())<<32/uint64(time.Second)
}

func TestNTPEra(t *testing.T) {
	for _, at := range []time.Time{
		time.Unix(0, 0), epoch, time.Date(2036, 2, 7, 6, 28, 15, 0, time.UTC), time.Date(2036, 2, 7, 6, 28, 17, 5e8, time.UTC),
		time.Date(2099, 1, 1, 0, 0, 0, 0, time.UTC),
	} {
		for _, near := range []time.Duration{-time.Hour, 0, time.Hour} {
			require.WithinDuration(t, at, fromNTP(toNTP(at), at.Add(near)), time.Microsecond)
		}
	}
	never := fromNTP(toNTP(time.Unix(100, 0)), epoch)
	require.Equal(t, 1970, never.UTC().Year(), "a clock that was never set is not moved near ours")
}

func TestReports(t *testing.T) {
	at := epoch
	r := reports{now: func() time.Time { return at }}
	_, ok := r.claim(1, 0, at)
	require.False(t, ok, "no report yet")
	r.packet(&rtcp.SenderReport{SSRC: 1, RTPTime: 90000})
	_, ok = r.claim(1, 90000, at)
	require.False(t, ok, "a report without a clock")
	r.packet(&rtcp.SenderReport{SSRC: 1, RTPTime: 0xffffff00, NTPTime: toNTP(epoch)})
	got, ok := r.claim(1, 90000-0x100, at.Add(time.Second))
	require.True(t, ok, "over the wrap")
	require.WithinDuration(t, epoch.Add(time.Second), got, time.Microsecond)
	_, ok = r.claim(2, 90000, at.Add(time.Second))
	require.False(t, ok, "another source")
	_, ok = r.claim(1, 12345678, at.Add(time.Second))
	require.False(t, ok, "the RTP clock began anew")
	_, ok = r.claim(1, 300*90000-0x100, at.Add(300*time.Second))
	require.False(t, ok, "too old")
}

func TestNewSourceNeedsItsOwnReport(t *testing.T) {
	var c captureClock
	_, _, clock := c.stamp(0, epoch, time.Time{}, false)
	require.Equal(t, frame.ClockArrival, clock)
}

// world is a camera and a network whose truth is known.
type world struct {
	random  *rand.Rand
	true    time.Time     // of the next picture
	clock   time.Duration // how far the camera's wall clock is ahead
	drift   float64       // of both its clocks
	rtp     float64       // its RTP clock in ticks
	ssrc    uint32
	reports bool
	stall   time.Time // packets arrive no earlier
	arrived time.Time
	delay   time.Duration
}

func newWorld(seed uint64) *world {
	random := rand.New(rand.NewPCG(seed, 7))
	clocks := []time.Duration{
		0, 0, 80 * time.Millisecond, -700 * time.Millisecond, 900 * time.Millisecond, time.Hour, 2 * time.Hour, -time.Minute,
		time.Unix(0, 0).Sub(epoch), 40 * 365 * 24 * time.Hour,
	}
	return &world{
		random: random, true: epoch, clock: clocks[random.IntN(len(clocks))], drift: 1 + float64(random.IntN(1001)-500)/1e6,
		rtp: float64(random.Uint32()), ssrc: random.Uint32(), reports: random.IntN(4) > 0, arrived: epoch,
		delay: time.Duration(5+random.IntN(150)) * time.Millisecond,
	}
}

// next passes time by d, with what may befall a camera in it.
func (w *world) next(d time.Duration) {
	w.true = w.true.Add(d)
	w.rtp += d.Seconds() * clockRate * w.drift
	w.clock += time.Duration(float64(d) * (w.drift - 1))
	// What befalls a camera while its packets are stuck cannot be told from the
	// stall: the bound holds where the first packet after a jump comes through.
	if w.random.IntN(150) > 0 || w.true.Before(epoch.Add(2*time.Second)) || w.true.Before(w.stall.Add(100*time.Millisecond)) {
		return
	}
	switch w.random.IntN(8) {
	case 0: // jumps of hours
		w.rtp += float64(w.random.IntN(2e9)) - 1e9
	case 1: // jumps of seconds
		w.rtp += float64(w.random.IntN(8*clockRate)) - 4*clockRate
	case 2: // begins anew
		w.rtp, w.ssrc = float64(w.random.IntN(1000)), w.random.Uint32()
	case 3: // is about to wrap
		w.rtp = float64(1<<32 - 1 - w.random.IntN(clockRate))
	case 4: // a person or a time server sets its clock
		w.clock = time.Duration(w.random.IntN(3e9)) - 15e8
	case 5:
		w.stall = w.true.Add(time.Duration(w.random.IntN(4000)) * time.Millisecond)
	case 6: // pictures are lost
		w.true = w.true.Add(700 * time.Millisecond)
		w.rtp += 0.7 * clockRate * w.drift
	case 7:
		w.reports = !w.reports
	}
}

// arrives is when what is sent now comes in. TCP keeps the order.
func (w *world) arrives() time.Time {
	at := w.true.Add(w.delay + time.Duration(min(w.random.ExpFloat64(), 5)*float64(5*time.Millisecond)))
	if w.random.IntN(50) == 0 {
		at = at.Add(time.Duration(w.random.IntN(60)) * time.Millisecond)
	}
	for _, other := range []time.Time{w.stall, w.arrived} {
		if at.Before(other) {
			at = other
		}
	}
	w.arrived = at
	return at
}

func (w *world) stamp() uint32 { return uint32(uint64(w.rtp)) }

// run has an assembler receive n pictures and gives it back what it made of them,
// with the truth.
func (w *world) run(t testing.TB, n int, each func(u pipeline.Unit, truth time.Time)) {
	src, err := New(Config{URL: "rtsp://camera/"})
	require.NoError(t, err)
	now := epoch
	src.now = func() time.Time { return now }
	ss := &session{Source: src, timer: time.NewTimer(time.Hour)}
	defer ss.timer.Stop()
	kept := &collector{}
	a, err := newAssembler(h264Format(), kept, ss)
	require.NoError(t, err)
	interval := time.Second / time.Duration([]int{1, 5, 12, 25, 30, 60}[w.random.IntN(6)])
	var sequence uint16
	send := func(marker bool, payload ...byte) {
		sequence++
		a.packet(&rtp.Packet{
			Header:  rtp.Header{Version: 2, SequenceNumber: sequence, Timestamp: w.stamp(), SSRC: w.ssrc, Marker: marker},
			Payload: payload,
		})
	}
	var reported time.Time
	for i := range n {
		w.next(interval)
		now = w.arrives()
		if w.reports && w.true.Sub(reported) > 5*time.Second {
			reported = w.true
			a.reports.packet(&rtcp.SenderReport{SSRC: w.ssrc, RTPTime: w.stamp(), NTPTime: toNTP(w.true.Add(w.clock))})
		}
		if i%25 == 0 {
			send(false, spsLarge...)
			send(false, pps...)
			send(true, 0x65, 0x88, 1, 2)
		} else {
			send(true, 0x41, 0x9a, 1)
		}
		for _, u := range kept.units {
			each(u, w.true)
		}
		kept.units = nil
	}
}

// checkWorld: capture times grow with every picture and are as near to the truth
// as they say.
func checkWorld(t testing.TB, seed uint64, n int) {
	var line steady.Line
	var last pipeline.Unit
	units := 0
	newWorld(seed).run(t, n, func(u pipeline.Unit, truth time.Time) {
		off := u.Time.Sub(truth)
		require.LessOrEqual(t, off.Abs(), u.TimeError, "seed %d, unit %d: %s off, %s", seed, units, off, u.Clock)
		line.Place(&u)
		off = u.Time.Sub(truth)
		require.LessOrEqual(t, off.Abs(), u.TimeError, "seed %d, unit %d: %s off, steadied, %s", seed, units, off, u.Clock)
		if units > 0 {
			require.Greater(t, u.DTS, last.DTS)
			require.Greater(t, u.PTS, last.PTS, "seed %d, unit %d", seed, units)
			require.True(t, u.Time.After(last.Time), "seed %d, unit %d: %s after %s", seed, units, u.Time, last.Time)
		}
		last = u
		units++
	})
	require.Equal(t, n, units, "no picture is lost to a clock")
}

func TestTruth(t *testing.T) {
	for seed := range uint64(60) {
		checkWorld(t, seed, 3000)
	}
}

func FuzzTruth(f *testing.F) {
	f.Add(uint64(1), uint16(500))
	f.Fuzz(func(t *testing.T, seed uint64, n uint16) { checkWorld(t, seed, int(n%3000)) })
}

// TestQuietTruth: what is good is known well. A camera on a usual network whose
// clock is right is known to a tenth of a second, and without reports to half.
func TestQuietTruth(t *testing.T) {
	for _, reports := range []bool{false, true} {
		w := newWorld(1)
		w.clock, w.drift, w.reports, w.delay = 0, 1.0005, reports, 40*time.Millisecond
		w.random = rand.New(quiet{w.random})
		w.run(t, 2000, func(u pipeline.Unit, truth time.Time) {
			require.LessOrEqual(t, u.Time.Sub(truth).Abs(), 100*time.Millisecond)
			if reports {
				require.Equal(t, frame.ClockRTCP, u.Clock)
				require.LessOrEqual(t, u.TimeError, 250*time.Millisecond)
				return
			}
			require.Equal(t, frame.ClockArrival, u.Clock)
			require.LessOrEqual(t, u.TimeError, 500*time.Millisecond)
		})
	}
}

// quiet is chance that never brings 0, by which the world does odd things.
type quiet struct{ from *rand.Rand }

func (q quiet) Uint64() uint64 { return q.from.Uint64() | 1<<62 }
