// Package movie joins recorded files into one MP4 file, without decoding and
// without writing it anywhere: it is put together while it is read.
//
// Time in the movie is capture time: what was captured ten seconds after its
// first picture is shown at 10 s. Where nothing was recorded, the last picture
// before stands still. Its sound is of the first kind that was recorded in it; where
// there is none, or another, it is silent, and silence is put into holes.
package movie

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"reflect"
	"slices"
	"time"

	amp4 "github.com/abema/go-mp4"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/fmp4"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/pmp4"

	"detectd/pipeline/frame"
	"detectd/pipeline/matrix"
	"detectd/pipeline/soundtrack"
)

// MaxLength is the longest movie: its times have 32 bits at 90 kHz.
const MaxLength = 6 * time.Hour

// MaxBytes is the largest movie: its offsets have 32 bits.
const MaxBytes = 4<<30 - 64<<20

// Errors of movies that cannot be made.
var (
	// ErrNoMedia is returned when there is no picture in the span.
	ErrNoMedia = errors.New("nothing was recorded")
	// ErrMixed is returned when the video's format changes within the span.
	ErrMixed = errors.New("the video changes its format")
	// ErrTooLong is returned for a movie beyond MaxLength or MaxBytes.
	ErrTooLong = errors.New("too long for one file")
)

// Piece is a recorded file: fragmented MP4.
type Piece struct {
	Path  string
	Start time.Time // capture time of the first picture
}

// Cut says where a movie begins and ends.
type Cut int

// The ways to cut.
const (
	// AtKeys begins with the last key picture at or before the start of the span,
	// and ends before the first key picture at or after its end.
	AtKeys Cut = iota
	// Exact shows the pictures captured within the span only. The pictures that
	// decoding them needs are in the file; an edit list tells players to leave them
	// out (ISO/IEC 14496-12, 8.6.6).
	Exact
)

// Movie is an MP4 file that is put together while it is read. Close it.
type Movie struct {
	files []*os.File
	head  []byte
	data  []sample // in the order of the file
	ends  []int64  // of each sample, in the movie
	start time.Time
	at    int64

	silence []byte // what samples of no file hold
}

var _ io.ReadSeekCloser = (*Movie)(nil)

// Open joins pieces, which are of one camera and in order of time.
func Open(pieces []Piece, from, to time.Time, cut Cut) (m *Movie, err error) {
	if length := to.Sub(from); length > MaxLength {
		return nil, fmt.Errorf("%w: %v are more than %v", ErrTooLong, length.Round(time.Second), MaxLength)
	}
	m = &Movie{}
	defer func() {
		if err != nil {
			err = errors.Join(err, m.Close())
			m = nil
		}
	}()
	j := joiner{from: from, to: to, cut: cut}
	for _, p := range pieces {
		f, err := os.Open(p.Path)
		if err != nil {
			return m, fmt.Errorf("open recording: %w", err)
		}
		m.files = append(m.files, f)
		if err := j.add(len(m.files)-1, f, p.Start); err != nil {
			return m, err
		}
	}
	return m, j.finish(m)
}

// Start is the capture time of the first picture that is shown.
func (m *Movie) Start() time.Time { return m.start }

// Size is the size of the file in bytes.
func (m *Movie) Size() int64 {
	if len(m.ends) == 0 {
		return int64(len(m.head))
	}
	return m.ends[len(m.ends)-1]
}

// Read implements io.Reader.
func (m *Movie) Read(b []byte) (int, error) {
	if m.at < int64(len(m.head)) {
		n := copy(b, m.head[m.at:])
		m.at += int64(n)
		return n, nil
	}
	i, _ := slices.BinarySearch(m.ends, m.at+1)
	switch {
	case len(b) == 0:
		return 0, nil
	case i == len(m.ends):
		return 0, io.EOF
	}
	s := m.data[i]
	left := m.ends[i] - m.at
	if s.file == noFile {
		n := copy(b, m.silence[int64(len(m.silence))-left:])
		m.at += int64(n)
		return n, nil
	}
	n, err := m.files[s.file].ReadAt(b[:min(int64(len(b)), left)], s.offset+int64(s.size)-left)
	m.at += int64(n)
	if n > 0 {
		return n, nil
	}
	return 0, fmt.Errorf("read recording: %w", err)
}

// Seek implements io.Seeker.
func (m *Movie) Seek(offset int64, whence int) (int64, error) {
	base := map[int]int64{io.SeekStart: 0, io.SeekCurrent: m.at, io.SeekEnd: m.Size()}[whence]
	if base+offset < 0 {
		return m.at, errors.New("seek before the start of the movie")
	}
	m.at = base + offset
	return m.at, nil
}

// Close closes the files.
func (m *Movie) Close() error {
	var err error
	for _, f := range m.files {
		err = errors.Join(err, f.Close())
	}
	m.files = nil
	return err
}

// joiner collects the samples of all files on one time line, which counts from
// the first picture of the first file.
type joiner struct {
	from, to time.Time
	cut      Cut
	origin   time.Time
	turned   frame.Orientation // of the pictures
	init     *fmp4.Init
	samples  [][]sample // by track of init: the video, and sound where there is some
}

// add appends a file that was captured from start on.
func (j *joiner) add(file int, f *os.File, start time.Time) error {
	x, err := read(file, f)
	if err != nil {
		return err
	}
	video := videoOf(x.init)
	if video < 0 || len(x.samples[x.init.Tracks[video].ID]) == 0 {
		return nil // torn before its first picture
	}
	if j.init == nil {
		j.init, j.origin, j.turned = &fmp4.Init{Tracks: []*fmp4.InitTrack{x.init.Tracks[video]}}, start, x.turned
		j.samples = make([][]sample, 1)
	}
	if j.turned != x.turned || !reflect.DeepEqual(j.init.Tracks[0].Codec, x.init.Tracks[video].Codec) {
		return fmt.Errorf("%w at %s: ask for the time before it or from it on", ErrMixed, start.UTC().Format(time.RFC3339Nano))
	}
	// Zero of the file's time lies before its first picture by that picture's
	// presentation time.
	first := x.samples[x.init.Tracks[video].ID][0]
	zero := start.Sub(j.origin).Seconds() - float64(first.pts())/float64(x.init.Tracks[video].TimeScale)
	for i, t := range x.init.Tracks {
		if k := j.track(t, i == video, len(x.samples[t.ID]) > 0); k >= 0 {
			j.append(k, x.samples[t.ID], int64(math.Round(zero*float64(t.TimeScale))))
		}
	}
	return nil
}

// track returns the movie's track that takes the samples of a file's track, or -1.
// The sound of the movie is of the first kind that comes.
func (j *joiner) track(t *fmp4.InitTrack, video, any bool) int {
	switch {
	case video:
		return 0
	case !any || t.Codec.IsVideo():
		return -1
	case len(j.init.Tracks) == 1:
		j.init.Tracks = append(j.init.Tracks, t)
		j.samples = append(j.samples, nil)
		return 1
	case reflect.DeepEqual(j.init.Tracks[1].Codec, t.Codec) && j.init.Tracks[1].TimeScale == t.TimeScale:
		return 1
	}
	return -1
}

// append moves samples by shift and makes the one before last up to them.
func (j *joiner) append(track int, samples []sample, shift int64) {
	for _, s := range samples {
		s.dts += shift
		if n := len(j.samples[track]); n > 0 {
			last := &j.samples[track][n-1]
			if s.dts <= last.dts {
				s.dts = last.dts + 1 // the clock was set back between the two
			}
			last.length = uint32(min(s.dts-last.dts, math.MaxInt32)) //nolint:gosec // above zero and below 2^31
		}
		j.samples[track] = append(j.samples[track], s)
	}
}

// finish makes m of what was added.
func (j *joiner) finish(m *Movie) error {
	if j.init == nil {
		return ErrNoMedia
	}
	const v = 0
	rate := j.init.Tracks[v].TimeScale
	// Times are asked for in milliseconds: a picture counts as captured then when
	// its own time is rounded to it.
	slack := ticksOf(time.Millisecond/2, rate)
	from, to := ticksOf(j.from.Sub(j.origin), rate)-slack, ticksOf(j.to.Sub(j.origin), rate)-slack
	video, shown := j.choose(j.samples[v], from, to, 2*slack)
	if len(video) == 0 {
		return ErrNoMedia
	}
	base := video[0].dts
	m.start = j.origin.Add(durationOf(shown, rate))
	until := video[len(video)-1].dts + int64(video[len(video)-1].length)
	for _, s := range video {
		until = max(until, s.pts()+int64(s.length))
	}
	if j.cut == Exact {
		until = min(until, to)
	}
	begin, end := durationOf(shown, rate), durationOf(until, rate)
	var p pmp4.Presentation
	var lengths []int64
	for i, t := range j.init.Tracks {
		track := &pmp4.Track{ID: t.ID, TimeScale: t.TimeScale, Codec: t.Codec}
		samples := video
		if i != v {
			samples = within(j.samples[i], ticksOf(begin, t.TimeScale), ticksOf(end, t.TimeScale))
			if len(samples) > 0 {
				samples, m.silence = fill(samples, ticksOf(begin, t.TimeScale), t.Codec)
			}
			track.ID = p.Tracks[0].ID + 1
			if len(samples) == 0 {
				continue
			}
			track.TimeOffset = int32(samples[0].dts - ticksOf(begin, t.TimeScale)) //nolint:gosec // less than a picture
		} else {
			track.TimeOffset = int32(base - shown) //nolint:gosec // the length of a group of pictures
		}
		for _, s := range samples {
			track.Samples = append(track.Samples, &pmp4.Sample{
				Duration: s.length, PTSOffset: s.shift, IsNonSyncSample: !s.sync, PayloadSize: s.size,
				GetPayload: func() ([]byte, error) {
					m.data = append(m.data, s)
					return nil, nil
				},
			})
		}
		p.Tracks = append(p.Tracks, track)
		pause := durationOf(max(0, int64(track.TimeOffset)), t.TimeScale)
		lengths = append(lengths, (end - begin - pause).Milliseconds())
	}
	if err := m.assemble(&p, lengths); err != nil {
		return err
	}
	matrix.Write(m.head, j.turned)
	return nil
}

// choose takes the pictures that are needed to show the span, and tells the
// presentation time of the first one that is shown. What is up to slack later
// than from is still at from.
func (j *joiner) choose(all []sample, from, to, slack int64) (samples []sample, shown int64) {
	first := -1
	for i, s := range all {
		if s.sync && (first < 0 || s.pts() <= from+slack) {
			first = i
		}
		if s.dts > from+slack && first >= 0 {
			break
		}
	}
	if first < 0 {
		return nil, 0
	}
	last := len(all)
	for i := first + 1; i < len(all); i++ {
		// With pictures out of order, what is decoded before the end of the span may
		// be shown after it and still be needed.
		if all[i].dts >= to && (j.cut == Exact || all[i].sync) {
			last = i
			break
		}
	}
	samples, shown = all[first:last], all[first].pts()
	if j.cut == Exact {
		shown = math.MaxInt64
		for _, s := range samples {
			if s.pts() >= from && s.pts() < to {
				shown = min(shown, s.pts())
			}
		}
	}
	if shown >= to {
		return nil, 0
	}
	return samples, shown
}

// within are the samples of sound that begin in a span. The last one ends with it.
func within(all []sample, from, to int64) []sample {
	a, _ := slices.BinarySearchFunc(all, from, func(s sample, t int64) int { return int(s.dts - t) })
	b, _ := slices.BinarySearchFunc(all, to, func(s sample, t int64) int { return int(s.dts - t) })
	if a == b {
		return nil
	}
	chosen := slices.Clone(all[a:b])
	last := &chosen[len(chosen)-1]
	last.length = uint32(min(int64(last.length), to-last.dts)) //nolint:gosec // above zero, and it only gets smaller
	return chosen
}

// assemble writes the head, and notes the order in which the writer asks for the
// samples: it is that of the file.
func (m *Movie) assemble(p *pmp4.Presentation, shown []int64) error {
	sum := int64(0)
	for _, track := range p.Tracks {
		for _, s := range track.Samples {
			sum += int64(s.PayloadSize)
		}
	}
	if sum > MaxBytes {
		return fmt.Errorf("%w: %d MB are more than %d MB", ErrTooLong, sum>>20, int64(MaxBytes)>>20)
	}
	head := &buffer{}
	if err := p.Marshal(head); err != nil {
		return fmt.Errorf("describe movie: %w", err)
	}
	m.head = head.b
	soundtrack.ToFile(m.head)
	if err := setEdits(m.head, shown); err != nil {
		return err
	}
	m.ends = make([]int64, len(m.data))
	end := int64(len(m.head))
	for i, s := range m.data {
		end += int64(s.size)
		m.ends[i] = end
	}
	return nil
}

// setEdits sets how long each track is shown, in milliseconds: the writer of the
// head knows only the whole length of its samples.
func setEdits(head []byte, shown []int64) error {
	_, err := amp4.ReadBoxStructure(bytes.NewReader(head), func(h *amp4.ReadHandle) (any, error) {
		switch h.BoxInfo.Type.String() {
		case "moov", "trak", "edts":
			return h.Expand()
		case "elst":
			// Version and flags, number of entries, then of each the length, the media
			// time and the rate. Of two entries the first is a pause.
			const entry = 12
			list := head[h.BoxInfo.Offset+h.BoxInfo.HeaderSize:]
			count := int(binary.BigEndian.Uint32(list[4:]))
			binary.BigEndian.PutUint32(list[8+entry*(count-1):], uint32(shown[0])) //nolint:gosec // below MaxLength
			shown = shown[1:]
		}
		return nil, nil //nolint:nilnil // nothing is collected this way
	})
	if err == nil && len(shown) > 0 {
		err = errors.New("a track has no edit list")
	}
	if err != nil {
		return fmt.Errorf("describe movie: %w", err)
	}
	return nil
}

type buffer struct{ b []byte }

// Write implements io.Writer.
func (b *buffer) Write(p []byte) (int, error) {
	b.b = append(b.b, p...)
	return len(p), nil
}

func videoOf(x fmp4.Init) int {
	return slices.IndexFunc(x.Tracks, func(t *fmp4.InitTrack) bool { return t.Codec.IsVideo() })
}

func ticksOf(d time.Duration, rate uint32) int64 {
	return int64(math.Round(d.Seconds() * float64(rate)))
}

// durationOf is exact to the nanosecond, cut towards zero.
func durationOf(ticks int64, rate uint32) time.Duration {
	r := int64(rate)
	return time.Duration(ticks/r)*time.Second + time.Duration(ticks%r)*time.Second/time.Duration(r)
}
