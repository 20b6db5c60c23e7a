package record

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path"
	"path/filepath"
	"time"

	"github.com/bluenviron/mediacommon/v2/pkg/formats/fmp4"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/fmp4/seekablebuffer"

	"detectd/pipeline"
	"detectd/pipeline/matrix"
	"detectd/pipeline/soundtrack"
	"detectd/store"
)

// clock is the time scale of the files in ticks a second.
const clock = 90000

// fragment is the length after which samples go to the file, in ticks.
const fragment = clock

// guess is the duration of a lone frame, in ticks.
const guess = clock / 25

// segment is one file while it is written. Its decoding times count from the
// first unit; so does everything a reader knows of it, but that the first unit's
// presentation time, which may be later, is the capture time in the index.
type segment struct {
	root    string
	temp    string // full path while it grows
	file    *os.File
	row     store.Segment
	first   pipeline.Unit
	codec   pipeline.Codec
	coded   *fragments
	sound   *sound // nil: none comes
	head    []byte // of the file
	sample  sample // the newest, whose duration is not known yet
	open    bool   // there is one
	dts     int64  // of sample
	last    uint32 // duration of the sample before
	end     int64  // latest presentation time plus duration, from the first unit's
	part    []sample
	partDTS int64
	parts   uint32    // written
	flushed int64     // bytes of whole fragments in the file
	frames  int       // in them
	whole   int64     // end as of them
	until   time.Time // when what follows begins, if that is known
	gone    bool      // the file is removed
}

// create opens a file for units of format f that begins with u, a key frame, and
// for the sound that comes with them.
func create(root, cameraID string, f pipeline.Format, heard pipeline.SoundFormat, u pipeline.Unit) (*segment, error) {
	track, err := describe(f, u)
	if err != nil {
		return nil, err
	}
	var head seekablebuffer.Buffer
	init := fmp4.Init{Tracks: []*fmp4.InitTrack{{ID: videoTrack, TimeScale: clock, Codec: track.codec}}}
	sound := newSound(heard)
	if sound != nil {
		init.Tracks = append(init.Tracks, sound.describe())
	}
	if err := init.Marshal(&head); err != nil {
		return nil, fmt.Errorf("describe %s stream: %w", f.Codec, err)
	}
	soundtrack.ToFile(head.Bytes())
	matrix.Write(head.Bytes(), f.Orientation)
	n := nameOf(u)
	dir := filepath.Join(root, cameraID)
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return nil, fmt.Errorf("create folder of camera: %w", err)
	}
	width, height := f.Orientation.Size(track.width, track.height)
	s := &segment{
		root: root, temp: filepath.Join(dir, n.String()+tempSuffix), first: u, codec: f.Codec, sound: sound, head: head.Bytes(),
		row: store.Segment{
			CameraID: cameraID, Start: n.start, Path: n.path(cameraID),
			Codec: string(f.Codec), Width: width, Height: height, Clock: n.clock, TimeError: n.timeError,
		},
	}
	if s.file, err = os.OpenFile(s.temp, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o640); err != nil {
		return nil, fmt.Errorf("create segment: %w", err)
	}
	if err := s.write(s.head); err != nil {
		_ = s.discard()
		return nil, err
	}
	s.coded = newFragments(s.file)
	s.flushed = 0 // a file without a fragment is worth nothing
	return s, nil
}

func (s *segment) write(b []byte) error {
	if _, err := s.file.Write(b); err != nil {
		return fmt.Errorf("write segment: %w", err)
	}
	s.row.Bytes += int64(len(b))
	return nil
}

// add appends a unit. Times that do not grow are made to.
func (s *segment) add(u pipeline.Unit) error {
	if s.codec == pipeline.MJPEG && len(u.NALs) != 1 {
		return fmt.Errorf("a unit of %d pictures instead of one", len(u.NALs))
	}
	dts := ticks(u.DTS - s.first.DTS)
	if s.open {
		if dts <= s.dts {
			dts = s.dts + 1
		}
		s.close(dts - s.dts)
		if dts-s.partDTS >= fragment {
			if err := s.flush(); err != nil {
				return err
			}
			s.partDTS = dts
		}
	}
	offset := max(0, ticks(u.PTS-s.first.DTS)-dts)
	s.sample = sample{nals: u.NALs, size: sizeOf(u.NALs, s.prefixed()), offset: int32(min(offset, math.MaxInt32)), key: u.Key}
	s.open, s.dts = true, dts
	return nil
}

// prefixed says that units are NAL units with their lengths in front.
func (s *segment) prefixed() bool { return s.codec != pipeline.MJPEG }

// close ends the newest sample, which lasts for d ticks.
func (s *segment) close(d int64) {
	d = min(max(d, 1), math.MaxInt32)
	s.sample.duration = uint32(d)
	s.last = uint32(d)
	s.end = max(s.end, s.dts+int64(s.sample.offset)+d-ticks(s.first.PTS-s.first.DTS))
	s.part = append(s.part, s.sample)
	s.sample, s.open = sample{}, false
}

// flush writes the closed samples as one fragment.
func (s *segment) flush() error {
	runs := make([]run, 0, 2)
	if len(s.part) > 0 {
		runs = append(runs, run{videoTrack, s.partDTS, s.part, s.prefixed()})
	}
	if s.sound != nil && len(s.sound.part) > 0 {
		runs = append(runs, run{soundTrack, s.sound.partDTS, s.sound.part, false})
	}
	if len(runs) == 0 {
		return nil
	}
	n, err := s.coded.write(s.parts, runs...)
	if err != nil {
		return fmt.Errorf("write segment: %w", err)
	}
	s.row.Bytes += n
	s.parts++
	s.frames += len(s.part)
	s.flushed, s.whole = s.row.Bytes, s.end
	clear(s.part) // the coded video can go
	s.part = s.part[:0]
	if s.sound != nil {
		s.sound.flushed(&s.row)
	}
	return nil
}

// soFar describes the whole fragments in the file, under its temporary name.
func (s *segment) soFar() *store.Segment {
	row := s.row
	row.Path = path.Join(row.CameraID, filepath.Base(s.temp))
	row.Bytes, row.Frames, row.End = s.flushed, s.frames, row.Start.Add(duration(s.whole))
	return &row
}

// seal writes all units. next is how long the last one lasts, 0 when that is not
// known. Only sound can be added afterwards.
func (s *segment) seal(next time.Duration) error {
	if s.open {
		d := int64(s.last)
		if d == 0 {
			d = guess
		}
		if n := ticks(next); n > 0 && n <= ticks(jump) {
			d = n
		}
		s.close(d)
	}
	return s.flush()
}

// finish writes what is left and makes the file durable under its final name.
// next is as in seal. When it fails after some fragments were written, the row
// describes those.
func (s *segment) finish(next time.Duration) (store.Segment, error) {
	if s.sound != nil {
		s.sound.end()
	}
	if err := s.seal(next); err != nil {
		row, _ := s.rescue()
		return row, err
	}
	return s.publish()
}

// missing is how many units that were added are not in the file: not yet, or not any
// more since it was removed.
func (s *segment) missing() int {
	n := len(s.part)
	if s.open {
		n++
	}
	if s.gone {
		n += s.frames
	}
	return n
}

// rescue keeps the whole fragments of a file that could not be written on.
func (s *segment) rescue() (store.Segment, error) {
	if s.frames == 0 {
		return store.Segment{}, s.discard()
	}
	if err := s.file.Truncate(s.flushed); err != nil {
		return store.Segment{}, errors.Join(fmt.Errorf("cut segment: %w", err), s.file.Close())
	}
	s.row.Bytes = s.flushed
	return s.publish()
}

func (s *segment) publish() (store.Segment, error) {
	s.row.Frames = s.frames
	s.row.End = s.row.Start.Add(duration(s.whole))
	if s.until.After(s.row.Start) && s.until.Before(s.row.End) {
		s.row.End = s.until
	}
	var err error
	if s.sound != nil && s.row.Audio == "" { // a track without sound keeps some players waiting for it
		soundtrack.Remove(s.head)
		_, err = s.file.WriteAt(s.head, 0)
	}
	// After a failed sync the system forgets what it could not write, and the next
	// sync would succeed: such a file must not be found and believed in later.
	if err := s.file.Sync(); err != nil {
		return store.Segment{}, errors.Join(fmt.Errorf("complete segment: %w", err), s.discard())
	}
	err = errors.Join(err, s.file.Close())
	if err == nil {
		err = place(s.root, s.temp, s.row.Path)
	}
	if err != nil { // the file keeps its temporary name and is salvaged later
		return store.Segment{}, fmt.Errorf("complete segment: %w", err)
	}
	return s.row, nil
}

func (s *segment) discard() error {
	s.gone = true
	return errors.Join(s.file.Close(), os.Remove(s.temp))
}

// place gives a synced file its final name and syncs the folders.
func place(root, temp, name string) error {
	final := filepath.Join(root, filepath.FromSlash(name))
	dir := filepath.Dir(final)
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return err
	}
	if err := os.Rename(temp, final); err != nil {
		return err
	}
	for _, d := range []string{dir, filepath.Dir(dir), root} {
		if err := syncDir(d); err != nil {
			return err
		}
	}
	return nil
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// name is what the name of a file tells; it is all that salvaging has to go by.
type name struct {
	start     time.Time
	clock     string
	timeError time.Duration
}

const (
	stamp      = "20060102T150405.000000Z"
	fileSuffix = ".mp4"
	tempSuffix = ".part"
)

func nameOf(u pipeline.Unit) name {
	c := string(u.Clock)
	if c == "" {
		c = "arrival"
	}
	return name{u.Time.UTC().Truncate(time.Microsecond), c, max(0, u.TimeError).Round(time.Microsecond)}
}

func (n name) String() string {
	return fmt.Sprintf("%s-%s-%dus%s", n.start.Format(stamp), n.clock, n.timeError.Microseconds(), fileSuffix)
}

// path is where the file ends up, below the media folder and slash-separated.
func (n name) path(cameraID string) string {
	return path.Join(cameraID, n.start.Format(time.DateOnly), n.String())
}

func ticks(d time.Duration) int64 { return int64(math.Round(d.Seconds() * clock)) }

func duration(ticks int64) time.Duration {
	return time.Duration(math.Round(float64(ticks) / clock * float64(time.Second)))
}
