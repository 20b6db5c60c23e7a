package simulate

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/asticode/go-astiav"

	"detectd/pipeline"
	"detectd/pipeline/decode"
	"detectd/pipeline/frame"
	"detectd/pipeline/source/file"
)

// sendable says that RTP can carry the file as it is.
func sendable(ctx context.Context, path string) (bool, error) {
	info, err := file.Probe(path)
	if err != nil || info.Picture {
		return false, err
	}
	switch info.Format.Codec {
	case pipeline.H264, pipeline.H265:
		return true, nil
	case pipeline.MJPEG:
		return standardJPEG(ctx, path, info.Format)
	}
	return false, nil
}

// standardJPEG tries the first picture: RTP has no place for Huffman tables, so that
// only the standard ones arrive, and it limits the size (RFC 2435).
func standardJPEG(ctx context.Context, path string, f pipeline.Format) (bool, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var first [][]byte
	src, err := file.New(file.Config{Path: path})
	if err != nil {
		return false, err
	}
	err = src.Run(ctx, unitFunc(func(u pipeline.Unit) {
		if first == nil {
			first = u.NALs
		}
		cancel()
	}))
	if first == nil {
		return false, err
	}
	_, packets, err := newPacketizer(f)
	if err != nil {
		return false, err
	}
	_, err = packets(first)
	const step = 8 // RTP counts the sides in such steps
	return err == nil && f.Width%step == 0 && f.Height%step == 0 && usesStandardTables(first[0]), nil
}

// unitFunc is a sink that is interested in units only.
type unitFunc func(pipeline.Unit)

func (f unitFunc) Format(pipeline.Format) {}
func (f unitFunc) Unit(u pipeline.Unit)   { f(u) }

// usesStandardTables says that the picture's Huffman tables are those of ITU T.81,
// annex K, or absent, which means the same in Motion JPEG. The symbols of the two AC
// tables tell: no optimised table holds all 162 in that order.
func usesStandardTables(picture []byte) bool {
	dht := bytes.Index(picture, []byte{0xff, 0xc4})
	if dht < 0 {
		return true
	}
	return bytes.Contains(picture, []byte{0x01, 0x02, 0x03, 0x00, 0x04, 0x11, 0x05, 0x12, 0x21, 0x31, 0x41, 0x06, 0x13, 0x51, 0x61}) &&
		bytes.Contains(picture, []byte{0x00, 0x01, 0x02, 0x03, 0x11, 0x04, 0x05, 0x21, 0x31, 0x06, 0x12, 0x41, 0x51, 0x07, 0x61})
}

// pictureFPS is the rate of a camera that shows a picture, in Hz.
const pictureFPS = 10

// transcode codes a file in H.264, without B-frames and with a key frame every
// second, into memory.
func transcode(ctx context.Context, path string, fps float64) (*clip, error) {
	info, err := file.Probe(path)
	if err != nil {
		return nil, err
	}
	rate := info.FPS
	if info.Picture {
		rate = pictureFPS
	}
	if fps > 0 {
		rate = fps
	}
	src, err := file.New(file.Config{Path: path})
	if err != nil {
		return nil, err
	}
	var pool frame.Pool
	defer pool.Close()
	dec, err := decode.New(info.Format, &pool, decode.Options{})
	if err != nil {
		return nil, err
	}
	defer dec.Close()
	w := &clipWriter{clip: &clip{interval: time.Duration(float64(time.Second) / rate)}, rate: rate}
	defer w.close()
	repeat := 1
	if info.Picture { // a second of it
		repeat = max(int(math.Round(rate)), 2)
	}
	emit := func(f *frame.Frame) {
		defer f.Release()
		for i := 0; i < repeat && w.err == nil; i++ {
			w.err = w.add(f)
		}
	}
	err = src.Run(ctx, unitFunc(func(u pipeline.Unit) { _ = dec.Decode(u, emit) })) // damaged pictures are left out
	if state, _ := pipeline.StateOf(errOr(err, ctx.Err())); state != pipeline.StateEnded {
		return nil, errOr(err, ctx.Err())
	}
	_ = dec.Flush(emit)
	if w.err == nil && w.enc == nil {
		w.err = errors.New("no picture could be decoded")
	}
	if w.err == nil {
		w.err = w.enc.encode(nil, w.keep)
	}
	return w.clip, w.err
}

func errOr(err, otherwise error) error {
	if err != nil {
		return err
	}
	return otherwise
}

// clipWriter codes pictures into a clip. The size of the first picture is the
// size of all.
type clipWriter struct {
	clip *clip
	rate float64
	enc  *encoder
	yuv  *astiav.Frame
	sws  *astiav.SoftwareScaleContext
	n    int64
	err  error
}

func (w *clipWriter) add(f *frame.Frame) error {
	if w.enc == nil {
		if err := w.open(f); err != nil {
			return err
		}
	}
	if f.Width() != w.sws.SourceWidth() || f.Height() != w.sws.SourceHeight() || f.AV().PixelFormat() != w.sws.SourcePixelFormat() {
		return errors.New("the size of the pictures changes")
	}
	if err := w.sws.ScaleFrame(f.AV(), w.yuv); err != nil {
		return fmt.Errorf("convert picture: %w", err)
	}
	w.yuv.SetPts(w.n)
	w.n++
	return w.enc.encode(w.yuv, w.keep)
}

func (w *clipWriter) open(f *frame.Frame) (err error) {
	// H.264 wants even sides.
	width, height := f.Width()&^1, f.Height()&^1
	if width == 0 || height == 0 {
		return errors.New("the picture is too small")
	}
	const milli = 1000
	w.enc, err = newEncoder(encoderConfig{
		codec: pipeline.H264, width: width, height: height, global: true,
		rate: astiav.NewRational(int(math.Round(w.rate*milli)), milli), gop: max(int(math.Round(w.rate)), 1),
	})
	if err != nil {
		return err
	}
	w.clip.format = pipeline.Format{
		Codec: pipeline.H264, Width: width, Height: height,
		ParameterSets: splitStartCodes(w.enc.cc.ExtraData()),
	}
	if w.yuv, err = w.enc.blank(); err != nil {
		return err
	}
	w.sws, err = astiav.CreateSoftwareScaleContext(f.Width(), f.Height(), f.AV().PixelFormat(), width, height,
		w.yuv.PixelFormat(), astiav.NewSoftwareScaleContextFlags(astiav.SoftwareScaleContextFlagBilinear))
	if err != nil {
		return fmt.Errorf("convert pictures: %w", err)
	}
	return nil
}

// keep adds a coded picture to the clip.
func (w *clipWriter) keep(p *astiav.Packet) error {
	u := pipeline.Unit{Key: p.Flags().Has(astiav.PacketFlagKey)}
	if u.Key {
		u.NALs = append(u.NALs, w.clip.format.ParameterSets...)
	}
	u.NALs = append(u.NALs, splitStartCodes(p.Data())...)
	w.clip.units = append(w.clip.units, u)
	return nil
}

func (w *clipWriter) close() {
	if w.sws != nil {
		w.sws.Free()
	}
	if w.yuv != nil {
		w.yuv.Free()
	}
	if w.enc != nil {
		w.enc.close()
	}
}

// splitStartCodes takes what libx264 writes, an Annex B byte stream, apart.
func splitStartCodes(data []byte) [][]byte {
	var nals [][]byte
	for part := range bytes.SplitSeq(data, []byte{0, 0, 1}) {
		if part = bytes.TrimRight(part, "\x00"); len(part) > 0 {
			nals = append(nals, part)
		}
	}
	return nals
}
