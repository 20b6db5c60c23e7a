package playback

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"strconv"
	"time"

	"github.com/asticode/go-astiav"

	"detectd/pipeline/frame"
)

// noTime is AV_NOPTS_VALUE.
const noTime = math.MinInt64

// maxPixels is the largest picture that is decoded.
const maxPixels = 64 << 20

// reader is an open file.
type reader struct {
	pool    *frame.Pool
	fc      *astiav.FormatContext
	stream  int
	base    float64 // nanoseconds a tick
	decoder *astiav.CodecContext
	packet  *astiav.Packet
	waiting []*astiav.Packet // since the last key frame, while it is not known whether they matter
	began   bool
	origin  int64 // presentation time of the first packet
	turned  frame.Orientation
}

// open reads the head of the file. Only the MP4 demuxer is asked, and it may open
// nothing but this file.
func open(path string, pool *frame.Pool) (*reader, error) {
	options, err := dictionary("protocol_whitelist", "file", "format_whitelist", "mov,mp4,m4a,3gp,3g2,mj2", "enable_drefs", "0")
	if err != nil {
		return nil, err
	}
	defer options.Free()
	fc := astiav.AllocFormatContext()
	if err := fc.OpenInput("file:"+path, astiav.FindInputFormat("mov"), options); err != nil { // frees fc
		return nil, fmt.Errorf("open file: %w", err)
	}
	r := &reader{pool: pool, fc: fc, packet: astiav.AllocPacket()}
	if err := r.choose(); err != nil {
		r.close()
		return nil, err
	}
	return r, nil
}

// choose opens a decoder for the video stream.
func (r *reader) choose() error {
	for _, s := range r.fc.Streams() {
		p := s.CodecParameters()
		if p.MediaType() != astiav.MediaTypeVideo {
			continue
		}
		codec := astiav.FindDecoder(p.CodecID())
		if codec == nil {
			return fmt.Errorf("open decoder: this libavcodec has none for %s", p.CodecID().Name())
		}
		r.stream, r.base = s.Index(), s.TimeBase().Float64()*float64(time.Second)
		r.turned = frame.OrientationOfStream(s)
		r.decoder = astiav.AllocCodecContext(codec)
		if err := p.ToCodecContext(r.decoder); err != nil {
			return fmt.Errorf("open decoder: %w", err)
		}
		r.decoder.SetThreadCount(min(4, runtime.GOMAXPROCS(0)))
		options, err := dictionary("max_pixels", strconv.Itoa(maxPixels))
		if err != nil {
			return err
		}
		defer options.Free()
		if err := r.decoder.Open(codec, options); err != nil {
			return fmt.Errorf("open decoder: %w", err)
		}
		return nil
	}
	return ErrNoFrame
}

func (r *reader) close() {
	for _, p := range r.waiting {
		p.Free()
	}
	r.packet.Free()
	if r.decoder != nil {
		r.decoder.Free()
	}
	r.fc.CloseInput()
}

// run reads the file. Packets before the last key frame that can matter are
// skipped without being decoded.
func (r *reader) run(ctx context.Context, from time.Duration, fn func(*frame.Frame, time.Duration) error) error {
	skipping := true
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		if !r.read() {
			break
		}
		if !skipping {
			if err := r.decode(r.packet, fn); err != nil {
				return err
			}
			continue
		}
		if r.packet.Flags().Has(astiav.PacketFlagKey) && r.at(r.packet.Pts()) <= from {
			r.drop()
		}
		r.waiting = append(r.waiting, r.packet.Clone())
		// Later packets decode, and so are shown, after this one.
		if skipping = r.at(r.packet.Dts()) <= from; !skipping {
			if err := r.decodeWaiting(ctx, fn); err != nil {
				return err
			}
		}
	}
	if err := r.decodeWaiting(ctx, fn); err != nil {
		return err
	}
	return r.decode(nil, fn)
}

// read takes the next whole packet of the video. False at the end of what can be read.
func (r *reader) read() bool {
	for {
		r.packet.Unref()
		if err := r.fc.ReadFrame(r.packet); err != nil {
			return false
		}
		if r.packet.StreamIndex() != r.stream || r.packet.Flags().Has(astiav.PacketFlagCorrupt) {
			continue // corrupt: the file ends within it
		}
		if r.packet.Pts() == noTime {
			r.packet.SetPts(r.packet.Dts())
		}
		if !r.began {
			r.began, r.origin = true, r.packet.Pts()
		}
		return true
	}
}

func (r *reader) at(pts int64) time.Duration {
	return time.Duration(math.Round(float64(pts-r.origin) * r.base))
}

func (r *reader) drop() {
	for _, p := range r.waiting {
		p.Free()
	}
	r.waiting = nil
}

func (r *reader) decodeWaiting(ctx context.Context, fn func(*frame.Frame, time.Duration) error) error {
	defer r.drop()
	for _, p := range r.waiting {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := r.decode(p, fn); err != nil {
			return err
		}
	}
	return nil
}

// decode sends a packet, or nil for the end, and gives out the pictures that are
// ready. A packet that cannot be decoded costs its picture, no more.
func (r *reader) decode(p *astiav.Packet, fn func(*frame.Frame, time.Duration) error) error {
	err := r.decoder.SendPacket(p)
	if errors.Is(err, astiav.ErrEagain) || errors.Is(err, astiav.ErrEof) {
		return fmt.Errorf("decode: %w", err) // never: all pictures are taken every time
	}
	for {
		f := r.pool.Get()
		err := r.decoder.ReceiveFrame(f.AV())
		if errors.Is(err, astiav.ErrEagain) || errors.Is(err, astiav.ErrEof) {
			f.Release()
			return nil
		}
		if err != nil { // of this picture
			f.Release()
			if p == nil {
				continue
			}
			return nil
		}
		pts := f.AV().Pts()
		if pts == noTime {
			pts = f.AV().PktDts()
		}
		at := r.at(pts)
		f.PTS, f.Key, f.Orientation = at, f.AV().KeyFrame(), r.turned
		if at < 0 { // needs pictures of the file before
			f.Release()
			continue
		}
		err = fn(f, at)
		f.Release()
		if err != nil {
			return err
		}
	}
}

func dictionary(pairs ...string) (*astiav.Dictionary, error) {
	d := astiav.NewDictionary()
	for i := 0; i < len(pairs); i += 2 {
		if err := d.Set(pairs[i], pairs[i+1], 0); err != nil {
			d.Free()
			return nil, fmt.Errorf("set option %s: %w", pairs[i], err)
		}
	}
	return d, nil
}
