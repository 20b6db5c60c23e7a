// Package soundtrack says how recorded sound is described in the head of an MP4
// file: AAC as mp4a and Opus as Opus, which all players know, and G.711, for which
// MP4 has no form of its own, as ulaw and alaw of QuickTime.
//
// mediacommon writes and reads heads, but not those of G.711. Its place is taken by
// linear PCM, whose description has the same layout: ToFile and FromFile translate
// between the head that mediacommon knows and the one in a file.
package soundtrack

import (
	"encoding/binary"
	"fmt"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/mpeg4audio"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/mp4/codecs"

	"detectd/pipeline"
)

// lawBits is the size of a G.711 sample; linear PCM of this size stands for it,
// A-law where it would be little-endian.
const lawBits = 8

// Codec is what mediacommon calls the format.
func Codec(f pipeline.SoundFormat) (codecs.Codec, error) {
	switch f.Codec {
	case pipeline.AAC:
		c := &codecs.MPEG4Audio{}
		if err := c.Config.Unmarshal(f.Config); err != nil {
			return nil, fmt.Errorf("read description of sound: %w", err)
		}
		return c, nil
	case pipeline.Opus:
		return &codecs.Opus{ChannelCount: f.Channels}, nil
	case pipeline.PCMU, pipeline.PCMA:
		return &codecs.LPCM{
			BitDepth: lawBits, LittleEndian: f.Codec == pipeline.PCMA, SampleRate: f.Rate, ChannelCount: f.Channels,
		}, nil
	}
	return nil, fmt.Errorf("sound coded as %q cannot be recorded", f.Codec)
}

// Name is the codec of a track as mediacommon calls it, empty for what Codec never
// returns.
func Name(c codecs.Codec) pipeline.Codec {
	switch c := c.(type) {
	case *codecs.MPEG4Audio:
		return pipeline.AAC
	case *codecs.Opus:
		return pipeline.Opus
	case *codecs.LPCM:
		if c.BitDepth == lawBits && c.LittleEndian {
			return pipeline.PCMA
		}
		if c.BitDepth == lawBits {
			return pipeline.PCMU
		}
	}
	return ""
}

// Streams tells whether browsers play the codec in MP4 files and in HLS.
func Streams(codec pipeline.Codec) bool { return codec == pipeline.AAC || codec == pipeline.Opus }

// SamplesOf is the length of an AAC frame in samples.
func SamplesOf(c mpeg4audio.AudioSpecificConfig) int {
	if c.FrameLengthFlag {
		return 960
	}
	return mpeg4audio.SamplesPerAccessUnit
}

// ToFile makes of a head as mediacommon wrote it the one that belongs into a file.
func ToFile(head []byte) {
	eachSound(head, func(_, _, entry box) {
		if entry.kind != "ipcm" {
			return
		}
		each(head, entry.body+entryFields, entry.end, func(b box) {
			if b.kind != "pcmC" || b.end-b.body < 6 || head[b.body+5] != lawBits {
				return
			}
			name := "ulaw"
			if head[b.body+4]&1 != 0 {
				name = "alaw"
			}
			copy(head[entry.at+4:], name)
			copy(head[b.at+4:], "free") // it means linear PCM to some players
		})
	})
}

// FromFile undoes ToFile.
func FromFile(head []byte) {
	eachSound(head, func(_, _, entry box) {
		if entry.kind != "ulaw" && entry.kind != "alaw" {
			return
		}
		copy(head[entry.at+4:], "ipcm")
		each(head, entry.body+entryFields, entry.end, func(b box) {
			if b.kind == "free" {
				copy(head[b.at+4:], "pcmC")
			}
		})
	})
}

// Mute has players of a head's file pass over the sound: they take its track for
// one of a kind that they know nothing of.
func Mute(head []byte) {
	eachSound(head, func(_, handler, _ box) { copy(head[handler.body+handlerType:], "meta") })
}

// Remove takes the sound out of the head of a file that holds none.
func Remove(head []byte) {
	eachSound(head, func(track, _, _ box) { copy(head[track.at+4:], "free") })
}

// Places in boxes, in bytes from the begin of their bodies (ISO/IEC 14496-12).
const (
	handlerType = 8  // in hdlr, 8.4.3
	stsdEntries = 8  // in stsd, 8.5.2
	entryFields = 28 // of an AudioSampleEntry, before its boxes, 12.2.3
)

// box is a box in a head.
type box struct {
	kind          string
	at, body, end int
}

// each calls fn for the boxes between two places, up to one that is not whole.
func each(head []byte, from, to int, fn func(box)) {
	const header = 8
	for at := from; at+header <= to; {
		size := int(binary.BigEndian.Uint32(head[at:]))
		if size < header || size > to-at {
			return
		}
		b := box{string(head[at+4 : at+header]), at, at + header, at + size}
		at = b.end
		fn(b)
	}
}

// eachSound calls fn for the tracks of sound.
func eachSound(head []byte, fn func(track, handler, entry box)) {
	each(head, 0, len(head), func(moov box) {
		if moov.kind != "moov" {
			return
		}
		each(head, moov.body, moov.end, func(track box) {
			if track.kind != "trak" {
				return
			}
			handler, entry := describe(head, track)
			if handler.end-handler.body >= handlerType+4 && entry.end-entry.body >= entryFields &&
				string(head[handler.body+handlerType:][:4]) == "soun" {
				fn(track, handler, entry)
			}
		})
	})
}

// describe finds the handler and the first sample entry of a track.
func describe(head []byte, in box) (handler, entry box) {
	each(head, in.body, in.end, func(b box) {
		switch b.kind {
		case "hdlr":
			handler = b
		case "mdia", "minf", "stbl":
			h, e := describe(head, b)
			if h.end > 0 {
				handler = h
			}
			if e.end > 0 {
				entry = e
			}
		case "stsd":
			if b.end-b.body > stsdEntries {
				each(head, b.body+stsdEntries, b.end, func(e box) {
					if entry.end == 0 {
						entry = e
					}
				})
			}
		}
	})
	return handler, entry
}
