// Package decode turns coded units into pictures with libavcodec.
//
// A Decoder uses one thread and belongs to one goroutine. Pictures live in
// libav's own buffers; what the decoder had to guess because data was missing is
// marked Damaged.
package decode

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/asticode/go-astiav"

	"detectd/pipeline"
	"detectd/pipeline/frame"
)

// DefaultMaxPixels is the limit of a picture's size when Options set none: 64 Mpx.
const DefaultMaxPixels = 64 << 20

// Options tune a Decoder. The zero value is fine.
type Options struct {
	CameraID  string // copied to Meta.CameraID of every frame
	MaxPixels int    // refuse larger pictures; 0 means DefaultMaxPixels
	// Turn runs the work of libavcodec when it is this decoder's turn, which is
	// chosen by when the unit arrived; nil: at once.
	Turn interface {
		RunSince(arrived time.Time, work func())
	}
	// Card decodes what it can; nil: the CPU decodes all. What the card cannot decode
	// or fails at is decoded on the CPU, which Where tells.
	Card   *Card
	NoCard string // why there is none although one was asked for, for Where
}

// ErrCorrupt is returned when a unit could not be decoded. The decoder stays
// usable: decoding goes on with the next unit.
var ErrCorrupt = errors.New("corrupt unit")

// Decoder decodes one stream.
type Decoder struct {
	format pipeline.Format
	pool   *frame.Pool
	opts   Options
	codec  *astiav.Codec

	cc     *astiav.CodecContext
	pkt    *astiav.Packet
	buf    []byte         // the unit as libavcodec wants it; reused
	ready  []*frame.Frame // decoded in this turn; reused
	seq    uint64         // of the last frame given
	sent   int64          // number of units sent, the time stamp that libavcodec sees
	metas  [metaSlots]frame.Meta
	opened bool      // a key unit was decoded
	broken bool      // a unit since the last key unit could not be decoded
	began  time.Time // of the last turn
	took   time.Duration
	wanted bool // by the model

	deck       *deck // of the card; nil: it is not used, or not any more
	where, why string
	refused    int // units refused since the last picture
}

// metaSlots is more than the units that a codec can hold back (16 in H.264 and
// H.265, and a few of libavcodec's own). A power of two.
const metaSlots = 64

// New opens a decoder for format. Frames come from pool.
func New(format pipeline.Format, pool *frame.Pool, opts Options) (*Decoder, error) {
	codec := findDecoder(format.Codec)
	if codec == nil {
		return nil, fmt.Errorf("find decoder for %q: this libavcodec has none", format.Codec)
	}
	if opts.MaxPixels <= 0 {
		opts.MaxPixels = DefaultMaxPixels
	}
	width, height := codedSize(format)
	width, height = max(width, format.Width), max(height, format.Height)
	if width > 0 && height > opts.MaxPixels/width {
		return nil, fmt.Errorf("open decoder: %dx%d pixels are more than the limit of %d", width, height, opts.MaxPixels)
	}
	d := &Decoder{format: format, pool: pool, opts: opts, codec: codec, pkt: astiav.AllocPacket()}
	switch {
	case opts.Card == nil:
		d.where, d.why = pipeline.OnCPU, opts.NoCard
	case d.startCodes():
		d.deck = &deck{card: opts.Card}
	default:
		d.where, d.why = pipeline.OnCPU, "the card is used for H.264 and H.265 only"
	}
	if err := d.open(); err != nil {
		d.pkt.Free()
		return nil, err
	}
	return d, nil
}

// findDecoder finds libavcodec's preferred decoder by our name of the codec.
func findDecoder(c pipeline.Codec) *astiav.Codec {
	switch c {
	case pipeline.H264:
		return astiav.FindDecoder(astiav.CodecIDH264)
	case pipeline.H265:
		return astiav.FindDecoder(astiav.CodecIDHevc)
	case pipeline.MJPEG:
		return astiav.FindDecoder(astiav.CodecIDMjpeg)
	}
	for _, codec := range astiav.Codecs() {
		if codec.IsDecoder() && codec.ID().MediaType() == astiav.MediaTypeVideo && codec.ID().Name() == string(c) {
			return astiav.FindDecoder(codec.ID())
		}
	}
	return nil
}

func (d *Decoder) open() error {
	cc := astiav.AllocCodecContext(d.codec)
	cc.SetThreadCount(1)
	// Pictures with errors come out and are marked, instead of vanishing.
	cc.SetFlags(cc.Flags().Add(astiav.CodecContextFlagOutputCorrupt))
	if len(d.format.Extra) > 0 {
		if err := cc.SetExtraData(d.format.Extra); err != nil {
			cc.Free()
			return fmt.Errorf("set extradata: %w", err)
		}
	}
	if !d.startCodes() { // some codecs know their size from the container only
		cc.SetWidth(d.format.Width)
		cc.SetHeight(d.format.Height)
	}
	if d.deck != nil {
		if err := d.deck.attach(cc); err != nil {
			d.deck, d.where, d.why = nil, pipeline.OnCPU, err.Error()
		}
	}
	opts := astiav.NewDictionary()
	defer opts.Free()
	if err := opts.Set("max_pixels", strconv.Itoa(d.opts.MaxPixels), 0); err != nil {
		cc.Free()
		return fmt.Errorf("set pixel limit: %w", err)
	}
	if err := cc.Open(d.codec, opts); err != nil {
		cc.Free()
		return fmt.Errorf("open decoder %s: %w", d.codec.Name(), err)
	}
	d.cc, d.opened, d.broken = cc, false, false
	return nil
}

// startCodes says that units go to libavcodec as Annex B byte streams.
func (d *Decoder) startCodes() bool {
	return d.format.Codec == pipeline.H264 || d.format.Codec == pipeline.H265
}

// Decode decodes u and hands every picture that is complete by now to emit, in
// the order of showing. Emit owns the reference. Units before the first key unit
// are passed over. An error that Is ErrCorrupt leaves the decoder usable.
func (d *Decoder) Decode(u pipeline.Unit, emit func(*frame.Frame)) error {
	if d.cc == nil {
		return errors.New("decode after Close")
	}
	if u.Key && d.deck != nil {
		if why := d.deck.trouble.Load(); why != nil {
			if err := d.leaveCard(*why); err != nil {
				return err
			}
		}
	}
	if !d.opened && !u.Key {
		return nil
	}
	if u.Key && !u.Damaged {
		d.broken = false
	}
	d.fill(u)
	d.opened = true
	if err := d.pkt.FromData(d.buf); err != nil {
		return fmt.Errorf("allocate packet: %w", err)
	}
	defer d.pkt.Unref()
	d.pkt.SetSize(len(d.buf) - padding)
	d.sent++
	d.pkt.SetPts(d.sent)
	d.pkt.SetDts(d.sent)
	if u.Key {
		d.pkt.SetFlags(astiav.NewPacketFlags(astiav.PacketFlagKey))
	}
	d.metas[d.sent%metaSlots] = frame.Meta{
		CameraID: d.opts.CameraID, PTS: u.PTS, Time: u.Time, TimeError: u.TimeError, Clock: u.Clock,
		Arrived: u.Arrived, Key: u.Key, Damaged: u.Damaged || d.broken,
	}
	if err := d.exchange(d.pkt, u.Arrived, emit); err != nil {
		d.broken = true
		return errors.Join(fmt.Errorf("%w: %w", ErrCorrupt, err), d.judge(err))
	}
	return nil
}

// padding is AV_INPUT_BUFFER_PADDING_SIZE: libavcodec reads past the end of its
// input, which must be zeros there.
const padding = 64

// fill puts the unit into d.buf, with the out-of-band parameter sets in front of
// the first one.
func (d *Decoder) fill(u pipeline.Unit) {
	d.buf = d.buf[:0]
	if !d.startCodes() {
		for _, nal := range u.NALs {
			d.buf = append(d.buf, nal...)
		}
	} else {
		if !d.opened {
			d.addNALs(d.format.ParameterSets)
		}
		d.addNALs(u.NALs)
	}
	d.buf = append(d.buf, make([]byte, padding)...)
}

func (d *Decoder) addNALs(nals [][]byte) {
	for _, nal := range nals {
		d.buf = append(d.buf, 0, 0, 0, 1)
		d.buf = append(d.buf, nal...)
	}
}

// preference is by how much older than it is a unit counts whose picture the model
// waits for, in the order of turns.
const preference = 50 * time.Millisecond

// Prefer says that the model waits for the picture of the units that come, or that it
// does not any more: with Turn, theirs come before those of others of the same age.
func (d *Decoder) Prefer(wanted bool) { d.wanted = wanted }

// exchange sends a packet and hands on the pictures that are ready: after the turn,
// as emit may wait.
func (d *Decoder) exchange(pkt *astiav.Packet, arrived time.Time, emit func(*frame.Frame)) (err error) {
	work := func() {
		d.began = time.Now()
		err = errors.Join(d.cc.SendPacket(pkt), d.receive())
		d.took = time.Since(d.began)
	}
	if d.wanted {
		arrived = arrived.Add(-preference)
	}
	if d.opts.Turn != nil && d.where != pipeline.OnCard { // for a card, a processor would only wait
		d.opts.Turn.RunSince(arrived, work)
	} else {
		work()
	}
	for _, f := range d.ready {
		d.seq++
		f.Meta = d.metas[uint64(f.AV().Pts())%metaSlots]
		f.Seq = d.seq
		f.Damaged = f.Damaged || concealed(f.AV())
		f.Orientation = d.format.Orientation
		if a := d.format.Aspect; a[0] > 0 && a[1] > 0 {
			f.AV().SetSampleAspectRatio(astiav.NewRational(a[0], a[1]))
		}
		if d.deck != nil && f.AV().PixelFormat() == astiav.PixelFormatCuda {
			if lost := d.deck.lay(f); lost != nil {
				f.Release()
				err = errors.Join(err, lost)
				continue
			}
		}
		emit(f)
	}
	d.ready = d.ready[:0]
	return err
}

// Turn tells when the turn of the last unit came, and how long it took.
func (d *Decoder) Turn() (began time.Time, took time.Duration) { return d.began, d.took }

// receive collects the pictures that are ready.
func (d *Decoder) receive() error {
	for {
		f := d.pool.Get()
		switch err := d.cc.ReceiveFrame(f.AV()); {
		case errors.Is(err, astiav.ErrEagain), errors.Is(err, astiav.ErrEof):
			f.Release()
			return nil
		case err != nil:
			f.Release()
			return err
		}
		if d.deck != nil {
			if keep, err := d.place(f.AV()); !keep {
				f.Release()
				if err != nil {
					return err
				}
				continue
			}
		}
		d.ready = append(d.ready, f)
	}
}

// Flush hands on the pictures that the decoder still holds, at the end of a
// stream. After it the decoder waits for a key unit, as after New.
func (d *Decoder) Flush(emit func(*frame.Frame)) error {
	if d.cc == nil || !d.opened { // there is nothing inside, and libavcodec takes nothing after a second end
		return nil
	}
	err := d.exchange(nil, time.Now(), emit)
	if err != nil {
		if jerr := d.judge(err); jerr != nil {
			return jerr
		}
	}
	if rerr := d.Reset(); rerr != nil {
		return rerr
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	return nil
}

// Reset forgets what the decoder holds and waits for a key unit: call it when
// units were left out. Frames keep their numbering.
func (d *Decoder) Reset() error {
	if d.cc == nil {
		return errors.New("reset decoder after Close")
	}
	if !d.opened {
		return nil
	}
	if d.deck != nil {
		flush(d.cc)
		d.opened, d.broken = false, false
		return nil
	}
	return d.reopen()
}

func (d *Decoder) reopen() error {
	d.cc.Free() // go-astiav cannot flush a codec; opening one takes well under a millisecond
	d.cc = nil
	return d.open()
}

// Close frees the decoder. Frames that were handed out stay valid.
func (d *Decoder) Close() {
	if d.cc != nil {
		d.cc.Free()
		d.cc = nil
	}
	if d.pkt != nil {
		d.pkt.Free()
		d.pkt = nil
	}
	d.buf = nil
}
