package rtsp

import (
	"cmp"
	"sync"
	"time"

	"github.com/pion/rtcp"
)

// maxReportAge is how long a sender report says something: a clock that is wrong
// by maxDrift is off by a tenth of a second then. Cameras send one every few seconds.
const maxReportAge = 200 * time.Second

// reports keeps the newest sender report of the camera (RFC 3550, 6.4.1), which
// ties RTP time stamps to its wall clock. gortsplib keeps one as well, but for
// ever, and only that of the first SSRC of a session. The zero value is ready.
type reports struct {
	mu   sync.Mutex
	ssrc uint32
	ntp  uint64
	rtp  uint32
	at   time.Time // when it came
	now  func() time.Time

	clock int // of the RTP time stamps, in Hz; 0 means that of video
}

// packet takes RTCP packets, in the goroutine that reads them.
func (r *reports) packet(p rtcp.Packet) {
	sr, ok := p.(*rtcp.SenderReport)
	if !ok || sr.NTPTime == 0 { // 0: it has no wall clock
		return
	}
	now := time.Now
	if r.now != nil {
		now = r.now
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ssrc, r.ntp, r.rtp, r.at = sr.SSRC, sr.NTPTime, sr.RTPTime, now()
}

// claim is the capture time that the camera claims for an RTP time stamp that
// came at arrived in a packet of ssrc. False when no report says anything of it.
func (r *reports) claim(ssrc, timestamp uint32, arrived time.Time) (time.Time, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.at.IsZero() || r.ssrc != ssrc || arrived.Sub(r.at).Abs() > maxReportAge {
		return time.Time{}, false
	}
	// Either may be a step ahead in what was sent at once, or wait in a queue; a
	// greater difference means that the camera's RTP clock began anew.
	since := durationAt(int64(int32(timestamp-r.rtp)), int64(cmp.Or(r.clock, clockRate)))
	if (since - arrived.Sub(r.at)).Abs() > maxDelay {
		return time.Time{}, false
	}
	return fromNTP(r.ntp, arrived).Add(since), true
}

// fromNTP is the time of a 64-bit NTP time stamp, whose 32-bit seconds wrap every
// 136 years (next in 2036), nearest to near.
func fromNTP(ntp uint64, near time.Time) time.Time {
	const toUnix = 2208988800 // seconds from 1900 to 1970
	seconds := int64(ntp>>32) - toUnix
	if ahead := near.Unix() - seconds; ahead > 0 {
		seconds += (ahead + 1<<31) >> 32 << 32
	}
	nanos := int64((ntp & 0xffffffff) * uint64(time.Second) >> 32)
	return time.Unix(seconds, nanos)
}
