package file

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"math/bits"
	"os"
)

// Short tells how many bytes a video file lacks at least, by what its container says
// of its own length: a copy that broke off, or a recorder that lost power. It is 0 for
// whole files and where nothing is said, as in a transport stream that ends between two
// packets, a stream without a container, or one that was never finished.
func Short(path string) (int64, error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, fmt.Errorf("read length of video: %w", err)
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return 0, fmt.Errorf("read length of video: %w", err)
	}
	return short(f, info.Size())
}

// tsPacket and m2tsPacket are the packets of transport streams, without and with a time
// before each.
const tsPacket, m2tsPacket = 188, 192

func short(f io.ReaderAt, size int64) (int64, error) {
	head := make([]byte, 256)
	n, err := f.ReadAt(head, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return 0, fmt.Errorf("read length of video: %w", err)
	}
	head = head[:n]
	end := int64(0)
	switch {
	case n < 16:
	case bytes.Equal(head[4:8], []byte("ftyp")) || bytes.Equal(head[4:8], []byte("styp")):
		end = endOfBoxes(f, size)
	case bytes.HasPrefix(head, []byte("RIFF")) && bytes.Equal(head[8:12], []byte("AVI ")):
		end = endOfChunks(f, size)
	case bytes.HasPrefix(head, []byte{0x1a, 0x45, 0xdf, 0xa3}):
		end = endOfSegment(head)
	case n > tsPacket && head[0] == 'G' && head[tsPacket] == 'G':
		end = (size + tsPacket - 1) / tsPacket * tsPacket
	case n > m2tsPacket+4 && head[4] == 'G' && head[m2tsPacket+4] == 'G':
		end = (size + m2tsPacket - 1) / m2tsPacket * m2tsPacket
	}
	return max(0, end-size), nil
}

// endOfBoxes is where the last box of an ISO file (14496-12) says that it ends; 0 when
// it goes up to the end of the file, however long that is.
func endOfBoxes(f io.ReaderAt, size int64) int64 {
	at := int64(0)
	for at < size {
		var head [16]byte
		n, _ := f.ReadAt(head[:], at) // what is read of a box at the end is enough
		if n < 8 {
			return at + 8
		}
		length := int64(binary.BigEndian.Uint32(head[:]))
		if length == 1 && n == len(head) {
			length = int64(min(binary.BigEndian.Uint64(head[8:]), math.MaxInt64>>1)) //nolint:gosec // bounded
		}
		if length < 8 {
			return 0
		}
		if at += length; at < 0 {
			return 0
		}
	}
	return at
}

// endOfChunks is the same for the RIFF chunks of an AVI file; large ones have several.
func endOfChunks(f io.ReaderAt, size int64) int64 {
	at := int64(0)
	for at < size {
		var head [8]byte
		if n, _ := f.ReadAt(head[:], at); n < len(head) || string(head[:4]) != "RIFF" {
			return at
		}
		length := int64(binary.LittleEndian.Uint32(head[4:]))
		if length == 0 || length == math.MaxUint32 { // never finished
			return 0
		}
		at += 8 + length
	}
	return at
}

// endOfSegment is the same for the segment behind the header of a Matroska file.
func endOfSegment(head []byte) int64 {
	length, n, known := vint(head[4:])
	at := 4 + n + int(length) //nolint:gosec // looked at below
	if !known || n == 0 || length > 200 || at+12 > len(head) || !bytes.Equal(head[at:at+4], []byte{0x18, 0x53, 0x80, 0x67}) {
		return 0
	}
	length, n, known = vint(head[at+4:])
	if !known || n == 0 || length > math.MaxInt64>>1 {
		return 0
	}
	return int64(at+4+n) + int64(length)
}

// vint reads a length of EBML (RFC 8794): as many bytes as there are zeros before the
// first 1, and that one; all ones are an unknown length.
func vint(b []byte) (value uint64, n int, known bool) {
	if len(b) == 0 || b[0] == 0 {
		return 0, 0, false
	}
	n = bits.LeadingZeros8(b[0]) + 1
	if len(b) < n {
		return 0, 0, false
	}
	value = uint64(b[0]) & (1<<(8-n) - 1)
	for _, c := range b[1:n] {
		value = value<<8 | uint64(c)
	}
	return value, n, value != 1<<(7*n)-1
}
