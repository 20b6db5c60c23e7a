package floor

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/asticode/go-astiav"
	"golang.org/x/sys/unix"

	"detectd/pipeline"
	"detectd/pipeline/decode"
	"detectd/pipeline/frame"
	"detectd/pipeline/source/file"
)

// Streams is what a number of streams that are decoded as fast as it goes gave together.
type Streams struct {
	FPS    float64       // pictures per second, of all streams
	CPU    time.Duration // per picture
	Frames uint64
	Card   decode.CardStats // of that time, and of no bare loop
}

// warmCard is how long streams run before they are measured, once all have begun.
const warmCard = time.Second

// beginning is how long the slowest of the streams may take to its first picture.
const beginning = 30 * time.Second

// BareCard measures the floor of decoding on a card (G1): bare libavcodec loops over the
// file, all in the card's primary context, with nothing done to the pictures.
func BareCard(ctx context.Context, path string, device, streams int, d time.Duration) (Streams, error) {
	return atOnce(ctx, streams, d, func(ctx context.Context, count func()) error {
		return bareLoop(ctx, path, device, count)
	}, nil)
}

// bareLoop decodes the file over and over.
func bareLoop(ctx context.Context, path string, device int, count func()) error {
	shared := astiav.NewDictionary()
	defer shared.Free()
	if err := shared.Set("primary_ctx", "1", 0); err != nil {
		return fmt.Errorf("choose context: %w", err)
	}
	card, err := astiav.CreateHardwareDeviceContext(astiav.HardwareDeviceTypeCUDA, fmt.Sprint(device), shared)
	if err != nil {
		return fmt.Errorf("open card %d: %w", device, err)
	}
	var decoder *astiav.CodecContext // also owns the card
	packet, picture := astiav.AllocPacket(), astiav.AllocFrame()
	defer func() {
		picture.Free()
		packet.Free()
		if decoder != nil {
			decoder.SetPixelFormatCallback(nil)
			decoder.Free()
		}
	}()
	for ctx.Err() == nil {
		err := onePass(ctx, path, packet, func(s *astiav.Stream) error {
			if decoder == nil {
				if decoder, err = openDecoder(s, path, func(c *astiav.CodecContext) { useCard(c, card) }); err != nil {
					return err
				}
			}
			return feed(decoder, packet, picture, path, func() error {
				if picture.PixelFormat() != astiav.PixelFormatCuda {
					return fmt.Errorf("decode %s: the card does not take it", path)
				}
				count()
				return nil
			})
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// useCard has a decoder that is not open yet decode on the card.
func useCard(decoder *astiav.CodecContext, card *astiav.HardwareDeviceContext) {
	decoder.SetHardwareDeviceContext(card)
	decoder.SetPixelFormatCallback(func(offers []astiav.PixelFormat) astiav.PixelFormat {
		if slices.Contains(offers, astiav.PixelFormatCuda) {
			return astiav.PixelFormatCuda
		}
		return offers[len(offers)-1]
	})
}

// onePass calls each with packet for every packet of the video of a file.
func onePass(ctx context.Context, path string, packet *astiav.Packet, each func(*astiav.Stream) error) error {
	input := astiav.AllocFormatContext()
	defer input.Free()
	if err := input.OpenInput(path, nil, nil); err != nil {
		return fmt.Errorf("open %s: %w", path, err)
	}
	defer input.CloseInput()
	stream, err := findVideo(input, path)
	if err != nil {
		return err
	}
	return readPackets(ctx, input, stream, packet, path, func() error { return each(stream) })
}

// OurCard measures detectd's own decoder with as many streams of the file. Of each, hz
// pictures per second of the video are read, as the detector does; 0: none.
func OurCard(ctx context.Context, path string, device, streams int, hz float64, d time.Duration) (s Streams, err error) {
	info, err := file.Probe(path)
	if err != nil {
		return s, fmt.Errorf("open %s: %w", path, err)
	}
	card, err := decode.OpenCard(device)
	if err != nil {
		return s, err
	}
	defer card.Close()
	return atOnce(ctx, streams, d, func(ctx context.Context, count func()) error {
		return ourLoop(ctx, path, info.Format, card, hz, count)
	}, card.Stats)
}

// ourLoop decodes the file over and over as a camera's.
func ourLoop(ctx context.Context, path string, format pipeline.Format, card *decode.Card, hz float64, count func()) (err error) {
	src, err := file.New(file.Config{Path: path, Loop: true, NoSound: true})
	if err != nil {
		return err
	}
	var pool frame.Pool
	defer pool.Close()
	d, err := decode.New(format, &pool, decode.Options{Card: card})
	if err != nil {
		return fmt.Errorf("open %s: %w", path, err)
	}
	defer d.Close()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var due time.Duration
	take := func(f *frame.Frame) {
		if hz > 0 && f.PTS >= due {
			due = f.PTS + time.Duration(float64(time.Second)/hz)
			f.AV()
		}
		f.Release()
		count()
	}
	ran := src.Run(ctx, units(func(u pipeline.Unit) {
		if err != nil || ctx.Err() != nil {
			return
		}
		err = d.Decode(u, take)
		if where, why := d.Where(); err == nil && where == pipeline.OnCPU {
			err = errors.New(why)
		}
		if err != nil {
			cancel()
		}
	}))
	if err == nil && ctx.Err() == nil {
		err = ran
	}
	return err
}

// atOnce runs the streams and measures them for d, once all have begun.
func atOnce(ctx context.Context, streams int, d time.Duration, run func(ctx context.Context, count func()) error, stats func() decode.CardStats) (s Streams, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	var all sync.WaitGroup
	defer func() {
		cancel(context.Canceled)
		all.Wait()
		if cause := context.Cause(ctx); err == nil && !errors.Is(cause, context.Canceled) {
			err = cause
		}
	}()
	if stats == nil {
		stats = func() decode.CardStats { return decode.CardStats{} }
	}
	var frames atomic.Uint64
	begun := make(chan struct{}, streams)
	for range streams {
		all.Go(func() {
			first := true
			err := run(ctx, func() {
				frames.Add(1)
				if first {
					first = false
					begun <- struct{}{}
				}
			})
			if err != nil {
				cancel(err)
			}
		})
	}
	late := time.NewTimer(beginning)
	defer late.Stop()
	for range streams {
		select {
		case <-begun:
		case <-late.C:
			return s, errors.New("a stream gave no picture")
		case <-ctx.Done():
			return s, context.Cause(ctx)
		}
	}
	if err := sleep(ctx, warmCard); err != nil {
		return s, err
	}
	was, statsWas, began := frames.Load(), stats(), time.Now()
	cpu, err := cpuTime(unix.RUSAGE_SELF)
	if err != nil {
		return s, err
	}
	if err := sleep(ctx, d); err != nil {
		return s, err
	}
	now, took := stats(), time.Since(began)
	used, err := cpuTime(unix.RUSAGE_SELF)
	if err != nil {
		return s, err
	}
	s.Frames = frames.Load() - was
	if s.Frames == 0 {
		return s, errors.New("the streams gave no more pictures")
	}
	s.FPS = float64(s.Frames) / took.Seconds()
	s.CPU = (used - cpu) / time.Duration(s.Frames) //nolint:gosec // no bench is that long
	s.Card = decode.CardStats{Pictures: now.Pictures - statsWas.Pictures, Fetched: now.Fetched - statsWas.Fetched, Bytes: now.Bytes - statsWas.Bytes}
	return s, nil
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
