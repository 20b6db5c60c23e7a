package rtsp

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/bluenviron/gortsplib/v5/pkg/format"
	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"github.com/stretchr/testify/require"

	"detectd/pipeline"
)

// ear is a collector that listens.
type ear struct {
	collector
	announced []pipeline.SoundFormat
	sounds    []pipeline.Sound
}

func (e *ear) SoundFormat(f pipeline.SoundFormat) { e.announced = append(e.announced, f) }
func (e *ear) Sound(s pipeline.Sound)             { e.sounds = append(e.sounds, s) }

// stage is a camera with sound whose clocks a test may choose. Times count from its
// start.
type stage struct {
	video, sound func(at time.Duration) time.Duration // what their RTP clocks show
	wall         time.Duration                        // by which its wall clock is off
	soundWall    time.Duration                        // by which it is off further where it tells of sound
	reports      time.Duration                        // between sender reports of the video; 0: none
	soundReports time.Duration                        // of the sound
	delay        time.Duration                        // of the sound behind the video
	jitter       time.Duration
	from, until  time.Duration // of the sound
	length       time.Duration
}

const piece = 20 * time.Millisecond // of sound

func straight(at time.Duration) time.Duration { return at }

// perform plays a camera and returns what was made of it: of each piece of sound how
// far it lies from the picture that was captured with it, by the time it was captured.
func (s stage) perform(t *testing.T) (heard *ear, off map[time.Duration]time.Duration) {
	t.Helper()
	random := rand.New(rand.NewPCG(3, 4))
	now := epoch
	src, err := New(Config{URL: "rtsp://camera/"})
	require.NoError(t, err)
	src.now = func() time.Time { return now }
	ss := &session{Source: src, timer: time.NewTimer(time.Hour)}
	defer ss.timer.Stop()
	forma := h264Format()
	forma.SPS, forma.PPS = spsLarge, pps
	heard = &ear{}
	a, err := newAssembler(forma, heard, ss)
	require.NoError(t, err)
	c := newSoundCodec(&format.G711{MULaw: true, SampleRate: 8000, ChannelCount: 1})
	l := newListener(c, heard, ss, a)

	type event struct {
		at time.Duration
		do func()
	}
	var events []event
	add := func(at time.Duration, do func()) {
		events = append(events, event{at + 30*time.Millisecond + time.Duration(random.Int64N(int64(s.jitter)+1)), do})
	}
	stampOf := func(d time.Duration, rate int64) uint32 {
		return uint32(int64(d.Seconds()*float64(rate)) + 1<<32 - 4000) //nolint:gosec // it wraps
	}
	ntpOf := func(at time.Duration) uint64 {
		since := epoch.Add(at).Sub(time.Date(1900, 1, 1, 0, 0, 0, 0, time.UTC)).Seconds()
		return uint64(since)<<32 | uint64((since-float64(uint64(since)))*(1<<32))
	}
	for n := range uint16(s.length / (40 * time.Millisecond)) {
		at := time.Duration(n) * 40 * time.Millisecond
		add(at, func() {
			a.packet(&rtp.Packet{
				Header:  rtp.Header{SequenceNumber: n, Timestamp: stampOf(s.video(at), clockRate), Marker: true, SSRC: 1},
				Payload: []byte{0x65, 0x88, 1, 2},
			})
		})
	}
	var order []time.Duration
	for n := range uint16(s.length / piece) {
		at := time.Duration(n) * piece
		if at < s.from || at >= s.until {
			continue
		}
		order = append(order, at)
		add(at+piece+s.delay, func() {
			l.packet(&rtp.Packet{
				Header:  rtp.Header{SequenceNumber: n, Timestamp: stampOf(s.sound(at), 8000), SSRC: 2},
				Payload: make([]byte, 160),
			})
		})
	}
	report := func(every time.Duration, rate int64, ssrc uint32, clock func(time.Duration) time.Duration, off time.Duration, r *reports) {
		for at := every / 3; every > 0 && at < s.length; at += every {
			add(at, func() {
				r.packet(&rtcp.SenderReport{SSRC: ssrc, NTPTime: ntpOf(at + off), RTPTime: stampOf(clock(at), rate)})
			})
		}
	}
	report(s.reports, clockRate, 1, s.video, s.wall, &a.reports)
	report(s.soundReports, 8000, 2, s.sound, s.wall+s.soundWall, &l.reports)
	slices.SortStableFunc(events, func(a, b event) int { return cmp.Compare(a.at, b.at) })
	for _, e := range events {
		now = epoch.Add(e.at)
		e.do()
	}
	off = map[time.Duration]time.Duration{}
	skipped := len(order) - len(heard.sounds)
	for i, got := range heard.sounds {
		at := order[skipped+i] // the first ones come before the first picture
		off[at] = got.PTS - at
		if i > 0 {
			require.GreaterOrEqual(t, got.PTS-heard.sounds[i-1].PTS, piece/2-time.Microsecond, "at %v", at)
		}
	}
	return heard, off
}

// TestSoundStaysWithThePicture: whatever the clocks of a camera do, sound is where it
// belongs, to within a bound that depends on what the camera tells, and none is lost.
func TestSoundStaysWithThePicture(t *testing.T) {
	const ms, s = time.Millisecond, time.Second
	drift := func(ppm int) func(time.Duration) time.Duration {
		return func(at time.Duration) time.Duration { return at + at*time.Duration(ppm)/1_000_000 }
	}
	after := func(when, jump time.Duration) func(time.Duration) time.Duration {
		return func(at time.Duration) time.Duration {
			if at >= when {
				return at + jump
			}
			return at
		}
	}
	for name, tc := range map[string]struct {
		stage  stage
		within time.Duration
		settle time.Duration    // after which it holds
		spare  [2]time.Duration // in which it need not
	}{
		"a good camera":                  {stage{reports: 5 * s, soundReports: 5 * s, delay: 100 * ms, jitter: 20 * ms}, 3 * ms, 8 * s, [2]time.Duration{}},
		"its wall clock was never set":   {stage{reports: 5 * s, soundReports: 5 * s, wall: -20 * 365 * 24 * time.Hour}, soundSlack + ms, 8 * s, [2]time.Duration{}},
		"no sender reports":              {stage{jitter: 20 * ms}, soundGuess + 20*ms, s, [2]time.Duration{}},
		"none for the sound":             {stage{reports: 5 * s, jitter: 20 * ms}, soundGuess + 20*ms, s, [2]time.Duration{}},
		"none for the video":             {stage{soundReports: 5 * s, jitter: 20 * ms}, soundGuess + 20*ms, s, [2]time.Duration{}},
		"sound drifts, reports tell":     {stage{reports: 5 * s, soundReports: 5 * s, sound: drift(500), length: 300 * s}, soundSlack + 5*ms, 8 * s, [2]time.Duration{}},
		"sound drifts back":              {stage{reports: 5 * s, soundReports: 5 * s, sound: drift(-500), length: 300 * s}, soundSlack + 5*ms, 8 * s, [2]time.Duration{}},
		"sound drifts, no reports":       {stage{sound: drift(300), length: 300 * s}, soundGuess + 25*ms, s, [2]time.Duration{}},
		"video drifts":                   {stage{reports: 5 * s, soundReports: 5 * s, video: drift(-200), length: 120 * s}, soundSlack + 5*ms + 24*ms, 8 * s, [2]time.Duration{}},
		"sound begins after 5 s":         {stage{from: 5 * s, reports: s, soundReports: s}, soundSlack + ms, 7 * s, [2]time.Duration{}},
		"sound ends after 5 s":           {stage{until: 5 * s, reports: s, soundReports: s}, soundSlack + ms, 2 * s, [2]time.Duration{}},
		"its clock jumps an hour":        {stage{sound: after(15*s, time.Hour), reports: s, soundReports: s}, soundSlack + ms, 2 * s, [2]time.Duration{15 * s, 17 * s}},
		"its clock jumps back":           {stage{sound: after(15*s, -time.Hour), reports: s, soundReports: s}, soundSlack + ms, 2 * s, [2]time.Duration{15 * s, 17 * s}},
		"it jumps by less than is known": {stage{sound: after(15*s, 2*s), reports: s, soundReports: s}, soundSlack + ms, 2 * s, [2]time.Duration{15 * s, 22 * s}},
		"the video's clock jumps":        {stage{video: after(15*s, 3*time.Hour), reports: s, soundReports: s}, soundSlack + 40*ms, 2 * s, [2]time.Duration{15 * s, 18 * s}},
		"another clock for the sound":    {stage{reports: s, soundReports: s, soundWall: time.Hour}, soundGuess + 20*ms, s, [2]time.Duration{}},
	} {
		t.Run(name, func(t *testing.T) {
			st := tc.stage
			if st.length == 0 {
				st.length = 30 * s
			}
			if st.until == 0 {
				st.until = st.length
			}
			for _, f := range []*func(time.Duration) time.Duration{&st.video, &st.sound} {
				if *f == nil {
					*f = straight
				}
			}
			heard, off := st.perform(t)
			require.GreaterOrEqual(t, len(heard.sounds), int((st.until-st.from)/piece)-3, "none is lost")
			require.Len(t, heard.announced, 1)
			for at, d := range off {
				if at < tc.settle || at >= tc.spare[0] && at < tc.spare[1] {
					continue
				}
				require.LessOrEqual(t, d.Abs(), tc.within, "at %v: %v", at, d)
			}
		})
	}
}

func FuzzSoundLine(f *testing.F) {
	f.Add([]byte{0, 160, 20, 0, 160, 20}, int64(0), true)
	f.Add([]byte{0, 160, 20, 255, 0, 0, 3, 160, 90}, int64(time.Hour), false)
	f.Fuzz(func(t *testing.T, b []byte, ahead int64, claimed bool) {
		l := soundLine{clock: 8000}
		at, last, stamp := epoch, time.Duration(-1), uint32(0)
		for ; len(b) >= 3; b = b[3:] {
			stamp += uint32(b[0])<<24 | uint32(b[1])
			at = at.Add(time.Duration(b[2]) * time.Millisecond)
			pieces := 1 + int(b[0]%4)
			pts := l.place(stamp, time.Duration(pieces)*piece, pieces, at, reference{epoch, time.Duration(ahead), claimed})
			if last >= 0 {
				require.Greater(t, pts, last)
			}
			last = max(0, pts+time.Duration(pieces-1)*piece)
		}
	})
}
