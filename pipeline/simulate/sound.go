package simulate

/*
#cgo pkg-config: libavutil
#include <libavutil/frame.h>
*/
import "C"

import (
	"errors"
	"fmt"
	"math"
	"unsafe"

	"github.com/asticode/go-astiav"

	"detectd/pipeline"
)

// A test video with sound flashes and beeps at the begin of every second.
const (
	beepTime = 0.12 // seconds
	beepTone = 1000 // Hz
)

// flashes says that picture i is one that comes with a beep.
func (s Spec) flashes(i int) bool {
	return s.Sound != "" && float64(i%s.FPS)/float64(s.FPS) < beepTime
}

// beeper codes the sound of a test video.
type beeper struct {
	cc     *astiav.CodecContext
	pkt    *astiav.Packet
	stream *astiav.Stream
	at     int // samples so far
}

func newBeeper(codec pipeline.Codec) (*beeper, error) {
	var name string
	rate, kind := 8000, astiav.SampleFormatS16
	switch codec {
	case pipeline.AAC:
		name, rate, kind = "aac", 48000, astiav.SampleFormatFltp
	case pipeline.Opus:
		name, rate = "libopus", 48000
	case pipeline.PCMU:
		name = "pcm_mulaw"
	case pipeline.PCMA:
		name = "pcm_alaw"
	default:
		return nil, fmt.Errorf("generate sound: %q is not a codec of sound", codec)
	}
	encoder := astiav.FindEncoderByName(name)
	if encoder == nil {
		return nil, fmt.Errorf("find encoder %q: this libavcodec lacks it", name)
	}
	cc := astiav.AllocCodecContext(encoder)
	cc.SetSampleRate(rate)
	cc.SetSampleFormat(kind)
	cc.SetChannelLayout(astiav.ChannelLayoutMono)
	cc.SetTimeBase(astiav.NewRational(1, rate))
	cc.SetFlags(cc.Flags().Add(astiav.CodecContextFlagGlobalHeader))
	if err := cc.Open(encoder, nil); err != nil {
		cc.Free()
		return nil, fmt.Errorf("open encoder %s: %w", name, err)
	}
	return &beeper{cc: cc, pkt: astiav.AllocPacket()}, nil
}

func (b *beeper) close() {
	b.pkt.Free()
	b.cc.Free()
}

// until codes all that is heard before a time, in seconds.
func (b *beeper) until(end float64, write func(*astiav.Packet, *astiav.Stream) error) error {
	n := b.cc.FrameSize()
	if n == 0 {
		n = b.cc.SampleRate() / 50
	}
	for float64(b.at+n) <= end*float64(b.cc.SampleRate()) {
		f, err := b.hear(n)
		if err != nil {
			return err
		}
		err = b.encode(f, write)
		f.Free()
		if err != nil {
			return err
		}
		b.at += n
	}
	return nil
}

// hear makes the next n samples.
func (b *beeper) hear(n int) (*astiav.Frame, error) {
	f := astiav.AllocFrame()
	f.SetNbSamples(n)
	f.SetSampleRate(b.cc.SampleRate())
	f.SetSampleFormat(b.cc.SampleFormat())
	f.SetChannelLayout(b.cc.ChannelLayout())
	if err := f.AllocBuffer(0); err != nil {
		f.Free()
		return nil, fmt.Errorf("allocate sound: %w", err)
	}
	f.SetPts(int64(b.at))
	data := unsafe.Pointer((*C.AVFrame)(f.UnsafePointer()).data[0])
	for i := range n {
		t := float64(b.at+i) / float64(b.cc.SampleRate())
		v := 0.0
		if t-math.Floor(t) < beepTime {
			v = 0.5 * math.Sin(2*math.Pi*beepTone*t)
		}
		if b.cc.SampleFormat() == astiav.SampleFormatFltp {
			unsafe.Slice((*float32)(data), n)[i] = float32(v)
		} else {
			unsafe.Slice((*int16)(data), n)[i] = int16(v * math.MaxInt16)
		}
	}
	return f, nil
}

// encode sends f, or the end when f is nil.
func (b *beeper) encode(f *astiav.Frame, write func(*astiav.Packet, *astiav.Stream) error) error {
	if err := b.cc.SendFrame(f); err != nil {
		return fmt.Errorf("encode sound: %w", err)
	}
	for {
		switch err := b.cc.ReceivePacket(b.pkt); {
		case errors.Is(err, astiav.ErrEagain), errors.Is(err, astiav.ErrEof):
			return nil
		case err != nil:
			return fmt.Errorf("encode sound: %w", err)
		}
		b.pkt.RescaleTs(b.cc.TimeBase(), b.stream.TimeBase())
		err := write(b.pkt, b.stream)
		b.pkt.Unref()
		if err != nil {
			return err
		}
	}
}

// SamplesOf are the samples of decoded sound, of its first channel, from -1 to 1. It
// knows the forms that libavcodec decodes AAC, Opus and G.711 to, and returns nil
// for others.
func SamplesOf(f *astiav.Frame) []float32 {
	n := f.NbSamples()
	data := unsafe.Pointer((*C.AVFrame)(f.UnsafePointer()).data[0])
	step := 1
	switch f.SampleFormat() {
	case astiav.SampleFormatFlt, astiav.SampleFormatS16:
		step = max(f.ChannelLayout().NbChannels(), 1)
	}
	out := make([]float32, n)
	for i := range out {
		switch f.SampleFormat() {
		case astiav.SampleFormatFltp, astiav.SampleFormatFlt:
			out[i] = unsafe.Slice((*float32)(data), n*step)[i*step]
		case astiav.SampleFormatS16, astiav.SampleFormatS16P:
			out[i] = float32(unsafe.Slice((*int16)(data), n*step)[i*step]) / math.MaxInt16
		default:
			return nil
		}
	}
	return out
}
