package file

import (
	"bytes"
	"errors"
	"image/jpeg"
	"io"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/asticode/go-astiav"

	"detectd/pipeline"
	"detectd/pipeline/frame"
)

// containers are the libavformat demuxers that may open a file. None of them
// opens further files.
var containers = [...]string{"mov", "mp4", "m4a", "3gp", "3g2", "mj2", "matroska", "webm", "avi", "mpegts", "h264", "hevc", "mjpeg"}

// noTimestamp is AV_NOPTS_VALUE.
const noTimestamp = math.MinInt64

// video is a file opened by libavformat.
type video struct {
	fc     *astiav.FormatContext
	stream *astiav.Stream
	pkt    *astiav.Packet
	codec  astiav.CodecID
	info   Info
	nals   nalFormat
	track  soundTrack

	tick    time.Duration // of one unit, from the rate
	started bool
	first   time.Duration // PTS of the first key unit in the file's own time
	count   int
	last    time.Duration // DTS of the unit before
	shift   time.Duration // put on the times since they jumped back
	passed  int           // units passed over, not yet told
}

func openVideo(path string) (*video, error) {
	fc := astiav.AllocFormatContext()
	opts := astiav.NewDictionary()
	defer opts.Free()
	err := errors.Join(
		opts.Set("protocol_whitelist", "file", 0),
		opts.Set("format_whitelist", strings.Join(containers[:], ","), 0),
	)
	if err != nil {
		fc.Free()
		return nil, fail(pipeline.StateFailed, "libavformat does not take its options", err)
	}
	if err := fc.OpenInput("file:"+path, demuxer(path), opts); err != nil { // frees fc
		return nil, fail(pipeline.StateNoVideo, "the file is not a video or picture that detectd can read, or it is damaged; make it a JPEG, PNG or MP4 (docs/formats.md has them all)", err)
	}
	v := &video{fc: fc, pkt: astiav.AllocPacket()}
	if err := v.choose(); err != nil {
		v.close()
		return nil, err
	}
	return v, nil
}

// demuxer is the one for files that libavformat may take for something else by their
// first bytes, as for a JPEG what is a stream of them; nil lets it look.
func demuxer(path string) *astiav.InputFormat {
	if motionJPEG(path) {
		return astiav.FindInputFormat("mjpeg")
	}
	return nil
}

// choose finds the video stream and describes it.
func (v *video) choose() error {
	if err := v.fc.FindStreamInfo(nil); err != nil {
		return fail(pipeline.StateNoVideo, "the file is damaged: no video can be read from it", err)
	}
	for _, s := range v.fc.Streams() {
		if s.CodecParameters().MediaType() == astiav.MediaTypeVideo {
			v.stream = s
			break
		}
	}
	if v.stream == nil {
		return fail(pipeline.StateNoVideo, "the file holds no video", nil)
	}
	if err := v.learn(); err != nil {
		return err
	}
	v.track.open(v.fc)
	v.info.Sound = v.track.format
	v.info.FPS = frameRate(v.stream)
	if d := v.fc.Duration(); d > 0 {
		v.info.Duration = time.Duration(d) * time.Microsecond
	}
	v.tick = time.Duration(float64(time.Second) / v.info.FPS)
	return nil
}

// learn describes the stream.
func (v *video) learn() error {
	cp := v.stream.CodecParameters()
	extra := cp.ExtraData()
	v.codec = cp.CodecID()
	switch {
	case v.codec == astiav.CodecIDRawvideo:
		return fail(pipeline.StateCodec, "the video in the file is not compressed (rawvideo): make it H.264 or H.265", nil)
	case astiav.FindDecoder(v.codec) == nil:
		return fail(pipeline.StateCodec, "the video in the file is coded in a way that this libavcodec cannot decode", nil)
	}
	f := pipeline.Format{
		Codec: pipeline.Codec(v.codec.Name()), Width: cp.Width(), Height: cp.Height(),
		Orientation: frame.OrientationOfStream(v.stream), Aspect: aspectOf(v.stream),
	}
	switch v.codec {
	case astiav.CodecIDH264:
		f.Codec = pipeline.H264
		v.nals = h264NALs(extra)
	case astiav.CodecIDHevc:
		f.Codec = pipeline.H265
		v.nals = h265NALs(extra)
	case astiav.CodecIDMjpeg:
		f.Codec = pipeline.MJPEG
	default:
		f.Extra = extra
	}
	f.ParameterSets = v.nals.sets
	v.info.Format = f
	return nil
}

// follow takes a change of the format over that a key unit brings.
func (v *video) follow(u pipeline.Unit) {
	f := &v.info.Format
	switch {
	case !u.Key:
	case f.Codec == pipeline.MJPEG:
		if c, err := jpeg.DecodeConfig(bytes.NewReader(u.NALs[0])); err == nil {
			f.Width, f.Height = c.Width, c.Height
		}
	case v.nals.learn(u.NALs):
		f.ParameterSets = v.nals.sets
		if w, h := v.nals.sizeOf(); w > 0 && h > 0 {
			f.Width, f.Height = w, h
		}
	}
}

// frameRate is the stream's rate in Hz; 25 where the file says nothing sensible.
func frameRate(s *astiav.Stream) float64 {
	for _, r := range []astiav.Rational{s.AvgFrameRate(), s.RFrameRate()} {
		if r.Num() > 0 && r.Den() > 0 && r.Float64() >= 0.01 && r.Float64() <= 1000 {
			return r.Float64()
		}
	}
	return 25
}

func (v *video) describe() Info { return v.info }

func (v *video) close() {
	v.pkt.Free()
	v.fc.CloseInput()
}

// next returns the next unit, from the first key unit on.
func (v *video) next() (pipeline.Unit, error) {
	for {
		v.pkt.Unref()
		switch err := v.fc.ReadFrame(v.pkt); {
		case errors.Is(err, astiav.ErrEof):
			return pipeline.Unit{}, io.EOF
		case err != nil:
			return pipeline.Unit{}, fail(pipeline.StateFailed, "the file is damaged: reading stopped before its end", err)
		}
		if v.track.take(v.pkt, v.shift) || v.pkt.StreamIndex() != v.stream.Index() || v.pkt.Size() == 0 {
			continue
		}
		if v.changed() {
			return pipeline.Unit{}, fail(pipeline.StateCodec, "the video goes on in another codec in the middle of the file: split it there", nil)
		}
		if u, ok := v.unit(); ok {
			v.follow(u)
			return u, nil
		}
		v.passed++
	}
}

// unit makes a unit of the packet. It refuses what cannot be decoded: units before
// the first key unit, and pictures shown before it.
func (v *video) unit() (pipeline.Unit, bool) {
	flags := v.pkt.Flags()
	u := pipeline.Unit{Key: flags.Has(astiav.PacketFlagKey), Damaged: flags.Has(astiav.PacketFlagCorrupt)}
	u.NALs = v.nals.split(v.pkt.Data(), u.Key) // Data is a copy
	if len(u.NALs) == 0 {
		return u, false
	}
	u.PTS, u.DTS = v.times()
	v.straighten(&u)
	if !v.started {
		if !u.Key {
			return u, false
		}
		v.started, v.first = true, u.PTS
	}
	u.PTS -= v.first
	u.DTS -= v.first
	v.count++
	return u, u.PTS >= 0
}

// maxReorder is how long before it is shown a unit is decoded at most.
const maxReorder = time.Second

// times are the time stamps of the packet, or those that the rate suggests.
func (v *video) times() (pts, dts time.Duration) {
	p, d, tb := v.pkt.Pts(), v.pkt.Dts(), v.stream.TimeBase()
	switch {
	case p == noTimestamp && d == noTimestamp:
		t := time.Duration(v.count) * v.tick
		return t, t
	case p == noTimestamp:
		return scale(d, tb), scale(d, tb)
	case d == noTimestamp:
		// The player puts it right behind the unit before.
		return scale(p, tb), scale(p, tb) - maxReorder
	}
	return scale(p, tb), scale(d, tb)
}

// changed tells that the packet is in another codec than the video began in, of
// which libavformat says nothing in a transport stream.
func (v *video) changed() bool {
	return v.stream.CodecParameters().CodecID() != v.codec ||
		v.nals.isSPS != nil && v.nals.lengthSize == 0 && slices.ContainsFunc(splitStartCodes(v.pkt.Data()), v.nals.foreign)
}

// straighten keeps the time growing where the time stamps jump back, as in files
// that were put together from several.
func (v *video) straighten(u *pipeline.Unit) {
	if v.count > 0 && u.DTS+v.shift < v.last-maxReorder {
		v.shift = v.last + v.tick - u.DTS
	}
	u.PTS += v.shift
	u.DTS += v.shift
	v.last = u.DTS
}

// scale converts ticks of the time base tb without overflow.
func scale(ticks int64, tb astiav.Rational) time.Duration {
	num, den := int64(tb.Num()), int64(tb.Den())
	if den <= 0 {
		return 0
	}
	sec, rest := ticks/den, ticks%den
	return time.Duration(sec*num)*time.Second + time.Duration(rest*num*int64(time.Second)/den)
}
