// Package video writes MP4 files of H.264 (yuv420p, for every browser) with
// libx264. Frames keep the times they are given: the frame rate may vary.
package video

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/asticode/go-astiav"

	"detectd/pipeline/frame"
	"detectd/render/pixel"
)

// Spec says what to write. Width and Height are needed.
type Spec struct {
	Width   int     // pixels; the picture is cut to even numbers, as 4:2:0 needs them
	Height  int     // pixels
	FPS     float64 // about how many frames a second will come; 0 takes 25
	CRF     int     // quality of libx264, less is better; 0 takes 23
	Preset  string  // of libx264; "" takes veryfast
	Threads int     // for coding; 0 takes one per processor
	// Aspect is the width of a pixel by its height; 0, and what is beyond reason,
	// are square.
	Aspect [2]int
}

// Picture is a drawn picture: 8-bit blue, green, red, rows from the top.
type Picture interface {
	Width() int
	Height() int
	// Pixels are the bytes and the distance of the rows.
	Pixels() (bytes []byte, stride int, err error)
}

// clock is the time base of the files: 90 kHz holds all common frame rates.
const clock = 90000

// Encoder writes one file. It is for one goroutine. The file is whole only after
// Close has returned nil.
type Encoder struct {
	spec   Spec
	matrix pixel.Matrix
	muxer  *astiav.FormatContext
	codec  *astiav.CodecContext
	file   *astiav.IOContext
	stream *astiav.Stream
	packet *astiav.Packet
	frame  *astiav.Frame
	scaler pixel.Scaler
	bgr    []byte
	last   int64 // time of the newest frame, in clock ticks
	open   bool  // the header is written
	failed error
}

// New creates the file at path, replacing what is there.
func New(path string, s Spec) (*Encoder, error) {
	if s.Width < 1 || s.Height < 1 || s.Width > 16384 || s.Height > 16384 {
		return nil, fmt.Errorf("create video: %d x %d pixels cannot be coded", s.Width, s.Height)
	}
	s.Width, s.Height = max(2, s.Width&^1), max(2, s.Height&^1)
	if !(s.FPS > 0 && s.FPS <= 1000) {
		s.FPS = 25
	}
	if s.CRF <= 0 {
		s.CRF = 23
	}
	if s.Preset == "" {
		s.Preset = "veryfast"
	}
	e := &Encoder{spec: s, matrix: pixel.BT601, last: math.MinInt64, packet: astiav.AllocPacket(), frame: astiav.AllocFrame()}
	if frame.HighDefinition(s.Width, s.Height) {
		e.matrix = pixel.BT709
	}
	if err := e.start(path); err != nil {
		e.free()
		return nil, fmt.Errorf("create video: %w", err)
	}
	return e, nil
}

func (e *Encoder) start(path string) error {
	var err error
	if e.muxer, err = astiav.AllocOutputFormatContext(nil, "mp4", "file:"+path); err != nil {
		return fmt.Errorf("start MP4: %w", err)
	}
	if err := e.openCodec(); err != nil {
		return err
	}
	e.stream = e.muxer.NewStream(nil)
	if e.stream == nil {
		return errors.New("start MP4: no stream")
	}
	if err := e.stream.CodecParameters().FromCodecContext(e.codec); err != nil {
		return fmt.Errorf("start MP4: %w", err)
	}
	e.stream.SetTimeBase(e.codec.TimeBase())
	e.stream.SetSampleAspectRatio(e.codec.SampleAspectRatio())
	if e.file, err = astiav.OpenIOContext("file:"+path, astiav.NewIOContextFlags(astiav.IOContextFlagWrite)); err != nil {
		return fmt.Errorf("open file: %w", err)
	}
	e.muxer.SetPb(e.file)
	options, err := dictionary("movflags", "+faststart")
	if err != nil {
		return err
	}
	defer options.Free()
	if err := e.muxer.WriteHeader(options); err != nil {
		return fmt.Errorf("start MP4: %w", err)
	}
	e.open = true
	return nil
}

func (e *Encoder) openCodec() error {
	x264 := astiav.FindEncoderByName("libx264")
	if x264 == nil {
		return errors.New("this libavcodec has no libx264")
	}
	c := astiav.AllocCodecContext(x264)
	e.codec = c
	c.SetWidth(e.spec.Width)
	c.SetHeight(e.spec.Height)
	c.SetPixelFormat(astiav.PixelFormatYuv420P)
	if a := e.spec.Aspect; a[0] > 0 && a[1] > 0 && a[0] <= 4*a[1] && a[1] <= 4*a[0] {
		c.SetSampleAspectRatio(astiav.NewRational(a[0], a[1]))
	}
	c.SetTimeBase(astiav.NewRational(1, clock))
	c.SetFramerate(astiav.NewRational(int(math.Round(e.spec.FPS*1000)), 1000))
	c.SetGopSize(max(1, int(math.Round(2*e.spec.FPS))))
	c.SetThreadCount(e.spec.Threads)
	c.SetFlags(astiav.NewCodecContextFlags(astiav.CodecContextFlagGlobalHeader))
	space, trc := "smpte170m", "smpte170m"
	if e.matrix == pixel.BT709 {
		space, trc = "bt709", "bt709"
	}
	options, err := dictionary("preset", e.spec.Preset, "crf", strconv.Itoa(e.spec.CRF),
		"colorspace", space, "color_trc", trc, "color_primaries", space, "color_range", "tv")
	if err != nil {
		return err
	}
	defer options.Free()
	if err := c.Open(x264, options); err != nil {
		return fmt.Errorf("start libx264: %w", err)
	}
	return nil
}

// WriteFrame adds a decoded frame, shown from pts on. pts must grow from frame to
// frame. f stays the caller's. Frames of another size are scaled.
func (e *Encoder) WriteFrame(f *frame.Frame, pts time.Duration) error {
	return e.write(pts, func() error {
		src := f.AV()
		w, h := e.visible(f.Width(), f.Height())
		planar := src.PixelFormat() == astiav.PixelFormatYuv420P && !pixel.FullRange(src)
		switch {
		case planar && f.Width() == e.spec.Width && f.Height() == e.spec.Height && pixel.MatrixOf(src) == e.matrix:
			return e.frame.Ref(src)
		case isRGB(src) || pixel.MatrixOf(src) == e.matrix:
			if err := e.blank(); err != nil {
				return err
			}
			return e.scaler.Convert(src, w, h, e.frame, e.matrix)
		}
		// libswscale does not change the matrix of YCbCr on its own.
		stride := 3 * f.Width()
		if n := stride * f.Height(); len(e.bgr) < n {
			e.bgr = make([]byte, n)
		}
		var s pixel.Scaler
		defer s.Close()
		if err := s.ToBGR(src, e.bgr, stride, f.Width(), f.Height()); err != nil {
			return err
		}
		if err := e.blank(); err != nil {
			return err
		}
		return e.scaler.FromBGR(e.bgr, stride, w, h, e.frame, e.matrix)
	})
}

// WritePicture adds a drawn picture, shown from pts on. pts must grow from frame
// to frame.
func (e *Encoder) WritePicture(p Picture, pts time.Duration) error {
	return e.write(pts, func() error {
		b, stride, err := p.Pixels()
		if err != nil {
			return err
		}
		if err := e.blank(); err != nil {
			return err
		}
		w, h := e.visible(p.Width(), p.Height())
		return e.scaler.FromBGR(b, stride, w, h, e.frame, e.matrix)
	})
}

// visible is the part of a picture that is written: without the odd row and
// column where that makes scaling unnecessary.
func (e *Encoder) visible(w, h int) (int, int) {
	if w-e.spec.Width == 1 {
		w--
	}
	if h-e.spec.Height == 1 {
		h--
	}
	return w, h
}

// blank gives e.frame buffers of its own: the coder may still hold the last ones.
func (e *Encoder) blank() error {
	e.frame.SetWidth(e.spec.Width)
	e.frame.SetHeight(e.spec.Height)
	e.frame.SetPixelFormat(astiav.PixelFormatYuv420P)
	e.frame.SetColorRange(astiav.ColorRangeMpeg)
	return e.frame.AllocBuffer(0)
}

func (e *Encoder) write(pts time.Duration, fill func() error) error {
	if e.failed != nil {
		return e.failed
	}
	ticks := int64(math.Round(pts.Seconds() * clock))
	if ticks <= e.last {
		return fmt.Errorf("write video: the frame at %v does not come after the one before", pts)
	}
	defer e.frame.Unref()
	if err := fill(); err != nil {
		return fmt.Errorf("write video: %w", err)
	}
	e.frame.SetPts(ticks)
	e.frame.SetPictureType(astiav.PictureTypeNone)
	e.last = ticks
	if err := e.codec.SendFrame(e.frame); err != nil {
		return e.fail(err)
	}
	return e.drain()
}

// drain writes the packets that are ready.
func (e *Encoder) drain() error {
	for {
		err := e.codec.ReceivePacket(e.packet)
		if errors.Is(err, astiav.ErrEagain) || errors.Is(err, astiav.ErrEof) {
			return nil
		}
		if err == nil {
			e.packet.SetStreamIndex(e.stream.Index())
			// Counts for the last frame only, which would not be shown without it.
			e.packet.SetDuration(int64(clock / e.spec.FPS))
			e.packet.RescaleTs(e.codec.TimeBase(), e.stream.TimeBase())
			err = e.muxer.WriteInterleavedFrame(e.packet)
		}
		if err != nil {
			return e.fail(err)
		}
	}
}

// fail keeps the first error: what follows could only make a broken file.
func (e *Encoder) fail(err error) error {
	e.failed = fmt.Errorf("write video: %w", err)
	return e.failed
}

// Close writes what is still in the coder and completes the file. Only the first
// call does anything.
func (e *Encoder) Close() error {
	if e.codec == nil {
		return nil
	}
	defer e.free()
	if e.failed == nil && e.last != math.MinInt64 {
		if err := e.codec.SendFrame(nil); err != nil {
			_ = e.fail(err)
		} else {
			_ = e.drain() // kept in e.failed
		}
	}
	if e.open {
		if err := e.muxer.WriteTrailer(); err != nil && e.failed == nil {
			_ = e.fail(err)
		}
	}
	if err := e.file.Close(); err != nil && e.failed == nil {
		_ = e.fail(err)
	}
	e.file = nil
	return e.failed
}

func (e *Encoder) free() {
	e.scaler.Close()
	e.frame.Free()
	e.packet.Free()
	if e.codec != nil {
		e.codec.Free()
		e.codec = nil
	}
	if e.file != nil {
		_ = e.file.Close() // the error that led here is the one to tell
		e.file = nil
	}
	if e.muxer != nil {
		e.muxer.Free()
		e.muxer = nil
	}
}

func isRGB(f *astiav.Frame) bool {
	switch f.PixelFormat() {
	case astiav.PixelFormatRgb24, astiav.PixelFormatBgr24, astiav.PixelFormatRgba, astiav.PixelFormatBgra:
		return true
	}
	return false
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
