package rtsp_test

import (
	"bufio"
	"fmt"
	"net"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bluenviron/gortsplib/v5/pkg/base"
	"github.com/bluenviron/gortsplib/v5/pkg/conn"
	"github.com/bluenviron/gortsplib/v5/pkg/format/rtph264"
	"github.com/bluenviron/gortsplib/v5/pkg/format/rtph265"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"
	"github.com/pion/rtp"
	"github.com/stretchr/testify/require"

	"detectd/pipeline"
	"detectd/pipeline/simulate"
	"detectd/pipeline/source/file"
)

// oddCamera is a camera whose every byte a test may choose. What a test leaves out
// is done as a well-behaved camera does it.
type oddCamera struct {
	ln  net.Listener
	udp [2]net.PacketConn // RTP, RTCP

	// answer replaces the answer to a request: the whole text, or "" for the usual
	// one, or hangup.
	answer func(v *visit, req *base.Request) string
	sdp    func() string
	// more are header lines for the usual answers, by method.
	more map[base.Method]string
	// media sends video once PLAY is answered; the connection stays open when it returns.
	media func(v *visit)

	mu       sync.Mutex
	requests []*base.Request
	conns    []net.Conn
	wg       sync.WaitGroup
}

const hangup = "hang up"

// visit is one connection to an oddCamera.
type visit struct {
	camera  *oddCamera
	number  int // from 1
	conn    net.Conn
	mu      sync.Mutex // guards writing
	client  [2]net.Addr
	channel int
	packets *packets
}

func odd(t testing.TB, o *oddCamera) *oddCamera {
	t.Helper()
	var err error
	o.ln, err = net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	for i := range o.udp {
		o.udp[i], err = net.ListenPacket("udp", "127.0.0.1:0")
		require.NoError(t, err)
	}
	o.wg.Go(func() {
		for n := 1; ; n++ {
			c, err := o.ln.Accept()
			if err != nil {
				return
			}
			o.mu.Lock()
			o.conns = append(o.conns, c)
			o.mu.Unlock()
			o.wg.Go(func() { (&visit{camera: o, number: n, conn: c, packets: newPackets()}).talk() })
		}
	})
	t.Cleanup(func() {
		_ = o.ln.Close()
		_ = o.udp[0].Close()
		_ = o.udp[1].Close()
		o.mu.Lock()
		for _, c := range o.conns {
			_ = c.Close()
		}
		o.mu.Unlock()
		o.wg.Wait()
	})
	return o
}

func (o *oddCamera) url() string { return "rtsp://" + o.ln.Addr().String() + "/live" }

func (o *oddCamera) asked(method base.Method) (out []*base.Request) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, r := range o.requests {
		if r.Method == method {
			out = append(out, r)
		}
	}
	return out
}

// talk answers requests. The media runs beside it.
func (v *visit) talk() {
	defer v.conn.Close()
	var media sync.WaitGroup
	defer media.Wait()
	defer v.conn.Close()
	rc := conn.NewConn(bufio.NewReader(v.conn), v.conn)
	for {
		what, err := rc.Read()
		if err != nil {
			return
		}
		req, ok := what.(*base.Request)
		if !ok {
			continue // receiver reports
		}
		v.camera.mu.Lock()
		v.camera.requests = append(v.camera.requests, req)
		v.camera.mu.Unlock()
		text := ""
		if v.camera.answer != nil {
			text = v.camera.answer(v, req)
		}
		if text == hangup {
			return
		}
		if text == "" {
			text = v.usual(req)
		}
		v.write([]byte(text))
		if req.Method == base.Play && v.camera.media != nil && strings.HasPrefix(text, "RTSP/1.0 200") {
			media.Go(func() { v.camera.media(v) })
		}
	}
}

func (v *visit) write(b []byte) {
	v.mu.Lock()
	defer v.mu.Unlock()
	_ = v.conn.SetWriteDeadline(time.Now().Add(5 * time.Second))
	_, _ = v.conn.Write(b)
}

// reply is an answer with header lines and a body.
func reply(req *base.Request, status string, headers string, body string) string {
	text := "RTSP/1.0 " + status + "\r\nCSeq: " + req.Header["CSeq"][0] + "\r\n" + headers
	if body != "" {
		text += "Content-Length: " + strconv.Itoa(len(body)) + "\r\n"
	}
	return text + "\r\n" + body
}

// usual is what a well-behaved camera answers.
func (v *visit) usual(req *base.Request) string {
	more := v.camera.more[req.Method]
	switch req.Method {
	case base.Options:
		if more == "" {
			more = "Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN, GET_PARAMETER\r\n"
		}
		return reply(req, "200 OK", more, "")
	case base.Describe:
		return reply(req, "200 OK", "Content-Type: application/sdp\r\n"+more, v.camera.sdp())
	case base.Setup:
		if more == "" {
			more = "Session: 4711\r\n"
		}
		return reply(req, "200 OK", "Transport: "+v.transport(req.Header["Transport"][0])+"\r\n"+more, "")
	}
	return reply(req, "200 OK", "Session: 4711\r\n"+more, "")
}

// transport accepts what is offered.
func (v *visit) transport(offer string) string {
	_, ports, udp := strings.Cut(offer, "client_port=")
	if !udp {
		return offer
	}
	ports, _, _ = strings.Cut(ports, ";")
	first, _, _ := strings.Cut(ports, "-")
	n, _ := strconv.Atoi(first)
	var server [2]int
	for i := range v.client {
		v.client[i] = &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: n + i}
		server[i] = v.camera.udp[i].LocalAddr().(*net.UDPAddr).Port
	}
	return fmt.Sprintf("%s;server_port=%d-%d", offer, server[0], server[1])
}

// send sends RTP packets over what was agreed on.
func (v *visit) send(pkts ...*rtp.Packet) {
	for _, p := range pkts {
		b, err := p.Marshal()
		if err != nil {
			panic(err)
		}
		v.raw(0, b)
	}
}

// raw sends the bytes of RTP (channel 0) or RTCP (1).
func (v *visit) raw(channel int, b []byte) {
	if v.client[0] != nil {
		_, _ = v.camera.udp[channel].WriteTo(b, v.client[channel])
		return
	}
	n := len(b)
	v.write(append([]byte{'$', byte(v.channel + channel), byte(n >> 8), byte(n)}, b...))
}

// stills are coded pictures to send.
type stills struct {
	codec pipeline.Codec
	sets  [][]byte
	units [][][]byte // without the sets
	pts   []time.Duration
}

func film(t testing.TB, spec simulate.Spec) *stills {
	t.Helper()
	path := filepath.Join(t.TempDir(), "film.mp4")
	require.NoError(t, simulate.Generate(path, spec))
	src, err := file.New(file.Config{Path: path})
	require.NoError(t, err)
	kept := &sink{}
	require.Error(t, src.Run(t.Context(), kept))
	s := &stills{codec: kept.formats[0].Codec, sets: kept.formats[0].ParameterSets}
	for _, u := range kept.units {
		var nals [][]byte
		for _, nal := range u.NALs {
			if !s.isSet(nal) {
				nals = append(nals, nal)
			}
		}
		s.units, s.pts = append(s.units, nals), append(s.pts, u.PTS)
	}
	return s
}

func (s *stills) isSet(nal []byte) bool {
	if s.codec == pipeline.H264 {
		t := h264.NALUType(nal[0] & 0x1f)
		return t == h264.NALUTypeSPS || t == h264.NALUTypePPS
	}
	t := nal[0] >> 1 & 0x3f
	return t >= 32 && t <= 34
}

// full is picture n, with the sets in front where full is a key picture.
func (s *stills) full(n int) [][]byte {
	n %= len(s.units)
	if n%25 == 0 {
		return append(append([][]byte{}, s.sets...), s.units[n]...)
	}
	return s.units[n]
}

// packets numbers RTP packets as a camera does.
type packets struct {
	h264 rtph264.Encoder
	h265 rtph265.Encoder
}

func newPackets() *packets {
	p := &packets{h264: rtph264.Encoder{PayloadType: 96, PacketizationMode: 1}, h265: rtph265.Encoder{PayloadType: 96}}
	if err := p.h264.Init(); err != nil {
		panic(err)
	}
	if err := p.h265.Init(); err != nil {
		panic(err)
	}
	return p
}

// of packs a picture with the given RTP time stamp.
func (p *packets) of(codec pipeline.Codec, nals [][]byte, timestamp uint32) []*rtp.Packet {
	var pkts []*rtp.Packet
	var err error
	if codec == pipeline.H265 {
		pkts, err = p.h265.Encode(nals)
	} else {
		pkts, err = p.h264.Encode(nals)
	}
	if err != nil {
		panic(err)
	}
	for _, pkt := range pkts {
		pkt.Timestamp = timestamp
	}
	return pkts
}

// ticks is a time stamp of 25 pictures a second.
func ticks(n int) uint32 { return uint32(n) * 3600 }

// plays sends n pictures of a film as they are.
func (s *stills) plays(n int) func(v *visit) {
	return func(v *visit) {
		for i := range n {
			v.send(v.packets.of(s.codec, s.full(i), ticks(i))...)
		}
	}
}

// sdpOf describes video; media are further lines of its section.
func sdpOf(codec pipeline.Codec, fmtp string, media ...string) func() string {
	return func() string {
		name := map[pipeline.Codec]string{pipeline.H264: "H264", pipeline.H265: "H265"}[codec]
		lines := []string{
			"v=0", "o=- 0 0 IN IP4 127.0.0.1", "s=x", "c=IN IP4 0.0.0.0", "t=0 0",
			"m=video 0 RTP/AVP 96", "a=rtpmap:96 " + name + "/90000",
		}
		if fmtp != "" {
			lines = append(lines, "a=fmtp:96 "+fmtp)
		}
		if media == nil {
			media = []string{"a=control:trackID=0"}
		}
		return strings.Join(append(lines, media...), "\r\n") + "\r\n"
	}
}

const mode1 = "packetization-mode=1"
