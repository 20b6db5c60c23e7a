package bench

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/asticode/go-astiav"
	"golang.org/x/sys/unix"

	"detectd/detect"
	"detectd/detect/model"
	"detectd/detect/ort"
)

// DecodeFloor is F1: the CPU time per frame of a bare libavcodec loop over the
// file, one thread, nothing else.
func DecodeFloor(path string) (time.Duration, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	input := astiav.AllocFormatContext()
	defer input.Free()
	if err := input.OpenInput(path, nil, nil); err != nil {
		return 0, fmt.Errorf("open %s: %w", path, err)
	}
	defer input.CloseInput()
	if err := input.FindStreamInfo(nil); err != nil {
		return 0, fmt.Errorf("open %s: %w", path, err)
	}
	i := slices.IndexFunc(input.Streams(), func(s *astiav.Stream) bool {
		return s.CodecParameters().MediaType() == astiav.MediaTypeVideo
	})
	if i < 0 {
		return 0, fmt.Errorf("%s has no video", path)
	}
	stream := input.Streams()[i]
	codec := astiav.FindDecoder(stream.CodecParameters().CodecID())
	if codec == nil {
		return 0, fmt.Errorf("no decoder for the video of %s", path)
	}
	decoder := astiav.AllocCodecContext(codec)
	defer decoder.Free()
	if err := stream.CodecParameters().ToCodecContext(decoder); err != nil {
		return 0, fmt.Errorf("open decoder: %w", err)
	}
	decoder.SetThreadCount(1)
	if err := decoder.Open(codec, nil); err != nil {
		return 0, fmt.Errorf("open decoder: %w", err)
	}
	packet, picture := astiav.AllocPacket(), astiav.AllocFrame()
	defer packet.Free()
	defer picture.Free()
	frames := 0
	receive := func() error {
		for {
			err := decoder.ReceiveFrame(picture)
			if errors.Is(err, astiav.ErrEagain) || errors.Is(err, astiav.ErrEof) {
				return nil
			}
			if err != nil {
				return fmt.Errorf("decode: %w", err)
			}
			frames++
			picture.Unref()
		}
	}
	began, err := cpuTime(unix.RUSAGE_THREAD)
	if err != nil {
		return 0, err
	}
	for {
		err := input.ReadFrame(packet)
		if errors.Is(err, astiav.ErrEof) {
			break
		}
		if err != nil {
			return 0, fmt.Errorf("read %s: %w", path, err)
		}
		if packet.StreamIndex() == stream.Index() {
			err = errors.Join(decoder.SendPacket(packet), receive())
		}
		packet.Unref()
		if err != nil {
			return 0, err
		}
	}
	if err := errors.Join(decoder.SendPacket(nil), receive()); err != nil {
		return 0, err
	}
	ended, err := cpuTime(unix.RUSAGE_THREAD)
	if err != nil || frames == 0 {
		return 0, errors.Join(err, fmt.Errorf("%s: %d frames", path, frames))
	}
	return (ended - began) / time.Duration(frames), nil
}

// InferFloor is F2: the CPU time per inference of a bare ONNX Runtime loop with
// as many callers as processors, intra-op 1, spinning off.
func InferFloor(ctx context.Context, library, modelFile string, runs int) (time.Duration, error) {
	data, err := os.ReadFile(modelFile)
	if err != nil {
		return 0, fmt.Errorf("open model: %w", err)
	}
	rt, err := ort.Open(library)
	if err != nil {
		return 0, err
	}
	defer func() { _ = rt.Close() }()
	c, err := model.Sniff(data)
	if err != nil {
		return 0, err
	}
	info := ort.Info{
		Input: c.Input.Name, Shape: []int64{-1, 3, int64(c.Input.Height), int64(c.Input.Width)},
		Outputs: slices.Sorted(maps.Values(c.Outputs)),
	}
	if c.Input.Layout == detect.NHWC {
		info.Shape = []int64{-1, int64(c.Input.Height), int64(c.Input.Width), 3}
	}
	session, err := rt.NewSession(data, info, ort.Options{})
	if err != nil {
		return 0, err
	}
	defer func() { _ = session.Close() }()
	callers := runtime.GOMAXPROCS(0)
	loop := func(n int) error {
		errs := make([]error, callers)
		var wg sync.WaitGroup
		for i := range callers {
			wg.Go(func() {
				call, err := session.Acquire(1)
				if err != nil {
					errs[i] = err
					return
				}
				defer call.Release()
				for range n {
					if err := call.Run(ctx); err != nil {
						errs[i] = err
						return
					}
				}
			})
		}
		wg.Wait()
		return errors.Join(errs...)
	}
	if err := loop(3); err != nil { // first runs allocate
		return 0, err
	}
	began, err := cpuTime(unix.RUSAGE_SELF)
	if err != nil {
		return 0, err
	}
	if err := loop(runs); err != nil {
		return 0, err
	}
	ended, err := cpuTime(unix.RUSAGE_SELF)
	return (ended - began) / time.Duration(callers*runs), err
}

// cpuTime is the user and system time of this process or thread.
func cpuTime(who int) (time.Duration, error) {
	var usage unix.Rusage
	if err := unix.Getrusage(who, &usage); err != nil {
		return 0, fmt.Errorf("read CPU time: %w", err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano()), nil
}
