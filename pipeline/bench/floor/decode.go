// Package floor measures what cannot be done without: a bare libavcodec loop (F1)
// and a bare ONNX Runtime loop (F2); and, against the second, the detector pool
// that the daemon runs.
package floor

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"time"

	"github.com/asticode/go-astiav"
	"golang.org/x/sys/unix"

	"detectd/pipeline/bench/stats"
)

// Decoding is F1.
type Decoding struct {
	CPU    time.Duration // per frame
	P50    time.Duration // from handing in a unit to having its frame, the median
	Frames int           // in the file
}

// Decode measures F1: a bare libavcodec loop over the file on one thread, with
// nothing done to the frames.
func Decode(path string) (d Decoding, err error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	input := astiav.AllocFormatContext()
	defer input.Free()
	if err := input.OpenInput(path, nil, nil); err != nil {
		return d, fmt.Errorf("open %s: %w", path, err)
	}
	defer input.CloseInput()
	stream, err := findVideo(input, path)
	if err != nil {
		return d, err
	}
	decoder, err := openDecoder(stream, path, func(*astiav.CodecContext) {})
	if err != nil {
		return d, err
	}
	defer decoder.Free()
	packet, picture := astiav.AllocPacket(), astiav.AllocFrame()
	defer packet.Free()
	defer picture.Free()
	var took []time.Duration
	decode := func(p *astiav.Packet) error {
		began, before := time.Now(), d.Frames
		err := feed(decoder, p, picture, path, func() error { d.Frames++; return nil })
		if err == nil && d.Frames > before {
			took = append(took, time.Since(began))
		}
		return err
	}
	began, err := cpuTime(unix.RUSAGE_THREAD)
	if err != nil {
		return d, err
	}
	if err := readPackets(context.Background(), input, stream, packet, path, func() error { return decode(packet) }); err != nil {
		return d, err
	}
	if err := decode(nil); err != nil {
		return d, err
	}
	ended, err := cpuTime(unix.RUSAGE_THREAD)
	if err != nil {
		return d, err
	}
	if d.Frames == 0 {
		return d, fmt.Errorf("decode %s: it holds no picture", path)
	}
	d.CPU, d.P50 = (ended-began)/time.Duration(d.Frames), stats.Median(took)
	return d, nil
}

// findVideo is the first video of an opened input.
func findVideo(input *astiav.FormatContext, path string) (*astiav.Stream, error) {
	if err := input.FindStreamInfo(nil); err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	i := slices.IndexFunc(input.Streams(), func(s *astiav.Stream) bool {
		return s.CodecParameters().MediaType() == astiav.MediaTypeVideo
	})
	if i < 0 {
		return nil, fmt.Errorf("%s has no video", path)
	}
	return input.Streams()[i], nil
}

// openDecoder opens a decoder of one thread for a stream, prepared as is told. The
// caller frees it.
func openDecoder(s *astiav.Stream, path string, prepare func(*astiav.CodecContext)) (*astiav.CodecContext, error) {
	codec := astiav.FindDecoder(s.CodecParameters().CodecID())
	if codec == nil {
		return nil, fmt.Errorf("no decoder for the video of %s", path)
	}
	decoder := astiav.AllocCodecContext(codec)
	decoder.SetThreadCount(1)
	err := s.CodecParameters().ToCodecContext(decoder)
	if err == nil {
		prepare(decoder)
		err = decoder.Open(codec, nil)
	}
	if err != nil {
		decoder.Free()
		return nil, fmt.Errorf("open decoder: %w", err)
	}
	return decoder, nil
}

// readPackets calls each with packet for every packet of the stream, until ctx ends.
func readPackets(ctx context.Context, input *astiav.FormatContext, s *astiav.Stream, packet *astiav.Packet, path string, each func() error) error {
	for ctx.Err() == nil {
		err := input.ReadFrame(packet)
		if errors.Is(err, astiav.ErrEof) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read %s: %w", path, err)
		}
		if packet.StreamIndex() == s.Index() {
			err = each()
		}
		packet.Unref()
		if err != nil {
			return err
		}
	}
	return nil
}

// feed gives the decoder a packet, nil at the end, and calls each with picture for
// every picture that comes out.
func feed(decoder *astiav.CodecContext, packet *astiav.Packet, picture *astiav.Frame, path string, each func() error) error {
	if err := decoder.SendPacket(packet); err != nil {
		return fmt.Errorf("decode %s: %w", path, err)
	}
	for {
		err := decoder.ReceiveFrame(picture)
		if errors.Is(err, astiav.ErrEagain) || errors.Is(err, astiav.ErrEof) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("decode %s: %w", path, err)
		}
		err = each()
		picture.Unref()
		if err != nil {
			return err
		}
	}
}

// cpuTime is the user and system time of this process or thread.
func cpuTime(who int) (time.Duration, error) {
	var usage unix.Rusage
	if err := unix.Getrusage(who, &usage); err != nil {
		return 0, fmt.Errorf("read CPU time: %w", err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano()), nil
}
