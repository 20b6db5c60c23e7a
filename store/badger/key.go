package badger

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"math"
	"strings"
	"time"

	"detectd/store"
)

// The kinds of entries.
const (
	annotations byte = 'a'
	inferences  byte = 'i'
)

const dayMicros = 24 * 60 * 60 * 1_000_000

// place is where an entry lies in its series.
type place struct {
	Time   int64  `json:"t"` // microseconds since 1970-01-01 UTC
	Camera string `json:"c"`
	Frame  uint64 `json:"f"` // or a number that tells entries of one time apart
}

// newer orders places newest first, then by camera, then by falling frame.
func (p place) newer(o place) bool {
	return cmp.Or(cmp.Compare(o.Time, p.Time), strings.Compare(p.Camera, o.Camera), cmp.Compare(o.Frame, p.Frame)) < 0
}

// span is a half-open range of times in microseconds.
type span struct{ from, to int64 }

func everything() span { return span{math.MinInt64, math.MaxInt64} }

func spanOf(r store.Range) span {
	s := everything()
	if !r.From.IsZero() {
		s.from = r.From.UnixMicro()
	}
	if !r.To.IsZero() {
		s.to = r.To.UnixMicro()
	}
	return s
}

// around is the span of times no farther from t than tolerance.
func around(t time.Time, tolerance time.Duration) span {
	at, reach := t.UnixMicro(), tolerance.Microseconds()
	return span{at - reach, at + reach + 1}
}

// dayOf counts days from 1970-01-01, rounding down also before it.
func dayOf(micros int64) int64 {
	day := micros / dayMicros
	if micros%dayMicros < 0 {
		day--
	}
	return day
}

// Numbers are written big-endian with the sign bit flipped, so that keys sort as
// the numbers do.
func dayPrefix(kind byte, day int64) []byte {
	return binary.BigEndian.AppendUint32([]byte{kind}, uint32(day+1<<31))
}

func cameraPrefix(kind byte, day int64, camera string) []byte {
	return append(append(dayPrefix(kind, day), camera...), 0)
}

func key(kind byte, p place) []byte {
	k := cameraPrefix(kind, dayOf(p.Time), p.Camera)
	k = binary.BigEndian.AppendUint64(k, uint64(p.Time)^1<<63)
	return binary.BigEndian.AppendUint64(k, p.Frame)
}

// bait is a key of the day that no camera has: ids are ASCII.
func bait(day []byte) []byte { return key(day[0], place{Camera: "\xff", Time: dayIn(day) * dayMicros}) }

const (
	dayEnd  = 1 + 4     // where the camera starts
	tailLen = 1 + 8 + 8 // the zero byte, the time and the frame
)

func dayIn(k []byte) int64 { return int64(binary.BigEndian.Uint32(k[1:dayEnd])) - 1<<31 }

func parse(k []byte) (place, error) {
	if len(k) <= dayEnd+tailLen || k[len(k)-tailLen] != 0 {
		return place{}, fmt.Errorf("damaged key %x", k)
	}
	tail := k[len(k)-tailLen+1:]
	return place{
		Camera: string(k[dayEnd : len(k)-tailLen]),
		Time:   int64(binary.BigEndian.Uint64(tail) ^ 1<<63),
		Frame:  binary.BigEndian.Uint64(tail[8:]),
	}, nil
}

// check refuses what would not make a proper key.
func check(camera string, t time.Time) error {
	if camera == "" || strings.IndexByte(camera, 0) >= 0 {
		return fmt.Errorf("camera id %q cannot be stored", camera)
	}
	if t.IsZero() {
		return fmt.Errorf("entry of camera %q has no time", camera)
	}
	return nil
}

// cameraIn is the camera of a key.
func cameraIn(k []byte) string {
	camera, _, _ := bytes.Cut(k[dayEnd:], []byte{0})
	return string(camera)
}
