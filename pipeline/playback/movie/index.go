package movie

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"

	amp4 "github.com/abema/go-mp4"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/fmp4"

	"detectd/pipeline/frame"
	"detectd/pipeline/matrix"
	"detectd/pipeline/soundtrack"
)

// maxHead bounds the boxes that are read into memory; media data is skipped.
const maxHead = 16 << 20

// sample is a coded picture or piece of sound in a file.
type sample struct {
	file   int   // of the movie's files
	offset int64 // in the file
	size   uint32
	dts    int64 // ticks of its track
	shift  int32 // presentation time less decoding time
	length uint32
	sync   bool
}

func (s sample) pts() int64 { return s.dts + int64(s.shift) }

// index is what a recorded file holds.
type index struct {
	init    fmp4.Init
	turned  frame.Orientation // of its pictures
	samples map[int][]sample  // by track
}

// boxHead is where a box at the top of a file is.
type boxHead struct {
	kind   string
	at     int64
	size   int64
	header int64 // bytes before its payload
}

// boxes calls fn for the whole boxes at the top of a file, up to where it ends or
// is torn, or fn returns false.
func boxes(r io.ReaderAt, size int64, fn func(boxHead) (bool, error)) error {
	for at := int64(0); at+8 <= size; {
		var head [16]byte
		if _, err := r.ReadAt(head[:8], at); err != nil {
			return fmt.Errorf("read recording: %w", err)
		}
		b := boxHead{kind: string(head[4:8]), at: at, size: int64(binary.BigEndian.Uint32(head[:])), header: 8}
		if b.size == 1 {
			if _, err := r.ReadAt(head[:], at); err != nil {
				return nil //nolint:nilerr // torn here
			}
			large := binary.BigEndian.Uint64(head[8:])
			if large > math.MaxInt64 {
				return nil
			}
			b.size, b.header = int64(large), 16
		}
		if b.size < b.header || b.size > size-at {
			return nil
		}
		if more, err := fn(b); err != nil || !more {
			return err
		}
		at += b.size
	}
	return nil
}

// HeadSize returns how many bytes at the start of a recorded file describe it;
// media follows. It is what an HLS player needs as the initialisation of the file.
func HeadSize(r io.ReaderAt, size int64) (int64, error) {
	head := int64(0)
	err := boxes(r, size, func(b boxHead) (bool, error) {
		if b.kind == "moov" {
			head = b.at + b.size
			return false, nil
		}
		return b.kind != "moof", nil
	})
	if err == nil && head == 0 {
		err = ErrNoMedia
	}
	return head, err
}

// read walks through the boxes of a recorded file without its media data.
func read(file int, f *os.File) (index, error) {
	info, err := f.Stat()
	if err != nil {
		return index{}, fmt.Errorf("read recording: %w", err)
	}
	x := index{samples: map[int][]sample{}}
	var pending []sample // of the last moof, which count once their data is there
	var tracks []int
	err = boxes(f, info.Size(), func(b boxHead) (bool, error) {
		switch b.kind {
		case "moov":
			if b.size > maxHead {
				return false, fmt.Errorf("read recording: its head has %d bytes", b.size)
			}
			head := make([]byte, b.at+b.size)
			if _, err := f.ReadAt(head, 0); err != nil {
				return false, fmt.Errorf("read head of recording: %w", err)
			}
			x.turned = matrix.Read(head)
			soundtrack.FromFile(head)
			if err := x.init.Unmarshal(bytes.NewReader(head)); err != nil {
				return false, fmt.Errorf("read head of recording: %w", err)
			}
		case "moof":
			if b.size > maxHead {
				return false, fmt.Errorf("read recording: a fragment's head has %d bytes", b.size)
			}
			pending, tracks, err = fragment(file, io.NewSectionReader(f, b.at, b.size), b.at)
			return err == nil, err
		case "mdat":
			for i, s := range pending {
				if s.offset < b.at || s.offset+int64(s.size) > b.at+b.size {
					return false, errors.New("read recording: a fragment points out of its data")
				}
				x.samples[tracks[i]] = append(x.samples[tracks[i]], s)
			}
			pending, tracks = nil, nil
		}
		return true, nil
	})
	return x, err
}

// Flags of ISO/IEC 14496-12, sections 8.8.7 and 8.8.8.
const (
	trunDuration = 0x100
	trunSize     = 0x200
	trunFlags    = 0x400
	trunFirst    = 0x004
	nonSync      = 0x10000
)

// fragment reads a moof box that lies at a place of its file.
func fragment(file int, r io.ReadSeeker, at int64) (samples []sample, tracks []int, err error) {
	var header *amp4.Tfhd
	var dts int64
	_, err = amp4.ReadBoxStructure(r, func(h *amp4.ReadHandle) (any, error) {
		switch h.BoxInfo.Type.String() {
		case "moof", "traf":
			return h.Expand()
		case "tfhd", "tfdt", "trun":
		default:
			return nil, nil //nolint:nilnil // of no interest
		}
		box, _, err := h.ReadPayload()
		if err != nil {
			return nil, err
		}
		switch box := box.(type) {
		case *amp4.Tfhd:
			header, dts = box, 0
		case *amp4.Tfdt:
			dts = int64(box.GetBaseMediaDecodeTime()) //nolint:gosec // a file lasts at most an hour
		case *amp4.Trun:
			if header == nil {
				return nil, errors.New("a run of samples belongs to no track")
			}
			run := runSamples(header, box, file, at+int64(box.DataOffset), dts)
			for _, s := range run {
				dts = s.dts + int64(s.length)
				samples, tracks = append(samples, s), append(tracks, int(header.TrackID))
			}
		}
		return nil, nil //nolint:nilnil // nothing is collected this way
	})
	if err != nil {
		return nil, nil, fmt.Errorf("read fragment of recording: %w", err)
	}
	return samples, tracks, nil
}

// runSamples spells out a run whose data begins at offset.
func runSamples(header *amp4.Tfhd, run *amp4.Trun, file int, offset, dts int64) []sample {
	has := func(flag uint32) bool { return run.CheckFlag(flag) }
	out := make([]sample, 0, len(run.Entries))
	for i, e := range run.Entries {
		s := sample{file: file, offset: offset, dts: dts, size: header.DefaultSampleSize, length: header.DefaultSampleDuration}
		flags := header.DefaultSampleFlags
		switch {
		case has(trunFlags):
			flags = e.SampleFlags
		case i == 0 && has(trunFirst):
			flags = run.FirstSampleFlags
		}
		if has(trunSize) {
			s.size = e.SampleSize
		}
		if has(trunDuration) {
			s.length = e.SampleDuration
		}
		s.sync = flags&nonSync == 0
		s.shift = int32(run.GetSampleCompositionTimeOffset(i)) //nolint:gosec // it has 32 bits in the file
		out = append(out, s)
		offset += int64(s.size)
		dts += int64(s.length)
	}
	return out
}
