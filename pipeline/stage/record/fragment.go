package record

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"math"
)

// sample is a unit or a piece of sound in a file.
type sample struct {
	nals     [][]byte // as they came; they are not changed
	size     int      // in the file
	duration uint32   // ticks
	offset   int32    // from decoding to presentation time, ticks
	key      bool
}

// run is what a fragment holds of one track.
type run struct {
	track    uint32
	dts      int64 // of the first sample, in ticks of the track
	samples  []sample
	prefixed bool // NAL units with their lengths in front
}

// bytes is what its samples take in the file.
func (r run) bytes() int {
	n := 0
	for _, s := range r.samples {
		n += s.size
	}
	return n
}

// fragments codes samples as the fragments of an MP4 file (ISO/IEC 14496-12, 8.8).
// It takes the coded video from where it lies to the file: of all that detectd does
// per picture outside libavcodec, copying it cost most.
type fragments struct {
	out  *bufio.Writer
	head []byte // reused
}

// lengthSize is what stands in front of a NAL unit, in bytes.
const lengthSize = 4

func newFragments(w io.Writer) *fragments {
	return &fragments{out: bufio.NewWriterSize(w, 32<<10)}
}

// sizeOf is what a unit takes in the file, in bytes.
func sizeOf(nals [][]byte, prefixed bool) int {
	n := 0
	for _, nal := range nals {
		n += len(nal)
		if prefixed {
			n += lengthSize
		}
	}
	return n
}

// write writes the runs, none of them empty, as fragment number n, and returns its
// size in bytes. After an error the file may hold a part of it.
func (f *fragments) write(n uint32, runs ...run) (int64, error) {
	data := 0
	for _, r := range runs {
		data += r.bytes()
	}
	if data > math.MaxUint32-boxSize {
		return 0, fmt.Errorf("code fragment: %d bytes are too many for one", data)
	}
	f.describe(n, runs)
	f.head = binary.BigEndian.AppendUint32(f.head, uint32(boxSize+data)) //nolint:gosec // checked above
	f.head = append(f.head, "mdat"...)
	f.put(f.head)
	for _, r := range runs {
		for _, s := range r.samples {
			for _, nal := range s.nals {
				if r.prefixed {
					f.put(binary.BigEndian.AppendUint32(f.out.AvailableBuffer(), uint32(len(nal)))) //nolint:gosec // part of data
				}
				f.put(nal)
			}
		}
	}
	return int64(len(f.head) + data), f.out.Flush()
}

// put writes b. The writer keeps the first error for Flush.
func (f *fragments) put(b []byte) { _, _ = f.out.Write(b) }

const (
	boxSize = 8 // of a box without content

	trunOffset    = 0x1 // the data's place is given
	trunDuration  = 0x100
	trunSize      = 0x200
	trunFlags     = 0x400
	trunComposing = 0x800 // the offset to the presentation time is given

	dataFromMoof = 0x020000 // the data's place counts from the moof box
	notKey       = 0x010000
)

// Sizes of boxes in a fragment's head.
const (
	mfhdSize = boxSize + 8
	tfhdSize = boxSize + 8
	tfdtSize = boxSize + 12
)

// shape is how the samples of a run are described: the flags, and the bytes that
// the run takes in the head.
func (r run) shape() (flags uint32, trun, traf int) {
	flags, each := uint32(trunOffset|trunDuration|trunSize), 8
	for _, s := range r.samples {
		if !s.key {
			flags |= trunFlags
		}
		if s.offset != 0 {
			flags |= trunComposing
		}
	}
	for _, field := range []uint32{trunFlags, trunComposing} {
		if flags&field != 0 {
			each += 4
		}
	}
	trun = boxSize + 12 + each*len(r.samples)
	return flags, trun, boxSize + tfhdSize + tfdtSize + trun
}

// describe makes the moof box in head.
func (f *fragments) describe(n uint32, runs []run) {
	moof := boxSize + mfhdSize
	for _, r := range runs {
		_, _, traf := r.shape()
		moof += traf
	}
	b := box(f.head[:0], moof, "moof")
	b = words(box(b, mfhdSize, "mfhd"), 0, n)
	data := moof + boxSize
	for _, r := range runs {
		flags, trun, traf := r.shape()
		b = box(b, traf, "traf")
		b = words(box(b, tfhdSize, "tfhd"), dataFromMoof, r.track)
		b = words(box(b, tfdtSize, "tfdt"), 1<<24)
		b = binary.BigEndian.AppendUint64(b, uint64(r.dts))                                //nolint:gosec // times count from the first unit
		b = words(box(b, trun, "trun"), 1<<24|flags, uint32(len(r.samples)), uint32(data)) //nolint:gosec // checked in write
		for _, s := range r.samples {
			b = words(b, s.duration, uint32(s.size)) //nolint:gosec // part of data
			if flags&trunFlags != 0 {
				sampleFlags := uint32(notKey)
				if s.key {
					sampleFlags = 0
				}
				b = words(b, sampleFlags)
			}
			if flags&trunComposing != 0 {
				b = words(b, uint32(s.offset)) //nolint:gosec // signed in the file as well
			}
		}
		data += r.bytes()
	}
	f.head = b
}

func box(b []byte, size int, name string) []byte {
	return append(binary.BigEndian.AppendUint32(b, uint32(size)), name...) //nolint:gosec // a few bytes per sample
}

func words(b []byte, all ...uint32) []byte {
	for _, w := range all {
		b = binary.BigEndian.AppendUint32(b, w)
	}
	return b
}
