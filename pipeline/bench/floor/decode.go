// Package floor measures what cannot be done without: a bare libavcodec loop (F1)
// and a bare ONNX Runtime loop (F2); and, against the second, the detector pool
// that the daemon runs.
package floor

import (
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
	stream, decoder, err := openDecoder(input, path)
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
		if err := decoder.SendPacket(p); err != nil {
			return fmt.Errorf("decode %s: %w", path, err)
		}
		for {
			err := decoder.ReceiveFrame(picture)
			if errors.Is(err, astiav.ErrEagain) || errors.Is(err, astiav.ErrEof) {
				if d.Frames > before {
					took = append(took, time.Since(began))
				}
				return nil
			}
			if err != nil {
				return fmt.Errorf("decode %s: %w", path, err)
			}
			d.Frames++
			picture.Unref()
		}
	}
	began, err := cpuTime(unix.RUSAGE_THREAD)
	if err != nil {
		return d, err
	}
	for {
		err := input.ReadFrame(packet)
		if errors.Is(err, astiav.ErrEof) {
			break
		}
		if err != nil {
			return d, fmt.Errorf("read %s: %w", path, err)
		}
		if packet.StreamIndex() == stream.Index() {
			err = decode(packet)
		}
		packet.Unref()
		if err != nil {
			return d, err
		}
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

// openDecoder opens the video of an input. The caller frees the decoder.
func openDecoder(input *astiav.FormatContext, path string) (*astiav.Stream, *astiav.CodecContext, error) {
	if err := input.FindStreamInfo(nil); err != nil {
		return nil, nil, fmt.Errorf("open %s: %w", path, err)
	}
	stream := videoOf(input)
	if stream == nil {
		return nil, nil, fmt.Errorf("%s has no video", path)
	}
	codec := astiav.FindDecoder(stream.CodecParameters().CodecID())
	if codec == nil {
		return nil, nil, fmt.Errorf("no decoder for the video of %s", path)
	}
	decoder := astiav.AllocCodecContext(codec)
	decoder.SetThreadCount(1)
	err := stream.CodecParameters().ToCodecContext(decoder)
	if err == nil {
		err = decoder.Open(codec, nil)
	}
	if err != nil {
		decoder.Free()
		return nil, nil, fmt.Errorf("open decoder: %w", err)
	}
	return stream, decoder, nil
}

// videoOf is the first video of an input, nil without one.
func videoOf(input *astiav.FormatContext) *astiav.Stream {
	i := slices.IndexFunc(input.Streams(), func(s *astiav.Stream) bool {
		return s.CodecParameters().MediaType() == astiav.MediaTypeVideo
	})
	if i < 0 {
		return nil
	}
	return input.Streams()[i]
}

// cpuTime is the user and system time of this process or thread.
func cpuTime(who int) (time.Duration, error) {
	var usage unix.Rusage
	if err := unix.Getrusage(who, &usage); err != nil {
		return 0, fmt.Errorf("read CPU time: %w", err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano()), nil
}
