package simulate

/*
#cgo pkg-config: libavutil
#include <libavutil/frame.h>
*/
import "C"

import (
	"encoding/binary"
	"errors"
	"fmt"
	"unsafe"

	"github.com/asticode/go-astiav"

	"detectd/pipeline"
	"detectd/pipeline/frame"
)

// Spec describes a test video. Zero fields take the defaults in the comments.
type Spec struct {
	Codec   pipeline.Codec // H264; also H265, MJPEG and the names of libav encoders, such as "msmpeg4"
	Width   int            // 320, pixels; even, at least 128
	Height  int            // 240, pixels; even, at least 32
	FPS     int            // 25
	Frames  int            // 50
	GOP     int            // FPS: a key frame every second
	BFrames int            // 0: B-frames between two reference frames (H.264 and H.265)
	Open    bool           // groups are open: what is shown before a key picture may refer to it and to the group before (with B-frames)
	Still   bool           // nothing moves, only the picture number changes
	Plain   bool           // a dark ground and one bright upright box, nothing else
	Stamp   bool           // write the picture's number into the picture, for Index
	Scene   *Scene         // what happens in front of a camera, instead of the shapes
	Bitrate int            // bits per second at most and about always (H.264); 0: constant quality
	Padded  bool           // the rate is kept by filler where the picture needs less
	Lead    int            // pictures coded before the first that is kept, whole groups: the coder has settled by then, as a camera's has

	Orientation frame.Orientation // how players turn it (mp4); 0: not at all
	Aspect      [2]int            // width of a pixel by its height; 0: square
	Interlaced  bool              // coded as fields, the upper first (H.264)

	// Sound is a codec of sound: the picture flashes and a tone is heard for the first
	// 120 ms of every second. G.711 wants mov or mkv.
	Sound pipeline.Codec
}

func (s Spec) withDefaults() Spec {
	set := func(field *int, value int) {
		if *field == 0 {
			*field = value
		}
	}
	if s.Codec == "" {
		s.Codec = pipeline.H264
	}
	set(&s.Width, 320)
	set(&s.Height, 240)
	set(&s.FPS, 25)
	set(&s.Frames, 50)
	set(&s.GOP, s.FPS)
	return s
}

// Generate writes a test video of moving shapes to path. The container follows
// from the file name: mp4, mkv, avi, ts, h264, hevc, mjpeg. The same spec always
// paints the same pictures.
func Generate(path string, spec Spec) (err error) {
	spec = spec.withDefaults()
	if spec.Width < 128 || spec.Height < 32 || spec.Width%2+spec.Height%2 != 0 {
		return fmt.Errorf("generate %dx%d video: sides must be even and at least 128x32", spec.Width, spec.Height)
	}
	mux, err := astiav.AllocOutputFormatContext(nil, "", path)
	if err != nil {
		return fmt.Errorf("choose container for %q: %w", path, err)
	}
	defer mux.Free()
	enc, err := newEncoder(encoderConfig{
		codec: spec.Codec, width: spec.Width, height: spec.Height,
		rate: astiav.NewRational(spec.FPS, 1), gop: spec.GOP, bframes: spec.BFrames,
		global: mux.OutputFormat().Flags().Has(astiav.IOFormatFlagGlobalheader), bitrate: spec.Bitrate, padded: spec.Padded,
		aspect: spec.Aspect, interlaced: spec.Interlaced, open: spec.Open,
	})
	if err != nil {
		return err
	}
	defer enc.close()
	var sound *beeper
	if spec.Sound != "" {
		if sound, err = newBeeper(spec.Sound); err != nil {
			return err
		}
		defer sound.close()
	}
	write, err := openMuxer(mux, path, enc, sound, spec.Orientation)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, mux.Pb().Close()) }()
	if err := paintAll(spec, enc, sound, write); err != nil {
		return fmt.Errorf("generate %q: %w", path, err)
	}
	return mux.WriteTrailer()
}

// openMuxer creates the file and returns the function that adds a packet to it.
func openMuxer(mux *astiav.FormatContext, path string, enc *encoder, sound *beeper, o frame.Orientation) (muxer, error) {
	stream := mux.NewStream(nil)
	if err := enc.cc.ToCodecParameters(stream.CodecParameters()); err != nil {
		return nil, fmt.Errorf("copy codec parameters: %w", err)
	}
	stream.CodecParameters().SetCodecTag(0)
	stream.SetTimeBase(enc.cc.TimeBase())
	stream.SetAvgFrameRate(enc.cc.Framerate())
	stream.SetSampleAspectRatio(enc.cc.SampleAspectRatio())
	if m := displayMatrix(o); m != nil {
		if err := stream.AddSideData(astiav.PacketSideDataTypeDisplaymatrix, m); err != nil {
			return nil, fmt.Errorf("turn video: %w", err)
		}
	}
	if sound != nil {
		sound.stream = mux.NewStream(nil)
		if err := sound.cc.ToCodecParameters(sound.stream.CodecParameters()); err != nil {
			return nil, fmt.Errorf("copy codec parameters: %w", err)
		}
		sound.stream.CodecParameters().SetCodecTag(0)
		sound.stream.SetTimeBase(sound.cc.TimeBase())
	}
	io, err := astiav.OpenIOContext(path, astiav.NewIOContextFlags(astiav.IOContextFlagWrite))
	if err != nil {
		return nil, fmt.Errorf("create %q: %w", path, err)
	}
	mux.SetPb(io)
	if err := mux.WriteHeader(nil); err != nil {
		return nil, errors.Join(fmt.Errorf("write header of %q: %w", path, err), io.Close())
	}
	return func(p *astiav.Packet, of *astiav.Stream) error {
		if of == nil {
			of = stream
			p.SetDuration(1)
			p.RescaleTs(enc.cc.TimeBase(), stream.TimeBase())
		}
		p.SetStreamIndex(of.Index())
		return mux.WriteInterleavedFrame(p)
	}, nil
}

// muxer writes a packet of a stream, of the video when it is nil.
type muxer func(*astiav.Packet, *astiav.Stream) error

// displayMatrix is how a container says that players have to turn the pictures
// (ISO/IEC 14496-12, 6.2.2): where a step to the right and one down lead to.
func displayMatrix(o frame.Orientation) []byte {
	if o <= frame.Upright {
		return nil
	}
	const one = 1 << 16
	x0, y0 := o.From(0, 0, 2, 2)
	right, down := [2]int32{}, [2]int32{} // of the stored picture, on the screen
	for x := range 2 {
		for y := range 2 {
			switch sx, sy := o.From(x, y, 2, 2); {
			case x+y == 0:
			case sx != x0 && sy == y0:
				right = [2]int32{int32(x * one), int32(y * one)}
				if sx < x0 {
					right[0], right[1] = -right[0], -right[1]
				}
			case sy != y0 && sx == x0:
				down = [2]int32{int32(x * one), int32(y * one)}
				if sy < y0 {
					down[0], down[1] = -down[0], -down[1]
				}
			}
		}
	}
	var m []byte
	for _, v := range []int32{right[0], right[1], 0, down[0], down[1], 0, 0, 0, 1 << 30} {
		m = binary.NativeEndian.AppendUint32(m, uint32(v))
	}
	return m
}

func paintAll(spec Spec, enc *encoder, sound *beeper, mux muxer) error {
	lead := int64(spec.Lead)
	keep := func(p *astiav.Packet) error {
		if p.Pts() < lead {
			return nil
		}
		p.SetPts(p.Pts() - lead)
		p.SetDts(p.Dts() - lead)
		return mux(p, nil)
	}
	for i := -spec.Lead; i < spec.Frames; i++ {
		f, err := enc.blank()
		if err != nil {
			return err
		}
		if spec.Scene != nil {
			spec.Scene.paint(f, spec, i)
		} else {
			paint(f, spec, i)
		}
		f.SetPts(int64(i + spec.Lead))
		err = enc.encode(f, keep)
		f.Free()
		if err == nil && sound != nil {
			err = sound.until(float64(i+1)/float64(spec.FPS), mux)
		}
		if err != nil {
			return err
		}
	}
	err := enc.encode(nil, keep)
	if err == nil && sound != nil {
		err = sound.encode(nil, mux)
	}
	return err
}

// paint draws picture i: a grey slope, a bright box and a dark box that cross it;
// of a plain video a dark ground and an upright bright box that crosses it.
func paint(f *astiav.Frame, spec Spec, i int) {
	luma, stride := plane(f, 0, spec.Height)
	for y := range spec.Height {
		row := luma[y*stride:]
		for x := range spec.Width {
			if row[x] = ground; spec.Plain {
				continue
			}
			grain := (x*73 ^ y*151) * 2654435761 >> 7 & 31 // fixed texture, so that key frames have some size
			row[x] = byte(ground + grain + (x+y)*96/(spec.Width+spec.Height))
		}
	}
	for p := 1; p <= 2; p++ {
		chroma, _ := plane(f, p, spec.Height/2)
		for k := range chroma {
			chroma[k] = 128
		}
	}
	step := i
	if spec.Still {
		step = 0
	}
	side, width := spec.Height/4, spec.Height/4
	if spec.Plain {
		width /= 2
	}
	box(luma, stride, (step*4)%(spec.Width-width), spec.Height/3, width, side, 235)
	if !spec.Plain {
		box(luma, stride, spec.Width-side-(step*2)%(spec.Width-side), spec.Height*3/5, side, side, 24)
	}
	if spec.flashes(i) {
		box(luma, stride, 0, 0, spec.Width, spec.Height, 235)
	}
	if spec.Stamp {
		stamp(luma, stride, i)
	}
}

// ground is the darkest luma of the ground.
const ground = 64

func box(luma []byte, stride, x0, y0, width, height int, value byte) {
	for y := y0; y < y0+height; y++ {
		for x := x0; x < x0+width; x++ {
			luma[y*stride+x] = value
		}
	}
}

// The stamp is one row of 16 squares in the top left corner, white for 1 and
// black for 0, the least significant bit first.
const (
	stampBits = 16
	stampSide = 8
)

func stamp(luma []byte, stride, i int) {
	for bit := range stampBits {
		value := byte(16)
		if i>>bit&1 == 1 {
			value = 235
		}
		box(luma, stride, bit*stampSide, 0, stampSide, stampSide, value)
	}
}

// Index reads the number that Generate stamped into a picture (Spec.Stamp) from
// its luma plane of the given stride in bytes. It survives lossy coding, not scaling.
func Index(luma []byte, stride int) int {
	n := 0
	for bit := range stampBits {
		if luma[stampSide/2*stride+bit*stampSide+stampSide/2] > 127 {
			n |= 1 << bit
		}
	}
	return n
}

// IndexOf is Index for a decoded picture.
func IndexOf(f *astiav.Frame) int {
	luma, stride := plane(f, 0, f.Height())
	return Index(luma, stride)
}

// plane is a view of the first rows of plane p of f. It is valid as long as f
// holds its pixels.
func plane(f *astiav.Frame, p, rows int) (pixels []byte, stride int) {
	c := (*C.AVFrame)(f.UnsafePointer())
	stride = int(c.linesize[p])
	return unsafe.Slice((*byte)(c.data[p]), stride*rows), stride
}
