package simulate

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/asticode/go-astiav"

	"detectd/pipeline"
)

// encoderConfig says what an encoder makes.
type encoderConfig struct {
	codec         pipeline.Codec
	width, height int
	rate          astiav.Rational // frames per second
	gop           int             // frames from one key frame to the next
	bframes       int
	global        bool // parameter sets go to the container's header
	bitrate       int  // bits per second, constant; 0: constant quality
	padded        bool // with filler
	aspect        [2]int
	interlaced    bool
	open          bool // groups
}

// encoder is an open libav video encoder whose time base is one frame.
type encoder struct {
	cc  *astiav.CodecContext
	pkt *astiav.Packet
}

// encoderNames are the libav encoders of the codecs we name ourselves.
func encoderName(c pipeline.Codec) string {
	switch c {
	case pipeline.H264:
		return "libx264"
	case pipeline.H265:
		return "libx265"
	case pipeline.MJPEG:
		return "mjpeg"
	default:
		return string(c)
	}
}

func newEncoder(cfg encoderConfig) (*encoder, error) {
	codec := astiav.FindEncoderByName(encoderName(cfg.codec))
	if codec == nil {
		return nil, fmt.Errorf("find encoder %q: this libavcodec lacks it", encoderName(cfg.codec))
	}
	cc := astiav.AllocCodecContext(codec)
	cc.SetWidth(cfg.width)
	cc.SetHeight(cfg.height)
	cc.SetFramerate(cfg.rate)
	cc.SetTimeBase(astiav.NewRational(cfg.rate.Den(), cfg.rate.Num()))
	cc.SetGopSize(cfg.gop)
	cc.SetThreadCount(1)
	cc.SetPixelFormat(astiav.PixelFormatYuv420P)
	if cfg.codec == pipeline.MJPEG {
		cc.SetPixelFormat(astiav.PixelFormatYuvj420P)
	}
	if cfg.aspect[0] > 0 {
		cc.SetSampleAspectRatio(astiav.NewRational(cfg.aspect[0], cfg.aspect[1]))
	}
	if cfg.bitrate > 0 {
		cc.SetBitRate(int64(cfg.bitrate))
	}
	if cfg.global {
		cc.SetFlags(cc.Flags().Add(astiav.CodecContextFlagGlobalHeader))
	}
	opts := astiav.NewDictionary()
	defer opts.Free()
	for key, value := range encoderOptions(cfg) {
		if err := opts.Set(key, value, 0); err != nil {
			cc.Free()
			return nil, fmt.Errorf("set encoder option %s: %w", key, err)
		}
	}
	if err := cc.Open(codec, opts); err != nil {
		cc.Free()
		return nil, fmt.Errorf("open encoder %s for %dx%d: %w", codec.Name(), cfg.width, cfg.height, err)
	}
	return &encoder{cc: cc, pkt: astiav.AllocPacket()}, nil
}

func encoderOptions(cfg encoderConfig) map[string]string {
	b := strconv.Itoa(cfg.bframes)
	switch cfg.codec {
	case pipeline.H264:
		params := "scenecut=0:b-adapt=0:b-pyramid=none:force-cfr=1:bframes=" + b
		if cfg.interlaced {
			params += ":tff=1"
		}
		if cfg.open {
			params += ":open-gop=1"
		}
		if cfg.bitrate > 0 {
			kilobits := strconv.Itoa(cfg.bitrate / 1000)
			params += ":vbv-maxrate=" + kilobits + ":vbv-bufsize=" + kilobits
			if cfg.padded {
				params += ":nal-hrd=cbr:filler=1"
			}
		}
		return map[string]string{"preset": "veryfast", "bf": b, "forced-idr": "1", "x264-params": params}
	case pipeline.H265:
		open := 0
		if cfg.open {
			open = 1
		}
		// libx265 writes to stderr by itself unless told not to.
		return map[string]string{
			"preset": "ultrafast", "forced-idr": "1",
			"x265-params": fmt.Sprintf("log-level=none:pools=1:frame-threads=1:scenecut=0:b-adapt=0:open-gop=%d:keyint=%d:min-keyint=%d:bframes=%s",
				open, cfg.gop, cfg.gop, b),
		}
	case pipeline.MJPEG:
		// RTP carries no Huffman tables (RFC 2435): only the standard ones will do.
		return map[string]string{"color_range": "pc", "huffman": "default", "qmin": "3", "qmax": "3"}
	default:
		return map[string]string{"qmin": "8", "qmax": "8"} // finer steps clip in old codecs
	}
}

func (e *encoder) close() {
	e.pkt.Free()
	e.cc.Free()
}

// blank returns a writable picture of the encoder's format; the caller frees it.
func (e *encoder) blank() (*astiav.Frame, error) {
	f := astiav.AllocFrame()
	f.SetWidth(e.cc.Width())
	f.SetHeight(e.cc.Height())
	f.SetPixelFormat(e.cc.PixelFormat())
	f.SetColorRange(e.cc.ColorRange())
	if err := f.AllocBuffer(0); err != nil {
		f.Free()
		return nil, fmt.Errorf("allocate picture: %w", err)
	}
	return f, nil
}

// encode sends f, or the end of the video when f is nil, and hands on what comes
// out. The packet is valid during the call of out only.
func (e *encoder) encode(f *astiav.Frame, out func(*astiav.Packet) error) error {
	if err := e.cc.SendFrame(f); err != nil {
		return fmt.Errorf("encode picture: %w", err)
	}
	for {
		switch err := e.cc.ReceivePacket(e.pkt); {
		case errors.Is(err, astiav.ErrEagain), errors.Is(err, astiav.ErrEof):
			return nil
		case err != nil:
			return fmt.Errorf("encode picture: %w", err)
		}
		err := out(e.pkt)
		e.pkt.Unref()
		if err != nil {
			return err
		}
	}
}
