package record

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"math"
)

// sample is a unit in a file.
type sample struct {
	nals     [][]byte // as they came; they are not changed
	size     int      // in the file
	duration uint32   // ticks
	offset   int32    // from decoding to presentation time, ticks
	key      bool
}

// fragments codes samples as the fragments of an MP4 file with one track (ISO/IEC
// 14496-12, 8.8). It takes the coded video from where it lies to the file: of all
// that detectd does per picture outside libavcodec, copying it cost most.
type fragments struct {
	out      *bufio.Writer
	prefixed bool   // NAL units with their lengths in front
	head     []byte // reused
}

// lengthSize is what stands in front of a NAL unit, in bytes.
const lengthSize = 4

func newFragments(w io.Writer, prefixed bool) *fragments {
	return &fragments{out: bufio.NewWriterSize(w, 32<<10), prefixed: prefixed}
}

// sizeOf is what a unit takes in the file, in bytes.
func (f *fragments) sizeOf(nals [][]byte) int {
	n := 0
	for _, nal := range nals {
		n += len(nal)
		if f.prefixed {
			n += lengthSize
		}
	}
	return n
}

// write writes the samples as fragment number n that begins at decoding time dts,
// and returns its size in bytes. After an error the file may hold a part of it.
func (f *fragments) write(n uint32, dts int64, samples []sample) (int64, error) {
	data := 0
	for _, s := range samples {
		data += s.size
	}
	if data > math.MaxUint32-boxSize {
		return 0, fmt.Errorf("code fragment: %d bytes are too many for one", data)
	}
	f.describe(n, dts, samples)
	f.head = binary.BigEndian.AppendUint32(f.head, uint32(boxSize+data)) //nolint:gosec // checked above
	f.head = append(f.head, "mdat"...)
	f.put(f.head)
	for _, s := range samples {
		for _, nal := range s.nals {
			if f.prefixed {
				f.put(binary.BigEndian.AppendUint32(f.out.AvailableBuffer(), uint32(len(nal)))) //nolint:gosec // part of data
			}
			f.put(nal)
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

// describe makes the moof box in head.
func (f *fragments) describe(n uint32, dts int64, samples []sample) {
	flags, each := uint32(trunOffset|trunDuration|trunSize), 8
	for _, s := range samples {
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
	const mfhd, tfhd, tfdt = boxSize + 8, boxSize + 8, boxSize + 12
	trun := boxSize + 12 + each*len(samples)
	traf := boxSize + tfhd + tfdt + trun
	moof := boxSize + mfhd + traf

	b := box(f.head[:0], moof, "moof")
	b = words(box(b, mfhd, "mfhd"), 0, n)
	b = box(b, traf, "traf")
	b = words(box(b, tfhd, "tfhd"), dataFromMoof, 1)
	b = words(box(b, tfdt, "tfdt"), 1<<24)
	b = binary.BigEndian.AppendUint64(b, uint64(dts)) //nolint:gosec // times count from the first unit
	b = words(box(b, trun, "trun"), 1<<24|flags, uint32(len(samples)), uint32(moof+boxSize))
	for _, s := range samples {
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
